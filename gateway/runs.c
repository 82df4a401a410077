/* runs.c - see runs.h.  A shelf is a session's list, the oldest first; those that are DONE are in one more list, of all. */
#include "runs.h"

#include <stdio.h>
#include <string.h>
#include <sodium.h>
#include <uthash.h>
#include <utlist.h>

#include "clock.h"
#include "history.h"
#include "pool.h"
#include "pool_lists.h"
#include "timestamp.h"

enum { SWEEP_MS = 5000 };

struct shelf;

struct book {
    struct runs *runs;
    struct shelf *shelf;
    struct run *run;
    char key[RUNS_KEY_MAX + 1]; /* "" = none */
    uint8_t hash[RUNS_HASH_BYTES];
    unsigned long long serial; /* rising, on the shelf and over restarts */
    bool done;
    size_t bytes;               /* once it is done */
    double ended;               /* clock_now */
    struct history_place place; /* once it is written down */
    bool unwritten;             /* though it is done */
    run_done_fn *on_done;
    void *owner;
    struct book *prev, *next;    /* on the shelf */
    struct book *older, *newer;  /* of all that are done */
    struct book *sooner, *later; /* of those that are unwritten */
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
    struct history *history;
    struct shelf *shelves;
    struct book *done, *unwritten;
    size_t bytes;
    unsigned long long serial; /* the last one */
    struct event *sweep, *writing;
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
make_shelf(struct runs *runs, const char *name)
{
    struct shelf *shelf;

    HASH_FIND_STR(runs->shelves, name, shelf);
    if (shelf)
        return shelf;
    shelf = xcalloc(1, sizeof(*shelf));
    shelf->name = xstrdup(name);
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

static void
leave_unwritten(struct book *book)
{
    if (book->unwritten)
        DL_DELETE2(book->runs->unwritten, book, sooner, later);
    book->unwritten = false;
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
    leave_unwritten(book);
    DL_DELETE(book->shelf->books, book);
    history_drop(runs->history, &book->place, false);
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

/* It is over, and one of those that are kept. */
static void
shelve(struct book *book)
{
    struct runs *runs = book->runs;

    book->done = true;
    book->bytes = sizeof(*book) + run_bytes(book->run);
    book->shelf->n++;
    book->shelf->bytes += book->bytes;
    runs->bytes += book->bytes;
    DL_APPEND2(runs->done, book, older, newer);
    trim_shelf(book->shelf, book);
}

static void
write_down(struct book *book)
{
    struct history_record record = {
        .key = book->key, .ended = timestamp_now(), .serial = book->serial};

    memcpy(record.hash, book->hash, sizeof(record.hash));
    record.answer = run_answer(book->run, &record.len);
    book->place = history_add(book->runs->history, book->shelf->name, &record);
}

static void
write_all(struct runs *runs)
{
    struct book *book, *next;

    DL_FOREACH_SAFE2(runs->unwritten, book, next, later)
    {
        leave_unwritten(book);
        write_down(book);
    }
}

static void
on_writing(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    write_all(arg);
}

/* When the turn is over, and with it the answer on its way; at once where a client relies on its not being run again. */
static void
let_write_down(struct book *book)
{
    if (book->key[0]) {
        write_down(book);
        return;
    }
    book->unwritten = true;
    DL_APPEND2(book->runs->unwritten, book, sooner, later);
    clock_arm(book->runs->writing, 0);
}

/* What was refused has not run, and the same request again may. */
static void
free_key_of_refused(struct book *book)
{
    if (strcmp(run_status(book->run), "rejected") == 0)
        book->key[0] = '\0';
}

static void
on_run_done(void *owner, struct run *run)
{
    struct book *book = owner;
    struct runs *runs = book->runs;
    run_done_fn *on_done = book->on_done;
    void *up = book->owner;

    book->ended = clock_now();
    free_key_of_refused(book);
    let_write_down(book);
    shelve(book);
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
forget_old_events(struct runs *runs)
{
    const double now = clock_now();
    struct book *book;

    DL_FOREACH2(runs->done, book, newer)
    {
        if (now - book->ended < RUNS_EVENTS_MS / 1000.0)
            break;
        if (!run_is_followed(book->run))
            forget_events(book);
    }
}

static void
clear_shelf(struct runs *runs, struct shelf *shelf)
{
    struct book *book, *next;

    DL_FOREACH_SAFE (shelf->books, book, next)
        if (book->done)
            take_out(book);
    drop_if_empty(runs, shelf);
}

/* What an earlier session of that name has left. */
static void
on_new_session(void *owner, const char *name)
{
    struct runs *runs = owner;
    struct shelf *shelf;

    HASH_FIND_STR(runs->shelves, name, shelf);
    if (shelf)
        clear_shelf(runs, shelf);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct runs *runs = arg;
    struct shelf *shelf, *next;

    (void)fd, (void)what;
    forget_old_events(runs);
    HASH_ITER (hh, runs->shelves, shelf, next) {
        if (!pool_has_session_named(runs->parts.pool, shelf->name))
            clear_shelf(runs, shelf);
    }
    clock_arm(runs->sweep, SWEEP_MS);
}

/* --- life --------------------------------------------------------------------------------- */

/* One that an earlier gateway has left. */
static void
on_found(void *owner, const char *session, const struct history_record *record,
         const struct history_place *place)
{
    struct runs *runs = owner;
    struct history_place unwanted = *place;
    struct run *run = pool_has_session_named(runs->parts.pool, session)
                          ? run_recall(record->answer, record->len)
                          : NULL;
    struct book *book;

    if (run == NULL) {
        history_drop(runs->history, &unwanted, false);
        return;
    }
    book = xcalloc(1, sizeof(*book));
    book->runs = runs;
    book->run = run;
    book->shelf = make_shelf(runs, session);
    book->place = *place;
    book->serial = record->serial;
    if (runs->serial < book->serial)
        runs->serial = book->serial;
    book->ended = clock_now() - (double)(timestamp_now() - record->ended) / 1000;
    snprintf(book->key, sizeof(book->key), "%s", record->key);
    memcpy(book->hash, record->hash, sizeof(book->hash));
    free_key_of_refused(book);
    DL_APPEND(book->shelf->books, book);
    shelve(book);
}

static int
by_end(const struct book *a, const struct book *b)
{
    return a->ended < b->ended ? -1 : a->ended > b->ended;
}

static int
by_serial(const struct book *a, const struct book *b)
{
    return a->serial < b->serial ? -1 : a->serial > b->serial;
}

/* They have been found in the order of their ends. */
static void
sort(struct runs *runs)
{
    for (struct shelf *shelf = runs->shelves; shelf; shelf = shelf->hh.next) {
        /* cppcheck-suppress nullPointer ; the macro has a list of its own meanwhile */
        DL_SORT(shelf->books, by_serial);
    }
    /* cppcheck-suppress nullPointer ; as above */
    DL_SORT2(runs->done, by_end, older, newer);
}

struct runs *
runs_new(const struct run_parts *parts, const char *dir, struct err *err)
{
    struct history *history = history_new(dir, err);
    struct runs *runs;

    if (history == NULL)
        return NULL;
    runs = xcalloc(1, sizeof(*runs));
    runs->parts = *parts;
    runs->history = history;
    history_read(history, on_found, runs);
    sort(runs);
    trim_all(runs, NULL);
    pool_on_new_session(parts->pool, on_new_session, runs);
    runs->sweep = xnotnull(evtimer_new(parts->base, on_sweep, runs));
    runs->writing = xnotnull(evtimer_new(parts->base, on_writing, runs));
    clock_arm(runs->sweep, SWEEP_MS);
    return runs;
}

/* What is on disk stays there. */
static void
abandon_shelf(struct runs *runs, struct shelf *shelf)
{
    struct book *book, *next;

    DL_FOREACH_SAFE (shelf->books, book, next) {
        book->place.file = NULL;
        take_out(book);
    }
    drop_if_empty(runs, shelf);
}

void
runs_free(struct runs *runs)
{
    struct shelf *shelf, *next;

    if (runs == NULL)
        return;
    write_all(runs);
    HASH_ITER (hh, runs->shelves, shelf, next) {
        abandon_shelf(runs, shelf);
    }
    event_free(runs->sweep);
    event_free(runs->writing);
    history_free(runs->history);
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

/* No older than the time, so that it is behind those of earlier gateways, also if none of them is left. */
static unsigned long long
next_serial(struct runs *runs)
{
    const unsigned long long now = (unsigned long long)timestamp_now();

    runs->serial = runs->serial < now ? now : runs->serial + 1;
    return runs->serial;
}

struct run *
runs_start(struct runs *runs, const struct runs_request *request, run_done_fn *done, void *owner,
           struct err *err)
{
    struct book *book = xcalloc(1, sizeof(*book));
    struct run_spec spec = request->spec;
    cleanup_free char *name = NULL;
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
    name = user_full_name(spec.caller, spec.session);
    book->serial = next_serial(runs);
    book->shelf = make_shelf(runs, name);
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
          unsigned long long before, unsigned limit, unsigned long long *next)
{
    const struct shelf *shelf = find_shelf(runs, who, session);
    const struct book *first = shelf ? shelf->books : NULL, *book = first ? first->prev : NULL;
    json_t *list = xnotnull(json_array());
    unsigned long long last = 0;

    *next = 0;
    for (; book && *next == 0; book = book == first ? NULL : book->prev) {
        if (before && book->serial >= before)
            continue;
        if (json_array_size(list) == limit) {
            *next = last;
        } else {
            json_array_append_new(list, run_summary(book->run));
            last = book->serial;
        }
    }
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

            history_drop(runs->history, &book->place, true);
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

    if (shelf)
        clear_shelf(runs, shelf);
}
