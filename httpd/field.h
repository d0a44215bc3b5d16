#ifndef KV_HTTPD_FIELD_H
#define KV_HTTPD_FIELD_H

/* The small languages inside header fields and parameters: entity tags, byte ranges,
 * durations, numbers, dates. Pure functions. Any thread. */

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -- Entity tags: RFC 9110 sections 8.8.3, 13.1.1, 13.1.2 -- */

#define KV_ETAGS_MAX 32

/* A list of entity tags. Ours are "MOD_REVISION", and "MOD_REVISION-json" and "-gzip"
 * for the same version in another dress; others are legal and match nothing. */
struct kv_etags {
    bool any; /* "*" */
    size_t count;
    uint64_t strong[KV_ETAGS_MAX];
    size_t weak_count;
    uint64_t weak[KV_ETAGS_MAX];
};

/* Parse a field value. 0, -EINVAL when it is no such list, -E2BIG past KV_ETAGS_MAX. */
int kv_etags_parse(const char *text, size_t len, struct kv_etags *ret);

/* Strong comparison (If-Match): weak tags match nothing. "*" matches. */
bool kv_etags_match_strong(const struct kv_etags *tags, uint64_t revision);
/* Weak comparison (If-None-Match). */
bool kv_etags_match_weak(const struct kv_etags *tags, uint64_t revision);

/* Whether the text is the plain tag of that revision, and nothing else. */
bool kv_etag_is(const char *text, size_t len, uint64_t revision);

/* -- What is accepted: RFC 9110 sections 8.3.1, 12.4.2, 12.5 -- */

#define KV_MEDIA_TYPE_MAX 255

/* Whether the text is a media type, "text/plain; charset=utf-8", that can be sent. */
bool kv_media_type_valid(const char *text, size_t len);

/* The weight in thousandths that an Accept or Accept-Encoding value gives to a name, in
 * so many words: 0..1000; -1 when the name does not stand in it. */
int kv_accept_weight(const char *text, size_t len, const char *name);
/* The largest weight of any name but this. */
int kv_accept_other_weight(const char *text, size_t len, const char *name);

/* -- Byte ranges: RFC 9110 section 14.1.2 -- */

enum kv_range_kind {
    KV_RANGE_NONE,   /* not one range of bytes: answer with the whole value */
    KV_RANGE_PART,   /* first..last */
    KV_RANGE_OUTSIDE /* 416 */
};

/* What "bytes=..." selects of a value of size bytes. */
enum kv_range_kind kv_range_parse(const char *text, size_t len, uint64_t size,
                                  uint64_t *ret_first, uint64_t *ret_last);

/* -- Numbers and durations -- */

/* Decimal digits and nothing else. 0, -EINVAL, -ERANGE. */
int kv_u64_parse(const char *text, size_t len, uint64_t *ret);

/* The same with an optional '-' before it. */
int kv_i64_parse(const char *text, size_t len, int64_t *ret);

/* A number with a unit: 500ms, 60s, 5m, 2h, 7d; without one, seconds. 0, -EINVAL,
 * -ERANGE (beyond 100 years, or zero). */
int kv_duration_parse(const char *text, size_t len, int64_t *ret_ns);

/* "1", "true" or nothing at all (a bare name), "0", "false". 0 or -EINVAL. */
int kv_bool_parse(const char *text, size_t len, bool *ret);

/* A position in the feed: "REV" (behind the whole revision: index UINT32_MAX) or
 * "REV.INDEX". 0, -EINVAL, -ERANGE. */
int kv_position_parse(const char *text, size_t len, uint64_t *ret_revision,
                      uint32_t *ret_index);

/* -- Dates -- */

#define KV_HTTP_DATE_SIZE 30
/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7), NUL-terminated. */
void kv_http_date(char out[KV_HTTP_DATE_SIZE], int64_t realtime_ns);

#define KV_TIME_SIZE 31
/* "2026-11-21T09:03:14.123456789Z" (RFC 3339), NUL-terminated. */
void kv_time_text(char out[KV_TIME_SIZE], int64_t realtime_ns);

/* The time that such a text tells, with 0 to 9 digits behind the point and Z as its
 * zone. 0, -EINVAL, -ERANGE (before 1677-09-21 or after 2262-04-11: 64 bits). */
int kv_time_parse(const char *text, size_t len, int64_t *ret_ns);

/* Append the same as a JSON string. */
void kv_json_time(struct kv_buf *out, int64_t realtime_ns);

#endif
