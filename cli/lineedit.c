/* libedit: the line editor of the BSDs, kept well and in Debian; its licence goes with
 * ours, which readline's does not. */
#include "lineedit.h"

#include "interrupt.h"

#include "base/buf.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define HISTORY_LINES 1000
#define COLUMNS 80

struct kv_lineedit {
    const char *prompt;
    char *history_file;
    kv_complete_fn *complete;
    void *ctx;
    EditLine *el;
    History *history;
    sigset_t unblocked; /* the signal mask while waiting for input */
};

/* -- Completion -- */

static void candidates_done(struct kv_candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++)
        free(candidates->items[i]);
    free(candidates->items);
}

int kv_candidates_add(struct kv_candidates *candidates, const char *word)
{
    if (candidates->count == candidates->cap) {
        size_t cap = candidates->cap ? candidates->cap * 2 : 32;
        char **items = reallocarray(candidates->items, cap, sizeof(*items));
        if (!items)
            return -ENOMEM;
        candidates->items = items;
        candidates->cap = cap;
    }
    char *copy = strdup(word);
    if (!copy)
        return -ENOMEM;
    candidates->items[candidates->count++] = copy;
    return 0;
}

/* How many bytes all candidates begin with. */
static size_t common_length(const struct kv_candidates *candidates)
{
    size_t len = strlen(candidates->items[0]);
    for (size_t i = 1; i < candidates->count; i++) {
        size_t same = 0;
        while (same < len && candidates->items[i][same] == candidates->items[0][same])
            same++;
        len = same;
    }
    return len;
}

static void show_candidates(const struct kv_candidates *candidates)
{
    size_t width = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        size_t len = strlen(candidates->items[i]);
        width = len + 2 > width ? len + 2 : width;
    }
    size_t columns = width < COLUMNS ? COLUMNS / width : 1;
    (void)fputc('\n', stdout);
    for (size_t i = 0; i < candidates->count; i++) {
        bool last = (i + 1) % columns == 0 || i + 1 == candidates->count;
        printf("%-*s%s", last ? 0 : (int)width, candidates->items[i], last ? "\n" : "");
    }
    (void)fflush(stdout);
}

/* A word as it has to be typed. */
static void add_quoted(struct kv_buf *out, const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr(" \t'\"\\#", word[i]))
            kv_buf_addc(out, '\\');
        kv_buf_addc(out, word[i]);
    }
}

/* Put what is certain in the place of the word. libedit counts characters. */
static unsigned char replace_word(struct kv_lineedit *edit, const char *typed,
                                  const struct kv_candidates *candidates)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
    size_t len = common_length(candidates);
    add_quoted(&text, candidates->items[0], len);
    if (candidates->count == 1 && len > 0 && candidates->items[0][len - 1] != '/')
        kv_buf_addc(&text, ' ');
    kv_buf_addc(&text, '\0');
    if (kv_buf_error(&text))
        return CC_ERROR;
    if (strcmp(text.data, typed) == 0) {
        show_candidates(candidates);
        return CC_REDISPLAY;
    }
    size_t characters = mbstowcs(NULL, typed, 0);
    if (characters == (size_t)-1)
        return CC_ERROR;
    if (characters)
        el_deletestr(edit->el, (int)characters);
    return *text.data == '\0' || el_insertstr(edit->el, text.data) == 0 ? CC_REFRESH
                                                                        : CC_ERROR;
}

static unsigned char on_tab(EditLine *el, int key)
{
    struct kv_lineedit *edit;
    KV_CLEANUP(candidates_done) struct kv_candidates candidates = {0};
    const LineInfo *info = el_line(el);
    (void)key;
    if (el_get(el, EL_CLIENTDATA, &edit) < 0)
        return CC_ERROR;
    KV_CLEANUP(kv_free)
    char *line = strndup(info->buffer, (size_t)(info->cursor - info->buffer));
    if (!line || edit->complete(edit->ctx, line, &candidates) || candidates.count == 0)
        return CC_ERROR; /* a beep */
    return replace_word(edit, line + candidates.start, &candidates);
}

/* -- The editor -- */

static volatile sig_atomic_t stop_asked; /* by Ctrl-Z */

static void on_stop(int signal)
{
    (void)signal;
    stop_asked = 1;
}

/* Ctrl-Z is ours while a line is typed, unless nobody would continue what is stopped.
 */
static void catch_stop(struct sigaction *ret_old)
{
    struct sigaction note = {.sa_handler = on_stop};
    stop_asked = 0;
    /* sigaction fails for no such signal only */
    (void)sigaction(SIGTSTP, &note, ret_old);
    if (ret_old->sa_handler == SIG_IGN)
        (void)sigaction(SIGTSTP, ret_old, NULL);
}

/* Stop as other programs do, with the terminal as it was before; when it goes on the
 * line is drawn again. The signal comes when it is no longer blocked. */
