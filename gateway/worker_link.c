/* worker_link.c - see worker_link.h. */
#include "worker_link.h"

#include <string.h>

#include "kernel.h"
#include "link.h"
#include "log.h"
#include "metrics.h"
#include "reader.h"
#include "timestamp.h"
#include "transfer.h"
#include "worker_ready.h"
#include "worker_state.h"
#include "worker/protocol.h"

static void
on_hello(struct worker *w, const json_t *hello)
{
    const char *state = json_string_value(json_object_get(hello, "state"));
    bool fresh = state && strcmp(state, "new") == 0;

    if (json_integer_value(json_object_get(hello, "protocol")) != TCI_PROTOCOL_VERSION)
        worker_lose_because(w, "The worker speaks another version of the link protocol");
    else if (fresh && w->phase == BOOTING)
        worker_configure(w);
    else if (!fresh && w->phase == RECALLED)
        worker_probe(w);
    else if (w->phase != EXPIRED)
        /* The link broke and messages may be lost with it: nothing after this could be trusted. */
        worker_lose_because(w, "The worker lost its link to the gateway");
}

static void
on_json(struct worker *w, char verb, const struct wire_frame *frame)
{
    struct err err = ERR_INIT;
    json_auto_t *object = reader_object(frame->data, frame->len, "HELLO or EXITED", &err);

    if (object == NULL) {
        metrics_add(METRIC_LINK_DROPPED, 1);
        log_debug("worker %s: %s", w->who.id, err.msg);
    } else if (verb == TCI_HELLO) {
        on_hello(w, object);
    } else {
        worker_lose_ended(w, object);
    }
}

static void
on_kernel_message(struct worker *w, char verb, const struct wire_frame *f, size_t n)
{
    if (w->kernel == NULL)
        return; /* the old gateway's business */
    if (verb == TCI_RELAY && n >= 1 && f[0].len == 1)
        kernel_on_relay(w->kernel, *(const char *)f[0].data, f + 1, n - 1);
    else if (verb == TCI_OUTPUT && n == 2 && f[0].len == 1)
        kernel_on_output(w->kernel, *(const char *)f[0].data - '0', f[1].data, f[1].len);
    else if (verb == TCI_TRUNCATED && n == 0)
        kernel_on_truncated(w->kernel);
    else
        metrics_add(METRIC_LINK_DROPPED, 1);
}

static void
on_files_message(struct worker *w, char verb, const struct wire_frame *f, size_t n)
{
    if (!transfers_on_link(w->files, verb, f, n))
        metrics_add(METRIC_LINK_DROPPED, 1);
}

static void
on_changes(struct worker *w, char verb, const struct wire_frame *f, size_t n)
{
    json_auto_t *changes = verb == TCI_CHANGES ? changes_parse(f, n) : NULL;

    if (verb == TCI_DISK ? !changes_parse_disk(f, n, timestamp_now(), &w->disk) : changes == NULL)
        metrics_add(METRIC_LINK_DROPPED, 1);
    else if (changes && w->kernel)
        kernel_on_changes(w->kernel, changes);
}

/*
 * One that was adopted says it as well if the earlier gateway had it renewed: what it was asked since its HELLO, while there
 * was no kernel, it has dropped.
 */
static void
on_started(struct worker *w)
{
    if (w->phase == CONFIGURED)
        worker_probe(w);
    else if (w->phase == PROBING && w->adopted)
        kernel_probe(w->kernel);
    else
        metrics_add(METRIC_LINK_DROPPED, 1);
}

void
worker_on_link(void *owner, char verb, const struct wire_frame *f, size_t n)
{
    struct worker *w = owner;

    if ((verb == TCI_HELLO || verb == TCI_EXITED) && n == 1)
        on_json(w, verb, f);
    else if (verb == TCI_STARTED && n == 0)
        on_started(w);
    else if (verb == TCI_DATA || verb == TCI_GRANT || verb == TCI_ENDED)
        on_files_message(w, verb, f, n);
    else if (verb == TCI_CHANGES || verb == TCI_DISK)
        on_changes(w, verb, f, n);
    else
        on_kernel_message(w, verb, f, n);
}
