/*
 * tunnel.h - one connection of a sandbox through the proxy, from its first byte to its last.
 *
 *   READING ──▶ RESOLVING ──▶ CONNECTING ──▶ RELAYING ──▶ (gone)
 *      └────────────┴──────────────┴──────▶ REFUSING ──────▲
 *
 * It begins with a line of the container's worker, "SESSION id", which is for the log; then comes what the sandbox sends.
 */
#ifndef PROXY_TUNNEL_H
#define PROXY_TUNNEL_H

struct event_base;
struct evdns_base;
struct netpolicy;
struct tunnel;

/* What all tunnels share; borrowed, must outlive them. */
struct tunnel_env {
    struct event_base *base;
    struct evdns_base *dns;
    /* Of sessions, and of who installs packages; may be others from turn to turn. */
    const struct netpolicy *policy, *install_policy;
    unsigned n; /* tunnels there are */
};

/* Takes the connection, which does not block.  It ends by itself. */
void tunnel_start(struct tunnel_env *, int fd);

#endif
