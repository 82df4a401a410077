/*
 * test_worker_parse.c - what the worker parses: boot record, CONFIG, the gateway's messages,
 * Jupyter frames.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "worker/boot.h"
#include "worker/jupyter.h"
#include "worker/launch.h"
#include "worker/request.h"

/* --- boot record -------------------------------------------------------------------------- */

#define BOOT(endpoint, id, orphan)                                                                 \
    "{\"endpoint\":" endpoint ",\"routing_id\":" id ",\"orphan_timeout\":" orphan "}"
#define GOOD_BOOT BOOT("\"unix:///run/x\"", "\"0af\"", "1.5")

static int
parse_boot(const char *text, struct boot *boot)
{
    const char *why = NULL;
    const int rc = boot_parse(text, strlen(text), boot, &why);

    if (rc < 0)
        assert_non_null(why);
    return rc;
}

static void
boot_takes_a_good_record(void **state)
{
    struct boot boot;

    (void)state;
    assert_int_equal(parse_boot(GOOD_BOOT, &boot), 0);
    assert_string_equal(boot.path, "/run/x");
    assert_string_equal(boot.routing_id, "0af");
    assert_in_range(boot.orphan_ms, 1500, 1501);
}

static void
boot_refuses_all_else(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "[]",
        "{}",
        GOOD_BOOT "x",
        BOOT("\"unix://@x\"", "\"0\"", "1"),
        BOOT("\"tcp://1.2.3.4:5\"", "\"0\"", "1"),
        BOOT("\"unix:///x\"", "\"0G\"", "1"),
        BOOT("\"unix:///x\"", "\"\"", "1"),
        BOOT("\"unix:///x\"", "\"0\"", "0"),
        BOOT("\"unix:///x\"", "\"0\"", "1e300"),
        BOOT("\"unix:///x\"", "\"0\"", "\"1\""),
        BOOT("\"unix:///x\"", "\"0\"", "1,\"z\":1"),
        BOOT("\"unix:///x\"", "\"0\",\"routing_id\":\"0\"", "1"),
    };
    struct boot boot;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(parse_boot(bad[i], &boot), -1);
}

static void
boot_refuses_what_does_not_fit(void **state)
{
    char text[1024];
    struct boot boot;

    (void)state;
    snprintf(text, sizeof(text), BOOT("\"unix:///%0200d\"", "\"0\"", "1"), 0);
    assert_int_equal(parse_boot(text, &boot), -1);
    snprintf(text, sizeof(text), BOOT("\"unix:///x\"", "\"%064d\"", "1"), 0);
    assert_int_equal(parse_boot(text, &boot), 0);
    snprintf(text, sizeof(text), BOOT("\"unix:///x\"", "\"%065d\"", "1"), 0);
    assert_int_equal(parse_boot(text, &boot), -1);
}

/* --- CONFIG ------------------------------------------------------------------------------- */

#define CONFIG(argv, env, cwd, ids, key)                                                           \
    "{\"argv\":" argv ",\"env\":" env ",\"cwd\":\"" cwd "\"," ids ",\"key\":\"" key                \
    "\",\"kernel_name\":\"k\"}"
#define IDS "\"uid\":1000,\"gid\":1001"

static int
parse_launch(const char *text, struct launch *launch)
{
    const char *why = NULL;
    const int rc = launch_parse(text, strlen(text), launch, &why);

    if (rc < 0)
        assert_non_null(why);
    return rc;
}

