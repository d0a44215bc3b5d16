/* See wal.h. A record on disk, little-endian:
 *
 *     u64 checksum of all that follows
 *     u64 checksum of the record before
 *     u64 number of the commit
 *     u64 bytes that follow
 *     changes: u8 table and deletion, u32 bytes of the key, u64 bytes of the value,
 *              key, value */
#include "store/wal.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#define FILES 2
/* A file that a large commit made longer than this is cut when it is used again. */
#define KEPT_BYTES (off_t)(64 << 20)
/* So much of the buffer is kept from record to record. */
#define KEPT_BUFFER_BYTES (1u << 20)

struct header {
    uint64_t checksum, previous, number, bytes;
};

struct change_head {
    uint8_t db_and_deletes;
    uint32_t key_bytes;
    uint64_t value_bytes;
} __attribute__((packed));

enum { DELETES = 1 << 7 };

struct kv_wal {
    int fds[FILES];
    unsigned current;
    off_t end; /* of the log in the current file */
    uint64_t previous;
    enum kv_sync sync;
    bool broken;          /* a write or a sync failed */
    struct kv_buf record; /* that is being built, header and all */
};

/* -- Files -- */

static int open_file(const char *dir, unsigned which, int *ret)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf path = {0};
    kv_buf_addf(&path, "%s/wal.%u", dir, which);
    kv_buf_addc(&path, '\0');
    if (kv_buf_error(&path))
        return -ENOMEM;
    *ret = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return *ret < 0 ? -errno : 0;
}

int kv_wal_open(const char *dir, enum kv_sync sync, struct kv_wal **ret)
{
    KV_CLEANUP(kv_wal_closep) struct kv_wal *wal = calloc(1, sizeof(*wal));
    if (!wal)
        return -ENOMEM;
    wal->sync = sync;
    for (unsigned i = 0; i < FILES; i++)
        wal->fds[i] = -1;
    for (unsigned i = 0; i < FILES; i++) {
        int err = open_file(dir, i, &wal->fds[i]);
        if (err)
            return err;
    }
    *ret = KV_STEAL(wal);
    return 0;
}

void kv_wal_close(struct kv_wal *wal)
{
    if (!wal)
        return;
    for (unsigned i = 0; i < FILES; i++)
        kv_close(&wal->fds[i]);
    kv_buf_done(&wal->record);
    free(wal);
}

static int write_all(int fd, const char *data, size_t len, off_t offset)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        data += n;
        len -= (size_t)n;
        offset += n;
    }
    return 0;
}

