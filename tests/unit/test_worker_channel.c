/* test_worker_channel.c - a channel of the kernel's, with the test as the kernel; and ZMTP's bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "scratch.h"
#include "worker/channel.h"
#include "worker/clock.h"
#include "worker/zmtp.h"

enum { LIMIT_MS = 30000 };

#define READY "\004\031\005READY\013Socket-Type\000\000\000\003PUB"
#define BYTES(s) (s), sizeof(s) - 1

static struct {
    char dir[SCRATCH_PATH], path[SCRATCH_PATH + 8];
    struct channel c;
    int listener, kernel; /* the kernel's end of the channel */
    struct message m;
} t;

static void
listen_there(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    memcpy(addr.sun_path, t.path, sizeof(t.path));
    t.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(t.listener, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(t.listener, 4), 0);
}

static int
begin(void **state)
{
    (void)state;
    memset(&t, 0, sizeof(t));
    t.listener = t.kernel = -1;
    assert_int_equal(scratch_make(t.dir), 0);
    snprintf(t.path, sizeof(t.path), "%s/s", t.dir);
    channel_open(&t.c, TCI_SHELL, t.path, false);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    message_clear(&t.m);
    channel_close(&t.c);
    if (t.kernel >= 0)
        close(t.kernel);
    if (t.listener >= 0)
        close(t.listener);
    return scratch_remove(t.dir);
}

/* One turn of a loop. */
static void
turn(void)
{
    struct pollfd p = channel_item(&t.c, true);

    poll(&p, 1, 1);
    channel_tick(&t.c);
    channel_on_event(&t.c, p.fd >= 0 ? p.revents : 0);
}

