/* A record in words. */
#include "httpd/describe.h"

#include "base/json.h"
#include "httpd/field.h"

#include <inttypes.h>

void kv_describe(struct kv_buf *json, const struct kv_record *record, bool values)
{
    const struct kv_meta *meta = &record->meta;
    bool dir = kv_record_is_dir(record);
    kv_json_bytes(json, "key", record->key, record->key_len);
    kv_buf_addf(json,
                ",\"size\":%" PRIu64 ",\"version\":%" PRIu64
                ",\"create_revision\":%" PRIu64 ",\"mod_revision\":%" PRIu64
                ",\"mtime\":",
                meta->size, meta->version, meta->create_revision, meta->mod_revision);
    kv_json_time(json, meta->mtime_ns);
    if (meta->expiry_ns) {
        kv_buf_adds(json, ",\"expires\":");
        kv_json_time(json, meta->expiry_ns);
    }
    if (dir || kv_record_is_link(record))
        kv_buf_addf(json, ",\"type\":\"%s\"", dir ? "directory" : "symlink");
    if (dir)
        return;
    if (!record->bare && values) {
        kv_buf_addc(json, ',');
        kv_json_bytes(json, "value", record->value, meta->size);
    } else if (values) {
        kv_buf_adds(json, ",\"omitted\":true");
    }
}
