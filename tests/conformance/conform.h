#ifndef KV_CONFORM_H
#define KV_CONFORM_H

/* A suite of what POSIX and ext4 say that the calls on files and directories do.
 *
 * A family is one file; its cases run one after the other, each in a process of its
 * own, as root with umask 0 and no supplementary groups, in an empty directory of its
 * own of mode 0755. An assertion is one line of TAP, "family/case: what holds". What is
 * expected is what ext4 answers; nothing in here knows on which filesystem it runs. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct case_ {
    const char *name;
    void (*fn)(void);
};

struct family {
    const char *name;
    const struct case_ *cases; /* ends with a name of NULL */
};

#define CASE(fn)                                                                       \
    {                                                                                  \
#fn, fn                                                                        \
    }
#define FAMILY(id, ...)                                                                \
    const struct family family_##id = {                                                \
        #id, (const struct case_[]){__VA_ARGS__, {NULL, NULL}}}

extern const struct family family_access, family_chmod, family_data, family_dir,
    family_handle, family_lock, family_make, family_open, family_owner, family_path,
    family_remove, family_rename, family_size, family_space, family_stat, family_times,
    family_utime, family_xattr;

/* -- Assertions: each is one line -- */

/* The call returned 0 or more; passes its result on. */
int ok(const char *what, int result);
/* The call returned less than 0 with this errno. */
void fails(const char *what, int result, int err);
void is(const char *what, long long got, long long want);
/* Numbers that people read in octal. */
void is_mode(const char *what, mode_t got, mode_t want);
void yes(const char *what, bool holds);
void same(const char *what, const char *got, const char *want);

/* -- Steps on the way: the case ends with a failure when one does not succeed -- */

#define must(call) must_(#call, (long)(call))
long must_(const char *call, long result);

/* Text that lives until the case ends. */
__attribute__((format(printf, 1, 2))) const char *text(const char *format, ...);
/* LEN letters. */
const char *letters(size_t len);

int opened(const char *path, int flags); /* must; mode 0644 */
int fresh(const char *path,
          const char *bytes);                  /* a new file, open O_RDWR behind them */
void put(const char *path, const char *bytes); /* the file holds these, closed */
void make(const char *path);                   /* a file of mode 0644, empty */
void put_at(int fd, off_t offset, const char *bytes);

/* What there is; "-ENOENT" and the like where there is nothing. */
const char *value(const char *path);
const char *value_fd(int fd); /* from its first byte to its end, by pread */
/* Sorted names without . and .., joined by blanks. */
const char *names(const char *dir);

/* open(2) and close(2); 0, or -1 with open's errno. */
int opens(const char *path, int flags);
int creates(const char *path, int flags, mode_t mode);

struct stat look(const char *path); /* lstat, must */
mode_t mode_of(const char *path);   /* permission bits */
off_t size_of(const char *path);
bool exists(const char *path);
static inline long long links(struct stat st)
{
    return (long long)st.st_nlink;
}

/* Go on as somebody else: uid, gid, and supplementary groups up to 0. */
void become(uid_t uid, gid_t gid, ...);
void become_root(void);
#define NOBODY 65534
#define BOB 65533
#define GROUP 65532

/* -- Time -- */

/* Until every filesystem's clock has moved on. */
void tick(void);

#define MTIME 1
#define CTIME 2
#define BOTH (MTIME | CTIME)
int moved(const struct stat *before, const struct stat *after);

/* The operation moves these times of the path, and no others. */
#define moves(what, path, times, operation)                                            \
    do {                                                                               \
        struct stat before_ = look(path);                                              \
        tick();                                                                        \
        must(operation);                                                               \
        struct stat after_ = look(path);                                               \
        is(what, moved(&before_, &after_), times);                                     \
    } while (0)

/* A child does it and exits; its exit status. */
int in_child(void (*fn)(void *arg), void *arg);

#endif
