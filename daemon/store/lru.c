/* The record cache: shards, each a chained hash table and a recency list behind one
 * mutex.
 *
 * A hit is the path that matters: lock, find, move to the front, reference, unlock; no
 * allocation, no call out. Everything that frees (an entry that is evicted, replaced or
 * forgotten may hold the last reference to a large record) collects its entries in a
 * local list under the lock and frees them behind it.
 *
 * Coherence rests on `floor`: the newest snapshot whose commit changed a key of the
 * shard. What a reader brings from an older snapshot may be what that commit replaced,
 * so it is refused. One number for a shard instead of one for each key refuses a few
 * fills more than it must, only while a reader and a commit overlap, and needs no
 * memory for keys that are not cached.
 *
 * Each shard's lock guards all of the shard; no other lock is taken under it. */
#include "store/lru.h"

#include "base/hash.h"
#include "base/list.h"

#include <assert.h>
#include <string.h>

#define SHARDS_MAX 16
/* A shard smaller than this would refuse records of ordinary size. */
#define SHARD_MIN_BYTES ((size_t)64 * 1024)
#define BUCKETS_MIN 64
/* An entry's share of the table, which is between half full and full when it grows, and
 * what malloc keeps in front of the entry. */
#define ENTRY_EXTRA_BYTES (3 * sizeof(void *))

struct entry {
    struct kv_list_node recency; /* in the shard's list; newest in front */
    struct entry *chain;         /* next in the bucket */
    uint64_t hash;
    struct kv_record *record; /* NULL: the key is known to be absent */
    size_t bytes;             /* what the entry counts for, its record included */
    size_t key_len;
    char key[]; /* of an absent key only; a record has its own */
};

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    struct entry **buckets;
    size_t bucket_count; /* a power of two */
    struct kv_list_node recency;
    size_t bytes, entries;
    uint64_t floor;        /* fills from older snapshots are refused */
    uint64_t floor_before; /* the floor to return to when that commit fails */
    uint64_t hits, misses, evictions;
};

struct kv_lru {
    size_t max_bytes;
    size_t shard_max_bytes;
    size_t shard_count; /* a power of two */
    struct shard shards[];
};

static struct entry *entry_of(struct kv_list_node *node)
{
    return KV_CONTAINER_OF(node, struct entry, recency);
}

static void entry_free(struct entry *entry)
{
    kv_record_unref(entry->record);
    free(entry);
}

/* An entry with its own reference to record; NULL when it is too large for a shard or
 * memory runs out. */
static struct entry *entry_new(const struct kv_lru *lru, uint64_t hash, const void *key,
                               size_t len, struct kv_record *record)
{
    assert(!record || record->key_len == len);
    size_t own_key_len = record ? 0 : len;
    size_t bytes = sizeof(struct entry) + own_key_len + ENTRY_EXTRA_BYTES;
    if (record)
        bytes += kv_record_footprint(record);
    if (bytes > lru->shard_max_bytes / 2)
        return NULL;
    struct entry *entry = malloc(sizeof(*entry) + own_key_len);
    if (!entry)
        return NULL;
    *entry = (struct entry){.hash = hash, .bytes = bytes, .key_len = len};
    if (record)
        entry->record = kv_record_ref(record);
    else if (len > 0)
        memcpy(entry->key, key, len);
    return entry;
}

static void free_all(struct kv_list_node *doomed)
{
    KV_LIST_FOREACH(node, doomed)
    entry_free(entry_of(node));
}

/* The high bits choose the shard, the low ones the bucket. */
static struct shard *shard_of(struct kv_lru *lru, uint64_t hash)
{
    return &lru->shards[(hash >> 56) & (lru->shard_count - 1)];
}

static struct entry **bucket_of(struct shard *shard, uint64_t hash)
{
    return &shard->buckets[hash & (shard->bucket_count - 1)];
}

