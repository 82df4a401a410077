/* test_body.c - request bodies: what is taken, what is refused, and which field is named. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gateway/body.h"
#include "gateway/body_session.h"

static const struct body_limits limits = {
    .max_code = 10, .max_timeout = 30, .most = {.cpu = 2, .memory_mb = 1024}};

static void
check_refused(const char *text, size_t len, enum err_code code, const char *field)
{
    struct body body;
    struct err err = ERR_INIT;

    assert_int_equal(body_parse_execute(text, len, &limits, &body, &err), -1);
    assert_int_equal(err.code, code);
    assert_string_equal(err.field, field);
    assert_true(strlen(err.msg) > 0);
    assert_null(body.json);
    body_clear(&body);
}

static void
refuses(void **state)
{
    static const struct {
        const char *text, *field;
        enum err_code code;
    } cases[] = {
        {"", "", ERR_BAD_REQUEST},
        {"{", "", ERR_BAD_REQUEST},
        {"[]", "", ERR_BAD_REQUEST},
        {"{}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":1,\"code\":\"\"}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"\",\"code\":\"\"}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a b\",\"code\":\"\"}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a/b\",\"code\":\"\"}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\\u0000\",\"code\":\"\"}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"\xc3\xa9\",\"code\":\"\"}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\"}", "code", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":null}", "code", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"01234567890\"}", "code", ERR_TOO_LARGE},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"code\":\"\"}", "", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"x\":1}", "x", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"key\":null}", "key", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"<b>\":1}", "", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"timeout\":\"1\"}", "timeout", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"timeout\":0}", "timeout", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"timeout\":-1}", "timeout", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"timeout\":30.1}", "timeout", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"timeout\":true}", "timeout", ERR_BAD_REQUEST},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_refused(cases[i].text, strlen(cases[i].text), cases[i].code, cases[i].field);
}

static void
refuses_a_long_user(void **state)
{
    char name[BODY_USER_MAX + 2], text[BODY_USER_MAX + 64];
    struct body body;
    struct err err = ERR_INIT;

    (void)state;
    memset(name, 'a', sizeof(name));
    name[BODY_USER_MAX + 1] = '\0';
    snprintf(text, sizeof(text), "{\"user_uuid\":\"%s\",\"code\":\"\"}", name);
    check_refused(text, strlen(text), ERR_BAD_REQUEST, "user_uuid");
    name[BODY_USER_MAX] = '\0';
    snprintf(text, sizeof(text), "{\"user_uuid\":\"%s\",\"code\":\"\"}", name);
    assert_int_equal(body_parse_execute(text, strlen(text), &limits, &body, &err), 0);
    body_clear(&body);
}

static void
takes_all_fields(void **state)
{
    static const char text[] = "{\"user_uuid\":\"aZ0._:@-\",\"code\":\"a\\u0000b\",\"timeout\":2.5,"
                               "\"network\":\"allowlist\"}";
    struct body body;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(body_parse_execute(text, strlen(text), &limits, &body, &err), 0);
    assert_string_equal(body.user, "aZ0._:@-");
    assert_int_equal(body.code_len, 3);
    assert_memory_equal(body.code, "a\0b", 3);
    assert_true(body.timeout == 2.5);
    assert_int_equal(body.network, NETWORK_ALLOWLIST);
    body_clear(&body);
    body_clear(&body);
}

static void
takes_the_limit_without_timeout(void **state)
{
    static const char *const texts[] = {
        "{\"user_uuid\":\"a\",\"code\":\"0123456789\"}",
        "{\"user_uuid\":\"a\",\"code\":\"\",\"timeout\":null}",
    };
    struct body body;
    struct err err = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(body_parse_execute(texts[i], strlen(texts[i]), &limits, &body, &err), 0);
        assert_true(body.timeout == 30);
        body_clear(&body);
    }
}

static void
check_limits(const char *fields, double cpu, unsigned memory_mb)
{
    struct body body;
    struct err err = ERR_INIT;
    char text[100];

    snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"code\":\"\"%s}", fields);
    assert_int_equal(body_parse_execute(text, strlen(text), &limits, &body, &err), 0);
    assert_true(body.limits.cpu == cpu);
    assert_int_equal(body.limits.memory_mb, memory_mb);
    body_clear(&body);
}

static void
takes_limits(void **state)
{
    (void)state;
    check_limits("", 0, 0);
    check_limits(",\"cpu\":null,\"memory_mb\":null", 0, 0);
    check_limits(",\"cpu\":0.5", 0.5, 0);
    check_limits(",\"cpu\":2,\"memory_mb\":1024", 2, 1024);
    check_limits(",\"cpu\":1e-9,\"memory_mb\":1", 1e-9, 1);
}

/* Range and type are one sentence, which says what is allowed. */
static void
refuses_limits(void **state)
{
    static const char *const cpu[] = {"0", "-1", "2.1", "1e9", "true", "\"1\"", "[]", "{}", "-0.0"};
    static const char *const memory[] = {"0",   "-1",     "1025", "1.5", "64.0",
                                         "1e2", "\"64\"", "true", "[]",  "9223372036854775807"};
    struct body body;
    struct err err = ERR_INIT;
    char text[100];

    (void)state;
    for (size_t i = 0; i < sizeof(cpu) / sizeof(cpu[0]); i++) {
        snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"code\":\"\",\"cpu\":%s}", cpu[i]);
        check_refused(text, strlen(text), ERR_BAD_REQUEST, "cpu");
    }
    for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++) {
        snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"code\":\"\",\"memory_mb\":%s}",
                 memory[i]);
        check_refused(text, strlen(text), ERR_BAD_REQUEST, "memory_mb");
    }
    assert_int_equal(body_parse_execute(text, strlen(text), &limits, &body, &err), -1);
    assert_string_equal(err.msg, "memory_mb: must be a whole number of MiB, 1 to 1024");
}

