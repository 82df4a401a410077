/* interrupt.c - see interrupt.h. */
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static int ends[2] = {-1, -1};
static volatile sig_atomic_t final;

static void
on_signal(int sig)
{
    const int kept = errno;

    if (sig != SIGINT)
        final = 1;
    (void)!write(ends[1], "", 1); /* a full pipe says as much */
    errno = kept;
}

/* nohup(1) and its like stay what they are. */
static void
catch_unless_ignored(int sig, const struct sigaction *action)
{
    struct sigaction before;

    if (sigaction(sig, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(sig, action, NULL);
}

void
interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    if (ends[0] >= 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    catch_unless_ignored(SIGTERM, &action);
    catch_unless_ignored(SIGHUP, &action);
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
