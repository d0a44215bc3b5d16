/* Messages on stderr. Keys may hold any byte but NUL; none of them moves the cursor. */
#include "fault.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void kv_fault_done(struct kv_fault *fault)
{
    kv_buf_done(&fault->message);
    kv_buf_done(&fault->hint);
}

int kv_fault_set(struct kv_fault *fault, enum kv_exit exit, const char *key,
                 const char *format, ...)
{
    fault->exit = exit;
    fault->conflict = false;
    kv_buf_reset(&fault->message);
    kv_buf_reset(&fault->hint);
    if (key)
        kv_buf_addf(&fault->message, "'%s': ", key);
    va_list args;
    va_start(args, format);
    kv_buf_vaddf(&fault->message, format, args);
    va_end(args);
    return (int)exit;
}

void kv_fault_hint(struct kv_fault *fault, const char *format, ...)
{
    kv_buf_reset(&fault->hint);
    va_list args;
    va_start(args, format);
    kv_buf_vaddf(&fault->hint, format, args);
    va_end(args);
}

void kv_fault_prefix(struct kv_fault *fault, const char *format, ...)
{
    struct kv_buf message = {0};
    if (fault->message.len == 0)
        return;
    va_list args;
    va_start(args, format);
    kv_buf_vaddf(&message, format, args);
    va_end(args);
    kv_buf_add(&message, fault->message.data, fault->message.len);
    kv_buf_done(&fault->message);
    fault->message = message;
}

int kv_fault_no_memory(struct kv_fault *fault)
{
    return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "out of memory");
}

void kv_fault_print(struct kv_fault *fault)
{
    if (fault->message.failed)
        kv_error("out of memory");
    else if (fault->message.len)
        kv_error("%.*s", (int)fault->message.len, fault->message.data);
    if (fault->hint.len)
        kv_error("hint: %.*s", (int)fault->hint.len, fault->hint.data);
    kv_buf_reset(&fault->message);
    kv_buf_reset(&fault->hint);
}
