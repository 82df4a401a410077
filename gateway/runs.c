/* runs.c - see runs.h.  A shelf is a session's list, the oldest first; those that are DONE are in one more list, of all. */
#include "runs.h"

#include <stdio.h>
#include <string.h>
#include <sodium.h>
#include <uthash.h>
#include <utlist.h>

#include "clock.h"
#include "pool_lists.h"

enum { SWEEP_MS = 5000 };

struct shelf;

struct book {
    struct runs *runs;
    struct shelf *shelf;
    struct run *run;
    char key[RUNS_KEY_MAX + 1]; /* "" = none */
    uint8_t hash[RUNS_HASH_BYTES];
    bool done;
    size_t bytes; /* once it is done */
    double ended; /* clock_now */
    run_done_fn *on_done;
    void *owner;
    struct book *prev, *next;   /* on the shelf */
    struct book *older, *newer; /* of all that are done */
};

struct shelf {
    char *name; /* of the user in full */
    struct book *books;
    unsigned n; /* that are done */
    size_t bytes;
    UT_hash_handle hh;
};

struct runs {
    struct run_parts parts;
    struct shelf *shelves;
    struct book *done;
    size_t bytes;
    struct event *sweep;
};

/* --- shelves ------------------------------------------------------------------------------ */

static struct shelf *
find_shelf(const struct runs *runs, const struct caller *who, const char *session)
{
    cleanup_free char *name = user_full_name(who, session);
    struct shelf *shelf;

    HASH_FIND_STR(runs->shelves, name, shelf);
    return shelf;
}

static struct shelf *
make_shelf(struct runs *runs, const struct caller *who, const char *session)
{
    struct shelf *shelf = find_shelf(runs, who, session);

    if (shelf)
        return shelf;
    shelf = xcalloc(1, sizeof(*shelf));
    shelf->name = user_full_name(who, session);
    HASH_ADD_KEYPTR(hh, runs->shelves, shelf->name, strlen(shelf->name), shelf);
    return shelf;
}

static void
drop_if_empty(struct runs *runs, struct shelf *shelf)
{
    if (shelf->books)
        return;
    HASH_DEL(runs->shelves, shelf);
    free(shelf->name);
    free(shelf);
}

static struct book *
find_book(const struct shelf *shelf, const char *id)
{
    struct book *book;

    DL_FOREACH (shelf->books, book)
        if (strcmp(run_id(book->run), id) == 0)
            return book;
    return NULL;
}

/* The shelf may be empty then. */
static void
take_out(struct book *book)
{
    struct runs *runs = book->runs;

    if (book->done) {
        DL_DELETE2(runs->done, book, older, newer);
        book->shelf->n--;
        book->shelf->bytes -= book->bytes;
        runs->bytes -= book->bytes;
    }
    DL_DELETE(book->shelf->books, book);
    run_disown(book->run);
    run_free(book->run);
    free(book);
}

/* --- what is kept ------------------------------------------------------------------------- */

static struct book *
oldest_done(const struct shelf *shelf)
{
    struct book *book;

    DL_FOREACH (shelf->books, book)
        if (book->done && !run_is_followed(book->run))
            return book;
    return NULL;
}

static void
trim_shelf(struct shelf *shelf, const struct book *newest)
{
    struct book *book;

    while ((shelf->n > RUNS_PER_SESSION || shelf->bytes > RUNS_SESSION_BYTES) &&
           (book = oldest_done(shelf)) != NULL && book != newest)
        take_out(book);
}

static void
trim_all(struct runs *runs, const struct book *newest)
{
    struct book *book, *next;

    DL_FOREACH_SAFE2(runs->done, book, next, newer)
    {
        struct shelf *shelf = book->shelf;

        if (runs->bytes <= RUNS_BYTES)
            return;
        if (book == newest || run_is_followed(book->run))
            continue;
        take_out(book);
        drop_if_empty(runs, shelf);
    }
}

static void
on_run_done(void *owner, struct run *run)
{
    struct book *book = owner;
    struct runs *runs = book->runs;
    run_done_fn *on_done = book->on_done;
    void *up = book->owner;

    book->done = true;
    book->ended = clock_now();
    book->bytes = sizeof(*book) + run_bytes(run);
    book->shelf->n++;
    book->shelf->bytes += book->bytes;
    runs->bytes += book->bytes;
    DL_APPEND2(runs->done, book, older, newer);
    trim_shelf(book->shelf, book);
    trim_all(runs, book);
    on_done(up, run);
}

