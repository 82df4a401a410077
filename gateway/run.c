/* run.c - see run.h. */
#include "run.h"

#include <stdio.h>
#include <string.h>

#include "body_run.h"
#include "changes.h"
#include "config.h"
#include "feed.h"
#include "grade.h"
#include "metrics.h"
#include "pool.h"
#include "pythonenv.h"
#include "run_answer.h"
#include "run_state.h"
#include "session.h"
#include "timestamp.h"
#include "transcript.h"

enum { MAX_STREAM_MESSAGES = 1 << 24 };

/* --- what it says ------------------------------------------------------------------------- */

static void
tell(struct run *run, const char *event, json_t *data)
{
    if (run->feed)
        feed_add(run->feed, event, data);
    else
        json_decref(data);
}

static void
tell_state(struct run *run)
{
    if (run->feed)
        tell(run, "status", xnotnull(json_pack("{s:s}", "state", run_state_name(run))));
}

static void
tell_truncated(struct run *run)
{
    tell(run, "status",
         xnotnull(json_pack("{s:s,s:b}", "state", run_state_name(run), "truncated", (int)true)));
}

/* gap: not only what is shown next is cut, but something is missing after it. */
static void
mark_truncated(struct run *run, bool gap)
{
    transcript_mark_truncated(run->transcript, gap);
    if (run->feed && run->steps.at == RUN_CODE)
        tell_truncated(run);
}

/* Whether output is left out of the events: from where the log is full on, until much of it has been taken. */
static bool
is_cut(struct run *run)
{
    const bool was = run->cut;

    if (run->feed == NULL || !run->interrupted)
        return false;
    run->cut = was ? feed_is_paused(run->feed) : feed_is_full(run->feed);
    if (run->cut && !was) {
        transcript_mark_truncated(run->transcript, false);
        tell_truncated(run);
    }
    return run->cut;
}

static void
show(struct run *run, enum shown kind, json_t *what)
{
    if (kind == SHOWN_NOTHING)
        return;
    if (run->steps.at == RUN_TEST)
        grade_show(run->steps.grade, kind, what);
    if (run->steps.at != RUN_CODE)
        return;
    metrics_add(METRIC_OUTPUT_BYTES, shown_size(what));
    transcript_add(run->transcript, kind, what);
    if (!is_cut(run))
        tell(run, shown_name(kind), json_incref(what));
}

/* --- what comes --------------------------------------------------------------------------- */

/* Only the code waits for who follows it: the other steps show next to nothing, and have seconds for it. */
static void
on_pressure(void *owner, bool pause)
{
    struct run *run = owner;

    if (run->job)
        job_pause(run->job, pause && run->steps.at == RUN_CODE);
}

static void
on_begin(void *owner)
{
    struct run *run = owner;

    if (run->feed)
        on_pressure(run, feed_is_paused(run->feed));
    run->begun |= run->steps.at == RUN_CODE;
    if (run->started != 0)
        return;
    run->started = timestamp_now();
    run->state = RUNNING;
    if (run->feed)
        tell(run, "start", run_summary(run));
}

static void
on_message(void *owner, const char *msg_type, const json_t *content)
{
    struct run *run = owner;
    bool truncated = false;
    json_t *what;
    const enum shown kind = shown_from(msg_type, content, &what, &truncated);

    if (truncated)
        mark_truncated(run, false);
    show(run, kind, what);
    json_decref(what);
}

/* Where characters of a descriptor go. */
struct text_sink {
    struct run *run;
    enum shown kind;
};

static void
on_text(void *owner, const char *text, size_t len)
{
    const struct text_sink *sink = owner;
    json_t *what;

    if (len == 0)
        return;
    what = shown_text(text, len);
    show(sink->run, sink->kind, what);
    json_decref(what);
}

static void
on_raw(void *owner, int fd, const void *data, size_t len)
{
    struct text_sink sink = {owner, fd == 2 ? SHOWN_STDERR : SHOWN_STDOUT};

    utf8_decode(&sink.run->decoders[fd == 2], data, len, on_text, &sink);
}

static void
on_truncated(void *owner)
{
    mark_truncated(owner, true);
}

