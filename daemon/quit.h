#ifndef KV_QUIT_H
#define KV_QUIT_H

/* Waiting for the end: SIGINT, SIGTERM, SIGHUP, or something inside the daemon that
 * makes the main thread look up. One for a process. */

enum kv_quit_reason {
    KV_QUIT_SIGNAL,
    KV_QUIT_WOKEN,
};

struct kv_quit {
    int signal_fd; /* the three signals, which every thread blocks */
    int wake_fd;   /* eventfd, written by kv_quit_wake */
};

/* Block the signals in this thread, and so in those it starts later, and ignore
 * SIGPIPE. Before any other thread starts. 0 or a negative errno. */
int kv_quit_init(struct kv_quit *quit);

/* Wait for one of the reasons; each is reported once. *ret_signal gets the signal's
 * number. 0 or a negative errno. The main thread only. */
int kv_quit_wait(struct kv_quit *quit, enum kv_quit_reason *ret_reason,
                 int *ret_signal);

/* Make kv_quit_wait report KV_QUIT_WOKEN. quit is a struct kv_quit *. Any thread.
 */
void kv_quit_wake(void *quit);

/* From now on a further signal ends the process at once (default action). Those that
 * come within half a second are taken for the same request: timeout(1) and terminals
 * send one to the process and one to its group. */
void kv_quit_release(void);

void kv_quit_done(struct kv_quit *quit);

#endif
