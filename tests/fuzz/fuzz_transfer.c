/*
 * fuzz_transfer.c - operations on a session's files, and all that the worker, whose sandbox runs them, may tell of them.  The
 * objects are the real ones; in the place of the link is a function of this file.  A line is a step, its parts separated by tabs;
 * WHICH is a digit, the transfer:
 *
 *   start WHICH [events]     begins one, where there is none
 *   reply WHICH JSON [SIZE]  DATA of a reply as it should be, in pieces of so many bytes
 *   data WHICH BYTES         DATA of anything
 *   many WHICH SIZE          DATA of so many bytes
 *   grant WHICH NUMBER       GRANT
 *   ended WHICH [WHY]        ENDED
 *   VERB frame...            a message on the link as it is
 *   send WHICH SIZE          what the owner does: sends as much of it as there is room for,
 *   finish WHICH             ... has sent all,
 *   taken WHICH SIZE         ... is done with so many of the bytes that came,
 *   abort WHICH              ... ends it,
 *   will WHICH               ... ends it the next time that it is told anything
 *   refuse, accept           whether the link takes what is sent to the worker
 *   turn                     one turn of the event loop
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>

#include "fuzz.h"
#include "gateway/link.h"
#include "gateway/log.h"
#include "gateway/transfer.h"
#include "worker/bigendian.h"
#include "worker/protocol.h"

enum { LEN_SIZE = 4, MAX_PARTS = 8, N_OWNERS = 10, MAX_PIECES = 4096 };

struct part {
    char *data;
    size_t len;
};

/* Who has begun a transfer. */
struct owner {
    struct transfer *transfer; /* NULL: it has none */
    uint8_t id[TCI_FILES_ID_SIZE];
    bool events, will_abort;
    unsigned replies;
    size_t sent, granted; /* bytes to the worker */
    size_t held;          /* bytes that came and have not been taken */
    size_t may_come;      /* bytes that the worker may send */
};

static struct {
    struct transfers *transfers;
    struct owner owners[N_OWNERS];
    struct owner *starting;
    bool unreachable, was_unreachable;
} world;

/* --- the link's place --- */

static struct owner *
find_owner(const void *id)
{
    for (int i = 0; i < N_OWNERS; i++)
        if (world.owners[i].transfer && memcmp(world.owners[i].id, id, TCI_FILES_ID_SIZE) == 0)
            return &world.owners[i];
    return NULL;
}

int
link_send(struct link_peer *peer, char verb, const struct wire_frame *frames, size_t n,
          struct err *err)
{
    struct owner *o;

    must(peer == (struct link_peer *)&world && n >= 1 && frames[0].len == TCI_FILES_ID_SIZE);
    if (world.unreachable)
        return err_set(err, ERR_PEER, "unreachable");
    if (verb == TCI_FILES) {
        must(n == 2 && frames[1].len <= TCI_FILES_MAX_REQUEST && world.starting);
        must(find_owner(frames[0].data) == NULL);
        memcpy(world.starting->id, frames[0].data, TCI_FILES_ID_SIZE);
        return 0;
    }
    o = find_owner(frames[0].data);
    must(o != NULL);
    if (verb == TCI_DATA) {
        must(n == 2 && frames[1].len <= TCI_FILES_CHUNK);
        o->sent += frames[1].len;
        must(o->sent <= o->granted);
    } else if (verb == TCI_GRANT) {
        must(n == 2 && frames[1].len == 4);
        o->may_come += bigendian_get32(frames[1].data);
        must(o->may_come <= TCI_FILES_WINDOW || world.was_unreachable);
    } else {
        must(verb == TCI_ABORT && n == 1);
    }
    return 0;
}

/* --- the owners' place --- */

/* True: it is no more. */
static bool
abort_if_wanted(struct owner *o)
{
    struct transfer *t = o->transfer;

    must(t != NULL);
    if (!o->will_abort)
        return false;
    transfer_abort(t);
    o->transfer = NULL;
    return true;
}

static void
on_reply(void *owner, json_t *reply)
{
    struct owner *o = owner;
    struct err err = ERR_INIT;

    must(json_is_object(reply));
    must(o->events || o->replies == 0);
    o->replies++;
    if (transfer_error(reply, &err))
        must(err.code != ERR_NONE && err.msg[0] != '\0');
    abort_if_wanted(o);
}

