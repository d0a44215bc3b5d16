/* The operations of access.h over kvfsd's HTTP API. */
#include "client.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PAGE 1000 /* entries of a listing asked for at once */

/* -- Errors -- */

static const struct {
    const char *code;
    enum kv_exit exit;
    const char *hint;
} errors[] = {
    {"not_found", KV_EXIT_NOT_FOUND, NULL},
    {"invalid_key", KV_EXIT_USAGE, NULL},
    {"compacted", KV_EXIT_REFUSED, "begin without --since, and list the keys first"},
    {"is_a_directory", KV_EXIT_REFUSED, "'kv ls' shows what is in it"},
    {"not_empty", KV_EXIT_REFUSED, "'kv rm -r' removes all that is in it"},
    {"token_needed", KV_EXIT_REFUSED, "KV_TOKEN or --token @FILE shows one"},
    {"local_only", KV_EXIT_REFUSED, "give --socket PATH, or set KV_SOCKET"},
    {"in_use", KV_EXIT_REFUSED, "'kv umount --lazy' does not mind"},
    {"precondition_failed", KV_EXIT_NOT_FOUND,
     "it exists already, or 'kv get -o json' shows another mod_revision"},
};

int kv_client_judge(struct kv_client *client, const struct kv_http_answer *answer,
                    const char *key, struct kv_fault *fault)
{
    if (answer->status / 100 == 2)
        return 0;
    KV_CLEANUP(kv_buf_done) struct kv_buf code = {0}, message = {0}, about = {0};
    struct kv_span json, error;
    if (kv_json_read(answer->body.data, answer->body.len, &json) ||
        kv_json_member(json, "error", &error) ||
        kv_json_member_bytes(error, "code", &code) ||
        kv_json_member_bytes(error, "message", &message))
        return kv_fault_set(fault, KV_EXIT_AWAY, NULL,
                            "it is not kvfsd that answers at %s (HTTP status %ld)",
                            kv_http_place(client->http), answer->status);
    /* Of two keys the answer tells which one it is about. */
    if (kv_json_member_bytes(error, "key", &about) && key)
        kv_buf_adds(&about, key);
    kv_buf_addc(&about, '\0');
    kv_buf_addc(&code, '\0');
    kv_buf_addc(&message, '\0');
    if (kv_buf_error(&code) || kv_buf_error(&message) || kv_buf_error(&about))
        return kv_fault_no_memory(fault);
    kv_fault_set(fault, KV_EXIT_REFUSED, *about.data ? about.data : NULL, "%s",
                 message.data);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (strcmp(errors[i].code, code.data) == 0) {
            fault->exit = errors[i].exit;
            fault->conflict = strcmp(code.data, "precondition_failed") == 0;
            if (errors[i].hint)
                kv_fault_hint(fault, "%s", errors[i].hint);
        }
    return (int)fault->exit;
}

static int bad_answer(struct kv_client *client, struct kv_fault *fault)
{
    return kv_fault_set(fault, KV_EXIT_AWAY, NULL,
                        "the answer of %s cannot be understood",
                        kv_http_place(client->http));
}

/* Perform a request that is answered by JSON. */
static int ask(struct kv_client *client, struct kv_http_request *request,
               struct kv_http_answer *answer, struct kv_span *json,
               struct kv_fault *fault)
{
    int status = kv_http_perform(client->http, request, answer, fault);
    if (!status)
        status = kv_client_judge(client, answer, NULL, fault);
    if (!status && kv_json_read(answer->body.data, answer->body.len, json))
        return bad_answer(client, fault);
    return status;
}

int kv_client_ask(struct kv_client *client, const char *target,
                  struct kv_http_answer *answer, struct kv_span *json,
                  struct kv_fault *fault)
{
    struct kv_http_request request = {.method = "GET", .target = target};
    return ask(client, &request, answer, json, fault);
}

/* -- Reading one key -- */

struct getting {
    const char *key;
    const struct kv_receiver *receiver;
};

static int get_begin(void *ctx, const struct kv_http_answer *answer)
{
    struct getting *getting = ctx;
    struct kv_entry entry = {
        .key = getting->key,
        .size = answer->length,
        .version = answer->version,
        .mod_revision = answer->mod_revision,
        .mtime_ns = (int64_t)answer->modified * KV_NS_PER_S,
        .expires_ns = answer->expires_ns,
    };
    return getting->receiver->begin(getting->receiver->ctx, &entry);
}

static int get_data(void *ctx, const void *data, size_t len)
{
    struct getting *getting = ctx;
    return getting->receiver->data(getting->receiver->ctx, data, len);
}

