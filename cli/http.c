/* libcurl's easy interface. The handle is kept, so that requests of one command share
 * their connection. */
#include "http.h"

#include "interrupt.h"
#include "version.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define CONNECT_TIMEOUT_S 10L
/* A server that neither takes nor gives a byte for so long is away; a change stream has
 * a heartbeat every 15 s. */
#define STALL_S 60L

struct kv_http {
    CURL *curl;
    char *url; /* without a slash at the end */
    char *socket_path;
    char *place;
    const struct kv_trust *trust;
    char reason[CURL_ERROR_SIZE];
};

/* One request under way. */
struct exchange {
    CURL *curl;
    const struct kv_http_request *request;
    struct kv_http_answer *answer;
    uint64_t sent;
    ssize_t read_error; /* of the source */
    int stopped;        /* what the sink or the tick returned */
    bool interrupted;   /* by Ctrl-C, in a shell */
};

/* The address with a scheme; NULL: no memory. */
static char *complete_url(const char *url)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf whole = {0};
    if (!strstr(url, "://"))
        kv_buf_adds(&whole, "http://");
    kv_buf_adds(&whole, url);
    while (whole.len > 0 && whole.data[whole.len - 1] == '/')
        whole.len--;
    return kv_buf_steal(&whole, NULL);
}

static bool is_http(const char *url)
{
    return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

int kv_http_new(const char *url, const char *socket_path, const struct kv_trust *trust,
                struct kv_http **ret, struct kv_fault *fault)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "cannot set up libcurl");
    KV_CLEANUP(kv_http_freep) struct kv_http *http = calloc(1, sizeof(*http));
    if (!http)
        return kv_fault_no_memory(fault);
    http->trust = trust;
    http->curl = curl_easy_init();
    http->url = complete_url(url);
    http->socket_path = socket_path ? strdup(socket_path) : NULL;
    http->place = strdup(socket_path ? socket_path : http->url ? http->url : "");
    if (!http->curl || !http->url || !http->place ||
        (socket_path && !http->socket_path))
        return kv_fault_no_memory(fault);
    if (!is_http(http->url))
        return kv_fault_set(fault, KV_EXIT_USAGE, NULL,
                            "'%s' is no address of a server: only http and https are "
                            "spoken",
                            url);
    *ret = KV_STEAL(http);
    return 0;
}

void kv_http_free(struct kv_http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->curl);
    free(http->url);
    free(http->socket_path);
    free(http->place);
    free(http);
}

const char *kv_http_place(const struct kv_http *http)
{
    return http->place;
}

void kv_http_answer_done(struct kv_http_answer *answer)
{
    kv_buf_done(&answer->body);
}

void kv_http_encode(struct kv_buf *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c >= '0' && c <= '9') || strchr("-._~/", c))
            kv_buf_addc(out, *p);
        else
            kv_buf_addf(out, "%%%02X", c);
    }
}

int64_t kv_http_time_ns(const char *text)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return 0;
    int64_t ns = (int64_t)timegm(&tm) * KV_NS_PER_S;
    if (*rest == '.') {
        int64_t unit = KV_NS_PER_S / 10;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
            ns += (*rest - '0') * unit;
    }
    return ns;
}

/* -- What libcurl calls -- */

