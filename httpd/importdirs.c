/* Directories that an import is filling. */
#include "httpd/importdirs.h"

#include <string.h>

/* Whether in byte order the key, which is not before the directory, comes before all
 * that comes behind its content: "a", "a-b" and "a/b" do for "a", "a0" and "b" do not.
 */
static bool contains(const char *dir, size_t dir_len, const char *key, size_t len)
{
    return len > dir_len && memcmp(key, dir, dir_len) == 0 &&
           (unsigned char)key[dir_len] <= '/';
}

static int set_time(struct kv_txn *txn, const char *key, size_t len, int64_t mtime_ns)
{
    struct kv_op *op;
    int err = kv_txn_op(txn, KV_OP_SET_META, key, len, &op);
    if (err)
        return err;
    op->set = KV_SET_MTIME;
    op->meta.mtime_ns = mtime_ns;
    return 0;
}

int kv_import_dirs_pass(struct kv_import_dirs *dirs, const char *key, size_t len,
                        struct kv_txn *txn)
{
    while (dirs->count > 0) {
        size_t last = dirs->count - 1, dir_len = dirs->open[last].len;
        if (key && contains(dirs->key, dir_len, key, len))
            break;
        int err = dirs->open[last].filled
                      ? set_time(txn, dirs->key, dir_len, dirs->open[last].mtime_ns)
                      : 0;
        if (err)
            return err;
        dirs->count--;
    }
    for (size_t i = 0; i < dirs->count; i++)
        dirs->open[i].filled |= key[dirs->open[i].len] == '/';
    return 0;
}

void kv_import_dirs_open(struct kv_import_dirs *dirs, const char *key, size_t len,
                         int64_t mtime_ns)
{
    size_t last = dirs->count++;
    memcpy(dirs->key, key, len);
    dirs->open[last].len = len;
    dirs->open[last].mtime_ns = mtime_ns;
    dirs->open[last].filled = false;
}
