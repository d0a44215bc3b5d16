/* Mount options: one table. */
#include "mountspec.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum kind {
    READ_ONLY,
    READ_WRITE,
    ALLOW_OTHER,
    SOURCE,
    SUBDIR,
    UID,
    GID,
    UMASK,
    KERNEL, /* handed on */
    IDLE,   /* how it is anyway, or for mount(8) itself */
    SLOPPY,
    REMOUNT,
};

enum value { WITHOUT, WITH, MAYBE };

static const struct option {
    const char *name;
    enum kind kind;
    enum value value; /* name=VALUE */
} options[] = {
    {"ro", READ_ONLY, WITHOUT},
    {"rw", READ_WRITE, WITHOUT},
    {"allow_other", ALLOW_OTHER, WITHOUT},
    {"fsname", SOURCE, WITH},
    {"subdir", SUBDIR, WITH},
    {"uid", UID, WITH},
    {"gid", GID, WITH},
    {"umask", UMASK, WITH},
    {"nosuid", KERNEL, WITHOUT},
    {"suid", KERNEL, WITHOUT},
    {"nodev", KERNEL, WITHOUT},
    {"dev", KERNEL, WITHOUT},
    {"noexec", KERNEL, WITHOUT},
    {"exec", KERNEL, WITHOUT},
    {"noatime", KERNEL, WITHOUT},
    {"atime", KERNEL, WITHOUT},
    {"sync", KERNEL, WITHOUT},
    {"async", KERNEL, WITHOUT},
    {"dirsync", KERNEL, WITHOUT},
    {"default_permissions", IDLE, WITHOUT},
    {"defaults", IDLE, WITHOUT},
    {"auto", IDLE, WITHOUT},
    {"noauto", IDLE, WITHOUT},
    {"user", IDLE, MAYBE},
    {"users", IDLE, WITHOUT},
    {"nouser", IDLE, WITHOUT},
    {"owner", IDLE, WITHOUT},
    {"group", IDLE, WITHOUT},
    {"nofail", IDLE, WITHOUT},
    {"fail", IDLE, WITHOUT},
    {"relatime", IDLE, WITHOUT},
    {"norelatime", IDLE, WITHOUT},
    {"strictatime", IDLE, WITHOUT},
    {"nostrictatime", IDLE, WITHOUT},
    {"lazytime", IDLE, WITHOUT},
    {"nolazytime", IDLE, WITHOUT},
    {"diratime", IDLE, WITHOUT},
    {"nodiratime", IDLE, WITHOUT},
    {"silent", IDLE, WITHOUT},
    {"loud", IDLE, WITHOUT},
    {"_netdev", IDLE, WITHOUT},
    {"comment", IDLE, MAYBE},
    {"sloppy", SLOPPY, WITHOUT},
    {"remount", REMOUNT, WITHOUT},
};

#define OPTIONS (sizeof(options) / sizeof(options[0]))

static int set_number(const char *name, const char *text, int base, uint32_t max,
                      uint32_t *ret, struct kv_buf *error)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, base);
    if (!errno && *text >= '0' && *text <= '9' && *end == '\0' && number <= max) {
        *ret = (uint32_t)number;
        return 0;
    }
    kv_buf_addf(error,
                base == 8 ? "%s must be an octal number up to %o, not '%s'"
                          : "%s must be a number up to %u, not '%s'",
                name, max, text);
    return -EINVAL;
}

static int set_source(struct kv_mountspec *spec, const char *name)
{
    free(spec->source);
    spec->source = strdup(name);
    return spec->source ? 0 : -ENOMEM;
}

static int set_subdir(struct kv_mountspec *spec, const char *key, struct kv_buf *error)
{
    enum kv_key_rule rule = kv_key_check(key, strlen(key));
    if (rule != KV_KEY_VALID) {
        kv_buf_addf(error, "subdir '%s': %s", key, kv_key_rule_text(rule));
        return -EINVAL;
    }
    free(spec->subdir);
    spec->subdir = strdup(key);
    return spec->subdir ? 0 : -ENOMEM;
}

static int add_kernel(struct kv_mountspec *spec, const char *word)
{
    char *both;
    if (asprintf(&both, "%s%s%s", spec->kernel ? spec->kernel : "",
                 spec->kernel ? "," : "", word) < 0)
        return -ENOMEM;
    free(spec->kernel);
    spec->kernel = both;
    return 0;
}

