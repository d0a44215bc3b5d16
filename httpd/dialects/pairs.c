/* All pairs. A long value goes out in slices, cut between characters. */
#include "httpd/dialects/pairs.h"

#include "httpd/access.h"
#include "httpd/dialects/pyjson.h"
#include "httpd/rows.h"

#include <errno.h>
#include <sys/stat.h>

/* Of a value escaped at a time. */
#define SLICE_BYTES (48 * 1024)
/* Rows that one piece looks at: a client that may read few of many would otherwise hold
 * up all others. */
#define LOOK_MAX 20000

static void add_slice(struct kv_rows *rows)
{
    const struct kv_pairs_form *form = rows->form;
    uint64_t left = rows->row.meta.size - rows->offset;
    bool more = left > SLICE_BYTES;
    rows->offset += kv_pyjson_slice(&rows->out, KV_PYJSON_ASCII,
                                    (const char *)rows->row.value + rows->offset,
                                    more ? SLICE_BYTES : (size_t)left, more);
    if (rows->offset == rows->row.meta.size) {
        kv_buf_addc(&rows->out, '"');
        kv_buf_adds(&rows->out, form->behind);
    }
}

static void begin_pair(struct kv_rows *rows, const struct kv_scan_row *row)
{
    const struct kv_pairs_form *form = rows->form;
    kv_buf_adds(&rows->out, rows->begun ? "," : form->begin);
    rows->begun = true;
    kv_buf_adds(&rows->out, form->key);
    kv_pyjson_string(&rows->out, KV_PYJSON_ASCII, row->key, row->key_len);
    kv_buf_adds(&rows->out, form->value);
    kv_buf_addc(&rows->out, '"');
    rows->row = *row;
    rows->offset = 0;
    add_slice(rows);
}

static int end_pairs(struct kv_rows *rows)
{
    const struct kv_pairs_form *form = rows->form;
    if (!rows->begun)
        kv_buf_adds(&rows->out, form->begin);
    kv_buf_adds(&rows->out, form->end);
    return -ENOENT;
}

static int add_pairs(struct kv_rows *rows)
{
    unsigned looked = 0;
    while (rows->out.len < KV_ROWS_PIECE_BYTES) {
        struct kv_scan_row row;
        if (rows->offset < rows->row.meta.size) {
            add_slice(rows);
            continue;
        }
        int err = kv_scan_next(rows->scan, &row);
        if (err)
            return err == -ENOENT ? end_pairs(rows) : err;
        if (!S_ISDIR(row.meta.mode) &&
            kv_access_allows(rows->request, row.key, row.key_len, KV_READ)) {
            begin_pair(rows, &row);
        } else if (++looked == LOOK_MAX) {
            kv_buf_addc(&rows->out, ' '); /* a piece is never empty */
            return 0;
        }
    }
    return 0;
}

void kv_pairs_reply(struct kv_request *request, const struct kv_pairs_form *form)
{
    kv_rows_reply(request, "", 0, "application/json", add_pairs, form);
}
