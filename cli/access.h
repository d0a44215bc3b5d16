#ifndef KV_CLI_ACCESS_H
#define KV_CLI_ACCESS_H

/* The way to the keys: over HTTP (client.c) or through a mounted directory (mountio.c).
 * The commands know only this. Keys are NUL-terminated, for no key can hold a NUL, and
 * are checked by the caller; the empty key is the root directory where a directory is
 * asked for. Everything returns 0 or, with the fault filled in, an enum kv_exit. One
 * thread for each access. */

#include "fault.h"
#include "source.h"
#include "trust.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known of a key. A mount of a store that does not tell leaves numbers 0. */
struct kv_entry {
    const char *key;
    bool directory;
    uint64_t size, version, create_revision, mod_revision;
    int64_t mtime_ns;   /* realtime; 0: not known */
    int64_t expires_ns; /* realtime; 0: never, or not known */
    const char *value;  /* in a listing with values, of size bytes; NULL: ask for it */
};

/* Takes a value as it arrives. begin comes once, before the first byte, only when the
 * key was found; NULL when what is known of the key does not matter. Each returns 0 to
 * go on. */
struct kv_receiver {
    int (*begin)(void *ctx, const struct kv_entry *entry);
    int (*data)(void *ctx, const void *data, size_t len);
    void *ctx;
    struct kv_fault *fault; /* where they say why they stopped */
};

struct kv_put_options {
    uint64_t ttl_ms;     /* 0: none */
    bool if_absent;      /* only if the key is new */
    bool check_revision; /* only if mod_revision is if_revision */
    uint64_t if_revision;
};

/* What a write did; a mount does not tell. */
struct kv_written {
    bool known;
    bool created;
    uint64_t revision, version;
};

struct kv_listing {
    const char *dir;    /* below this directory; "": the root */
    const char *prefix; /* and the whole key begins so; "": any */
    bool recursive;     /* keys at any depth, and no directories */
    bool details;       /* all of struct kv_entry, not only key and directory */
    bool values;        /* and values, where they come for nothing */
};

/* Called for each entry in byte order of the keys; returns 0 to go on. */
typedef int kv_entry_fn(void *ctx, const struct kv_entry *entry);

/* What to watch; at most one of the three is not NULL, none: everything. */
struct kv_scope {
    const char *key, *dir, *prefix;
};

/* What a callback returns to end a call that goes well; the call returns it. */
#define KV_STOP (-1)

struct kv_change {
    const char *type; /* "put", "delete", "rename", "mkdir", "rmdir", "meta" */
    const char *key;
    const char *from;  /* rename; otherwise NULL */
    uint64_t revision; /* 0: not known */
    uint64_t size;     /* of a put */
    bool omitted;      /* the value was asked for, but it is too large to come along */
    const void *value; /* when asked for and to be had; otherwise NULL */
    size_t value_len;
    const char *json; /* the change as JSON, one line */
    size_t json_len;
};

struct kv_watcher {
    const struct kv_scope *scope;
    bool values;
    bool resume; /* begin behind `since`; otherwise now */
    uint64_t since;
    int (*ready)(void *ctx); /* nothing that happens from now on is missed */
    int (*change)(void *ctx, const struct kv_change *change);
    int (*pause)(void *ctx); /* nothing more has come for now: show what there is */
    int (*tick)(void *ctx);  /* once a second and after each signal; may be NULL */
    /* Something the user should know; the watch goes on. */
    void (*notice)(void *ctx, const char *text);
    void *ctx;
};

struct kv_access;

struct kv_access_ops {
    int (*get)(struct kv_access *access, const char *key,
               const struct kv_receiver *receiver, struct kv_fault *fault);
    int (*put)(struct kv_access *access, const char *key,
               const struct kv_source *source, const struct kv_put_options *options,
               struct kv_written *ret, struct kv_fault *fault);
    int (*append)(struct kv_access *access, const char *key,
                  const struct kv_source *source, struct kv_written *ret,
                  struct kv_fault *fault);
    int (*remove)(struct kv_access *access, const char *key, bool recursive,
                  struct kv_written *ret, struct kv_fault *fault);
    int (*rename)(struct kv_access *access, const char *from, const char *to,
                  struct kv_written *ret, struct kv_fault *fault);
    int (*list)(struct kv_access *access, const struct kv_listing *listing,
                kv_entry_fn *each, void *ctx, struct kv_fault *fault);
    /* Returns only when it cannot go on, or with what a callback returned other than 0.
     * A connection that was lost is made again. */
    int (*watch)(struct kv_access *access, const struct kv_watcher *watcher,
                 struct kv_fault *fault);
    /* Lines "name value", or one line of JSON. */
    int (*status)(struct kv_access *access, bool json, struct kv_buf *out,
                  struct kv_fault *fault);
    /* The daemon's own mounts: what GET /v1/mounts answers; mount on a directory and
     * unmount it, absolute. All three NULL: not by this way. */
    int (*mounts)(struct kv_access *access, struct kv_buf *ret_json,
                  struct kv_fault *fault);
    int (*mount)(struct kv_access *access, const char *dir, const char *options,
                 struct kv_fault *fault);
    int (*unmount)(struct kv_access *access, const char *dir, bool lazy,
                   struct kv_fault *fault);
    void (*free)(struct kv_access *access);
};

struct kv_access {
    const struct kv_access_ops *ops;
};

/* url as for --url; socket_path (may be NULL) is a Unix socket to reach it by. trust is
 * kept. */
int kv_client_open(const char *url, const char *socket_path,
                   const struct kv_trust *trust, struct kv_access **ret,
                   struct kv_fault *fault);

/* dir is a directory of a mounted kvfs. */
int kv_mountio_open(const char *dir, struct kv_access **ret, struct kv_fault *fault);

#endif
