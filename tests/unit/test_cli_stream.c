/*
 * test_cli_stream.c - what tci follows over connections that are slow, quiet or broken.
 *
 * A server in a thread of its own serves one connection after another by a script, and has time pass as it likes: the clock of the
 * whole process, libcurl's as well, is this file's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/stream.h"

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define START "id: 1\nevent: start\ndata: {\"id\": \"x-1\"}\n\n"
#define END "id: 2\nevent: end\ndata: {}\n\n"

enum { MAX_CONNECTIONS = 8, MAX_REQUEST = 4096 };

static atomic_llong ahead_s;
static atomic_uint turns;

int
clock_gettime(clockid_t id, struct timespec *t)
{
    const long rc = syscall(SYS_clock_gettime, id, t);

    if (id == CLOCK_MONOTONIC)
        t->tv_sec += ahead_s;
    return (int)rc;
}

/* --- the server --------------------------------------------------------------------------- */

struct server {
    int listener;
    void (*serve)(int fd, unsigned n);
    pthread_t thread;
    atomic_uint n; /* connections so far */
    char requests[MAX_CONNECTIONS][MAX_REQUEST];
    char url[64];
};

static void
say(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static bool
is_left(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    return poll(&p, 1, 1) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* Has the client look twice at what there is, unless it goes. */
static void
wait_for_turns(int fd)
{
    const unsigned before = turns;

    while (turns - before < 2 && !is_left(fd))
        ;
}

static void
pass(int fd, int seconds)
{
    wait_for_turns(fd);
    ahead_s += seconds;
    wait_for_turns(fd);
}

static void
read_request(int fd, char *text)
{
    size_t len = 0, body = 0;
    const char *end = NULL, *length;
    ssize_t n;

    while ((end == NULL || strlen(end + 4) < body) &&
           (n = read(fd, text + len, MAX_REQUEST - 1 - len)) > 0) {
        len += (size_t)n;
        text[len] = '\0';
        end = strstr(text, "\r\n\r\n");
        length = strstr(text, "Content-Length: ");
        body = length ? strtoul(length + strlen("Content-Length: "), NULL, 10) : 0;
    }
}

static void *
serve_all(void *arg)
{
    struct server *s = arg;
    int fd;

    while (s->n < MAX_CONNECTIONS && (fd = accept(s->listener, NULL, NULL)) >= 0) {
        const unsigned n = s->n++;

        read_request(fd, s->requests[n]);
        s->serve(fd, n);
        close(fd);
    }
    return NULL;
}

static void
server_start(struct server *s, void (*serve)(int fd, unsigned n))
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    memset(s, 0, sizeof(*s));
    s->serve = serve;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", ntohs(a.sin_port));
    assert_int_equal(pthread_create(&s->thread, NULL, serve_all, s), 0);
}

static void
server_stop(struct server *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

/* --- the client --------------------------------------------------------------------------- */

static int always[2]; /* a pipe with a byte in it: nobody waits for a turn */

static void
on_event(void *owner, const char *name, const char *data, size_t len)
{
    (void)owner, (void)name, (void)data, (void)len;
}

static void
on_turn(void *owner)
{
    (void)owner;
    turns++;
}

static int
input_fd(void *owner)
{
    (void)owner;
    return always[0];
}

static int
on_interrupt(void *owner)
{
    (void)owner;
    return -1;
}

static void
on_trouble(void *owner, const char *what)
{
    (void)owner, (void)what;
}

static const struct stream_ops ops = {on_event, on_turn, input_fd, on_interrupt, on_trouble};

/* What stream_run returns with that server; cancel: and has it taken back, if that failed. */
static int
follow(struct server *server, void (*serve)(int fd, unsigned n), bool cancel, struct err *err)
{
    struct place place = {.url = server->url, .is_local = true};
    struct client *client;
    struct stream *stream;
    int rc;

    server_start(server, serve);
    client = client_new(&place, err);
    assert_non_null(client);
    stream = stream_new(client, "/v1/sessions/s/executions", json_object(), &ops, NULL);
    rc = stream_run(stream, err);
    if (rc < 0 && cancel)
        assert_true(stream_cancel(stream));
    stream_free(stream);
    client_free(client);
    server_stop(server);
    return rc;
}

/* --- time passes -------------------------------------------------------------------------- */

static void
serve_late_head(int fd, unsigned n)
{
    (void)n;
    pass(fd, 500);
    say(fd, HEAD START END);
}

/* What the code imports is installed before. */
static void
test_an_answer_that_begins_late(void **state)
{
    struct err err = ERR_INIT;
    struct server server;

    (void)state;
    assert_int_equal(follow(&server, serve_late_head, false, &err), 0);
    assert_int_equal(server.n, 1);
}

static void
serve_signs_of_life(int fd, unsigned n)
{
    say(fd, n == 0 ? HEAD START : HEAD);
    for (int i = 0; i < 8; i++) {
        pass(fd, 40);
        say(fd, ":\n\n");
    }
    pass(fd, 1);
    say(fd, END);
}

static void
test_a_quiet_connection_is_kept(void **state)
{
    struct err err = ERR_INIT;
    struct server server;

    (void)state;
    assert_int_equal(follow(&server, serve_signs_of_life, false, &err), 0);
    assert_int_equal(server.n, 1);
}

static void
serve_silence(int fd, unsigned n)
{
    say(fd, n == 0 ? HEAD START : HEAD END);
    if (n == 0)
        pass(fd, 70);
}

static void
test_a_silent_connection_is_not(void **state)
{
    struct err err = ERR_INIT;
    struct server server;

    (void)state;
    assert_int_equal(follow(&server, serve_silence, false, &err), 0);
    assert_int_equal(server.n, 2);
}

/* It has no more to say than that it lives, and is cut again and again. */
static void
serve_cuts(int fd, unsigned n)
{
    say(fd, n == 0 ? HEAD START : HEAD);
    pass(fd, 25);
    say(fd, n < 4 ? ":\n\n" : END);
    pass(fd, 25);
}

static void
test_cuts_of_a_quiet_run(void **state)
{
    struct err err = ERR_INIT;
    struct server server;

    (void)state;
    assert_int_equal(follow(&server, serve_cuts, false, &err), 0);
    assert_int_equal(server.n, 5);
}

static void
serve_cut_head(int fd, unsigned n)
{
    if (n == 0)
        pass(fd, 50);
    else
        say(fd, HEAD START END);
}

/* The patience is that of who has lost a connection, not of who has waited on it. */
static void
test_a_cut_after_a_long_wait(void **state)
{
    struct err err = ERR_INIT;
    struct server server;

    (void)state;
    assert_int_equal(follow(&server, serve_cut_head, false, &err), 0);
    assert_int_equal(server.n, 2);
}

static void
serve_start_only(int fd, unsigned n)
{
    say(fd, n == 0 ? HEAD START : "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n?");
}

static void
test_what_may_still_run(void **state)
{
    struct err err = ERR_INIT;
    struct server server;

    (void)state;
    assert_int_equal(follow(&server, serve_start_only, false, &err), -1);
    assert_non_null(strstr(err.msg, "x-1 may still run"));
}

/* --- taken back --------------------------------------------------------------------------- */

static const char *listed; /* what the server has of the executions with the key */

static void
serve_interrupted(int fd, unsigned n)
{
    if (n == 0) {
        raise(SIGINT);
        while (!is_left(fd))
            ;
        return;
    }
    struct pollfd taken = {.fd = interrupt_fd(), .events = POLLIN};
    char answer[256];

    snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(listed), listed);
    if (n == 1)
        raise(SIGINT); /* impatient */
    while (poll(&taken, 1, 0) > 0)
        ;
    say(fd, answer);
}

/* It has not begun for all that is known, and is not to begin for that. */
static void
test_an_unknown_one_is_asked_for(void **state)
{
    struct err err = ERR_INIT;
    struct server server;

    (void)state;
    listed = "{\"executions\": []}";
    assert_int_equal(follow(&server, serve_interrupted, true, &err), -1);
    assert_int_equal(err.code, ERR_NONE);
    assert_int_equal(server.n, 2);
    assert_int_equal(
        strncmp(server.requests[1], "GET /v1/sessions/s/executions?idempotency_key=tci-", 50), 0);
}

static void
test_one_that_has_begun_is_ended(void **state)
{
    struct err err = ERR_INIT;
    struct server server;

    (void)state;
    listed = "{\"executions\": [{\"id\": \"x-7\"}]}";
    assert_int_equal(follow(&server, serve_interrupted, true, &err), -1);
    assert_int_equal(server.n, 3);
    assert_int_equal(strncmp(server.requests[2], "DELETE /v1/sessions/s/executions/x-7 ", 37), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_that_begins_late),
        cmocka_unit_test(test_a_quiet_connection_is_kept),
        cmocka_unit_test(test_a_silent_connection_is_not),
        cmocka_unit_test(test_cuts_of_a_quiet_run),
        cmocka_unit_test(test_a_cut_after_a_long_wait),
        cmocka_unit_test(test_what_may_still_run),
        cmocka_unit_test(test_an_unknown_one_is_asked_for),
        cmocka_unit_test(test_one_that_has_begun_is_ended),
    };

    if (pipe(always) < 0 || write(always[1], "", 1) != 1)
        return 1;
    interrupt_catch();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
