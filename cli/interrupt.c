/* interrupt.c - see interrupt.h. */
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static int ends[2] = {-1, -1};
static volatile sig_atomic_t final, was_pipe;

static void
on_signal(int sig)
{
    const int kept = errno;

    if (sig != SIGINT)
        final = 1;
    if (sig == SIGPIPE)
        was_pipe = 1;
    (void)!write(ends[1], "", 1); /* a full pipe says as much */
    errno = kept;
}

static const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

/* nohup(1) and its like stay what they are. */
static void
catch_unless_ignored(int sig)
{
    struct sigaction before;

    if (sigaction(sig, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(sig, &action, NULL);
}

void
interrupt_catch(void)
{
    if (ends[0] >= 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return;
    sigaction(SIGINT, &action, NULL);
    catch_unless_ignored(SIGTERM);
    catch_unless_ignored(SIGHUP);
}

void
interrupt_catch_pipe(void)
{
    catch_unless_ignored(SIGPIPE);
}

int
interrupt_fd(void)
{
    return ends[0];
}

bool
interrupt_taken(void)
{
    char bytes[64];
    bool any = false;

    while (ends[0] >= 0 && read(ends[0], bytes, sizeof(bytes)) > 0)
        any = true;
    return any;
}

void
interrupt_put_back(void)
{
    (void)!write(ends[1], "", 1);
}

bool
interrupt_is_final(void)
{
    return final;
}

bool
interrupt_was_pipe(void)
{
    return was_pipe;
}
