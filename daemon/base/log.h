#ifndef KV_BASE_LOG_H
#define KV_BASE_LOG_H

/* One line on stderr for each message: "kvfsd: cannot sync 'data.mdb': Input/output
 * error". When stderr is the journal (JOURNAL_STREAM names it) each line carries its
 * level as "<N>", which journald strips and files (sd-daemon(3)), and no name, which
 * journald puts there itself. The log may also go to a file, where each line has the
 * time before it, or to syslog(3).
 *
 * Libraries return errors; the edges log them, once: operation, 'key', reason. Values
 * never go to the log. Any thread; a line is written whole. */

enum kv_log_level {
    KV_LOG_ERROR = 3,
    KV_LOG_WARNING = 4,
    KV_LOG_NOTICE = 5,
    KV_LOG_INFO = 6,
    KV_LOG_DEBUG = 7,
};

/* The name before the colon, and the least important level that is still written
 * (KV_LOG_INFO unless told otherwise). Before other threads start; name is kept. */
void kv_log_init(const char *name, enum kv_log_level most);

/* Append to a file from now on, made with mode 0640 when it is missing; NULL: give it
 * to syslog(3). Warnings and errors go to stderr as well until kv_log_settled. 0 or a
 * negative errno. Before other threads start. */
int kv_log_divert(const char *path);

/* Whoever started the program has read enough. */
void kv_log_settled(void);

/* Where the log goes: a descriptor, or -1 for syslog(3). */
int kv_log_descriptor(void);

void kv_log(enum kv_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define kv_error(...) kv_log(KV_LOG_ERROR, __VA_ARGS__)
#define kv_warning(...) kv_log(KV_LOG_WARNING, __VA_ARGS__)
#define kv_notice(...) kv_log(KV_LOG_NOTICE, __VA_ARGS__)
#define kv_info(...) kv_log(KV_LOG_INFO, __VA_ARGS__)
#define kv_debug(...) kv_log(KV_LOG_DEBUG, __VA_ARGS__)

/* strerror of a negative errno, thread-safe, static text. */
const char *kv_strerror(int negative_errno);

#endif
