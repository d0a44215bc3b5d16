/* XXH3, without a key as a checksum, and with one behind every hash table here.
 *
 * The key comes from the kernel.
 * XXH3 is not a cryptographic hash; the seed keeps out collisions prepared in advance,
 * and the tables it serves are bounded, so the worst a lucky guesser wins is a longer
 * chain in one shard. */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static uint64_t seed;

static void draw_seed(void)
{
    /* Cannot fail for 8 bytes once the pool is ready, and blocks until it is. */
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        abort();
}

uint64_t kv_hash(const void *data, size_t len)
{
    pthread_once(&seed_once, draw_seed);
    return XXH3_64bits_withSeed(data, len, seed);
}

uint64_t kv_checksum(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}
