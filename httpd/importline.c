/* Lines of an import. What an export tells for information alone (sizes, revisions) is
 * read over; the store gives these anew. */
#include "httpd/importline.h"

#include "httpd/describe.h"
#include "httpd/field.h"
#include "httpd/member.h"
#include "store/key.h"
#include "store/xattr.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum {
    KEY,
    KEY_ENCODING,
    VALUE,
    ENCODING,
    TYPE,
    MODE,
    UID,
    GID,
    MTIME,
    EXPIRES,
    TTL,
    CONTENT_TYPE,
    ATTRIBUTES,
    OMITTED,
    INFORMATION,
    MEMBERS = INFORMATION + 6
};

static const char *const names[MEMBERS + 1] = {
    "key",
    "key_encoding",
    "value",
    "encoding",
    "type",
    "mode",
    "uid",
    "gid",
    "mtime",
    "expires",
    "ttl",
    "content_type",
    "attributes",
    "omitted",
    "size",
    "version",
    "create_revision",
    "mod_revision",
    "id",
    "ctime",
    NULL,
};

struct line {
    struct kv_span members[MEMBERS];
    struct kv_buf key, attributes;
    uint32_t type; /* S_IF... */
    struct kv_buf *rule;
};

static int wrong(struct line *line, const char *text)
{
    kv_buf_adds(line->rule, text);
    return -EINVAL;
}

static int read_key(struct line *line)
{
    if (!line->members[KEY].data)
        return wrong(line, "'key' is missing");
    int err = kv_member_bytes("key", line->members[KEY], line->members[KEY_ENCODING],
                              &line->key, line->rule);
    if (!err)
        err = kv_buf_error(&line->key);
    if (err)
        return err;
    enum kv_key_rule broken = kv_key_check(line->key.data, line->key.len);
    return broken == KV_KEY_VALID ? 0 : wrong(line, kv_key_rule_text(broken));
}

static int read_type(struct line *line)
{
    struct kv_span type = line->members[TYPE];
    line->type = S_IFREG;
    if (kv_json_is(type, "\"directory\""))
        line->type = S_IFDIR;
    else if (kv_json_is(type, "\"symlink\""))
        line->type = S_IFLNK;
    else if (type.data && !kv_json_is(type, "\"file\""))
        return wrong(line, "'type' must be \"file\", \"directory\" or \"symlink\"");
    if (line->type == S_IFDIR && line->members[VALUE].data)
        return wrong(line, "a directory has no 'value'");
    if (line->type != S_IFDIR && !line->members[VALUE].data)
        return wrong(line, "'value' is missing");
    return 0;
}

/* "0644": octal digits in a string. */
static int read_mode(struct line *line, struct kv_op *op)
{
    struct kv_span text = line->members[MODE];
    uint32_t mode = 0;
    bool good = text.len >= 5 && text.len <= 7 && *text.data == '"';
    for (size_t i = 1; good && i < text.len - 1; i++) {
        good = text.data[i] >= '0' && text.data[i] <= '7';
        mode = mode << 3 | (uint32_t)(text.data[i] - '0');
    }
    if (!good || mode > 07777)
        return wrong(line, "'mode' must be octal digits in a string, \"0644\"");
    op->set |= KV_SET_MODE;
    op->meta.mode = mode;
    return 0;
}

static int read_owner(struct line *line, int member, uint32_t *ret)
{
    uint64_t id;
    int err = kv_member_u64(names[member], line->members[member], &id, line->rule);
    if (err)
        return err;
    if (id >= UINT32_MAX) {
        kv_buf_addf(line->rule, "'%s' is not that of anybody", names[member]);
        return -EINVAL;
    }
    *ret = (uint32_t)id;
    return 0;
}

static int read_time(struct line *line, int member, int64_t *ret)
{
    struct kv_span text = line->members[member];
    if (text.len >= 2 && *text.data == '"' &&
        kv_time_parse(text.data + 1, text.len - 2, ret) == 0)
        return 0;
    kv_buf_addf(line->rule, "'%s' must be a time such as \"2026-11-21T09:03:14.5Z\"",
                names[member]);
    return -EINVAL;
}

static int read_expiry(struct line *line, struct kv_op *op)
{
    op->set |= KV_SET_EXPIRY;
    if (line->members[TTL].data && line->members[EXPIRES].data)
        return wrong(line, "either 'ttl' or 'expires'");
    if (line->type == S_IFDIR &&
        (line->members[TTL].data || line->members[EXPIRES].data))
        return wrong(line, "a directory does not expire");
    if (line->members[TTL].data)
        return kv_member_ttl("ttl", line->members[TTL], &op->meta.expiry_ns,
                             line->rule);
    if (!line->members[EXPIRES].data)
        return 0;
    int err = read_time(line, EXPIRES, &op->meta.expiry_ns);
    if (!err && op->meta.expiry_ns <= 0)
        op->meta.expiry_ns = 1; /* over, too: 0 would mean never */
    return err;
}

static int read_meta(struct line *line, struct kv_op *op)
{
    int err = read_expiry(line, op);
    if (!err && line->members[MODE].data)
        err = read_mode(line, op);
    if (line->type == S_IFLNK) {
        op->meta.mode |= S_IFLNK | (op->set & KV_SET_MODE ? 0 : 0777);
        op->set |= KV_SET_MODE;
    }
    if (!err && line->members[UID].data) {
        op->set |= KV_SET_UID;
        err = read_owner(line, UID, &op->meta.uid);
    }
    if (!err && line->members[GID].data) {
        op->set |= KV_SET_GID;
        err = read_owner(line, GID, &op->meta.gid);
    }
    if (!err && line->members[MTIME].data) {
        op->set |= KV_SET_MTIME;
        err = read_time(line, MTIME, &op->meta.mtime_ns);
    }
    return err;
}

