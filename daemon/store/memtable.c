/* Skip lists with versions; see memtable.h.
 *
 * A writer links an entry from the bottom list upwards with release stores, after the
 * entry is complete, so whoever comes upon a pointer finds what it points to. The same
 * holds for versions. Readers pass by versions above their number, whose bytes may
 * still be written. */
#include "store/memtable.h"

#include <errno.h>
#include <stdatomic.h>

#define LEVELS 12 /* with one in four going up: enough for 16 million keys */
#define CHUNK_BYTES (256u << 10)
#define ALIGNMENT 8

struct kv_mem_version {
    const struct kv_mem_version *older;
    uint64_t number;
    size_t size;
    bool deleted;
    char value[];
};

struct kv_mem_entry {
    _Atomic(const struct kv_mem_version *) newest; /* NULL: all were undone */
    const char *key;
    size_t key_len;
    _Atomic(struct kv_mem_entry *) next[]; /* one for each level it is on */
};

/* Memory that is given out piece by piece and freed as a whole. */
struct chunk {
    struct chunk *next;
    size_t room;
    char *free;
};

struct kv_memtable {
    atomic_uint refs;
    atomic_size_t bytes, versions, deletions;
    struct chunk *chunks;
    uint64_t random;
    _Atomic(struct kv_mem_entry *) heads[KV_DB_COUNT][LEVELS];
};

/* -- Memory -- */

static struct chunk *new_chunk(size_t room)
{
    struct chunk *chunk = malloc(sizeof(*chunk) + room);
    if (!chunk)
        return NULL;
    chunk->room = room;
    chunk->free = (char *)(chunk + 1);
    return chunk;
}

/* What is too large to share a chunk has one of its own, behind the one in use. */
static void *allocate(struct kv_memtable *mem, size_t size)
{
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct chunk *chunk = mem->chunks;
    bool large = size > CHUNK_BYTES / 4;
    if (large || !chunk || chunk->room < size) {
        chunk = new_chunk(large ? size : CHUNK_BYTES);
        if (!chunk)
            return NULL;
        struct chunk **place = large && mem->chunks ? &mem->chunks->next : &mem->chunks;
        chunk->next = *place;
        *place = chunk;
    }
    void *ret = chunk->free;
    chunk->free += size;
    chunk->room -= size;
    atomic_fetch_add_explicit(&mem->bytes, size, memory_order_relaxed);
    return ret;
}

int kv_memtable_new(struct kv_memtable **ret)
{
    struct kv_memtable *mem = calloc(1, sizeof(*mem));
    if (!mem)
        return -ENOMEM;
    atomic_init(&mem->refs, 1);
    mem->random = 0x9e3779b97f4a7c15;
    *ret = mem;
    return 0;
}

struct kv_memtable *kv_memtable_ref(struct kv_memtable *mem)
{
    atomic_fetch_add_explicit(&mem->refs, 1, memory_order_relaxed);
    return mem;
}

void kv_memtable_unref(struct kv_memtable *mem)
{
    if (!mem || atomic_fetch_sub_explicit(&mem->refs, 1, memory_order_acq_rel) > 1)
        return;
    while (mem->chunks) {
        struct chunk *chunk = mem->chunks;
        mem->chunks = chunk->next;
        free(chunk);
    }
    free(mem);
}

size_t kv_memtable_bytes(const struct kv_memtable *mem)
{
    return atomic_load_explicit(&mem->bytes, memory_order_relaxed);
}

size_t kv_memtable_versions(const struct kv_memtable *mem)
{
    return atomic_load_explicit(&mem->versions, memory_order_relaxed);
}

size_t kv_memtable_deletions(const struct kv_memtable *mem)
{
    return atomic_load_explicit(&mem->deletions, memory_order_relaxed);
}

/* -- The lists -- */

static struct kv_slice key_of(const struct kv_mem_entry *entry)
{
    return (struct kv_slice){entry->key, entry->key_len};
}

static struct kv_mem_entry *follow(const _Atomic(struct kv_mem_entry *) *link)
{
    return atomic_load_explicit(link, memory_order_acquire);
}

/* The entry's links, or those of the list's head. */
static const _Atomic(struct kv_mem_entry *) *
links_of(const struct kv_memtable *mem, enum kv_db db, const struct kv_mem_entry *entry)
{
    return entry ? entry->next : mem->heads[db];
}

/* The last entry whose key is less than the given one; NULL: the head. With a NULL key
 * the last of all. */
