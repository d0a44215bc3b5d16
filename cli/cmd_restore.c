/* kv restore: a data directory from a backup. No daemon is asked; one that runs on the
 * directory holds its lock, and then nothing is done. */
#include "command.h"
#include "newfile.h"
#include "progress.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256 * 1024)
/* The first page of LMDB's data file: a page header of 16 bytes, then this number in
 * the byte order of the machine (lmdb's mdb.c, MDB_meta). */
#define MAGIC_OFFSET 16
#define MAGIC 0xBEEFC0DEU

struct restoring {
    struct kv_cli *cli;
    int backup_fd, dir_fd, lock_fd;
    struct kv_newfile file;
};

static void restoring_done(struct restoring *r)
{
    kv_newfile_done(&r->file);
    kv_close(&r->backup_fd);
    kv_close(&r->lock_fd);
    kv_close(&r->dir_fd);
}

static int cannot(struct kv_cli *cli, const char *what, const char *path)
{
    return kv_fault_set(&cli->fault, KV_EXIT_LOCAL, NULL, "cannot %s '%s': %s", what,
                        path, strerror(errno));
}

static int open_backup(struct restoring *r, const char *path, uint64_t *ret_size)
{
    unsigned magic = 0;
    struct stat st;
    r->backup_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->backup_fd < 0 || fstat(r->backup_fd, &st) < 0)
        return cannot(r->cli, "open", path);
    *ret_size = (uint64_t)st.st_size;
    ssize_t n = pread(r->backup_fd, &magic, sizeof(magic), MAGIC_OFFSET);
    if (n < 0)
        return cannot(r->cli, "read", path);
    if (n == (ssize_t)sizeof(magic) && magic == MAGIC)
        return 0;
    kv_fault_set(&r->cli->fault, KV_EXIT_REFUSED, NULL, "'%s' is no backup of a store",
                 path);
    kv_fault_hint(&r->cli->fault, "'kv import' reads what 'kv export' wrote");
    return KV_EXIT_REFUSED;
}

static int open_dir(struct restoring *r, const char *dir)
{
    struct kv_fault *fault = &r->cli->fault;
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return cannot(r->cli, "make", dir);
    r->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->dir_fd < 0)
        return cannot(r->cli, "open", dir);
    r->lock_fd = openat(r->dir_fd, "kvfs.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (r->lock_fd < 0)
        return cannot(r->cli, "lock", dir);
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET}; /* as kvfsd's */
    if (fcntl(r->lock_fd, F_OFD_SETLK, &all) < 0) {
        if (errno != EAGAIN && errno != EACCES)
            return cannot(r->cli, "lock", dir);
        kv_fault_set(fault, KV_EXIT_REFUSED, NULL, "kvfsd runs on '%s'", dir);
        kv_fault_hint(fault, "stop it, or restore to another directory");
        return KV_EXIT_REFUSED;
    }
    if (faccessat(r->dir_fd, "data.mdb", F_OK, 0) == 0 &&
        !kv_option_given(&r->cli->args, KV_OPT_FORCE)) {
        kv_fault_set(fault, KV_EXIT_REFUSED, NULL, "there is a store in '%s'", dir);
        kv_fault_hint(fault, "--force replaces it; all that is in it will be gone");
        return KV_EXIT_REFUSED;
    }
    return 0;
}

/* What root restores belongs to whom the directory belongs. */
static int set_owner(struct restoring *r, const char *dir)
{
    struct stat st;
    if (geteuid() != 0)
        return 0;
    if (fstat(r->dir_fd, &st) < 0 || fchown(r->file.fd, st.st_uid, st.st_gid) < 0 ||
        fchown(r->lock_fd, st.st_uid, st.st_gid) < 0)
        return cannot(r->cli, "set the owner of the files in", dir);
    return 0;
}

static int copy(struct restoring *r, const char *path, uint64_t size)
{
    static char chunk[CHUNK];
    struct kv_progress progress;
    int status = 0;
    kv_progress_begin(&progress, "restore", size);
    while (!status) {
        ssize_t n = read(r->backup_fd, chunk, sizeof(chunk));
        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        status = n < 0 ? cannot(r->cli, "read", path)
                       : kv_newfile_write(&r->file, chunk, (size_t)n, &r->cli->fault);
        if (!status)
            kv_progress_add(&progress, (uint64_t)n);
    }
    kv_progress_end(&progress);
    return status;
}

/* LMDB's table of readers and the write-ahead log belong to the store that was here
 * before. They go before the new file has its name, because the log might continue
 * that; and after it is whole, because they are lost then. */
static int remove_others(struct restoring *r, const char *dir)
{
    static const char *const names[] = {"lock.mdb", "wal.0", "wal.1"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (unlinkat(r->dir_fd, names[i], 0) < 0 && errno != ENOENT)
            return cannot(r->cli, "remove what is left of the store in", dir);
    return 0;
}

static int restore(struct restoring *r, const char *path, const char *dir,
                   uint64_t size)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf data = {0};
    kv_buf_addf(&data, "%s/data.mdb", dir);
    kv_buf_addc(&data, '\0');
    if (kv_buf_error(&data))
        return kv_fault_no_memory(&r->cli->fault);
    int status = kv_newfile_begin(&r->file, data.data, &r->cli->fault);
    if (!status)
        status = set_owner(r, dir);
    if (!status)
        status = copy(r, path, size);
    if (!status)
        status = kv_newfile_sync(&r->file, &r->cli->fault);
    if (!status)
        status = remove_others(r, dir);
    return status ? status : kv_newfile_commit(&r->file, &r->cli->fault);
}

static int run_restore(struct kv_cli *cli)
{
    KV_CLEANUP(restoring_done)
    struct restoring r = {.cli = cli, .backup_fd = -1, .dir_fd = -1, .lock_fd = -1};
    const char *path = cli->args.operands[0], *dir = cli->args.operands[1];
    uint64_t size = 0;
    int status = open_backup(&r, path, &size);
    if (!status)
        status = open_dir(&r, dir);
    return status ? status : restore(&r, path, dir, size);
}

const struct kv_command kv_cmd_restore = {
    .name = "restore",
    .operands = "BACKUP DIR",
    .summary = "make a data directory of a backup",
    .description =
        "Put the BACKUP that 'kv backup' wrote into DIR, for 'kvfsd --data DIR'. A "
        "store that is there is replaced with --force only, and never while kvfsd runs "
        "on it. It is in its place when all of it is on the disk, and not before.",
    .options = KV_OPT_BIT(KV_OPT_FORCE),
    .keyless = true,
    .least = 2,
    .most = 2,
    .run = run_restore,
};
