/* test_install.c - an installation whose container ends before the tool has been started in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <event2/event.h>

#include "gateway/config.h"
#include "gateway/install.h"
#include "gateway/kernels.h"
#include "gateway/pool.h"
#include "gateway/worker.h"

/* --- in place of the pool, which has one worker, whose container has ended ------------------ */

struct hire {
    visit_fn *fn;
    void *owner;
    struct event *turn;
};

static unsigned n_dismissed;
static int ended;

static struct worker *
worker_that_ended(void)
{
    return (struct worker *)&ended;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct hire *hire = arg;

    (void)fd, (void)what;
    hire->fn(hire->owner, worker_that_ended(), NULL);
}

struct hire *
pool_hire(struct pool *pool, struct kernel_kind *kind, visit_fn *fn, void *owner, struct err *err)
{
    struct hire *hire = calloc(1, sizeof(*hire));

    (void)kind, (void)err;
    hire->fn = fn;
    hire->owner = owner;
    hire->turn = event_new((struct event_base *)pool, -1, 0, on_turn, hire);
    event_active(hire->turn, 0, 0);
    return hire;
}

struct worker *
pool_hired(const struct hire *hire)
{
    (void)hire;
    return worker_that_ended();
}

void
pool_dismiss(struct hire *hire)
{
    n_dismissed++;
    event_free(hire->turn);
    free(hire);
}

struct transfers *
worker_files(const struct worker *w)
{
    assert_ptr_equal(w, worker_that_ended());
    return NULL;
}

/* --- the test ----------------------------------------------------------------------------- */

static void
on_output(void *owner, int fd, const char *text, size_t len)
{
    (void)owner, (void)fd, (void)text, (void)len;
    fail_msg("no tool was started");
}

static void
on_done(void *owner, const struct err *why)
{
    *(struct err *)owner = *why;
}

static void
test_container_that_ends_as_it_becomes_ready(void **state)
{
    static const struct install_ops ops = {on_output, on_done};
    struct event_base *base = event_base_new();
    char none[] = "";
    const struct config config = {
        .packages_dir = none, .packages_index = none, .packages_timeout = 60};
    const struct install_parts parts = {
        .base = base, .config = &config, .pool = (struct pool *)base};
    struct kernel_kind kind = {.refs = 1};
    json_t *wanted = json_pack("[s]", "six");
    struct err err = ERR_INIT, why = ERR_INIT;

    (void)state;
    kind.spec.packages = json_pack("{s:[s]}", "install", "true");
    assert_non_null(install_start(&parts, &kind, wanted, "key", &ops, &why, &err));
    event_base_dispatch(base);
    assert_int_equal(why.code, ERR_WORKER_DIED);
    assert_string_equal(why.msg, "The worker died");
    assert_int_equal(n_dismissed, 1);
    assert_int_equal(kind.refs, 1);
    json_decref(kind.spec.packages);
    json_decref(wanted);
    event_base_free(base);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_container_that_ends_as_it_becomes_ready),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