static int set(struct kv_mountspec *spec, enum kind kind, const char *word,
               const char *value, struct kv_buf *error)
{
    struct kv_mount_view *view = &spec->view;
    switch (kind) {
    case READ_ONLY:
    case READ_WRITE:
        spec->read_only = kind == READ_ONLY;
        return 0;
    case ALLOW_OTHER:
        spec->allow_other = true;
        return 0;
    case SOURCE:
        return set_source(spec, value);
    case SUBDIR:
        return set_subdir(spec, value, error);
    case UID:
        view->has_uid = true;
        return set_number("uid", value, 10, UINT32_MAX - 1, &view->uid, error);
    case GID:
        view->has_gid = true;
        return set_number("gid", value, 10, UINT32_MAX - 1, &view->gid, error);
    case UMASK:
        return set_number("umask", value, 8, 0777, &view->umask, error);
    case KERNEL:
        return add_kernel(spec, word);
    case IDLE:
        return 0;
    case SLOPPY:
        spec->sloppy = true;
        return 0;
    case REMOUNT:
        kv_buf_adds(error, "options cannot be changed while it is mounted: unmount it "
                           "and mount it again");
        return -EINVAL;
    }
    return -EINVAL;
}

static int unknown(const char *word, struct kv_buf *error)
{
    KV_CLEANUP(kv_free) char *name = strndup(word, strcspn(word, "="));
    kv_buf_addf(error, "unknown mount option '%s'", word);
    for (size_t i = 0; name && i < OPTIONS; i++)
        if (kv_text_is_near(name, options[i].name)) {
            kv_buf_addf(error, " (did you mean '%s'?)", options[i].name);
            break;
        }
    return -EINVAL;
}

static int set_option(struct kv_mountspec *spec, const char *word, struct kv_buf *error)
{
    size_t len = strcspn(word, "=");
    const char *value = word[len] ? word + len + 1 : NULL;
    if (strncasecmp(word, "x-", 2) == 0)
        return 0; /* for others who read fstab(5) */
    for (size_t i = 0; i < OPTIONS; i++) {
        const struct option *option = &options[i];
        if (strlen(option->name) != len || strncmp(option->name, word, len) != 0)
            continue;
        if (option->value == MAYBE || (option->value == WITH) == (value != NULL))
            return set(spec, option->kind, word, value, error);
        kv_buf_addf(error, "mount option '%s' %s", option->name,
                    value ? "takes no value" : "needs a value");
        return -EINVAL;
    }
    return spec->sloppy ? 0 : unknown(word, error);
}

bool kv_mountspec_is_escape(const char *text)
{
    return text[0] == '\\' && (text[1] == ',' || text[1] == '\\');
}

/* The next word up to a comma, in place; NULL at the end. */
static char *next_word(char **rest)
{
    char *word = *rest, *from = word, *to = word;
    if (!word)
        return NULL;
    for (; *from && *from != ','; from++) {
        if (kv_mountspec_is_escape(from))
            from++;
        *to++ = *from;
    }
    *rest = *from ? from + 1 : NULL;
    *to = '\0';
    return word;
}

static int set_options(struct kv_mountspec *spec, char *rest, struct kv_buf *error)
{
    const char *word;
    int err = 0;
    while (!err && (word = next_word(&rest)))
        err = *word ? set_option(spec, word, error) : 0;
    return err;
}

int kv_mountspec_parse(const char *text, struct kv_mountspec *ret, struct kv_buf *error)
{
    *ret = (struct kv_mountspec){0};
    KV_CLEANUP(kv_free) char *copy = strdup(text);
    char *rest = copy;
    if (!copy)
        return -ENOMEM;
    ret->path = strdup(next_word(&rest));
    if (!ret->path)
        return -ENOMEM;
    if (*ret->path == '\0') {
        kv_buf_adds(error, "a mount is DIR[,OPTION]...");
        return -EINVAL;
    }
    return set_options(ret, rest, error);
}

int kv_mountspec_make(const char *path, const char *options_text,
                      struct kv_mountspec *ret, struct kv_buf *error)
{
    *ret = (struct kv_mountspec){.path = strdup(path)};
    KV_CLEANUP(kv_free) char *copy = strdup(options_text);
    if (!ret->path || !copy)
        return -ENOMEM;
    return set_options(ret, copy, error);
}

void kv_mountspec_done(struct kv_mountspec *spec)
{
    free(spec->path);
    free(spec->source);
    free(spec->subdir);
    free(spec->kernel);
    *spec = (struct kv_mountspec){0};
}
