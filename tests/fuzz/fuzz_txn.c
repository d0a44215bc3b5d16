/* The body of /v1/txn. */
#include "httpd/txnread.h"

#include "fuzz.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_txn *txn = NULL;
    struct kv_txn_fault fault = {0};
    char *text = fuzz_copy(data, size);
    int err = kv_txn_read(text, size, &txn, &fault);
    FUZZ_CHECK(err == 0 || err == -EINVAL);
    if (err == 0) {
        FUZZ_CHECK(txn->has_else);
        FUZZ_CHECK(txn->op_count <= KV_TXN_OPS_MAX);
    } else {
        FUZZ_CHECK(txn == NULL && fault.rule.len > 0);
        FUZZ_CHECK(fault.status == 400 || fault.status == 413);
    }
    kv_buf_done(&fault.rule);
    kv_txn_free(txn);
    free(text);
    return 0;
}
