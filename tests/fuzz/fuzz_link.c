/*
 * fuzz_link.c - a worker of the gateway, and all that its container may tell it.  The objects are the real ones from
 * the link's callback up; in the place of the socket and the containers are the functions of this file.  A line is a
 * step, its parts separated by tabs:
 *
 *   VERB frame...            a message on the link as it is
 *   hello STATE              HELLO of this protocol, so that what follows is heard
 *   message CHANNEL TYPE CONTENT [PARENT]
 *                            RELAY of a signed message; without PARENT it answers the newest request
 *   run, interrupt, renew, destroy
 *                            what the owner of a worker may do
 *   refuse, accept           whether the link takes what is sent to the worker
 *   exit, fail               the container ends, or never started
 *   turn                     one turn of the event loop
 *
 * Each run is made twice: with a worker just started, and with one of an earlier gateway.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>
#include <jansson.h>
#include <sodium.h>

#include "fuzz.h"
#include "gateway/config.h"
#include "gateway/execution.h"
#include "gateway/kernels.h"
#include "gateway/link.h"
#include "gateway/log.h"
#include "gateway/output.h"
#include "gateway/runtime.h"
#include "gateway/worker.h"
#include "worker/protocol.h"

enum { MAX_PARTS = TCI_MAX_FRAMES };

struct part {
    char *data;
    size_t len;
};

static struct {
    struct event_base *base;
    struct worker *worker; /* NULL when it is gone */
    struct execution *execution;
    json_t *request; /* header of the newest one */
    bool unreachable;

    link_message_fn *on_message; /* NULL without a peer */
    void *link_owner;

    const struct container_ops *ops; /* NULL without a container */
    void *container_owner;
    bool started, removing;
} world;

/* --- the link's place --- */

struct link_peer *
link_peer_new(struct link *link, const char *routing_id, link_message_fn *fn, void *owner)
{
    (void)link;
    must(strlen(routing_id) == 64);
    must(world.on_message == NULL);
    world.on_message = fn;
    world.link_owner = owner;
    return (struct link_peer *)&world;
}

void
link_peer_free(struct link_peer *peer)
{
    if (peer)
        world.on_message = NULL;
}

void
link_peer_pause(struct link_peer *peer, bool paused)
{
    (void)peer, (void)paused;
}

int
link_send(struct link_peer *peer, char verb, const struct wire_frame *frames, size_t n,
          struct err *err)
{
    json_t *header;

    must(peer && world.on_message && n < TCI_MAX_FRAMES);
    if (world.unreachable)
        return err_set(err, ERR_PEER, "unreachable");
    if (verb == TCI_EXECUTE || verb == TCI_RELAY) {
        must(n == 1 + WIRE_N_FRAMES);
        header = json_loadb(frames[3].data, frames[3].len, 0, NULL);
        must(header != NULL);
        json_decref(world.request);
        world.request = header;
    }
    return 0;
}

/* --- the runtime's place --- */

static struct container *
new_container(const struct container_ops *ops, void *owner)
{
    must(world.ops == NULL);
    world.ops = ops;
    world.container_owner = owner;
    world.removing = false;
    return (struct container *)&world;
}

struct container *
container_start(struct runtime *runtime, const struct container_spec *spec,
                const struct container_ops *ops, void *owner, struct err *err)
{
    (void)runtime, (void)err;
    must(spec->boot_len <= 4096);
    world.started = false;
    return new_container(ops, owner);
}

struct container *
container_adopt(struct runtime *runtime, const char *id, pid_t init, unsigned long long start_ticks,
                const struct container_ops *ops, void *owner, struct err *err)
{
    (void)runtime, (void)id, (void)init, (void)start_ticks, (void)err;
    world.started = true;
    return new_container(ops, owner);
}

void
container_destroy(struct container *container)
{
    if (container)
        world.removing = true;
}

void
container_prefer(struct container *container)
{
    must(container && world.ops);
}

void
container_defer(struct container *container)
{
    must(container && world.ops);
}

int
container_limit(struct container *container, const struct allowance *to,
                container_limited_fn *limited, void *owner, struct err *err)
{
    (void)to, (void)limited, (void)owner, (void)err;
    must(container && world.ops);
    return 1;
}

void
container_unlimit(struct container *container)
{
    must(container && world.ops);
}

int
container_restrict(struct container *container, const struct allowance *most, bool in_force,
                   struct err *err)
{
    (void)most, (void)err;
    must(container && world.ops && in_force);
    return 0;
}

struct consumption
container_usage(const struct container *container)
{
    must(container && world.ops);
    return (struct consumption){.cpu_seconds = 0};
}

void
container_watch_peak(struct container *container)
{
    must(container && world.ops);
}

unsigned long long
container_peak(struct container *container)
{
    must(container && world.ops);
    return 1;
}