static void
on_data(void *owner, const void *data, size_t len)
{
    struct owner *o = owner;

    must(data != NULL && len > 0 && o->replies == 1 && !o->events);
    o->held += len;
    must(o->held <= TCI_FILES_WINDOW);
    abort_if_wanted(o);
}

static void
on_room(void *owner)
{
    abort_if_wanted(owner);
}

static void
on_end(void *owner, const struct err *why)
{
    struct owner *o = owner;

    must(o->transfer != NULL);
    must(why == NULL || (why->code != ERR_NONE && why->msg[0] != '\0'));
    must(why != NULL || o->replies > 0);
    o->transfer = NULL;
}

static const struct transfer_ops ops = {on_reply, on_data, on_room, on_end};

/* --- steps --- */

static bool
is_word(const struct part *part, const char *word)
{
    return part->len == strlen(word) && memcmp(part->data, word, part->len) == 0;
}

/* Of text that may not end: no more than most. */
static size_t
number(const struct part *part, size_t most)
{
    size_t n = 0;

    for (size_t i = 0; i < part->len && i < 9; i++)
        if (part->data[i] >= '0' && part->data[i] <= '9')
            n = 10 * n + (size_t)(part->data[i] - '0');
    return n < most ? n : most;
}

static void
say(const struct owner *o, enum tci_verb verb, const void *data, size_t len)
{
    const struct wire_frame frames[] = {{o->id, TCI_FILES_ID_SIZE}, {data, len}};

    must(transfers_on_link(world.transfers, (char)verb, frames, 2));
}

static void
say_data(struct owner *o, const void *data, size_t len)
{
    if (len <= o->may_come)
        o->may_come -= len; /* else it is ended */
    say(o, TCI_DATA, data, len);
}

static void
step_start(struct owner *o, bool events)
{
    const struct transfer_spec spec = {json_pack("{s:s}", "op", "read"), events};
    struct err err = ERR_INIT;

    *o =
        (struct owner){.events = events, .granted = TCI_FILES_WINDOW, .may_come = TCI_FILES_WINDOW};
    world.starting = o;
    o->transfer = transfer_start(world.transfers, &spec, &ops, o, &err);
    world.starting = NULL;
    must(o->transfer || err.code == ERR_BUSY || err.code == ERR_PEER);
}

static void
step_reply(struct owner *o, const struct part *json, size_t size)
{
    const size_t whole = LEN_SIZE + json->len;
    char *framed = malloc(whole);

    must(framed != NULL);
    bigendian_put32(framed, (uint32_t)json->len);
    memcpy(framed + LEN_SIZE, json->data, json->len);
    for (size_t at = 0; at < whole && o->transfer; at += size) {
        const size_t left = whole - at;

        say_data(o, framed + at, left < size ? left : size);
    }
    free(framed);
}

static void
step_many(struct owner *o, size_t size)
{
    void *data = calloc(1, size + 1);

    must(data != NULL);
    say_data(o, data, size);
    free(data);
}

static void
step_grant(struct owner *o, size_t n)
{
    uint8_t data[4];

    bigendian_put32(data, (uint32_t)n);
    o->granted += n;
    say(o, TCI_GRANT, data, sizeof(data));
}

static void
step_send(struct owner *o, size_t size)
{
    const size_t room = transfer_room(o->transfer);
    struct err err = ERR_INIT;
    void *data = calloc(1, size + 1);

    must(data != NULL && room <= TCI_FILES_WINDOW);
    if (transfer_send(o->transfer, data, size < room ? size : room, &err) < 0)
        must(err.code == ERR_PEER);
    free(data);
}

static void
step_taken(struct owner *o, size_t n)
{
    if (n > o->held)
        n = o->held;
    o->held -= n;
    transfer_taken(o->transfer, n);
}