static bool entry_is(const struct entry *entry, uint64_t hash, const void *key,
                     size_t len)
{
    if (entry->hash != hash || entry->key_len != len)
        return false;
    const char *own = entry->record ? entry->record->key : entry->key;
    return len == 0 || memcmp(own, key, len) == 0;
}

/* The link that points to the key's entry, or to NULL when it has none. */
static struct entry **find_locked(struct shard *shard, uint64_t hash, const void *key,
                                  size_t len)
{
    struct entry **link = bucket_of(shard, hash);
    while (*link && !entry_is(*link, hash, key, len))
        link = &(*link)->chain;
    return link;
}

/* Move the entry behind link from the shard to doomed. */
static void doom_locked(struct shard *shard, struct entry **link,
                        struct kv_list_node *doomed)
{
    struct entry *entry = *link;
    *link = entry->chain;
    kv_list_remove(&entry->recency);
    kv_list_push_back(doomed, &entry->recency);
    shard->bytes -= entry->bytes;
    shard->entries--;
}

static void forget_locked(struct shard *shard, uint64_t hash, const void *key,
                          size_t len, struct kv_list_node *doomed)
{
    struct entry **link = find_locked(shard, hash, key, len);
    if (*link)
        doom_locked(shard, link, doomed);
}

/* Double the table. When memory runs out the chains grow instead. */
static void grow_locked(struct shard *shard)
{
    size_t count = shard->bucket_count * 2;
    struct entry **buckets = calloc(count, sizeof(struct entry *));
    if (!buckets)
        return;
    free(shard->buckets);
    shard->buckets = buckets;
    shard->bucket_count = count;
    KV_LIST_FOREACH(node, &shard->recency)
    {
        struct entry *entry = entry_of(node);
        struct entry **bucket = bucket_of(shard, entry->hash);
        entry->chain = *bucket;
        *bucket = entry;
    }
}

static void insert_locked(struct shard *shard, struct entry *entry)
{
    if (shard->entries >= shard->bucket_count)
        grow_locked(shard);
    struct entry **bucket = bucket_of(shard, entry->hash);
    entry->chain = *bucket;
    *bucket = entry;
    kv_list_push_front(&shard->recency, &entry->recency);
    shard->bytes += entry->bytes;
    shard->entries++;
}

static void evict_locked(struct shard *shard, size_t max_bytes,
                         struct kv_list_node *doomed)
{
    while (shard->bytes > max_bytes) {
        struct entry *oldest = entry_of(shard->recency.prev);
        struct entry **link = bucket_of(shard, oldest->hash);
        while (*link != oldest)
            link = &(*link)->chain;
        doom_locked(shard, link, doomed);
        shard->evictions++;
    }
}

static int shard_init(struct shard *shard)
{
    kv_list_init(&shard->recency);
    shard->bucket_count = BUCKETS_MIN;
    shard->buckets = calloc(BUCKETS_MIN, sizeof(struct entry *));
    if (!shard->buckets)
        return -1;
    if (pthread_mutex_init(&shard->lock, NULL) == 0)
        return 0;
    free(shard->buckets);
    return -1;
}

static void shard_done(struct shard *shard)
{
    free_all(&shard->recency);
    free(shard->buckets);
    pthread_mutex_destroy(&shard->lock);
}

struct kv_lru *kv_lru_new(size_t max_bytes)
{
    size_t count = SHARDS_MAX;
    while (count > 1 && max_bytes / count < SHARD_MIN_BYTES)
        count /= 2;
    size_t size = sizeof(struct kv_lru) + count * sizeof(struct shard);
    struct kv_lru *lru = aligned_alloc(_Alignof(struct kv_lru), size);
    if (!lru)
        return NULL;
    memset(lru, 0, size);
    lru->max_bytes = max_bytes;
    lru->shard_max_bytes = max_bytes / count;
    for (; lru->shard_count < count; lru->shard_count++) {
        if (shard_init(&lru->shards[lru->shard_count])) {
            kv_lru_free(lru);
            return NULL;
        }
    }
    return lru;
}

