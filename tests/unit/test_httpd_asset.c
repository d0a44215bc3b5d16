#include "httpd/asset.h"
#include "httpd/gzip.h"

#include "suite.h"

#include <string.h>

/* Each test looks at what is really in the program. */

START_TEST(asset_is_found_by_its_whole_path)
{
    ck_assert_ptr_nonnull(kv_asset_find(KV_LIT("/docs")));
    ck_assert_str_eq(kv_asset_find(KV_LIT("/openapi.json"))->path, "/openapi.json");
    ck_assert_ptr_null(kv_asset_find(KV_LIT("/doc")));
    ck_assert_ptr_null(kv_asset_find(KV_LIT("/docs\0")));
    ck_assert_ptr_null(kv_asset_find(KV_LIT("")));
}
END_TEST

START_TEST(asset_has_the_type_of_its_name)
{
    ck_assert_str_eq(kv_asset_find(KV_LIT("/docs"))->content_type,
                     "text/html; charset=utf-8");
    ck_assert_str_eq(kv_asset_find(KV_LIT("/openapi.json"))->content_type,
                     "application/json");
}
END_TEST

START_TEST(asset_that_is_compressed_reads_as_it_was)
{
    struct kv_buf text = {0};
    const struct kv_asset *asset = kv_asset_find(KV_LIT("/openapi.json"));
    ck_assert(asset->gzip);
    ck_assert_uint_lt(asset->data_len, asset->len);
    kv_buf_adds(&text, "before");
    ck_assert_int_eq(kv_asset_read(asset, &text), 0);
    ck_assert_uint_eq(text.len, strlen("before") + asset->len);
    ck_assert_mem_eq(text.data, "before{\"openapi\"", 15);
    ck_assert_mem_eq(text.data + text.len - 2, "}\n", 2);
    kv_buf_done(&text);
}
END_TEST

START_TEST(asset_is_compressed_from_the_size_on_at_which_answers_are)
{
    size_t small = 0, large = 0;
    for (const struct kv_asset *asset = kv_docs_assets; asset->path; asset++) {
        ck_assert_int_eq(asset->gzip, asset->len >= KV_GZIP_MIN_BYTES);
        if (!asset->gzip)
            ck_assert_uint_eq(asset->data_len, asset->len);
        asset->gzip ? large++ : small++;
    }
    ck_assert_uint_gt(small, 0);
    ck_assert_uint_gt(large, 0);
}
END_TEST

KV_SUITE("httpd_asset", asset_is_found_by_its_whole_path,
         asset_has_the_type_of_its_name, asset_that_is_compressed_reads_as_it_was,
         asset_is_compressed_from_the_size_on_at_which_answers_are)
