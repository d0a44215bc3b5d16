#include "progress.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

#define EVERY_NS (100 * KV_NS_PER_MS)
#define BAR 30

static void print_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double number = (double)bytes;
    size_t unit = 0;
    for (; number >= 1024 && unit < 4; unit++)
        number /= 1024;
    (void)fprintf(stderr, unit ? "%.1f %s" : "%.0f %s", number, units[unit]);
}

static void draw_bar(double part)
{
    int full = part >= 1 ? BAR : (int)(part * BAR);
    (void)fputc('[', stderr);
    for (int i = 0; i < BAR; i++)
        (void)fputc(i < full ? '#' : '.', stderr);
    (void)fprintf(stderr, "] %3d%% ", part >= 1 ? 100 : (int)(part * 100));
}

static void draw_bytes(const struct kv_progress *progress, int64_t now_ns)
{
    double seconds = (double)(now_ns - progress->began_ns) / (double)KV_NS_PER_S;
    (void)fprintf(stderr, "\r\033[K%s ", progress->what);
    if (progress->total)
        draw_bar((double)progress->done / (double)progress->total);
    print_bytes(progress->done);
    if (seconds >= 1) {
        (void)fputs(", ", stderr);
        print_bytes((uint64_t)((double)progress->done / seconds));
        (void)fputs("/s", stderr);
    }
    (void)fflush(stderr);
}

/* Whether it is time to draw, which is noted. */
static bool is_due(struct kv_progress *progress, int64_t now_ns)
{
    if (!progress->shown ||
        (progress->drawn_ns && now_ns - progress->drawn_ns < EVERY_NS))
        return false;
    progress->drawn_ns = now_ns;
    return true;
}

void kv_progress_begin(struct kv_progress *progress, const char *what, uint64_t total)
{
    *progress = (struct kv_progress){.what = what,
                                     .total = total,
                                     .shown = isatty(STDERR_FILENO) == 1,
                                     .began_ns = kv_clock_monotonic_ns()};
}

void kv_progress_add(struct kv_progress *progress, uint64_t bytes)
{
    progress->done += bytes;
    int64_t now_ns = progress->shown ? kv_clock_monotonic_ns() : 0;
    if (is_due(progress, now_ns))
        draw_bytes(progress, now_ns);
}

void kv_progress_show(struct kv_progress *progress, double part, const char *text)
{
    if (!is_due(progress, kv_clock_monotonic_ns()))
        return;
    (void)fprintf(stderr, "\r\033[K%s ", progress->what);
    draw_bar(part);
    (void)fputs(text, stderr);
    (void)fflush(stderr);
}

void kv_progress_end(struct kv_progress *progress)
{
    if (progress->drawn_ns)
        (void)fputs("\r\033[K", stderr);
    progress->drawn_ns = 0;
}
