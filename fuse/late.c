#include "fuse/late.h"

#include "base/hash.h"

#include <string.h>

static size_t find(const struct kv_late *late, uint64_t parent, uint64_t hash)
{
    size_t i = 0;
    while (i < late->count &&
           (late->names[i].parent != parent || late->names[i].hash != hash))
        i++;
    return i;
}

bool kv_late_has(const struct kv_late *late, uint64_t parent, const char *name,
                 size_t len)
{
    return late->count > 0 && find(late, parent, kv_hash(name, len)) < late->count;
}

static void remove_at(struct kv_late *late, size_t i)
{
    late->count--;
    memmove(&late->names[i], &late->names[i + 1],
            (late->count - i) * sizeof(late->names[0]));
}

void kv_late_set(struct kv_late *late, uint64_t parent, const char *name, size_t len,
                 bool is_late)
{
    if (!is_late && late->count == 0)
        return;
    uint64_t hash = kv_hash(name, len);
    size_t i = find(late, parent, hash);
    if (i < late->count) {
        if (!is_late)
            remove_at(late, i);
        return;
    }
    if (!is_late)
        return;
    if (late->count == KV_LATE_MAX)
        remove_at(late, 0);
    late->names[late->count].parent = parent;
    late->names[late->count].hash = hash;
    late->count++;
}
