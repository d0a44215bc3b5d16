#ifndef KV_STORE_TXN_H
#define KV_STORE_TXN_H

/* A transaction: compares, and operations that happen all or not at all in one
 * revision. A front-end builds one, submits it (store.h) and hears of its end in a
 * callback; nobody blocks a thread on a commit.
 *
 *     struct kv_txn *txn;
 *     err = kv_txn_new(KV_ORIGIN_HTTP, done, request, &txn);
 *     err = kv_txn_op(txn, KV_OP_PUT, key, key_len, &op);
 *     err = kv_op_set_value(op, body, body_len);
 *     kv_store_submit(store, txn);            // the store owns it now
 *
 *     static void done(struct kv_txn *txn, void *ctx)   // on the committer thread
 *     {
 *         reply(ctx, txn->error, txn->revision);        // and nothing that blocks
 *     }
 *
 * One thread builds a transaction at a time; after the submit it belongs to the store,
 * until done is called, which may read the results; when done returns the store frees it. */

#include "base/buf.h"
#include "store/record.h"

#include <stdbool.h>
#include <stdint.h>

/* Who makes a change. A mount gets a number of its own from KV_ORIGIN_MOUNT upwards. */
enum kv_origin {
    KV_ORIGIN_HTTP = 1,
    KV_ORIGIN_TTL = 2,
    KV_ORIGIN_CLUSTER = 3,
    KV_ORIGIN_MOUNT = 16, /* the first mount; the next one is 17, ... */
};

enum kv_op_type {
    KV_OP_PUT = 1,     /* the whole value of a key; over one of the other type (file,
                          symbolic link) a delete and a new key in one revision */
    KV_OP_APPEND,      /* bytes behind the value; makes the key when absent; to a
                          symbolic link: -ELOOP */
    KV_OP_INCR,        /* add `by` to the decimal number that the value is, see counter.c;
                          makes the key when absent, from 0. Otherwise as APPEND */
    KV_OP_DELETE,      /* a key (a directory: -EISDIR) */
    KV_OP_DELETE_TREE, /* a directory and all below it, or one key; -E2BIG when that and
                          what the transaction deleted so are more than KV_TXN_TREE_MAX */
    KV_OP_RENAME,      /* a key or directory, over what is there (rename(2)) */
    KV_OP_MKDIR,
    KV_OP_RMDIR, /* must be empty */
    KV_OP_SET_META,
    KV_OP_GET, /* changes nothing: result is the record as it stands between the other
                  operations, NULL when there is none. It is bare when the values that the
                  transaction gets would be more than its get_max_bytes */
};

enum kv_op_flags {
    KV_OP_EXCL = 1 << 0,      /* PUT, APPEND, INCR, MKDIR: -EEXIST when there is something;
                                 RENAME: -EEXIST when the target exists */
    KV_OP_MUST_EXIST = 1 << 1,/* PUT, APPEND, INCR: -ENOENT instead of making the key */
    KV_OP_PARENTS = 1 << 2,   /* PUT, APPEND, INCR, RENAME, MKDIR: make missing directories;
                                 without it their absence is -ENOENT */
    KV_OP_EXCHANGE = 1 << 3,  /* RENAME: swap the two */
    KV_OP_IF_EXISTS = 1 << 4, /* DELETE, DELETE_TREE: absent is success with no event */
    KV_OP_EXIST_OK = 1 << 5,  /* MKDIR: an existing directory is success, no event */
};

/* Which metadata an operation sets: SET_META, and PUT, APPEND, INCR, MKDIR on what they write.
 * What is not named stays; for a new key the store's defaults apply. */
enum kv_meta_mask {
    KV_SET_MODE = 1 << 0, /* permission bits; for PUT with S_IFMT bits also the type, which
                             otherwise is a file's */
    KV_SET_UID = 1 << 1,
    KV_SET_GID = 1 << 2,
    KV_SET_MTIME = 1 << 3,
    KV_SET_EXPIRY = 1 << 4, /* expiry_ns 0 clears it */
    KV_SET_SIZE = 1 << 5,   /* SET_META only: truncate(2); counts as a write of the value */
    KV_SET_XATTR = 1 << 6,  /* SET_META and PUT: xattr_name, xattr_value, xattr_mode */
    KV_REMOVE_XATTR = 1 << 7, /* likewise; to a PUT its absence is no error */
    KV_SET_XATTRS = 1 << 8, /* PUT, MKDIR: all of them at once; xattr_value is their encoding
                               (xattr.h) */
};

struct kv_op {
    enum kv_op_type type;
    unsigned flags; /* enum kv_op_flags */
    unsigned set;   /* enum kv_meta_mask */
    char *key;
    size_t key_len;
    char *to; /* RENAME: the new key */
    size_t to_len;
    struct kv_buf value; /* INCR: the operation's own */
    int64_t by;          /* INCR */
    uint64_t new_id; /* id for the key if this operation makes it; 0: the store's choice */
    struct kv_meta meta; /* the fields that set names */
    char *xattr_name;
    size_t xattr_name_len;
    struct kv_buf xattr_value;
    int xattr_mode; /* enum kv_xattr_mode */

