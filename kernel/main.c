/*
 * main.c - tci-kernel KERNEL_JSON CONNECTION_FILE: a Jupyter kernel for languages that are only a command, as that
 * kernel.json's metadata.tci.command says (language.h).
 *
 * What cells write goes to the kernel's own descriptors 1 and 2 and is in no stream message: the worker reads these
 * descriptors, as it does those of every kernel's children, and carries them before the reply.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

#include "client.h"
#include "language.h"
#include "serve.h"

/* Blocked before ZeroMQ starts threads, so that all of them are read in one place. */
static int
take_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -1;
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int
run(const char *kernel_json, const char *connection_file, int signals, struct err *err)
{
    struct language language;
    struct client client;
    int rc;

    if (language_read(&language, kernel_json, err) < 0)
        return -1;
    rc = client_open(&client, connection_file, err);
    if (rc == 0) {
        rc = serve_run(&client, &language, signals, err);
        client_close(&client);
    }
    language_clear(&language);
    return rc;
}

int
main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    const int signals = take_signals();

    if (argc != 3) {
        fprintf(stderr, "usage: tci-kernel KERNEL_JSON CONNECTION_FILE\n");
        return 64;
    }
    if (signals >= 0 && run(argv[1], argv[2], signals, &err) == 0)
        return 0;
    fprintf(stderr, "tci-kernel: %s\n", signals < 0 ? "cannot take signals" : err.msg);
    return 65;
}
