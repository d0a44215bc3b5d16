#ifndef KV_CLI_FAULT_H
#define KV_CLI_FAULT_H

/* What went wrong, for the person who typed the command, and the exit status that goes
 * with it. Functions that can fail fill one in and return its exit status; who called
 * them decides whether to print it. One thread. */

#include "base/buf.h"

#include <stdbool.h>

enum kv_exit {
    KV_EXIT_OK = 0,
    KV_EXIT_NOT_FOUND = 1, /* no such key or directory; or a condition does not hold */
    KV_EXIT_USAGE = 2,     /* wrong options, or a key that cannot be one */
    KV_EXIT_AWAY = 3,      /* nobody serves there, or it went away */
    KV_EXIT_REFUSED = 4,   /* the store said no; nothing was changed */
    KV_EXIT_LOCAL = 5,     /* here: cannot read the value or write the output */
};

struct kv_fault {
    enum kv_exit exit;
    bool conflict; /* a condition of a write does not hold */
    struct kv_buf message;
    struct kv_buf hint;
};

void kv_fault_done(struct kv_fault *fault);

/* Replace what is in fault: "'KEY': reason", or the reason alone when key is NULL.
 * Returns exit, so that `return kv_fault_set(...)` is what a failing function does. */
int kv_fault_set(struct kv_fault *fault, enum kv_exit exit, const char *key,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* What to try instead. */
void kv_fault_hint(struct kv_fault *fault, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Put a text before the message, when there is one. */
void kv_fault_prefix(struct kv_fault *fault, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

int kv_fault_no_memory(struct kv_fault *fault);

/* On stderr: "kv: 'app': is a directory" and, on a line of its own, the hint. Empties
 * the fault. */
void kv_fault_print(struct kv_fault *fault);

#endif
