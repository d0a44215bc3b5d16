#include "history.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <string.h>

/* -- Pages -- */

struct texts {
    struct kv_buf type, key, from, time, origin, value;
};

static void texts_done(struct texts *texts)
{
    kv_buf_done(&texts->type);
    kv_buf_done(&texts->key);
    kv_buf_done(&texts->from);
    kv_buf_done(&texts->time);
    kv_buf_done(&texts->origin);
    kv_buf_done(&texts->value);
}

/* A member with a NUL behind it; missing when there is none. */
static const char *text(struct kv_span json, const char *name, struct kv_buf *out,
                        const char *missing)
{
    if (kv_json_member_bytes(json, name, out))
        return missing;
    kv_buf_addc(out, '\0');
    return kv_buf_error(out) ? missing : out->data;
}

static int give(struct kv_span json, kv_version_fn *each, void *ctx,
                struct kv_fault *fault)
{
    KV_CLEANUP(texts_done) struct texts texts = {0};
    struct kv_span member;
    struct kv_version version = {
        .type = text(json, "type", &texts.type, ""),
        .key = text(json, "key", &texts.key, ""),
        .from = text(json, "from", &texts.from, NULL),
        .time = text(json, "time", &texts.time, ""),
        .origin = text(json, "origin", &texts.origin, ""),
        .value = text(json, "value", &texts.value, NULL),
        .omitted = kv_json_member(json, "omitted", &member) == 0,
        .json = json,
    };
    /* Numbers that are missing stay 0, which is what they are then. */
    (void)kv_json_member_number(json, "revision", &version.revision);
    (void)kv_json_member_number(json, "version", &version.version);
    (void)kv_json_member_number(json, "size", &version.size);
    const struct kv_buf *bufs[] = {&texts.type, &texts.key,    &texts.from,
                                   &texts.time, &texts.origin, &texts.value};
    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
        if (kv_buf_error(bufs[i]))
            return kv_fault_no_memory(fault);
    return each(ctx, &version);
}

/* One page; before is where it begins, and then where the next one does: empty when
 * this was the last. */
static int read_page(struct kv_client *client, const char *key, struct kv_buf *before,
                     bool values, kv_version_fn *each, void *ctx, uint64_t *ret_oldest,
                     struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf target = {0};
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    struct kv_span json, versions, version, more;
    kv_buf_adds(&target, "/v1/history?key=");
    kv_http_encode(&target, key);
    if (!values)
        kv_buf_adds(&target, "&values=0");
    if (before->len)
        kv_buf_addf(&target, "&before=%s", before->data);
    kv_buf_addc(&target, '\0');
    if (kv_buf_error(&target))
        return kv_fault_no_memory(fault);
    int status = kv_client_ask(client, target.data, &answer, &json, fault);
    if (status)
        return status;
    kv_buf_reset(before);
    (void)kv_json_member_number(json, "oldest_revision", ret_oldest);
    if (kv_json_member(json, "versions", &versions))
        return kv_fault_set(fault, KV_EXIT_AWAY, NULL,
                            "the answer of %s cannot be understood",
                            kv_http_place(client->http));
    for (size_t offset = 0; kv_json_next(versions, &offset, NULL, &version);) {
        status = give(version, each, ctx, fault);
        if (status)
            return status;
    }
    if (kv_json_member(json, "more", &more) || !kv_json_is(more, "true") ||
        kv_json_member_bytes(json, "next", before))
        return 0;
    kv_buf_addc(before, '\0');
    return kv_buf_error(before) ? kv_fault_no_memory(fault) : 0;
}

int kv_history_each(struct kv_client *client, const char *key, uint64_t before,
                    bool values, kv_version_fn *each, void *ctx, uint64_t *ret_oldest,
                    struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf position = {0};
    *ret_oldest = 0;
    if (before) {
        kv_buf_addf(&position, "%" PRIu64, before);
        kv_buf_addc(&position, '\0');
    }
    int status = kv_buf_error(&position) ? kv_fault_no_memory(fault) : 0;
    do {
        if (!status)
            status =
                read_page(client, key, &position, values, each, ctx, ret_oldest, fault);
    } while (!status && position.len > 0);
    return status;
}

/* -- The value at a revision -- */

struct finding {
    const char *key;
    uint64_t revision;
    struct kv_buf *value;
    struct kv_buf from; /* where a rename came from, which is looked for next */
    uint64_t mod_revision;
    struct kv_fault *fault;
};

static void finding_done(struct finding *f)
{
    kv_buf_done(&f->from);
}

