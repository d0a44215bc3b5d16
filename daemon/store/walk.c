/* Walks over the tables of a view: a merge of its memtables and the table on disk.
 *
 * Each source stands on its key next to the walk's, in the direction the walk goes; of
 * equal keys that of the newest source counts, and a deletion hides the older ones. */
#include "store/table_internal.h"

#include <errno.h>

struct source {
    struct kv_mem_cursor mem;
    struct kv_disk_cursor *disk; /* not NULL: this, and not mem */
    bool valid, deleted;         /* it stands on a key; which hides it */
    struct kv_slice key, value;
};

struct kv_walk {
    struct kv_view *view;
    enum kv_db db;
    struct source sources[KV_VIEW_MEMTABLES + 1]; /* newest first */
    unsigned source_count;
    bool placed, backward;
    struct kv_slice at; /* the key that it stands on when it is placed */
};

/* -- Sources -- */

static void show_mem(struct source *source, bool valid)
{
    source->valid = valid;
    source->deleted = source->mem.deleted;
    source->key = source->mem.key;
    source->value = source->mem.value;
}

static int move_disk(struct source *source, enum kv_move move, struct kv_slice from)
{
    int err =
        kv_disk_cursor_move(source->disk, move, from, &source->key, &source->value);
    source->valid = !err;
    return err == -ENOENT ? 0 : err;
}

static int move_source(struct source *source, enum kv_move move, struct kv_slice from)
{
    if (source->disk)
        return move_disk(source, move, from);
    show_mem(source, kv_mem_cursor_move(&source->mem, move, from));
    return 0;
}

/* To the first key behind the given one. */
static int move_behind(struct source *source, struct kv_slice key)
{
    int err = move_source(source, KV_MOVE_SEEK, key);
    if (!err && source->valid && kv_slice_compare(source->key, key) == 0)
        err = move_source(source, KV_MOVE_NEXT, key);
    return err;
}

/* To the last key before the given one. */
static int move_before(struct source *source, struct kv_slice key)
{
    if (!source->disk) {
        show_mem(source, kv_mem_cursor_before(&source->mem, key));
        return 0;
    }
    int err = move_disk(source, KV_MOVE_SEEK, key);
    return err ? err
               : move_disk(source, source->valid ? KV_MOVE_PREV : KV_MOVE_LAST, key);
}

/* -- The walk -- */

int kv_walk_open(struct kv_view *view, enum kv_db db, struct kv_walk **ret)
{
    KV_CLEANUP(kv_free) struct kv_walk *walk = calloc(1, sizeof(*walk));
    if (!walk)
        return -ENOMEM;
    const struct kv_view *root = view->root;
    walk->view = view;
    walk->db = db;
    for (unsigned i = 0; i < root->mem_count; i++)
        walk->sources[walk->source_count++].mem = (struct kv_mem_cursor){
            .mem = root->mems[i], .db = db, .number = root->number};
    int err =
        kv_disk_cursor_open(root->disk, db, &walk->sources[walk->source_count++].disk);
    if (err)
        return err;
    *ret = KV_STEAL(walk);
    return 0;
}

void kv_walk_close(struct kv_walk *walk)
{
    if (!walk)
        return;
    kv_disk_cursor_close(walk->sources[walk->source_count - 1].disk);
    free(walk);
}

/* The source that stands next in the walk's direction; NULL: at the end. */
static struct source *next_source(struct kv_walk *walk)
{
    struct source *best = NULL;
    for (unsigned i = 0; i < walk->source_count; i++) {
        struct source *source = &walk->sources[i];
        if (!source->valid)
            continue;
        int order = best ? kv_slice_compare(source->key, best->key) : 0;
        if (!best || (walk->backward ? order > 0 : order < 0))
            best = source;
    }
    return best;
}

/* Move the sources that stand on the walk's key off it. */
static int leave(struct kv_walk *walk)
{
    enum kv_move move = walk->backward ? KV_MOVE_PREV : KV_MOVE_NEXT;
    int err = 0;
    for (unsigned i = 0; i < walk->source_count && !err; i++) {
        struct source *source = &walk->sources[i];
        if (source->valid && kv_slice_compare(source->key, walk->at) == 0)
            err = move_source(source, move, walk->at);
    }
    return err;
}

/* Stand on the nearest key, from where the sources are, that is not deleted. */
static int settle(struct kv_walk *walk, struct kv_slice *ret_key,
                  struct kv_slice *ret_value)
{
    struct source *source;
    while ((source = next_source(walk))) {
        walk->at = source->key;
        walk->placed = true;
        if (!source->deleted) {
            *ret_key = source->key;
            *ret_value = source->value;
            return 0;
        }
        int err = leave(walk);
        if (err)
            return err;
    }
    return -ENOENT;
}

/* Begin anew from a place that all sources can find. */
static int place(struct kv_walk *walk, enum kv_move move, struct kv_slice from,
                 struct kv_slice *ret_key, struct kv_slice *ret_value)
{
    int err = 0;
    walk->backward = move == KV_MOVE_LAST;
    walk->placed = false;
    for (unsigned i = 0; i < walk->source_count && !err; i++)
        err = move_source(&walk->sources[i], move, from);
    return err ? err : settle(walk, ret_key, ret_value);
}

static int turn(struct kv_walk *walk)
{
    int err = 0;
    walk->backward = !walk->backward;
    for (unsigned i = 0; i < walk->source_count && !err; i++)
        err = (walk->backward ? move_before : move_behind)(&walk->sources[i], walk->at);
    return err;
}

static int step(struct kv_walk *walk, bool backward, struct kv_slice *ret_key,
                struct kv_slice *ret_value)
{
    if (!walk->placed)
        return place(walk, backward ? KV_MOVE_LAST : KV_MOVE_FIRST,
                     (struct kv_slice){0}, ret_key, ret_value);
    int err = walk->backward == backward ? leave(walk) : turn(walk);
    return err ? err : settle(walk, ret_key, ret_value);
}

int kv_walk_seek(struct kv_walk *walk, struct kv_slice from, struct kv_slice *ret_key,
                 struct kv_slice *ret_value)
{
    return place(walk, KV_MOVE_SEEK, from, ret_key, ret_value);
}

int kv_walk_first(struct kv_walk *walk, struct kv_slice *ret_key,
                  struct kv_slice *ret_value)
{
    return place(walk, KV_MOVE_FIRST, (struct kv_slice){0}, ret_key, ret_value);
}

int kv_walk_next(struct kv_walk *walk, struct kv_slice *ret_key,
                 struct kv_slice *ret_value)
{
    return step(walk, false, ret_key, ret_value);
}

int kv_walk_last(struct kv_walk *walk, struct kv_slice *ret_key,
                 struct kv_slice *ret_value)
{
    return place(walk, KV_MOVE_LAST, (struct kv_slice){0}, ret_key, ret_value);
}

int kv_walk_prev(struct kv_walk *walk, struct kv_slice *ret_key,
                 struct kv_slice *ret_value)
{
    return step(walk, true, ret_key, ret_value);
}

int kv_walk_delete(struct kv_walk *walk)
{
    assert(walk->placed);
    return kv_view_delete(walk->view, walk->db, walk->at);
}