static void add_key_target(struct kv_buf *target, const char *key)
{
    kv_buf_adds(target, "/v1/keys/");
    kv_http_encode(target, key);
}

static int client_get(struct kv_access *access, const char *key,
                      const struct kv_receiver *receiver, struct kv_fault *fault)
{
    struct kv_client *client = kv_client_of(access);
    struct getting getting = {key, receiver};
    struct kv_http_sink sink = {receiver->begin ? get_begin : NULL, get_data, &getting};
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    KV_CLEANUP(kv_buf_done) struct kv_buf target = {0};
    add_key_target(&target, key);
    kv_buf_addc(&target, '\0');
    if (kv_buf_error(&target))
        return kv_fault_no_memory(fault);
    struct kv_http_request request = {
        .method = "GET", .target = target.data, .sink = &sink};
    int status = kv_http_perform(client->http, &request, &answer, fault);
    return status ? status : kv_client_judge(client, &answer, key, fault);
}

/* -- Writing -- */

static void read_written(const struct kv_http_answer *answer, struct kv_written *ret)
{
    *ret = (struct kv_written){.known = answer->revision != 0,
                               .created = answer->status == 201,
                               .revision = answer->revision,
                               .version = answer->version};
}

/* Send a request about key; target is finished here. The answer is the caller's. */
static int ask_write(struct kv_client *client, struct kv_http_request *request,
                     struct kv_buf *target, const char *key,
                     struct kv_http_answer *answer, struct kv_written *ret,
                     struct kv_fault *fault)
{
    kv_buf_addc(target, '\0');
    if (kv_buf_error(target))
        return kv_fault_no_memory(fault);
    request->target = target->data;
    int status = kv_http_perform(client->http, request, answer, fault);
    if (!status)
        status = kv_client_judge(client, answer, key, fault);
    if (!status)
        read_written(answer, ret);
    return status;
}

static int write_key(struct kv_client *client, struct kv_http_request *request,
                     struct kv_buf *target, const char *key, struct kv_written *ret,
                     struct kv_fault *fault)
{
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    return ask_write(client, request, target, key, &answer, ret, fault);
}

static int client_put(struct kv_access *access, const char *key,
                      const struct kv_source *source,
                      const struct kv_put_options *options, struct kv_written *ret,
                      struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf target = {0};
    struct kv_http_request request = {.method = "PUT", .body = source};
    char condition[48];
    add_key_target(&target, key);
    if (options->ttl_ms)
        kv_buf_addf(&target, "?ttl=%" PRIu64 "ms", options->ttl_ms);
    if (options->if_absent) {
        request.headers[0] = "If-None-Match: *";
    } else if (options->check_revision) {
        (void)snprintf(condition, sizeof(condition), "If-Match: \"%" PRIu64 "\"",
                       options->if_revision);
        request.headers[0] = condition;
    }
    return write_key(kv_client_of(access), &request, &target, key, ret, fault);
}

static int client_append(struct kv_access *access, const char *key,
                         const struct kv_source *source, struct kv_written *ret,
                         struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf target = {0};
    struct kv_http_request request = {.method = "POST", .body = source};
    add_key_target(&target, key);
    kv_buf_adds(&target, "?op=append");
    return write_key(kv_client_of(access), &request, &target, key, ret, fault);
}

int kv_client_incr(struct kv_client *client, const char *key, int64_t by,
                   struct kv_buf *ret_value, struct kv_written *ret,
                   struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf target = {0};
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    struct kv_http_request request = {.method = "POST"};
    struct kv_span json;
    add_key_target(&target, key);
    kv_buf_addf(&target, "?op=incr&by=%" PRId64, by);
    int status = ask_write(client, &request, &target, key, &answer, ret, fault);
    if (!status && (kv_json_read(answer.body.data, answer.body.len, &json) ||
                    kv_json_member_bytes(json, "value", ret_value)))
        return bad_answer(client, fault);
    return status;
}

int kv_client_txn(struct kv_client *client, const struct kv_buf *txn,
                  unsigned timeout_ms, struct kv_http_answer *answer,
                  struct kv_span *json, struct kv_fault *fault)
{
    struct kv_source source;
    struct kv_http_request request = {.method = "POST",
                                      .target = "/v1/txn",
                                      .body = &source,
                                      .timeout_ms = timeout_ms};
    if (kv_buf_error(txn))
        return kv_fault_no_memory(fault);
    kv_source_bytes(&source, txn->data, txn->len);
    return ask(client, &request, answer, json, fault);
}

