/* test_link.c - the ROUTER in the event loop, with real DEALERs on the other end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <event2/event.h>
#include <zmq.h>

#include "clock.h"
#include "link.h"
#include "worker/protocol.h"

enum { LIMIT_MS = 30000, MAX_HEARD = 16 };

#define ID "0123456789abcdef"

/* What the peer was told, as text: verb, then the frames, separated by blanks. */
static struct {
    struct event_base *base;
    struct link *link;
    struct link_peer *peer;
    void *context, *dealer;
    char dir[64];
    char heard[MAX_HEARD][200];
    unsigned n;
    int leave_after; /* the peer is freed when it has heard so many */
} t;

static void
on_message(void *owner, char verb, const struct wire_frame *f, size_t n)
{
    char *text = t.heard[t.n++];
    int len = snprintf(text, sizeof(t.heard[0]), "%c", verb);

    assert_ptr_equal(owner, &t);
    assert_true(t.n < MAX_HEARD);
    for (size_t i = 0; i < n; i++)
        len += snprintf(text + len, sizeof(t.heard[0]) - (size_t)len, " %.*s", (int)f[i].len,
                        (const char *)f[i].data);
    if ((int)t.n == t.leave_after) {
        link_peer_free(t.peer);
        t.peer = NULL;
    }
}

static int
set_up(void **state)
{
    const struct link_options options = {.dir = t.dir, .max_frame = 1 << 20, .group = getgid()};
    struct err err = ERR_INIT;
    char endpoint[100];

    (void)state;
    memset(&t, 0, sizeof(t));
    strcpy(t.dir, "/tmp/tci-test-link-XXXXXX");
    assert_non_null(mkdtemp(t.dir));
    t.base = event_base_new();
    t.link = link_new(t.base, &options, &err);
    assert_non_null(t.link);
    t.peer = link_peer_new(t.link, ID, on_message, &t);
    t.context = zmq_ctx_new();
    t.dealer = zmq_socket(t.context, ZMQ_DEALER);
    zmq_setsockopt(t.dealer, ZMQ_ROUTING_ID, ID, strlen(ID));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/" TCI_PATH_LINK_SOCKET, t.dir);
    assert_int_equal(zmq_connect(t.dealer, endpoint), 0);
    return 0;
}

static int
tear_down(void **state)
{
    char path[100];
    int zero = 0;

    (void)state;
    zmq_setsockopt(t.dealer, ZMQ_LINGER, &zero, sizeof(zero));
    zmq_close(t.dealer);
    zmq_ctx_term(t.context);
    link_peer_free(t.peer);
    link_free(t.link);
    event_base_free(t.base);
    snprintf(path, sizeof(path), "%s/" TCI_PATH_LINK_SOCKET, t.dir);
    unlink(path);
    return rmdir(t.dir);
}

/* Frames are separated by blanks; #N stands for a frame of one byte, N. */
static void
say(const char *words)
{
    char *copy = strdup(words), *rest = copy, *word;

    while ((word = strsep(&rest, " ")) != NULL) {
        const uint8_t byte = word[0] == '#' ? (uint8_t)atoi(word + 1) : 0;
        const int more = rest ? ZMQ_SNDMORE : 0;

        if (word[0] == '#')
            assert_int_equal(zmq_send(t.dealer, &byte, 1, more), 1);
        else
            assert_int_equal(zmq_send(t.dealer, word, strlen(word), more), (int)strlen(word));
    }
    free(copy);
}

/* Until the message "T end" is here; it is not counted. */
static void
listen_to_end(void)
{
    const double end = clock_now() + LIMIT_MS / 1000.0;

    say("T end");
    while (t.n == 0 || strcmp(t.heard[t.n - 1], "T end") != 0) {
        struct timeval soon = {0, 10000};

        assert_true(clock_now() < end);
        event_base_loopexit(t.base, &soon);
        event_base_dispatch(t.base);
    }
    t.n--;
}

static void
test_verb_and_frames(void **state)
{
    (void)state;
    say("O 1 bytes");
    say("S");
    listen_to_end();
    assert_int_equal(t.n, 2);
    assert_string_equal(t.heard[0], "O 1 bytes");
    assert_string_equal(t.heard[1], "S");
}

static void
test_relay_comes_one_by_one(void **state)
{
    (void)state;
    say("R #2 s a b #1 i c #3 s d e f");
    listen_to_end();
    assert_int_equal(t.n, 3);
    assert_string_equal(t.heard[0], "R s a b");
    assert_string_equal(t.heard[1], "R i c");
    assert_string_equal(t.heard[2], "R s d e f");
}

static void
test_relay_that_does_not_add_up(void **state)
{
    (void)state;
    say("R");                /* nothing: neither heard nor wrong */
    say("R #2 s a");         /* too few frames */
    say("R #0 s #1 s late"); /* a message of none; what follows is not trusted */
    say("R 22 s a b");       /* no count */
    say("R #255 s a b");
    say("R #1 s a #2 i b"); /* the first is good */
    listen_to_end();
    assert_int_equal(t.n, 1);
    assert_string_equal(t.heard[0], "R s a");
}

static void
test_peer_gone_half_way(void **state)
{
    (void)state;
    t.leave_after = 1;
    say("R #1 s a #1 i b");
    while (t.n == 0)
        event_base_loop(t.base, EVLOOP_ONCE);
    t.peer = link_peer_new(t.link, ID, on_message, &t);
    listen_to_end();
    assert_int_equal(t.n, 1);
}

static void
test_answer(void **state)
{
    const struct wire_frame frame = {"frame", 5};
    struct err err = ERR_INIT;
    char got[10];

    (void)state;
    assert_int_equal(link_send(t.peer, 'Q', NULL, 0, &err), -1); /* it has not been heard of yet */
    assert_int_equal(err.code, ERR_PEER);
    listen_to_end();
    assert_int_equal(link_send(t.peer, 'C', &frame, 1, &err), 0);
    assert_int_equal(zmq_recv(t.dealer, got, sizeof(got), 0), 1);
    assert_int_equal(zmq_recv(t.dealer, got, sizeof(got), 0), 5);
    assert_memory_equal(got, "frame", 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verb_and_frames, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_relay_comes_one_by_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_relay_that_does_not_add_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_peer_gone_half_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_answer, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