static void
on_code_reply(struct run *run, const json_t *content)
{
    const char *status = json_string_value(json_object_get(content, "status"));
    json_t *values = json_object_get(content, "user_expressions");
    bool truncated = false;

    if (run->steps.code.user_expressions && json_is_object(values) &&
        shown_size(values) <= run->parts->config->max_output_bytes)
        run->values = json_incref(values);
    if (status == NULL || strcmp(status, "ok") != 0)
        transcript_set_error(run->transcript, shown_error_of_reply(content, &truncated));
    if (truncated)
        transcript_mark_truncated(run->transcript, false);
}

static void
on_reply(void *owner, const json_t *content)
{
    struct run *run = owner;

    if (run->steps.at == RUN_CODE)
        on_code_reply(run, content);
    else if (run->steps.at == RUN_TEST)
        grade_reply(run->steps.grade, content);
}

/* --- input -------------------------------------------------------------------------------- */

/* It has been answered, or does not ask any more: lines that come now are for its next question. */
static void
stop_waiting(struct run *run)
{
    if (run->state != WAITING)
        return;
    run->state = RUNNING;
    tell_state(run);
}

/* What does not get there will not be missed: the kernel is gone. */
static void
answer_input(struct run *run, const char *text, size_t len)
{
    struct err err = ERR_INIT;

    if (job_input(run->job, text, len, &err) == 0)
        stop_waiting(run);
}

/* Gives it the first of the lines that wait; ipykernel takes the character EOT for the end. */
static void
feed_input(struct run *run)
{
    json_t *line = run_stdin_next(&run->in);

    if (line == NULL) {
        answer_input(run, "\004", 1);
        return;
    }
    answer_input(run, json_string_value(line), json_string_length(line));
    json_decref(line);
}

static void
on_input(void *owner, const char *prompt, bool password)
{
    struct run *run = owner;

    if (run->steps.at != RUN_CODE || !run_stdin_must_ask(&run->in)) {
        feed_input(run);
        return;
    }
    run->state = WAITING;
    tell(run, "stdin",
         xnotnull(json_pack("{s:s,s:b}", "prompt", prompt, "password", (int)password)));
}

int
run_input(struct run *run, const json_t *line, struct err *err)
{
    if (run->state == DONE)
        return err_set(err, ERR_CONFLICT, "The execution is over");
    if (run_stdin_add(&run->in, line, err) < 0)
        return -1;
    if (run->state == WAITING)
        feed_input(run);
    return 0;
}

static void
on_changes(void *owner, json_t *changes)
{
    struct run *run = owner;

    json_decref(run->files);
    run->files = json_incref(changes);
}

static const struct execution_sink sink = {on_begin, on_message, on_raw,    on_truncated,
                                           on_reply, on_input,   on_changes};

/* --- its steps ---------------------------------------------------------------------------- */

static void
end_code(struct run *run, const char *status, const struct job_result *result)
{
    struct text_sink out = {run, SHOWN_STDOUT}, err = {run, SHOWN_STDERR};

    utf8_decode_end(&run->decoders[0], on_text, &out);
    utf8_decode_end(&run->decoders[1], on_text, &err);
    run->status = status;
    run->execution_count = result->execution_count;
    run->duration_ms = result->duration_ms;
    run->memory_peak = result->memory_peak;
}

static void
end_test(struct run *run, enum grade_end how, double duration_ms)
{
    if (run->steps.grade && grade_is_running(run->steps.grade))
        tell(run, "test", grade_end(run->steps.grade, how, duration_ms));
}

static bool
on_step_done(void *owner, const struct job_result *result, struct execution_spec *next)
{
    struct run *run = owner;

    run->restarted |= result->restarted;
    stop_waiting(run);
    if (run->steps.at == RUN_CODE && run->files == NULL)
        run->files = changes_none();
    if (run->steps.at == RUN_CODE)
        end_code(run, result->raised ? "error" : "ok", result);
    else if (run->steps.at == RUN_TEST)
        end_test(run, GRADE_ENDED, result->duration_ms);
    return run_steps_next(&run->steps, next);
}

/* --- its end ------------------------------------------------------------------------------ */

static json_t *
error_json(const struct err *why, const char *ename)
{
    return xnotnull(json_pack("{s:s,s:s,s:[]}", "ename", ename, "evalue", why->msg, "traceback"));
}

