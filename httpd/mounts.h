#ifndef KV_HTTPD_MOUNTS_H
#define KV_HTTPD_MOUNTS_H

/* What /v1/mounts keeps for a request while the daemon works for it. */

struct kv_mounts_job;

/* NULL is allowed. */
void kv_mounts_job_free(struct kv_mounts_job *job);

#endif
