/* The model of a store; see model.h. */
#include "model.h"

#include "store/xattr.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/* -- Entries -- */

void model_free(struct model *model)
{
    while (model->memory_count > 0)
        free(model->memory[--model->memory_count]);
    free(model->memory);
    free(model->entries);
    *model = (struct model){0};
}

struct model_entry *model_find(const struct model *model, const char *key)
{
    for (size_t i = 0; i < model->count; i++)
        if (strcmp(model->entries[i].key, key) == 0)
            return &model->entries[i];
    return NULL;
}

static struct model_entry *add(struct model *model, const char *key)
{
    ck_assert_ptr_null(model_find(model, key));
    if (model->count == model->room) {
        model->room = model->room ? model->room * 2 : 64;
        model->entries =
            reallocarray(model->entries, model->room, sizeof(*model->entries));
        ck_assert_ptr_nonnull(model->entries);
    }
    struct model_entry *entry = &model->entries[model->count++];
    *entry = (struct model_entry){0};
    ck_assert_uint_le(strlen(key), KV_KEY_MAX);
    memcpy(entry->key, key, strlen(key));
    return entry;
}

static void take_away(struct model *model, struct model_entry *entry)
{
    *entry = model->entries[--model->count];
}

static int compare_entries(const void *a, const void *b)
{
    const struct model_entry *left = a, *right = b;
    return strcmp(left->key, right->key);
}

void model_sort(struct model *model)
{
    if (model->count > 0)
        qsort(model->entries, model->count, sizeof(*model->entries), compare_entries);
}

/* A value that lives as long as the model: up to two runs of bytes, then zeros. */
static void set_value(struct model *model, struct model_entry *entry, const void *head,
                      size_t head_len, const void *tail, size_t tail_len, size_t len)
{
    char *value = calloc(1, len + 1);
    model->memory =
        reallocarray(model->memory, model->memory_count + 1, sizeof(*model->memory));
    ck_assert(value && model->memory);
    model->memory[model->memory_count++] = value;
    if (head_len > 0)
        memcpy(value, head, head_len < len ? head_len : len);
    if (tail_len > 0)
        memcpy(value + head_len, tail, tail_len);
    entry->value = value;
    entry->len = len;
}

static bool is_dir(const struct model_entry *entry)
{
    return S_ISDIR(entry->mode);
}

static bool is_below(const char *key, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(key, dir, len) == 0 && key[len] == '/';
}

static bool holds_something(const struct model *model, const char *dir)
{
    for (size_t i = 0; i < model->count; i++)
        if (is_below(model->entries[i].key, dir))
            return true;
    return false;
}

/* -- Parents -- */

/* The directories that `key` is to lie in, outermost first: 0, or why not; made when
 * missing and allowed. */
