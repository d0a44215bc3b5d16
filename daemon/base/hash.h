#ifndef KV_BASE_HASH_H
#define KV_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Hash of some bytes under a key drawn at random once in each process, so that nobody
 * outside can choose keys that collide. Values are not stable between runs: never
 * store them. Any thread. */
uint64_t kv_hash(const void *data, size_t len);

/* Checksum of some bytes, the same for ever: what is on disk may carry it. Against
 * accidents, not against people. Any thread. */
uint64_t kv_checksum(const void *data, size_t len);

#endif
