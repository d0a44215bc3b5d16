/* kv bench: how fast the store answers the way that was chosen. What is measured is
 * what clients see, from the call to the answer, and every value is checked (load.h).
 * The keys are below a directory that is made for it and removed again, also after
 * Ctrl-C. */
#include "command.h"
#include "interrupt.h"
#include "load.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static const struct workload {
    const char *name;
    enum kv_load_kind kind;
} workloads[] = {{"put", KV_LOAD_PUT}, {"get", KV_LOAD_GET}, {"mixed", KV_LOAD_MIXED}};

#define WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

#define CLIENTS_MAX 1000
#define KEYS_MAX 1000000
#define SIZE_MAX_BYTES (UINT64_C(64) << 20)

struct bench {
    struct kv_load_config config;
    uint64_t seconds;
    const struct workload *only; /* NULL: all */
    char dir[64];
    struct kv_load *load;
};

static void bench_done(struct bench *bench)
{
    kv_load_free(bench->load);
}

/* -- The command line -- */

static int read_number(struct kv_cli *cli, enum kv_option option, uint64_t least,
                       uint64_t most, uint64_t *ret)
{
    const char *text = cli->args.values[option];
    uint64_t number;
    if (!text)
        return 0;
    int err = option == KV_OPT_SIZE ? kv_text_size(text, &number)
                                    : kv_text_number(text, &number);
    if (err || number < least || number > most)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--%s must be a number from %" PRIu64 " to %" PRIu64
                            ", not '%s'",
                            kv_option_name(option), least, most, text);
    *ret = number;
    return 0;
}

static int read_workload(struct kv_cli *cli, struct bench *bench)
{
    const char *text = cli->args.count ? cli->args.operands[0] : NULL;
    for (size_t i = 0; text && i < WORKLOADS; i++)
        if (strcmp(text, workloads[i].name) == 0)
            bench->only = &workloads[i];
    if (!text || bench->only)
        return 0;
    return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                        "what to measure is put, get or mixed, not '%s'", text);
}

static int read_options(struct kv_cli *cli, struct bench *bench)
{
    uint64_t clients = 8;
    bench->config.keys = 1000;
    bench->config.size = 100;
    bench->seconds = 5;
    int status = read_workload(cli, bench);
    if (!status)
        status = read_number(cli, KV_OPT_CLIENTS, 1, CLIENTS_MAX, &clients);
    if (!status)
        status = read_number(cli, KV_OPT_KEYS, 1, KEYS_MAX, &bench->config.keys);
    if (!status)
        status = read_number(cli, KV_OPT_SIZE, KV_LOAD_SIZE_MIN, SIZE_MAX_BYTES,
                             &bench->config.size);
    if (!status)
        status = read_number(cli, KV_OPT_SECONDS, 1, 86400, &bench->seconds);
    if (!status && clients > bench->config.keys)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "there must be as many keys as clients, which write keys "
                            "of their own");
    bench->config.clients = (unsigned)clients;
    return status;
}

/* -- What was measured -- */

static double ms(uint64_t ns)
{
    return (double)ns / (double)KV_NS_PER_MS;
}

static int show_json(struct kv_cli *cli, const struct bench *bench,
                     const struct workload *workload,
                     const struct kv_load_result *result, double rate)
{
    const struct kv_latency *latency = &result->latency;
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_addf(
        &json,
        "{\"workload\":\"%s\",\"clients\":%u,\"keys\":%" PRIu64 ",\"size\":%" PRIu64
        ",\"seconds\":%.3f,\"operations\":%" PRIu64 ",\"operations_per_second\":%.1f",
        workload->name, bench->config.clients, bench->config.keys, bench->config.size,
        (double)result->elapsed_ns / (double)KV_NS_PER_S, latency->count, rate);
    kv_buf_addf(&json, ",\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}",
                ms(kv_latency_percentile(latency, 50)),
                ms(kv_latency_percentile(latency, 99)), ms(latency->max_ns));
    return kv_cli_print_json(cli, &json);
}

static int show(struct kv_cli *cli, const struct bench *bench,
                const struct workload *workload, const struct kv_load_result *result)
{
    const struct kv_latency *latency = &result->latency;
    double seconds = (double)result->elapsed_ns / (double)KV_NS_PER_S;
    double rate = (double)latency->count / seconds;
    if (cli->json)
        return show_json(cli, bench, workload, result, rate);
    printf("%-8s %12" PRIu64 " %10.0f %9.3f %9.3f %9.3f\n", workload->name,
           latency->count, rate, ms(kv_latency_percentile(latency, 50)),
           ms(kv_latency_percentile(latency, 99)), ms(latency->max_ns));
    return kv_cli_flush(cli);
}

