#ifndef KV_STORE_RESIDENT_H
#define KV_STORE_RESIDENT_H

/* How much of LMDB's memory map counts as resident in this process. The pages belong to
 * the kernel's page cache and would be given up under pressure anyway, but tools and
 * limits count those that a process has touched as its own; so they are let go of from
 * time to time, and the resident size stays near the bound of the record cache. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct kv_resident {
    void *map; /* NULL: not found, nothing is trimmed */
    size_t map_bytes;
    uint64_t max_bytes; /* of files resident, the program's own text included */
    int statm;          /* descriptor of /proc/self/statm */
    atomic_uint touched;
};

/* Find where the file is mapped. 0 or negative errno; kv_resident_done in both cases.
 */
int kv_resident_init(struct kv_resident *resident, const char *file,
                     uint64_t max_bytes);
void kv_resident_done(struct kv_resident *resident);

/* So many places of the map were read; trims when enough has come together that the
 * bound may be passed. Any thread. */
void kv_resident_touch(struct kv_resident *resident, unsigned places);

/* Let the map go when more than max_bytes are resident. 0 or negative errno. Any
 * thread. */
int kv_resident_trim(struct kv_resident *resident);

#endif