void kv_lru_free(struct kv_lru *lru)
{
    if (!lru)
        return;
    for (size_t i = 0; i < lru->shard_count; i++)
        shard_done(&lru->shards[i]);
    free(lru);
}

enum kv_lru_answer kv_lru_get(struct kv_lru *lru, const void *key, size_t len,
                              struct kv_record **ret)
{
    uint64_t hash = kv_hash(key, len);
    struct shard *shard = shard_of(lru, hash);
    KV_SCOPED_LOCK(&shard->lock);
    struct entry *entry = *find_locked(shard, hash, key, len);
    if (!entry) {
        shard->misses++;
        return KV_LRU_MISS;
    }
    shard->hits++;
    if (shard->recency.next != &entry->recency) {
        kv_list_remove(&entry->recency);
        kv_list_push_front(&shard->recency, &entry->recency);
    }
    if (!entry->record)
        return KV_LRU_ABSENT;
    *ret = kv_record_ref(entry->record);
    return KV_LRU_HIT;
}

void kv_lru_fill(struct kv_lru *lru, const void *key, size_t len,
                 struct kv_record *record, uint64_t snapshot)
{
    uint64_t hash = kv_hash(key, len);
    struct shard *shard = shard_of(lru, hash);
    struct entry *entry = entry_new(lru, hash, key, len, record);
    if (!entry)
        return;
    struct kv_list_node doomed;
    kv_list_init(&doomed);
    kv_lock(&shard->lock);
    if (snapshot >= shard->floor && !*find_locked(shard, hash, key, len)) {
        insert_locked(shard, entry);
        evict_locked(shard, lru->shard_max_bytes, &doomed);
    } else {
        kv_list_push_back(&doomed, &entry->recency);
    }
    kv_unlock(&shard->lock);
    free_all(&doomed);
}

void kv_lru_hold(struct kv_lru *lru, const void *key, size_t len, uint64_t snapshot)
{
    uint64_t hash = kv_hash(key, len);
    struct shard *shard = shard_of(lru, hash);
    struct kv_list_node doomed;
    kv_list_init(&doomed);
    kv_lock(&shard->lock);
    forget_locked(shard, hash, key, len, &doomed);
    if (snapshot > shard->floor) {
        shard->floor_before = shard->floor;
        shard->floor = snapshot;
    }
    kv_unlock(&shard->lock);
    free_all(&doomed);
}

void kv_lru_publish(struct kv_lru *lru, const void *key, size_t len,
                    struct kv_record *record)
{
    uint64_t hash = kv_hash(key, len);
    struct shard *shard = shard_of(lru, hash);
    /* NULL, for whatever reason, only means that nothing is cached. */
    struct entry *entry = entry_new(lru, hash, key, len, record);
    struct kv_list_node doomed;
    kv_list_init(&doomed);
    kv_lock(&shard->lock);
    /* A reader may have filled from the new snapshot in the meantime. */
    forget_locked(shard, hash, key, len, &doomed);
    if (entry) {
        insert_locked(shard, entry);
        evict_locked(shard, lru->shard_max_bytes, &doomed);
    }
    kv_unlock(&shard->lock);
    free_all(&doomed);
}

void kv_lru_release(struct kv_lru *lru, uint64_t snapshot)
{
    for (size_t i = 0; i < lru->shard_count; i++) {
        struct shard *shard = &lru->shards[i];
        KV_SCOPED_LOCK(&shard->lock);
        if (shard->floor == snapshot)
            shard->floor = shard->floor_before;
    }
}

void kv_lru_stats(struct kv_lru *lru, struct kv_lru_stats *ret)
{
    struct kv_lru_stats stats = {.max_bytes = lru->max_bytes};
    for (size_t i = 0; i < lru->shard_count; i++) {
        struct shard *shard = &lru->shards[i];
        KV_SCOPED_LOCK(&shard->lock);
        stats.hits += shard->hits;
        stats.misses += shard->misses;
        stats.evictions += shard->evictions;
        stats.bytes += shard->bytes;
        stats.entries += shard->entries;
    }
    *ret = stats;
}
