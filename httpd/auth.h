#ifndef KV_HTTPD_AUTH_H
#define KV_HTTPD_AUTH_H

/* Who may talk to the daemon over TCP: rules that keep web pages out. A browser on this
 * machine reaches loopback, so a page from anywhere could otherwise read and write
 * keys.
 *
 * - Host must name this daemon. A page that rebinds its own DNS name to 127.0.0.1
 *   (DNS rebinding) sends that name, and is refused.
 * - Origin, which browsers send with every cross-origin request, must be the daemon's
 * own.
 * - Listening beyond loopback needs the word of whoever starts the daemon.
 *
 * The Unix socket is out of a browser's reach, so none of this applies there. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* Whether a Host value ("name", "name:port", "[v6]:port") names this daemon:
 * "localhost", an IP address (rebinding needs a name, so a literal address is always
 * harmless), or one of allowed (NULL-terminated or NULL; without a port it stands for
 * every port, "*" for every host). Case does not matter. */
bool kv_host_allowed(const char *host, size_t len, const char *const *allowed);

/* Whether an Origin value is the origin that host (a Host value) belongs to. */
bool kv_origin_is_own(const char *origin, size_t len, const char *host,
                      size_t host_len);

/* Whether an Origin value is one of allowed (NULL-terminated, or NULL). */
bool kv_origin_allowed(const char *origin, size_t len, const char *const *allowed);

/* Whether the text is an origin, "https://host" or "http://host:port", and nothing
 * more. */
bool kv_origin_valid(const char *origin);

/* What tells one client from another: its IPv4 address, also when mapped, or of IPv6
 * the network of 64 bits, in which one client has as many addresses as it likes. */
#define KV_NETWORK_SIZE 8
void kv_address_network(const struct sockaddr *address,
                        unsigned char ret[KV_NETWORK_SIZE]);

/* 127.0.0.0/8 and ::1, also when mapped; a Unix address counts as loopback. */
bool kv_address_is_loopback(const struct sockaddr *address);

#endif
