/*
 * bare.c - see bare.h.
 *
 *   PROBING ──kernel_info answered──▶ WARMING ──warm-up codes done──▶ FREE ⇄ BUSY
 *
 * Both sockets are drained whenever one of them has something: a ZeroMQ descriptor tells of changes only, and
 * sending may swallow what it had to tell, so that every send is followed by another look.
 */
#include "bare.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <event2/buffer.h>
#include <zmq.h>

#include "jmsg.h"
#include "worker/protocol.h"
#include "worker/skel.h"

enum { PROBE_RETRY_MS = 100, RECONNECT_MS = 5, QUEUE = 8192 };

/* The kernel appends "-<port>" to the ip of its connection file. */
enum port { PORT_SHELL = 1, PORT_IOPUB, PORT_STDIN, PORT_CONTROL, PORT_HB };

enum state { PROBING, WARMING, FREE, BUSY };

struct channel {
    void *socket;
    struct event *event;
};

struct bare {
    struct event_base *base;
    const struct kernelspec *spec;
    const struct bare_ops *ops;
    void *owner;
    char *dir;
    pid_t pid;
    char key[33];
    struct channel shell, iopub;
    struct event *timer; /* asks again until the kernel's status messages arrive */

    enum state state;
    size_t n_warmed;

    char msg_id[32]; /* of the request under way */
    unsigned n_requests;
    bool replied, idled;

    struct evbuffer *text; /* what the code under way has put out */
    json_t *png;           /* NULL = none */
    bool raised;
};

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_timer(evutil_socket_t fd, short what, void *arg);

/* ---- starting the process ---- */

static char *
expand(const char *text, const char *what, const char *with)
{
    const char *hit = strstr(text, what);

    if (hit == NULL)
        return xstrdup(text);
    return xasprintf("%.*s%s%s", (int)(hit - text), text, with, hit + strlen(what));
}

/* The kernelspec speaks of paths inside a container; here they are the host's. */
static char **
new_argv(const json_t *args, const struct kernelspec *spec, const char *what, const char *with)
{
    char **argv = xcalloc(json_array_size(args) + 1, sizeof(*argv));

    for (size_t i = 0; i < json_array_size(args); i++) {
        const char *arg = json_string_value(json_array_get(args, i));
        const bool inside =
            strncmp(arg, TCI_PATH_KERNELSPEC "/", strlen(TCI_PATH_KERNELSPEC) + 1) == 0;
        cleanup_free char *here =
            inside ? xasprintf("%s%s", spec->dir, arg + strlen(TCI_PATH_KERNELSPEC)) : xstrdup(arg);

        argv[i] = expand(here, what, with);
    }
    return argv;
}

static char **
new_environment(const struct kernelspec *spec, const char *home)
{
    char **env = xcalloc(json_object_size(spec->env) + 1, sizeof(*env));
    const char *name;
    json_t *value;
    size_t n = 0;

    json_object_foreach (spec->env, name, value)
        env[n++] =
            xasprintf("%s=%s", name, strcmp(name, "HOME") == 0 ? home : json_string_value(value));
    return env;
}

static void
free_strings(char **strings)
{
    for (size_t i = 0; strings[i] != NULL; i++)
        free(strings[i]);
    free(strings);
}

static void __attribute__((noreturn)) child_main(char **argv, char **env, const char *cwd, int null)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (argv[0] != NULL && chdir(cwd) == 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 &&
        dup2(null, 2) == 2)
        execvpe(argv[0], argv, env);
    _exit(127);
}

static pid_t
spawn(char **argv, char **env, const char *cwd, struct err *err)
{
    cleanup_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid;

    if (null < 0)
        return err_sys(err, "open /dev/null");
    pid = fork();
    if (pid < 0)
        return err_sys(err, "fork");
    if (pid == 0)
        child_main(argv, env, cwd, null);
    return pid;
}

static int
write_connection_file(const struct bare *b, const char *path, struct err *err)
{
    cleanup_free char *ip = xasprintf("%s/k", b->dir);
    json_auto_t *json = xnotnull(
        json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:s}", "transport", "ipc", "ip",
                  ip, "shell_port", PORT_SHELL, "iopub_port", PORT_IOPUB, "stdin_port", PORT_STDIN,
                  "control_port", PORT_CONTROL, "hb_port", PORT_HB, "key", b->key,
                  "signature_scheme", "hmac-sha256", "kernel_name", b->spec->name));

    return json_dump_file(json, path, 0) == 0 ? 0 : err_sys(err, "cannot write %.200s", path);
}

static int
make_directories(const char *home, const char *skel, const char *workspace, struct err *err)
{
    if (mkdir(home, 0700) < 0 || mkdir(workspace, 0700) < 0)
        return err_sys(err, "cannot make %.200s", home);
    if (skel != NULL && skel_copy(skel, home) < 0)
        return err_sys(err, "cannot copy %.200s", skel);
    return 0;
}