static void
refuses_limits_where_there_are_none(void **state)
{
    static const struct body_limits none = {.max_code = 10, .max_timeout = 30};
    static const char *const fields[] = {"cpu", "memory_mb"};
    struct body body;
    struct err err = ERR_INIT;
    char text[100];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"code\":\"\",\"%s\":1}", fields[i]);
        assert_int_equal(body_parse_execute(text, strlen(text), &none, &body, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_string_equal(err.field, fields[i]);
        assert_non_null(strstr(err.msg, "without root"));
        snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"code\":\"\",\"%s\":null}", fields[i]);
        assert_int_equal(body_parse_execute(text, strlen(text), &none, &body, &err), 0);
        body_clear(&body);
    }
}

static void
takes_a_network(void **state)
{
    static const struct {
        const char *text;
        enum network_mode network;
    } cases[] = {
        {"{\"user_uuid\":\"a\",\"code\":\"\"}", NETWORK_UNSAID},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"network\":null}", NETWORK_UNSAID},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"network\":\"none\"}", NETWORK_NONE},
    };
    static const char *const wrong[] = {"\"\"", "\"all\"", "true", "[]", "\"none\\u0000\""};
    struct body body;
    struct err err = ERR_INIT;
    char text[100];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            body_parse_execute(cases[i].text, strlen(cases[i].text), &limits, &body, &err), 0);
        assert_int_equal(body.network, cases[i].network);
        body_clear(&body);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"code\":\"\",\"network\":%s}",
                 wrong[i]);
        check_refused(text, strlen(text), ERR_BAD_REQUEST, "network");
    }
}

static void
release_takes_a_user_only(void **state)
{
    static const char good[] = "{\"user_uuid\":\"a\"}";
    static const char more[] = "{\"user_uuid\":\"a\",\"code\":\"\"}";
    struct body body;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(body_parse_release(good, strlen(good), &body, &err), 0);
    assert_string_equal(body.user, "a");
    body_clear(&body);
    assert_int_equal(body_parse_release(more, strlen(more), &body, &err), -1);
    assert_string_equal(err.field, "code");
}