/* What is not needed any more. */
static void
strip(struct run *run)
{
    run_steps_clear(&run->steps);
    run_stdin_clear(&run->in);
    transcript_free(run->transcript);
    json_decref(run->findings);
    json_decref(run->values);
    json_decref(run->files);
    run->transcript = NULL;
    run->findings = run->values = run->files = NULL;
}

static void
finish(struct run *run)
{
    run->state = DONE;
    run->job = NULL;
    run_compose(run);
    if (run->feed)
        feed_end(run->feed);
    strip(run);
    if (run->done)
        run->done(run->owner, run);
}

static const struct ending_name {
    const char *status, *ename;
} rejected = {"rejected", "Rejected"}, timed_out = {"timeout", "Timeout"},
  died = {"died", "WorkerDied"}, cancelled = {"cancelled", "Cancelled"};

/* Code that has begun was not refused, whatever it was ended for. */
static const struct ending_name *
name_of(const struct run *run, enum err_code code)
{
    switch (code) {
    case ERR_TIMEOUT:
        return &timed_out;
    case ERR_WORKER_DIED:
    case ERR_PEER:
        return &died;
    default:
        return run->begun ? &died : &rejected;
    }
}

/* The code did not come to its end. */
static void
break_code(struct run *run, const struct err *why, const struct ending_name *how,
           unsigned long long memory_peak)
{
    const struct job_result none = {.execution_count = -1, .memory_peak = memory_peak};
    json_t *error = error_json(why, how->ename);

    run->err = xcalloc(1, sizeof(*run->err));
    *run->err = *why;
    run->steps.at = RUN_CODE;
    end_code(run, how->status, &none);
    if (run->started)
        run->duration_ms = (double)(timestamp_now() - run->started);
    show(run, SHOWN_ERROR, error);
    json_decref(error);
}

static void
on_job_done(void *owner, const struct job_result *result)
{
    struct run *run = owner;
    const struct err *why = result->err;

    if (why && run->steps.at <= RUN_CODE)
        break_code(run, why, name_of(run, why->code), result->memory_peak);
    else if (why)
        end_test(run, why->code == ERR_TIMEOUT ? GRADE_TIMEOUT : GRADE_DIED, 0);
    finish(run);
}

void
run_cancel(struct run *run)
{
    struct err why = ERR_INIT;

    if (run->state == DONE)
        return;
    job_cancel(run->job);
    err_set(&why, ERR_CONFLICT, "The execution was cancelled");
    if (run->steps.at <= RUN_CODE)
        break_code(run, &why, &cancelled, 0);
    else
        end_test(run, GRADE_DIED, 0);
    finish(run);
}

int
run_interrupt(struct run *run, double grace, struct err *err)
{
    if (run->state == DONE || run->state == QUEUED)
        return err_set(err, ERR_CONFLICT, "The execution does not run");
    run->interrupted = true;
    job_interrupt(run->job, (unsigned)(grace * 1000));
    stop_waiting(run); /* KeyboardInterrupt is what its question gets */
    return 0;
}

/* --- who follows it ----------------------------------------------------------------------- */

static void
on_alone(void *owner)
{
    struct run *run = owner;

    if (!run->lives_on)
        run_cancel(run);
}

int
run_follow(struct run *run, struct http_request *r, uint64_t after, struct err *err)
{
    if (run->feed == NULL)
        return err_set(err, ERR_CONFLICT,
                       "The execution has no events: it was made without stream and background, or "
                       "ended some time ago");
    return feed_follow(run->feed, r, after, err);
}

bool
run_is_followed(const struct run *run)
{
    return run->feed && feed_is_followed(run->feed);
}

void
run_forget_events(struct run *run)
{
    if (run->state != DONE)
        return;
    feed_free(run->feed);
    run->feed = NULL;
}

/* --- its beginning ------------------------------------------------------------------------ */