static void
say(const char *bytes, size_t len)
{
    assert_int_equal(send(t.kernel, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Exactly these bytes, however long they take. */
static void
hear(const char *bytes, size_t len)
{
    const int64_t limit = clock_ms() + LIMIT_MS;
    char got[512];
    size_t have = 0;

    assert_true(len <= sizeof(got));
    while (have < len && clock_ms() < limit) {
        ssize_t n;

        turn();
        n = recv(t.kernel, got + have, len - have, MSG_DONTWAIT);
        have += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(have, len);
    assert_memory_equal(got, bytes, len);
}

static void
accept_it(void)
{
    const int64_t limit = clock_ms() + LIMIT_MS;

    do
        turn();
    while ((t.kernel = accept(t.listener, NULL, NULL)) < 0 && clock_ms() < limit);
    assert_true(t.kernel >= 0);
}

/* The bytes of 23/ZMTP, section "Connection set-up". */
static void
greet(void)
{
    static const char greeting[64] = "\377\0\0\0\0\0\0\0\0\177\003\000NULL";

    accept_it();
    hear(greeting, sizeof(greeting));
    if (t.c.subscribes)
        hear(BYTES("\004\031\005READY\013Socket-Type\000\000\000\003SUB"));
    else
        hear(BYTES("\004\054\005READY\013Socket-"
                   "Type\000\000\000\006DEALER\010Identity\000\000\000\003tci"));
    say(greeting, sizeof(greeting));
}

static void
shake_hands(void)
{
    listen_there();
    greet();
    say(BYTES(READY));
    while (t.c.state != CHANNEL_UP)
        turn();
}

/* Waits for a message; its frames as text. */
static const char *
receive(void)
{
    static char text[200];
    const int64_t limit = clock_ms() + LIMIT_MS;
    int rc;

    message_clear(&t.m);
    do
        turn();
    while ((rc = channel_recv(&t.c, &t.m)) == 0 && clock_ms() < limit);
    if (rc < 0)
        return "too many";
    text[0] = '\0';
    for (size_t i = 0; i < t.m.n; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "[%.*s]", (int)t.m.frames[i].len,
                 (const char *)t.m.frames[i].data);
    return text;
}

static void
send_frames(const char *a, const char *b)
{
    struct message m = {.frames = {{a, strlen(a)}, {b, strlen(b)}}, .n = 2};

    assert_int_equal(channel_send(&t.c, &m, 0), 0);
}

/* --- tests -------------------------------------------------------------------------------- */

static void
what_is_sent_before_there_is_a_kernel_waits_for_it(void **state)
{
    (void)state;
    turn();
    send_frames("ab", "c");
    turn();
    assert_int_equal(t.c.state, CHANNEL_DOWN);
    shake_hands();
    hear(BYTES("\001\002ab\000\001c"));
    assert_null(t.c.unsent.data);
    send_frames("", "d");
    hear(BYTES("\001\000\000\001d"));
}

static void
messages_come_whole_however_they_are_cut(void **state)
{
    static const char two[] = "\001\001a\001\000\000\003bcd\000\001e";

    (void)state;
    shake_hands();
    for (size_t i = 0; i < sizeof(two) - 1; i++) {
        if (i < 10)
            assert_int_equal(channel_recv(&t.c, &t.m), 0);
        say(two + i, 1);
        turn();
    }
    assert_string_equal(receive(), "[a][][bcd]");
    assert_string_equal(receive(), "[e]");
    message_clear(&t.m);
    assert_int_equal(channel_recv(&t.c, &t.m), 0);
}

static void
messages_may_come_with_the_handshake(void **state)
{
    (void)state;
    listen_there();
    greet();
    say(BYTES(READY "\000\001x\000\001y"));
    while (t.c.state != CHANNEL_UP)
        turn();
    assert_true(t.c.pending);
    assert_string_equal(receive(), "[x]");
    assert_string_equal(receive(), "[y]");
}

static void
subscriber_subscribes(void **state)
{
    (void)state;
    t.c.subscribes = true;
    shake_hands();
    hear(BYTES("\000\001\001"));
}

static void
commands_in_between_are_passed_over(void **state)
{
    (void)state;
    shake_hands();
    say(BYTES("\004\010\004PING\000\000x\000\001a"));
    assert_string_equal(receive(), "[a]");
}

/* While its frames are in use nothing is written over them. */
static void
message_stays_when_the_next_comes(void **state)
{
    struct message kept = {.n = 0};

    (void)state;
    shake_hands();
    say(BYTES("\000\005first"));
    assert_string_equal(receive(), "[first]");
    message_append(&kept, &t.m, 0);
    for (int i = 0; i < 3000; i++) {
        say(BYTES("\000\006second"));
        assert_string_equal(receive(), "[second]");
    }
    assert_memory_equal(kept.frames[0].data, "first", 5);
    assert_true(kept.blocks[0] != t.c.in);
    message_detach(&kept);
    assert_int_equal(kept.blocks[0]->size, 5);
    assert_memory_equal(kept.frames[0].data, "first", 5);
    message_clear(&kept);
}

static void
large_message_comes_and_its_memory_goes(void **state)
{
    enum { LARGE = 3 << 20 };
    const char head[] = {2, 0, 0, 0, 0, 0, (char)(LARGE >> 16), 0, 0};
    char *bytes = malloc(LARGE);
    const int64_t limit = clock_ms() + LIMIT_MS;
    size_t sent = 0;
    int rc = 0;

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 'x', LARGE);
    bytes[LARGE - 1] = 'y';
    shake_hands();
    say(head, sizeof(head));
    while (rc == 0 && clock_ms() < limit) {
        const ssize_t n = send(t.kernel, bytes + sent, LARGE - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        sent += n > 0 ? (size_t)n : 0;
        turn();
        rc = channel_recv(&t.c, &t.m);
    }
    assert_int_equal(rc, 1);
    assert_int_equal(t.m.frames[0].len, LARGE);
    assert_memory_equal(t.m.frames[0].data, bytes, LARGE);
    free(bytes);
    say(BYTES("\000\001z"));
    assert_string_equal(receive(), "[z]");
    assert_in_range(t.c.in->size, 1, 64 << 10);
}

static void
message_of_too_many_frames_is_dropped_alone(void **state)
{
    (void)state;
    shake_hands();
    for (int i = 0; i < TCI_MAX_FRAMES; i++)
        say(BYTES("\001\001f"));
    say(BYTES("\000\001g\000\001h"));
    assert_string_equal(receive(), "too many");
    assert_string_equal(receive(), "[h]");
}

static void
lost_connection_is_made_again(void **state)
{
    (void)state;
    shake_hands();
    close(t.kernel);
    while (t.c.state == CHANNEL_UP) {
        turn();
        assert_int_equal(channel_recv(&t.c, &t.m), 0);
    }
    greet();
    say(BYTES(READY "\000\005again"));
    assert_string_equal(receive(), "[again]");
}

/* What is no ZMTP ends the connection, and nothing of it is taken for a message. */
static void
other_bytes_end_the_connection(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool greeted, ready;
    } bad[] = {
        {BYTES("HTTP/1.1 200 OK\r\n\r\n"), false, false},
        {BYTES("\377\0\0\0\0\0\0\0\0\177\001"), false, false},
        {BYTES("\000\001a"), true, false},         /* a message before READY */
        {BYTES("\004\006\005ERROR"), true, false}, /* it does not want us */
        {BYTES("\010\001a"), true, true},          /* flags that there are not */
        {BYTES("\005\001a"), true, true},          /* a command in parts */
        {BYTES("\001\001a\004\001b"), true, true}, /* a command in a message */
        {BYTES("\002\377\377\377\377\377\377\377\377a"), true, true},
        {BYTES("\002\000\000\000\000\100\000\000\001a"), true, true},
    };

    (void)state;
    listen_there();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const int64_t limit = clock_ms() + LIMIT_MS;

        if (bad[i].greeted)
            greet();
        else
            accept_it();
        if (bad[i].ready)
            say(BYTES(READY));
        say(bad[i].bytes, bad[i].len);
        do {
            turn();
            assert_int_equal(channel_recv(&t.c, &t.m), 0);
        } while (t.c.state != CHANNEL_DOWN && clock_ms() < limit);
        assert_int_equal(t.c.state, CHANNEL_DOWN);
        close(t.kernel);
        t.kernel = -1;
    }
}

/* A kernel that does not read: what waits for it has a bound. */
static void
too_much_is_refused(void **state)
{
    const struct message m = {.frames = {{"x", 1}}, .n = 1};
    int n = 0;

    (void)state;
    while (n < 10000 && channel_send(&t.c, &m, 0) == 0)
        n++;
    assert_in_range(n, 100, 1000);
}

static void
greeting_is_judged_as_far_as_it_is_there(void **state)
{
    uint8_t greeting[ZMTP_GREETING_SIZE];

    (void)state;
    zmtp_greeting(greeting);
    for (size_t len = 0; len < sizeof(greeting); len++)
        assert_int_equal(zmtp_check_greeting(greeting, len), 0);
    assert_int_equal(zmtp_check_greeting(greeting, sizeof(greeting)), 1);
    greeting[11] = 1; /* 3.1, whose peers speak 3.0 with one of 3.0 */
    assert_int_equal(zmtp_check_greeting(greeting, sizeof(greeting)), 1);
    greeting[12] = 'X'; /* another mechanism */
    assert_int_equal(zmtp_check_greeting(greeting, sizeof(greeting)), -1);
}

static void
heads_are_read_as_they_are_written(void **state)
{
    static const size_t lens[] = {0, 1, 255, 256, 65536, (size_t)1 << 33};

    (void)state;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        uint8_t out[ZMTP_HEAD_MAX];
        struct zmtp_head head;
        const size_t size = zmtp_put_head(out, i % 2, lens[i]);

        for (size_t len = 0; len < size; len++)
            assert_int_equal(zmtp_read_head(out, len, &head), 0);
        assert_int_equal(zmtp_read_head(out, size, &head), 1);
        assert_int_equal(head.size, size);
        assert_int_equal(head.body, lens[i]);
        assert_int_equal(head.more, i % 2);
        assert_false(head.command);
    }
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_is_sent_before_there_is_a_kernel_waits_for_it),
        TEST(messages_come_whole_however_they_are_cut),
        TEST(messages_may_come_with_the_handshake),
        TEST(subscriber_subscribes),
        TEST(commands_in_between_are_passed_over),
        TEST(message_stays_when_the_next_comes),
        TEST(large_message_comes_and_its_memory_goes),
        TEST(message_of_too_many_frames_is_dropped_alone),
        TEST(lost_connection_is_made_again),
        TEST(other_bytes_end_the_connection),
        TEST(too_much_is_refused),
        cmocka_unit_test(greeting_is_judged_as_far_as_it_is_there),
        cmocka_unit_test(heads_are_read_as_they_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
