#ifndef KV_HTTPD_LISTEN_H
#define KV_HTTPD_LISTEN_H

/* Listening sockets. What goes wrong is logged here, with the address, and returned. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* What keeps strangers out of an address beyond loopback. */
enum kv_guard {
    KV_UNGUARDED,        /* nothing: it is refused */
    KV_GUARDED_IN_CLEAR, /* tokens, which can be overheard: a warning is logged */
    KV_GUARDED,          /* enough, or whoever starts the daemon says so */
};

/* Open a listening socket for each address that "HOST:PORT" or "[V6]:PORT" stands for,
 * at most max (with port 0: for the first alone); an empty HOST or "*" means all
 * addresses. 0 and *ret_count >= 1; -EINVAL: it cannot be parsed or resolved; -EPERM:
 * beyond loopback and unguarded; -EADDRINUSE, -EACCES, ... */
int kv_listen_tcp(const char *address, enum kv_guard guard, int *fds, size_t max,
                  size_t *ret_count);

/* Open a listening Unix socket, mode 0660: the daemon's user and group. A socket file
 * that nobody listens on is replaced; -EADDRINUSE when somebody does or when it is
 * another kind of file; -ENAMETOOLONG, -EACCES, ... *ret_stat identifies the socket
 * file. */
int kv_listen_unix(const char *path, int *ret_fd, struct stat *ret_stat);

/* "127.0.0.1:5000" or "[::1]:5000", to be freed; NULL: no memory. */
char *kv_listen_name(int fd);

#endif
