#ifndef KV_CLI_INTERRUPT_H
#define KV_CLI_INTERRUPT_H

/* Ends of a wait that come from outside: Ctrl-C, where it shall not end the process,
 * and the end of a time. Both are signals, which make system calls that wait return,
 * and a question that ticks (access.h, http.h) ask. A wait may be begun within another
 * that has no time: a shell catches Ctrl-C all along. One thread. */

#include <stdbool.h>
#include <stdint.h>

enum kv_interrupt { KV_INTERRUPT_NONE, KV_INTERRUPT_USER, KV_INTERRUPT_TIME };

/* catch_user: Ctrl-C is only noted; otherwise it does what it did before. timeout_ms 0:
 * no end. */
void kv_interrupt_begin(bool catch_user, uint64_t timeout_ms);

enum kv_interrupt kv_interrupt_state(void);

/* Forget a Ctrl-C. */
void kv_interrupt_clear(void);

/* Signals do again what they did before. */
void kv_interrupt_end(void);

#endif
