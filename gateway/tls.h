/* tls.h - HTTPS: a certificate with its key, and connections under them.  TLS 1.2 and later. */
#ifndef GATEWAY_TLS_H
#define GATEWAY_TLS_H

#include "err.h"
#include "mem.h"

struct bufferevent;
struct event_base;
struct tls;

/* Reads PEM files: the certificate's chain and its key.  ERR_CONFIG, and the field is the setting's, if one is not usable. */
struct tls *tls_new(const char *cert_path, const char *key_path, struct err *) must_check;
void tls_free(struct tls *); /* accepts NULL; connections live on */

/* For a connection that is accepted: takes its descriptor later, and closes it. */
struct bufferevent *tls_accept(struct tls *, struct event_base *) must_check;

/*
 * To be called on a connection of tls_accept after evhttp has been given something to write on it.  libevent writes at once
 * there, and tells that all is written a turn later, when there may be more; evhttp takes that for the end of the answer, and
 * would not write what is left.
 */
void tls_guard(struct bufferevent *);

#endif
