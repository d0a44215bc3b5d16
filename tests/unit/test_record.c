#include "store/record.h"

#include "alloc.h"
#include "fixture.h"
#include "suite.h"

static struct kv_record_parts parts_of_everything(void)
{
    return (struct kv_record_parts){
        .meta = {.id = 9,
                 .create_revision = 2,
                 .mod_revision = 5,
                 .version = 3,
                 .size = 999,
                 .mtime_ns = 11,
                 .ctime_ns = 12,
                 .expiry_ns = 13,
                 .mode = S_IFREG | 0640,
                 .uid = 1,
                 .gid = 2},
        .key = "app/key",
        .key_len = 7,
        .xattrs = "\1\1\0ax",
        .xattrs_len = 5,
        .value = "a\0b",
        .value_len = 3,
    };
}

START_TEST(record_holds_copies_of_its_parts)
{
    struct kv_record_parts parts = parts_of_everything();
    char key[] = "app/key", value[] = "a\0b";
    parts.key = key;
    parts.value = value;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = kv_record_new(&parts);
    memset(key, 'x', sizeof(key));
    memset(value, 'x', sizeof(value));
    ck_assert_str_eq(record->key, "app/key");
    ck_assert_uint_eq(record->key_len, 7);
    ck_assert_bytes(record->xattrs, record->xattrs_len, "\1\1\0ax");
    ck_assert_bytes(record->value, record->meta.size, "a\0b");
    ck_assert(!record->bare);
    ck_assert_uint_eq(record->meta.id, 9);
    ck_assert_uint_eq(record->meta.create_revision, 2);
    ck_assert_uint_eq(record->meta.mod_revision, 5);
    ck_assert_uint_eq(record->meta.version, 3);
    ck_assert_int_eq(record->meta.mtime_ns, 11);
    ck_assert_int_eq(record->meta.ctime_ns, 12);
    ck_assert_int_eq(record->meta.expiry_ns, 13);
    ck_assert_uint_eq(record->meta.mode, S_IFREG | 0640);
    ck_assert_uint_eq(record->meta.uid, 1);
    ck_assert_uint_eq(record->meta.gid, 2);
    ck_assert_ptr_null(kv_record_attachment(record));
}
END_TEST

START_TEST(record_may_be_empty)
{
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *root = kv_record_new(&(struct kv_record_parts){
        .meta = {.id = KV_ROOT_ID, .mode = S_IFDIR | 0755, .size = 4},
    });
    ck_assert_str_eq(root->key, "");
    ck_assert_uint_eq(root->meta.size, 0);
    ck_assert_ptr_nonnull(root->value);
    ck_assert(kv_record_is_dir(root));
    ck_assert(!kv_record_is_link(root));
}
END_TEST

START_TEST(record_bare_has_a_size_and_no_value)
{
    struct kv_record_parts parts = parts_of_everything();
    parts.bare = true;
    parts.value_len = SIZE_MAX;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = kv_record_new(&parts);
    ck_assert(record->bare);
    ck_assert_ptr_null(record->value);
    ck_assert_uint_eq(record->meta.size, 999);
    struct kv_meta meta = record->meta;
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *copy = kv_record_copy(record, &meta, NULL, 0);
    ck_assert(copy->bare);
    ck_assert_ptr_null(copy->value);
    ck_assert_uint_eq(copy->meta.size, 999);
}
END_TEST

START_TEST(record_copy_changes_metadata_alone)
{
    struct kv_record_parts parts = parts_of_everything();
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = kv_record_new(&parts);
    struct kv_meta meta = record->meta;
    meta.mode = S_IFLNK | 0777;
    meta.size = 12345;
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *copy = kv_record_copy(record, &meta, NULL, 0);
    ck_assert_ptr_ne(copy, record);
    ck_assert(kv_record_is_link(copy));
    ck_assert(!kv_record_is_link(record));
    ck_assert_str_eq(copy->key, "app/key");
    ck_assert_bytes(copy->xattrs, copy->xattrs_len, "\1\1\0ax");
    ck_assert_bytes(copy->value, copy->meta.size, "a\0b");
}
END_TEST

START_TEST(record_copy_gives_another_key)
{
    struct kv_record_parts parts = parts_of_everything();
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = kv_record_new(&parts);
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *copy =
        kv_record_copy(record, &record->meta, KV_LIT("longer/name"));
    ck_assert_str_eq(copy->key, "longer/name");
    ck_assert_str_eq(record->key, "app/key");
    ck_assert_bytes(copy->value, copy->meta.size, "a\0b");
    ck_assert_uint_eq(copy->meta.id, 9);
}
END_TEST

START_TEST(record_expires_at_its_time)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = fixture_record("k", "v");
    ck_assert(!kv_record_expired(record, INT64_MAX));
    record->meta.expiry_ns = 100;
    ck_assert(!kv_record_expired(record, 99));
    ck_assert(kv_record_expired(record, 100));
    ck_assert(kv_record_expired(record, 101));
}
END_TEST

