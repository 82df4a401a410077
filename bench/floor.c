/*
 * floor.c - bench/floor: what the kernels themselves allow.  The workload of bench/load on real kernels, by the
 * least that can be called a client: no gateway, no worker, no container.  The ratio of the two is the cost of
 * the product.
 *
 * Exit status: 0 when every answer was right, 1 when not, 2 when the options or the kernels were no good.
 */
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <event2/event.h>
#include <sodium.h>
#include <zmq.h>

#include "bare.h"
#include "clock.h"
#include "jsonfile.h"
#include "report.h"
#include "usage.h"

enum { MAX_KERNELS = 1000, MAX_EXECUTIONS = 10000000, COMPLAINTS_MAX = 5, PATH_MAX_IPC = 60 };

struct options {
    const char *kernel, *kernelspecs, *home, *json;
    unsigned kernels, executions;
    enum workload workload;
    uint64_t seed;
    double timeout;
    bool sequential, rounds;
};

struct runner { /* one kernel and its user */
    struct floor *floor;
    struct bare *kernel;
    struct workload_user work;
    struct workload_step step;
    unsigned number, n_done;
    double sent;
};

struct floor {
    struct options options;
    struct event_base *base;
    void *context;
    struct kernelspec spec;
    char dir[PATH_MAX_IPC]; /* of this run; "" = not made yet */
    struct runner *runners;
    unsigned n_ready, n_finished;
    struct report *report; /* of the round under way */
    double begun, begun_cpu;
    unsigned n_complaints;
    int signals; /* signalfd: asked to end, or a kernel has ended */
    struct event *on_signal, *deadline;
    bool failed;
    struct err err;
};

static const char help[] =
    "Usage: floor [OPTION]...\n"
    "Runs the workload of bench/load on kernels started directly, and reports.\n"
    "\n"
    "  --kernel NAME         kernelspec (python3)\n"
    "  --kernelspecs DIR     where it is looked for before Jupyter's directories (the product's "
    "own)\n"
    "  --home DIR            copied to be each kernel's home (made by the kernelspec's "
    "preparation)\n"
    "  --kernels N           kernels at once (1)\n"
    "  --executions M        on each of them (1000)\n"
    "  --workload NAME       " WORKLOAD_NAMES " (increment)\n"
    "  --sequential          one execution at a time, the kernels take turns\n"
    "  --seed N              of the workload (1)\n"
    "  --timeout SECONDS     until a start or a round is given up (300)\n"
    "  --rounds              keep the kernels: one round for each line of standard input, until "
    "its end,\n"
    "                        each reported as one line of JSON; the line \"ready\" before the "
    "first\n"
    "  --json FILE           write the report as JSON, - for standard output instead of the text\n"
    "  --help                show this\n"
    "\n"
    "Exit status: 0 every answer right, 1 not every, 2 wrong options or no kernels.\n";

/* ---- the run of one round ---- */

static void
fail(struct floor *f, const struct err *err)
{
    if (!f->failed)
        f->err = *err;
    f->failed = true;
    event_base_loopbreak(f->base);
}

static void
execute_next(struct runner *r)
{
    struct err err = ERR_INIT;

    workload_next(&r->work, &r->step);
    r->sent = clock_now();
    if (bare_execute(r->kernel, r->step.code, &err) < 0)
        fail(r->floor, &err);
}

static void
end_round(struct floor *f)
{
    f->report->seconds = clock_now() - f->begun;
    f->report->cpu_seconds = clock_cpu() - f->begun_cpu;
    event_base_loopbreak(f->base);
}

/* Whose turn it is now; a runner that has finished ends the round if it was the last. */
static void
pass_on(struct runner *r)
{
    struct floor *f = r->floor;

    if (r->n_done == f->options.executions && ++f->n_finished == f->options.kernels)
        end_round(f);
    else if (f->options.sequential)
        execute_next(&f->runners[(r->number + 1) % f->options.kernels]);
    else if (r->n_done < f->options.executions)
        execute_next(r);
}

