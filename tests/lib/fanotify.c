/* Prints what fanotify reports.
 *
 *     fanotify fd|name inode|mount|filesystem PATH
 *
 * marks PATH, prints "ready" and then a line for each event of each name: "MODIFY
 * name". fd: events come with an open descriptor, whose path gives the name. name: they
 * come with the directory's handle and the name (FAN_REPORT_DFID_NAME), and there are
 * those of directory entries, too. A failure is one line: the call and the name of the
 * error. Ends when its input does. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

static const struct {
    uint64_t bit;
    const char *name;
} kinds[] = {
    {FAN_OPEN, "OPEN"},
    {FAN_MODIFY, "MODIFY"},
    {FAN_CLOSE_WRITE, "CLOSE_WRITE"},
    {FAN_ATTRIB, "ATTRIB"},
    {FAN_CREATE, "CREATE"},
    {FAN_DELETE, "DELETE"},
    {FAN_MOVED_FROM, "MOVED_FROM"},
    {FAN_MOVED_TO, "MOVED_TO"},
    {FAN_Q_OVERFLOW, "OVERFLOW"},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

static int fail(const char *call)
{
    printf("%s: %s\n", call, strerrorname_np(errno));
    return 1;
}

static void print_event(uint64_t mask, const char *name)
{
    for (size_t i = 0; i < KINDS; i++)
        if (mask & kinds[i].bit)
            printf("%s%s %s\n", kinds[i].name, mask & FAN_ONDIR ? ",ISDIR" : "", name);
}

/* The last component of what a descriptor is open on. */
static const char *name_of_fd(int fd)
{
    static char path[4096];
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 0)
        return "?";
    path[len] = '\0';
    return strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
}

/* The name in the record behind the event: a directory's handle, then the name. */
static const char *name_of_record(const struct fanotify_event_metadata *event)
{
    const struct fanotify_event_info_fid *info = (const void *)(event + 1);
    const struct file_handle *handle = (const void *)info->handle;
    if (event->event_len == sizeof *event)
        return "";
    if (info->hdr.info_type != FAN_EVENT_INFO_TYPE_DFID_NAME)
        return "?";
    return (const char *)handle->f_handle + handle->handle_bytes;
}

static void print_events(const char *buf, ssize_t len)
{
    const struct fanotify_event_metadata *event = (const void *)buf;
    for (; FAN_EVENT_OK(event, len); event = FAN_EVENT_NEXT(event, len)) {
        print_event(event->mask,
                    event->fd >= 0 ? name_of_fd(event->fd) : name_of_record(event));
        if (event->fd >= 0)
            close(event->fd);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: fanotify fd|name inode|mount|filesystem PATH\n");
        return 2;
    }
    bool by_name = strcmp(argv[1], "name") == 0;
    unsigned where = strcmp(argv[2], "mount") == 0        ? FAN_MARK_MOUNT
                     : strcmp(argv[2], "filesystem") == 0 ? FAN_MARK_FILESYSTEM
                                                          : FAN_MARK_INODE;
    uint64_t mask = FAN_OPEN | FAN_MODIFY | FAN_CLOSE_WRITE;
    if (where == FAN_MARK_INODE)
        mask |= FAN_EVENT_ON_CHILD;
    if (by_name)
        mask |= FAN_ATTRIB | FAN_CREATE | FAN_DELETE | FAN_MOVE | FAN_ONDIR;
    setvbuf(stdout, NULL, _IOLBF, 0);
    int fd = fanotify_init(FAN_CLOEXEC | (by_name ? FAN_REPORT_DFID_NAME : 0),
                           O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail("fanotify_init");
    if (fanotify_mark(fd, FAN_MARK_ADD | where, mask, AT_FDCWD, argv[3]) != 0)
        return fail("fanotify_mark");
    puts("ready");
    struct pollfd polls[2] = {{.fd = fd, .events = POLLIN},
                              {.fd = 0, .events = POLLIN}};
    for (;;) {
        static char buf[64 * 1024]
            __attribute__((aligned(__alignof__(struct fanotify_event_metadata))));
        if (poll(polls, 2, -1) < 0)
            return fail("poll");
        if (polls[1].revents)
            return 0;
        ssize_t len = read(fd, buf, sizeof buf);
        if (len < 0)
            return fail("read");
        print_events(buf, len);
    }
}
