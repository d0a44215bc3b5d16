/* Previous values, from the log. */
#include "store/previous.h"

#include "store/changelog.h"
#include "store/store_internal.h"

int kv_store_previous(struct kv_store *store, const struct kv_event *event,
                      struct kv_event **ret)
{
    KV_CLEANUP(kv_view_endp) struct kv_view *view = NULL;
    int err = kv_view_read(store->table, &view);
    return err ? err : kv_changelog_previous(view, event, ret);
}
