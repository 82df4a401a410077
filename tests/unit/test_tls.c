/* test_tls.c - HTTPS: a connection's owner is told that all is written when it is, and not before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls.h"

enum { SMALL = 7, LARGE = 8 << 20, LIMIT_S = 60 };

static struct {
    char cert[32], key[32];
    struct event_base *base;
    int fds[2];
    unsigned told, told_early;
    size_t got; /* by the client; once its thread has ended */
    bool open, given_more;
} t;

static void
make_certificate(void)
{
    EVP_PKEY *key = xnotnull(EVP_EC_gen("P-256"));
    X509 *cert = xnotnull(X509_new());
    FILE *f;

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    f = fdopen(mkstemp(t.cert), "w");
    assert_true(f && PEM_write_X509(f, cert) == 1 && fclose(f) == 0);
    f = fdopen(mkstemp(t.key), "w");
    assert_true(f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 &&
                fclose(f) == 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

/* Reads nothing before a byte has come from the other end's owner, by a descriptor of its own. */
static void *
client(void *go)
{
    SSL_CTX *context = xnotnull(SSL_CTX_new(TLS_client_method()));
    SSL *ssl = xnotnull(SSL_new(context));
    size_t got = 0;
    char chunk[65536];
    int n;

    SSL_set_fd(ssl, t.fds[1]);
    if (SSL_connect(ssl) == 1 && read(*(int *)go, chunk, 1) == 1)
        while (got < SMALL + LARGE && (n = SSL_read(ssl, chunk, sizeof(chunk))) > 0)
            got += (size_t)n;
    SSL_free(ssl);
    SSL_CTX_free(context);
    t.got = got;
    return NULL;
}

static void
on_written(struct bufferevent *bev, void *arg)
{
    (void)arg;
    t.told++;
    t.told_early += evbuffer_get_length(bufferevent_get_output(bev)) > 0;
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev, (void)arg;
    assert_int_equal(what, BEV_EVENT_CONNECTED);
    t.open = true;
}

/* As evhttp does. */
static void
give(struct bufferevent *bev, size_t len)
{
    static char data[LARGE];

    evbuffer_add(bufferevent_get_output(bev), data, len);
    bufferevent_setcb(bev, NULL, on_written, on_event, NULL);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    tls_guard(bev);
    tls_guard(bev);
}

/* All has been written, of which the owner is about to be told. */
static void
on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *more)
{
    if (info->n_deleted > 0 && evbuffer_get_length(output) == 0)
        event_active(more, EV_TIMEOUT, 0);
}

static void
on_more(evutil_socket_t fd, short what, void *bev)
{
    (void)fd, (void)what;
    if (t.given_more)
        return;
    t.given_more = true;
    give(bev, LARGE);
}

static void
test_told_when_all_is_written(void **state)
{
    struct err err = ERR_INIT;
    struct tls *tls;
    struct bufferevent *bev;
    struct event *more;
    pthread_t thread;
    int go[2];

    (void)state;
    make_certificate();
    tls = tls_new(t.cert, t.key, &err);
    assert_non_null(tls);
    t.base = event_base_new();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, t.fds), 0);
    assert_int_equal(pipe(go), 0);
    assert_int_equal(evutil_make_socket_nonblocking(t.fds[0]), 0);
    bev = tls_accept(tls, t.base);
    assert_int_equal(bufferevent_setfd(bev, t.fds[0]), 0);
    bufferevent_setcb(bev, NULL, on_written, on_event, NULL);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    more = event_new(t.base, -1, 0, on_more, bev);
    alarm(LIMIT_S);
    assert_int_equal(pthread_create(&thread, NULL, client, &go[0]), 0);
    while (!t.open)
        event_base_loop(t.base, EVLOOP_ONCE);
    while (event_base_loop(t.base, EVLOOP_NONBLOCK) == 0 && t.told > 0) /* of the handshake */
        t.told = 0;

    t.told = t.told_early = 0;
    give(bev, SMALL);
    evbuffer_add_cb(bufferevent_get_output(bev), on_output, more);
    while (!t.given_more)
        event_base_loop(t.base, EVLOOP_ONCE);
    event_base_loop(t.base, EVLOOP_NONBLOCK);
    assert_true(evbuffer_get_length(bufferevent_get_output(bev)) > 0);
    assert_int_equal(t.told, 0);
    assert_int_equal(write(go[1], "", 1), 1);
    while (t.told == 0)
        event_base_loop(t.base, EVLOOP_ONCE);
    assert_int_equal(t.told_early, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(t.got, SMALL + LARGE);
    alarm(0);

    event_free(more);
    bufferevent_free(bev);
    close(t.fds[1]);
    close(go[0]);
    close(go[1]);
    event_base_free(t.base);
    tls_free(tls);
    unlink(t.cert);
    unlink(t.key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_told_when_all_is_written)};

    strcpy(t.cert, "/tmp/test_tls.cert.XXXXXX");
    strcpy(t.key, "/tmp/test_tls.key.XXXXXX");
    return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