static void
complain(struct runner *r, const struct workload_answer *a)
{
    if (r->floor->n_complaints++ < COMPLAINTS_MAX)
        fprintf(stderr, "kernel %u, execution %u: wrong answer: wanted \"%s\" after %s: got %.*s\n",
                r->number, r->n_done + 1, r->step.text, r->step.code, (int)a->text_len,
                a->text == NULL ? "" : a->text);
}

static void
on_answer(void *owner, const struct workload_answer *a)
{
    struct runner *r = owner;
    const double ms = 1000 * (clock_now() - r->sent);
    const bool right = workload_is_right(&r->step, a);

    report_add(r->floor->report, right ? OUTCOME_OK : OUTCOME_WRONG, ms,
               r->n_done == 0 ? REQUEST_FIRST : REQUEST_LATER);
    if (!right) {
        complain(r, a);
        workload_user_restart(&r->work);
    }
    r->n_done++;
    pass_on(r);
}

static void
on_ready(void *owner)
{
    struct runner *r = owner;

    if (++r->floor->n_ready == r->floor->options.kernels)
        event_base_loopbreak(r->floor->base);
}

static void
on_failed(void *owner, const struct err *err)
{
    fail(((struct runner *)owner)->floor, err);
}

static const struct bare_ops ops = {on_ready, on_answer, on_failed};

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
    struct signalfd_siginfo info;
    struct err err = ERR_INIT;

    (void)what;
    if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGCHLD)
        err_set(&err, ERR_WORKER_DIED, "a kernel has ended by itself, pid %u", info.ssi_pid);
    else
        err_set(&err, ERR_SYSTEM, "ended by signal %u", info.ssi_signo);
    fail(arg, &err);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct err err = ERR_INIT;

    (void)fd, (void)what;
    err_set(&err, ERR_TIMEOUT, "the kernels have not done it within --timeout");
    fail(arg, &err);
}

/* Runs the loop until the callbacks above end it. */
static int
run_loop(struct floor *f, struct err *err)
{
    const struct timeval tv = {(time_t)f->options.timeout, 0};

    event_add(f->deadline, &tv);
    event_base_dispatch(f->base);
    event_del(f->deadline);
    if (f->failed)
        *err = f->err;
    return f->failed ? -1 : 0;
}

static int
run_round(struct floor *f, struct report *report, struct err *err)
{
    const unsigned first = f->options.sequential ? 1 : f->options.kernels;

    f->report = report;
    f->n_finished = 0;
    for (unsigned i = 0; i < f->options.kernels; i++) {
        f->runners[i].n_done = 0;
        workload_user_init(&f->runners[i].work, f->options.workload, f->options.seed, i);
    }
    f->begun = clock_now();
    f->begun_cpu = clock_cpu();
    for (unsigned i = 0; i < first; i++)
        execute_next(&f->runners[i]);
    if (run_loop(f, err) < 0)
        return -1;
    report_finish(report);
    return 0;
}

/* ---- rounds and their reports ---- */

static void
describe(const struct floor *f, struct report *r)
{
    report_init(r);
    r->program = "floor";
    r->target = f->spec.name;
    r->workload = workload_name(f->options.workload);
    r->users = f->options.kernels;
    r->requests = f->options.executions;
    r->seed = f->options.seed;
}

/* 1: every answer right; 0: not every; -1: an error. */
static int
measure(struct floor *f, const char *json_path, bool text, struct err *err)
{
    struct report report;
    json_t *json = NULL;
    int rc;

    describe(f, &report);
    rc = run_round(f, &report, err);
    f->report = NULL;
    if (rc == 0 && text)
        report_print(&report, stdout);
    if (rc == 0 && json_path != NULL) {
        json = report_json(&report);
        rc = jsonfile_write(json, json_path, err);
        json_decref(json);
    }
    if (rc == 0)
        rc = report_is_right(&report);
    report_clear(&report);
    return rc;
}

/* 1: a line has come; 0: there will be no more; -1: a signal has, or an error. */
static int
wait_for_line(struct floor *f, struct err *err)
{
    struct pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {f->signals, POLLIN, 0}};
    char c = 0;
    ssize_t n;

    do {
        if (poll(fds, 2, -1) < 0)
            return err_sys(err, "poll");
        if (fds[1].revents != 0) {
            on_signal(f->signals, EV_READ, f);
            *err = f->err;
            return -1;
        }
        n = read(STDIN_FILENO, &c, 1);
    } while (n == 1 && c != '\n');
    return n < 0 ? err_sys(err, "cannot read standard input") : (int)n;
}

