#ifndef KV_BASE_LOG_H
#define KV_BASE_LOG_H

/* One line on stderr for each message: "kvfsd: cannot sync 'data.mdb': Input/output
 * error". When stderr is the journal (JOURNAL_STREAM names it) each line carries its
 * level as "<N>", which journald strips and files (sd-daemon(3)).
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
