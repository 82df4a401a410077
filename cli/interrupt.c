/* interrupt.c - see interrupt.h. */
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <termios.h>
#include <unistd.h>

static int ends[2] = {-1, -1};
static volatile sig_atomic_t final, was_pipe;
static volatile sig_atomic_t has_left, redraw; /* the terminal; of what stands on it */
static struct termios at_first,
    at_last; /* how the terminal was before this, and when it was left */

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

/* Nobody is there afterwards to have the terminal echo again.  The signal comes once more when this is over. */
static void
on_quit(int sig)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &at_first);
    raise(sig);
}

/* Not where this goes on in the background. */
static void
take_up(int sig)
{
    const int kept = errno;

    (void)sig;
    if (has_left && tcgetpgrp(STDIN_FILENO) == getpgrp()) {
        tcsetattr(STDIN_FILENO, TCSANOW, &at_last);
        has_left = 0;
        redraw = 1;
    }
    errno = kept;
}

/* Ctrl-Z: whoever has the terminal meanwhile finds it as it was. */
static void
on_stop(int sig)
{
    const struct sigaction stop = {.sa_handler = SIG_DFL};
    const int kept = errno;
    struct sigaction own;
    sigset_t set;

    if (!has_left && tcgetattr(STDIN_FILENO, &at_last) == 0) {
        has_left = 1;
        tcsetattr(STDIN_FILENO, TCSANOW, &at_first);
    }
    sigemptyset(&set);
    sigaddset(&set, sig);
    sigaction(sig, &stop, &own);
    raise(sig);
    sigprocmask(SIG_UNBLOCK, &set, NULL); /* here it stops */
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigaction(sig, &own, NULL);
    take_up(sig); /* if there was nobody to stop for, nothing has had it go on */
    errno = kept;
}

static const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

/* nohup(1) and its like stay what they are. */
static void
catch_unless_ignored(int sig, const struct sigaction *how)
{
    struct sigaction before;

    if (sigaction(sig, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(sig, how, NULL);
}

static void
keep_terminal(void)
{
    struct sigaction quit = {.sa_handler = on_quit, .sa_flags = (int)SA_RESETHAND};
    struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    struct sigaction go_on = {.sa_handler = take_up, .sa_flags = SA_RESTART};

    if (tcgetattr(STDIN_FILENO, &at_first) < 0)
        return;
    sigemptyset(&quit.sa_mask);
    sigaddset(&quit.sa_mask, SIGTTOU); /* in the background, too */
    catch_unless_ignored(SIGQUIT, &quit);
    stop.sa_mask = go_on.sa_mask = quit.sa_mask;
    catch_unless_ignored(SIGTSTP, &stop);
    catch_unless_ignored(SIGCONT, &go_on);
}

void
interrupt_catch(void)
{
    if (ends[0] >= 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return;
    catch_unless_ignored(SIGINT, &action);
    catch_unless_ignored(SIGTERM, &action);
    catch_unless_ignored(SIGHUP, &action);
    keep_terminal();
}

void
interrupt_catch_pipe(void)
{
    catch_unless_ignored(SIGPIPE, &action);
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

void
interrupt_end(void)
{
    final = 1;
    interrupt_put_back();
}

bool
interrupt_has_stopped(void)
{
    const bool has = redraw;

    redraw = 0;
    return has;
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
