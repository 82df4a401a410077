/* worker_end.c - see worker_end.h. */
#include "worker_end.h"

#include <signal.h>
#include <string.h>

#include "runtime.h"

static bool
was_oom_killed(const struct worker_end *w, int signal)
{
    return signal == SIGKILL && (w->exit->oom || container_was_oom(w->container));
}

static void
explain_oom(const struct worker_end *w, struct err *why)
{
    bool lowered;
    unsigned mb = container_memory_mb(w->container, &lowered);

    err_set(why, ERR_WORKER_DIED, "The worker ran out of memory (limit: %u MB%s)",
            mb != 0 ? mb : w->memory_mb, lowered ? ", the memory_mb of this execution" : "");
}

void
worker_end_of_kernel(const struct worker_end *w, const json_t *end, struct err *why)
{
    const json_t *status = json_object_get(end, "exit");
    const json_t *sig = json_object_get(end, "signal");
    const char *reason = json_string_value(json_object_get(end, "reason"));
    int n = (int)json_integer_value(sig);

    if (json_is_integer(sig) && was_oom_killed(w, n))
        explain_oom(w, why);
    else if (json_is_integer(sig) && n > 0 && n < NSIG)
        err_set(why, ERR_WORKER_DIED, "The worker was killed by signal %d (%s)", n, strsignal(n));
    else if (json_is_integer(status))
        err_set(why, ERR_WORKER_DIED, "The worker exited with status %d",
                (int)json_integer_value(status));
    else if (reason)
        err_set(why, ERR_WORKER_DIED, "The worker gave up: %s", reason);
    else
        err_set(why, ERR_WORKER_DIED, "The worker died");
}

void
worker_end_of_container(const struct worker_end *w, struct err *why)
{
    if (w->exit->oom)
        explain_oom(w, why);
    else if (w->exit->known && w->exit->signal)
        err_set(why, ERR_WORKER_DIED, "The worker's container was killed by signal %d (%s)",
                w->exit->signal, strsignal(w->exit->signal));
    else if (w->exit->known)
        err_set(why, ERR_WORKER_DIED, "The worker's container exited with status %d",
                w->exit->code);
    else
        err_set(why, ERR_WORKER_DIED, "The worker's container ended");
}
