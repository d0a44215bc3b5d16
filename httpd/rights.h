#ifndef KV_HTTPD_RIGHTS_H
#define KV_HTTPD_RIGHTS_H

/* What somebody may do: grants, each of which lets him read or write one directory (or
 * key) and everything below it. Grants add up; none takes anything away. Immutable once
 * made. Pure functions. Any thread. */

#include "base/buf.h"
#include "base/jsonread.h"
#include "store/key.h"

enum kv_right {
    KV_READ = 1 << 0,  /* see that it is there, its value, its changes */
    KV_WRITE = 1 << 1, /* make, change and remove it */
};

#define KV_GRANTS_MAX 32

struct kv_grant {
    char *path; /* len 0: the root, and so everything */
    size_t len;
    unsigned rights; /* enum kv_right */
};

struct kv_rights {
    bool admin; /* everything, tokens and backups included */
    size_t count;
    struct kv_grant grants[KV_GRANTS_MAX];
};

/* Whether all of wanted (enum kv_right) is granted on the key. */
bool kv_rights_allow(const struct kv_rights *rights, const void *key, size_t len,
                     unsigned wanted);

/* Whether something at or below directory dir (dir_len 0: the root), or something whose
 * key begins with prefix, may be read. */
bool kv_rights_reach_dir(const struct kv_rights *rights, const void *dir, size_t len);
bool kv_rights_reach_prefix(const struct kv_rights *rights, const void *prefix,
                            size_t len);

/* Add a grant; "" and "/" are the root, one slash at the end is cut off. 0; -E2BIG:
 * over KV_GRANTS_MAX; -EINVAL: no key, or no rights; -ENOMEM. */
int kv_rights_add(struct kv_rights *rights, const void *path, size_t len,
                  unsigned granted);

void kv_rights_done(struct kv_rights *rights);

/* Append `"admin":true,"rights":[{"path":"app","read":true,"write":false},...]`. */
void kv_rights_json(struct kv_buf *out, const struct kv_rights *rights);

/* Read the array of such grants into rights, which is empty and stays the caller's to
 * kv_rights_done. 0; -EINVAL and the rule that it breaks is appended; -ENOMEM. */
int kv_rights_read(struct kv_span array, struct kv_rights *rights, struct kv_buf *rule);

#endif