static int prepare_parents(struct model *model, const char *key, bool may_make,
                           bool make)
{
    char dir[KV_KEY_MAX + 1];
    bool missing = false;
    for (const char *slash = strchr(key, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t len = (size_t)(slash - key);
        memcpy(dir, key, len);
        dir[len] = '\0';
        struct model_entry *entry = model_find(model, dir);
        if (entry && !is_dir(entry))
            return -ENOTDIR;
        if (!entry && make) {
            entry = add(model, dir);
            entry->mode = S_IFDIR | 0755;
            entry->uid = 1000;
            entry->create_revision = entry->mod_revision = model->revision + 1;
            entry->value = "";
        }
        missing = missing || !entry;
    }
    return missing && !may_make ? -ENOENT : 0;
}

/* -- Operations: 0, 1 when nothing was to be done, or an error -- */

static void set_common(struct model_entry *entry, const struct kv_op *op)
{
    if (op->set & KV_SET_MODE) {
        uint32_t type = op->meta.mode & S_IFMT;
        if (op->type != KV_OP_PUT || type == 0)
            type = entry->mode & S_IFMT;
        entry->mode = type | (op->meta.mode & 07777);
    }
    if (op->set & KV_SET_UID)
        entry->uid = op->meta.uid;
    if (op->set & KV_SET_EXPIRY)
        entry->expiry_ns = op->meta.expiry_ns;
}

static struct model_entry *make_entry(struct model *model, const struct kv_op *op,
                                      uint32_t mode)
{
    ck_assert_int_eq(prepare_parents(model, op->key, true, true), 0);
    struct model_entry *entry = add(model, op->key);
    entry->mode = mode;
    entry->uid = 1000;
    entry->create_revision = model->revision + 1;
    entry->value = "";
    return entry;
}

static uint32_t type_of(const struct kv_op *op)
{
    uint32_t type = op->set & KV_SET_MODE ? op->meta.mode & S_IFMT : 0;
    return op->type == KV_OP_PUT && type ? type : S_IFREG;
}

static int apply_put(struct model *model, const struct kv_op *op)
{
    struct model_entry *entry = model_find(model, op->key);
    bool other_type = entry && (entry->mode & S_IFMT) != type_of(op);
    size_t kept = entry && op->type == KV_OP_APPEND ? entry->len : 0;
    if (entry && is_dir(entry))
        return -EISDIR;
    if (entry && (op->flags & KV_OP_EXCL))
        return -EEXIST;
    if (!entry && (op->flags & KV_OP_MUST_EXIST))
        return -ENOENT;
    if (op->type == KV_OP_APPEND && other_type)
        return -ELOOP;
    if (kept + op->value.len > model->max_value_bytes)
        return -EFBIG;
    int err = prepare_parents(model, op->key, op->flags & KV_OP_PARENTS, false);
    if (err)
        return err;
    if (other_type) {
        take_away(model, entry);
        entry = NULL;
    }
    if (!entry)
        entry = make_entry(model, op, S_IFREG | 0644);
    set_value(model, entry, entry->value, kept, op->value.data, op->value.len,
              kept + op->value.len);
    entry->version++;
    entry->mod_revision = model->revision + 1;
    set_common(entry, op);
    return 0;
}

static int apply_mkdir(struct model *model, const struct kv_op *op)
{
    struct model_entry *entry = model_find(model, op->key);
    if (entry)
        return is_dir(entry) && (op->flags & KV_OP_EXIST_OK) ? 1 : -EEXIST;
    int err = prepare_parents(model, op->key, op->flags & KV_OP_PARENTS, false);
    if (err)
        return err;
    entry = make_entry(model, op, S_IFDIR | 0755);
    entry->mod_revision = model->revision + 1;
    set_common(entry, op);
    return 0;
}

static int apply_delete(struct model *model, const struct kv_op *op)
{
    struct model_entry *entry = model_find(model, op->key);
    if (!entry && op->type != KV_OP_RMDIR && (op->flags & KV_OP_IF_EXISTS))
        return 1;
    if (!entry)
        return -ENOENT;
    if (op->type == KV_OP_DELETE && is_dir(entry))
        return -EISDIR;
    if (op->type == KV_OP_RMDIR && !is_dir(entry))
        return -ENOTDIR;
    if (op->type == KV_OP_RMDIR && holds_something(model, op->key))
        return -ENOTEMPTY;
    for (size_t i = model->count; i-- > 0;)
        if (strcmp(model->entries[i].key, op->key) == 0 ||
            is_below(model->entries[i].key, op->key))
            take_away(model, &model->entries[i]);
    return 0;
}

static int apply_xattr(struct model_entry *entry, const struct kv_op *op)
{
    char *place = op->xattr_name[5] == 'c' ? entry->colour : entry->shape;
    if (op->set & KV_REMOVE_XATTR) {
        if (!*place)
            return -ENODATA;
        *place = '\0';
        return 0;
    }
    if (*place && op->xattr_mode == KV_XATTR_CREATE)
        return -EEXIST;
    if (!*place && op->xattr_mode == KV_XATTR_REPLACE)
        return -ENODATA;
    memcpy(place, op->xattr_value.data, op->xattr_value.len);
    place[op->xattr_value.len] = '\0';
    return 0;
}

static int apply_set_meta(struct model *model, const struct kv_op *op)
{
    struct model_entry *entry = model_find(model, op->key);
    if (!entry)
        return -ENOENT;
    if ((op->set & KV_SET_EXPIRY) && op->meta.expiry_ns && is_dir(entry))
        return -EISDIR;
    if (op->set & KV_SET_SIZE) {
        if (is_dir(entry))
            return -EISDIR;
        if (!S_ISREG(entry->mode))
            return -EINVAL;
        if (op->meta.size > model->max_value_bytes)
            return -EFBIG;
        set_value(model, entry, entry->value, entry->len, NULL, 0, op->meta.size);
        entry->version++;
    }
    if (op->set & (KV_SET_XATTR | KV_REMOVE_XATTR)) {
        int err = apply_xattr(entry, op);
        if (err)
            return err;
    }
    set_common(entry, op);
    entry->mod_revision = model->revision + 1;
    return 0;
}

/* -- Rename -- */

static int check_rename(struct model *model, const struct kv_op *op)
{
    struct model_entry *source = model_find(model, op->key);
    struct model_entry *target = model_find(model, op->to);
    if (!source)
        return -ENOENT;
    if (strcmp(op->key, op->to) == 0)
        return op->flags & KV_OP_EXCL ? -EEXIST : 1;
    if (is_below(op->to, op->key))
        return -EINVAL;
    if (!target)
        return op->flags & KV_OP_EXCHANGE ? -ENOENT : 0;
    if (op->flags & KV_OP_EXCL)
        return -EEXIST;
    if (op->flags & KV_OP_EXCHANGE)
        return is_below(op->key, op->to) ? -EINVAL : 0;
    if (is_dir(source) != is_dir(target))
        return is_dir(source) ? -ENOTDIR : -EISDIR;
    return is_dir(target) && holds_something(model, op->to) ? -ENOTEMPTY : 0;
}

/* Whether all that moves fits its new name. */
static int check_lengths(const struct model *model, const char *from, const char *to)
{
    for (size_t i = 0; i < model->count; i++) {
        const char *key = model->entries[i].key;
        if (is_below(key, from) && strlen(key) - strlen(from) + strlen(to) > KV_KEY_MAX)
            return -ENAMETOOLONG;
    }
    return 0;
}

/* Give an entry that is from or below it its place under to; false: it is neither. */
static bool move_entry(const struct model *model, struct model_entry *entry,
                       const char *from, const char *to)
{
    if (strcmp(entry->key, from) != 0 && !is_below(entry->key, from))
        return false;
    char rest[KV_KEY_MAX + 1];
    strcpy(rest, entry->key + strlen(from));
    ck_assert_uint_le(strlen(to) + strlen(rest), KV_KEY_MAX);
    strcpy(entry->key, to);
    strcat(entry->key, rest);
    entry->mod_revision = model->revision + 1;
    return true;
}

static int apply_rename(struct model *model, const struct kv_op *op)
{
    bool exchange = op->flags & KV_OP_EXCHANGE;
    int err = check_rename(model, op);
    if (!err)
        err = prepare_parents(model, op->to, op->flags & KV_OP_PARENTS, false);
    if (!err)
        err = check_lengths(model, op->key, op->to);
    if (!err && exchange)
        err = check_lengths(model, op->to, op->key);
    if (err)
        return err;
    struct model_entry *target = model_find(model, op->to);
    if (target && !exchange)
        take_away(model, target);
    ck_assert_int_eq(prepare_parents(model, op->to, true, true), 0);
    for (size_t i = 0; i < model->count; i++)
        if (!move_entry(model, &model->entries[i], op->key, op->to) && exchange)
            (void)move_entry(model, &model->entries[i], op->to, op->key);
    return 0;
}

/* -- Transactions -- */

static int apply_op(struct model *model, const struct kv_op *op)
{
    switch (op->type) {
    case KV_OP_PUT:
    case KV_OP_APPEND:
        return apply_put(model, op);
    case KV_OP_DELETE:
    case KV_OP_DELETE_TREE:
    case KV_OP_RMDIR:
        return apply_delete(model, op);
    case KV_OP_RENAME:
        return apply_rename(model, op);
    case KV_OP_MKDIR:
        return apply_mkdir(model, op);
    case KV_OP_SET_META:
        return apply_set_meta(model, op);
    case KV_OP_INCR: /* the model's random transactions have none of these */
    case KV_OP_GET:
        break;
    }
    ck_abort();
}

static bool related(int64_t order, enum kv_compare_relation relation)
{
    const bool holds[] = {[KV_EQUAL] = order == 0,
                          [KV_NOT_EQUAL] = order != 0,
                          [KV_LESS] = order<0, [KV_GREATER] = order> 0};
    return holds[relation];
}

static bool compare_holds(const struct model *model, const struct kv_compare *compare)
{
    const struct model_entry *entry = model_find(model, compare->key);
    if (compare->target == KV_COMPARE_VALUE) {
        if (!entry)
            return compare->relation == KV_NOT_EQUAL;
        return related(kv_key_compare(entry->value, entry->len, compare->bytes.data,
                                      compare->bytes.len),
                       compare->relation);
    }
    uint64_t number = 0;
    if (entry && compare->target == KV_COMPARE_EXISTS)
        number = 1;
    else if (entry && compare->target == KV_COMPARE_VERSION)
        number = entry->version;
    else if (entry && compare->target == KV_COMPARE_MOD_REVISION)
        number = entry->mod_revision;
    return related((int64_t)(number - compare->number), compare->relation);
}

static struct model_result apply_branch(struct model *model, const struct kv_op *ops,
                                        size_t count, bool succeeded)
{
    struct model_result result = {.succeeded = succeeded};
    struct model_entry *before = calloc(model->count + 1, sizeof(*before));
    ck_assert_ptr_nonnull(before);
    size_t count_before = model->count;
    if (model->count > 0)
        memcpy(before, model->entries, model->count * sizeof(*before));
    for (size_t i = 0; i < count && !result.error; i++) {
        int done = apply_op(model, &ops[i]);
        result.changed = result.changed || done == 0;
        if (done < 0) {
            result.error = done;
            result.failed = i;
        }
    }
    if (result.error) {
        result.changed = false;
        if (count_before > 0)
            memcpy(model->entries, before, count_before * sizeof(*before));
        model->count = count_before;
    }
    if (result.changed)
        model->revision++;
    result.revision = model->revision;
    free(before);
    return result;
}

struct model_result model_apply(struct model *model, const struct kv_txn *txn)
{
    for (size_t i = 0; i < txn->compare_count; i++) {
        if (compare_holds(model, &txn->compares[i]))
            continue;
        if (!txn->has_else)
            return (struct model_result){
                .error = -ECANCELED, .failed = i, .revision = model->revision};
        return apply_branch(model, txn->else_ops, txn->else_count, false);
    }
    return apply_branch(model, txn->ops, txn->op_count, true);
}

/* -- Replay -- */

static void text_attr(const struct kv_record *record, const char *name, char *out)
{
    const void *value;
    size_t len;
    if (kv_xattr_get(record->xattrs, record->xattrs_len, name, strlen(name), &value,
                     &len))
        len = 0;
    else
        memcpy(out, value, len);
    out[len] = '\0';
}

/* Set all that the event's record says; the value only when it has one. */
static void set_from(struct model *model, struct model_entry *entry,
                     const struct kv_record *record)
{
    const struct kv_meta *meta = &record->meta;
    entry->id = meta->id;
    entry->create_revision = meta->create_revision;
    entry->mod_revision = meta->mod_revision;
    entry->version = meta->version;
    entry->mode = meta->mode;
    entry->uid = meta->uid;
    entry->expiry_ns = meta->expiry_ns;
    text_attr(record, "user.colour", entry->colour);
    text_attr(record, "user.shape", entry->shape);
    if (!record->bare)
        set_value(model, entry, record->value, meta->size, NULL, 0, meta->size);
    ck_assert_uint_eq(entry->len, meta->size);
}

static void replay_one(struct model *model, const struct kv_event *event)
{
    struct model_entry *entry = model_find(model, event->record->key);
    bool goes = event->type == KV_EVENT_DELETE || event->type == KV_EVENT_RMDIR;
    bool comes = event->type == KV_EVENT_MKDIR || event->created;
    ck_assert(event->type != KV_EVENT_RENAME);
    ck_assert_msg((entry == NULL) == comes, "event %s of '%s' does not fit",
                  kv_event_type_name(event->type), event->record->key);
    if (comes) {
        ck_assert_int_eq(prepare_parents(model, event->record->key, false, false), 0);
        entry = add(model, event->record->key);
        entry->value = "";
    }
    if (goes) {
        ck_assert_uint_eq(entry->id, event->record->meta.id);
        ck_assert(!holds_something(model, entry->key));
        take_away(model, entry);
    } else {
        set_from(model, entry, event->record);
    }
}

/* A rename, the other one of an exchange, and what moved along happen at once. */
static size_t replay_renames(struct model *model, struct kv_event *const *events,
                             size_t count)
{
    size_t group = 1;
    while (group < count && events[group]->type == KV_EVENT_RENAME &&
           (events[group]->implied || (group == 1 && events[0]->exchanged)))
        group++;
    struct model_entry *moving = calloc(group, sizeof(*moving));
    ck_assert_ptr_nonnull(moving);
    for (size_t i = 0; i < group; i++) {
        char from[KV_KEY_MAX + 1];
        memcpy(from, events[i]->from, events[i]->from_len);
        from[events[i]->from_len] = '\0';
        struct model_entry *entry = model_find(model, from);
        ck_assert_ptr_nonnull(entry);
        ck_assert_uint_eq(entry->id, events[i]->record->meta.id);
        moving[i] = *entry;
        take_away(model, entry);
    }
    struct model_entry *replaced = model_find(model, events[0]->record->key);
    ck_assert_uint_eq(events[0]->replaced_id, replaced ? replaced->id : 0);
    if (replaced)
        take_away(model, replaced);
    for (size_t i = 0; i < group; i++) {
        ck_assert_int_eq(prepare_parents(model, events[i]->record->key, false, false),
                         0);
        struct model_entry *entry = add(model, events[i]->record->key);
        entry->value = moving[i].value;
        entry->len = moving[i].len;
        set_from(model, entry, events[i]->record);
    }
    free(moving);
    return group;
}

void model_replay(struct model *model, struct kv_event *const *events, size_t count)
{
    for (size_t i = 0; i < count;) {
        const struct kv_event *event = events[i];
        bool first = i == 0 || events[i - 1]->last;
        ck_assert_uint_eq(event->revision, model->revision + 1);
        ck_assert_uint_eq(event->index, first ? 0 : events[i - 1]->index + 1);
        ck_assert_uint_eq(event->record->meta.mod_revision, event->revision);
        ck_assert(first || event->time_ns == events[i - 1]->time_ns);
        size_t step = 1;
        if (event->type == KV_EVENT_RENAME)
            step = replay_renames(model, events + i, count - i);
        else
            replay_one(model, event);
        i += step;
        if (events[i - 1]->last)
            model->revision++;
    }
}
