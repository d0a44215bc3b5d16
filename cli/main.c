/* kv: one command line, its exit status. */
#include "command.h"

#include "base/log.h"

int main(int argc, char *argv[])
{
    kv_log_init("kv", KV_LOG_INFO);
    struct kv_cli cli = {0};
    int status = kv_cli_run(&cli, argc, argv);
    kv_fault_print(&cli.fault);
    kv_access_freep(&cli.access);
    kv_trust_done(&cli.own_trust);
    kv_fault_done(&cli.fault);
    return status;
}
