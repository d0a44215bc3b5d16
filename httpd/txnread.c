/* Reading transactions. The text stays where it is; only keys and values are copied,
 * once, into the transaction. */
#include "httpd/txnread.h"

#include "httpd/describe.h"
#include "httpd/field.h"
#include "httpd/member.h"
#include "store/key.h"
#include "store/xattr.h"

#include <errno.h>
#include <string.h>

/* The members that compares and operations have. */
enum {
    OP,
    KEY,
    KEY_ENCODING,
    VALUE,
    ENCODING,
    TO,
    TO_ENCODING,
    BY,
    TTL,
    CONTENT_TYPE,
    FLAGS, /* as many as there are in the table of flags */
    FLAG_COUNT = 7,
    OP_MEMBERS = FLAGS + FLAG_COUNT
};

static const char *const op_members[OP_MEMBERS + 1] = {
    "op",         "key",         "key_encoding", "value",      "encoding",
    "to",         "to_encoding", "by",           "ttl",        "content_type",
    "if_absent",  "if_present",  "recursive",    "missing_ok", "exist_ok",
    "no_replace", "exchange",    NULL,
};

static const unsigned flag_bits[FLAG_COUNT] = {
    KV_OP_EXCL,     KV_OP_MUST_EXIST, 0 /* another type */, KV_OP_IF_EXISTS,
    KV_OP_EXIST_OK, KV_OP_EXCL,       KV_OP_EXCHANGE,
};

enum {
    IF_ABSENT = FLAGS,
    IF_PRESENT,
    RECURSIVE,
    MISSING_OK,
    EXIST_OK,
    NO_REPLACE,
    EXCHANGE
};

#define M(member) (1u << (member))
#define NAMES (M(OP) | M(KEY) | M(KEY_ENCODING))
#define WRITES (M(TTL) | M(IF_ABSENT) | M(IF_PRESENT))

static const struct {
    const char *name;
    enum kv_op_type type;
    unsigned wants, allows; /* members */
} ops[] = {
    {"put", KV_OP_PUT, M(VALUE), M(ENCODING) | M(CONTENT_TYPE) | WRITES},
    {"append", KV_OP_APPEND, M(VALUE), M(ENCODING) | WRITES},
    {"incr", KV_OP_INCR, 0, M(BY) | WRITES},
    {"delete", KV_OP_DELETE, 0, M(RECURSIVE) | M(MISSING_OK)},
    {"rename", KV_OP_RENAME, M(TO), M(TO_ENCODING) | M(NO_REPLACE) | M(EXCHANGE)},
    {"mkdir", KV_OP_MKDIR, 0, M(EXIST_OK)},
    {"rmdir", KV_OP_RMDIR, 0, 0},
    {"expire", KV_OP_SET_META, 0, M(TTL)},
    {"get", KV_OP_GET, 0, 0},
};
#define OP_NAMES "put, append, incr, delete, rename, mkdir, rmdir, expire or get"

static const char *const compare_members[] = {
    "key",    "key_encoding", "is",           "value",           "encoding",
    "exists", "version",      "mod_revision", "create_revision", NULL,
};
enum {
    C_KEY,
    C_KEY_ENCODING,
    C_IS,
    C_VALUE,
    C_ENCODING,
    C_EXISTS,
    C_VERSION,
    C_MOD_REVISION,
    C_CREATE_REVISION,
    COMPARE_MEMBERS
};

struct reader {
    struct kv_txn *txn;
    struct kv_txn_fault *fault;
    struct kv_buf *rule; /* the fault's */
};

const char *kv_txn_op_name(const struct kv_op *op)
{
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        if (ops[i].type == op->type)
            return ops[i].name;
    return "delete"; /* recursive */
}

static int wrong(struct reader *reader, const char *text)
{
    kv_buf_adds(reader->rule, text);
    return -EINVAL;
}

/* A key that follows the rules, in out. */
static int read_key(struct reader *reader, const char *name, struct kv_span value,
                    struct kv_span encoding, struct kv_buf *out)
{
    if (!value.data) {
        kv_buf_addf(reader->rule, "'%s' is missing", name);
        return -EINVAL;
    }
    int err = kv_member_bytes(name, value, encoding, out, reader->rule);
    if (!err)
        err = kv_buf_error(out);
    if (err)
        return err;
    enum kv_key_rule broken = kv_key_check(out->data, out->len);
    if (broken == KV_KEY_VALID)
        return 0;
    reader->fault->code = "invalid_key";
    return wrong(reader, kv_key_rule_text(broken));
}

/* -- Compares -- */

static int read_relation(struct reader *reader, struct kv_span value,
                         enum kv_compare_relation *ret)
{
    static const char *const names[] = {[KV_EQUAL] = "\"=\"",
                                        [KV_NOT_EQUAL] = "\"!=\"",
                                        [KV_LESS] = "\"<\"",
                                        [KV_GREATER] = "\">\""};
    *ret = KV_EQUAL;
    if (!value.data)
        return 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!kv_json_is(value, names[i]))
            continue;
        *ret = (enum kv_compare_relation)i;
        return 0;
    }
    return wrong(reader, "'is' must be \"=\", \"!=\", \"<\" or \">\"");
}

