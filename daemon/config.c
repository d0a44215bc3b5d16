/* Options of the daemon: one table, from which the command line, the help page, the
 * configuration file and /.kv/config are made, so that they cannot disagree.
 *
 * The command line is read first, which finds its mistakes and the name of the file;
 * when there is one, everything starts again with the file below the command line. */
#include "config.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind {
    KIND_FLAG,   /* bool; in a file "yes" or "no" */
    KIND_ONCE,   /* bool; command line only */
    KIND_FILE,   /* char *; command line only */
    KIND_TEXT,   /* char * */
    KIND_LIST,   /* struct kv_config_list */
    KIND_NUMBER, /* uint64_t, min..max */
    KIND_SIZE,   /* uint64_t, min..max bytes */
    KIND_SYNC,   /* enum kv_sync */
};

struct row {
    const char *name;
    int letter; /* short option, or 0 */
    enum kind kind;
    size_t offset; /* in struct kv_config */
    const char *argument;
    uint64_t min, max;
    const char *help;
};

#define FIELD(field) offsetof(struct kv_config, field)

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define TIB (1024 * 1024 * MIB)

static const struct row rows[] = {
    {"data", 0, KIND_TEXT, FIELD(data), "DIR", 0, 0,
     "keep the store in DIR; made when missing"},
    {"mount", 0, KIND_TEXT, FIELD(mount), "DIR", 0, 0,
     "show the keys as files in DIR, an empty directory"},
    {"listen", 0, KIND_LIST, FIELD(listen), "HOST:PORT", 0, 0,
     "serve HTTP there; may be given again; \"none\" for no HTTP over TCP"},
    {"socket", 0, KIND_TEXT, FIELD(socket), "PATH", 0, 0,
     "serve HTTP on a Unix socket too"},
    {"config", 0, KIND_FILE, FIELD(file), "FILE", 0, 0,
     "read lines \"name = value\" with the names of these options; the command line "
     "wins"},
    {"sync", 0, KIND_SYNC, FIELD(sync), "MODE", 0, 0,
     "when a write is acknowledged, and so what a power cut can cost.\n"
     "always: when it is on the disk; nothing acknowledged is lost.\n"
     "interval: at once, synced every --sync-interval; the writes of the last "
     "interval, "
     "and on file systems that reorder writes the whole store.\n"
     "off: at once, synced when the kernel likes; the same, but more of it.\n"
     "A crash of kvfsd alone loses nothing in any mode."},
    {"sync-interval", 0, KIND_NUMBER, FIELD(sync_interval_ms), "MS", 1, 3600000,
     "milliseconds between two syncs of --sync=interval"},
    {"cache-size", 0, KIND_SIZE, FIELD(cache_bytes), "N", MIB, TIB,
     "keep at most N bytes of keys in memory; sizes may end in K, M, G or T"},
    {"max-value-size", 0, KIND_SIZE, FIELD(max_value_bytes), "N", 1, 4 * 1024 * MIB - 1,
     "refuse values over N bytes"},
    {"max-store-size", 0, KIND_SIZE, FIELD(max_store_bytes), "N", MIB, 128 * TIB,
     "refuse writes when the store has N bytes"},
    {"log-size", 0, KIND_SIZE, FIELD(log_max_bytes), "N", 64 * KIB, TIB,
     "keep at most N bytes of changes for watchers to resume from"},
    {"log-events", 0, KIND_NUMBER, FIELD(log_max_events), "N", 1, UINT32_MAX,
     "and at most N changes"},
    {"allow-other", 0, KIND_FLAG, FIELD(allow_other), NULL, 0, 0,
     "let all users into the mount; modes and owners of the keys decide"},
    {"insecure", 0, KIND_FLAG, FIELD(insecure), NULL, 0, 0,
     "allow --listen beyond this machine, where whoever connects may read and write"},
    {"allow-host", 0, KIND_LIST, FIELD(allowed_hosts), "NAME", 0, 0,
     "accept NAME in the Host header besides the addresses listened on; may be given "
     "again"},
    {"http-threads", 0, KIND_NUMBER, FIELD(http_threads), "N", 1, 1024,
     "threads for each TCP listener; as a rule a good number for this machine"},
    {"mount-threads", 0, KIND_NUMBER, FIELD(mount_threads), "N", 1, 1024,
     "threads for the mount; as a rule a good number for this machine"},
    {"max-connections", 0, KIND_NUMBER, FIELD(max_connections), "N", 1, 1000000,
     "refuse more HTTP connections at once"},
    {"max-watches", 0, KIND_NUMBER, FIELD(max_watches), "N", 1, 1000000,
     "refuse more watches over HTTP at once"},
    {"verbose", 'v', KIND_FLAG, FIELD(verbose), NULL, 0, 0, "log more"},
    {"version", 0, KIND_ONCE, FIELD(version), NULL, 0, 0, "print the version and exit"},
    {"help", 'h', KIND_ONCE, FIELD(help), NULL, 0, 0, "print this page and exit"},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Long options are told from each other by this plus their row. */
#define LONG_BASE 256

static const char *const sync_names[] = {
    [KV_SYNC_ALWAYS] = "always",
    [KV_SYNC_INTERVAL] = "interval",
    [KV_SYNC_OFF] = "off",
};

static void *field_of(struct kv_config *config, const struct row *row)
{
    return (char *)config + row->offset;
}

static const void *field_of_const(const struct kv_config *config, const struct row *row)
{
    return (const char *)config + row->offset;
}

static bool takes_argument(const struct row *row)
{
    return row->argument != NULL;
}

/* -- Values -- */

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

static void list_clear(struct kv_config_list *list)
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
                    enum kv_config_source source, struct kv_buf *error)
{
    if (list->source != source)
        list_clear(list);
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

static int set_number(uint64_t *field, const struct row *row, const char *value,
                      struct kv_buf *error)
{
    uint64_t number;
    int err = row->kind == KIND_SIZE ? kv_text_size(value, &number)
                                     : kv_text_number(value, &number);
    if (!err && number >= row->min && number <= row->max) {
        *field = number;
        return 0;
    }
    if (row->kind == KIND_SIZE) {
        kv_buf_adds(error, "must be a size from ");
        kv_text_add_size(error, row->min);
        kv_buf_adds(error, " to ");
        kv_text_add_size(error, row->max);
    } else {
        kv_buf_addf(error, "must be a number from %llu to %llu",
                    (unsigned long long)row->min, (unsigned long long)row->max);
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

/* Set one option; error gets what is wrong with the value, without its name. */
static int set(struct kv_config *config, const struct row *row, const char *value,
               enum kv_config_source source, struct kv_buf *error)
{
    void *field = field_of(config, row);
    switch (row->kind) {
    case KIND_FLAG:
    case KIND_ONCE:
        return set_flag(field, value, error);
    case KIND_FILE:
    case KIND_TEXT:
        return set_text(field, value, error);
    case KIND_LIST:
        return set_list(field, value, source, error);
    case KIND_NUMBER:
    case KIND_SIZE:
        return set_number(field, row, value, error);
    case KIND_SYNC:
        return set_sync(field, value, error);
    }
    return -EINVAL;
}

static int set_defaults(struct kv_config *config, struct kv_buf *error)
{
    struct kv_store_config store;
    kv_store_config_default(&store);
    *config = (struct kv_config){
        .sync = store.sync,
        .sync_interval_ms = store.sync_interval_ms,
        .cache_bytes = store.cache_bytes,
        .max_value_bytes = store.max_value_bytes,
        .max_store_bytes = store.max_store_bytes,
        .log_max_bytes = store.log_max_bytes,
        .log_max_events = store.log_max_events,
    };
    int err = set_text(&config->data, "/var/lib/kvfs", error);
    return err ? err
               : set_list(&config->listen, "127.0.0.1:5000", KV_CONFIG_DEFAULT, error);
}

/* -- The command line -- */

static void add_nearest(struct kv_buf *error, const char *word, const char *dashes)
{
    for (size_t i = 0; i < ROWS; i++)
        if (kv_text_is_near(word, rows[i].name)) {
            kv_buf_addf(error, " (did you mean '%s%s'?)", dashes, rows[i].name);
            return;
        }
}

static const struct row *row_of(int code)
{
    if (code >= LONG_BASE && (size_t)(code - LONG_BASE) < ROWS)
        return &rows[code - LONG_BASE];
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].letter != 0 && rows[i].letter == code)
            return &rows[i];
    return NULL;
}

/* What getopt_long refused, in words; argument is the word it stopped at. */
static void explain_refusal(int code, const char *argument, struct kv_buf *error)
{
    const struct row *row = row_of(optopt);
    if (code == ':' && row)
        kv_buf_addf(error, "option '--%s' needs a value (%s)", row->name,
                    row->argument);
    else if (row)
        kv_buf_addf(error, "option '--%s' takes no value", row->name);
    else if (optopt)
        kv_buf_addf(error, "unknown option '-%c'", optopt);
    else {
        kv_buf_addf(error, "unknown option '%s'", argument);
        add_nearest(error, argument + strspn(argument, "-"), "--");
    }
}

static int parse_arguments(struct kv_config *config, int argc, char *const argv[],
                           struct kv_buf *error)
{
    struct option options[ROWS + 1] = {0};
    char letters[ROWS + 2] = ":";
    size_t used = 1;
    for (size_t i = 0; i < ROWS; i++) {
        options[i].name = rows[i].name;
        options[i].has_arg = takes_argument(&rows[i]) ? required_argument : no_argument;
        options[i].val = LONG_BASE + (int)i;
        if (rows[i].letter)
            letters[used++] = (char)rows[i].letter;
    }
    letters[used] = '\0';
    optind = 0; /* glibc: start afresh */
    opterr = 0;
    int code;
    while ((code = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        const struct row *row = code == '?' || code == ':' ? NULL : row_of(code);
        if (!row) {
            explain_refusal(code, argv[optind - 1], error);
            return -EINVAL;
        }
        KV_CLEANUP(kv_buf_done) struct kv_buf reason = {0};
        int err =
            set(config, row, optarg ? optarg : "yes", KV_CONFIG_COMMAND_LINE, &reason);
        if (err) {
            kv_buf_addf(error, "--%s %.*s", row->name, (int)reason.len, reason.data);
            return err;
        }
    }
    if (optind < argc) {
        kv_buf_addf(error, "unexpected argument '%s'", argv[optind]);
        return -EINVAL;
    }
    return 0;
}

/* -- The file -- */

static char *strip(char *text)
{
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    text[len] = '\0';
    return text;
}

static const struct row *row_named(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0 && rows[i].kind != KIND_FILE &&
            rows[i].kind != KIND_ONCE)
            return &rows[i];
    return NULL;
}

/* One line of the file; error gets the reason without the place. */
static int parse_line(struct kv_config *config, char *line, struct kv_buf *error)
{
    char *name = strip(line);
    if (*name == '\0' || *name == '#')
        return 0;
    char *equals = strchr(name, '=');
    if (!equals) {
        kv_buf_adds(error, "a line is \"name = value\"");
        return -EINVAL;
    }
    *equals = '\0';
    name = strip(name);
    const struct row *row = row_named(name);
    if (!row) {
        kv_buf_addf(error, "unknown name '%s'", name);
        add_nearest(error, name, "");
        return -EINVAL;
    }
    KV_CLEANUP(kv_buf_done) struct kv_buf reason = {0};
    int err = set(config, row, strip(equals + 1), KV_CONFIG_FILE, &reason);
    if (err)
        kv_buf_addf(error, "%s %.*s", name, (int)reason.len, reason.data);
    return err;
}

static void close_file(FILE **file)
{
    if (*file)
        (void)fclose(*file); /* read only: nothing can be lost */
}

static int parse_file(struct kv_config *config, const char *path, struct kv_buf *error)
{
    KV_CLEANUP(close_file) FILE *file = fopen(path, "re");
    if (!file) {
        kv_buf_addf(error, "%s: %s", path, strerror(errno));
        return -EINVAL;
    }
    KV_CLEANUP(kv_free) char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    for (unsigned number = 1; (len = getline(&line, &cap, file)) != -1; number++) {
        KV_CLEANUP(kv_buf_done) struct kv_buf reason = {0};
        int err = 0;
        if (strlen(line) != (size_t)len) {
            kv_buf_adds(&reason, "the line holds a NUL byte");
            err = -EINVAL;
        } else {
            err = parse_line(config, line, &reason);
        }
        if (err) {
            kv_buf_addf(error, "%s:%u: %.*s", path, number, (int)reason.len,
                        reason.data);
            return err;
        }
    }
    if (ferror(file)) {
        kv_buf_addf(error, "%s: %s", path, strerror(errno));
        return -EINVAL;
    }
    return 0;
}

/* -- The whole -- */

int kv_config_parse(struct kv_config *config, int argc, char *const argv[],
                    struct kv_buf *error)
{
    int err = set_defaults(config, error);
    if (!err)
        err = parse_arguments(config, argc, argv, error);
    if (err || !config->file || config->help || config->version)
        return err;
    KV_CLEANUP(kv_free) char *path = KV_STEAL(config->file);
    kv_config_done(config);
    err = set_defaults(config, error);
    if (!err)
        err = parse_file(config, path, error);
    return err ? err : parse_arguments(config, argc, argv, error);
}

void kv_config_done(struct kv_config *config)
{
    free(config->data);
    free(config->mount);
    free(config->socket);
    free(config->file);
    list_clear(&config->listen);
    list_clear(&config->allowed_hosts);
    *config = (struct kv_config){0};
}

void kv_config_store(const struct kv_config *config, struct kv_store_config *ret)
{
    kv_store_config_default(ret);
    ret->path = config->data;
    ret->sync = config->sync;
    ret->sync_interval_ms = (unsigned)config->sync_interval_ms;
    ret->cache_bytes = (size_t)config->cache_bytes;
    ret->max_value_bytes = config->max_value_bytes;
    ret->max_store_bytes = config->max_store_bytes;
    ret->log_max_bytes = config->log_max_bytes;
    ret->log_max_events = config->log_max_events;
}

/* The value as a file would have it; nothing for what is not set. */
static void add_value(struct kv_buf *out, const struct kv_config *config,
                      const struct row *row)
{
    const void *field = field_of_const(config, row);
    switch (row->kind) {
    case KIND_FLAG:
        kv_buf_adds(out, *(const bool *)field ? "yes" : "no");
        break;
    case KIND_TEXT: {
        const char *text = *(char *const *)field;
        kv_buf_adds(out, text ? text : "");
        break;
    }
    case KIND_NUMBER:
        if (*(const uint64_t *)field)
            kv_buf_addf(out, "%llu", (unsigned long long)*(const uint64_t *)field);
        break;
    case KIND_SIZE:
        kv_text_add_size(out, *(const uint64_t *)field);
        break;
    case KIND_SYNC:
        kv_buf_adds(out, sync_names[*(const enum kv_sync *)field]);
        break;
    case KIND_LIST: /* one line for each item */
    case KIND_FILE:
    case KIND_ONCE:
        break;
    }
}

static void help_entry(struct kv_buf *out, const struct kv_config *defaults,
                       const struct row *row)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf left = {0}, text = {0}, value = {0};
    kv_buf_addf(&left, "  --%s", row->name);
    if (row->argument)
        kv_buf_addf(&left, " %s", row->argument);
    if (row->letter)
        kv_buf_addf(&left, ", -%c", row->letter);
    kv_buf_addc(&left, '\0');
    kv_buf_adds(&text, row->help);
    if (row->kind == KIND_LIST) {
        const struct kv_config_list *list = field_of_const(defaults, row);
        if (list->count)
            kv_buf_adds(&value, list->items[0]);
    } else if (row->kind != KIND_FLAG) {
        add_value(&value, defaults, row);
    }
    if (value.len)
        kv_buf_addf(&text, " (default %.*s)", (int)value.len, value.data);
    kv_buf_addc(&text, '\0');
    if (!kv_buf_error(&left) && !kv_buf_error(&text))
        kv_text_entry(out, left.data, text.data);
}

