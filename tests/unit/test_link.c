/* test_link.c - the link's socket in the event loop, with the test as the worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/event.h>

#include "clock.h"
#include "link.h"
#include "worker/framing.h"
#include "worker/protocol.h"

enum { LIMIT_MS = 30000, MAX_HEARD = 16, MAX_MESSAGE = 1 << 20, INTRODUCE_MS = 100 };

#define ID "0123456789abcdef"

/* What the peer was told, as text: verb, then the frames, separated by blanks. */
static struct {
    struct event_base *base;
    struct link *link;
    struct link_peer *peer;
    int fd; /* the worker's end */
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

static void
connect_link(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" TCI_PATH_LINK_SOCKET, t.dir);
    t.fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(t.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
}

static void
turn(void)
{
    struct timeval soon = {0, 10000};

    event_base_loopexit(t.base, &soon);
    event_base_dispatch(t.base);
}

/* Frames are separated by blanks; #N stands for a frame of one byte, N. */
static size_t
frame(const char *words, uint8_t *out)
{
    char *copy = strdup(words), *rest = copy, *word;
    struct iovec iov[1 + TCI_MAX_FRAMES];
    uint8_t bytes[TCI_MAX_FRAMES], head[FRAMING_HEAD_MAX];
    size_t n = 0, len = 0;

    while ((word = strsep(&rest, " ")) != NULL) {
        bytes[n] = word[0] == '#' ? (uint8_t)atoi(word + 1) : 0;
        iov[n + 1] =
            word[0] == '#' ? (struct iovec){&bytes[n], 1} : (struct iovec){word, strlen(word)};
        n++;
    }
    framing_seal(head, iov, n);
    for (size_t i = 0; i <= n; i++) {
        memcpy(out + len, iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    free(copy);
    return len;
}

static void
say(const char *words)
{
    uint8_t message[4096];
    const size_t len = frame(words, message);

    assert_int_equal(send(t.fd, message, len, MSG_NOSIGNAL), len);
}

/* The next message of the gateway is of that one frame. */
static void
expect(const char *only)
{
    uint8_t expected[4096], got[4096];
    const size_t len = frame(only, expected);

    assert_int_equal(recv(t.fd, got, len, MSG_WAITALL), len);
    assert_memory_equal(got, expected, len);
}

static void
introduce(const char *id)
{
    connect_link();
    say(id);
}

/* Until there is something to read, or the end. */
static void
await(void)
{
    const double end = clock_now() + LIMIT_MS / 1000.0;
    char byte;

    do {
        assert_true(clock_now() < end);
        turn();
    } while (recv(t.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

static void
join(void)
{
    introduce(ID);
    await();
    expect("W");
}

/* The gateway has hung up. */
static void
expect_end(void)
{
    char byte;

    await();
    assert_true(recv(t.fd, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET);
}

static int
set_up(void **state)
{
    const struct link_options options = {
        .dir = t.dir, .max_message = MAX_MESSAGE, .introduce_ms = INTRODUCE_MS, .group = getgid()};
    struct err err = ERR_INIT;

    (void)state;
    memset(&t, 0, sizeof(t));
    strcpy(t.dir, "/tmp/tci-test-link-XXXXXX");
    assert_non_null(mkdtemp(t.dir));
    t.base = event_base_new();
    t.link = link_new(t.base, &options, &err);
    assert_non_null(t.link);
    t.peer = link_peer_new(t.link, ID, on_message, &t);
    t.fd = -1;
    return 0;
}

static int
set_up_joined(void **state)
{
    set_up(state);
    join();
    return 0;
}

static int
tear_down(void **state)
{
    char path[100];

    (void)state;
    if (t.fd >= 0)
        close(t.fd);
    link_peer_free(t.peer);
    link_free(t.link);
    event_base_free(t.base);
    snprintf(path, sizeof(path), "%s/" TCI_PATH_LINK_SOCKET, t.dir);
    unlink(path);
    return rmdir(t.dir);
}

/* Until the message "T end" is here; it is not counted. */
static void
listen_to_end(void)
{
    const double end = clock_now() + LIMIT_MS / 1000.0;

    say("T end");
    while (t.n == 0 || strcmp(t.heard[t.n - 1], "T end") != 0) {
        assert_true(clock_now() < end);
        turn();
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
    expect_end();
    assert_int_equal(t.n, 1);
    t.peer = link_peer_new(t.link, ID, on_message, &t);
    close(t.fd);
    join();
    listen_to_end();
    assert_int_equal(t.n, 1);
}

static void
test_answer(void **state)
{
    const struct wire_frame frame = {"frame", 5};
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(link_send(t.peer, 'Q', NULL, 0, &err), -1); /* it has not been heard of yet */
    assert_int_equal(err.code, ERR_PEER);
    join();
    assert_int_equal(link_send(t.peer, 'C', &frame, 1, &err), 0);
    expect("C frame");
}

static void
test_strangers_are_hung_up_on(void **state)
{
    static const char *const ids[] = {"0123456789abcdee", ID "0", "0123456789abcde", "H", ID " H"};

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        introduce(ids[i]);
        expect_end();
        close(t.fd);
    }
    join();
}

static void
test_who_says_nothing_is_hung_up_on(void **state)
{
    const double begun = clock_now();
    char byte;

    (void)state;
    connect_link();
    while (recv(t.fd, &byte, 1, MSG_DONTWAIT) != 0) {
        assert_true(clock_now() - begun < LIMIT_MS / 1000.0);
        turn();
    }
    assert_true(clock_now() - begun >=
                INTRODUCE_MS / 2000.0); /* the loop's clock is a coarse one */
    close(t.fd);
    join(); /* and later is silent for longer than that, which is nobody's fault */
    say("S");
    for (const double since = clock_now(); clock_now() - since < 3 * INTRODUCE_MS / 1000.0;)
        turn();
    listen_to_end();
    assert_int_equal(t.n, 1);
}

static void
test_no_message(void **state)
{
    static const char *const bad[] = {"", "\xff", "\x41", "\x01\xff\xff\xff\xff"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const size_t len = bad[i][0] ? strlen(bad[i]) : 1;

        assert_int_equal(send(t.fd, bad[i], len, MSG_NOSIGNAL), len);
        expect_end();
        close(t.fd);
        join();
    }
    assert_int_equal(t.n, 0);
}

/* Every way to cut three messages in two, and each byte by itself. */
static void
test_pieces(void **state)
{
    uint8_t bytes[3 * 100];
    size_t len = frame("O 1 one", bytes);

    (void)state;
    len += frame("R #1 s a #1 i b", bytes + len);
    len += frame("S", bytes + len);
    for (size_t cut = 0; cut <= len; cut++) {
        t.n = 0;
        assert_int_equal(send(t.fd, bytes, cut, 0), cut);
        event_base_loop(t.base, EVLOOP_NONBLOCK);
        assert_int_equal(send(t.fd, bytes + cut, len - cut, 0), len - cut);
        listen_to_end();
        assert_int_equal(t.n, 4);
        assert_string_equal(t.heard[2], "R i b");
    }
    t.n = 0;
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(send(t.fd, bytes + i, 1, 0), 1);
        event_base_loop(t.base, EVLOOP_NONBLOCK);
    }
    assert_int_equal(t.n, 4);
}

/* More than the sockets hold, to one who does not read: kept up to a bound, then refused, and whole when it reads. */
static void
test_peer_that_does_not_read(void **state)
{
    static uint8_t block[1 << 20], got[sizeof(block)];
    const struct wire_frame big = {block, sizeof(block)};
    const size_t head = 1 + 2 * 4 + 1; /* and the verb */
    struct err err = ERR_INIT;
    size_t n = 0, bytes = 0;

    (void)state;
    memset(block, 'x', sizeof(block));
    while (link_send(t.peer, 'E', &big, 1, &err) == 0)
        assert_true(++n < 20);
    assert_int_equal(err.code, ERR_PEER);
    assert_true(n >= 4);
    while (bytes < n * (head + sizeof(block))) {
        ssize_t some;

        turn();
        some = recv(t.fd, got, sizeof(got), MSG_DONTWAIT);
        assert_true(some > 0);
        bytes += (size_t)some;
    }
    assert_int_equal(link_send(t.peer, 'Q', NULL, 0, &err), 0);
    expect("Q");
}

static void
test_the_new_connection_takes_the_old_ones_place(void **state)
{
    int old = t.fd;
    char byte;

    (void)state;
    join();
    assert_int_equal(recv(old, &byte, 1, MSG_DONTWAIT), 0);
    close(old);
    say("S");
    listen_to_end();
    assert_int_equal(t.n, 1);
}

static void
test_peer_that_is_gone(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    close(t.fd);
    t.fd = -1;
    assert_int_equal(link_send(t.peer, 'Q', NULL, 0, &err), -1); /* before the loop has seen it */
    assert_int_equal(err.code, ERR_PEER);
    turn();
    assert_int_equal(link_send(t.peer, 'Q', NULL, 0, &err), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verb_and_frames, set_up_joined, tear_down),
        cmocka_unit_test_setup_teardown(test_relay_comes_one_by_one, set_up_joined, tear_down),
        cmocka_unit_test_setup_teardown(test_relay_that_does_not_add_up, set_up_joined, tear_down),
        cmocka_unit_test_setup_teardown(test_peer_gone_half_way, set_up_joined, tear_down),
        cmocka_unit_test_setup_teardown(test_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_strangers_are_hung_up_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_says_nothing_is_hung_up_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_message, set_up_joined, tear_down),
        cmocka_unit_test_setup_teardown(test_pieces, set_up_joined, tear_down),
        cmocka_unit_test_setup_teardown(test_peer_that_does_not_read, set_up_joined, tear_down),
        cmocka_unit_test_setup_teardown(test_the_new_connection_takes_the_old_ones_place,
                                        set_up_joined, tear_down),
        cmocka_unit_test_setup_teardown(test_peer_that_is_gone, set_up_joined, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