static int add_value_compare(struct reader *reader, const struct kv_buf *key,
                             enum kv_compare_relation relation,
                             const struct kv_span *members)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf value = {0};
    int err = kv_member_bytes("value", members[C_VALUE], members[C_ENCODING], &value,
                              reader->rule);
    return err ? err
               : kv_txn_compare_value(reader->txn, key->data, key->len, relation,
                                      value.data ? value.data : "", value.len);
}

static int add_compare(struct reader *reader, const struct kv_buf *key,
                       enum kv_compare_relation relation, const struct kv_span *members)
{
    static const struct {
        int member;
        enum kv_compare_target target;
    } numbers[] = {{C_VERSION, KV_COMPARE_VERSION},
                   {C_MOD_REVISION, KV_COMPARE_MOD_REVISION},
                   {C_CREATE_REVISION, KV_COMPARE_CREATE_REVISION}};
    if (members[C_VALUE].data)
        return add_value_compare(reader, key, relation, members);
    if (members[C_EXISTS].data) {
        bool exists;
        int err = kv_member_bool("exists", members[C_EXISTS], &exists, reader->rule);
        return err ? err
                   : kv_txn_compare(reader->txn, key->data, key->len, KV_COMPARE_EXISTS,
                                    relation, exists);
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int member = numbers[i].member;
        uint64_t number;
        if (!members[member].data)
            continue;
        int err = kv_member_u64(compare_members[member], members[member], &number,
                                reader->rule);
        return err ? err
                   : kv_txn_compare(reader->txn, key->data, key->len, numbers[i].target,
                                    relation, number);
    }
    return wrong(reader, "one of 'value', 'exists', 'version', 'mod_revision' and "
                         "'create_revision' is needed");
}

static int read_compare(struct reader *reader, struct kv_span object)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf key = {0};
    struct kv_span members[COMPARE_MEMBERS];
    enum kv_compare_relation relation;
    int err = kv_members(object, compare_members, members, reader->rule);
    if (!err)
        err = read_key(reader, "key", members[C_KEY], members[C_KEY_ENCODING], &key);
    if (!err)
        err = read_relation(reader, members[C_IS], &relation);
    if (err)
        return err;
    int targets = !!members[C_VALUE].data + !!members[C_EXISTS].data +
                  !!members[C_VERSION].data + !!members[C_MOD_REVISION].data +
                  !!members[C_CREATE_REVISION].data;
    if (targets > 1)
        return wrong(reader, "only one thing can be compared: write two compares");
    return add_compare(reader, &key, relation, members);
}

/* -- Operations -- */

static int find_op(struct reader *reader, const struct kv_span *members, size_t *ret)
{
    char quoted[16];
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        size_t len = strlen(ops[i].name);
        quoted[0] = '"';
        memcpy(quoted + 1, ops[i].name, len);
        memcpy(quoted + 1 + len, "\"", 2);
        if (!kv_json_is(members[OP], quoted))
            continue;
        *ret = i;
        return 0;
    }
    return wrong(reader, "'op' must be " OP_NAMES);
}

static int check_members(struct reader *reader, size_t kind,
                         const struct kv_span *members)
{
    for (size_t i = 0; i < OP_MEMBERS; i++) {
        const char *problem = NULL;
        if (members[i].data && !(M(i) & (NAMES | ops[kind].wants | ops[kind].allows)))
            problem = "does not go with this op";
        else if (!members[i].data && (M(i) & ops[kind].wants))
            problem = "is missing";
        if (!problem)
            continue;
        kv_buf_addf(reader->rule, "'%s' %s", op_members[i], problem);
        return -EINVAL;
    }
    return 0;
}

static int read_flags(struct reader *reader, const struct kv_span *members,
                      struct kv_op *op)
{
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        bool on = false;
        if (!members[FLAGS + i].data)
            continue;
        int err = kv_member_bool(op_members[FLAGS + i], members[FLAGS + i], &on,
                                 reader->rule);
        if (err)
            return err;
        if (on && FLAGS + i == RECURSIVE)
            op->type = KV_OP_DELETE_TREE;
        op->flags |= on ? flag_bits[i] : 0;
    }
    return 0;
}

/* A put without ttl clears the expiry, and so does "expire". */
static int read_ttl(struct reader *reader, const struct kv_span *members,
                    struct kv_op *op)
{
    if (op->type == KV_OP_PUT || op->type == KV_OP_SET_META || members[TTL].data)
        op->set |= KV_SET_EXPIRY;
    if (!members[TTL].data)
        return 0;
    return kv_member_ttl("ttl", members[TTL], &op->meta.expiry_ns, reader->rule);
}