static void
release_takes_a_key(void **state)
{
    static const char good[] = "{\"user_uuid\":\"a\",\"key\":\"0123456789ab\"}";
    static const char none[] = "{\"user_uuid\":\"a\",\"key\":null}";
    static const char *const wrong[] = {
        "\"\"", "\"0123456789aB\"",        "\"0123456789abc\"",   "1",
        "[]",   "\"0123456789ab\\u0000\"", "\"tci_0123456789ab\""};
    struct body body;
    struct err err = ERR_INIT;
    char text[100];

    (void)state;
    assert_int_equal(body_parse_release(good, strlen(good), &body, &err), 0);
    assert_string_equal(body.key, "0123456789ab");
    body_clear(&body);
    assert_int_equal(body_parse_release(none, strlen(none), &body, &err), 0);
    assert_null(body.key);
    body_clear(&body);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"key\":%s}", wrong[i]);
        assert_int_equal(body_parse_release(text, strlen(text), &body, &err), -1);
        assert_string_equal(err.field, "key");
    }
}

static const struct body_session_limits session_limits = {
    .most = {2, 1024, 500, 100}, .timeout = 30, .idle_timeout = 60, .ttl = 100};

static void
a_session_needs_nothing(void **state)
{
    struct body_session body;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(body_session_parse("", 0, &session_limits, &body, &err), 0);
    assert_null(body.user);
    assert_null(body.kernel);
    assert_null(body.terms.env);
    assert_false(body.has_strategy);
    assert_int_equal(body.network, NETWORK_UNSAID);
    assert_null(terms_differ(&body.terms, &body.terms));
    body_session_clear(&body);
}

static void
a_session_takes_all(void **state)
{
    static const char text[] =
        "{\"user_uuid\":\"a\",\"kernel\":\"c++\",\"network\":\"none\",\"strategy\":\"execution\","
        "\"ttl\":99.5,\"idle_timeout\":30,\"env\":{\"A\":\"b\",\"_x9\":\"\"},\"limits\":{"
        "\"cpu\":0.5,\"memory_mb\":64,\"disk_mb\":1,\"pids\":16,\"timeout\":0.25}}";
    struct body_session body;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(body_session_parse(text, strlen(text), &session_limits, &body, &err), 0);
    assert_string_equal(body.user, "a");
    assert_string_equal(body.kernel, "c++");
    assert_null(body.language);
    assert_int_equal(body.network, NETWORK_NONE);
    assert_true(body.has_strategy);
    assert_int_equal(body.terms.strategy, TERMS_EXECUTION);
    assert_true(body.ttl > 99.4 && body.ttl < 99.6);
    assert_int_equal(body.terms.idle_timeout, 30);
    assert_int_equal(json_object_size(body.terms.env), 2);
    assert_true(body.terms.limits.cpu > 0.49 && body.terms.limits.cpu < 0.51);
    assert_int_equal(body.terms.limits.memory_mb, 64);
    assert_int_equal(body.terms.limits.disk_mb, 1);
    assert_int_equal(body.terms.limits.pids, 16);
    assert_true(body.terms.timeout > 0.24 && body.terms.timeout < 0.26);
    body_session_clear(&body);
    body_session_clear(&body);
}

