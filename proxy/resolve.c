/*
 * resolve.c - see resolve.h.
 *
 * A cancelled question is still answered by evdns, with an error and in a later turn: what it belongs to lives until then,
 * without an owner.
 */
#include "resolve.h"

#include <event2/dns.h>
#include <event2/event.h>

enum { V4, V6, N_QUESTIONS };

struct question {
    struct resolve *resolve;
    struct evdns_request *request; /* NULL: answered, or never asked */
};

struct resolve {
    struct evdns_base *dns;
    struct question questions[N_QUESTIONS];
    unsigned n_open; /* questions, and the start while it has not returned */
    struct netaddr addresses[RESOLVE_MAX];
    size_t n;
    resolve_done_fn *done; /* NULL: cancelled */
    void *owner;
};

static void
close_one(struct resolve *r)
{
    if (--r->n_open > 0)
        return;
    if (r->done)
        r->done(r->owner, r->addresses, r->n);
    free(r);
}

static void
take(struct resolve *r, sa_family_t family, const uint8_t *data, int count)
{
    const size_t size = family == AF_INET ? 4 : 16;

    for (int i = 0; i < count && r->n < RESOLVE_MAX; i++, r->n++) {
        r->addresses[r->n] = (struct netaddr){.family = family};
        memcpy(r->addresses[r->n].bytes, data + (size_t)i * size, size);
    }
}

static void
on_answer(int result, char type, int count, int ttl, void *addresses, void *arg)
{
    struct question *q = arg;
    struct resolve *r = q->resolve;

    (void)ttl;
    q->request = NULL;
    if (result == DNS_ERR_NONE && (type == DNS_IPv4_A || type == DNS_IPv6_AAAA))
        take(r, type == DNS_IPv4_A ? AF_INET : AF_INET6, addresses, count);
    close_one(r);
}

/* The start is over: what could not be asked is answered now. */
static void
on_started(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    close_one(arg);
}

struct resolve *
resolve_start(struct evdns_base *dns, struct event_base *base, const char *name,
              resolve_done_fn *done, void *owner)
{
    static const struct timeval now = {0, 0};
    struct resolve *r = xcalloc(1, sizeof(*r));
    struct question *v4 = &r->questions[V4], *v6 = &r->questions[V6];

    r->dns = dns;
    r->done = done;
    r->owner = owner;
    v4->resolve = v6->resolve = r;
    r->n_open = 1;
    if (event_base_once(base, -1, EV_TIMEOUT, on_started, r, &now) < 0)
        abort(); /* out of memory */
    v4->request = evdns_base_resolve_ipv4(dns, name, DNS_QUERY_NO_SEARCH, on_answer, v4);
    v6->request = evdns_base_resolve_ipv6(dns, name, DNS_QUERY_NO_SEARCH, on_answer, v6);
    r->n_open += (v4->request != NULL) + (v6->request != NULL);
    return r;
}

void
resolve_cancel(struct resolve *r)
{
    if (r == NULL)
        return;
    r->done = NULL;
    for (int i = 0; i < N_QUESTIONS; i++)
        if (r->questions[i].request)
            evdns_cancel_request(r->dns, r->questions[i].request);
}