static int client_remove(struct kv_access *access, const char *key, bool recursive,
                         struct kv_written *ret, struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf target = {0};
    struct kv_http_request request = {.method = "DELETE"};
    add_key_target(&target, key);
    if (recursive)
        kv_buf_adds(&target, "?recursive=1");
    int status = write_key(kv_client_of(access), &request, &target, key, ret, fault);
    if (status == KV_EXIT_REFUSED && !recursive && fault->hint.len)
        kv_fault_hint(fault, "'kv rm -r' removes a directory and all that is in it");
    return status;
}

static int client_rename(struct kv_access *access, const char *from, const char *to,
                         struct kv_written *ret, struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf target = {0};
    struct kv_http_request request = {.method = "POST"};
    add_key_target(&target, from);
    kv_buf_adds(&target, "?op=rename&to=");
    kv_http_encode(&target, to);
    return write_key(kv_client_of(access), &request, &target, from, ret, fault);
}

/* -- Listing -- */

/* 0 when there is none. */
static int64_t read_time(struct kv_span element, const char *name)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf time = {0};
    if (kv_json_member_bytes(element, name, &time))
        return 0;
    kv_buf_addc(&time, '\0');
    return kv_buf_error(&time) ? 0 : kv_http_time_ns(time.data);
}

/* One element of "keys" or "directories"; the key goes to key and the value, when there
 * is one, to value, NUL-terminated. 0, -EINVAL or -ENOMEM. */
static int read_entry(struct kv_span element, bool directory, struct kv_buf *key,
                      struct kv_buf *value, struct kv_entry *ret)
{
    *ret = (struct kv_entry){.directory = directory};
    int err = *element.data == '{' ? kv_json_member_bytes(element, "key", key)
                                   : kv_json_text(element, key);
    if (err)
        return -EINVAL;
    if (key->len > 0 && key->data[key->len - 1] == '/')
        key->len--;
    kv_buf_addc(key, '\0');
    /* A member that is missing stays 0, which is what not known looks like. */
    (void)kv_json_member_number(element, "size", &ret->size);
    (void)kv_json_member_number(element, "version", &ret->version);
    (void)kv_json_member_number(element, "create_revision", &ret->create_revision);
    (void)kv_json_member_number(element, "mod_revision", &ret->mod_revision);
    ret->mtime_ns = read_time(element, "mtime");
    ret->expires_ns = read_time(element, "expires");
    if (kv_json_member_bytes(element, "value", value) == 0) {
        kv_buf_addc(value, '\0'); /* so that an empty one is not NULL */
        ret->value = value->data;
    }
    ret->key = key->data;
    return kv_buf_error(key) || kv_buf_error(value) ? -ENOMEM : 0;
}

/* One of the two arrays of a page, and where it stands. */
struct column {
    struct kv_span array;
    size_t offset;
    bool directories;
    bool filled;
    struct kv_buf key, value;
    struct kv_entry entry;
};

static void column_done(struct column *column)
{
    kv_buf_done(&column->key);
    kv_buf_done(&column->value);
}

static int fill(struct column *column)
{
    struct kv_span element;
    if (column->filled || !kv_json_next(column->array, &column->offset, NULL, &element))
        return 0;
    kv_buf_reset(&column->key);
    kv_buf_reset(&column->value);
    int err = read_entry(element, column->directories, &column->key, &column->value,
                         &column->entry);
    column->filled = err == 0;
    return err;
}

/* Keys and directories come sorted in two arrays; give them out as one. */
static int give_page(struct kv_client *client, struct kv_span json, kv_entry_fn *each,
                     void *ctx, struct kv_fault *fault)
{
    KV_CLEANUP(column_done)
    struct column keys = {0}, directories = {.directories = true};
    if (kv_json_member(json, "keys", &keys.array))
        return bad_answer(client, fault);
    if (kv_json_member(json, "directories", &directories.array))
        directories.array = (struct kv_span){NULL, 0};
    for (;;) {
        int err = fill(&keys);
        if (!err)
            err = fill(&directories);
        if (err)
            return err == -ENOMEM ? kv_fault_no_memory(fault)
                                  : bad_answer(client, fault);
        if (!keys.filled && !directories.filled)
            return 0;
        bool key_first =
            keys.filled &&
            (!directories.filled || strcmp(keys.entry.key, directories.entry.key) < 0);
        struct column *first = key_first ? &keys : &directories;
        int status = each(ctx, &first->entry);
        if (status)
            return status;
        first->filled = false;
    }
}

