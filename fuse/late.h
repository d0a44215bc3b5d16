#ifndef KV_FUSE_LATE_H
#define KV_FUSE_LATE_H

/* Names whose events the notifier repeated too late to be true: something newer had
 * happened to the name already. If that was done through this mount, the kernel has
 * announced it before, and a watcher would be left with the older state as the last
 * it heard. So the mount's own events of such names are repeated as well, until one is
 * repeated in time. Notifier thread only. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_LATE_MAX 1024 /* beyond, the oldest is forgotten */

struct kv_late {
    struct {
        uint64_t parent, hash;
    } names[KV_LATE_MAX];
    size_t count;
};

bool kv_late_has(const struct kv_late *late, uint64_t parent, const char *name,
                 size_t len);
void kv_late_set(struct kv_late *late, uint64_t parent, const char *name, size_t len,
                 bool is_late);

#endif
