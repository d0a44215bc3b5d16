/* How often a second one file can be opened, read and closed, or asked for its
 * attributes, by several processes at once.
 *
 *     opens read|stat FILE SECONDS PROCESSES
 *
 * Prints calls (or rounds) per second, of all processes together. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static bool read_once(const char *file)
{
    char buf[65536];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && read(fd, buf, sizeof buf) > 0;
    return fd >= 0 && close(fd) == 0 && ok;
}

static bool stat_once(const char *file)
{
    struct stat st;
    return stat(file, &st) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: opens read|stat FILE SECONDS PROCESSES\n");
        return 2;
    }
    bool (*once)(const char *) = strcmp(argv[1], "read") == 0 ? read_once : stat_once;
    double seconds = atof(argv[3]);
    int processes = atoi(argv[4]), ends[2];
    if (pipe(ends) != 0)
        return 1;
    for (int i = 0; i < processes; i++)
        if (fork() == 0) {
            unsigned long count = 0;
            double start = now(), end = start;
            for (; end < start + seconds; end = now())
                for (int batch = 0; batch < 100; batch++, count++)
                    if (!once(argv[2])) {
                        perror(argv[2]);
                        return 1;
                    }
            double rate = (double)count / (end - start);
            return write(ends[1], &rate, sizeof rate) == sizeof rate ? 0 : 1;
        }
    double total = 0;
    for (int i = 0; i < processes; i++) {
        int status;
        double rate;
        if (wait(&status) < 0 || status != 0 ||
            read(ends[0], &rate, sizeof rate) != sizeof rate)
            return 1;
        total += rate;
    }
    printf("%.0f\n", total);
    return 0;
}