void kv_config_help(struct kv_buf *out)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf error = {0};
    KV_CLEANUP(kv_config_done) struct kv_config defaults;
    if (set_defaults(&defaults, &error)) {
        out->failed = true;
        return;
    }
    kv_buf_adds(out, "Usage: kvfsd [OPTION]...\n"
                     "Serve a durable key-value store as a directory of files and over "
                     "HTTP.\n\n");
    for (size_t i = 0; i < ROWS; i++)
        help_entry(out, &defaults, &rows[i]);
    kv_buf_adds(out, "\n");
    kv_text_wrap(
        out,
        "kvfsd stays in the foreground, logs to stderr, writes \"kvfsd: ready\" "
        "there when it serves, and stops cleanly on SIGINT, SIGTERM and SIGHUP.\n"
        "Exit status: 0 stopped cleanly, 1 could not start or failed, "
        "2 wrong options.",
        0);
}

static bool text_add(char ***text, size_t *count, struct kv_buf *line)
{
    char **more = reallocarray(*text, *count + 2, sizeof(*more));
    if (!more) {
        kv_buf_done(line);
        return false;
    }
    *text = more;
    more[*count] = kv_buf_steal(line, NULL);
    more[*count + 1] = NULL;
    return more[(*count)++] != NULL;
}

