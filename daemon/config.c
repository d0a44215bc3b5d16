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

#define FIELD(field) offsetof(struct kv_config, field)

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define TIB (1024 * 1024 * MIB)

static const struct kv_setting rows[] = {
    {"data", 0, KV_SETTING_TEXT, FIELD(data), "DIR", 0, 0,
     "keep the store in DIR; made when missing"},
    {"mount", 0, KV_SETTING_LIST, FIELD(mounts), "DIR[,OPTION]...", 0, 0,
     "show the keys as files in DIR, an empty directory; may be given again. Options: "
     "ro, subdir=KEY (only that directory of the store), allow_other, uid=N, gid=N and "
     "umask=NNN (how owners and modes show), nosuid, nodev, noexec, noatime"},
    {"listen", 0, KV_SETTING_LIST, FIELD(listen), "HOST:PORT", 0, 0,
     "serve HTTP there; may be given again; \"none\" for no HTTP over TCP"},
    {"socket", 0, KV_SETTING_TEXT, FIELD(socket), "PATH", 0, 0,
     "serve HTTP on a Unix socket too"},
    {"config", 0, KV_SETTING_FILE, FIELD(file), "FILE", 0, 0,
     "read lines \"name = value\" with the names of these options; the command line "
     "wins"},
    {"sync", 0, KV_SETTING_SYNC, FIELD(sync), "MODE", 0, 0,
     "when a write is acknowledged, and so what a power cut can cost.\n"
     "always: when it is on the disk; a power cut costs nothing acknowledged.\n"
     "interval: at once, synced every --sync-interval; a power cut costs the writes "
     "since then.\n"
     "off: at once, synced when the kernel likes; a power cut costs more of the newest "
     "writes.\n"
     "A crash of kvfsd alone costs nothing in any mode."},
    {"sync-interval", 0, KV_SETTING_NUMBER, FIELD(sync_interval_ms), "MS", 1, 3600000,
     "milliseconds between two syncs of --sync=interval"},
    {"cache-size", 0, KV_SETTING_SIZE, FIELD(cache_bytes), "N", MIB, TIB,
     "keep at most N bytes of keys in memory; sizes may end in K, M, G or T"},
    {"max-value-size", 0, KV_SETTING_SIZE, FIELD(max_value_bytes), "N", 1,
     4 * 1024 * MIB - 1, "refuse values over N bytes"},
    {"max-store-size", 0, KV_SETTING_SIZE, FIELD(max_store_bytes), "N", MIB, 64 * TIB,
     "refuse writes when the store has N bytes"},
    {"log-size", 0, KV_SETTING_SIZE, FIELD(log_max_bytes), "N", 64 * KIB, TIB,
     "keep at most N bytes of changes for watchers to resume from"},
    {"log-events", 0, KV_SETTING_NUMBER, FIELD(log_max_events), "N", 1, UINT32_MAX,
     "and at most N changes"},
    {"allow-other", 0, KV_SETTING_FLAG, FIELD(allow_other), NULL, 0, 0,
     "let all users into the mount; modes and owners of the keys decide"},
    {"tokens", 0, KV_SETTING_FLAG, FIELD(tokens), NULL, 0, 0,
     "ask for a token (kv token create) even as long as there is none; once there was "
     "one that is so anyway"},
    {"tls-cert", 0, KV_SETTING_TEXT, FIELD(tls_cert), "FILE", 0, 0,
     "speak TLS 1.2 or 1.3 where --listen says, with this certificate, in PEM, and "
     "what "
     "leads from it to a root; SIGHUP reads it again"},
    {"tls-key", 0, KV_SETTING_TEXT, FIELD(tls_key), "FILE", 0, 0,
     "the key of that certificate, in PEM"},
    {"insecure", 0, KV_SETTING_FLAG, FIELD(insecure), NULL, 0, 0,
     "allow --listen beyond this machine, where whoever connects may read and write"},
    {"allow-host", 0, KV_SETTING_LIST, FIELD(allowed_hosts), "NAME", 0, 0,
     "accept NAME in the Host header besides the addresses listened on; may be given "
     "again"},
    {"cors-origin", 0, KV_SETTING_LIST, FIELD(cors_origins), "ORIGIN", 0, 0,
     "let web pages from ORIGIN, such as https://app.example:8443, use the HTTP API; "
     "may "
     "be given again"},
    {"http-threads", 0, KV_SETTING_NUMBER, FIELD(http_threads), "N", 1, 1024,
     "threads for each TCP listener; as a rule a good number for this machine"},
    {"mount-threads", 0, KV_SETTING_NUMBER, FIELD(mount_threads), "N", 1, 1024,
     "threads for the mount; as a rule a good number for this machine"},
    {"owner", 0, KV_SETTING_OWNER, FIELD(owner), "USER[:GROUP]", 0, 0,
     "whose keys are that are made over HTTP, and the mount's directory in a new "
     "store"},
    {"max-connections", 0, KV_SETTING_NUMBER, FIELD(max_connections), "N", 1, 1000000,
     "refuse more HTTP connections at once"},
    {"max-watches", 0, KV_SETTING_NUMBER, FIELD(max_watches), "N", 1, 1000000,
     "refuse more watches over HTTP at once"},
    {"max-http-memory", 0, KV_SETTING_SIZE, FIELD(max_http_memory), "N", 32 * MIB, TIB,
     "hold at most N bytes of HTTP request bodies in memory, and as much of answers "
     "that "
     "clients are slow to take; as a rule four of the largest values, at least 256M"},
    {"background", 0, KV_SETTING_FLAG, FIELD(background), NULL, 0, 0,
     "return when it serves, and go on in the background"},
    {"until-unmounted", 0, KV_SETTING_FLAG, FIELD(until_unmounted), NULL, 0, 0,
     "stop when the last mount is gone, whatever else is served"},
    {"log", 0, KV_SETTING_TEXT, FIELD(log), "FILE", 0, 0,
     "append the log to FILE, or give it to the system's if that is \"syslog\"; as a "
     "rule stderr, and syslog with --background"},
    {"verbose", 'v', KV_SETTING_FLAG, FIELD(verbose), NULL, 0, 0, "log more"},
    {"version", 0, KV_SETTING_ONCE, FIELD(version), NULL, 0, 0,
     "print the version and exit"},
    {"help", 'h', KV_SETTING_ONCE, FIELD(help), NULL, 0, 0, "print this page and exit"},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Long options are told from each other by this plus their row. */
#define LONG_BASE 256

#define SEE_HELP " (kvfsd --help lists what there is)"

static void *field_of(struct kv_config *config, const struct kv_setting *row)
{
    return (char *)config + row->offset;
}

static const void *field_of_const(const struct kv_config *config,
                                  const struct kv_setting *row)
{
    return (const char *)config + row->offset;
}

static bool takes_argument(const struct kv_setting *row)
{
    return row->argument != NULL;
}

static int set(struct kv_config *config, const struct kv_setting *row,
               const char *value, enum kv_setting_source source, struct kv_buf *error)
{
    return kv_setting_set(row, field_of(config, row), value, source, error);
}

static const struct kv_setting *row_named(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static int set_defaults(struct kv_config *config, struct kv_buf *error)
{
    struct kv_store_config store;
    kv_store_config_default(&store);
    *config = (struct kv_config){
        .owner = {store.uid, store.gid},
        .sync = store.sync,
        .sync_interval_ms = store.sync_interval_ms,
        .cache_bytes = store.cache_bytes,
        .max_value_bytes = store.max_value_bytes,
        .max_store_bytes = store.max_store_bytes,
        .log_max_bytes = store.log_max_bytes,
        .log_max_events = store.log_max_events,
    };
    int err =
        set(config, row_named("data"), "/var/lib/kvfs", KV_SETTING_DEFAULT, error);
    return err ? err
               : set(config, row_named("listen"), "127.0.0.1:5000", KV_SETTING_DEFAULT,
                     error);
}

/* -- The command line -- */

/* The option that name may be a misspelling of; what follows a '=' is not part of it.
 */
static bool add_nearest(struct kv_buf *error, const char *name, const char *dashes)
{
    KV_CLEANUP(kv_free) char *word = strndup(name, strcspn(name, "="));
    for (size_t i = 0; word && i < ROWS; i++)
        if (kv_text_is_near(word, rows[i].name)) {
            kv_buf_addf(error, " (did you mean '%s%s'?)", dashes, rows[i].name);
            return true;
        }
    return false;
}

static const struct kv_setting *row_of(int code)
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
    const struct kv_setting *row = row_of(optopt);
    if (code == ':' && row)
        kv_buf_addf(error, "option '--%s' needs a value (%s)", row->name,
                    row->argument);
    else if (row)
        kv_buf_addf(error, "option '--%s' takes no value", row->name);
    else if (optopt)
        kv_buf_addf(error, "unknown option '-%c'" SEE_HELP, optopt);
    else {
        kv_buf_addf(error, "unknown option '%s'", argument);
        if (!add_nearest(error, argument + strspn(argument, "-"), "--"))
            kv_buf_adds(error, SEE_HELP);
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
        const struct kv_setting *row = code == '?' || code == ':' ? NULL : row_of(code);
        if (!row) {
            explain_refusal(code, argv[optind - 1], error);
            return -EINVAL;
        }
        KV_CLEANUP(kv_buf_done) struct kv_buf reason = {0};
        int err =
            set(config, row, optarg ? optarg : "yes", KV_SETTING_COMMAND_LINE, &reason);
        if (err) {
            kv_buf_addf(error, "--%s %.*s", row->name, (int)reason.len, reason.data);
            return err;
        }
    }
    if (optind < argc) {
        kv_buf_addf(error, "unexpected argument '%s'" SEE_HELP, argv[optind]);
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

/* Whether a file may hold it. */
static bool is_for_files(const struct kv_setting *row)
{
    return row->kind != KV_SETTING_FILE && row->kind != KV_SETTING_ONCE;
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
    const struct kv_setting *row = row_named(name);
    if (row && !is_for_files(row)) {
        kv_buf_addf(error, "'%s' is for the command line only", name);
        return -EINVAL;
    }
    if (!row) {
        kv_buf_addf(error, "unknown name '%s'", name);
        if (!add_nearest(error, name, ""))
            kv_buf_adds(error, SEE_HELP);
        return -EINVAL;
    }
    KV_CLEANUP(kv_buf_done) struct kv_buf reason = {0};
    int err = set(config, row, strip(equals + 1), KV_SETTING_CONFIG_FILE, &reason);
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
    free(config->socket);
    free(config->file);
    free(config->log);
    free(config->tls_cert);
    free(config->tls_key);
    kv_config_list_done(&config->mounts);
    kv_config_list_done(&config->listen);
    kv_config_list_done(&config->allowed_hosts);
    kv_config_list_done(&config->cors_origins);
    *config = (struct kv_config){0};
}

void kv_config_store(const struct kv_config *config, struct kv_store_config *ret)
{
    kv_store_config_default(ret);
    ret->path = config->data;
    ret->uid = config->owner.uid;
    ret->gid = config->owner.gid;
    ret->sync = config->sync;
    ret->sync_interval_ms = (unsigned)config->sync_interval_ms;
    ret->cache_bytes = (size_t)config->cache_bytes;
    ret->max_value_bytes = config->max_value_bytes;
    ret->max_store_bytes = config->max_store_bytes;
    ret->log_max_bytes = config->log_max_bytes;
    ret->log_max_events = config->log_max_events;
}

static void help_entry(struct kv_buf *out, const struct kv_config *defaults,
                       const struct kv_setting *row)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf left = {0}, text = {0}, value = {0};
    kv_buf_addf(&left, "  --%s", row->name);
    if (row->argument)
        kv_buf_addf(&left, " %s", row->argument);
    if (row->letter)
        kv_buf_addf(&left, ", -%c", row->letter);
    kv_buf_addc(&left, '\0');
    kv_buf_adds(&text, row->help);
    if (row->kind == KV_SETTING_LIST) {
        const struct kv_config_list *list = field_of_const(defaults, row);
        if (list->count)
            kv_buf_adds(&value, list->items[0]);
    } else if (row->kind != KV_SETTING_FLAG) {
        kv_setting_format(row, field_of_const(defaults, row), &value);
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
        "there when it serves, and stops cleanly on SIGINT, SIGTERM and SIGHUP; "
        "with --tls-cert SIGHUP reads the certificate again instead.\n"
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
                         const struct kv_setting *row)
{
    struct kv_buf line = {0};
    if (row->kind == KV_SETTING_LIST) {
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
    kv_setting_format(row, field_of_const(config, row), &value);
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
