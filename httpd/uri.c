/* Request targets, taken apart in the buffer they arrived in: what is decoded is never
 * longer than what it was decoded from. Pure functions. */
#include "httpd/uri.h"

#include <string.h>
#include <strings.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

long kv_percent_decode(char *text, size_t len, bool plus_is_blank)
{
    size_t out = 0;
    for (size_t in = 0; in < len; in++, out++) {
        char c = text[in];
        if (c == '%') {
            if (len - in < 3)
                return -1;
            int high = hex_digit(text[in + 1]), low = hex_digit(text[in + 2]);
            if (high < 0 || low < 0)
                return -1;
            c = (char)(high << 4 | low);
            in += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        text[out] = c;
    }
    return (long)out;
}

/* Skip "http://host" in front of an absolute-form target. */
static char *strip_authority(char *target, char *end, struct kv_uri *uri)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t scheme_len = strlen(schemes[i]);
        if ((size_t)(end - target) < scheme_len ||
            strncasecmp(target, schemes[i], scheme_len) != 0)
            continue;
        char *authority = target + scheme_len, *p = authority;
        while (p < end && *p != '/' && *p != '?')
            p++;
        uri->authority = authority;
        uri->authority_len = (size_t)(p - authority);
        return p;
    }
    return target;
}

static const char *check_name(const struct kv_uri *uri, const struct kv_param *param)
{
    if (param->name_len == 0)
        return "a query parameter has no name";
    for (size_t i = 0; i < uri->param_count; i++) {
        const struct kv_param *other = &uri->params[i];
        if (other->name_len == param->name_len &&
            memcmp(other->name, param->name, param->name_len) == 0)
            return "a query parameter is given twice";
    }
    return NULL;
}

static const char *add_param(struct kv_uri *uri, char *text, size_t len)
{
    if (uri->param_count == KV_URI_PARAMS_MAX)
        return "there are too many query parameters";
    char *equals = memchr(text, '=', len);
    size_t name_len = equals ? (size_t)(equals - text) : len;
    char *value = equals ? equals + 1 : text + len;
    long name_decoded = kv_percent_decode(text, name_len, true);
    long value_decoded = kv_percent_decode(value, len - (size_t)(value - text), true);
    if (name_decoded < 0 || value_decoded < 0)
        return "in the query, '%' must be followed by two hexadecimal digits";
    struct kv_param param = {text, (size_t)name_decoded, value, (size_t)value_decoded};
    const char *broken = check_name(uri, &param);
    if (broken)
        return broken;
    uri->params[uri->param_count++] = param;
    return NULL;
}

static const char *parse_query(struct kv_uri *uri, char *query, char *end)
{
    while (query < end) {
        char *stop = memchr(query, '&', (size_t)(end - query));
        if (!stop)
            stop = end;
        if (stop != query) {
            const char *broken = add_param(uri, query, (size_t)(stop - query));
            if (broken)
                return broken;
        }
        query = stop + 1;
    }
    return NULL;
}

const char *kv_uri_parse(char *target, size_t len, struct kv_uri *ret)
{
    char *end = target + len;
    ret->authority = NULL;
    ret->authority_len = 0;
    ret->param_count = 0;
    char *path = target;
    if (len > 0 && *target != '/')
        path = strip_authority(target, end, ret);
    char *query = path < end ? memchr(path, '?', (size_t)(end - path)) : NULL;
    char *path_end = query ? query : end;
    for (const char *p = path; p < end; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return "the request target holds a blank or a control character";
    if (path == path_end && ret->authority) {
        ret->path = "/";
        ret->path_len = 1;
    } else {
        if (path == path_end || *path != '/')
            return "the request target must begin with '/' or 'http://'";
        long decoded = kv_percent_decode(path, (size_t)(path_end - path), false);
        if (decoded < 0)
            return "in the path, '%' must be followed by two hexadecimal digits";
        ret->path = path;
        ret->path_len = (size_t)decoded;
    }
    return query ? parse_query(ret, query + 1, end) : NULL;
}

const struct kv_param *kv_uri_param(const struct kv_uri *uri, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < uri->param_count; i++) {
        const struct kv_param *param = &uri->params[i];
        if (param->name_len == len && memcmp(param->name, name, len) == 0)
            return param;
    }
    return NULL;
}
