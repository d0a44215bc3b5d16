/* The lines of the file `tokens`. What cannot be understood is refused as a whole: a
 * token that is read as something else than what was written could let somebody in. */
#include "httpd/tokenfile.h"

#include "base/json.h"
#include "httpd/field.h"
#include "httpd/member.h"

#include <errno.h>
#include <string.h>

static void add_hex(struct kv_buf *out, const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        kv_buf_addf(out, "%02x", bytes[i]);
}

void kv_tokenfile_add(struct kv_buf *out, const struct kv_token *token)
{
    kv_buf_addc(out, '{');
    kv_token_json(out, token);
    kv_buf_adds(out, ",\"sha256\":\"");
    add_hex(out, token->digest, sizeof(token->digest));
    kv_buf_adds(out, "\"}\n");
}

void kv_token_json(struct kv_buf *out, const struct kv_token *token)
{
    kv_buf_addf(out, "\"id\":\"%s\",\"name\":\"%s\",\"created\":", token->id,
                token->name);
    kv_json_time(out, token->created_ns);
    if (token->expires_ns) {
        kv_buf_adds(out, ",\"expires\":");
        kv_json_time(out, token->expires_ns);
    }
    kv_buf_addc(out, ',');
    kv_rights_json(out, &token->rights);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_digest(const struct kv_buf *text, unsigned char digest[32])
{
    if (text->len != 64)
        return -EINVAL;
    for (size_t i = 0; i < 32; i++) {
        int high = hex_digit(text->data[2 * i]), low = hex_digit(text->data[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        digest[i] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

static int read_id(const struct kv_buf *text, struct kv_token *token)
{
    if (text->len != KV_TOKEN_ID_LEN)
        return -EINVAL;
    for (size_t i = 0; i < text->len; i++)
        if (hex_digit(text->data[i]) < 0)
            return -EINVAL;
    memcpy(token->id, text->data, text->len);
    return 0;
}

static int read_name(const struct kv_buf *text, struct kv_token *token)
{
    if (!kv_token_name_valid(text->data, text->len))
        return -EINVAL;
    memcpy(token->name, text->data, text->len);
    return 0;
}

enum { ID, NAME, CREATED, EXPIRES, ADMIN, RIGHTS, SHA256, MEMBERS };
static const char *const names[MEMBERS + 1] = {"id",    "name",   "created", "expires",
                                               "admin", "rights", "sha256"};

/* The members that are texts. */
static int read_text(int member, const struct kv_buf *text, struct kv_token *token)
{
    if (kv_buf_error(text))
        return -ENOMEM;
    switch (member) {
    case ID:
        return read_id(text, token);
    case NAME:
        return read_name(text, token);
    case CREATED:
        return kv_time_parse(text->data, text->len, &token->created_ns);
    case EXPIRES:
        return kv_time_parse(text->data, text->len, &token->expires_ns);
    default:
        return read_digest(text, token->digest);
    }
}

static int read_member(int member, struct kv_span value, struct kv_token *token,
                       struct kv_buf *rule)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
    if (member == ADMIN)
        return kv_member_bool(names[member], value, &token->rights.admin, rule);
    if (member == RIGHTS)
        return kv_rights_read(value, &token->rights, rule);
    int err = kv_member_bytes(names[member], value, (struct kv_span){0}, &text, rule);
    if (!err)
        err = read_text(member, &text, token);
    if (err && err != -ENOMEM && rule->len == 0)
        kv_buf_addf(rule, "'%s' is malformed", names[member]);
    return err == -ERANGE ? -EINVAL : err;
}

int kv_tokenfile_read(const char *line, size_t len, struct kv_token **ret,
                      struct kv_buf *rule)
{
    struct kv_span object, members[MEMBERS];
    KV_CLEANUP(kv_token_unrefp) struct kv_token *token = calloc(1, sizeof(*token));
    if (!token)
        return -ENOMEM;
    atomic_init(&token->refs, 1);
    if (kv_json_read(line, len, &object)) {
        kv_buf_adds(rule, "it is no JSON");
        return -EINVAL;
    }
    int err = kv_members(object, names, members, rule);
    for (int i = 0; i < MEMBERS && !err; i++) {
        if (members[i].data) {
            err = read_member(i, members[i], token, rule);
        } else if (i != EXPIRES) {
            kv_buf_addf(rule, "'%s' is missing", names[i]);
            err = -EINVAL;
        }
    }
    if (!err)
        *ret = KV_STEAL(token);
    return err;
}