static int
measure_rounds(struct floor *f, struct err *err)
{
    int all_right = 1, line, right;

    puts("ready");
    fflush(stdout);
    while ((line = wait_for_line(f, err)) > 0) {
        right = measure(f, "-", false, err);
        if (right < 0)
            return -1;
        all_right &= right;
    }
    return line < 0 ? -1 : all_right;
}

/* ---- kernels ---- */

static int
make_run_directory(struct floor *f, struct err *err)
{
    const char *tmp = getenv("TMPDIR");

    /* Short: the path of a socket must fit sun_path, and xeus reads its endpoint into 32 bytes. */
    if (tmp == NULL || tmp[0] != '/' || strlen(tmp) > sizeof(f->dir) - 20)
        tmp = "/tmp";
    snprintf(f->dir, sizeof(f->dir), "%s/tcif.XXXXXX", tmp);
    if (mkdtemp(f->dir) != NULL)
        return 0;
    f->dir[0] = '\0';
    return err_sys(err, "cannot make a directory in %.200s", tmp);
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    remove(path);
    return 0;
}

/* A new string: the directory that becomes every kernel's home. */
static char *
prepare_home(struct floor *f, struct err *err)
{
    char *home;

    if (f->options.home != NULL)
        return xstrdup(f->options.home);
    home = xasprintf("%s/skel", f->dir);
    if (mkdir(home, 0700) < 0)
        err_sys(err, "cannot make %.200s", home);
    else if (bare_prepare_home(&f->spec, home, err) == 0)
        return home;
    free(home);
    return NULL;
}

static int
start_kernel(struct floor *f, unsigned number, const char *home, struct err *err)
{
    struct runner *r = &f->runners[number];
    cleanup_free char *dir = xasprintf("%s/%u", f->dir, number);

    r->floor = f;
    r->number = number;
    if (mkdir(dir, 0700) < 0)
        return err_sys(err, "cannot make %.200s", dir);
    r->kernel = bare_start(f->base, f->context, &f->spec, dir, home, &ops, r, err);
    return r->kernel == NULL ? -1 : 0;
}

/* Its end is pending as a signal, and is not a kernel's. */
static void
forget_preparation(void)
{
    const struct timespec now = {0, 0};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    while (sigtimedwait(&set, NULL, &now) > 0)
        ;
}

static int
start_kernels(struct floor *f, struct err *err)
{
    cleanup_free char *home = prepare_home(f, err);

    if (home == NULL)
        return -1;
    forget_preparation();
    if (event_add(f->on_signal, NULL) < 0)
        return err_set(err, ERR_SYSTEM, "cannot watch for signals");
    for (unsigned i = 0; i < f->options.kernels; i++)
        if (start_kernel(f, i, home, err) < 0)
            return -1;
    return run_loop(f, err);
}

static void
stop_kernels(struct floor *f)
{
    for (unsigned i = 0; i < f->options.kernels; i++)
        bare_free(f->runners[i].kernel);
}

/* ---- life ---- */

/*
 * Signals are taken from a descriptor, so that whatever ends this program leaves neither kernels nor
 * files.  The preparation's own end comes before this is watched.
 */
static int
open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
floor_open(struct floor *f, const struct options *o)
{
    memset(f, 0, sizeof(*f));
    f->options = *o;
    f->signals = open_signals();
    f->base = xnotnull(event_base_new());
    f->context = xnotnull(zmq_ctx_new());
    zmq_ctx_set(f->context, ZMQ_MAX_SOCKETS, 2 * MAX_KERNELS + 10);
    f->runners = xcalloc(o->kernels, sizeof(*f->runners));
    f->on_signal = xnotnull(event_new(f->base, f->signals, EV_READ | EV_PERSIST, on_signal, f));
    f->deadline = xnotnull(evtimer_new(f->base, on_deadline, f));
}

