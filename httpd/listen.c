/* Listening sockets: addresses to file descriptors. Called at start, by one thread. */
#include "httpd/listen.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "httpd/auth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The kernel cuts it down to net.core.somaxconn. */
#define BACKLOG 4096

static int fail(const char *what, const char *address, int err)
{
    kv_error("cannot %s '%s': %s", what, address, kv_strerror(err));
    return err;
}

/* "HOST:PORT" into its two parts; HOST without brackets. */
static int split(const char *address, char host[256], char port[8])
{
    const char *colon = strrchr(address, ':');
    if (!colon || strlen(colon + 1) == 0 || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return -EINVAL;
    const char *begin = address, *end = colon;
    if (*begin == '[') {
        if (end - begin < 2 || end[-1] != ']')
            return -EINVAL;
        begin++;
        end--;
    } else if (memchr(begin, ':', (size_t)(end - begin))) {
        return -EINVAL; /* an IPv6 address without its brackets */
    }
    if (end - begin > 255)
        return -EINVAL;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return 0;
}

static int open_socket(const struct addrinfo *info, int *ret)
{
    KV_CLEANUP(kv_close)
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        (info->ai_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
        bind(fd, info->ai_addr, info->ai_addrlen) || listen(fd, BACKLOG))
        return -errno;
    *ret = fd;
    fd = -1;
    return 0;
}

/* A name such as localhost may stand for a v6 address on a machine without v6. */
static bool is_missing_family(int err)
{
    return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL;
}

static int open_all(const char *address, const struct addrinfo *info, bool one,
                    int *fds, size_t max, size_t *ret_count)
{
    int err = 0, skipped = 0;
    size_t count = 0;
    for (; info && count < max && !(one && count == 1); info = info->ai_next) {
        err = open_socket(info, &fds[count]);
        if (!err)
            count++;
        else if (is_missing_family(err))
            skipped = err;
        else
            break;
    }
    if (err && !is_missing_family(err)) {
        while (count > 0)
            (void)close(fds[--count]);
        return fail("listen on", address, err);
    }
    if (count == 0)
        return fail("listen on", address, skipped);
    *ret_count = count;
    return 0;
}

static bool is_beyond_loopback(const struct addrinfo *info)
{
    for (; info; info = info->ai_next)
        if (!kv_address_is_loopback(info->ai_addr))
            return true;
    return false;
}

static int check_guard(const char *address, const struct addrinfo *info,
                       enum kv_guard guard)
{
    if (guard == KV_GUARDED || !is_beyond_loopback(info))
        return 0;
    if (guard == KV_GUARDED_IN_CLEAR) {
        kv_warning("tokens and values can be overheard on the way to '%s': there is no "
                   "--tls-cert",
                   address);
        return 0;
    }
    kv_error("cannot listen on '%s': it can be reached from other machines and nothing "
             "guards it; --tokens asks whoever connects for a token, --insecure lets "
             "everybody in",
             address);
    return -EPERM;
}

int kv_listen_tcp(const char *address, enum kv_guard guard, int *fds, size_t max,
                  size_t *ret_count)
{
    char host[256], port[8];
    if (split(address, host, port)) {
        kv_error("cannot listen on '%s': it must be HOST:PORT or [V6]:PORT", address);
        return -EINVAL;
    }
    bool all = *host == '\0' || strcmp(host, "*") == 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *info = NULL;
    int code = getaddrinfo(all ? NULL : host, port, &hints, &info);
    if (code) {
        kv_error("cannot listen on '%s': %s", address, gai_strerror(code));
        return -EINVAL;
    }
    int err = check_guard(address, info, guard);
    if (!err)
        err = open_all(address, info, strcmp(port, "0") == 0, fds, max, ret_count);
    freeaddrinfo(info);
    return err;
}

/* Whether somebody answers on a socket file: 0 nobody, -EADDRINUSE, or an error. */
static int probe(const struct sockaddr_un *address)
{
    KV_CLEANUP(kv_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return -EADDRINUSE;
    return errno == ECONNREFUSED ? 0 : -errno;
}

/* Make the path free: remove a socket file that a dead daemon left. */
static int clear_path(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st))
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EADDRINUSE;
    int err = probe(address);
    if (err)
        return err;
    return unlink(address->sun_path) ? -errno : 0;
}

int kv_listen_unix(const char *path, int *ret_fd, struct stat *ret_stat)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return fail("listen on", path, -ENAMETOOLONG);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int err = clear_path(&address);
    if (err)
        return fail("listen on", path, err);
    KV_CLEANUP(kv_close)
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail("listen on", path, -errno);
    /* The mode of the socket before bind is what the file begins with, so it is never
     * open to others, not even for a moment; the umask may take more away, which chmod
     * gives back. */
    if (fchmod(fd, 0660) ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)))
        return fail("listen on", path, -errno);
    if (chmod(path, 0660) || listen(fd, BACKLOG) || lstat(path, ret_stat)) {
        err = -errno;
        (void)unlink(path);
        return fail("listen on", path, err);
    }
    *ret_fd = fd;
    fd = -1;
    return 0;
}

char *kv_listen_name(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    char host[INET6_ADDRSTRLEN], port[8], *name;
    if (getsockname(fd, (struct sockaddr *)&address, &len) ||
        getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
        return NULL;
    if (asprintf(&name, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
                 port) < 0)
        return NULL;
    return name;
}
