#ifndef KV_HTTPD_TOKENFILE_H
#define KV_HTTPD_TOKENFILE_H

/* Tokens as lines of JSON, and back. Pure functions. Any thread. */

#include "httpd/token.h"

/* Append the line of a token. */
void kv_tokenfile_add(struct kv_buf *out, const struct kv_token *token);

/* Read a line without its newline. 0; -EINVAL and the rule; -ENOMEM. */
int kv_tokenfile_read(const char *line, size_t len, struct kv_token **ret,
                      struct kv_buf *rule);

#endif
