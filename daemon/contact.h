#ifndef KV_CONTACT_H
#define KV_CONTACT_H

/* How the kvfsd that serves a data directory is found: kvfs.sock in that directory is
 * its Unix socket, or a symbolic link to it. Nobody but root and the owner gets there,
 * for the directory is theirs alone. */

/* The path of kvfs.sock, to be freed; NULL: no memory. */
char *kv_contact_path(const char *data);

/* Remove what a killed kvfsd has left there. By who has locked the directory, before he
 * listens. 0 or a negative errno. */
int kv_contact_clear(const char *data);

/* Lead to a socket that is listened on, which may be kvfs.sock itself. 0 or a negative
 * errno. */
int kv_contact_publish(const char *data, const char *socket);

/* Remove the link, if there is one. Before the directory is unlocked. */
void kv_contact_withdraw(const char *data);

#endif