unsigned
container_memory_mb(const struct container *container, bool *lowered)
{
    must(container && world.ops);
    *lowered = true;
    return 64;
}

bool
container_was_oom(const struct container *container)
{
    must(container && world.ops);
    return true;
}

unsigned long long
runtime_start_ticks(pid_t pid)
{
    return (unsigned long long)pid;
}

/* --- the owner's place --- */

static void
drop_execution(void)
{
    if (world.execution == NULL)
        return;
    if (world.worker)
        worker_forget(world.worker);
    json_decref(output_take(execution_output(world.execution)));
    execution_free(world.execution);
    world.execution = NULL;
}

static void
on_lost(void *owner, const struct err *why)
{
    (void)owner;
    must(why->code == ERR_WORKER_DIED || why->code == ERR_PEER || why->code == ERR_SYSTEM);
    must(why->msg[0] != '\0');
    must(worker_state(world.worker) == WORKER_DYING);
    drop_execution();
    worker_destroy(world.worker);
}

static void
on_gone(void *owner)
{
    (void)owner;
    drop_execution();
    world.worker = NULL;
}

static void
on_ready(void *owner)
{
    (void)owner;
    must(worker_state(world.worker) == WORKER_READY);
}

static void
on_started(void *owner)
{
    (void)owner;
}

static const struct worker_ops worker_ops = {on_started, on_ready, on_lost, on_gone};

static void
on_done(void *owner, struct execution *x, enum execution_result result)
{
    (void)owner;
    must(x == world.execution && result != EXECUTION_TIMEOUT);
    drop_execution();
}

static void
run_code(void)
{
    const struct execution_spec spec = {
        .code = "x", .code_len = 1, .timeout_ms = 60000, .max_output = 1000};
    struct err err = ERR_INIT;

    if (world.execution || worker_state(world.worker) != WORKER_READY)
        return;
    world.execution = execution_new(&spec, on_done, NULL);
    if (worker_execute(world.worker, world.execution, &err) < 0)
        drop_execution();
}

static void
renew(void)
{
    struct err err = ERR_INIT;

    if (worker_state(world.worker) != WORKER_READY)
        return;
    drop_execution();
    if (worker_renew(world.worker, true, &err) < 0)
        worker_destroy(world.worker);
}

/* --- steps --- */

static void
say(char verb, const struct wire_frame *frames, size_t n)
{
    if (world.on_message)
        world.on_message(world.link_owner, verb, frames, n);
}

/* Signs the frames behind the signature's. */
static void
sign(struct wire_frame *delimiter, char hex[65])
{
    crypto_auth_hmacsha256_state st;
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    const char *key = worker_identity(world.worker)->key;

    crypto_auth_hmacsha256_init(&st, (const uint8_t *)key, strlen(key));
    for (int i = 2; i < WIRE_N_FRAMES; i++)
        crypto_auth_hmacsha256_update(&st, delimiter[i].data, delimiter[i].len);
    crypto_auth_hmacsha256_final(&st, mac);
    sodium_bin2hex(hex, 65, mac, sizeof(mac));
    delimiter[1] = (struct wire_frame){hex, 64};
}

static void
step_message(const struct part *parts, size_t n)
{
    char *parent = json_dumps(world.request, JSON_COMPACT), header[200], hex[65];
    struct wire_frame frames[1 + WIRE_N_FRAMES];
    int len;

    if (n < 4)
        goto out;
    len = snprintf(header, sizeof(header), "{\"msg_type\":\"%.*s\"}",
                   (int)(parts[2].len < 100 ? parts[2].len : 100), parts[2].data);
    frames[0] = (struct wire_frame){parts[1].data, parts[1].len};
    frames[1] = (struct wire_frame){"<IDS|MSG>", 9};
    frames[3] = (struct wire_frame){header, (size_t)len};
    frames[4] = n > 4    ? (struct wire_frame){parts[4].data, parts[4].len}
                : parent ? (struct wire_frame){parent, strlen(parent)}
                         : (struct wire_frame){"{}", 2};
    frames[5] = (struct wire_frame){"{}", 2};
    frames[6] = (struct wire_frame){parts[3].data, parts[3].len};
    sign(frames + 1, hex);
    say(TCI_RELAY, frames, 1 + WIRE_N_FRAMES);
out:
    free(parent);
}

static void
step_verb(const struct part *parts, size_t n)
{
    struct wire_frame frames[MAX_PARTS];

    for (size_t i = 1; i < n; i++)
        frames[i - 1] = (struct wire_frame){parts[i].data, parts[i].len};
    say(parts[0].data[0], frames, n - 1);
}

static void
step_hello(const struct part *parts, size_t n)
{
    struct wire_frame frame;
    char text[100];
    const int len =
        snprintf(text, sizeof(text), "{\"protocol\":%d,\"state\":\"%.*s\"}", TCI_PROTOCOL_VERSION,
                 n > 1 && parts[1].len < 20 ? (int)parts[1].len : 0, n > 1 ? parts[1].data : "");

    frame = (struct wire_frame){text, (size_t)len};
    say(TCI_HELLO, &frame, 1);
}