static int
start_process(struct bare *b, const char *skel, struct err *err)
{
    cleanup_free char *file = xasprintf("%s/connection.json", b->dir);
    cleanup_free char *home = xasprintf("%s/home", b->dir);
    cleanup_free char *workspace = xasprintf("%s/workspace", b->dir);
    char **argv, **env;

    if (make_directories(home, skel, workspace, err) < 0 || write_connection_file(b, file, err) < 0)
        return -1;
    argv = new_argv(b->spec->argv, b->spec, "{connection_file}", file);
    env = new_environment(b->spec, home);
    b->pid = spawn(argv, env, workspace, err);
    free_strings(argv);
    free_strings(env);
    return b->pid < 0 ? -1 : 0;
}

/* ---- sockets ---- */

static int
set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof(value));
}

static int
open_channel(struct bare *b, struct channel *c, void *context, int type, enum port port,
             struct err *err)
{
    cleanup_free char *endpoint = xasprintf("ipc://%s/k-%d", b->dir, (int)port);
    int fd;
    size_t size = sizeof(fd);

    c->socket = zmq_socket(context, type);
    if (c->socket == NULL || set_int(c->socket, ZMQ_LINGER, 0) < 0 ||
        set_int(c->socket, ZMQ_RECONNECT_IVL, RECONNECT_MS) < 0 ||
        set_int(c->socket, ZMQ_RCVHWM, QUEUE) < 0 ||
        (type == ZMQ_SUB && zmq_setsockopt(c->socket, ZMQ_SUBSCRIBE, "", 0) < 0) ||
        zmq_connect(c->socket, endpoint) < 0 || zmq_getsockopt(c->socket, ZMQ_FD, &fd, &size) < 0)
        return err_set(err, ERR_SYSTEM, "cannot connect to %.200s: %s", endpoint,
                       zmq_strerror(zmq_errno()));
    c->event = xnotnull(event_new(b->base, fd, EV_READ | EV_PERSIST, on_readable, b));
    event_add(c->event, NULL);
    return 0;
}

static void
close_channel(struct channel *c)
{
    if (c->event != NULL)
        event_free(c->event);
    if (c->socket != NULL)
        zmq_close(c->socket);
}

/* ---- requests ---- */

static int
send_request(struct bare *b, const char *msg_type, const json_t *content, struct err *err)
{
    b->replied = b->idled = false;
    snprintf(b->msg_id, sizeof(b->msg_id), "floor-%u", ++b->n_requests);
    if (jmsg_send(b->shell.socket, b->key, b->msg_id, msg_type, content, err) < 0)
        return -1;
    event_active(b->shell.event, EV_READ, 1);
    return 0;
}

static int
send_probe(struct bare *b, struct err *err)
{
    const struct timeval tv = {0, PROBE_RETRY_MS * 1000};
    json_auto_t *content = xnotnull(json_object());

    event_add(b->timer, &tv);
    return send_request(b, "kernel_info_request", content, err);
}

static int
send_code(struct bare *b, const char *code, bool silent, struct err *err)
{
    json_auto_t *content = xnotnull(json_pack(
        "{s:s, s:b, s:b, s:{}, s:b, s:b}", "code", code, "silent", silent, "store_history", !silent,
        "user_expressions", "allow_stdin", 0, "stop_on_error", 0));

    evbuffer_drain(b->text, evbuffer_get_length(b->text));
    json_decref(b->png);
    b->png = NULL;
    b->raised = false;
    return send_request(b, "execute_request", content, err);
}

int
bare_execute(struct bare *b, const char *code, struct err *err)
{
    b->state = BUSY;
    return send_code(b, code, false, err);
}

/* ---- answers ---- */

static void
report_answer(struct bare *b)
{
    const size_t len = evbuffer_get_length(b->text);
    const struct workload_answer answer = {
        .text = len == 0 ? NULL : (const char *)evbuffer_pullup(b->text, -1),
        .text_len = len,
        .png = json_string_value(b->png),
        .raised = b->raised,
    };

    b->state = FREE;
    b->ops->on_answer(b->owner, &answer);
}

static int
warm_up(struct bare *b, struct err *err)
{
    const char *code = json_string_value(json_array_get(b->spec->warmup, b->n_warmed));

    b->state = WARMING;
    if (code != NULL) {
        b->n_warmed++;
        return send_code(b, code, true, err);
    }
    b->state = FREE;
    b->ops->on_ready(b->owner);
    return 0;
}

/* The request under way has both its reply and its idle status. */
static int
step(struct bare *b, struct err *err)
{
    b->msg_id[0] = '\0';
    switch (b->state) {
    case PROBING:
        event_del(b->timer);
        return warm_up(b, err);
    case WARMING:
        return warm_up(b, err);
    case BUSY:
        report_answer(b);
        return 0;
    case FREE:
        break;
    }
    return 0;
}

static void
add_text(struct bare *b, const json_t *text)
{
    if (json_is_string(text))
        evbuffer_add(b->text, json_string_value(text), json_string_length(text));
}

