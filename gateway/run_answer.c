/* run_answer.c - see run_answer.h. */
#include "run_answer.h"

#include <stdio.h>
#include <string.h>

#include "feed.h"
#include "grade.h"
#include "run_state.h"
#include "timestamp.h"
#include "transcript.h"
#include "utf8.h"

const char *
run_state_name(const struct run *run)
{
    static const char *const names[] = {"queued", "running", "waiting", "done"};

    return names[run->state];
}

json_t *
run_summary(const struct run *run)
{
    if (run->past)
        return xnotnull(json_copy(run->past));

    const size_t fits = utf8_cut(run->code, run->code_len, RUN_MAX_CODE);
    json_t *count =
        run->execution_count < 0 ? json_null() : xnotnull(json_integer(run->execution_count));
    const bool ran = run->status != NULL && run->started != 0;

    json_t *summary = xnotnull(
        json_pack("{s:s,s:s,s:s,s:s?,s:s%,s:o,s:o,s:o,s:o,s:b}", "id", run->id, "session_id",
                  run->session, "state", run_state_name(run), "status",
                  run->state == DONE ? run->status : NULL, "code", run->code, fits, "created_at",
                  timestamp_json(run->created), "started_at", timestamp_json(run->started),
                  "duration_ms", ran ? xnotnull(json_real(run->duration_ms)) : json_null(),
                  "execution_count", count, "restarted", run->restarted));

    if (fits < run->code_len)
        json_object_set_new(summary, "code_truncated", json_true());
    return summary;
}

/* What is known of it but what it has shown: the end of its events. */
static json_t *
ending(const struct run *run)
{
    json_t *all = run_summary(run);

    json_object_set_new(all, "memory_peak_bytes",
                        run->memory_peak > 0 ? json_integer((json_int_t)run->memory_peak)
                                             : json_null());
    json_object_set_new(all, "files", run->files ? json_incref(run->files) : json_null());
    if (run->values)
        json_object_set(all, "user_expressions", run->values);
    if (run->findings)
        json_object_set(all, "findings", run->findings);
    if (run->steps.grade)
        json_object_update_new(all, grade_json(run->steps.grade));
    return all;
}

void
run_compose(struct run *run)
{
    json_t *all = ending(run);
    json_t *end = run->feed ? xnotnull(json_copy(all)) : NULL;

    transcript_take(run->transcript, all);
    if (end) {
        json_object_set(end, "error", json_object_get(all, "error"));
        json_object_set(end, "truncated", json_object_get(all, "truncated"));
        feed_add(run->feed, "end", end);
    }
    run->answer = xnotnull(json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(17)));
    run->answer_len = strlen(run->answer);
    json_decref(all);
}

/* --- of one that another gateway had ------------------------------------------------------ */

/* Those members of its answer that are its summary. */
static json_t *
summary_of(const json_t *answer)
{
    static const char *const names[] = {
        "id",         "session_id",  "state",           "status",    "code",          "created_at",
        "started_at", "duration_ms", "execution_count", "restarted", "code_truncated"};
    json_t *summary = xnotnull(json_object());

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        json_object_set(summary, names[i], json_object_get(answer, names[i]));
    return summary;
}

static bool
take_names(struct run *run)
{
    const json_t *id = json_object_get(run->past, "id");
    const json_t *session = json_object_get(run->past, "session_id");

    if (json_string_length(id) != RUN_ID_SIZE - 1 || !json_is_string(session) ||
        json_string_length(session) >= sizeof(run->session) ||
        !json_is_string(json_object_get(run->past, "status")))
        return false;
    snprintf(run->id, sizeof(run->id), "%s", json_string_value(id));
    snprintf(run->session, sizeof(run->session), "%s", json_string_value(session));
    return true;
}

struct run *
run_recall(const char *answer, size_t len)
{
    json_auto_t *all = json_loadb(answer, len, JSON_ALLOW_NUL, NULL);
    struct run *run;

    if (!json_is_object(all))
        return NULL;
    run = xcalloc(1, sizeof(*run));
    run->state = DONE;
    run->past = summary_of(all);
    run->status = json_string_value(json_object_get(run->past, "status"));
    run->code_len = json_string_length(json_object_get(run->past, "code"));
    run->answer = xnotnull(strndup(answer, len));
    run->answer_len = len;
    if (take_names(run))
        return run;
    run_free(run);
    return NULL;
}