/* Of a transfer that there is, by its owner. */
static void
step_owner(struct owner *o, const struct part *parts, size_t n)
{
    if (is_word(&parts[0], "finish")) {
        transfer_finish(o->transfer);
    } else if (is_word(&parts[0], "abort")) {
        transfer_abort(o->transfer);
        o->transfer = NULL;
    } else if (is_word(&parts[0], "will")) {
        o->will_abort = true;
    } else if (n > 2 && is_word(&parts[0], "send")) {
        step_send(o, number(&parts[2], 2 * TCI_FILES_WINDOW));
    } else if (n > 2 && is_word(&parts[0], "taken")) {
        step_taken(o, number(&parts[2], 2 * TCI_FILES_WINDOW));
    }
}

/* ... and by the worker. */
static void
step_worker(struct owner *o, const struct part *parts, size_t n)
{
    size_t size;

    if (is_word(&parts[0], "ended")) {
        say(o, TCI_ENDED, n > 2 ? parts[2].data : "", n > 2 ? parts[2].len : 0);
    } else if (n > 2 && is_word(&parts[0], "reply")) {
        size = n > 3 ? number(&parts[3], TCI_FILES_WINDOW) : 0;
        step_reply(o, &parts[2], size > parts[2].len / MAX_PIECES ? size : 4 + parts[2].len);
    } else if (n > 2 && is_word(&parts[0], "data")) {
        say_data(o, parts[2].data, parts[2].len);
    } else if (n > 2 && is_word(&parts[0], "many")) {
        step_many(o, number(&parts[2], TCI_FILES_WINDOW + 1));
    } else if (n > 2 && is_word(&parts[0], "grant")) {
        step_grant(o, number(&parts[2], SIZE_MAX));
    }
}

static bool
is_verb(const struct part *part)
{
    return part->len == 1 &&
           (part->data[0] == TCI_DATA || part->data[0] == TCI_GRANT || part->data[0] == TCI_ENDED);
}

/* What is there of an id that is in use counts as if it were known to be its. */
static void
step_verb(const struct part *parts, size_t n)
{
    struct wire_frame frames[MAX_PARTS];

    for (size_t i = 1; i < n; i++)
        frames[i - 1] = (struct wire_frame){parts[i].data, parts[i].len};
    if (n == 3 && frames[0].len == TCI_FILES_ID_SIZE && find_owner(frames[0].data))
        return; /* those have steps of their own, which keep count */
    transfers_on_link(world.transfers, parts[0].data[0], frames, n - 1);
}

static void
step(const struct part *parts, size_t n, struct event_base *base)
{
    struct owner *o = n > 1 ? &world.owners[number(&parts[1], N_OWNERS - 1)] : NULL;

    if (is_verb(&parts[0])) {
        step_verb(parts, n);
    } else if (is_word(&parts[0], "refuse") || is_word(&parts[0], "accept")) {
        world.unreachable = parts[0].data[0] == 'r';
        world.was_unreachable |= world.unreachable;
    } else if (is_word(&parts[0], "turn")) {
        event_base_loop(base, EVLOOP_NONBLOCK);
    } else if (o && is_word(&parts[0], "start")) {
        if (o->transfer == NULL)
            step_start(o, n > 2 && is_word(&parts[2], "events"));
    } else if (o && o->transfer) {
        step_owner(o, parts, n);
        if (o->transfer)
            step_worker(o, parts, n);
    }
}

static void
run_line(char *line, size_t len, struct event_base *base)
{
    struct fuzz_input in = {(const uint8_t *)line, len};
    struct part parts[MAX_PARTS];
    size_t n = 0;

    while (n < MAX_PARTS && (parts[n].data = fuzz_next(&in, '\t', &parts[n].len)))
        n++;
    if (n > 0)
        step(parts, n, base);
    while (n > 0)
        free(parts[--n].data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct event_base *base = event_base_new();
    struct err why = ERR_INIT;
    char *line;
    size_t len;

    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    memset(&world, 0, sizeof(world));
    world.transfers = transfers_new(base, (struct link_peer *)&world);
    while ((line = fuzz_next(&in, '\n', &len))) {
        run_line(line, len, base);
        free(line);
    }
    err_set(&why, ERR_WORKER_DIED, "the worker died");
    transfers_free(world.transfers, &why);
    for (int i = 0; i < N_OWNERS; i++)
        must(world.owners[i].transfer == NULL);
    event_base_free(base);
    return 0;
}