static void
take_steps(struct run *run, const struct body_run *body)
{
    const struct config *config = run->parts->config;
    struct execution_spec common = {
        .max_output = config->max_output_bytes, .sink = &sink, .sink_owner = run};

    if (run->streamed) {
        if (config->max_stream_bytes > common.max_output)
            common.max_output = config->max_stream_bytes;
        common.max_message =
            config->max_output_bytes / 2; /* of which the link takes four at a time */
        common.max_messages = MAX_STREAM_MESSAGES;
    }
    run_steps_take(&run->steps, &common, body, run->code);
}

static struct run *
run_new(const struct run_parts *parts, const struct run_spec *spec)
{
    static const struct feed_ops ops = {on_pressure, on_alone};
    struct run *run = xcalloc(1, sizeof(*run));

    run->parts = parts;
    snprintf(run->id, sizeof(run->id), "%s", spec->id);
    snprintf(run->session, sizeof(run->session), "%s", spec->session);
    run->streamed = spec->streamed;
    run->lives_on = spec->lives_on;
    run->findings = json_incref(spec->findings);
    run->created = timestamp_now();
    run->execution_count = -1;
    run->transcript =
        transcript_new(run->streamed ? RUN_STREAM_KEPT : parts->config->max_output_bytes);
    if (run->streamed || run->lives_on)
        run->feed = feed_new(parts->base, FEED_MAX_BYTES, &ops, run);
    run->code_len = spec->body->body.code_len;
    run->code = xnotnull(malloc(run->code_len + 1));
    memcpy(run->code, spec->body->body.code, run->code_len + 1);
    take_steps(run, spec->body);
    run_stdin_take(&run->in, spec->body);
    return run;
}

static int
take_tests(struct run *run, const struct run_spec *spec, struct err *err)
{
    const struct config *config = run->parts->config;
    const struct grade_limits limits = {config->max_code_bytes, spec->max_timeout, spec->python};

    if (spec->body->tests == NULL)
        return 0;
    run->steps.grade = grade_new(spec->body->tests, &limits, err);
    return run->steps.grade ? 0 : -1;
}

static int
submit(struct run *run, const struct run_spec *spec, struct err *err)
{
    struct execution_spec first = {.code = ""};
    const struct job_spec job = {.limits = spec->body->body.limits,
                                 .execution = &first,
                                 .next = on_step_done,
                                 .undo = run->steps.env ? pythonenv_undo : NULL};

    if (run->steps.env && !spec->python)
        return err_field(err, ERR_UNSUPPORTED, "env",
                         "env: only Python's environment can be set for one execution");
    if (take_tests(run, spec, err) < 0 || !run_steps_first(&run->steps, &first))
        return -1;
    run->job =
        pool_submit(run->parts->pool, spec->caller, spec->session, &job, on_job_done, run, err);
    return run->job ? 0 : -1;
}

struct run *
run_start(const struct run_parts *parts, const struct run_spec *spec, run_done_fn *done,
          void *owner, struct err *err)
{
    struct run *run = run_new(parts, spec);

    if (submit(run, spec, err) < 0) {
        run->state = DONE; /* nothing to cancel */
        run_free(run);
        return NULL;
    }
    run->done = done;
    run->owner = owner;
    tell_state(run);
    return run;
}

void
run_free(struct run *run)
{
    if (run == NULL)
        return;
    if (run->state != DONE)
        job_cancel(run->job);
    feed_free(run->feed);
    strip(run);
    json_decref(run->past);
    free(run->err);
    free(run->code);
    free(run->answer);
    free(run);
}

void
run_disown(struct run *run)
{
    run->done = NULL;
}

/* --- what is known of it ------------------------------------------------------------------ */

const char *
run_id(const struct run *run)
{
    return run->id;
}

bool
run_is_done(const struct run *run)
{
    return run->state == DONE;
}

bool
run_is_queued(const struct run *run)
{
    return run->state == QUEUED;
}

const char *
run_status(const struct run *run)
{
    return run->state == DONE ? run->status : NULL;
}

const struct err *
run_error(const struct run *run)
{
    static const struct err none = ERR_INIT;

    return run->err ? run->err : &none;
}

const char *
run_answer(const struct run *run, size_t *len)
{
    *len = run->answer_len;
    return run->answer;
}

size_t
run_bytes(const struct run *run)
{
    return sizeof(*run) + run->code_len + run->answer_len + (run->feed ? feed_bytes(run->feed) : 0);
}
