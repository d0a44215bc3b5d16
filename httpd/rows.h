#ifndef KV_HTTPD_ROWS_H
#define KV_HTTPD_ROWS_H

/* An answer that shows everything below a directory, from one snapshot, and is made in
 * pieces as the client takes them: it holds a piece, however much there is. The
 * snapshot costs room in the store as long as it is open, so there are few such answers
 * at a time, and each must keep up the rate that every answer has to. The connection's
 * thread. */

#include "httpd/request.h"
#include "store/scan.h"

struct kv_rows;

/* Append a piece of the text to rows->out: some KiB, and never nothing with 0, or the
 * library would ask again and again. 0; -ENOENT: what was appended is the last; another
 * error: the answer breaks off. */
typedef int kv_rows_fn(struct kv_rows *rows);

struct kv_rows {
    struct kv_request *request;
    struct kv_scan *scan; /* for kv_scan_next */
    struct kv_buf out;
    const void *form; /* the function's own: what the rows are to look like */
    /* The function's own, from piece to piece: a row whose value goes out in slices,
     * and what of it has; row.meta.size: all. */
    struct kv_scan_row row;
    uint64_t offset;
    bool begun;
    /* The rest is rows.c's. */
    kv_rows_fn *more;
    size_t sent;      /* of out */
    uint64_t total;   /* bytes handed out */
    int64_t start_ns; /* monotonic */
    bool ended, failed;
};

/* A function may go on with a piece until it has so much. */
#define KV_ROWS_PIECE_BYTES (64 * 1024)
/* What a piece may come to: with a row on top that is all escapes, value and all.
 * Longer values go out in slices. */
#define KV_ROWS_VALUE_MAX KV_ROWS_PIECE_BYTES
#define KV_ROWS_OUT_MAX (1024 * 1024)

/* Answer 200 with the rows below dir (dir_len 0: all). What is wrong with dir, and 503
 * when there are too many such answers, is answered, too. */
void kv_rows_reply(struct kv_request *request, const char *dir, size_t dir_len,
                   const char *content_type, kv_rows_fn *more, const void *form);

#endif