    /* Results, valid in done when the transaction succeeded. */
    struct kv_record *result; /* the record after the operation; for deletes the one that
                                 was deleted; NULL when nothing happened */
    int64_t number;           /* INCR: the new number */
    bool created;             /* PUT, APPEND, INCR, MKDIR: the key is new */
    uint64_t count;           /* DELETE_TREE: how many keys and directories went */
};

enum kv_compare_target {
    KV_COMPARE_EXISTS, /* number: 1 or 0 */
    KV_COMPARE_VERSION,
    KV_COMPARE_MOD_REVISION,
    KV_COMPARE_CREATE_REVISION,
    KV_COMPARE_ID,
    KV_COMPARE_EXPIRY, /* nanoseconds */
    KV_COMPARE_VALUE,  /* bytes */
};

enum kv_compare_relation { KV_EQUAL, KV_NOT_EQUAL, KV_LESS, KV_GREATER };

/* An absent key compares as number 0; its value equals nothing and is less than
 * nothing (a KV_COMPARE_VALUE on it holds only for KV_NOT_EQUAL). */
struct kv_compare {
    char *key;
    size_t key_len;
    enum kv_compare_target target;
    enum kv_compare_relation relation;
    uint64_t number;
    struct kv_buf bytes;
};

struct kv_txn;
typedef void kv_txn_done_fn(struct kv_txn *txn, void *ctx);

struct kv_txn {
    uint32_t origin;
    struct kv_compare *compares;
    size_t compare_count;
    struct kv_op *ops; /* when every compare holds */
    size_t op_count;
    struct kv_op *else_ops; /* when one does not */
    size_t else_count;
    bool has_else; /* without an else branch a failed compare is -ECANCELED */
    size_t get_max_bytes; /* of the values that GETs return altogether */
    size_t get_value_max; /* of one of them; longer ones are left out */
    kv_txn_done_fn *done;
    void *ctx;
    bool kept; /* goes back to who submitted it instead of being freed after done, which
                  is the store's last touch */

    /* Results, valid in done. */
    int error;          /* 0 or negative errno, see kv_store_submit */
    bool succeeded;     /* every compare held, so ops ran; otherwise else_ops did */
    size_t failed;      /* on -ECANCELED: index of the compare that did not hold; on other
                           errors: of the operation that failed */
    uint64_t revision;  /* of the store after it; its own when it changed something */
    bool changed;       /* it made a revision */

    /* The store's own. */
    struct kv_txn *next;
    size_t bytes; /* of keys and values, for the batch bound */
};

/* A new empty transaction; done may be NULL. 0 or -ENOMEM. */
int kv_txn_new(uint32_t origin, kv_txn_done_fn *done, void *ctx, struct kv_txn **ret);

/* Only for a transaction that was not submitted, or came back from kv_store_commit. */
void kv_txn_free(struct kv_txn *txn); /* NULL is allowed */
KV_DEFINE_CLEANUP(struct kv_txn, kv_txn_free)

/* Add an operation with a copy of the key; *ret is good until the next one is added.
 * The empty key (root) is allowed for SET_META only. -EINVAL or -ENAMETOOLONG for a
 * key that breaks a rule of key.h, -E2BIG past KV_TXN_OPS_MAX, -ENOMEM. */
int kv_txn_op(struct kv_txn *txn, enum kv_op_type type, const void *key, size_t key_len,
              struct kv_op **ret);

/* Take back the operation that kv_txn_op added last. */
void kv_txn_drop_op(struct kv_txn *txn);

/* What kv_txn_op adds from here on is the else branch. */
void kv_txn_else(struct kv_txn *txn);

/* Add a compare of a number, or of the value's bytes. Errors as kv_txn_op. */
int kv_txn_compare(struct kv_txn *txn, const void *key, size_t key_len,
                   enum kv_compare_target target, enum kv_compare_relation relation,
                   uint64_t number);
int kv_txn_compare_value(struct kv_txn *txn, const void *key, size_t key_len,
                         enum kv_compare_relation relation, const void *value,
                         size_t value_len);

/* The value, copied. -ENOMEM. */
int kv_op_set_value(struct kv_op *op, const void *value, size_t len);

/* Move all but the key out of another operation, which is left as kv_txn_op makes it. */
void kv_op_steal(struct kv_op *op, struct kv_op *from);

/* The value, moved out of buf, which is left empty. */
void kv_op_take_value(struct kv_op *op, struct kv_buf *buf);

/* RENAME's target; same errors as a key in kv_txn_op. */
int kv_op_set_to(struct kv_op *op, const void *key, size_t len);

/* The attribute of SET_META or PUT; value NULL removes it. -ENOMEM. */
int kv_op_set_xattr(struct kv_op *op, const void *name, size_t name_len,
                    const void *value, size_t value_len, int mode);

#define KV_TXN_OPS_MAX 10000
#define KV_TXN_GET_BYTES (1u << 20) /* get_max_bytes and get_value_max, unless set */
/* Keys and directories. Each is an event of the one revision and costs the committer some
 * microseconds and 1 KiB of memory, and all other writes wait for it. */
#define KV_TXN_TREE_MAX 100000
/* Of values in the records that a transaction makes, also when it changes only what is
 * told of them (expiry, name), past which it may do nothing more. */
#define KV_TXN_VALUE_BYTES (128u << 20)

#endif
