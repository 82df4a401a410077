/* run_state.h - what the parts of a run have in common.  Part of run.h, and for its parts alone. */
#ifndef GATEWAY_RUN_STATE_H
#define GATEWAY_RUN_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "body.h"
#include "run.h"
#include "run_stdin.h"
#include "run_steps.h"
#include "utf8_decoder.h"

enum state { QUEUED, RUNNING, WAITING, DONE };

struct run {
    const struct run_parts *parts;
    char id[RUN_ID_SIZE];
    char session[BODY_USER_MAX + 1];
    enum state state;
    bool streamed, lives_on;
    bool begun;         /* the code, not only what comes before it */
    bool interrupted;   /* it does not wait for who follows it, and what is too much for him ... */
    bool cut;           /* ... is left out now */
    struct job *job;    /* NULL when DONE */
    const char *status; /* of the code; NULL = not known yet */
    struct err *err;    /* why it did not come to its end; NULL: it did */

    char *code;
    size_t code_len;
    struct run_steps steps; /* until it is DONE, as is what it reads */
    struct run_stdin in;

    int64_t created, started; /* timestamp_now */
    double duration_ms;       /* of the code */
    int execution_count;      /* -1 = not told */
    bool restarted;
    json_t *findings, *values;      /* values: of user_expressions */
    json_t *files;                  /* changes_parse of the code; NULL: none has been told */
    unsigned long long memory_peak; /* of the code; 0: not known */

    struct utf8_decoder decoders[2]; /* of descriptors 1 and 2 */
    struct transcript *transcript;
    struct feed *feed; /* NULL: nobody can follow it */

    char *answer; /* DONE */
    size_t answer_len;
    json_t *past;      /* of one that another gateway had: its summary; NULL: this one has it */
    run_done_fn *done; /* NULL: disowned */
    void *owner;
};

#endif
