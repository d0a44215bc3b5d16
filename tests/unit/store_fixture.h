#ifndef KV_TESTS_UNIT_STORE_FIXTURE_H
#define KV_TESTS_UNIT_STORE_FIXTURE_H

/* A real store in a temporary directory, and one-liners on it. The functions that write
 * return the transaction's error; those that read fail the test when they cannot.
 *
 * Keys are C strings here. Texts that are returned live in a static buffer of the
 * function until its next call. */

#include "base/buf.h"
#include "store/store.h"
#include "store/xattr.h"
#include "suite.h"

#include <errno.h>
#include <string.h>

/* The open store of the running test, and how it is opened. */
extern struct kv_store *store;
extern struct kv_store_config store_config;

/* Make the directory and the configuration (small bounds, sync off), and open it:
 * setup and teardown of a suite. */
void store_setup(void);
void store_teardown(void);
/* The same without opening. */
void store_setup_closed(void);

int store_open(void);
void store_shut(void);   /* close it, keep the directory */
void store_reopen(void); /* shut, open again as store_config says now */

/* A new directory below the temporary one, and its removal with all it holds. */
char *temp_dir_make(void);
void temp_dir_remove(char *path);

/* -- Transactions -- */

struct kv_txn *txn_make(void); /* origin HTTP, NULL done */
struct kv_op *txn_add(struct kv_txn *txn, enum kv_op_type type, const char *key);
struct kv_op *txn_put(struct kv_txn *txn, const char *key, const char *value);
struct kv_op *txn_rename(struct kv_txn *txn, const char *from, const char *to,
                         unsigned flags);
int txn_commit(struct kv_txn *txn); /* commit and free */

/* -- One operation -- */

int put(const char *key, const char *value); /* makes parents */
int put_flags(const char *key, const char *value, unsigned flags);
int put_sized(const char *key, size_t len, char fill);
int put_expiring(const char *key, const char *value, int64_t expiry_ns);
int append(const char *key, const char *value);
int del(const char *key);
int del_tree(const char *key);
int make_dir(const char *key);
void put_link(const char *key, const char *target); /* a symbolic link */
int remove_dir(const char *key);
int move(const char *from, const char *to, unsigned flags);
int set_mode(const char *key, uint32_t mode);
int set_expiry(const char *key, int64_t expiry_ns);
int set_size(const char *key, uint64_t size);
int set_xattr(const char *key, const char *name, const char *value, int mode);

/* -- Reading -- */

int lookup(const char *key);             /* the error of kv_store_get */
struct kv_meta meta_of(const char *key); /* of a key that is there */
const char *value_of(const char *key);   /* as text; "-" when the key is absent */
const char *xattr_of(const char *key, const char *name); /* NULL: not there */
#define ck_assert_value(key, value) ck_assert_str_eq(value_of(key), (value))

/* All keys and directories below dir in one line: "a/ a/b c"; directories end in '/'.
 */
const char *tree_of(const char *dir);

/* The events behind revision `since`, a word each, "REV.INDEX:TYPE:KEY", with '+'
 * behind the type when created, '~' implied, 'x' exchanged, '<FROM' behind the key for
 * renames, and '.' at the end of a revision. */
const char *events_since(uint64_t since);

/* Every event behind revision `since`; the caller unrefs each and frees the array. */
struct kv_event **read_events(uint64_t since, size_t *ret_count);
void free_events(struct kv_event **events, size_t count);

uint64_t revision_now(void);
struct kv_store_status status_now(void);

/* Fail unless the counters of keys and directories, the expiry index and the parents of
 * all keys agree with what the state table holds. The store is shut for it and opened
 * again. */
void check_store(void);

#endif