static void list_target(struct kv_buf *target, const struct kv_listing *listing,
                        const struct kv_buf *after)
{
    kv_buf_addf(target, "/v1/keys?limit=%d", PAGE);
    if (*listing->dir) {
        kv_buf_adds(target, "&dir=");
        kv_http_encode(target, listing->dir);
    }
    if (*listing->prefix) {
        kv_buf_adds(target, "&prefix=");
        kv_http_encode(target, listing->prefix);
    }
    if (!listing->recursive)
        kv_buf_adds(target, "&delimiter=/");
    if (listing->values)
        kv_buf_adds(target, "&values=1");
    if (after->len) {
        kv_buf_adds(target, "&after=");
        kv_http_encode(target, after->data);
    }
    kv_buf_addc(target, '\0');
}

/* One page; after (NUL-terminated, or empty) is where it begins and then where the next
 * one begins, empty when this was the last. */
static int list_page(struct kv_client *client, const struct kv_listing *listing,
                     struct kv_buf *after, kv_entry_fn *each, void *ctx,
                     struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf target = {0};
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    struct kv_span json, more;
    list_target(&target, listing, after);
    if (kv_buf_error(&target))
        return kv_fault_no_memory(fault);
    int status = kv_client_ask(client, target.data, &answer, &json, fault);
    if (status)
        return status;
    status = give_page(client, json, each, ctx, fault);
    kv_buf_reset(after);
    if (status || kv_json_member(json, "more", &more) || !kv_json_is(more, "true"))
        return status;
    if (kv_json_member_bytes(json, "next", after) || after->len == 0)
        return bad_answer(client, fault);
    kv_buf_addc(after, '\0');
    return kv_buf_error(after) ? kv_fault_no_memory(fault) : 0;
}

static int client_list(struct kv_access *access, const struct kv_listing *listing,
                       kv_entry_fn *each, void *ctx, struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf after = {0};
    int status;
    do
        status = list_page(kv_client_of(access), listing, &after, each, ctx, fault);
    while (!status && after.len > 0);
    return status;
}

/* -- Status -- */

/* Members of nested objects are written "outer.inner". */
static void flatten(struct kv_buf *out, const char *path, struct kv_span object)
{
    struct kv_span name, value;
    for (size_t offset = 0; kv_json_next(object, &offset, &name, &value);) {
        KV_CLEANUP(kv_buf_done) struct kv_buf whole = {0};
        kv_buf_adds(&whole, path);
        if (*path)
            kv_buf_addc(&whole, '.');
        (void)kv_json_text(name, &whole); /* a name is a string */
        if (*value.data == '{') {
            kv_buf_addc(&whole, '\0');
            if (!kv_buf_error(&whole))
                flatten(out, whole.data, value);
            continue;
        }
        kv_buf_addf(out, "%-28.*s ", (int)whole.len, whole.data);
        if (kv_json_text(value, out))
            kv_buf_add(out, value.data, value.len);
        kv_buf_addc(out, '\n');
    }
}

static int client_status(struct kv_access *access, bool json, struct kv_buf *out,
                         struct kv_fault *fault)
{
    struct kv_client *client = kv_client_of(access);
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    struct kv_span answered;
    int status = kv_client_ask(client, "/v1/status", &answer, &answered, fault);
    if (status)
        return status;
    if (json) {
        kv_buf_add(out, answered.data, answered.len);
        kv_buf_addc(out, '\n');
    } else {
        flatten(out, "", answered);
    }
    return kv_buf_error(out) ? kv_fault_no_memory(fault) : 0;
}

/* -- The whole -- */

static void client_free(struct kv_access *access)
{
    struct kv_client *client = kv_client_of(access);
    kv_http_free(client->http);
    free(client);
}

static const struct kv_access_ops client_ops = {
    .get = client_get,
    .put = client_put,
    .append = client_append,
    .remove = client_remove,
    .rename = client_rename,
    .list = client_list,
    .watch = kv_client_watch,
    .status = client_status,
    .mounts = kv_client_mounts,
    .mount = kv_client_mount,
    .unmount = kv_client_unmount,
    .free = client_free,
};

int kv_client_open(const char *url, const char *socket_path,
                   const struct kv_trust *trust, struct kv_access **ret,
                   struct kv_fault *fault)
{
    struct kv_client *client = calloc(1, sizeof(*client));
    if (!client)
        return kv_fault_no_memory(fault);
    client->access.ops = &client_ops;
    int status = kv_http_new(url, socket_path, trust, &client->http, fault);
    if (status) {
        free(client);
        return status;
    }
    *ret = &client->access;
    return 0;
}