static void
a_session_refuses(void **state)
{
    static const struct {
        const char *text, *field;
    } cases[] = {
        {"[]", ""},
        {"{\"user_uuid\":\"a/b\"}", "user_uuid"},
        {"{\"user_uuid\":\"a\\u0000\"}", "user_uuid"},
        {"{\"network\":\"all\"}", "network"},
        {"{\"code\":\"\"}", "code"},
        {"{\"kernel\":\"\"}", "kernel"},
        {"{\"kernel\":\"../x\"}", "kernel"},
        {"{\"kernel\":\"a\",\"language\":\"b\"}", "language"},
        {"{\"strategy\":\"none\"}", "strategy"},
        {"{\"ttl\":0}", "ttl"},
        {"{\"ttl\":101}", "ttl"},
        {"{\"ttl\":\"1\"}", "ttl"},
        {"{\"idle_timeout\":61}", "idle_timeout"},
        {"{\"limits\":[]}", "limits"},
        {"{\"limits\":{\"x\":1}}", "limits.x"},
        {"{\"limits\":{\"cpu\":2.1}}", "limits.cpu"},
        {"{\"limits\":{\"cpu\":0}}", "limits.cpu"},
        {"{\"limits\":{\"memory_mb\":63}}", "limits.memory_mb"},
        {"{\"limits\":{\"memory_mb\":1025}}", "limits.memory_mb"},
        {"{\"limits\":{\"memory_mb\":64.5}}", "limits.memory_mb"},
        {"{\"limits\":{\"disk_mb\":0}}", "limits.disk_mb"},
        {"{\"limits\":{\"disk_mb\":99999999999999}}", "limits.disk_mb"},
        {"{\"limits\":{\"pids\":15}}", "limits.pids"},
        {"{\"limits\":{\"timeout\":31}}", "limits.timeout"},
        {"{\"env\":[]}", "env"},
        {"{\"env\":{\"A\":1}}", "env"},
        {"{\"env\":{\"\":\"x\"}}", "env"},
        {"{\"env\":{\"1A\":\"x\"}}", "env"},
        {"{\"env\":{\"A=B\":\"x\"}}", "env"},
        {"{\"env\":{\"A\":\"x\\u0000\"}}", "env"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct body_session body;
        struct err err = ERR_INIT;

        if (body_session_parse(cases[i].text, strlen(cases[i].text), &session_limits, &body,
                               &err) == 0)
            fail_msg("%s", cases[i].text);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_string_equal(err.field, cases[i].field);
        assert_null(body.json);
    }
}

static void
a_session_cannot_be_limited_where_nothing_can(void **state)
{
    static const char text[] = "{\"limits\":{\"cpu\":1}}";
    struct body_session_limits none = session_limits;
    struct body_session body;
    struct err err = ERR_INIT;

    (void)state;
    none.most.cpu = 0;
    assert_int_equal(body_session_parse(text, strlen(text), &none, &body, &err), -1);
    assert_string_equal(err.field, "limits.cpu");
}

static void
an_environment_is_bounded(void **state)
{
    json_auto_t *env = json_object(), *body_json = json_pack("{s:O}", "env", env);
    cleanup_free char *text = NULL, *large = xcalloc(1, BODY_ENV_BYTES + 1);
    struct body_session body;
    struct err err = ERR_INIT;
    char name[8];

    (void)state;
    for (int i = 0; i <= BODY_ENV_VARIABLES; i++) {
        snprintf(name, sizeof(name), "A%d", i);
        json_object_set_new(env, name, json_string(""));
    }
    text = json_dumps(body_json, 0);
    assert_int_equal(body_session_parse(text, strlen(text), &session_limits, &body, &err), -1);
    assert_string_equal(err.field, "env");
    json_object_clear(env);
    memset(large, 'x', BODY_ENV_BYTES);
    json_object_set_new(env, "A", json_string(large));
    free(text);
    text = json_dumps(body_json, 0);
    assert_int_equal(body_session_parse(text, strlen(text), &session_limits, &body, &err), -1);
    assert_string_equal(err.field, "env");
}

static void
a_session_is_patched(void **state)
{
    struct body_session body;
    struct err err = ERR_INIT;
    bool forever;

    (void)state;
    assert_int_equal(
        body_session_parse_patch("{\"ttl\":5}", 9, &session_limits, &body, &forever, &err), 0);
    assert_int_equal(body.ttl, 5);
    assert_false(forever);
    body_session_clear(&body);
    assert_int_equal(
        body_session_parse_patch("{\"ttl\":null}", 12, &session_limits, &body, &forever, &err), 0);
    assert_true(forever);
    body_session_clear(&body);
    assert_int_equal(
        body_session_parse_patch("{\"env\":{}}", 10, &session_limits, &body, &forever, &err), -1);
    assert_string_equal(err.field, "env");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_a_long_user),
        cmocka_unit_test(takes_all_fields),
        cmocka_unit_test(takes_the_limit_without_timeout),
        cmocka_unit_test(takes_limits),
        cmocka_unit_test(refuses_limits),
        cmocka_unit_test(refuses_limits_where_there_are_none),
        cmocka_unit_test(takes_a_network),
        cmocka_unit_test(release_takes_a_user_only),
        cmocka_unit_test(release_takes_a_key),
        cmocka_unit_test(a_session_needs_nothing),
        cmocka_unit_test(a_session_takes_all),
        cmocka_unit_test(a_session_refuses),
        cmocka_unit_test(a_session_cannot_be_limited_where_nothing_can),
        cmocka_unit_test(an_environment_is_bounded),
        cmocka_unit_test(a_session_is_patched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
