#include "fuse/flush.h"

void kv_flush_open(struct kv_flush *flush, bool truncated)
{
    *flush = (struct kv_flush){.truncated = truncated};
}

void kv_flush_write(struct kv_flush *flush)
{
    flush->written = true;
    flush->closed = false;
}

bool kv_flush_flush(struct kv_flush *flush, bool by_opener)
{
    if (!by_opener)
        return false;
    if (flush->written || flush->closed)
        return true;
    flush->closed = flush->truncated;
    return false;
}

bool kv_flush_rest(const struct kv_flush *flush)
{
    return kv_flush_unpublished(flush);
}

struct kv_flush kv_flush_take(struct kv_flush *flush)
{
    struct kv_flush taken = *flush;
    *flush = (struct kv_flush){0};
    return taken;
}

void kv_flush_restore(struct kv_flush *flush, struct kv_flush taken)
{
    flush->truncated |= taken.truncated;
    flush->written |= taken.written;
    flush->closed = flush->truncated && !flush->written && taken.closed;
}
