#ifndef KV_ATTACH_H
#define KV_ATTACH_H

/* Asking another kvfsd, over its Unix socket, to mount on a directory. */

#include "base/buf.h"

enum kv_attached {
    KV_ATTACHED,
    KV_ATTACH_NOBODY,  /* nobody serves there, or is about to stop */
    KV_ATTACH_REFUSED, /* and why is in error, one line */
};

/* dir is absolute; options is OPTION[,OPTION]... Waits until it is done. */
enum kv_attached kv_attach(const char *socket_path, const char *dir,
                           const char *options, struct kv_buf *error);

#endif