static void
launch_takes_a_good_config(void **state)
{
    struct launch l;

    (void)state;
    assert_int_equal(
        parse_launch(CONFIG("[\"/bin/k\",\"-f\",\"{connection_file}\","
                            "\"a{connection_file}b{connection_file}\",\"{other}\",\"\"]",
                            "{\"A\":\"b=c\",\"D\":\"\"}", "/w", IDS, "s3cret"),
                     &l),
        0);
    assert_string_equal(l.argv[0], "/bin/k");
    assert_string_equal(l.argv[2], LAUNCH_CONNECTION_FILE);
    assert_string_equal(l.argv[3], "a" LAUNCH_CONNECTION_FILE "b" LAUNCH_CONNECTION_FILE);
    assert_string_equal(l.argv[4], "{other}");
    assert_string_equal(l.argv[5], "");
    assert_null(l.argv[6]);
    assert_string_equal(l.env[0], "A=b=c");
    assert_string_equal(l.env[1], "D=");
    assert_null(l.env[2]);
    assert_string_equal(l.cwd, "/w");
    assert_int_equal(l.uid, 1000);
    assert_int_equal(l.gid, 1001);
    assert_non_null(strstr(l.connection, "\"key\": \"s3cret\""));
    assert_non_null(strstr(l.connection, "\"transport\": \"ipc\""));
    launch_clear(&l);
    launch_clear(&l);
}

static void
launch_takes_flow_control(void **state)
{
    static const char *const values[] = {"", ",\"flow_control\":false", ",\"flow_control\":true"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct launch l;
        char text[512];

        snprintf(text, sizeof(text), "%s", CONFIG("[\"k\"]", "{}", "/", IDS, "s"));
        snprintf(text + strlen(text) - 1, sizeof(text) - strlen(text), "%s}", values[i]);
        assert_int_equal(parse_launch(text, &l), 0);
        assert_int_equal(l.flow_control, i == 2);
        launch_clear(&l);
    }
}

static void
launch_refuses_all_else(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        CONFIG("[]", "{}", "/", IDS, "k"),
        CONFIG("\"a\"", "{}", "/", IDS, "k"),
        CONFIG("[\"\"]", "{}", "/", IDS, "k"),
        CONFIG("[\"a\",1]", "{}", "/", IDS, "k"),
        CONFIG("[\"a\",\"b\\u0000c\"]", "{}", "/", IDS, "k"),
        CONFIG("[\"a\"]", "[]", "/", IDS, "k"),
        CONFIG("[\"a\"]", "{\"\":\"b\"}", "/", IDS, "k"),
        CONFIG("[\"a\"]", "{\"A=\":\"b\"}", "/", IDS, "k"),
        CONFIG("[\"a\"]", "{\"A\":\"1\",\"B\":null}", "/", IDS, "k"),
        CONFIG("[\"a\"]", "{}", "w", IDS, "k"),
        CONFIG("[\"a\"]", "{}", "/", IDS, ""),
        CONFIG("[\"a\"]", "{}", "/", "\"uid\":0,\"gid\":1", "k"),
        CONFIG("[\"a\"]", "{}", "/", "\"uid\":1,\"gid\":0", "k"),
        CONFIG("[\"a\"]", "{}", "/", "\"uid\":-1,\"gid\":1", "k"),
        CONFIG("[\"a\"]", "{}", "/", "\"uid\":4294967296,\"gid\":1", "k"),
        CONFIG("[\"a\"]", "{}", "/", "\"uid\":1", "k"),
        CONFIG("[\"a\"]", "{}", "/", IDS ",\"more\":1", "k"),
    };
    struct launch l;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(parse_launch(bad[i], &l), -1);
        assert_null(l.argv);
        assert_null(l.connection);
    }
}

static void
launch_refuses_a_long_config(void **state)
{
    const size_t len = LAUNCH_MAX + 1;
    char *text = malloc(len);
    struct launch l;
    const char *why;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', len);
    assert_int_equal(launch_parse(text, len, &l, &why), -1);
    free(text);
}

/* --- the gateway's messages --------------------------------------------------------------- */

#define F(text)                                                                                    \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }
#define JUPYTER F(JUPYTER_DELIMITER), F("sig"), F("{}"), F("{}"), F("{}"), F("{}")

