#ifndef KV_SETTING_H
#define KV_SETTING_H

/* One option of the daemon and what values it takes: the element of config.c's table.
 * The main thread only. */

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kv_setting_kind {
    KV_SETTING_FLAG,   /* bool; in a file "yes" or "no" */
    KV_SETTING_ONCE,   /* bool; command line only */
    KV_SETTING_FILE,   /* char *; command line only */
    KV_SETTING_TEXT,   /* char * */
    KV_SETTING_LIST,   /* struct kv_config_list */
    KV_SETTING_NUMBER, /* uint64_t, min..max; 0 in a default: not set */
    KV_SETTING_SIZE,   /* uint64_t, min..max bytes */
    KV_SETTING_SYNC,   /* enum kv_sync */
    KV_SETTING_OWNER,  /* struct kv_config_owner */
};

struct kv_setting {
    const char *name;
    int letter; /* short option, or 0 */
    enum kv_setting_kind kind;
    size_t offset;        /* of the field in struct kv_config */
    const char *argument; /* for the help page; NULL: takes none */
    uint64_t min, max;
    const char *help;
};

/* Where a value came from. In a list one of another source replaces the earlier ones.
 */
enum kv_setting_source {
    KV_SETTING_DEFAULT = 0,
    KV_SETTING_CONFIG_FILE,
    KV_SETTING_COMMAND_LINE,
};

/* Strings in the order they were given; items is NULL-terminated when not NULL. */
struct kv_config_list {
    char **items;
    size_t count;
    enum kv_setting_source source;
    bool none; /* "none" was given: explicitly empty */
};

struct kv_config_owner {
    uint32_t uid, gid;
};

/* Read a value into its field. 0; -EINVAL and in error what is wrong with it, such as
 * "must be yes or no, not 'x'"; -ENOMEM. The field is as before when it fails. */
int kv_setting_set(const struct kv_setting *setting, void *field, const char *value,
                   enum kv_setting_source source, struct kv_buf *error);

/* Append the value as a file would have it; nothing for what is not set, and for a
 * list, of which each item is a value. */
void kv_setting_format(const struct kv_setting *setting, const void *field,
                       struct kv_buf *out);

void kv_config_list_done(struct kv_config_list *list);

#endif
