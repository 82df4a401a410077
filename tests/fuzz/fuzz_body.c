/* fuzz_body.c - the bodies of POST /execute, POST /release, POST /v1/sessions and of executions under it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "gateway/body.h"
#include "gateway/body_run.h"
#include "gateway/grade.h"
#include "gateway/body_session.h"
#include "gateway/utf8.h"

static const struct body_limits limits = {
    .max_code = 1000, .max_timeout = 30, .most = {.cpu = 2, .memory_mb = 1024}};

static void
check_user(const char *user)
{
    size_t len = strlen(user);

    must(len >= 1 && len <= BODY_USER_MAX);
    for (size_t i = 0; i < len; i++)
        must(isalnum((unsigned char)user[i]) || strchr("._:@-", user[i]));
}

static void
check_failure(const struct body *body, const struct err *err)
{
    must(body->json == NULL);
    must(err->code == ERR_BAD_REQUEST || err->code == ERR_TOO_LARGE);
    must(err->msg[0] != '\0');
    must(utf8_valid_prefix(err->msg, strlen(err->msg)) == strlen(err->msg));
    must(utf8_valid_prefix(err->field, strlen(err->field)) == strlen(err->field));
}

static void
parse_execute(const char *text, size_t len)
{
    struct body body;
    struct err err = ERR_INIT;

    if (body_parse_execute(text, len, &limits, &body, &err) < 0)
        check_failure(&body, &err);
    else {
        check_user(body.user);
        must(body.code_len <= limits.max_code && body.code[body.code_len] == '\0');
        must(utf8_valid_prefix(body.code, body.code_len) == body.code_len);
        must(body.timeout > 0 && body.timeout <= limits.max_timeout);
        must(body.limits.cpu >= 0 && body.limits.cpu <= limits.most.cpu);
        must(body.limits.memory_mb <= limits.most.memory_mb);
    }
    body_clear(&body);
    body_clear(&body);
}

static void
parse_release(const char *text, size_t len)
{
    struct body body;
    struct err err = ERR_INIT;

    if (body_parse_release(text, len, &body, &err) < 0)
        check_failure(&body, &err);
    else
        check_user(body.user);
    body_clear(&body);
}

static const struct body_session_limits session_limits = {
    .most = {2, 1024, 500, 100}, .timeout = 30, .idle_timeout = 60, .ttl = 100};

static void
check_session_failure(const struct body_session *body, const struct err *err)
{
    const struct body none = {.json = body->json};

    must(body->terms.env == NULL);
    check_failure(&none, err);
}

static void
parse_session(const char *text, size_t len)
{
    struct body_session body;
    struct err err = ERR_INIT;

    if (body_session_parse(text, len, &session_limits, &body, &err) < 0) {
        check_session_failure(&body, &err);
    } else {
        if (body.user)
            check_user(body.user);
        must(body.terms.limits.cpu >= 0 && body.terms.limits.cpu <= session_limits.most.cpu);
        must(body.terms.limits.memory_mb <= session_limits.most.memory_mb);
        must(body.terms.limits.disk_mb <= session_limits.most.disk_mb);
        must(body.terms.limits.pids <= session_limits.most.pids);
        must(body.terms.timeout >= 0 && body.terms.timeout <= session_limits.timeout);
        must(body.ttl >= 0 && body.ttl <= session_limits.ttl);
        must(body.kernel == NULL || body.language == NULL);
        must(json_object_size(body.terms.env) <= BODY_ENV_VARIABLES);
    }
    body_session_clear(&body);
    body_session_clear(&body);
}

static void
parse_patch(const char *text, size_t len)
{
    struct body_session body;
    struct err err = ERR_INIT;
    bool forever;

    if (body_session_parse_patch(text, len, &session_limits, &body, &forever, &err) < 0)
        check_session_failure(&body, &err);
    else
        must(!forever || body.ttl <= 0);
    body_session_clear(&body);
}

static void
parse_tests(const json_t *tests)
{
    static const struct grade_limits grade_limits = {1000, 30, true};
    struct err err = ERR_INIT;
    struct grade *g = grade_new(tests, &grade_limits, &err);
    const char *code;
    size_t len;
    unsigned ms;

    must(g != NULL || err.msg[0] != '\0');
    while (g && grade_next(g, &code, &len, &ms)) {
        must(strlen(code) == len && ms > 0 && ms <= 30000);
        json_decref(grade_end(g, GRADE_ENDED, 1));
    }
    if (g)
        json_decref(grade_json(g));
    grade_free(g);
}

static void
parse_run(const char *text, size_t len)
{
    struct body_run run;
    struct err err = ERR_INIT;

    if (body_parse_run(text, len, &limits, &run, &err) < 0)
        check_failure(&run.body, &err);
    else {
        must(run.body.code_len <= limits.max_code && run.body.timeout <= limits.max_timeout);
        if (run.tests)
            parse_tests(run.tests);
    }
    body_run_clear(&run);
}

static void
parse_questions(const char *text, size_t len)
{
    struct body body;
    struct err err = ERR_INIT;
    const json_t *line;
    double grace;

    if (body_parse_question(text, len, limits.max_code, &body, &err) < 0)
        check_failure(&body, &err);
    body_clear(&body);
    if (body_parse_stdin(text, len, &body, &line, &err) < 0)
        check_failure(&body, &err);
    body_clear(&body);
    if (body_parse_interrupt(text, len, &body, &grace, &err) < 0)
        check_failure(&body, &err);
    else
        must(grace >= 0 && grace <= 60);
    body_clear(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xnotnull(malloc(size + (size == 0))); /* of exactly that size, for the sanitizer */

    if (size > 0)
        memcpy(text, data, size);
    parse_execute(text, size);
    parse_release(text, size);
    parse_session(text, size);
    parse_run(text, size);
    parse_questions(text, size);
    parse_patch(text, size);
    free(text);
    return 0;
}