static void
take_output(struct bare *b, const char *type, const json_t *content)
{
    const json_t *data = json_object_get(content, "data");
    json_t *png = json_object_get(data, "image/png");

    if (strcmp(type, "stream") == 0)
        add_text(b, json_object_get(content, "text"));
    else if (strcmp(type, "execute_result") == 0)
        add_text(b, json_object_get(data, "text/plain"));
    else if (strcmp(type, "error") == 0)
        b->raised = true;
    if (png != NULL) {
        json_decref(b->png);
        b->png = json_incref(png);
    }
}

static void
take_iopub(struct bare *b, const struct jmsg *m)
{
    const char *state = json_string_value(json_object_get(m->content, "execution_state"));

    if (strcmp(jmsg_type(m), "status") != 0)
        take_output(b, jmsg_type(m), m->content);
    else if (state != NULL && strcmp(state, "idle") == 0)
        b->idled = true;
}

/* 1: there was one; 0: none; -1: an error. */
static int
receive_one(struct bare *b, const struct channel *c, struct err *err)
{
    struct jmsg m;
    const int rc = jmsg_receive(c->socket, b->key, &m, err);
    bool done = false;

    if (rc <= 0)
        return rc;
    if (b->msg_id[0] != '\0' && strcmp(jmsg_parent(&m), b->msg_id) == 0) {
        if (c == &b->shell)
            b->replied = true;
        else
            take_iopub(b, &m);
        done = b->replied && b->idled;
    }
    jmsg_clear(&m);
    return done && step(b, err) < 0 ? -1 : 1;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct bare *b = arg;
    struct err err = ERR_INIT;
    int iopub, shell;

    (void)fd, (void)what;
    do {
        iopub = receive_one(b, &b->iopub, &err);
        shell = iopub < 0 ? 0 : receive_one(b, &b->shell, &err);
    } while (iopub > 0 || shell > 0);
    if (iopub < 0 || shell < 0)
        b->ops->on_failed(b->owner, &err);
}

/* A reply without its idle status: iopub was not connected yet.  Without a reply the question still waits. */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct bare *b = arg;
    const struct timeval tv = {0, PROBE_RETRY_MS * 1000};
    struct err err = ERR_INIT;

    (void)fd, (void)what;
    if (!b->replied)
        event_add(b->timer, &tv);
    else if (send_probe(b, &err) < 0)
        b->ops->on_failed(b->owner, &err);
}

/* ---- life ---- */

static int
start(struct bare *b, void *context, const char *home, struct err *err)
{
    if (start_process(b, home, err) < 0 ||
        open_channel(b, &b->iopub, context, ZMQ_SUB, PORT_IOPUB, err) < 0 ||
        open_channel(b, &b->shell, context, ZMQ_DEALER, PORT_SHELL, err) < 0)
        return -1;
    return send_probe(b, err);
}

static void
draw_key(char *hex, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t random;

    evutil_secure_rng_get_bytes(&random, sizeof(random));
    for (size_t i = 0; i + 1 < size; i++) {
        if (i % 16 == 0)
            evutil_secure_rng_get_bytes(&random, sizeof(random));
        hex[i] = digits[random >> (4 * (i % 16)) & 15];
    }
    hex[size - 1] = '\0';
}

struct bare *
bare_start(struct event_base *base, void *context, const struct kernelspec *spec, const char *dir,
           const char *home, const struct bare_ops *ops, void *owner, struct err *err)
{
    struct bare *b = xcalloc(1, sizeof(*b));

    b->base = base;
    b->spec = spec;
    b->ops = ops;
    b->owner = owner;
    b->dir = xstrdup(dir);
    b->pid = -1;
    b->text = xnotnull(evbuffer_new());
    b->timer = xnotnull(evtimer_new(base, on_timer, b));
    draw_key(b->key, sizeof(b->key));
    if (start(b, context, home, err) == 0)
        return b;
    bare_free(b);
    return NULL;
}

void
bare_free(struct bare *b)
{
    if (b == NULL)
        return;
    if (b->pid > 0) {
        kill(b->pid, SIGKILL);
        while (waitpid(b->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    close_channel(&b->shell);
    close_channel(&b->iopub);
    event_free(b->timer);
    evbuffer_free(b->text);
    json_decref(b->png);
    free(b->dir);
    free(b);
}

int
bare_prepare_home(const struct kernelspec *spec, const char *home, struct err *err)
{
    char **argv, **env;
    int status = 0;
    pid_t pid;

    if (spec->prepare == NULL)
        return 0;
    argv = new_argv(spec->prepare, spec, "{skel_dir}", home);
    env = new_environment(spec, home);
    pid = spawn(argv, env, home, err);
    free_strings(argv);
    free_strings(env);
    if (pid < 0)
        return -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_sys(err, "waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return err_set(err, ERR_SYSTEM, "the preparation of kernelspec %s has failed", spec->name);
}