static int absent(struct finding *f)
{
    return kv_fault_set(f->fault, KV_EXIT_NOT_FOUND, f->key,
                        "there was no such key at revision %" PRIu64, f->revision);
}

static int on_version(void *ctx, const struct kv_version *version)
{
    struct finding *f = ctx;
    bool arrived = version->from && strcmp(version->key, f->key) == 0;
    if (strcmp(version->type, "meta") == 0)
        return 0; /* the value is that of an older one */
    if (arrived) {
        f->revision = version->revision - 1;
        kv_buf_adds(&f->from, version->from);
        kv_buf_addc(&f->from, '\0');
        return kv_buf_error(&f->from) ? kv_fault_no_memory(f->fault) : KV_STOP;
    }
    if (strcmp(version->type, "put") != 0)
        return absent(f);
    if (!version->value)
        return kv_fault_set(f->fault, KV_EXIT_REFUSED, f->key,
                            "its value of %" PRIu64 " bytes at revision %" PRIu64
                            " is too large for the history",
                            version->size, version->revision);
    kv_buf_add(f->value, version->value, (size_t)version->size);
    return kv_buf_error(f->value) ? kv_fault_no_memory(f->fault) : KV_STOP;
}

static int get_begin(void *ctx, const struct kv_entry *entry)
{
    struct finding *f = ctx;
    f->mod_revision = entry->mod_revision;
    return f->mod_revision <= f->revision ? 0 : KV_STOP; /* the value is a later one */
}

static int get_data(void *ctx, const void *data, size_t len)
{
    struct finding *f = ctx;
    kv_buf_add(f->value, data, len);
    return kv_buf_error(f->value) ? kv_fault_no_memory(f->fault) : 0;
}

/* What has not changed since is the value of today, however long ago it was written.
 * KV_STOP: it has changed. */
static int get_current(struct kv_client *client, struct finding *f)
{
    struct kv_receiver receiver = {get_begin, get_data, f};
    struct kv_access *access = &client->access;
    int status = access->ops->get(access, f->key, &receiver, f->fault);
    if (status == KV_EXIT_NOT_FOUND) {
        kv_fault_done(f->fault);
        return KV_STOP;
    }
    return status;
}

/* One step: found, or f->from is where to look next. */
static int look(struct kv_client *client, struct finding *f)
{
    uint64_t oldest;
    int status = kv_history_each(client, f->key, f->revision + 1, true, on_version, f,
                                 &oldest, f->fault);
    if (status)
        return status == KV_STOP ? 0 : status;
    if (oldest <= 1)
        return absent(f);
    return kv_fault_set(f->fault, KV_EXIT_NOT_FOUND, f->key,
                        "what it was at revision %" PRIu64
                        " is not known any more: the history begins at %" PRIu64,
                        f->revision, oldest);
}

/* What will be cannot be known. */
static int refuse_future(struct kv_client *client, const char *key, uint64_t revision,
                         struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf target = {0};
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    struct kv_span json;
    uint64_t newest = 0;
    if (revision == KV_HISTORY_NOW)
        return 0;
    kv_buf_adds(&target, "/v1/history?limit=1&values=0&key=");
    kv_http_encode(&target, key);
    kv_buf_addc(&target, '\0');
    if (kv_buf_error(&target))
        return kv_fault_no_memory(fault);
    int status = kv_client_ask(client, target.data, &answer, &json, fault);
    if (status)
        return status;
    (void)kv_json_member_number(json, "revision", &newest); /* or none is future */
    if (!newest || revision <= newest)
        return 0;
    return kv_fault_set(fault, KV_EXIT_REFUSED, NULL,
                        "revision %" PRIu64
                        " lies in the future; the newest is %" PRIu64,
                        revision, newest);
}

int kv_history_value(struct kv_client *client, const char *key, uint64_t revision,
                     struct kv_buf *ret, struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf name = {0};
    struct finding f = {.key = key, .revision = revision, .value = ret, .fault = fault};
    int status = refuse_future(client, key, revision, fault);
    if (!status)
        status = get_current(client, &f);
    if (status != KV_STOP)
        return status;
    for (;;) {
        KV_CLEANUP(finding_done)
        struct finding step = {
            .key = f.key, .revision = f.revision, .value = ret, .fault = fault};
        status = look(client, &step);
        if (status || step.from.len == 0)
            return status;
        kv_buf_reset(&name);
        kv_buf_adds(&name, step.from.data);
        kv_buf_addc(&name, '\0');
        if (kv_buf_error(&name))
            return kv_fault_no_memory(fault);
        f.key = name.data;
        f.revision = step.revision;
    }
}