static void stop(struct kv_lineedit *edit)
{
    struct sigaction note, standard = {.sa_handler = SIG_DFL};
    sigset_t blocked;
    stop_asked = 0;
    el_set(edit->el, EL_PREP_TERM, 0);
    (void)sigaction(SIGTSTP, &standard, &note);
    (void)raise(SIGTSTP);
    (void)sigprocmask(SIG_SETMASK, &edit->unblocked, &blocked);
    (void)sigprocmask(SIG_SETMASK, &blocked, NULL);
    (void)sigaction(SIGTSTP, &note, NULL);
    el_set(edit->el, EL_PREP_TERM, 1);
    el_set(edit->el, EL_REFRESH);
}

/* Wait for input; SIGINT and SIGTSTP, which are blocked otherwise, can come only here,
 * so that none is missed between looking for it and waiting. 0, or -1 with errno. */
static int wait_for_input(struct kv_lineedit *edit)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (ppoll(&input, 1, NULL, &edit->unblocked) < 0) {
        if (errno != EINTR)
            return -1;
        if (stop_asked)
            stop(edit);
        if (kv_interrupt_state() == KV_INTERRUPT_USER) {
            errno = EINTR;
            return -1;
        }
    }
    return 0;
}

/* One character. libedit's own function would read on after the first signal. */
static int read_char(EditLine *el, wchar_t *ret)
{
    struct kv_lineedit *edit;
    mbstate_t state = {0};
    if (el_get(el, EL_CLIENTDATA, &edit) < 0)
        return 0;
    for (;;) {
        char byte;
        if (wait_for_input(edit) < 0)
            return -1;
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n <= 0)
            return (int)n;
        size_t len = mbrtowc(ret, &byte, 1, &state);
        if (len == (size_t)-1) { /* no character of this locale: left out */
            state = (mbstate_t){0};
            continue;
        }
        if (len != (size_t)-2)
            return 1;
    }
}

static const char *on_prompt(EditLine *el)
{
    struct kv_lineedit *edit;
    return el_get(el, EL_CLIENTDATA, &edit) < 0 ? "" : edit->prompt;
}

static void set_up(struct kv_lineedit *edit)
{
    EditLine *el = edit->el;
    HistEvent event;
    el_set(el, EL_CLIENTDATA, edit);
    el_set(el, EL_PROMPT, on_prompt);
    el_set(el, EL_EDITOR, "emacs");
    el_set(el, EL_SIGNAL, 0); /* Ctrl-C is ours */
    el_set(el, EL_GETCFN, read_char);
    el_set(el, EL_HIST, history, edit->history);
    /* The wide form takes the names as they are; el_set would leak copies of them. */
    el_wset(el, EL_ADDFN, L"kv-complete", L"complete a command or a key", on_tab);
    el_set(el, EL_BIND, "^I", "kv-complete", NULL);
    el_set(el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(el, NULL); /* the user's ~/.editrc, when there is one */
    history(edit->history, &event, H_SETSIZE, HISTORY_LINES);
    history(edit->history, &event, H_SETUNIQUE, 1);
    if (edit->history_file) /* there is none the first time */
        history(edit->history, &event, H_LOAD, edit->history_file);
}

int kv_lineedit_new(const char *prompt, const char *history_file,
                    kv_complete_fn *complete, void *ctx, struct kv_lineedit **ret)
{
    KV_CLEANUP(kv_lineedit_freep) struct kv_lineedit *edit = calloc(1, sizeof(*edit));
    if (!edit)
        return -ENOMEM;
    setlocale(LC_CTYPE, ""); /* without a locale it is bytes */
    edit->prompt = prompt;
    edit->complete = complete;
    edit->ctx = ctx;
    edit->history = history_init();
    edit->el = el_init("kv", stdin, stdout, stderr);
    edit->history_file = history_file ? strdup(history_file) : NULL;
    if (!edit->history || !edit->el || (history_file && !edit->history_file))
        return -ENOMEM;
    set_up(edit);
    *ret = KV_STEAL(edit);
    return 0;
}

void kv_lineedit_free(struct kv_lineedit *edit)
{
    HistEvent event;
    if (!edit)
        return;
    /* A history that cannot be saved is no reason for a message at every end. */
    if (edit->history && edit->el && edit->history_file)
        history(edit->history, &event, H_SAVE, edit->history_file);
    if (edit->el)
        el_end(edit->el);
    if (edit->history)
        history_end(edit->history);
    free(edit->history_file);
    free(edit);
}

enum kv_line kv_lineedit_read(struct kv_lineedit *edit, const char **ret)
{
    int count = 0;
    HistEvent event;
    struct sigaction old_stop;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTSTP);
    (void)sigprocmask(SIG_BLOCK, &signals, &edit->unblocked);
    catch_stop(&old_stop);
    el_resize(edit->el);
    el_set(edit->el, EL_PREP_TERM, 1); /* before the prompt, for those who type fast */
    errno = 0;
    *ret = el_gets(edit->el, &count);
    bool interrupted = count < 0 && errno == EINTR;
    (void)sigaction(SIGTSTP, &old_stop, NULL);
    (void)sigprocmask(SIG_SETMASK, &edit->unblocked, NULL);
    if (!*ret || count <= 0)
        return interrupted ? KV_LINE_INTERRUPTED : KV_LINE_END;
    if (**ret != '\n')
        history(edit->history, &event, H_ENTER, *ret);
    return KV_LINE;
}
