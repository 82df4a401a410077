/* body_run.h - the body of POST .../executions, beside what it has in common with POST /execute.  Pure.  Part of body.h. */
#ifndef GATEWAY_BODY_RUN_H
#define GATEWAY_BODY_RUN_H

#include "body.h"

enum {
    BODY_RUN_MAX_STDIN = 1 << 20, /* bytes that code may be given to read beforehand */
    BODY_RUN_MAX_ENV = 64 << 10,  /* bytes of names and values */
};

/* A checked request; what it points at belongs to body.json. */
struct body_run {
    struct body body; /* code, timeout, limits */
    bool stream, background;
    bool silent, no_history;
    bool input; /* somebody answers input() */
    const json_t
        *stdin_text;   /* what it reads first, a string or an array of lines; NULL = nothing */
    const json_t *env; /* an object of strings; NULL = none */
    json_t *user_expressions; /* an object of strings; NULL = none */
    const json_t *tests;      /* an array; NULL = none */
};

/* As body_parse_execute. */
int body_parse_run(const char *text, size_t len, const struct body_limits *, struct body_run *out,
                   struct err *) must_check;
void body_run_clear(struct body_run *); /* idempotent */

/* An object with code, and numbers in the other fields that are named (NULL ends them): of complete, inspect, is_complete. */
int body_parse_question(const char *text, size_t len, size_t max_code, struct body *out,
                        struct err *) must_check;

/* {"text"?, "eof"?} of POST .../stdin; *text is NULL at the end of the input. */
int body_parse_stdin(const char *text, size_t len, struct body *out, const json_t **line,
                     struct err *) must_check;

/* {"grace"?} of POST .../interrupt, or nothing: seconds. */
int body_parse_interrupt(const char *text, size_t len, struct body *out, double *grace,
                         struct err *) must_check;

#endif
