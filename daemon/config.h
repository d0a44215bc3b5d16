#ifndef KV_CONFIG_H
#define KV_CONFIG_H

/* What the daemon was asked to do. One table (config.c) holds every option: it drives
 * the command line, the help page, the configuration file and the text of /.kv/config.
 *
 * A configuration file has lines `name = value` with the names of the long options; '#'
 * begins a comment line. The command line wins over the file; a list given on the
 * command line replaces the file's. Used by the main thread only. */

#include "setting.h"

#include "base/buf.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_config {
    char *data, *socket, *file, *log, *tls_cert, *tls_key;
    struct kv_config_list mounts, listen, allowed_hosts, cors_origins;
    struct kv_config_owner owner; /* of keys that are made over HTTP */
    enum kv_sync sync;
    uint64_t sync_interval_ms;
    uint64_t cache_bytes, max_value_bytes, max_store_bytes;
    uint64_t log_max_bytes, log_max_events;
    uint64_t http_threads, mount_threads, max_connections, max_watches; /* 0: default */
    uint64_t max_http_memory;                                           /* likewise */
    bool allow_other, tokens, insecure, background, until_unmounted, verbose, help, version;
};

/* Fill in from the arguments of main and the file that --config names. With help or
 * version set nothing else needs to be in order. 0; -EINVAL and the reason in error,
 * one line without a newline: an unknown option or name, a bad value, a file that
 * cannot be read; -ENOMEM. Call kv_config_done in any case. Uses getopt's global state.
 */
int kv_config_parse(struct kv_config *config, int argc, char *const argv[],
                    struct kv_buf *error);

void kv_config_done(struct kv_config *config);

/* The same as the store's settings; path points into config. */
void kv_config_store(const struct kv_config *config, struct kv_store_config *ret);

/* The help page, for stdout. */
void kv_config_help(struct kv_buf *out);

/* Every setting in effect as lines `name = value` that a configuration file could hold:
 * a NULL-terminated array, which kv_config_text_free frees. NULL: no memory. */
char **kv_config_text(const struct kv_config *config);
void kv_config_text_free(char **text);

#endif
