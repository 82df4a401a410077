/*
 * client.h - a client of the gateway's HTTP API, on libcurl.
 *
 * Errors: ERR_PEER the server cannot be reached, or says what is no answer; ERR_TIMEOUT; ERR_NONE interrupted by Ctrl-C
 * (interrupt.h); ERR_SYSTEM something on this side; else the server refused: the message is its own, and field its code.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gateway/err.h"
#include "gateway/mem.h"
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

/* What is known of an answer when its body begins. */
struct client_head {
    long status;    /* 0: there was none */
    int64_t length; /* bytes of the body; -1: it is not said */
    char etag[128]; /* with its quotes; "": none */
    bool is_events; /* server-sent ones */
};

/* What a request does beside its JSON.  All may be NULL. */
struct client_ops {
    /* The body of an answer of 2xx in pieces, in place of JSON, if `wants` is absent or true; -1: enough, by Ctrl-C
       unless err says what else. */
    bool (*wants)(void *owner, const struct client_head *);
    int (*take)(void *owner, const char *bytes, size_t len, struct err *);
    /* The request's body: up to len bytes, 0: that was all, -1.  May wait. */
    ssize_t (*give)(void *owner, char *bytes, size_t len, struct err *);
    void (*on_turn)(void *owner); /* in every turn of the wait, which is no longer than a second */
    int (*input_fd)(void *owner); /* what else is waited for before the next turn; -1: nothing */
    int (*on_interrupt)(void *owner); /* -1: enough of it; NULL: it always is */
};

struct client_request {
    const char *method, *path;
    json_t *body;           /* taken; NULL: none, or what `give` gives */
    int64_t length;         /* of what `give` gives; -1: it is not known before */
    const char *headers[3]; /* further lines, up to the first that is NULL */
    const struct client_ops *ops;
    void *owner;
    bool
        slow_head; /* the answer may take as long as it likes to begin; else who takes it has it broken off by silence */
};

struct client_answer {
    struct client_head head;
    json_t *json; /* the caller's; NULL: none */
    bool sent;    /* some of the request has gone out */
    enum client_loss {
        LOST_NOTHING,
        LOST_UNREACHED, /* there was no connection */
        LOST_MIDWAY,    /* it did not last */
    } loss;             /* what may be better with the next connection */
};

/* The header's line of an Idempotency-Key that nobody else has. */
enum { CLIENT_KEY_SIZE = 64 };
void client_draw_key(char line[CLIENT_KEY_SIZE]);

/* The answer is filled as far as there was one, whether that worked or not. */
int client_perform(struct client *, const struct client_request *, struct client_answer *,
                   struct err *) must_check;

#endif
