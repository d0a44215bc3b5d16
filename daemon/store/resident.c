/* Dropping touched pages of the map; see resident.h. Each look at the map may bring in
 * 16 pages around it (the kernel maps what is in its cache nearby), so counting looks
 * bounds the growth between two checks without asking the kernel each time. */
#include "store/resident.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Looks between two checks: at most 16 MiB more, at 64 KiB each. */
#define CHECK_EVERY 256

static void close_file(FILE **file)
{
    if (*file)
        (void)fclose(*file);
}

/* LMDB tells the address of its map only for MDB_FIXEDMAP; the kernel tells always. */
static int find_map(struct kv_resident *resident, const char *file)
{
    KV_CLEANUP(kv_free) char *name = realpath(file, NULL);
    KV_CLEANUP(close_file) FILE *maps = fopen("/proc/self/maps", "re");
    if (!name || !maps)
        return -errno;
    KV_CLEANUP(kv_buf_done) struct kv_buf wanted = {0};
    kv_buf_addf(&wanted, " %s\n", name);
    kv_buf_addc(&wanted, '\0');
    if (kv_buf_error(&wanted))
        return -ENOMEM;
    KV_CLEANUP(kv_free) char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, maps) > 0) {
        uintptr_t start, end;
        if (strstr(line, wanted.data) &&
            sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &start, &end) == 2) {
            resident->map = (void *)start;
            resident->map_bytes = end - start;
        }
    }
    return 0;
}

int kv_resident_init(struct kv_resident *resident, const char *file, uint64_t max_bytes)
{
    *resident = (struct kv_resident){.max_bytes = max_bytes, .statm = -1};
    int err = find_map(resident, file);
    if (err)
        return err;
    resident->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    return resident->statm < 0 ? -errno : 0;
}

void kv_resident_done(struct kv_resident *resident)
{
    kv_close(&resident->statm);
    resident->statm = -1;
}

/* Pages of files that are mapped into this process: field 3 of /proc/self/statm. */
static int resident_bytes(const struct kv_resident *resident, uint64_t *ret)
{
    char text[128];
    ssize_t len = pread(resident->statm, text, sizeof(text) - 1, 0);
    if (len < 0)
        return -errno;
    text[len] = '\0';
    uint64_t pages;
    if (sscanf(text, "%*u %*u %" SCNu64, &pages) != 1)
        return -EIO;
    *ret = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return 0;
}

int kv_resident_trim(struct kv_resident *resident)
{
    uint64_t bytes = 0;
    int err = resident_bytes(resident, &bytes);
    if (err || bytes <= resident->max_bytes || !resident->map)
        return err;
    /* The map is shared and read-only, so dropping its pages loses nothing; whoever
     * reads one next maps it again from the page cache. */
    return madvise(resident->map, resident->map_bytes, MADV_DONTNEED) ? -errno : 0;
}

void kv_resident_touch(struct kv_resident *resident, unsigned places)
{
    unsigned before =
        atomic_fetch_add_explicit(&resident->touched, places, memory_order_relaxed);
    /* Best effort: whatever fails here fails again at the next check, and costs memory
     * that the kernel can take back. */
    if (before / CHECK_EVERY != (before + places) / CHECK_EVERY)
        (void)kv_resident_trim(resident);
}