/* -- Attributes -- */

static int add_attribute(struct line *line, const void *name, size_t name_len,
                         const void *value, size_t value_len)
{
    struct kv_buf next = {0};
    int err = kv_xattr_set(line->attributes.data, line->attributes.len, name, name_len,
                           value ? value : "", value_len, KV_XATTR_ANY, &next);
    if (err) {
        kv_buf_done(&next);
        return err == -ENOMEM ? err : wrong(line, "an attribute is too large");
    }
    kv_buf_done(&line->attributes);
    line->attributes = next;
    return 0;
}

static int read_attribute(struct line *line, struct kv_span object)
{
    static const char *const parts[] = {"name", "name_encoding", "value", "encoding",
                                        NULL};
    KV_CLEANUP(kv_buf_done) struct kv_buf name = {0}, value = {0};
    struct kv_span members[4];
    int err = kv_members(object, parts, members, line->rule);
    if (!err)
        err = kv_member_bytes("name", members[0], members[1], &name, line->rule);
    if (!err)
        err = kv_member_bytes("value", members[2], members[3], &value, line->rule);
    if (!err && (kv_buf_error(&name) || kv_buf_error(&value)))
        err = -ENOMEM;
    if (err)
        return err;
    if (name.len < 6 || memcmp(name.data, "user.", 5) != 0 ||
        memchr(name.data, '\0', name.len))
        return wrong(line, "the name of an attribute begins with 'user.'");
    if (name.len >= 8 && memcmp(name.data, "user.kv.", 8) == 0)
        return wrong(line, "attributes 'user.kv.' are the store's own");
    return add_attribute(line, name.data, name.len, value.data, value.len);
}

static int read_attributes(struct line *line)
{
    struct kv_span list = line->members[ATTRIBUTES], object;
    KV_CLEANUP(kv_buf_done) struct kv_buf type = {0};
    size_t offset = 0;
    int err = 0;
    if (list.data && *list.data != '[')
        return wrong(line, "'attributes' must be an array");
    while (!err && list.data && kv_json_next(list, &offset, NULL, &object))
        err = read_attribute(line, object);
    if (err || !line->members[CONTENT_TYPE].data)
        return err;
    err = kv_member_bytes("content_type", line->members[CONTENT_TYPE],
                          (struct kv_span){0}, &type, line->rule);
    if (err)
        return err;
    if (!kv_media_type_valid(type.data ? type.data : "", type.len))
        return wrong(line, "'content_type' must be a media type");
    return add_attribute(line, KV_CONTENT_TYPE_XATTR, strlen(KV_CONTENT_TYPE_XATTR),
                         type.data, type.len);
}

/* -- The whole line -- */

/* What symlink(2) would refuse. */
static int check_target(struct line *line, const struct kv_buf *target)
{
    if (target->len == 0)
        return wrong(line, "the target of a symbolic link is empty");
    if (target->len >= PATH_MAX)
        return wrong(line, "the target of a symbolic link is longer than 4095 bytes");
    if (memchr(target->data, '\0', target->len))
        return wrong(line, "the target of a symbolic link holds a NUL byte");
    return 0;
}

static int add_op(struct line *line, struct kv_txn *txn)
{
    struct kv_op *op;
    int err = kv_txn_op(txn, line->type == S_IFDIR ? KV_OP_MKDIR : KV_OP_PUT,
                        line->key.data, line->key.len, &op);
    if (err)
        return err;
    op->flags = KV_OP_PARENTS | (line->type == S_IFDIR ? KV_OP_EXIST_OK : 0);
    op->set = KV_SET_XATTRS;
    op->xattr_value = line->attributes;
    line->attributes = (struct kv_buf){0};
    err = read_meta(line, op);
    if (!err && line->members[VALUE].data)
        err = kv_member_bytes("value", line->members[VALUE], line->members[ENCODING],
                              &op->value, line->rule);
    if (!err)
        err = kv_buf_error(&op->value);
    return !err && line->type == S_IFLNK ? check_target(line, &op->value) : err;
}

static int read_line(struct line *line, const char *text, size_t len,
                     struct kv_txn *txn)
{
    struct kv_span object;
    if (kv_json_read(text, len, &object))
        return wrong(line, "not a JSON value in UTF-8");
    int err = kv_members(object, names, line->members, line->rule);
    if (!err && kv_json_is(line->members[OMITTED], "true"))
        err = wrong(line, "the value was left out");
    if (!err)
        err = read_key(line);
    if (!err)
        err = read_type(line);
    if (!err)
        err = read_attributes(line);
    return err ? err : add_op(line, txn);
}

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\r", text[i]) || text[i] == '\0')
            return false;
    return true;
}

int kv_import_line(const char *text, size_t len, struct kv_txn *txn,
                   struct kv_buf *rule)
{
    struct line line = {.rule = rule};
    size_t before = txn->op_count;
    int err = is_blank(text, len) ? 0 : read_line(&line, text, len, txn);
    if (err && txn->op_count > before)
        kv_txn_drop_op(txn);
    kv_buf_done(&line.key);
    kv_buf_done(&line.attributes);
    return err;
}
