/*
 * importing.c - see importing.h.
 *
 *   ASKING, the kernel, which modules it does not find ──▶ PROVIDING one after the other ──▶ done
 */
#include "importing.h"

#include <stdbool.h>
#include <string.h>
#include <event2/event.h>

#include "caller.h"
#include "config.h"
#include "execution.h"
#include "imports.h"
#include "kernels.h"
#include "log.h"
#include "packages.h"
#include "pool.h"
#include "provision.h"
#include "requirement.h"

#define TYPE "application/vnd.tci.missing+json"

enum { ASK_MS = 5000, ASK_OUTPUT = 64 << 10 };

struct importing {
    const struct importing_parts *parts;
    struct caller who;
    char *session;
    struct job *job;             /* ASKING */
    json_t *missing;             /* array, once the kernel has said; NULL: nothing */
    size_t next;                 /* of them */
    struct provision *provision; /* PROVIDING; NULL: it is to go on in its next turn */
    struct event *turn;
    importing_done_fn *done;
    void *owner;
};

/* A module that is loaded may have no spec; it is there all the same. */
static const char question[] = "exec(\"\"\"\n"
                               "def show(names):\n"
                               "    import importlib.util, sys\n"
                               "    from IPython.display import publish_display_data\n"
                               "    def lacks(name):\n"
                               "        try:\n"
                               "            return name not in sys.modules and "
                               "importlib.util.find_spec(name) is None\n"
                               "        except Exception:\n"
                               "            return False\n"
                               "    publish_display_data({'" TYPE "': [n for n in names if "
                               "lacks(n)]})\n"
                               "show(%s)\n"
                               "\"\"\", {})\n";

static void
importing_free(struct importing *i)
{
    if (i->job)
        job_cancel(i->job);
    provision_cancel(i->provision);
    event_free(i->turn);
    json_decref(i->missing);
    free(i->session);
    free(i);
}

/* --- what the kernel lacks ---------------------------------------------------------------- */

static void
on_message(void *owner, const char *msg_type, const json_t *content)
{
    struct importing *i = owner;
    json_t *list = json_object_get(json_object_get(content, "data"), TYPE);

    if (i->missing == NULL && strcmp(msg_type, "display_data") == 0 && json_is_array(list))
        i->missing = json_incref(list);
}

static const struct execution_sink sink = {.on_message = on_message};

static void
on_job_done(void *owner, const struct job_result *result)
{
    struct importing *i = owner;

    (void)result;
    i->job = NULL;
    event_active(i->turn, 0, 0);
}

static struct job *
ask(struct importing *i, const json_t *names, enum network_mode network)
{
    cleanup_free char *list = xnotnull(json_dumps(names, JSON_COMPACT));
    cleanup_free char *code = xasprintf(question, list);
    const struct execution_spec spec = {.code = code,
                                        .code_len = strlen(code),
                                        .timeout_ms = 2 * ASK_MS,
                                        .interrupt_ms = ASK_MS,
                                        .max_output = ASK_OUTPUT,
                                        .silent = true,
                                        .no_history = true,
                                        .sink = &sink,
                                        .sink_owner = i};
    const struct job_spec job = {.execution = &spec, .network = network, .aside = true};
    struct err err = ERR_INIT;

    return pool_submit(i->parts->pool, &i->who, i->session, &job, on_job_done, i, &err);
}

/* --- had ---------------------------------------------------------------------------------- */

static void
on_provided(void *owner, bool cached, const struct err *why)
{
    struct importing *i = owner;

    (void)cached;
    if (why)
        log_info("packages: not installed for an import: %s", why->msg);
    i->provision = NULL;
    event_active(i->turn, 0, 0);
}

static const struct provision_ops provision_ops = {.on_done = on_provided};

/* The kernel is sandboxed code: it says what it likes, and what it says is asked for as a client would. */
static json_t *
group_of(const json_t *module)
{
    const char *name = json_string_value(module);

    if (name == NULL || !requirement_is_valid(name))
        return NULL;
    return xnotnull(json_pack("[s]", imports_distribution(name)));
}

/* False: there is nothing to wait for. */
static bool
provide(struct importing *i, const json_t *module)
{
    struct kernel_kind *kind = pool_kind(i->parts->pool, &i->who, i->session);
    json_auto_t *group = group_of(module);
    struct err err = ERR_INIT;

    if (group == NULL || kind == NULL || packages_failed(i->parts->packages, kind, group))
        return false;
    i->provision = provision_start(i->parts->pool, i->parts->packages, &i->who, i->session, group,
                                   &provision_ops, i, &err);
    return i->provision != NULL;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct importing *i = arg;
    importing_done_fn *done = i->done;
    void *owner = i->owner;
    const json_t *module;

    (void)fd, (void)what;
    while (i->next < IMPORTS_MAX && (module = json_array_get(i->missing, i->next)) != NULL) {
        i->next++;
        if (provide(i, module))
            return;
    }
    importing_free(i);
    done(owner);
}

struct importing *
importing_start(const struct importing_parts *parts, const struct caller *who, const char *session,
                enum network_mode network, const char *code, size_t len, importing_done_fn *done,
                void *owner)
{
    const struct kernel_kind *kind = pool_kind(parts->pool, who, session);
    struct err err = ERR_INIT;
    struct importing *i;
    json_auto_t *names = NULL;

    if (parts->config->packages_on_import == PACKAGES_BY_REQUEST ||
        !pool_is_python(parts->pool, who, session))
        return NULL;
    if (kind == NULL)
        kind = kernels_standard(parts->kernels);
    if (packages_check(parts->packages, kind, &err) < 0)
        return NULL;
    names = imports_of(code, len);
    if (json_array_size(names) == 0)
        return NULL;
    i = xcalloc(1, sizeof(*i));
    i->parts = parts;
    i->who = *who;
    i->session = xstrdup(session);
    i->turn = xnotnull(event_new(parts->base, -1, 0, on_turn, i));
    i->done = done;
    i->owner = owner;
    i->job = ask(i, names, network);
    if (i->job)
        return i;
    importing_free(i);
    return NULL;
}

void
importing_cancel(struct importing *i)
{
    if (i)
        importing_free(i);
}
