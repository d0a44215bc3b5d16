#ifndef KV_STORE_RECORD_H
#define KV_STORE_RECORD_H

/* A record is one version of one key: value, metadata, extended attributes. It is one
 * allocation, immutable from the moment it is published, and shared by reference
 * count, so a reader may use it for as long as it likes while the key moves on.
 *
 * Directories are records too (S_IFDIR in mode, no value), symbolic links as well
 * (S_IFLNK, the value is the target). The root directory has the empty key and id 1.
 *
 * A bare record carries no value bytes, only meta.size: what listings return when values
 * were not asked for. Any thread. */

#include "base/cleanup.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define KV_ROOT_ID 1

struct kv_meta {
    uint64_t id;              /* inode number: unique, kept by overwrite and rename */
    uint64_t create_revision; /* revision that made the key */
    uint64_t mod_revision;    /* revision of the last event of the key */
    uint64_t version;         /* writes of the value since creation; 1 = new; 0 = directory */
    uint64_t size;            /* bytes of the value */
    int64_t mtime_ns, ctime_ns;
    int64_t expiry_ns; /* realtime at which the key ends; 0 = never */
    uint32_t mode, uid, gid;
};

struct kv_record {
    atomic_uint refs;
    uint32_t key_len;
    uint32_t xattrs_len;
    bool bare;
    struct kv_meta meta;
    const char *key;     /* key_len bytes, then a NUL for the debugger's sake */
    const char *xattrs;  /* xattrs_len bytes, the format of xattr.h */
    const void *value;   /* meta.size bytes; NULL in a bare record */
    /* A slot for one derived object that is costly to build, such as a ready HTTP
     * response; see kv_record_attach. */
    _Atomic(void *) attachment;
    void (*attachment_free)(void *attachment);
};

/* What a new record is made of; the bytes are copied. */
struct kv_record_parts {
    struct kv_meta meta; /* meta.size is ignored unless bare */
    const void *key;
    size_t key_len;
    const void *xattrs;
    size_t xattrs_len;
    const void *value; /* value_len bytes; may be NULL when value_len is 0 */
    size_t value_len;
    bool bare; /* no value; meta.size tells the size it has in the store */
};

/* A record with one reference, or NULL when memory runs out. The caller may still
 * change its meta until it is shared. */
struct kv_record *kv_record_new(const struct kv_record_parts *parts);

/* The same value, key and xattrs with other metadata, or under another key when key is not
 * NULL; one reference, or NULL. */
struct kv_record *kv_record_copy(const struct kv_record *record,
                                 const struct kv_meta *meta, const void *key,
                                 size_t key_len);

/* The same without the value; one reference, or NULL. */
struct kv_record *kv_record_bare_copy(const struct kv_record *record);

struct kv_record *kv_record_ref(struct kv_record *record);
void kv_record_unref(struct kv_record *record); /* NULL is allowed */
KV_DEFINE_CLEANUP(struct kv_record, kv_record_unref)

static inline bool kv_record_is_dir(const struct kv_record *record)
{
    return S_ISDIR(record->meta.mode);
}

static inline bool kv_record_is_link(const struct kv_record *record)
{
    return S_ISLNK(record->meta.mode);
}

static inline bool kv_record_expired(const struct kv_record *record, int64_t now_ns)
{
    return record->meta.expiry_ns != 0 && record->meta.expiry_ns <= now_ns;
}

/* What the record costs in memory, bytes, the allocator's rounding included. */
size_t kv_record_footprint(const struct kv_record *record);

/* Attach a derived object to the record, which frees it with its last reference. The
 * first one wins: returns the object that is attached now; when that is not the one given,
 * the caller still owns its own. Every caller of one process must attach the
 * same kind of object (only httpd does). */
void *kv_record_attach(struct kv_record *record, void *attachment,
                       void (*attachment_free)(void *attachment));

static inline void *kv_record_attachment(const struct kv_record *record)
{
    return atomic_load_explicit(&record->attachment, memory_order_acquire);
}

#endif
