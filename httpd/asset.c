/* The files that are part of the program. Those worth it are in it compressed, and
 * most clients take them so; for the others they are unpacked when asked for, which
 * counts as memory of answers like any other answer. */
#include "httpd/asset.h"

#include "httpd/gzip.h"
#include "httpd/reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define TAG_MAX 64
#define GZIP_FORMAT 16

static const struct kv_asset *const tables[] = {kv_docs_assets, kv_ui_assets};

const struct kv_asset *kv_asset_find(const char *path, size_t len)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        for (const struct kv_asset *asset = tables[i]; asset->path; asset++)
            if (strlen(asset->path) == len && memcmp(asset->path, path, len) == 0)
                return asset;
    return NULL;
}

int kv_asset_read(const struct kv_asset *asset, struct kv_buf *out)
{
    if (!asset->gzip) {
        kv_buf_add(out, asset->data, asset->data_len);
        return kv_buf_error(out);
    }
    size_t start = out->len;
    int err = kv_buf_resize(out, start + asset->len);
    if (err)
        return err;
    z_stream z = {
        .next_in = (Bytef *)(uintptr_t)asset->data,
        .avail_in = (uInt)asset->data_len,
        .next_out = (Bytef *)out->data + start,
        .avail_out = (uInt)asset->len,
    };
    if (inflateInit2(&z, MAX_WBITS + GZIP_FORMAT) != Z_OK)
        return -ENOMEM;
    int rc = inflate(&z, Z_FINISH);
    (void)inflateEnd(&z);
    assert(rc == Z_STREAM_END || rc == Z_MEM_ERROR); /* we made it ourselves */
    return rc == Z_STREAM_END ? 0 : -ENOMEM;
}

/* Weak comparison (RFC 9110 section 13.1.2). In a list of tags each is quoted, so ours
 * with its quotes is found nowhere else. */
static bool client_has(const struct kv_request *request, const char *quoted)
{
    const struct kv_field *field = &request->headers.if_none_match;
    return field->text && ((field->len == 1 && *field->text == '*') ||
                           memmem(field->text, field->len, quoted, strlen(quoted)));
}

static void reply_data(struct kv_request *request, const struct kv_asset *asset)
{
    void *data = (void *)(uintptr_t)asset->data; /* the library does not write to it */
    kv_reply(
        request, 200,
        MHD_create_response_from_buffer(asset->data_len, data, MHD_RESPMEM_PERSISTENT));
    kv_reply_header(request, MHD_HTTP_HEADER_CONTENT_TYPE, asset->content_type);
    if (asset->gzip) {
        kv_reply_header(request, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
        kv_reply_header(request, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
    }
    request->answer_bytes = asset->data_len;
}

static void reply_unpacked(struct kv_request *request, const struct kv_asset *asset)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf content = {0};
    int err = kv_asset_read(asset, &content);
    if (err)
        kv_reply_errno(request, err, NULL, 0);
    else
        kv_reply_buf(request, 200, asset->content_type, &content);
}

void kv_asset_reply(struct kv_request *request, const struct kv_asset *asset)
{
    char quoted[TAG_MAX], tag[TAG_MAX + 2];
    (void)snprintf(quoted, sizeof(quoted), "\"%s\"", asset->tag);
    (void)snprintf(tag, sizeof(tag), "W/%s", quoted);
    if (client_has(request, quoted))
        kv_reply_empty(request, 304);
    else if (!asset->gzip || kv_gzip_wanted(request))
        reply_data(request, asset);
    else
        reply_unpacked(request, asset);
    if (request->status >= 400)
        return;
    kv_reply_header(request, MHD_HTTP_HEADER_ETAG, tag);
    kv_reply_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    kv_reply_header(request, "Content-Security-Policy", KV_ASSET_POLICY);
    kv_reply_header(request, "Referrer-Policy", "no-referrer");
    kv_reply_header(request, "X-Content-Type-Options", "nosniff");
}

void kv_asset_get(struct kv_request *request)
{
    const struct kv_asset *asset =
        kv_asset_find(request->uri.path, request->uri.path_len);
    if (asset)
        kv_asset_reply(request, asset);
    else
        kv_route_reply_nothing(request);
}
