/* Host, Origin and loopback rules. Pure functions. */
#include "httpd/auth.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* The name in "name:port" or "[v6]:port", brackets included. 0: malformed. */
static size_t name_len(const char *host, size_t len)
{
    if (len > 0 && host[0] == '[') {
        const char *close = memchr(host, ']', len);
        if (!close)
            return 0;
        size_t name = (size_t)(close - host) + 1;
        return name == len || host[name] == ':' ? name : 0;
    }
    const char *colon = memchr(host, ':', len);
    return colon ? (size_t)(colon - host) : len;
}

static bool port_is_valid(const char *port, size_t len)
{
    if (len == 0)
        return true;
    if (len > 6)
        return false;
    for (size_t i = 1; i < len; i++)
        if (port[i] < '0' || port[i] > '9')
            return false;
    return true;
}

static bool same(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

static bool is_address(const char *name, size_t len)
{
    char text[INET6_ADDRSTRLEN + 1];
    unsigned char binary[sizeof(struct in6_addr)];
    bool v6 = name[0] == '[';
    if (v6) {
        name++;
        len -= 2;
    }
    if (len >= sizeof(text))
        return false;
    memcpy(text, name, len);
    text[len] = '\0';
    return inet_pton(v6 ? AF_INET6 : AF_INET, text, binary) == 1;
}

bool kv_host_allowed(const char *host, size_t len, const char *const *allowed)
{
    size_t name = name_len(host, len);
    if (name == 0 || !port_is_valid(host + name, len - name))
        return false;
    if (same(host, name, "localhost", 9) || is_address(host, name))
        return true;
    for (; allowed && *allowed; allowed++) {
        size_t allowed_len = strlen(*allowed);
        if (same(*allowed, allowed_len, "*", 1) ||
            same(host, len, *allowed, allowed_len) ||
            same(host, name, *allowed, allowed_len))
            return true;
    }
    return false;
}

/* Without the port that the scheme implies. */
static size_t without_port(const char *host, size_t len, const char *port)
{
    size_t port_len = strlen(port);
    if (len > port_len && memcmp(host + len - port_len, port, port_len) == 0)
        return len - port_len;
    return len;
}

bool kv_origin_is_own(const char *origin, size_t len, const char *host, size_t host_len)
{
    static const struct {
        const char *scheme, *port;
    } schemes[] = {{"http://", ":80"}, {"https://", ":443"}};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t scheme_len = strlen(schemes[i].scheme);
        if (len < scheme_len || strncasecmp(origin, schemes[i].scheme, scheme_len) != 0)
            continue;
        const char *name = origin + scheme_len;
        return host_len > 0 &&
               same(name, without_port(name, len - scheme_len, schemes[i].port), host,
                    without_port(host, host_len, schemes[i].port));
    }
    return false;
}

bool kv_origin_allowed(const char *origin, size_t len, const char *const *allowed)
{
    for (; allowed && *allowed; allowed++)
        if (same(origin, len, *allowed, strlen(*allowed)))
            return true;
    return false;
}

bool kv_origin_valid(const char *origin)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t scheme = strlen(schemes[i]);
        if (strncasecmp(origin, schemes[i], scheme) != 0)
            continue;
        const char *host = origin + scheme;
        size_t len = strlen(host), name = name_len(host, len);
        return name > 0 && port_is_valid(host + name, len - name) &&
               strcspn(host, "/?#@* \t,\"\\") == len;
    }
    return false;
}

void kv_address_network(const struct sockaddr *address,
                        unsigned char ret[KV_NETWORK_SIZE])
{
    memset(ret, 0, KV_NETWORK_SIZE);
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        memcpy(ret, &v4.sin_addr, sizeof(v4.sin_addr));
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
            memcpy(ret, v6.sin6_addr.s6_addr + 12, sizeof(struct in_addr));
        else
            memcpy(ret, v6.sin6_addr.s6_addr, KV_NETWORK_SIZE);
    }
}

bool kv_address_is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_UNIX)
        return true;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) && v6.sin6_addr.s6_addr[12] == 127);
    }
    return false;
}