static int
parse_request(const struct frame *frames, size_t n, struct request *r)
{
    const char *why = NULL;
    const int rc = request_parse(frames, n, r, &why);

    if (rc < 0)
        assert_non_null(why);
    return rc;
}

#define PARSE(frames, r) parse_request((frames), sizeof(frames) / sizeof(*(frames)), (r))

static void
request_takes_each_verb(void **state)
{
    static const struct frame config[] = {F("C"), F("{}")}, interrupt[] = {F("I")},
                              quit[] = {F("Q")}, network[] = {F("N"), F("0123456789abcdef")};
    static const struct frame wipe[] = {F("A"), F("w"), F("{}")},
                              keep[] = {F("A"), F("k"), F("{}")};
    static const struct frame relay[] = {F("R"), F("c"), JUPYTER, F("buffer")};
    static const struct frame execute[] = {F("E"), F("\0\0\0\1\0\0\0\2\0\0\1\0\0\0\0\0\0\0\2\0\1"),
                                           JUPYTER};
    struct request r;

    (void)state;
    assert_int_equal(PARSE(config, &r), 0);
    assert_int_equal(r.verb, TCI_CONFIG);
    assert_int_equal(PARSE(interrupt, &r), 0);
    assert_int_equal(PARSE(quit, &r), 0);
    assert_int_equal(r.verb, TCI_QUIT);
    assert_int_equal(PARSE(wipe, &r), 0);
    assert_int_equal(r.verb, TCI_RENEW);
    assert_int_equal(r.first, 2);
    assert_true(r.wipe);
    assert_int_equal(PARSE(keep, &r), 0);
    assert_false(r.wipe);
    assert_int_equal(PARSE(network, &r), 0);
    assert_int_equal(r.verb, TCI_NETWORK);
    assert_int_equal(r.first, 1);
    assert_int_equal(PARSE(relay, &r), 0);
    assert_int_equal(r.channel, TCI_CONTROL);
    assert_int_equal(r.first, 2);
    assert_int_equal(PARSE(execute, &r), 0);
    assert_int_equal(r.channel, TCI_SHELL);
    assert_int_equal(r.max_bytes, (UINT64_C(1) << 32) + 2);
    assert_int_equal(r.max_messages, 256);
    assert_int_equal(r.max_message, 512);
    assert_true(r.watch);
}

static void
request_refuses_all_else(void **state)
{
    static const struct frame empty[] = {F("")}, two[] = {F("II")}, more[] = {F("I"), F("")};
    static const struct frame hello[] = {F("H"), F("{}")}, config[] = {F("C")}, bare[] = {F("R")};
    static const struct frame iopub[] = {F("R"), F("i"), JUPYTER},
                              no_channel[] = {F("R"), F(""), JUPYTER};
    static const struct frame limits[] = {F("E"), F("short"), JUPYTER},
                              flags[] = {F("E"), F("--------------------\2"), JUPYTER};
    static const struct frame nobody[] = {F("N")}, nameless[] = {F("N"), F("")},
                              forged[] = {F("N"), F("a\nSESSION b")},
                              endless[] = {F("N"), F("012345678901234567890123456789012")};
    static const struct frame no_json[] = {F("A"), F("w")}, unknown[] = {F("A"), F("x"), F("{}")},
                              long_what[] = {F("A"), F("ww"), F("{}")};
    static const struct frame topic[] = {F("R"), F("s"), F("topic"), JUPYTER};
    static const struct frame few[] = {F("R"), F("s"), F(JUPYTER_DELIMITER), F(""), F(""),
                                       F(""),  F("")};
    struct request r;

    (void)state;
    assert_int_equal(parse_request(NULL, 0, &r), -1);
    assert_int_equal(PARSE(empty, &r), -1);
    assert_int_equal(PARSE(two, &r), -1);
    assert_int_equal(PARSE(more, &r), -1);
    assert_int_equal(PARSE(hello, &r), -1);
    assert_int_equal(PARSE(config, &r), -1);
    assert_int_equal(PARSE(bare, &r), -1);
    assert_int_equal(PARSE(iopub, &r), -1);
    assert_int_equal(PARSE(no_channel, &r), -1);
    assert_int_equal(PARSE(limits, &r), -1);
    assert_int_equal(PARSE(flags, &r), -1);
    assert_int_equal(PARSE(nobody, &r), -1);
    assert_int_equal(PARSE(nameless, &r), -1);
    assert_int_equal(PARSE(forged, &r), -1);
    assert_int_equal(PARSE(endless, &r), -1);
    assert_int_equal(PARSE(no_json, &r), -1);
    assert_int_equal(PARSE(unknown, &r), -1);
    assert_int_equal(PARSE(long_what, &r), -1);
    assert_int_equal(PARSE(topic, &r), -1);
    assert_int_equal(PARSE(few, &r), -1);
}