/* A put without a media type takes away the one that the value before had. */
static int read_content_type(struct reader *reader, struct kv_span value,
                             struct kv_op *op)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf type = {0};
    int err = value.data ? kv_member_bytes("content_type", value, (struct kv_span){0},
                                           &type, reader->rule)
                         : 0;
    if (err)
        return err;
    if (value.data && !kv_media_type_valid(type.data ? type.data : "", type.len))
        return wrong(reader, "'content_type' must be a media type");
    return kv_op_set_xattr(op, KV_CONTENT_TYPE_XATTR, strlen(KV_CONTENT_TYPE_XATTR),
                           type.data, type.len, KV_XATTR_ANY);
}

static int read_to(struct reader *reader, const struct kv_span *members,
                   struct kv_op *op)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf to = {0};
    int err = read_key(reader, "to", members[TO], members[TO_ENCODING], &to);
    return err ? err : kv_op_set_to(op, to.data, to.len);
}

static int fill_op(struct reader *reader, const struct kv_span *members,
                   struct kv_op *op)
{
    int err = read_flags(reader, members, op);
    if (!err)
        err = read_ttl(reader, members, op);
    if (!err && members[VALUE].data)
        err = kv_member_bytes("value", members[VALUE], members[ENCODING], &op->value,
                              reader->rule);
    if (!err && op->type == KV_OP_PUT)
        err = read_content_type(reader, members[CONTENT_TYPE], op);
    if (!err && op->type == KV_OP_INCR)
        op->by = 1;
    if (!err && members[BY].data)
        err = kv_member_i64("by", members[BY], &op->by, reader->rule);
    if (!err && op->type == KV_OP_RENAME)
        err = read_to(reader, members, op);
    op->flags |= KV_OP_PARENTS;
    return err ? err : kv_buf_error(&op->value);
}

static int read_op(struct reader *reader, struct kv_span object)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf key = {0};
    struct kv_span members[OP_MEMBERS];
    size_t kind = 0;
    struct kv_op *op;
    int err = kv_members(object, op_members, members, reader->rule);
    if (!err)
        err = find_op(reader, members, &kind);
    if (!err)
        err = check_members(reader, kind, members);
    if (!err)
        err = read_key(reader, "key", members[KEY], members[KEY_ENCODING], &key);
    if (!err)
        err = kv_txn_op(reader->txn, ops[kind].type, key.data, key.len, &op);
    return err ? err : fill_op(reader, members, op);
}

/* -- The whole -- */

static int too_many(struct reader *reader)
{
    reader->fault->status = 413;
    reader->fault->code = "too_large";
    kv_buf_reset(reader->rule);
    kv_buf_addf(reader->rule, "a transaction has at most %d compares and %d operations",
                KV_TXN_OPS_MAX, KV_TXN_OPS_MAX);
    return -EINVAL;
}

/* Each element of an array; the place is put before the rule that one breaks. */
static int read_list(struct reader *reader, const char *name, struct kv_span list,
                     int (*read)(struct reader *reader, struct kv_span object))
{
    if (list.data && *list.data != '[') {
        kv_buf_addf(reader->rule, "'%s' must be an array", name);
        return -EINVAL;
    }
    struct kv_span object;
    size_t offset = 0;
    for (size_t i = 0; list.data && kv_json_next(list, &offset, NULL, &object); i++) {
        kv_buf_reset(reader->rule);
        kv_buf_addf(reader->rule, "%s[%zu]: ", name, i);
        int err = read(reader, object);
        if (err)
            return err == -E2BIG ? too_many(reader) : err;
    }
    kv_buf_reset(reader->rule);
    return 0;
}

static int read_all(struct reader *reader, const void *text, size_t len)
{
    static const char *const names[] = {"compare", "then", "else", NULL};
    struct kv_span whole, lists[3];
    if (kv_json_read(text, len, &whole))
        return wrong(reader, "the body must be one JSON value in UTF-8, nested at most "
                             "32 deep, and nothing else");
    int err = kv_members(whole, names, lists, reader->rule);
    if (!err)
        err = read_list(reader, "compare", lists[0], read_compare);
    if (!err)
        err = read_list(reader, "then", lists[1], read_op);
    kv_txn_else(reader->txn);
    if (!err)
        err = read_list(reader, "else", lists[2], read_op);
    return err;
}

int kv_txn_read(const void *text, size_t len, struct kv_txn **ret,
                struct kv_txn_fault *fault)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    int err = kv_txn_new(KV_ORIGIN_HTTP, NULL, NULL, &txn);
    if (err)
        return err;
    *fault = (struct kv_txn_fault){.status = 400, .code = "bad_request"};
    struct reader reader = {.txn = txn, .fault = fault, .rule = &fault->rule};
    err = read_all(&reader, text, len);
    if (!err)
        *ret = KV_STEAL(txn);
    return err;
}
