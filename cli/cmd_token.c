/* kv token: make, list and revoke tokens, by /v1/tokens. */
#include "client.h"
#include "command.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <inttypes.h>
#include <string.h>

static struct kv_client *client_of(struct kv_cli *cli)
{
    return kv_client_of(cli->access);
}

/* Perform it; the answer is the caller's to end. */
static int perform(struct kv_cli *cli, const struct kv_http_request *request,
                   struct kv_http_answer *answer, struct kv_span *ret_json)
{
    struct kv_client *client = client_of(cli);
    int status = kv_http_perform(client->http, request, answer, &cli->fault);
    if (!status)
        status = kv_client_judge(client, answer, NULL, &cli->fault);
    if (!status && ret_json &&
        kv_json_read(answer->body.data, answer->body.len, ret_json))
        return kv_fault_set(&cli->fault, KV_EXIT_AWAY, NULL,
                            "the answer of kvfsd cannot be understood");
    return status;
}

/* -- Making -- */

/* "rw:app" as {"path":"app","read":true,"write":true}. */
static int add_right(struct kv_cli *cli, struct kv_buf *out, const char *text)
{
    size_t len = strcspn(text, ":");
    bool reads = memchr(text, 'r', len), writes = memchr(text, 'w', len);
    const char *path = text + len;
    KV_CLEANUP(kv_buf_done) struct kv_buf dir = {0};
    if (*path != ':' || !path[1] || len == 0 || len > 2 || strspn(text, "rw") != len ||
        len != (size_t)reads + writes) {
        kv_fault_set(
            &cli->fault, KV_EXIT_USAGE, NULL,
            "'%s' is no right: r:DIR, w:DIR, rw:DIR (/ is everything) or admin", text);
        return KV_EXIT_USAGE;
    }
    int status = kv_cli_check_dir(cli, path + 1, &dir);
    if (status)
        return status;
    kv_buf_addc(out, '{');
    kv_json_bytes(out, "path", dir.data, strlen(dir.data));
    kv_buf_addf(out, ",\"read\":%s,\"write\":%s}", reads ? "true" : "false",
                writes ? "true" : "false");
    return 0;
}

static int write_wish(struct kv_cli *cli, struct kv_buf *out)
{
    const char *ttl = cli->args.values[KV_OPT_TTL];
    bool admin = false, first = true;
    uint64_t ttl_ms = 0;
    int status = kv_cli_duration(cli, KV_OPT_TTL, "--ttl", &ttl_ms);
    kv_buf_adds(out, "{\"name\":");
    kv_json_string(out, cli->args.operands[1], strlen(cli->args.operands[1]));
    kv_buf_adds(out, ",\"rights\":[");
    for (int i = 2; i < cli->args.count && !status; i++) {
        if (strcmp(cli->args.operands[i], "admin") == 0) {
            admin = true;
            continue;
        }
        kv_buf_adds(out, first ? "" : ",");
        first = false;
        status = add_right(cli, out, cli->args.operands[i]);
    }
    kv_buf_addf(out, "],\"admin\":%s", admin ? "true" : "false");
    if (ttl)
        kv_buf_addf(out, ",\"ttl\":\"%" PRIu64 "ms\"", ttl_ms);
    kv_buf_addc(out, '}');
    return status ? status : kv_buf_error(out) ? kv_fault_no_memory(&cli->fault) : 0;
}

/* The token alone, so that it can be taken by a script. */
static int print_made(struct kv_cli *cli, struct kv_span json)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
    if (cli->json) {
        kv_buf_add(&text, json.data, json.len);
        return kv_cli_print_json(cli, &text);
    }
    if (kv_json_member_bytes(json, "token", &text) || kv_buf_error(&text))
        return kv_fault_set(&cli->fault, KV_EXIT_AWAY, NULL,
                            "the answer of kvfsd cannot be understood");
    (void)fwrite(text.data, 1, text.len, stdout);
    (void)fputc('\n', stdout);
    explicit_bzero(text.data, text.len);
    return kv_cli_flush(cli);
}

static int create(struct kv_cli *cli)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf body = {0};
    KV_CLEANUP(kv_source_done) struct kv_source source;
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    struct kv_span json;
    kv_source_bytes(&source, "", 0);
    int status = write_wish(cli, &body);
    if (status)
        return status;
    kv_source_bytes(&source, body.data, body.len);
    struct kv_http_request request = {
        .method = "POST", .target = "/v1/tokens", .body = &source};
    status = perform(cli, &request, &answer, &json);
    return status ? status : print_made(cli, json);
}

/* -- Listing -- */

static bool is_true(struct kv_span object, const char *name)
{
    struct kv_span value;
    return !kv_json_member(object, name, &value) && kv_json_is(value, "true");
}