static const struct kv_mem_entry *find_before(const struct kv_memtable *mem,
                                              enum kv_db db, const struct kv_slice *key)
{
    const struct kv_mem_entry *at = NULL, *next;
    for (int level = LEVELS - 1; level >= 0; level--)
        while ((next = follow(&links_of(mem, db, at)[level])) &&
               (!key || kv_slice_compare(key_of(next), *key) < 0))
            at = next;
    return at;
}

/* The first entry whose key is not less than the given one, among those that the writer
 * had linked when the caller got its number; others may come in between. */
static const struct kv_mem_entry *find_from(const struct kv_memtable *mem,
                                            enum kv_db db, struct kv_slice key)
{
    const struct kv_mem_entry *before = find_before(mem, db, &key);
    const struct kv_mem_entry *entry = follow(&links_of(mem, db, before)[0]);
    while (entry && kv_slice_compare(key_of(entry), key) < 0)
        entry = follow(&entry->next[0]);
    return entry;
}

/* The links behind which an entry of this key belongs, on every level, and the entry
 * that is there. */
static struct kv_mem_entry *find_place(struct kv_memtable *mem, enum kv_db db,
                                       struct kv_slice key,
                                       _Atomic(struct kv_mem_entry *) *links[LEVELS])
{
    _Atomic(struct kv_mem_entry *) *at = mem->heads[db];
    struct kv_mem_entry *next;
    for (int level = LEVELS - 1; level >= 0; level--) {
        while ((next = follow(&at[level])) && kv_slice_compare(key_of(next), key) < 0)
            at = next->next;
        links[level] = &at[level];
    }
    next = follow(links[0]);
    return next && kv_slice_compare(key_of(next), key) == 0 ? next : NULL;
}

/* One in four entries of a level is on the next one, too. */
static unsigned draw_levels(struct kv_memtable *mem)
{
    unsigned levels = 1;
    mem->random ^= mem->random << 13;
    mem->random ^= mem->random >> 7;
    mem->random ^= mem->random << 17;
    for (uint64_t bits = mem->random; (bits & 3) == 0 && levels < LEVELS; bits >>= 2)
        levels++;
    return levels;
}

static struct kv_mem_entry *add_entry(struct kv_memtable *mem, struct kv_slice key,
                                      _Atomic(struct kv_mem_entry *) *links[LEVELS])
{
    unsigned levels = draw_levels(mem);
    struct kv_mem_entry *entry;
    size_t head = sizeof(*entry) + levels * sizeof(entry->next[0]);
    entry = allocate(mem, head + key.len);
    if (!entry)
        return NULL;
    char *copy = (char *)entry + head;
    memcpy(copy, key.data, key.len);
    atomic_init(&entry->newest, NULL);
    entry->key = copy;
    entry->key_len = key.len;
    for (unsigned level = 0; level < levels; level++) {
        atomic_init(&entry->next[level], follow(links[level]));
        atomic_store_explicit(links[level], entry, memory_order_release);
    }
    return entry;
}

/* -- The writer -- */

static void count(struct kv_memtable *mem, enum kv_db db,
                  const struct kv_mem_version *version, size_t one)
{
    atomic_fetch_add_explicit(&mem->versions, one, memory_order_relaxed);
    if (db == KV_DB_STATE && version->deleted)
        atomic_fetch_add_explicit(&mem->deletions, one, memory_order_relaxed);
}

static int add_version(struct kv_memtable *mem, enum kv_db db, struct kv_slice key,
                       const struct kv_mem_version *as, struct kv_mem_change *ret)
{
    _Atomic(struct kv_mem_entry *) *links[LEVELS];
    struct kv_mem_version *version = allocate(mem, sizeof(*version) + as->size);
    if (!version)
        return -ENOMEM;
    struct kv_mem_entry *entry = find_place(mem, db, key, links);
    if (!entry)
        entry = add_entry(mem, key, links);
    if (!entry)
        return -ENOMEM;
    *version = *as;
    version->older = atomic_load_explicit(&entry->newest, memory_order_relaxed);
    atomic_store_explicit(&entry->newest, version, memory_order_release);
    count(mem, db, version, 1);
    *ret = (struct kv_mem_change){db, entry, version};
    return 0;
}