static void
floor_close(struct floor *f)
{
    stop_kernels(f);
    free(f->runners);
    event_free(f->on_signal);
    event_free(f->deadline);
    event_base_free(f->base);
    zmq_ctx_term(f->context);
    kernelspec_clear(&f->spec);
    close(f->signals);
    if (f->dir[0] != '\0')
        nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int
run(struct floor *f, struct err *err)
{
    const bool to_stdout = f->options.json != NULL && strcmp(f->options.json, "-") == 0;

    if (kernelspec_find(f->options.kernelspecs, f->options.kernel, &f->spec, err) < 0 ||
        make_run_directory(f, err) < 0 || start_kernels(f, err) < 0)
        return -1;
    return f->options.rounds ? measure_rounds(f, err)
                             : measure(f, f->options.json, !to_stdout, err);
}

/* ---- options ---- */

enum option_id {
    OPT_KERNEL = 1,
    OPT_KERNELSPECS,
    OPT_HOME,
    OPT_KERNELS,
    OPT_EXECUTIONS,
    OPT_WORKLOAD,
    OPT_SEQUENTIAL,
    OPT_SEED,
    OPT_TIMEOUT,
    OPT_ROUNDS,
    OPT_JSON,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"kernel", required_argument, NULL, OPT_KERNEL},
    {"kernelspecs", required_argument, NULL, OPT_KERNELSPECS},
    {"home", required_argument, NULL, OPT_HOME},
    {"kernels", required_argument, NULL, OPT_KERNELS},
    {"executions", required_argument, NULL, OPT_EXECUTIONS},
    {"workload", required_argument, NULL, OPT_WORKLOAD},
    {"sequential", no_argument, NULL, OPT_SEQUENTIAL},
    {"seed", required_argument, NULL, OPT_SEED},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"rounds", no_argument, NULL, OPT_ROUNDS},
    {"json", required_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static void
apply_measure(struct options *o, int id, const char *value)
{
    switch (id) {
    case OPT_KERNELS:
        o->kernels = (unsigned)usage_integer("kernels", value, 1, MAX_KERNELS);
        break;
    case OPT_EXECUTIONS:
        o->executions = (unsigned)usage_integer("executions", value, 1, MAX_EXECUTIONS);
        break;
    case OPT_WORKLOAD:
        o->workload = usage_workload(value);
        break;
    case OPT_SEQUENTIAL:
        o->sequential = true;
        break;
    case OPT_SEED:
        o->seed = usage_integer("seed", value, 0, INT64_MAX);
        break;
    case OPT_TIMEOUT:
        o->timeout = usage_seconds("timeout", value, 1, 86400);
        break;
    case OPT_ROUNDS:
        o->rounds = true;
        break;
    }
}

static void
apply(void *owner, int id, const char *value)
{
    struct options *o = owner;

    switch (id) {
    case OPT_KERNEL:
        o->kernel = value;
        break;
    case OPT_KERNELSPECS:
        o->kernelspecs = value;
        break;
    case OPT_HOME:
        o->home = value;
        break;
    case OPT_JSON:
        o->json = value;
        break;
    default:
        apply_measure(o, id, value);
    }
}

static void
parse(struct options *o, int argc, char **argv)
{
    const struct usage usage = {long_options, OPT_HELP, help, apply};

    usage_parse(&usage, argc, argv, o);
    if (o->rounds && o->json != NULL)
        usage_die("--rounds and --json exclude each other");
}

int
main(int argc, char **argv)
{
    struct options options = {
        .kernel = "python3",
        .kernelspecs = TCI_SOURCE_TREE "/kernelspecs",
        .kernels = 1,
        .executions = 1000,
        .workload = WORKLOAD_INCREMENT,
        .seed = 1,
        .timeout = 300,
    };
    struct floor f;
    struct err err = ERR_INIT;
    int right;

    parse(&options, argc, argv);
    if (sodium_init() < 0)
        usage_die("libsodium cannot be used");
    signal(SIGPIPE, SIG_IGN);
    floor_open(&f, &options);
    right = run(&f, &err);
    floor_close(&f);
    if (right < 0)
        fprintf(stderr, "floor: %s\n", err.msg);
    return right < 0 ? 2 : !right;
}