static int show_header(struct kv_cli *cli, const struct bench *bench)
{
    if (cli->json)
        return 0;
    printf("%u clients, %" PRIu64 " keys, values of %" PRIu64 " bytes, %s\n",
           bench->config.clients, bench->config.keys, bench->config.size, cli->place);
    printf("%-8s %12s %10s %9s %9s %9s\n", "", "OPERATIONS", "A SECOND", "P50 ms",
           "P99 ms", "MAX ms");
    return kv_cli_flush(cli);
}

/* -- Measuring -- */

/* Ctrl-C in it is KV_STOP. */
static int run_load(struct kv_cli *cli, struct bench *bench, const char *what,
                    enum kv_load_kind kind, struct kv_load_result *ret)
{
    struct kv_progress progress;
    kv_progress_begin(&progress, what, 0);
    int status = kv_load_run(bench->load, kind, (int64_t)bench->seconds * KV_NS_PER_S,
                             &progress, ret, &cli->fault);
    return !status && ret->interrupted ? KV_STOP : status;
}

/* A workload, and whether everything is there that it has put. */
static int measure(struct kv_cli *cli, struct bench *bench,
                   const struct workload *workload)
{
    struct kv_load_result result, check;
    int status = run_load(cli, bench, workload->name, workload->kind, &result);
    if (status)
        return status;
    status = run_load(cli, bench, "check", KV_LOAD_CHECK, &check);
    return status ? status : show(cli, bench, workload, &result);
}

static int measure_all(struct kv_cli *cli, struct bench *bench)
{
    struct kv_load_result fill;
    int status = run_load(cli, bench, "fill", KV_LOAD_FILL, &fill);
    if (!status)
        status = show_header(cli, bench);
    for (size_t i = 0; i < WORKLOADS && !status; i++)
        if (!bench->only || bench->only == &workloads[i])
            status = measure(cli, bench, &workloads[i]);
    return status;
}

/* What was made is removed whatever happened; what happened first is told. */
static int measure_and_clear(struct kv_cli *cli, struct bench *bench)
{
    struct kv_fault fault = {0};
    kv_interrupt_begin(true, 0);
    int status = measure_all(cli, bench);
    kv_interrupt_clear();
    int cleared = kv_load_clear(bench->load, cli->access, &fault);
    kv_interrupt_end();
    if (status == KV_STOP)
        status = kv_fault_set(&cli->fault, KV_EXIT_LOCAL, NULL, "interrupted");
    if (cleared && status && status != KV_EXIT_AWAY)
        kv_fault_hint(&cli->fault, "the keys below '%s' are still there", bench->dir);
    if (cleared && !status) {
        kv_fault_done(&cli->fault);
        cli->fault = fault;
        return cleared;
    }
    kv_fault_done(&fault);
    return status;
}

/* In a client's process. */
static int open_way(void *ctx, struct kv_access **ret, struct kv_fault *fault)
{
    struct kv_cli *cli = ctx;
    int status = kv_cli_open(cli, ret);
    *fault = cli->fault;
    cli->fault = (struct kv_fault){0};
    return status;
}

static int start_clients(struct kv_cli *cli, struct bench *bench)
{
    uint64_t random;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return kv_fault_set(&cli->fault, KV_EXIT_LOCAL, NULL,
                            "cannot get random bytes: %s", strerror(errno));
    (void)snprintf(bench->dir, sizeof(bench->dir), "kv-bench-%016" PRIx64, random);
    bench->config.dir = bench->dir;
    bench->config.open = open_way;
    bench->config.open_ctx = cli;
    return kv_load_new(&bench->config, &bench->load, &cli->fault);
}

static int run_bench(struct kv_cli *cli)
{
    KV_CLEANUP(bench_done) struct bench bench = {0};
    int status = read_options(cli, &bench);
    if (!status)
        status = start_clients(cli, &bench);
    return status ? status : measure_and_clear(cli, &bench);
}

const struct kv_command kv_cmd_bench = {
    .name = "bench",
    .operands = "[put|get|mixed]",
    .summary = "measure how fast the store answers",
    .description =
        "Put keys, get keys, or get nine times for each put, or without a word all "
        "three one after the other, by --clients processes at once, each of which "
        "waits for one answer before it asks again. Prints how many operations that "
        "were, how many a second, and within which time half of them, 99 in a hundred "
        "and all of them were answered.\n"
        "\n"
        "Every value is checked: that it is whole, of the right key, and not older "
        "than what was acknowledged before; and at the end that each key holds what "
        "was put last. The keys are below a directory kv-bench-..., which is removed, "
        "also after Ctrl-C. It writes to the disk as fast as it can: mind who else "
        "uses the store.",
    .options = KV_OPT_BIT(KV_OPT_CLIENTS) | KV_OPT_BIT(KV_OPT_KEYS) |
               KV_OPT_BIT(KV_OPT_SIZE) | KV_OPT_BIT(KV_OPT_SECONDS),
    .least = 0,
    .most = 1,
    .run = run_bench,
};