int kv_memtable_put(struct kv_memtable *mem, enum kv_db db, struct kv_slice key,
                    uint64_t number, size_t size, struct kv_mem_change *ret,
                    void **ret_place)
{
    struct kv_mem_version as = {.number = number, .size = size};
    int err = add_version(mem, db, key, &as, ret);
    if (!err)
        *ret_place = (char *)(uintptr_t)ret->version->value;
    return err;
}

int kv_memtable_delete(struct kv_memtable *mem, enum kv_db db, struct kv_slice key,
                       uint64_t number, struct kv_mem_change *ret)
{
    struct kv_mem_version as = {.number = number, .deleted = true};
    return add_version(mem, db, key, &as, ret);
}

void kv_memtable_undo(struct kv_memtable *mem, const struct kv_mem_change *change)
{
    assert(kv_mem_change_is_last(change));
    atomic_store_explicit(&change->entry->newest, change->version->older,
                          memory_order_release);
    count(mem, change->db, change->version, (size_t)-1);
}

bool kv_mem_change_is_last(const struct kv_mem_change *change)
{
    return atomic_load_explicit(&change->entry->newest, memory_order_relaxed) ==
           change->version;
}

struct kv_slice kv_mem_change_key(const struct kv_mem_change *change)
{
    return key_of(change->entry);
}

static struct kv_slice value_of(const struct kv_mem_version *version)
{
    return (struct kv_slice){version->value, version->size};
}

bool kv_mem_change_deletes(const struct kv_mem_change *change, struct kv_slice *ret)
{
    *ret = value_of(change->version);
    return change->version->deleted;
}

/* -- Readers -- */

/* What a snapshot sees of an entry; NULL: nothing. */
static const struct kv_mem_version *seen(const struct kv_mem_entry *entry,
                                         uint64_t number)
{
    const struct kv_mem_version *version =
        atomic_load_explicit(&entry->newest, memory_order_acquire);
    while (version && version->number > number)
        version = version->older;
    return version;
}

int kv_memtable_get(const struct kv_memtable *mem, enum kv_db db, struct kv_slice key,
                    uint64_t number, struct kv_slice *ret)
{
    const struct kv_mem_entry *entry = find_from(mem, db, key);
    if (!entry || kv_slice_compare(key_of(entry), key) != 0)
        return -ENOENT;
    const struct kv_mem_version *version = seen(entry, number);
    if (!version)
        return -ENOENT;
    *ret = value_of(version);
    return version->deleted ? -ENODATA : 0;
}

/* Stand on an entry if the snapshot sees something of it. */
static bool stand(struct kv_mem_cursor *cursor, const struct kv_mem_entry *entry)
{
    const struct kv_mem_version *version = seen(entry, cursor->number);
    if (!version)
        return false;
    cursor->entry = entry;
    cursor->key = key_of(entry);
    cursor->value = value_of(version);
    cursor->deleted = version->deleted;
    return true;
}

/* Stand on this entry, or the next behind it that can be stood on. */
static bool stand_from(struct kv_mem_cursor *cursor, const struct kv_mem_entry *entry)
{
    while (entry && !stand(cursor, entry))
        entry = follow(&entry->next[0]);
    if (!entry)
        cursor->entry = NULL;
    return entry;
}

/* The same in the other direction. There are no links back: each step seeks. */
static bool stand_until(struct kv_mem_cursor *cursor, const struct kv_mem_entry *entry)
{
    while (entry && !stand(cursor, entry)) {
        struct kv_slice key = key_of(entry);
        entry = find_before(cursor->mem, cursor->db, &key);
    }
    if (!entry)
        cursor->entry = NULL;
    return entry;
}

bool kv_mem_cursor_before(struct kv_mem_cursor *cursor, struct kv_slice key)
{
    return stand_until(cursor, find_before(cursor->mem, cursor->db, &key));
}

bool kv_mem_cursor_move(struct kv_mem_cursor *cursor, enum kv_move move,
                        struct kv_slice from)
{
    const struct kv_memtable *mem = cursor->mem;
    switch (move) {
    case KV_MOVE_LAST:
        return stand_until(cursor, find_before(mem, cursor->db, NULL));
    case KV_MOVE_PREV:
        return kv_mem_cursor_before(cursor, cursor->key);
    case KV_MOVE_NEXT:
        return stand_from(cursor, follow(&cursor->entry->next[0]));
    case KV_MOVE_SEEK:
        return stand_from(cursor, find_from(mem, cursor->db, from));
    case KV_MOVE_FIRST:
        break;
    }
    return stand_from(cursor, follow(&mem->heads[cursor->db][0]));
}
