/* What libmicrohttpd itself can do: the same flags and options as kvfsd's listeners,
 * one constant answer of the given size.
 *
 *     hello PORT THREADS BYTES
 *
 * Prints "ready" and serves until its stdin ends. */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum MHD_Result answer(void *ctx, struct MHD_Connection *connection,
                              const char *url, const char *method, const char *version,
                              const char *body, size_t *body_len, void **request)
{
    (void)url, (void)method, (void)version, (void)body, (void)body_len;
    if (*request == NULL) {
        *request = ctx;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, ctx);
}

static void *target(void *ctx, const char *uri, struct MHD_Connection *connection)
{
    (void)ctx, (void)uri, (void)connection;
    return NULL;
}

static void completed(void *ctx, struct MHD_Connection *connection, void **request,
                      enum MHD_RequestTerminationCode code)
{
    (void)ctx, (void)connection, (void)code;
    *request = NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: hello PORT THREADS BYTES\n");
        return 2;
    }
    unsigned threads = (unsigned)atoi(argv[2]);
    size_t len = (size_t)atoi(argv[3]);
    char *text = malloc(len + 1);
    if (text == NULL)
        return 1;
    memset(text, 'v', len);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    struct MHD_OptionItem pool[] = {
        {threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads,
         NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC,
        (uint16_t)atoi(argv[1]), NULL, NULL, answer, response,
        MHD_OPTION_CONNECTION_LIMIT, 1000U, MHD_OPTION_CONNECTION_TIMEOUT, 60U,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(32 * 1024),
        MHD_OPTION_URI_LOG_CALLBACK, target, NULL, MHD_OPTION_NOTIFY_COMPLETED,
        completed, NULL, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
    if (daemon == NULL) {
        fprintf(stderr, "hello: cannot listen on port %s\n", argv[1]);
        return 1;
    }
    puts("ready");
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    MHD_stop_daemon(daemon);
    MHD_destroy_response(response);
    return 0;
}
