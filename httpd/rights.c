/* Grants. There are few of them, so they are looked through. */
#include "httpd/rights.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "httpd/member.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Whether the grant is on the key or on a directory that it lies in. */
static bool covers(const struct kv_grant *grant, const void *key, size_t len)
{
    return kv_key_equal(grant->path, grant->len, key, len) ||
           kv_key_is_below(key, len, grant->path, grant->len);
}

bool kv_rights_allow(const struct kv_rights *rights, const void *key, size_t len,
                     unsigned wanted)
{
    unsigned granted = 0;
    for (size_t i = 0; i < rights->count; i++)
        if (covers(&rights->grants[i], key, len))
            granted |= rights->grants[i].rights;
    return rights->admin || (wanted & ~granted) == 0;
}

bool kv_rights_reach_dir(const struct kv_rights *rights, const void *dir, size_t len)
{
    if (kv_rights_allow(rights, dir, len, KV_READ))
        return true;
    for (size_t i = 0; i < rights->count; i++) {
        const struct kv_grant *grant = &rights->grants[i];
        if (grant->rights & KV_READ &&
            kv_key_is_below(grant->path, grant->len, dir, len))
            return true;
    }
    return false;
}

/* A grant meets a prefix when one begins with the other: "app" holds what "app/d"
 * begins, and "ap" begins all that "app" holds. */
static bool meets_prefix(const struct kv_grant *grant, const char *prefix, size_t len)
{
    if (len <= grant->len)
        return memcmp(grant->path, prefix, len) == 0;
    return grant->len == 0 ||
           (memcmp(prefix, grant->path, grant->len) == 0 && prefix[grant->len] == '/');
}

bool kv_rights_reach_prefix(const struct kv_rights *rights, const void *prefix,
                            size_t len)
{
    for (size_t i = 0; i < rights->count; i++)
        if (rights->grants[i].rights & KV_READ &&
            meets_prefix(&rights->grants[i], prefix, len))
            return true;
    return rights->admin;
}

int kv_rights_add(struct kv_rights *rights, const void *path, size_t len,
                  unsigned granted)
{
    const char *text = path;
    if (len > 0 && text[len - 1] == '/')
        len--;
    if (granted == 0 || granted & ~(unsigned)(KV_READ | KV_WRITE) ||
        (len > 0 && kv_key_check(text, len) != KV_KEY_VALID))
        return -EINVAL;
    if (rights->count == KV_GRANTS_MAX)
        return -E2BIG;
    char *copy = malloc(len + 1);
    if (!copy)
        return -ENOMEM;
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    rights->grants[rights->count++] =
        (struct kv_grant){.path = copy, .len = len, .rights = granted};
    return 0;
}

void kv_rights_done(struct kv_rights *rights)
{
    while (rights->count > 0)
        free(rights->grants[--rights->count].path);
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

void kv_rights_json(struct kv_buf *out, const struct kv_rights *rights)
{
    kv_buf_addf(out, "\"admin\":%s,\"rights\":[", truth(rights->admin));
    for (size_t i = 0; i < rights->count; i++) {
        const struct kv_grant *grant = &rights->grants[i];
        kv_buf_adds(out, i ? ",{" : "{");
        kv_json_bytes(out, "path", grant->path, grant->len);
        kv_buf_addf(out, ",\"read\":%s,\"write\":%s}", truth(grant->rights & KV_READ),
                    truth(grant->rights & KV_WRITE));
    }
    kv_buf_addc(out, ']');
}

static int read_grant(struct kv_span object, struct kv_rights *rights,
                      struct kv_buf *rule)
{
    enum { PATH, PATH_ENCODING, READ, WRITE, MEMBERS };
    static const char *const names[MEMBERS + 1] = {"path", "path_encoding", "read",
                                                   "write"};
    KV_CLEANUP(kv_buf_done) struct kv_buf path = {0};
    struct kv_span members[MEMBERS];
    bool reads = false, writes = false;
    int err = kv_members(object, names, members, rule);
    if (!err && !members[PATH].data) {
        kv_buf_adds(rule, "path is missing");
        err = -EINVAL;
    }
    if (!err)
        err =
            kv_member_bytes("path", members[PATH], members[PATH_ENCODING], &path, rule);
    if (!err && members[READ].data)
        err = kv_member_bool("read", members[READ], &reads, rule);
    if (!err && members[WRITE].data)
        err = kv_member_bool("write", members[WRITE], &writes, rule);
    if (err)
        return err;
    if (kv_buf_error(&path))
        return -ENOMEM;
    err = kv_rights_add(rights, path.data ? path.data : "", path.len,
                        (reads ? KV_READ : 0U) | (writes ? KV_WRITE : 0U));
    if (err == -E2BIG)
        kv_buf_addf(rule, "at most %d of them", KV_GRANTS_MAX);
    else if (err == -EINVAL)
        kv_buf_adds(rule, "path must be a key or directory (\"\" is everything), and "
                          "read or write true");
    return err == -E2BIG ? -EINVAL : err;
}

int kv_rights_read(struct kv_span array, struct kv_rights *rights, struct kv_buf *rule)
{
    struct kv_span grant;
    size_t offset = 0;
    if (!array.data || *array.data != '[') {
        kv_buf_adds(rule, "rights: must be an array");
        return -EINVAL;
    }
    for (size_t i = 0; kv_json_next(array, &offset, NULL, &grant); i++) {
        KV_CLEANUP(kv_buf_done) struct kv_buf reason = {0};
        int err = read_grant(grant, rights, &reason);
        if (err == -EINVAL)
            kv_buf_addf(rule, "rights[%zu]: %.*s", i, (int)reason.len,
                        reason.data ? reason.data : "");
        if (err)
            return err;
    }
    return 0;
}
