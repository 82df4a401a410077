/*
 * client.h - a client of the gateway's HTTP API, on libcurl.
 *
 * Errors: ERR_PEER the server cannot be reached, or says what is no answer; ERR_TIMEOUT; ERR_NONE interrupted by Ctrl-C
 * (interrupt.h); else the server refused, and the message is its own.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <jansson.h>

#include "events.h"
#include "place.h"

struct client;

struct client *client_new(const struct place *, struct err *) must_check; /* copies the place */

/* The same of the place that the options name. */
struct client *client_open(const struct place_options *, struct err *) must_check;
void client_free(struct client *); /* accepts NULL */

/*
 * One request and its answer, which is NULL where the server answers without a body; the caller's.  body: NULL or JSON,
 * which is taken.  answer may be NULL.
 */
int client_call(struct client *, const char *method, const char *path, json_t *body,
                json_t **answer, struct err *) must_check;

struct client_stream_ops {
    events_fn *on_event;          /* must not use the client */
    void (*on_turn)(void *owner); /* after every turn of the wait, to do what events gave rise to */
    int (*input_fd)(void *owner); /* what else is waited for before the next turn; -1: nothing */
    int (*on_interrupt)(void *owner); /* -1: enough of it */
};

/* POSTs the JSON, which is taken, and hands over the events of the answer up to its end. */
int client_stream(struct client *, const char *path, json_t *body, const struct client_stream_ops *,
                  void *owner, struct err *) must_check;

#endif
