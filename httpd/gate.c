/* The gate. Every rule here exists because the library lets the thing through; each has
 * a raw-bytes test in tests/integration/http_gate.py.
 *
 * NUL bytes are the odd one: the library cuts a value at the first and does not tell.
 * But it parses in place, so name, value and line end still stand side by side in its
 * buffer. Whatever lies between two headers that is not blanks and one line end was cut
 * off or folded, and both are refused (folding: RFC 9112 section 5.2). */
#include "httpd/gate.h"

#include "httpd/auth.h"
#include "httpd/field.h"
#include "httpd/reply.h"
#include "httpd/request.h"

#include <string.h>
#include <strings.h>

struct scan {
    struct kv_headers *headers;
    const char *position; /* behind what has been seen of the header block */
    const char *end;      /* of the header block */
    const char *broken;   /* the rule */
};

/* The characters of a token (RFC 9110 section 5.6.2) as bits of two words. */
static bool is_token_char(unsigned char c)
{
    static const uint64_t bits[4] = {UINT64_C(0x3ff6cfa00000000),
                                     UINT64_C(0x57ffffffc7fffffe), 0, 0};
    return bits[c / 64] >> c % 64 & 1;
}

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_token_char((unsigned char)text[i]))
            return false;
    return len > 0;
}

/* Step over blanks and a CRLF, which the library has overwritten with NULs. False:
 * there is something else. (NUL and LF look the same here; that line still ends at its
 * LF.) */
static bool line_ends(const char **position, const char *end)
{
    const char *p = *position;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (end - p < 2 || p[0] != '\0' || p[1] != '\0')
        return false;
    *position = p + 2;
    return true;
}

static const char not_a_line[] =
    "a header line does not end in CRLF, is folded, or holds a NUL byte";

static struct kv_field *field_of(struct kv_headers *headers, const char *name,
                                 size_t len)
{
    switch (len) {
    case 4:
        return strncasecmp(name, "Host", 4) == 0 ? &headers->host : NULL;
    case 5:
        return strncasecmp(name, "Range", 5) == 0 ? &headers->range : NULL;
    case 6:
        if (strncasecmp(name, "Origin", 6) == 0)
            return &headers->origin;
        if (strncasecmp(name, "Accept", 6) == 0)
            return &headers->accept;
        return strncasecmp(name, "Expect", 6) == 0 ? &headers->expect : NULL;
    case 8:
        if (strncasecmp(name, "If-Match", 8) == 0)
            return &headers->if_match;
        return strncasecmp(name, "If-Range", 8) == 0 ? &headers->if_range : NULL;
    case 12:
        return strncasecmp(name, "Content-Type", 12) == 0 ? &headers->content_type
                                                          : NULL;
    case 13:
        if (strncasecmp(name, "If-None-Match", 13) == 0)
            return &headers->if_none_match;
        if (strncasecmp(name, "Authorization", 13) == 0)
            return &headers->authorization;
        return strncasecmp(name, "Last-Event-ID", 13) == 0 ? &headers->last_event_id
                                                           : NULL;
    case 14:
        return strncasecmp(name, "Content-Length", 14) == 0 ? &headers->length : NULL;
    case 15:
        if (strncasecmp(name, "X-Access-Tokens", 15) == 0)
            return &headers->x_access_tokens;
        return strncasecmp(name, "Accept-Encoding", 15) == 0 ? &headers->accept_encoding
                                                             : NULL;
    case 17:
        if (strncasecmp(name, "Sec-WebSocket-Key", 17) == 0)
            return &headers->ws_key;
        return strncasecmp(name, "Transfer-Encoding", 17) == 0 ? &headers->encoding
                                                               : NULL;
    case 21:
        return strncasecmp(name, "Sec-WebSocket-Version", 21) == 0
                   ? &headers->ws_version
                   : NULL;
    case 29:
        return strncasecmp(name, "Access-Control-Request-Method", 29) == 0
                   ? &headers->cors_method
                   : NULL;
    case 19:
        return strncasecmp(name, "If-Unmodified-Since", 19) == 0
                   ? &headers->if_unmodified_since
                   : NULL;
    default:
        return NULL;
    }
}

/* Headers that are lists, and of which one name matters. */
static void look_for_upgrade(struct kv_headers *headers, const char *name, size_t len,
                             const char *value, size_t value_len)
{
    if (len == 7 && strncasecmp(name, "Upgrade", 7) == 0)
        headers->websocket |= kv_accept_weight(value, value_len, "websocket") >= 0;
    if (len == 10 && strncasecmp(name, "Connection", 10) == 0)
        headers->connection_upgrade |=
            kv_accept_weight(value, value_len, "upgrade") >= 0;
}

/* The library strips the blanks in front of a value only. */
static size_t without_blanks(const char *value, size_t len)
{
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    return len;
}