static void
forget_events(struct book *book)
{
    const size_t before = run_bytes(book->run);
    size_t freed;

    run_forget_events(book->run);
    freed = before - run_bytes(book->run);
    if (freed > book->bytes) /* it was cut since it was counted */
        freed = book->bytes;
    book->bytes -= freed;
    book->shelf->bytes -= freed;
    book->runs->bytes -= freed;
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct runs *runs = arg;
    const double now = clock_now();
    struct book *book;

    (void)fd, (void)what;
    DL_FOREACH2(runs->done, book, newer)
    {
        if (now - book->ended < RUNS_EVENTS_MS / 1000.0)
            break;
        if (!run_is_followed(book->run))
            forget_events(book);
    }
    clock_arm(runs->sweep, SWEEP_MS);
}

/* --- life --------------------------------------------------------------------------------- */

struct runs *
runs_new(const struct run_parts *parts)
{
    struct runs *runs = xcalloc(1, sizeof(*runs));

    runs->parts = *parts;
    runs->sweep = xnotnull(evtimer_new(parts->base, on_sweep, runs));
    clock_arm(runs->sweep, SWEEP_MS);
    return runs;
}

static void
clear_shelf(struct shelf *shelf)
{
    struct book *book, *next;

    DL_FOREACH_SAFE (shelf->books, book, next)
        take_out(book);
}

void
runs_free(struct runs *runs)
{
    struct shelf *shelf, *next;

    if (runs == NULL)
        return;
    HASH_ITER (hh, runs->shelves, shelf, next) {
        clear_shelf(shelf);
        drop_if_empty(runs, shelf);
    }
    event_free(runs->sweep);
    free(runs);
}

static void
draw_id(char id[RUN_ID_SIZE])
{
    uint8_t random[(RUN_ID_SIZE - 3) / 2];

    randombytes_buf(random, sizeof(random));
    id[0] = 'x';
    id[1] = '-';
    sodium_bin2hex(id + 2, RUN_ID_SIZE - 2, random, sizeof(random));
}

struct run *
runs_start(struct runs *runs, const struct runs_request *request, run_done_fn *done, void *owner,
           struct err *err)
{
    struct book *book = xcalloc(1, sizeof(*book));
    struct run_spec spec = request->spec;
    char id[RUN_ID_SIZE];

    draw_id(id);
    spec.id = id;
    book->runs = runs;
    book->on_done = done;
    book->owner = owner;
    snprintf(book->key, sizeof(book->key), "%s", request->key);
    memcpy(book->hash, request->hash, sizeof(book->hash));
    book->run = run_start(&runs->parts, &spec, on_run_done, book, err);
    if (book->run == NULL) {
        free(book);
        return NULL;
    }
    book->shelf = make_shelf(runs, spec.caller, spec.session);
    DL_APPEND(book->shelf->books, book);
    return book->run;
}

/* --- looking ------------------------------------------------------------------------------ */

struct run *
runs_find(const struct runs *runs, const struct caller *who, const char *session, const char *id)
{
    const struct shelf *shelf = find_shelf(runs, who, session);
    const struct book *book = shelf ? find_book(shelf, id) : NULL;

    return book ? book->run : NULL;
}

struct run *
runs_find_key(const struct runs *runs, const struct caller *who, const char *session,
              const char *key, const uint8_t hash[RUNS_HASH_BYTES], bool *same)
{
    const struct shelf *shelf = key[0] ? find_shelf(runs, who, session) : NULL;
    const struct book *book;

    DL_FOREACH (shelf ? shelf->books : NULL, book) {
        if (strcmp(book->key, key) == 0) {
            *same = memcmp(book->hash, hash, RUNS_HASH_BYTES) == 0;
            return book->run;
        }
    }
    return NULL;
}

json_t *
runs_list(const struct runs *runs, const struct caller *who, const char *session,
          const char *before, unsigned limit, bool *more)
{
    const struct shelf *shelf = find_shelf(runs, who, session);
    const struct book *first = shelf ? shelf->books : NULL, *book = first ? first->prev : NULL;
    json_t *list;

    *more = false;
    if (before) {
        book = shelf ? find_book(shelf, before) : NULL;
        if (book == NULL)
            return NULL;
        book = book == first ? NULL : book->prev;
    }
    list = xnotnull(json_array());
    for (; book && json_array_size(list) < limit; book = book == first ? NULL : book->prev)
        json_array_append_new(list, run_summary(book->run));
    *more = book != NULL;
    return list;
}

/* --- the end ------------------------------------------------------------------------------ */

void
runs_remove(struct runs *runs, struct run *run)
{
    struct book *book;

    DL_FOREACH2(runs->done, book, newer)
    {
        if (book->run == run) {
            struct shelf *shelf = book->shelf;

            take_out(book);
            drop_if_empty(runs, shelf);
            return;
        }
    }
}

/* Those that run have been answered when the session ended. */
void
runs_forget(struct runs *runs, const struct caller *who, const char *session)
{
    struct shelf *shelf = find_shelf(runs, who, session);
    struct book *book, *next;

    if (shelf == NULL)
        return;
    DL_FOREACH_SAFE (shelf->books, book, next)
        if (book->done)
            take_out(book);
    drop_if_empty(runs, shelf);
}