/* *ret_len: less than len at the end of the file. */
static int read_all(int fd, char *data, size_t len, off_t offset, size_t *ret_len)
{
    *ret_len = 0;
    while (*ret_len < len) {
        ssize_t n =
            pread(fd, data + *ret_len, len - *ret_len, offset + (off_t)*ret_len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        *ret_len += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* -- Replay -- */

struct replay {
    struct kv_wal *wal;
    struct kv_wal_position *position;
    kv_wal_change_fn *fn;
    void *ctx;
    struct kv_buf record;
    struct header header;
};

static uint64_t checksum_of(const char *record, size_t len)
{
    return kv_checksum(record + sizeof(uint64_t), len - sizeof(uint64_t));
}

/* Read the record at an offset. -ENODATA: there is no whole one. */
static int read_record(struct replay *replay, int fd, off_t offset)
{
    struct header *header = &replay->header;
    struct stat st;
    size_t len;
    int err = read_all(fd, (char *)header, sizeof(*header), offset, &len);
    if (err || len < sizeof(*header) || header->number == 0)
        return err ? err : -ENODATA;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (header->bytes > (uint64_t)(st.st_size - offset) - sizeof(*header))
        return -ENODATA;
    size_t whole = sizeof(*header) + (size_t)header->bytes;
    err = kv_buf_resize(&replay->record, whole);
    if (!err)
        err = read_all(fd, replay->record.data, whole, offset, &len);
    if (err)
        return err;
    return len == whole && checksum_of(replay->record.data, whole) == header->checksum
               ? 0
               : -ENODATA;
}

static int take_slice(const char **at, const char *end, uint64_t len,
                      struct kv_slice *ret)
{
    if (len > (uint64_t)(end - *at))
        return -EIO;
    *ret = (struct kv_slice){*at, (size_t)len};
    *at += len;
    return 0;
}

/* Hand out the changes of the record. Its checksum is right, so whatever does not fit
 * is a fault of ours, or damage that is not to be passed over. */
static int repeat(struct replay *replay)
{
    const char *at = replay->record.data + sizeof(struct header);
    const char *end = replay->record.data + replay->record.len;
    int err = 0;
    while (at < end && !err) {
        struct change_head head;
        struct kv_slice raw, key, value;
        err = take_slice(&at, end, sizeof(head), &raw);
        if (err)
            break;
        memcpy(&head, raw.data, sizeof(head));
        unsigned db = head.db_and_deletes & (DELETES - 1u);
        err = take_slice(&at, end, head.key_bytes, &key);
        if (!err)
            err = take_slice(&at, end, head.value_bytes, &value);
        if (!err && db >= KV_DB_COUNT)
            err = -EIO;
        if (!err)
            err = replay->fn(replay->ctx, (enum kv_db)db, key,
                             head.db_and_deletes & DELETES, value);
    }
    return err;
}

/* Whether the record comes behind another one of its file. */
static bool follows(const struct replay *replay, const struct kv_wal_position *before)
{
    return replay->header.previous == before->checksum &&
           replay->header.number == before->number + 1;
}

/* Where the log ends is a record that is not whole. One that is, and continues that,
 * can only be there when the former was whole once. */
static void look_for_damage(struct replay *replay, int fd, off_t offset)
{
    const struct header bad = replay->header;
    if (bad.number != replay->position->number + 1 || bad.bytes > INT64_MAX / 2 ||
        read_record(replay, fd, offset + (off_t)(sizeof(bad) + bad.bytes)) != 0 ||
        replay->header.previous != bad.checksum)
        return;
    kv_error("the write-ahead log is damaged behind commit %" PRIu64
             ": what was committed later is lost",
             replay->position->number);
}

/* Repeat the records of one file that the position does not hold. */
static int replay_file(struct replay *replay, unsigned which)
{
    struct kv_wal_position *position = replay->position, before = {0};
    int err, fd = replay->wal->fds[which];
    off_t offset = 0;
    while ((err = read_record(replay, fd, offset)) == 0 &&
           (offset == 0 || follows(replay, &before))) {
        before =
            (struct kv_wal_position){replay->header.number, replay->header.checksum};
        offset += (off_t)(sizeof(struct header) + replay->header.bytes);
        if (before.number <= position->number)
            continue;
        if (!follows(replay, position))
            return 0;
        err = repeat(replay);
        if (err)
            return err;
        *position = before;
        replay->wal->current = which;
        replay->wal->end = offset;
    }
    if (err == -ENODATA)
        look_for_damage(replay, fd, offset);
    return err == -ENODATA ? 0 : err;
}

/* The number of a file's first record; 0: none. */
static int first_number(struct replay *replay, int fd, uint64_t *ret)
{
    int err = read_record(replay, fd, 0);
    *ret = err ? 0 : replay->header.number;
    return err == -ENODATA ? 0 : err;
}

int kv_wal_replay(struct kv_wal *wal, struct kv_wal_position *position,
                  kv_wal_change_fn *fn, void *ctx)
{
    struct replay replay = {.wal = wal, .position = position, .fn = fn, .ctx = ctx};
    uint64_t numbers[FILES] = {0};
    int err = 0;
    for (unsigned i = 0; i < FILES && !err; i++)
        err = first_number(&replay, wal->fds[i], &numbers[i]);
    unsigned older = numbers[1] < numbers[0];
    for (unsigned i = 0; i < FILES && !err; i++)
        err = replay_file(&replay, (older + i) % FILES);
    kv_buf_done(&replay.record);
    wal->previous = position->checksum;
    return err;
}

/* -- Append -- */

void kv_wal_begin(struct kv_wal *wal, uint64_t number)
{
    struct header header = {.number = number};
    kv_buf_reset(&wal->record);
    kv_buf_add(&wal->record, &header, sizeof(header));
}

void kv_wal_add(struct kv_wal *wal, enum kv_db db, struct kv_slice key, bool deletes,
                struct kv_slice value)
{
    struct change_head head = {
        .db_and_deletes = (uint8_t)(db | (deletes ? DELETES : 0)),
        .key_bytes = (uint32_t)key.len,
        .value_bytes = deletes ? 0 : value.len,
    };
    kv_buf_add(&wal->record, &head, sizeof(head));
    kv_buf_add(&wal->record, key.data, key.len);
    if (!deletes)
        kv_buf_add(&wal->record, value.data, value.len);
}

/* A record that may be on disk although nobody was told so: it shall not come back, if
 * that can be helped. */
static void break_off(struct kv_wal *wal)
{
    static const struct header none;
    wal->broken = true;
    (void)write_all(wal->fds[wal->current], (const char *)&none, sizeof(none),
                    wal->end);
}

static int append(struct kv_wal *wal)
{
    struct kv_buf *record = &wal->record;
    struct header *header = (struct header *)record->data;
    int fd = wal->fds[wal->current];
    header->previous = wal->previous;
    header->bytes = record->len - sizeof(*header);
    header->checksum = checksum_of(record->data, record->len);
    int err = write_all(fd, record->data, record->len, wal->end);
    if (err == -ENOSPC || err == -EDQUOT)
        return -ENOSPC;
    if (err || (wal->sync == KV_SYNC_ALWAYS && fdatasync(fd) < 0)) {
        break_off(wal);
        return -EIO;
    }
    wal->previous = header->checksum;
    wal->end += (off_t)record->len;
    return 0;
}

int kv_wal_append(struct kv_wal *wal)
{
    int err = wal->broken ? -EIO : kv_buf_error(&wal->record);
    if (!err)
        err = append(wal);
    if (wal->record.cap > KEPT_BUFFER_BYTES)
        kv_buf_done(&wal->record);
    return err;
}

uint64_t kv_wal_checksum(const struct kv_wal *wal)
{
    return wal->previous;
}

/* Where a commit of unusual size made the file long; that it cannot be cut costs space
 * alone. */
static void shorten(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_size > KEPT_BYTES && ftruncate(fd, KEPT_BYTES) < 0)
        kv_debug("a file of the write-ahead log stays long: %s", kv_strerror(-errno));
}

void kv_wal_restart(struct kv_wal *wal)
{
    wal->current = (wal->current + 1) % FILES;
    wal->end = 0;
    shorten(wal->fds[wal->current]);
}

int kv_wal_sync(struct kv_wal *wal)
{
    for (unsigned i = 0; i < FILES; i++)
        if (fdatasync(wal->fds[i]) < 0)
            return -errno;
    return 0;
}
