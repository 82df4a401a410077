/* main.c - tci-gateway: arguments, configuration, run, exit code. */
#include <stdio.h>
#include <sodium.h>

#include "config.h"
#include "log.h"
#include "server.h"

enum { EXIT_RUNTIME = 1, EXIT_USAGE = 2 };

static int
fail(const struct err *err)
{
    fprintf(stderr, "tci-gateway: %s\n", err->msg);
    return err->code == ERR_CONFIG ? EXIT_USAGE : EXIT_RUNTIME;
}

static int
remove_containers(const struct config *config)
{
    struct err err = ERR_INIT;
    unsigned n;

    if (server_remove_containers(config, &n, &err) < 0)
        return fail(&err);
    printf("%u container%s removed\n", n, n == 1 ? "" : "s");
    return 0;
}

static int
run(struct config *config, int argc, char *argv[])
{
    struct err err = ERR_INIT;

    if (config->help) {
        config_print_help(stdout);
        return 0;
    }
    if (config->help_markdown) {
        config_print_markdown(stdout);
        return 0;
    }
    if (config->version) {
        puts("tci-gateway " PACKAGE_VERSION);
        return 0;
    }
    log_setup(config->log_level, config->log_format);
    if (config->remove_containers)
        return remove_containers(config);
    return server_run(config, argc, argv, &err) < 0 ? fail(&err) : 0;
}

int
main(int argc, char *argv[])
{
    struct config config;
    struct err err = ERR_INIT;
    int code;

    if (sodium_init() < 0) {
        fputs("tci-gateway: libsodium cannot be initialised\n", stderr);
        return EXIT_RUNTIME;
    }
    if (config_load(&config, argc, argv, &err) < 0)
        return fail(&err);
    code = run(&config, argc, argv);
    config_clear(&config);
    return code;
}
