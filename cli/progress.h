#ifndef KV_CLI_PROGRESS_H
#define KV_CLI_PROGRESS_H

/* A line on stderr that tells how far long work is, when stderr is a terminal; nothing
 * otherwise. One thread. */

#include <stdbool.h>
#include <stdint.h>

struct kv_progress {
    const char *what; /* "backup" */
    uint64_t total;   /* bytes; 0: not known */
    uint64_t done;
    bool shown; /* whether it shows anything at all */
    int64_t began_ns, drawn_ns;
};

void kv_progress_begin(struct kv_progress *progress, const char *what, uint64_t total);
void kv_progress_add(struct kv_progress *progress, uint64_t bytes);

/* Instead of kv_progress_add, for work that is not counted in bytes: the part of it
 * that is done, 0 to 1, and what to say behind the bar. */
void kv_progress_show(struct kv_progress *progress, double part, const char *text);

/* Take the line away, so that messages stand alone. */
void kv_progress_end(struct kv_progress *progress);

#endif