static void
end_container(bool failed)
{
    const struct container_exit ended = {.known = true, .signal = 9, .oom = true};
    struct err err = ERR_INIT;

    if (world.ops == NULL || world.removing)
        return;
    err_set(&err, ERR_SYSTEM, "it did not start");
    if (failed && !world.started)
        world.ops->on_start_failed(world.container_owner, &err);
    else if (!failed && world.started) {
        world.started = false;
        world.ops->on_exited(world.container_owner, &ended);
    }
}

static bool
is_word(const struct part *part, const char *word)
{
    return part->len == strlen(word) && memcmp(part->data, word, part->len) == 0;
}

static void
step(const struct part *parts, size_t n)
{
    if (is_word(&parts[0], "message"))
        step_message(parts, n);
    else if (is_word(&parts[0], "hello"))
        step_hello(parts, n);
    else if (is_word(&parts[0], "run"))
        run_code();
    else if (is_word(&parts[0], "interrupt"))
        worker_interrupt(world.worker);
    else if (is_word(&parts[0], "renew"))
        renew();
    else if (is_word(&parts[0], "destroy"))
        worker_destroy(world.worker);
    else if (is_word(&parts[0], "refuse") || is_word(&parts[0], "accept"))
        world.unreachable = parts[0].data[0] == 'r';
    else if (is_word(&parts[0], "exit") || is_word(&parts[0], "fail"))
        end_container(parts[0].data[0] == 'f');
    else if (is_word(&parts[0], "turn"))
        event_base_loop(world.base, EVLOOP_NONBLOCK);
    else if (parts[0].len == 1)
        step_verb(parts, n);
}

/* Calls that must not come before the one that caused them has returned. */
static void
settle(void)
{
    const struct container_ops *ops = world.ops;

    if (ops && world.removing) {
        world.ops = NULL;
        ops->on_removed(world.container_owner);
    }
}

static void
run_line(char *line, size_t len)
{
    struct fuzz_input in = {(const uint8_t *)line, len};
    struct part parts[MAX_PARTS];
    size_t n = 0;

    while (n < MAX_PARTS && (parts[n].data = fuzz_next(&in, '\t', &parts[n].len)))
        n++;
    if (n > 0)
        step(parts, n);
    settle();
    while (n > 0)
        free(parts[--n].data);
}

static void
begin(bool adopted, const struct worker_env *env, struct kernel_kind *kind)
{
    const struct worker_spec spec = {.kind = kind};
    struct worker_identity who = {.id = "0123456789abcdef", .pid = 1, .start_ticks = 1};
    struct err err = ERR_INIT;

    memset(who.routing_id, 'a', 64);
    memset(who.key, 'b', 64);
    world.worker = adopted ? worker_adopt(env, &who, &spec, &worker_ops, NULL, &err)
                           : worker_start(env, 0, &spec, &worker_ops, NULL, &err);
    must(world.worker != NULL);
    if (!adopted) {
        world.started = true;
        world.ops->on_started(world.container_owner, 1);
    }
}

static void
run_story(const uint8_t *data, size_t size, bool adopted, const struct worker_env *env,
          struct kernel_kind *kind)
{
    struct fuzz_input in = {data, size};
    char *line;
    size_t len;

    begin(adopted, env, kind);
    while (world.worker && (line = fuzz_next(&in, '\n', &len))) {
        run_line(line, len);
        free(line);
    }
    if (world.worker)
        worker_destroy(world.worker);
    settle();
    must(world.worker == NULL && world.ops == NULL && world.on_message == NULL);
    json_decref(world.request);
    world.request = NULL;
    world.unreachable = false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char none[] = "";
    struct config config = {.exec_timeout = 60,
                            .orphan_timeout = 60,
                            .worker_memory_mb = 100,
                            .packages_dir = none,
                            .packages_index = none};
    char name[] = "kernel", dir[] = "/kernel", language[] = "python", skel_dir[] = "/skel";
    struct kernel_kind kind = {.name = name,
                               .skel_dir = skel_dir,
                               .refs = 1,
                               .spec = {.name = name, .dir = dir, .language = language}};
    struct worker_env env = {.config = &config};

    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    kind.spec.argv = json_pack("[s]", "kernel");
    kind.spec.env = json_object();
    kind.spec.warmup = json_pack("[s]", "pass");
    kind.spec.interrupt_message = size > 0 && data[size - 1] == '\n';
    env.base = world.base = event_base_new();
    run_story(data, size, false, &env, &kind);
    run_story(data, size, true, &env, &kind);
    event_base_free(world.base);
    json_decref(kind.spec.argv);
    json_decref(kind.spec.env);
    json_decref(kind.spec.warmup);
    return 0;
}