/* The value of the header line when it is the named one, else NULL; NUL-terminated. */
static const char *header_value(const char *line, const char *name)
{
    size_t len = strlen(name);
    if (strncasecmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    return line + len + 1 + strspn(line + len + 1, " \t");
}

static void take_header(struct kv_http_answer *answer, char *line)
{
    const char *value;
    if ((value = header_value(line, "ETag")) && *value == '"') {
        char number[24] = "";
        size_t len = strcspn(value + 1, "\"");
        if (len < sizeof(number)) {
            memcpy(number, value + 1, len);
            if (kv_text_number(number, &answer->mod_revision))
                answer->mod_revision = 0;
        }
    } else if ((value = header_value(line, "X-Kv-Version"))) {
        if (kv_text_number(value, &answer->version))
            answer->version = 0;
    } else if ((value = header_value(line, "X-Kv-Revision"))) {
        if (kv_text_number(value, &answer->revision))
            answer->revision = 0;
    } else if ((value = header_value(line, "X-Kv-Expires"))) {
        answer->expires_ns = kv_http_time_ns(value);
    } else if ((value = header_value(line, "Content-Length"))) {
        if (kv_text_number(value, &answer->length))
            answer->length = 0;
    } else if ((value = header_value(line, "Last-Modified"))) {
        time_t time = curl_getdate(value, NULL);
        answer->modified = time < 0 ? 0 : time;
    }
}

/* The end of the headers, so that a stream is known to stand before its first byte. */
static int begin(struct exchange *exchange)
{
    const struct kv_http_sink *sink = exchange->request->sink;
    curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE,
                      &exchange->answer->status);
    if (exchange->answer->status / 100 != 2 || !sink || !sink->begin)
        return 0;
    return sink->begin(sink->ctx, exchange->answer);
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    size_t len = size * count;
    char line[256];
    /* A new answer begins: what came before was "100 Continue". */
    if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        struct kv_buf body = exchange->answer->body;
        *exchange->answer = (struct kv_http_answer){.body = body};
    }
    if (len < sizeof(line)) {
        memcpy(line, data, len);
        line[len] = '\0';
        line[strcspn(line, "\r\n")] = '\0';
        take_header(exchange->answer, line);
        if (*line == '\0')
            exchange->stopped = begin(exchange);
    }
    return exchange->stopped ? 0 : len;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    size_t len = size * count;
    const struct kv_http_sink *sink = exchange->request->sink;
    if (sink && exchange->answer->status / 100 == 2) {
        exchange->stopped = len ? sink->data(sink->ctx, data, len) : 0;
        return exchange->stopped ? 0 : len;
    }
    kv_buf_add(&exchange->answer->body, data, len);
    return kv_buf_error(&exchange->answer->body) ? 0 : len;
}

static size_t on_send(char *data, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    ssize_t n =
        kv_source_read(exchange->request->body, exchange->sent, data, size * count);
    if (n < 0) {
        exchange->read_error = n;
        return CURL_READFUNC_ABORT;
    }
    exchange->sent += (uint64_t)n;
    if (exchange->request->sent)
        exchange->request->sent(exchange->request->sent_ctx, (size_t)n);
    return (size_t)n;
}

static int on_progress(void *ctx, curl_off_t down_total, curl_off_t down,
                       curl_off_t up_total, curl_off_t up)
{
    struct exchange *exchange = ctx;
    (void)down_total, (void)down, (void)up_total, (void)up;
    if (!exchange->stopped && exchange->request->tick)
        exchange->stopped = exchange->request->tick(exchange->request->tick_ctx);
    else if (kv_interrupt_state() == KV_INTERRUPT_USER)
        exchange->interrupted = true;
    return exchange->stopped || exchange->interrupted ? 1 : 0;
}

/* libcurl sends again when a kept connection turns out to be closed. */
static int on_rewind(void *ctx, curl_off_t offset, int origin)
{
    struct exchange *exchange = ctx;
    if (origin != SEEK_SET || offset < 0 ||
        (exchange->request->body->stream && (uint64_t)offset != exchange->sent))
        return CURL_SEEKFUNC_CANTSEEK;
    exchange->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* -- A request -- */

static void set_body(CURL *curl, struct exchange *exchange)
{
    const struct kv_http_request *request = exchange->request;
    if (request->body) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE,
                         request->body->stream ? -1 : (curl_off_t)request->body->size);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(curl, CURLOPT_READDATA, exchange);
        curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_rewind);
        curl_easy_setopt(curl, CURLOPT_SEEKDATA, exchange);
    } else if (strcmp(request->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static void set_common(struct kv_http *http)
{
    CURL *curl = http->curl;
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->reason);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "kv/" KV_VERSION);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    if (http->socket_path)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, http->socket_path);
    if (http->trust->cacert)
        curl_easy_setopt(curl, CURLOPT_CAINFO, http->trust->cacert);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_S);
}