static const char *look_at(struct scan *scan, const char *name, size_t name_len,
                           const char *value, size_t value_len)
{
    if (name != scan->position || value < name || value > scan->end)
        return not_a_line;
    if (!is_token(name, name_len))
        return "a header name holds a blank or another character that is not allowed";
    for (size_t i = 0; i < value_len; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return "a header value holds a control character";
    }
    scan->position = value + value_len;
    if (!line_ends(&scan->position, scan->end))
        return not_a_line;
    look_for_upgrade(scan->headers, name, name_len, value, value_len);
    struct kv_field *field = field_of(scan->headers, name, name_len);
    if (!field)
        return NULL;
    /* Lists may be spread over several fields (RFC 9110 section 5.3). What they ask for
     * is a wish, so the first is enough. */
    if (field->text &&
        (field == &scan->headers->accept || field == &scan->headers->accept_encoding))
        return NULL;
    if (field->text)
        return field == &scan->headers->host ? "there is more than one Host header"
               : field == &scan->headers->length
                   ? "there is more than one Content-Length header"
                   : "a header that may come once comes twice";
    *field = (struct kv_field){value, without_blanks(value, value_len)};
    return NULL;
}

static enum MHD_Result each_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                   size_t name_len, const char *value, size_t value_len)
{
    struct scan *scan = cls;
    (void)kind;
    scan->broken = look_at(scan, name, name_len, value ? value : "", value_len);
    return scan->broken ? MHD_NO : MHD_YES;
}

/* Every header in one pass. NULL or the rule that was broken. */
static const char *scan_headers(struct kv_request *request, const char *version,
                                const char *method)
{
    const union MHD_ConnectionInfo *size = MHD_get_connection_info(
        request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (!size)
        return "the headers cannot be read";
    struct scan scan = {
        .headers = &request->headers,
        .position = version + strlen(version),
        .end = method + size->header_size,
    };
    if (request->target_end + 1 != version)
        return "the request target holds a NUL byte or a blank";
    if (!line_ends(&scan.position, scan.end))
        return "the request line is malformed";
    (void)MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, each_header,
                                      &scan);
    if (scan.broken)
        return scan.broken;
    if (!line_ends(&scan.position, scan.end) || scan.position != scan.end)
        return not_a_line;
    return NULL;
}

/* Where the body ends must be said in one way only: RFC 9112 section 6.3. */
static const char *check_framing(struct kv_headers *headers, bool http_1_0)
{
    if (headers->encoding.text) {
        if (headers->length.text)
            return "there are both Content-Length and Transfer-Encoding";
        if (http_1_0)
            return "HTTP/1.0 has no Transfer-Encoding";
        /* As the library compares it, blanks behind it included: otherwise it would
         * take the rest of the connection for the body. */
        if (strcasecmp(headers->encoding.text, "chunked") != 0)
            return "the only Transfer-Encoding that is understood is chunked";
        headers->chunked = true;
    }
    if (headers->length.text && kv_u64_parse(headers->length.text, headers->length.len,
                                             &headers->content_length))
        return "Content-Length is not a number";
    return NULL;
}

static bool refuse(struct kv_request *request, unsigned status, const char *code,
                   const char *text)
{
    atomic_fetch_add_explicit(&request->http->counters.refused, 1,
                              memory_order_relaxed);
    kv_reply_error(request, status, code, NULL, 0, "%s", text);
    return false;
}

/* The rules against web pages. A Host value that was good once on this connection is
 * good again. */
static bool check_browser(struct kv_request *request)
{
    struct kv_conn *conn = kv_request_conn(request);
    const struct kv_headers *headers = &request->headers;
    if (conn->local)
        return true;
    const struct kv_field *host = &headers->host;
    bool known = host->len > 0 && host->len == conn->host_len &&
                 memcmp(host->text, conn->host, host->len) == 0;
    if (host->text && !known) {
        if (!kv_host_allowed(host->text, host->len, request->http->allowed_hosts))
            return refuse(
                request, 403, "host_not_allowed",
                "this daemon does not go by that Host name; --allow-host adds one");
        if (host->len <= sizeof(conn->host)) {
            memcpy(conn->host, host->text, host->len);
            conn->host_len = host->len;
        }
    }
    const struct kv_uri *uri = &request->uri;
    if (uri->authority && !kv_host_allowed(uri->authority, uri->authority_len,
                                           request->http->allowed_hosts))
        return refuse(request, 403, "host_not_allowed",
                      "this daemon does not go by the host name in the request target");
    const struct kv_field *origin = &headers->origin;
    if (!origin->text ||
        kv_origin_is_own(origin->text, origin->len, host->text, host->len))
        return true;
    if (!kv_origin_allowed(origin->text, origin->len, request->http->cors_origins))
        return refuse(request, 403, "origin_not_allowed",
                      "web pages of another origin may not use this daemon; "
                      "--cors-origin names those that may");
    request->cors_origin = origin->text;
    request->cors_origin_len = origin->len;
    return true;
}

bool kv_gate_check(struct kv_request *request, const char *version, const char *method)
{
    struct kv_headers *headers = &request->headers;
    bool http_1_0 = strcmp(version, "HTTP/1.0") == 0;
    *headers = (struct kv_headers){0};
    const char *broken = scan_headers(request, version, method);
    if (!broken)
        broken = check_framing(headers, http_1_0);
    if (!broken && !http_1_0 && !headers->host.text)
        broken = "there is no Host header";
    if (!broken)
        broken = kv_uri_parse(request->target.data, request->target.len, &request->uri);
    if (broken)
        return refuse(request, 400, "bad_request", broken);
    headers->websocket &= !http_1_0; /* to be ignored there: RFC 9110 section 7.8 */
    if (kv_request_conn(request)->crowded)
        return refuse(request, 503, "too_many_connections",
                      "there are too many connections, to this daemon or from this "
                      "address");
    return check_browser(request);
}
