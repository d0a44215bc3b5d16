/* JSON Web Tokens, under a key of zeros, so that the corpus can hold some that are
 * right. Only what was signed may be accepted, and none for ever. */
#include "httpd/webtoken.h"

#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

#define KEY_BYTES 32
/* Those of the corpus end after it. */
#define NOW_S INT64_C(1800000000)

static struct kv_jwt *open_with_key(void)
{
    static const char key[KEY_BYTES];
    struct kv_jwt *jwt;
    char dir[] = "/tmp/kvfs-fuzz.XXXXXX", path[64];
    FUZZ_CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof(path), "%s/jwt-key", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, key, sizeof(key)) == sizeof(key));
    FUZZ_CHECK(close(fd) == 0);
    FUZZ_CHECK(kv_jwt_open(dir, &jwt) == 0);
    FUZZ_CHECK(unlink(path) == 0 && rmdir(dir) == 0);
    return jwt;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kv_jwt *jwt;
    char id[KV_TOKEN_ID_LEN + 1];
    int64_t end_s;
    if (!jwt)
        jwt = open_with_key();
    char *text = fuzz_copy(data, size);
    if (kv_jwt_check(jwt, text, size, NOW_S, id, &end_s) == 0) {
        FUZZ_CHECK(memchr(id, '\0', sizeof(id)) != NULL);
        FUZZ_CHECK(size <= KV_JWT_TEXT_MAX);
        FUZZ_CHECK(end_s > NOW_S);
        FUZZ_CHECK(kv_jwt_check(jwt, text, size, end_s, id, &end_s) != 0);
    }
    free(text);
    return 0;
}