static void free_headers(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

static int add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *more = curl_slist_append(*list, line);
    if (!more)
        return -ENOMEM;
    *list = more;
    return 0;
}

/* request's headers, who asks, and none of the content types that libcurl makes up. */
static int make_headers(const struct kv_http *http,
                        const struct kv_http_request *request, struct curl_slist **ret)
{
    int err = add_header(ret, "Content-Type:");
    for (size_t i = 0; i < 4 && request->headers[i] && !err; i++)
        err = add_header(ret, request->headers[i]);
    if (err || http->trust->token.len == 0)
        return err;
    KV_CLEANUP(kv_buf_done) struct kv_buf line = {0};
    kv_buf_addf(&line, "Authorization: Bearer %s", http->trust->token.data);
    kv_buf_addc(&line, '\0');
    return kv_buf_error(&line) ? -ENOMEM : add_header(ret, line.data);
}

static const char *transport_reason(struct kv_http *http, CURLcode code)
{
    long os_error = 0;
    if (code == CURLE_COULDNT_CONNECT &&
        curl_easy_getinfo(http->curl, CURLINFO_OS_ERRNO, &os_error) == CURLE_OK &&
        os_error != 0)
        return strerror((int)os_error);
    return *http->reason ? http->reason : curl_easy_strerror(code);
}

static int judge(struct kv_http *http, CURLcode code, struct exchange *exchange,
                 struct kv_fault *fault)
{
    if (exchange->stopped)
        return exchange->stopped;
    if (exchange->interrupted)
        return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "interrupted");
    if (exchange->read_error)
        return kv_fault_set(fault, KV_EXIT_LOCAL, NULL,
                            "cannot read what is to be sent: %s",
                            strerror((int)-exchange->read_error));
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &exchange->answer->status);
    /* A refusal may come while the body is still being sent, and the connection end. */
    if (code == CURLE_OK ||
        (exchange->answer->status >= 400 && code != CURLE_WRITE_ERROR))
        return 0;
    if (code == CURLE_OUT_OF_MEMORY || kv_buf_error(&exchange->answer->body))
        return kv_fault_no_memory(fault);
    if (code == CURLE_URL_MALFORMAT)
        return kv_fault_set(fault, KV_EXIT_USAGE, NULL,
                            "'%s' is no address of a server", http->url);
    kv_fault_set(fault, KV_EXIT_AWAY, NULL,
                 exchange->answer->status ? "the connection to %s broke off: %s"
                                          : "cannot reach kvfsd at %s: %s",
                 http->place, transport_reason(http, code));
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        kv_fault_hint(fault, "--cacert FILE names the certificates that are trusted");
    else if (exchange->answer->status == 0)
        kv_fault_hint(fault, "is kvfsd running? --url, --socket or --mount say where");
    return KV_EXIT_AWAY;
}

int kv_http_perform(struct kv_http *http, const struct kv_http_request *request,
                    struct kv_http_answer *answer, struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf url = {0};
    KV_CLEANUP(free_headers) struct curl_slist *headers = NULL;
    struct exchange exchange = {
        .curl = http->curl, .request = request, .answer = answer};
    *answer = (struct kv_http_answer){0};
    kv_buf_adds(&url, http->url);
    kv_buf_adds(&url, request->target);
    kv_buf_addc(&url, '\0');
    if (kv_buf_error(&url) || make_headers(http, request, &headers))
        return kv_fault_no_memory(fault);

    CURL *curl = http->curl;
    curl_easy_reset(curl);
    *http->reason = '\0';
    set_common(http);
    set_body(curl, &exchange);
    curl_easy_setopt(curl, CURLOPT_URL, url.data);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
    if (request->timeout_ms)
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &exchange);
    CURLcode code = curl_easy_perform(curl);
    return judge(http, code, &exchange, fault);
}