/* --- Jupyter frames ----------------------------------------------------------------------- */

static void
jupyter_begins_at_the_delimiter(void **state)
{
    static const struct frame plain[] = {JUPYTER}, topic[] = {F("a"), F(""), JUPYTER, F("b")};
    static const struct frame late[] = {F("a"), F(JUPYTER_DELIMITER), F(""), F(""), F(""), F("")};

    (void)state;
    assert_int_equal(jupyter_begin(plain, 6), 0);
    assert_int_equal(jupyter_begin(topic, 9), 2);
    assert_int_equal(jupyter_begin(late, 6), -1);
    assert_int_equal(jupyter_begin(plain, 5), -1);
    assert_int_equal(jupyter_begin(NULL, 0), -1);
}

static bool
is_status(const char *header)
{
    const struct frame frames[] = {
        F(JUPYTER_DELIMITER), F(""), {header, strlen(header)}, F("{}"), F("{}"), F("{}")};

    return jupyter_is_status(frames, 6);
}

static void
jupyter_knows_a_status(void **state)
{
    (void)state;
    assert_true(is_status("{\"msg_id\":\"x\",\"msg_type\":\"status\"}"));
    assert_true(is_status("{\"msg_type\" :\n\"status\",\"msg_id\":\"x\"}"));
    assert_true(is_status("{\"a\":\"msg_type\",\"msg_type\":\"status\"}"));
    assert_false(is_status("{\"msg_type\":\"stream\"}"));
    assert_false(is_status("{\"msg_type\":\"status"));
    assert_false(is_status("{\"msg_type\":\"status_\"}"));
    assert_false(is_status("{\"msg_type\":"));
    assert_false(is_status("{\"msg_type\""));
    assert_false(is_status("{\"a\":\"\\\"msg_type\\\":\\\"status\\\"\"}"));
    assert_false(is_status("{\"a\":\"msg_type\"}"));
    assert_false(is_status(""));
}

static void
jupyter_status_has_a_size(void **state)
{
    static const char big[JUPYTER_STATUS_MAX];
    const struct frame frames[] = {
        F(JUPYTER_DELIMITER), F(""), F("{\"msg_type\":\"status\"}"), F(""), F(""),
        {big, sizeof(big)}};

    (void)state;
    assert_false(jupyter_is_status(frames, 6));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boot_takes_a_good_record),
        cmocka_unit_test(boot_refuses_all_else),
        cmocka_unit_test(boot_refuses_what_does_not_fit),
        cmocka_unit_test(launch_takes_a_good_config),
        cmocka_unit_test(launch_takes_flow_control),
        cmocka_unit_test(launch_refuses_all_else),
        cmocka_unit_test(launch_refuses_a_long_config),
        cmocka_unit_test(request_takes_each_verb),
        cmocka_unit_test(request_refuses_all_else),
        cmocka_unit_test(jupyter_begins_at_the_delimiter),
        cmocka_unit_test(jupyter_knows_a_status),
        cmocka_unit_test(jupyter_status_has_a_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