static bool text_add_row(char ***text, size_t *count, const struct kv_config *config,
                         const struct row *row)
{
    struct kv_buf line = {0};
    if (row->kind == KIND_LIST) {
        const struct kv_config_list *list = field_of_const(config, row);
        for (size_t i = 0; i < list->count; i++) {
            kv_buf_addf(&line, "%s = %s", row->name, list->items[i]);
            if (!text_add(text, count, &line))
                return false;
        }
        if (!list->none)
            return true;
        kv_buf_addf(&line, "%s = none", row->name);
        return text_add(text, count, &line);
    }
    KV_CLEANUP(kv_buf_done) struct kv_buf value = {0};
    add_value(&value, config, row);
    if (value.len == 0)
        return true;
    kv_buf_addf(&line, "%s = %.*s", row->name, (int)value.len, value.data);
    return text_add(text, count, &line);
}

char **kv_config_text(const struct kv_config *config)
{
    char **text = calloc(1, sizeof(*text));
    size_t count = 0;
    for (size_t i = 0; text && i < ROWS; i++)
        if (!text_add_row(&text, &count, config, &rows[i])) {
            kv_config_text_free(text);
            return NULL;
        }
    return text;
}

void kv_config_text_free(char **text)
{
    for (char **line = text; line && *line; line++)
        free(*line);
    free(text);
}