/* A member that kvfsd always writes, as text. */
static void add_text(struct kv_buf *out, struct kv_span object, const char *name)
{
    if (kv_json_member_bytes(object, name, out))
        kv_buf_adds(out, "?");
}

/* "d62fd280 2026-11-21T19:15:41Z never                ci rw:app r:shared" */
static int print_token(struct kv_cli *cli, struct kv_span token)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf line = {0}, expires = {0}, created = {0};
    struct kv_span rights, right, value;
    add_text(&line, token, "id");
    add_text(&created, token, "created");
    if (kv_json_member(token, "expires", &value))
        kv_buf_adds(&expires, "never");
    else
        add_text(&expires, token, "expires");
    kv_buf_addf(&line, " %.*sZ %-19.*s%s ", created.len < 19 ? (int)created.len : 19,
                created.data, expires.len < 19 ? (int)expires.len : 19, expires.data,
                expires.len < 19 ? " " : "Z");
    add_text(&line, token, "name");
    if (is_true(token, "admin"))
        kv_buf_adds(&line, " admin");
    if (kv_json_member(token, "rights", &rights))
        rights = (struct kv_span){0};
    for (size_t at = 0; kv_json_next(rights, &at, NULL, &right);) {
        kv_buf_addf(&line, " %s%s:", is_true(right, "read") ? "r" : "",
                    is_true(right, "write") ? "w" : "");
        size_t before = line.len;
        add_text(&line, right, "path");
        if (line.len == before)
            kv_buf_addc(&line, '/');
    }
    if (kv_buf_error(&line) || kv_buf_error(&created) || kv_buf_error(&expires))
        return kv_fault_no_memory(&cli->fault);
    kv_cli_print_bytes(stdout, line.data, line.len);
    (void)fputc('\n', stdout);
    return 0;
}

static int list(struct kv_cli *cli)
{
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    struct kv_http_request request = {.method = "GET", .target = "/v1/tokens"};
    struct kv_span json, tokens, token;
    int status = perform(cli, &request, &answer, &json);
    if (!status && kv_json_member(json, "tokens", &tokens))
        return kv_fault_set(&cli->fault, KV_EXIT_AWAY, NULL,
                            "the answer of kvfsd cannot be understood");
    for (size_t at = 0; !status && kv_json_next(tokens, &at, NULL, &token);) {
        KV_CLEANUP(kv_buf_done) struct kv_buf line = {0};
        kv_buf_add(&line, token.data, token.len);
        status = cli->json ? kv_cli_print_json(cli, &line) : print_token(cli, token);
    }
    return status ? status : kv_cli_flush(cli);
}

/* -- Revoking -- */

static int revoke_all(struct kv_cli *cli)
{
    int status = 0;
    for (int i = 1; i < cli->args.count && !status; i++) {
        KV_CLEANUP(kv_buf_done) struct kv_buf target = {0};
        KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
        kv_buf_adds(&target, "/v1/tokens/");
        kv_http_encode(&target, cli->args.operands[i]);
        kv_buf_addc(&target, '\0');
        if (kv_buf_error(&target))
            return kv_fault_no_memory(&cli->fault);
        struct kv_http_request request = {.method = "DELETE", .target = target.data};
        status = perform(cli, &request, &answer, NULL);
        if (status)
            kv_fault_prefix(&cli->fault, "'%s': ", cli->args.operands[i]);
    }
    return status;
}

static int run_token(struct kv_cli *cli)
{
    static const struct {
        const char *name;
        int least, most;
        int (*run)(struct kv_cli *cli);
    } words[] = {
        {"create", 3, 40, create}, {"ls", 1, 1, list}, {"revoke", 2, 1000, revoke_all}};
    const char *word = cli->args.operands[0];
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(word, words[i].name) == 0 && cli->args.count >= words[i].least &&
            cli->args.count <= words[i].most)
            return words[i].run(cli);
    kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                 "'kv token' does not understand that");
    kv_fault_hint(
        &cli->fault,
        "kv token create NAME RIGHT..., kv token ls, kv token revoke NAME...");
    return KV_EXIT_USAGE;
}

const struct kv_command kv_cmd_token = {
    .name = "token",
    .operands = "create NAME RIGHT... | ls | revoke NAME...",
    .summary = "make, list and revoke tokens for the HTTP API",
    .description =
        "create prints a new token, which is shown this once. A RIGHT is r:DIR, w:DIR "
        "or "
        "rw:DIR: to read or write a directory and all below it, or a key; / is "
        "everything; or \"admin\": everything, tokens too. The first token that is "
        "made "
        "switches tokens on: from then on all who connect over TCP need one. revoke "
        "takes names and ids. For root and whom kvfsd runs as, over the Unix socket, "
        "and "
        "for who has a token with admin.",
    .options = KV_OPT_BIT(KV_OPT_TTL),
    .http_only = true,
    .least = 1,
    .most = -1,
    .run = run_token,
};
