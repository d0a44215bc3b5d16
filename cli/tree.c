/* kv ls --tree: directories below directories, drawn. Each directory is one listing, so
 * that empty ones are shown too. */
#include "tree.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

struct child {
    char *key;
    bool directory;
};

struct children {
    struct child *items;
    size_t count, cap;
    struct kv_fault *fault;
};

static void children_done(struct children *children)
{
    for (size_t i = 0; i < children->count; i++)
        free(children->items[i].key);
    free(children->items);
}

static int add_child(void *ctx, const struct kv_entry *entry)
{
    struct children *children = ctx;
    if (children->count == children->cap) {
        size_t cap = children->cap ? children->cap * 2 : 64;
        struct child *items = reallocarray(children->items, cap, sizeof(*items));
        if (!items)
            return kv_fault_no_memory(children->fault);
        children->items = items;
        children->cap = cap;
    }
    char *key = strdup(entry->key);
    if (!key)
        return kv_fault_no_memory(children->fault);
    children->items[children->count++] = (struct child){key, entry->directory};
    return 0;
}

static int draw_below(struct kv_cli *cli, const char *dir, struct kv_buf *margin,
                      bool top);

static int draw_child(struct kv_cli *cli, const struct child *child,
                      struct kv_buf *margin, bool last)
{
    const char *slash = strrchr(child->key, '/');
    size_t margin_len = margin->len;
    if (margin->len)
        (void)fwrite(margin->data, 1, margin->len, stdout);
    (void)fputs(last ? "└── " : "├── ", stdout);
    if (child->directory)
        kv_cli_colour(KV_COLOUR_BLUE);
    kv_cli_print_key(stdout, slash ? slash + 1 : child->key);
    if (child->directory)
        kv_cli_colour(KV_COLOUR_NONE);
    (void)fputs(child->directory ? "/\n" : "\n", stdout);
    if (ferror(stdout))
        return kv_cli_flush(cli);
    if (!child->directory)
        return 0;
    kv_buf_adds(margin, last ? "    " : "│   ");
    int status = kv_buf_error(margin) ? kv_fault_no_memory(&cli->fault)
                                      : draw_below(cli, child->key, margin, false);
    margin->len = margin_len;
    return status;
}

static int draw_below(struct kv_cli *cli, const char *dir, struct kv_buf *margin,
                      bool top)
{
    KV_CLEANUP(children_done) struct children children = {.fault = &cli->fault};
    struct kv_listing listing = {.dir = dir, .prefix = ""};
    int status = cli->access->ops->list(cli->access, &listing, add_child, &children,
                                        &cli->fault);
    if (status == KV_EXIT_NOT_FOUND && !top) {
        kv_fault_done(&cli->fault); /* removed since it was listed */
        return 0;
    }
    if (!status && top) {
        kv_cli_print_key(stdout, dir);
        (void)fputs("/\n", stdout);
    }
    for (size_t i = 0; !status && i < children.count; i++)
        status = draw_child(cli, &children.items[i], margin, i + 1 == children.count);
    return status;
}

int kv_tree_draw(struct kv_cli *cli, const char *dir)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf margin = {0};
    return draw_below(cli, dir, &margin, true);
}