START_TEST(record_footprint_covers_everything_it_holds)
{
    static const char value[100000];
    KV_CLEANUP(kv_record_unrefp) struct kv_record *small = fixture_record("k", "v");
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *large = fixture_record_sized("k", value, sizeof(value));
    ck_assert_uint_ge(kv_record_footprint(small), sizeof(struct kv_record) + 3);
    ck_assert_uint_lt(kv_record_footprint(small), sizeof(struct kv_record) + 200);
    ck_assert_uint_ge(kv_record_footprint(large),
                      sizeof(struct kv_record) + sizeof(value) + 2);
    ck_assert_uint_eq(kv_record_footprint(large), kv_record_footprint(large));
}
END_TEST

START_TEST(record_without_memory_is_null)
{
    struct kv_record_parts parts = parts_of_everything();
    kv_alloc_fail_nth(1);
    ck_assert_ptr_null(kv_record_new(&parts));
    ck_assert(kv_alloc_fail_stop());
    parts.value_len = SIZE_MAX - 10;
    ck_assert_ptr_null(kv_record_new(&parts));
    parts.value_len = PTRDIFF_MAX;
    ck_assert_ptr_null(kv_record_new(&parts));
    parts.value_len = 3;
    parts.key_len = (size_t)UINT32_MAX + 1;
    ck_assert_ptr_null(kv_record_new(&parts));
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = fixture_record("k", "v");
    kv_alloc_fail_nth(1);
    ck_assert_ptr_null(kv_record_copy(record, &record->meta, NULL, 0));
    ck_assert(kv_alloc_fail_stop());
}
END_TEST

static atomic_int attachments_freed;

static void count_freed(void *attachment)
{
    (void)attachment;
    atomic_fetch_add(&attachments_freed, 1);
}

START_TEST(record_frees_its_attachment_with_the_last_reference)
{
    atomic_store(&attachments_freed, 0);
    int mine = 0, late = 0;
    struct kv_record *record = fixture_record("k", "v");
    ck_assert_ptr_eq(kv_record_attach(record, &mine, count_freed), &mine);
    ck_assert_ptr_eq(kv_record_attach(record, &late, count_freed), &mine);
    ck_assert_ptr_eq(kv_record_attachment(record), &mine);
    ck_assert_ptr_eq(kv_record_ref(record), record);
    kv_record_unref(record);
    ck_assert_int_eq(atomic_load(&attachments_freed), 0);
    kv_record_unref(record);
    ck_assert_int_eq(atomic_load(&attachments_freed), 1);
    kv_record_unref(NULL);
}
END_TEST

#define THREADS 4
#define ROUNDS 2000

struct race {
    pthread_barrier_t barrier;
    struct kv_record *records[ROUNDS];
    atomic_int lost; /* attachments that another thread's came before */
};

static void *attach_and_unref(void *arg)
{
    struct race *race = arg;
    pthread_barrier_wait(&race->barrier);
    for (int i = 0; i < ROUNDS; i++) {
        KV_CLEANUP(kv_record_unrefp) struct kv_record *record = race->records[i];
        int *mine = malloc(sizeof(*mine));
        *mine = i;
        int *first = kv_record_attach(record, mine, free);
        if (first != mine) {
            atomic_fetch_add(&race->lost, 1);
            free(mine);
        }
        if (*first != i)
            abort();
    }
    return NULL;
}

/* What leaks or is freed twice is the address sanitizer's to tell, what races the
 * thread sanitizer's. */
START_TEST(record_is_shared_by_threads)
{
    static struct race race;
    atomic_store(&race.lost, 0);
    pthread_barrier_init(&race.barrier, NULL, THREADS);
    for (int i = 0; i < ROUNDS; i++) {
        race.records[i] = fixture_record("k", "v");
        for (int t = 1; t < THREADS; t++)
            kv_record_ref(race.records[i]);
    }
    pthread_t threads[THREADS];
    for (int t = 0; t < THREADS; t++)
        ck_assert_int_eq(pthread_create(&threads[t], NULL, attach_and_unref, &race), 0);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    pthread_barrier_destroy(&race.barrier);
    ck_assert_int_eq(atomic_load(&race.lost), ROUNDS * (THREADS - 1));
}
END_TEST

KV_SUITE("record", record_holds_copies_of_its_parts, record_may_be_empty,
         record_bare_has_a_size_and_no_value, record_copy_changes_metadata_alone,
         record_copy_gives_another_key, record_expires_at_its_time,
         record_footprint_covers_everything_it_holds, record_without_memory_is_null,
         record_frees_its_attachment_with_the_last_reference,
         record_is_shared_by_threads)
