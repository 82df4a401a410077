/* watch.c - see watch.h. */
#include "watch.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <sys/ioctl.h>

#define END_OF_INPUT "\004\n"

enum {
    GRACE_MS = 2000, /* for who was interrupted to end by himself */
    LOOK_MS = 40,    /* between two looks whether somebody waits for input */
};

static int64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool
is_over(const struct watch *w)
{
    return (w->over != NULL && *w->over) || program_has_ended(w->program);
}

static int
timeout_ms(const struct watch *w)
{
    int64_t left;

    if (w->interrupted) {
        left = w->kill_at_ms - now_ms();
        return left < 0 ? 0 : (int)left;
    }
    return w->input >= 0 ? LOOK_MS : -1;
}

/* Clients repeat it; the grace began with the first. */
static void
interrupt(struct watch *w)
{
    if (!w->interrupted)
        w->kill_at_ms = now_ms() + GRACE_MS;
    w->interrupted = true;
    program_signal(w->program, SIGINT);
}

static void
end_input(struct watch *w)
{
    if (w->input >= 0)
        close(w->input);
    w->input = -1;
}

/* What does not fit into the pipe is lost: nobody can have typed that much. */
static void
give_line(struct watch *w, const char *line)
{
    w->asked = false;
    if (strcmp(line, END_OF_INPUT) == 0)
        end_input(w);
    else if (write(w->input, line, strlen(line)) < 0)
        perror("input");
}

/* Who has just been given a line may still look as if he waited for it. */
static bool
wants_input(const struct watch *w)
{
    int left = 0;

    return ioctl(w->input, FIONREAD, &left) == 0 && left == 0 &&
           program_wants_input(w->program, w->input);
}

static void
serve_input(struct watch *w)
{
    cleanup_free char *line = w->asked ? w->attendant->take_line(w->attendant->owner) : NULL;

    if (line != NULL) {
        give_line(w, line);
    } else if (!w->asked && wants_input(w)) {
        w->asked = w->attendant->ask(w->attendant->owner);
    }
}

static void
kill_program(struct watch *w)
{
    program_signal(w->program, SIGKILL);
    w->kill_at_ms = now_ms() + GRACE_MS;
}

void
watch_run(struct watch *w)
{
    while (!is_over(w)) {
        const int events = w->attendant->wait(w->attendant->owner, w->fd, timeout_ms(w));

        if (events & ATTENDANT_READABLE)
            w->on_readable(w->owner);
        if (events & ATTENDANT_INTERRUPT)
            interrupt(w);
        if ((events & ATTENDANT_SHUTDOWN) || (w->interrupted && now_ms() >= w->kill_at_ms))
            kill_program(w);
        if (w->input >= 0 && !w->interrupted)
            serve_input(w);
    }
    end_input(w);
}

void
watch_give_up(struct watch *w)
{
    end_input(w);
}
