#ifndef KV_STORE_EVENT_H
#define KV_STORE_EVENT_H

/* An event: what happened to one key in one revision. Immutable, shared by reference
 * count. The events of a revision are numbered from 0 in the order in which they
 * happened; parents come before children when made, after them when removed. Any thread. */

#include "store/record.h"
#include "store/txn.h"

enum kv_event_type {
    KV_EVENT_PUT = 1,
    KV_EVENT_DELETE,
    KV_EVENT_RENAME,
    KV_EVENT_MKDIR,
    KV_EVENT_RMDIR,
    KV_EVENT_META, /* mode, owner, times, expiry or attributes; not the value */
};

struct kv_event {
    atomic_uint refs;
    enum kv_event_type type;
    uint64_t revision;
    uint32_t index;  /* within the revision */
    bool last;       /* the last event of its revision */
    bool created;    /* PUT: the key is new */
    bool implied;    /* RENAME of a key whose directory was renamed: it moved along */
    bool exchanged;  /* RENAME: one of two that swapped keys, in the same revision; the
                        other is the next or the one before, with from and key changed over;
                        implied renames of what lay below come after both */
    uint32_t origin; /* enum kv_origin */
    int64_t time_ns; /* realtime of the commit */

    /* The key's state after the event. For DELETE and RMDIR its last state, with
     * mod_revision and ctime as of the delete. Bare for those, for META, and for implied
     * renames: the event did not write a value. Bare too when the value is large
     * (kv_event_value_max): who wants it asks for the key. */
    struct kv_record *record;

    /* PUT, DELETE, META: the revision of the key's last event before this one, which may be
     * in the same revision; 0: the key is new, or nobody knows. */
    uint64_t prev_revision;

    /* The directory that holds record->key, and for RENAME the one that held from. */
    uint64_t parent_id, from_parent_id;
    /* RENAME: the key before (record->key is the key after), and a NUL behind it, as in a
     * record. Otherwise NULL, 0. */
    char *from;
    size_t from_len;
    /* RENAME: id of what was at the new key and is gone, 0 = nothing was. */
    uint64_t replaced_id;
};

/* A new event that holds its own reference to record and a copy of from; NULL: no
 * memory. The caller fills in the other fields before it shares the event. */
struct kv_event *kv_event_new(enum kv_event_type type, struct kv_record *record,
                              const void *from, size_t from_len);
struct kv_event *kv_event_ref(struct kv_event *event);
void kv_event_unref(struct kv_event *event); /* NULL is allowed */
KV_DEFINE_CLEANUP(struct kv_event, kv_event_unref)

/* "put", "delete", "rename", "mkdir", "rmdir", "meta". */
const char *kv_event_type_name(enum kv_event_type type);

/* "http", "ttl", "cluster" or "mount"; static. */
const char *kv_origin_name(uint32_t origin);

/* Whether the event concerns key itself (RENAME: either name). */
bool kv_event_is_about(const struct kv_event *event, const void *key, size_t len);
/* ... or a key below directory dir or dir itself; dir_len 0: everything. */
bool kv_event_is_in(const struct kv_event *event, const void *dir, size_t dir_len);
/* ... or a key (either name) that starts with these bytes. */
bool kv_event_has_prefix(const struct kv_event *event, const void *prefix, size_t len);

/* A value longer than this is left out of events, so that a few large ones do not push all
 * others out of the log, and with them the place of everyone who follows it: a 64th of
 * the log's bound, but never so little that a symbolic link's target is left out. */
static inline uint64_t kv_event_value_max(uint64_t log_max_bytes)
{
    uint64_t max = log_max_bytes / 64;
    return max > 4096 ? max : 4096;
}

/* Bytes it keeps in memory, its record included. */
size_t kv_event_footprint(const struct kv_event *event);

#endif
