/* Messages to stderr, one write(2) a line, so that lines of two threads never mix. */
#include "base/log.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *log_name = "kvfs";
static enum kv_log_level log_most = KV_LOG_INFO;
static bool log_levels; /* prefix lines with <N> */

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

void kv_log(enum kv_log_level level, const char *format, ...)
{
    if (level > log_most)
        return;
    KV_CLEANUP(kv_buf_done) struct kv_buf line = {0};
    if (log_levels)
        kv_buf_addf(&line, "<%d>", (int)level);
    kv_buf_addf(&line, "%s: ", log_name);
    va_list args;
    va_start(args, format);
    kv_buf_vaddf(&line, format, args);
    va_end(args);
    /* Keys may hold any byte: none of them starts a line or moves the cursor. */
    for (size_t i = 0; i < line.len; i++)
        if ((unsigned char)line.data[i] < ' ' || line.data[i] == 0x7f)
            line.data[i] = '?';
    kv_buf_addc(&line, '\n');
    /* Nothing sensible is left to do when stderr itself fails. */
    if (!kv_buf_error(&line) && write(STDERR_FILENO, line.data, line.len) < 0)
        return;
}

const char *kv_strerror(int negative_errno)
{
    const char *text = strerrordesc_np(-negative_errno);
    return text ? text : "Unknown error";
}
