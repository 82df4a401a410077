/*
 * install.c - see install.h.
 *
 *   WAITING ──worker──▶ INSTALLING ──exit 0──▶ FETCHING ──archive──▶ ENDED
 *      └────────────────────┴──────────────────────┴── an error ──────▲
 *
 * It ends in a turn of its own, since its container ends with it, and that may not be where a transfer calls.
 */
#include "install.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <event2/event.h>

#include "clock.h"
#include "config.h"
#include "kernels.h"
#include "log.h"
#include "packagesource.h"
#include "packagetool.h"
#include "packstore.h"
#include "pool.h"
#include "transfer.h"
#include "utf8.h"
#include "visits.h"
#include "worker.h"
#include "worker/protocol.h"

enum {
    LAST_WORDS = 300,      /* bytes of what the tool said last, for the error */
    OUTPUT_MAX = 256 << 10 /* bytes of its output that are passed on */
};

struct install {
    const struct install_parts *parts;
    struct kernel_kind *kind;
    json_t *wanted;
    char key[PACKSTORE_KEY_SIZE];
    struct hire *hire;
    struct transfer *transfer;   /* NULL: none is under way */
    struct packstore_file *file; /* while FETCHING */
    struct event *timer, *turn;
    struct err why; /* of the end; ERR_NONE: it went well */
    char words[LAST_WORDS + 1];
    size_t n_words, n_output;
    const struct install_ops *ops;
    void *owner;
};

/* --- the end ------------------------------------------------------------------------------ */

static void
install_free(struct install *i)
{
    transfer_abort(i->transfer);
    packstore_abort(i->file);
    pool_dismiss(i->hire);
    event_free(i->timer);
    event_free(i->turn);
    json_decref(i->wanted);
    kernel_kind_unref(i->kind);
    free(i);
}

/* why NULL: it went well. */
static void
end(struct install *i, const struct err *why)
{
    transfer_abort(i->transfer);
    i->transfer = NULL;
    if (why)
        i->why = *why;
    event_active(i->turn, 0, 0);
}

static void
fail(struct install *i, enum err_code code, const char *message)
{
    struct err why = ERR_INIT;

    err_set(&why, code, "%s", message);
    end(i, &why);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct install *i = arg;
    const struct install_ops *ops = i->ops;
    const struct err why = i->why;
    void *owner = i->owner;

    (void)fd, (void)what;
    install_free(i);
    ops->on_done(owner, why.code == ERR_NONE ? NULL : &why);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct install *i = arg;
    struct err why = ERR_INIT;

    (void)fd, (void)what;
    err_set(&why, ERR_INSTALL, "The installation took longer than %.10g s and was ended",
            i->parts->config->packages_timeout);
    end(i, &why);
}

/* The transfer has ended before it was time. */
static void
break_off(struct install *i, const struct err *why)
{
    i->transfer = NULL;
    if (why)
        end(i, why);
    else
        fail(i, ERR_WORKER_DIED, "The installation broke off");
}

/* --- what was installed ------------------------------------------------------------------- */

static void
on_archive_reply(void *owner, json_t *reply)
{
    struct err err = ERR_INIT;

    if (transfer_error(reply, &err))
        end(owner, &err);
}

static void
on_archive_data(void *owner, const void *data, size_t len)
{
    struct install *i = owner;
    struct err err = ERR_INIT;

    if (packstore_write(i->file, data, len, &err) < 0)
        end(i, &err);
    else
        transfer_taken(i->transfer, len);
}

static off_t
cache_bytes(const struct install *i)
{
    return (off_t)i->parts->config->packages_cache_mb << 20;
}

static void
on_archive_end(void *owner, const struct err *why)
{
    struct install *i = owner;
    struct packstore_file *file = i->file;
    struct err err = ERR_INIT;

    if (why) {
        break_off(i, why);
        return;
    }
    i->transfer = NULL;
    i->file = NULL;
    if (packstore_commit(file, cache_bytes(i), &err) < 0)
        end(i, &err);
    else
        end(i, NULL);
}

static const struct transfer_ops archive_ops = {
    .on_reply = on_archive_reply, .on_data = on_archive_data, .on_end = on_archive_end};

static void
fetch(struct install *i)
{
    const struct transfer_spec spec = {
        .request = xnotnull(json_pack("{s:s,s:s,s:s}", "op", "archive", "path", TCI_INSTALL_TARGET,
                                      "format", "tar"))};
    struct worker *worker = pool_hired(i->hire);
    struct transfers *files = worker ? worker_files(worker) : NULL;
    struct err err = ERR_INIT;

    transfer_abort(i->transfer);
    i->transfer = NULL;
    i->file = packstore_create(i->parts->store, i->key, cache_bytes(i), &err);
    if (files == NULL)
        err_set(&err, ERR_WORKER_DIED, "The worker died");
    if (files == NULL || i->file == NULL) {
        json_decref(spec.request);
        end(i, &err);
        return;
    }
    i->transfer = transfer_start(files, &spec, &archive_ops, i, &err);
    if (i->transfer == NULL)
        end(i, &err);
}

/* --- the tool ----------------------------------------------------------------------------- */

