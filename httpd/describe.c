/* A record in words. */
#include "httpd/describe.h"

#include "base/json.h"
#include "httpd/field.h"
#include "store/xattr.h"

#include <inttypes.h>
#include <string.h>

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

const char *kv_content_type(const void *xattrs, size_t xattrs_len, size_t *ret_len)
{
    const void *value;
    size_t len;
    if (xattrs_len == 0 ||
        kv_xattr_get(xattrs, xattrs_len, KV_CONTENT_TYPE_XATTR,
                     strlen(KV_CONTENT_TYPE_XATTR), &value, &len) ||
        !kv_media_type_valid(value, len))
        return NULL;
    *ret_len = len;
    return value;
}

static void add_attributes(struct kv_buf *json, const void *xattrs, size_t len)
{
    const char *name;
    const void *value;
    size_t offset = 0, name_len, value_len;
    bool first = true;
    while (kv_xattr_next(xattrs, len, &offset, &name, &name_len, &value, &value_len) >
           0) {
        kv_buf_adds(json, first ? ",\"attributes\":[{" : ",{");
        first = false;
        kv_json_bytes(json, "name", name, name_len);
        kv_buf_addc(json, ',');
        kv_json_bytes(json, "value", value, value_len);
        kv_buf_addc(json, '}');
    }
    if (!first)
        kv_buf_addc(json, ']');
}

void kv_describe_more(struct kv_buf *json, const struct kv_meta *meta,
                      const void *xattrs, size_t xattrs_len)
{
    size_t len = 0;
    const char *type = kv_content_type(xattrs, xattrs_len, &len);
    kv_buf_addf(json, ",\"id\":%" PRIu64 ",\"ctime\":", meta->id);
    kv_json_time(json, meta->ctime_ns);
    kv_buf_addf(json, ",\"mode\":\"%04o\",\"uid\":%" PRIu32 ",\"gid\":%" PRIu32,
                meta->mode & 07777, meta->uid, meta->gid);
    if (type) {
        kv_buf_adds(json, ",\"content_type\":");
        kv_json_string(json, type, len);
    }
    add_attributes(json, xattrs, xattrs_len);
}
