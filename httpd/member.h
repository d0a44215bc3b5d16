#ifndef KV_HTTPD_MEMBER_H
#define KV_HTTPD_MEMBER_H

/* The members of JSON objects that clients send, taken apart in one pass. What is wrong
 * with one is told as a text for the client: it names the member and the rule. Pure
 * functions. Any thread. */

#include "base/buf.h"
#include "base/jsonread.h"

/* Find the values of an object's members: ret[i] is that of names[i] (NULL-terminated),
 * empty (data NULL) when it is not there. 0; -EINVAL: no object, or a member that is
 * unknown or comes twice, and the rule is appended. */
int kv_members(struct kv_span object, const char *const *names, struct kv_span *ret,
               struct kv_buf *rule);

/* Append the bytes of a string; encoding (empty: none) must be "base64" or "utf-8". 0,
 * -EINVAL and the rule. Memory trouble sticks to out. */
int kv_member_bytes(const char *name, struct kv_span value, struct kv_span encoding,
                    struct kv_buf *out, struct kv_buf *rule);

/* A whole number, also as a string of its digits, because many writers of JSON have no
 * 64 bits. 0, -EINVAL and the rule. */
int kv_member_u64(const char *name, struct kv_span value, uint64_t *ret,
                  struct kv_buf *rule);
int kv_member_i64(const char *name, struct kv_span value, int64_t *ret,
                  struct kv_buf *rule);

/* true or false. */
int kv_member_bool(const char *name, struct kv_span value, bool *ret,
                   struct kv_buf *rule);

/* A duration from now (field.h), as the time at which it will be over. */
int kv_member_ttl(const char *name, struct kv_span value, int64_t *ret_expiry_ns,
                  struct kv_buf *rule);

#endif
