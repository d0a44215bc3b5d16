/* Values of options: from text, with a reason when it is none, and back to text. */
#include "setting.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "store/store.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

static const char *const sync_names[] = {
    [KV_SYNC_ALWAYS] = "always",
    [KV_SYNC_INTERVAL] = "interval",
    [KV_SYNC_OFF] = "off",
};

static int set_text(char **field, const char *value, struct kv_buf *error)
{
    if (*value == '\0') {
        kv_buf_adds(error, "must not be empty");
        return -EINVAL;
    }
    char *copy = strdup(value);
    if (!copy)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

void kv_config_list_done(struct kv_config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct kv_config_list){0};
}

static int list_add(struct kv_config_list *list, const char *value)
{
    char **items = reallocarray(list->items, list->count + 2, sizeof(*items));
    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->count] = strdup(value);
    if (!items[list->count])
        return -ENOMEM;
    items[++list->count] = NULL;
    return 0;
}

static int set_list(struct kv_config_list *list, const char *value,
                    enum kv_setting_source source, struct kv_buf *error)
{
    if (list->source != source)
        kv_config_list_done(list);
    list->source = source;
    bool none = strcmp(value, "none") == 0;
    if (list->none || (none && list->count > 0)) {
        kv_buf_adds(error, "'none' stands alone");
        return -EINVAL;
    }
    if (none) {
        list->none = true;
        return 0;
    }
    if (*value == '\0') {
        kv_buf_adds(error, "must not be empty");
        return -EINVAL;
    }
    return list_add(list, value);
}

static int set_number(uint64_t *field, const struct kv_setting *setting,
                      const char *value, struct kv_buf *error)
{
    uint64_t number;
    int err = setting->kind == KV_SETTING_SIZE ? kv_text_size(value, &number)
                                               : kv_text_number(value, &number);
    if (!err && number >= setting->min && number <= setting->max) {
        *field = number;
        return 0;
    }
    if (setting->kind == KV_SETTING_SIZE) {
        kv_buf_adds(error, "must be a size from ");
        kv_text_add_size(error, setting->min);
        kv_buf_adds(error, " to ");
        kv_text_add_size(error, setting->max);
    } else {
        kv_buf_addf(error, "must be a number from %llu to %llu",
                    (unsigned long long)setting->min, (unsigned long long)setting->max);
    }
    kv_buf_addf(error, ", not '%s'", value);
    return -EINVAL;
}

static int set_flag(bool *field, const char *value, struct kv_buf *error)
{
    bool yes = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
    if (!yes && strcmp(value, "no") != 0 && strcmp(value, "false") != 0) {
        kv_buf_addf(error, "must be yes or no, not '%s'", value);
        return -EINVAL;
    }
    *field = yes;
    return 0;
}

static int set_sync(enum kv_sync *field, const char *value, struct kv_buf *error)
{
    for (size_t i = 0; i < sizeof(sync_names) / sizeof(sync_names[0]); i++)
        if (strcmp(value, sync_names[i]) == 0) {
            *field = (enum kv_sync)i;
            return 0;
        }
    kv_buf_addf(error, "must be always, interval or off, not '%s'", value);
    return -EINVAL;
}

static int no_such(struct kv_buf *error, const char *what, const char *name)
{
    kv_buf_addf(error, "there is no %s '%s'", what, name);
    return -EINVAL;
}

/* USER or USER:GROUP, names or numbers; without a group the user's own. */
static int set_owner(struct kv_config_owner *field, const char *value,
                     struct kv_buf *error)
{
    KV_CLEANUP(kv_free) char *user = strdup(value);
    if (!user)
        return -ENOMEM;
    char *colon = strchr(user, ':');
    const char *group = colon ? colon + 1 : NULL;
    if (colon)
        *colon = '\0';
    uint64_t uid, gid;
    const struct passwd *known = getpwnam(user);
    if (known)
        uid = known->pw_uid;
    else if (kv_text_number(user, &uid) || uid >= UINT32_MAX)
        return no_such(error, "user", user);
    else
        known = getpwuid((uid_t)uid);
    gid = known ? known->pw_gid : uid;
    const struct group *known_group = group ? getgrnam(group) : NULL;
    if (known_group)
        gid = known_group->gr_gid;
    else if (group && (kv_text_number(group, &gid) || gid >= UINT32_MAX))
        return no_such(error, "group", group);
    *field = (struct kv_config_owner){(uint32_t)uid, (uint32_t)gid};
    return 0;
}

int kv_setting_set(const struct kv_setting *setting, void *field, const char *value,
                   enum kv_setting_source source, struct kv_buf *error)
{
    switch (setting->kind) {
    case KV_SETTING_FLAG:
    case KV_SETTING_ONCE:
        return set_flag(field, value, error);
    case KV_SETTING_FILE:
    case KV_SETTING_TEXT:
        return set_text(field, value, error);
    case KV_SETTING_LIST:
        return set_list(field, value, source, error);
    case KV_SETTING_NUMBER:
    case KV_SETTING_SIZE:
        return set_number(field, setting, value, error);
    case KV_SETTING_SYNC:
        return set_sync(field, value, error);
    case KV_SETTING_OWNER:
        return set_owner(field, value, error);
    }
    return -EINVAL;
}

void kv_setting_format(const struct kv_setting *setting, const void *field,
                       struct kv_buf *out)
{
    switch (setting->kind) {
    case KV_SETTING_FLAG:
        kv_buf_adds(out, *(const bool *)field ? "yes" : "no");
        break;
    case KV_SETTING_TEXT: {
        const char *text = *(char *const *)field;
        kv_buf_adds(out, text ? text : "");
        break;
    }
    case KV_SETTING_NUMBER:
        if (*(const uint64_t *)field)
            kv_buf_addf(out, "%llu", (unsigned long long)*(const uint64_t *)field);
        break;
    case KV_SETTING_SIZE:
        if (*(const uint64_t *)field)
            kv_text_add_size(out, *(const uint64_t *)field);
        break;
    case KV_SETTING_SYNC:
        kv_buf_adds(out, sync_names[*(const enum kv_sync *)field]);
        break;
    case KV_SETTING_OWNER: {
        const struct kv_config_owner *owner = field;
        kv_buf_addf(out, "%u:%u", owner->uid, owner->gid);
        break;
    }
    case KV_SETTING_LIST:
    case KV_SETTING_FILE:
    case KV_SETTING_ONCE:
        break;
    }
}
