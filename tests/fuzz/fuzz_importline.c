/* A line of an import. */
#include "httpd/importline.h"
#include "store/key.h"

#include "fuzz.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_txn *txn;
    struct kv_buf rule = {0};
    char *line = fuzz_copy(data, size);
    FUZZ_CHECK(kv_txn_new(KV_ORIGIN_HTTP, NULL, NULL, &txn) == 0);
    int err = kv_import_line(line, size, txn, &rule);
    FUZZ_CHECK(err == 0 || err == -EINVAL);
    FUZZ_CHECK((err != 0) == (rule.len > 0));
    FUZZ_CHECK(txn->op_count <= 1);
    if (err == 0 && txn->op_count == 1)
        FUZZ_CHECK(kv_key_check(txn->ops[0].key, txn->ops[0].key_len) == KV_KEY_VALID);
    kv_buf_done(&rule);
    kv_txn_free(txn);
    free(line);
    return 0;
}