/* The end of all that it said: what was wrong is there. */
static void
keep_words(struct install *i, const char *text, size_t len)
{
    const size_t room = LAST_WORDS;

    if (len > room) {
        text += len - room;
        len = room;
    }
    if (i->n_words + len > room) {
        const size_t gone = i->n_words + len - room;

        memmove(i->words, i->words + gone, i->n_words - gone);
        i->n_words -= gone;
    }
    memcpy(i->words + i->n_words, text, len);
    i->n_words += len;
    i->words[i->n_words] = '\0';
}

static void
take_output(struct install *i, int fd, const char *text, size_t len)
{
    if (fd == 2)
        keep_words(i, text, len);
    if (i->n_output + len > OUTPUT_MAX)
        return;
    i->n_output += len;
    i->ops->on_output(i->owner, fd, text, len);
}

/* Whole lines, if there is one; a beginning that is cut is no beginning of a line. */
static const char *
last_words(struct install *i)
{
    char *end = i->words + i->n_words, *line = i->words, *newline;

    while (end > i->words && (end[-1] == '\n' || end[-1] == ' '))
        *--end = '\0';
    newline = strchr(i->words, '\n');
    if (i->n_words == LAST_WORDS && newline)
        line = newline + 1;
    for (char *p = line; *p; p++)
        if (*p == '\n')
            *p = ' ';
    while ((line[0] & 0xc0) == 0x80)
        line++; /* the middle of a character */
    return line[0] ? line : "it did not say why";
}

static void
finish_tool(struct install *i, json_int_t status)
{
    struct err why = ERR_INIT;

    if (status == 0) {
        fetch(i);
        return;
    }
    err_set(&why, ERR_INSTALL, "The packages cannot be installed: %s", last_words(i));
    end(i, &why);
}

static void
on_tool_reply(void *owner, json_t *reply)
{
    struct install *i = owner;
    const json_t *text = json_object_get(reply, "text");
    const json_t *status = json_object_get(reply, "exit");
    const json_int_t fd = json_integer_value(json_object_get(reply, "fd"));
    struct err err = ERR_INIT;

    if (transfer_error(reply, &err))
        end(i, &err);
    else if (json_is_string(text) && (fd == 1 || fd == 2))
        take_output(i, (int)fd, json_string_value(text), json_string_length(text));
    else if (json_is_integer(status))
        finish_tool(i, json_integer_value(status));
}

static void
on_tool_end(void *owner, const struct err *why)
{
    break_off(owner, why);
}

static const struct transfer_ops tool_ops = {.on_reply = on_tool_reply, .on_end = on_tool_end};

static json_t *
environment(const struct packagesource *source)
{
    json_t *env = xnotnull(json_pack("[s,s,s,s]", "HOME=" TCI_PATH_HOME, "LANG=C.UTF-8",
                                     "PATH=/usr/local/bin:/usr/bin:/bin",
                                     "TMPDIR=" TCI_PATH_WORKSPACE "/" TCI_INSTALL_TEMPORARY));
    static const char *const proxies[] = {"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"};

    for (size_t i = 0; source->index[0] && i < sizeof(proxies) / sizeof(proxies[0]); i++)
        json_array_append_new(env,
                              json_sprintf("%s=http://127.0.0.1:%d", proxies[i], TCI_PROXY_PORT));
    return env;
}

static json_t *
request(const struct install *i)
{
    const json_t *tool = i->kind->spec.packages;
    struct packagesource from;

    (void)packagesource_find(i->parts->config, tool, &from);
    return xnotnull(json_pack("{s:s,s:o,s:o}", "op", "install", "argv",
                              packagetool_argv(tool, from.dir[0] ? from.dir_inside : NULL,
                                               from.index[0] ? from.index : NULL, i->wanted),
                              "env", environment(&from)));
}

static void
on_worker(void *owner, struct worker *worker, const struct err *why)
{
    struct install *i = owner;
    struct transfers *files = worker ? worker_files(worker) : NULL;
    struct transfer_spec spec = {.events = true};
    struct err err = ERR_INIT;

    if (worker == NULL) {
        end(i, why);
        return;
    }
    if (files == NULL) {
        fail(i, ERR_WORKER_DIED, "The worker died");
        return;
    }
    spec.request = request(i);
    i->transfer = transfer_start(files, &spec, &tool_ops, i, &err);
    if (i->transfer == NULL)
        end(i, &err);
}

struct install *
install_start(const struct install_parts *parts, struct kernel_kind *kind, json_t *wanted,
              const char *key, const struct install_ops *ops, void *owner, struct err *err)
{
    struct install *i = xcalloc(1, sizeof(*i));

    i->parts = parts;
    i->kind = kernel_kind_ref(kind);
    i->wanted = json_incref(wanted);
    snprintf(i->key, sizeof(i->key), "%s", key);
    i->ops = ops;
    i->owner = owner;
    i->timer = xnotnull(evtimer_new(parts->base, on_timer, i));
    i->turn = xnotnull(event_new(parts->base, -1, 0, on_turn, i));
    i->hire = pool_hire(parts->pool, kind, on_worker, i, err);
    if (i->hire == NULL) {
        install_free(i);
        return NULL;
    }
    clock_arm(i->timer, (unsigned)(parts->config->packages_timeout * 1000));
    return i;
}

void
install_abort(struct install *i)
{
    if (i)
        install_free(i);
}
