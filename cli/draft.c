#include "draft.h"

#include "process.h"
#include "source.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int cannot(struct kv_fault *fault, const char *what, const char *path)
{
    return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "cannot %s '%s': %s", what, path,
                        strerror(errno));
}

/* draft->dir and draft->path. */
static int make_dir(struct kv_draft *draft, const char *key, struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf dir = {0}, path = {0};
    const char *tmp = getenv("TMPDIR");
    const char *slash = strrchr(key, '/');
    kv_buf_addf(&dir, "%s/kv-edit-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    char *name = kv_buf_steal(&dir, NULL);
    if (!name)
        return kv_fault_no_memory(fault);
    if (!mkdtemp(name)) {
        int status = cannot(fault, "make", name);
        free(name);
        return status;
    }
    draft->dir = name;
    kv_buf_addf(&path, "%s/%s", name, slash ? slash + 1 : key);
    draft->path = kv_buf_steal(&path, NULL);
    return draft->path ? 0 : kv_fault_no_memory(fault);
}

int kv_draft_write(struct kv_draft *draft, const char *key, const void *data,
                   size_t len, struct kv_fault *fault)
{
    int status = make_dir(draft, key, fault);
    if (status)
        return status;
    FILE *file = fopen(draft->path, "wxe");
    if (!file)
        return cannot(fault, "make", draft->path);
    size_t written = len ? fwrite(data, 1, len, file) : 0;
    int closed = fclose(file);
    return written < len || closed ? cannot(fault, "write", draft->path) : 0;
}

/* Through the shell, because people set EDITOR="code --wait". */
int kv_draft_edit(const struct kv_draft *draft, struct kv_fault *fault)
{
    const char *editor = getenv("VISUAL");
    if (!editor || !*editor)
        editor = getenv("EDITOR");
    if (!editor || !*editor)
        editor = "vi";
    KV_CLEANUP(kv_buf_done) struct kv_buf command = {0};
    kv_buf_addf(&command, "%s \"$1\"", editor);
    kv_buf_addc(&command, '\0');
    if (kv_buf_error(&command))
        return kv_fault_no_memory(fault);
    char shell[] = "sh", option[] = "-c";
    char *argv[] = {shell, option, command.data, shell, draft->path, NULL};
    int exit_status = 0;
    int status = kv_process_run(argv, &exit_status, fault);
    if (!status && exit_status)
        return kv_fault_set(fault, KV_EXIT_LOCAL, NULL,
                            "the editor '%s' ended with status %d", editor,
                            exit_status);
    return status;
}

int kv_draft_read(const struct kv_draft *draft, struct kv_buf *out,
                  struct kv_fault *fault)
{
    KV_CLEANUP(kv_close) int fd = open(draft->path, O_RDONLY | O_CLOEXEC);
    KV_CLEANUP(kv_source_done) struct kv_source source = {.fd = -1};
    if (fd < 0)
        return cannot(fault, "open", draft->path);
    int status = kv_source_fd(&source, fd, fault);
    if (status)
        return status;
    if (source.size > INT_MAX || kv_buf_resize(out, (size_t)source.size))
        return kv_fault_no_memory(fault);
    for (size_t at = 0; at < out->len;) {
        ssize_t n = kv_source_read(&source, at, out->data + at, out->len - at);
        if (n < 0) {
            errno = (int)-n;
            return cannot(fault, "read", draft->path);
        }
        at += (size_t)n;
    }
    return 0;
}

void kv_draft_done(struct kv_draft *draft)
{
    if (draft->path && !draft->keep)
        (void)unlink(draft->path); /* the editor may have removed it */
    if (draft->dir && !draft->keep)
        (void)rmdir(draft->dir); /* stays when the editor left something there */
    free(draft->path);
    free(draft->dir);
    *draft = (struct kv_draft){0};
}
