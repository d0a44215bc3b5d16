/* Messages, one write(2) a line, so that lines of two threads never mix. */
#include "base/log.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const char *log_name = "kvfs";
static enum kv_log_level log_most = KV_LOG_INFO;
static bool log_levels; /* prefix lines with <N> */
static int log_fd = STDERR_FILENO;
static atomic_bool log_twice; /* what is grave goes to stderr too */

/* JOURNAL_STREAM names the stream that goes to the journal (systemd.exec(5)); a child
 * of a service inherits the variable although its own stderr may go elsewhere. */
static bool goes_to_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void kv_log_init(const char *name, enum kv_log_level most)
{
    log_name = name;
    log_most = most;
    log_levels = goes_to_journal();
}

int kv_log_divert(const char *path)
{
    if (path) {
        log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
        if (log_fd < 0) {
            log_fd = STDERR_FILENO;
            return -errno;
        }
    } else {
        log_fd = -1;
    }
    log_levels = false;
    atomic_store(&log_twice, true);
    return 0;
}

void kv_log_settled(void)
{
    atomic_store(&log_twice, false);
}

int kv_log_descriptor(void)
{
    return log_fd;
}

/* What is before the message on its line. */
static void add_head(struct kv_buf *line, int fd, enum kv_log_level level)
{
    char time_text[32];
    time_t now = time(NULL);
    struct tm tm;
    if (log_levels) {
        kv_buf_addf(line, "<%d>", (int)level);
        return;
    }
    if (fd > STDERR_FILENO && gmtime_r(&now, &tm) &&
        strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%SZ ", &tm) != 0)
        kv_buf_adds(line, time_text);
    kv_buf_addf(line, "%s: ", log_name);
}

/* Keys may hold any byte: none of them starts a line or moves the cursor. */
static void tame(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            text[i] = '?';
}

/* By hand, and a socket for each line: the one that syslog(3) keeps would be another
 * descriptor, or none, in a thread with a table of its own (fuse/outside.h), and where
 * it finds one that is no socket it closes it. Raw, as there. */
static int send_line(enum kv_log_level level, const struct kv_buf *message)
{
    static const struct sockaddr_un address = {.sun_family = AF_UNIX,
                                               .sun_path = "/dev/log"};
    KV_CLEANUP(kv_buf_done) struct kv_buf line = {0};
    char time_text[32] = "";
    time_t now = time(NULL);
    struct tm tm;
    if (localtime_r(&now, &tm))
        (void)strftime(time_text, sizeof(time_text), "%h %e %T", &tm);
    kv_buf_addf(&line, "<%d>%s %s[%ld]: %.*s", LOG_DAEMON | (int)level, time_text,
                log_name, (long)getpid(), (int)message->len, message->data);
    int fd = (int)syscall(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = kv_buf_error(&line);
    if (!err && sendto(fd, line.data, line.len, MSG_NOSIGNAL,
                       (const struct sockaddr *)&address, sizeof(address)) < 0)
        err = -errno;
    (void)syscall(SYS_close, fd);
    return err;
}

static int write_line(int fd, enum kv_log_level level, const struct kv_buf *message)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf line = {0};
    if (fd < 0)
        return send_line(level, message);
    add_head(&line, fd, level);
    kv_buf_add(&line, message->data, message->len);
    kv_buf_addc(&line, '\n');
    if (kv_buf_error(&line))
        return -ENOMEM;
    return write(fd, line.data, line.len) < 0 ? -errno : 0;
}

void kv_log(enum kv_log_level level, const char *format, ...)
{
    if (level > log_most)
        return;
    KV_CLEANUP(kv_buf_done) struct kv_buf message = {0};
    va_list args;
    va_start(args, format);
    kv_buf_vaddf(&message, format, args);
    va_end(args);
    if (kv_buf_error(&message))
        return;
    tame(message.data, message.len);
    /* Nothing sensible is left to do when the log itself fails. */
    (void)write_line(log_fd, level, &message);
    if (level <= KV_LOG_WARNING && atomic_load(&log_twice))
        (void)write_line(STDERR_FILENO, level, &message);
}

const char *kv_strerror(int negative_errno)
{
    const char *text = strerrordesc_np(-negative_errno);
    return text ? text : "Unknown error";
}
