/*
 * load.c - bench/load: users of the gateway, all at once, every answer checked.
 *
 * Exit status: 0 when every answer was right, 1 when not, 2 when the options or the server were no good.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <event2/event.h>

#include "chart.h"
#include "crowd.h"
#include "jsonfile.h"
#include "usage.h"

enum { MAX_USERS = 20000, MAX_REQUESTS = 10000000, MAX_TOKEN = 4096 };

struct options {
    struct http_target_options target;
    struct crowd_options crowd;
    const char *token_file, *json, *chart;
};

static const char help[] =
    "Usage: load --url URL [OPTION]...\n"
    "Sends the requests of many users to a gateway, checks every answer and reports.\n"
    "\n"
    "  --url URL             the gateway, http://host[:port] or https://host[:port]\n"
    "  --token TOKEN         the authentication token\n"
    "  --token-file FILE     ... or the file whose first line it is\n"
    "  --users N             users at once (30)\n"
    "  --requests M          requests of each user (100)\n"
    "  --think-time MIN-MAX  pause between an answer and the next request, seconds (0.1-0.5)\n"
    "  --workload NAME       " WORKLOAD_NAMES " (stateful)\n"
    "  --timeout SECONDS     until an answer is given up (60)\n"
    "  --seed N              of the workload and the pauses (1)\n"
    "  --user-prefix TEXT    the user_uuid is this and the user's number (load-)\n"
    "  --release             release the sessions at the end\n"
    "  --v1                  all but the first request of a user go to "
    "/v1/sessions/.../executions\n"
    "  --v1-turns N          ... by turns, N to /execute and N to there\n"
    "  --ca FILE             trusted certificates for https (the system's)\n"
    "  --insecure            do not check the server's certificate\n"
    "  --json FILE           write the report as JSON, - for standard output instead of the text\n"
    "  --chart FILE          write the report as SVG\n"
    "  --help                show this\n"
    "\n"
    "stateful is the load test of a stateful interpreter: by default 30 users, 100 requests each, "
    "0.1\n"
    "to 0.5 s between them; the first request of a user sets a state, each later one changes it "
    "and is\n"
    "answered with a number that is right only if no request was lost, repeated or mixed up.\n"
    "Exit status: 0 every answer right, 1 not every, 2 wrong options or no server.\n";

enum option_id {
    OPT_URL = 1,
    OPT_TOKEN,
    OPT_TOKEN_FILE,
    OPT_USERS,
    OPT_REQUESTS,
    OPT_THINK_TIME,
    OPT_WORKLOAD,
    OPT_TIMEOUT,
    OPT_SEED,
    OPT_PREFIX,
    OPT_RELEASE,
    OPT_V1,
    OPT_V1_TURNS,
    OPT_CA,
    OPT_INSECURE,
    OPT_JSON,
    OPT_CHART,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"url", required_argument, NULL, OPT_URL},
    {"token", required_argument, NULL, OPT_TOKEN},
    {"token-file", required_argument, NULL, OPT_TOKEN_FILE},
    {"users", required_argument, NULL, OPT_USERS},
    {"requests", required_argument, NULL, OPT_REQUESTS},
    {"think-time", required_argument, NULL, OPT_THINK_TIME},
    {"workload", required_argument, NULL, OPT_WORKLOAD},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"seed", required_argument, NULL, OPT_SEED},
    {"user-prefix", required_argument, NULL, OPT_PREFIX},
    {"release", no_argument, NULL, OPT_RELEASE},
    {"v1", no_argument, NULL, OPT_V1},
    {"v1-turns", required_argument, NULL, OPT_V1_TURNS},
    {"ca", required_argument, NULL, OPT_CA},
    {"insecure", no_argument, NULL, OPT_INSECURE},
    {"json", required_argument, NULL, OPT_JSON},
    {"chart", required_argument, NULL, OPT_CHART},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* ---- options ---- */

static const char *
parse_prefix(const char *text)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-";

    if (strlen(text) > 100 || strspn(text, allowed) != strlen(text))
        usage_die("--user-prefix = \"%s\" is not at most 100 of A-Z a-z 0-9 . _ : @ -", text);
    return text;
}

static void
apply_measure(struct crowd_options *c, int id, const char *value)
{
    switch (id) {
    case OPT_USERS:
        c->users = (unsigned)usage_integer("users", value, 1, MAX_USERS);
        break;
    case OPT_REQUESTS:
        c->requests = (unsigned)usage_integer("requests", value, 1, MAX_REQUESTS);
        break;
    case OPT_THINK_TIME:
        usage_range("think-time", value, &c->think_min, &c->think_max);
        break;
    case OPT_WORKLOAD:
        c->workload = usage_workload(value);
        break;
    case OPT_SEED:
        c->seed = usage_integer("seed", value, 0, INT64_MAX);
        break;
    case OPT_PREFIX:
        c->prefix = parse_prefix(value);
        break;
    case OPT_RELEASE:
        c->release = 1;
        break;
    case OPT_V1:
        c->v1 = 1;
        break;
    case OPT_V1_TURNS:
        c->v1 = 1;
        c->v1_turns = (unsigned)usage_integer("v1-turns", value, 1, MAX_REQUESTS);
        break;
    }
}

static void
apply(void *owner, int id, const char *value)
{
    struct options *o = owner;

    switch (id) {
    case OPT_URL:
        o->target.url = value;
        break;
    case OPT_TOKEN:
        o->target.token = value;
        break;
    case OPT_TOKEN_FILE:
        o->token_file = value;
        break;
    case OPT_TIMEOUT:
        o->target.timeout = usage_seconds("timeout", value, 0.001, 86400);
        break;
    case OPT_CA:
        o->target.ca_file = value;
        break;
    case OPT_INSECURE:
        o->target.insecure = 1;
        break;
    case OPT_JSON:
        o->json = value;
        break;
    case OPT_CHART:
        o->chart = value;
        break;
    default:
        apply_measure(&o->crowd, id, value);
    }
}

static void
parse(struct options *o, int argc, char **argv)
{
    const struct usage usage = {long_options, OPT_HELP, help, apply};

    usage_parse(&usage, argc, argv, o);
    if (o->target.url == NULL)
        usage_die("--url is missing");
    if (o->target.token != NULL && o->token_file != NULL)
        usage_die("--token and --token-file exclude each other");
}

/* A line without its end; a new string. */
static char *
read_token(const char *path)
{
    char line[MAX_TOKEN] = "";
    FILE *f = fopen(path, "re");

    if (f == NULL)
        usage_die("--token-file: %s: %s", path, strerror(errno));
    if (fgets(line, sizeof(line), f) == NULL)
        usage_die("--token-file: %s has no first line", path);
    fclose(f);
    line[strcspn(line, "\r\n")] = '\0';
    return xstrdup(line);
}

/* ---- running ---- */

/* A connection of each user needs a descriptor. */
static void
raise_descriptor_limit(unsigned users)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < users + 50)
        usage_die("--users = %u needs more descriptors than the limit of %llu (ulimit -n)", users,
                  (unsigned long long)limit.rlim_cur);
}

static int
write_files(const struct options *o, const struct report *r, struct err *err)
{
    json_auto_t *json = report_json(r);

    if (o->json != NULL && jsonfile_write(json, o->json, err) < 0)
        return -1;
    return o->chart == NULL ? 0 : chart_write(r, o->chart, err);
}

static int
measure(const struct options *o, struct report *r, struct err *err)
{
    struct event_base *base = xnotnull(event_base_new());
    struct http_target *target = http_target_new(base, &o->target, err);
    struct crowd *crowd;
    int rc = -1;

    if (target != NULL) {
        crowd = crowd_new(base, target, &o->crowd, r);
        rc = crowd_run(crowd, err);
        crowd_free(crowd);
    }
    http_target_free(target);
    event_base_free(base);
    return rc;
}

static void
describe(const struct options *o, struct report *r)
{
    report_init(r);
    r->program = "load";
    r->target = o->target.url;
    r->workload = workload_name(o->crowd.workload);
    r->users = o->crowd.users;
    r->requests = o->crowd.requests;
    r->think_min = o->crowd.think_min;
    r->think_max = o->crowd.think_max;
    r->seed = o->crowd.seed;
}

static int
run(const struct options *o)
{
    struct report report;
    struct err err = ERR_INIT;
    int status = 2;

    describe(o, &report);
    if (measure(o, &report, &err) == 0) {
        report_finish(&report);
        if (o->json == NULL || strcmp(o->json, "-") != 0)
            report_print(&report, stdout);
        status = report_is_right(&report) ? 0 : 1;
        if (write_files(o, &report, &err) < 0)
            status = 2;
    }
    if (status == 2)
        fprintf(stderr, "load: %s\n", err.msg);
    report_clear(&report);
    return status;
}

int
main(int argc, char **argv)
{
    struct options o = {
        .target = {.timeout = 60},
        .crowd = {.workload = WORKLOAD_STATEFUL,
                  .users = 30,
                  .requests = 100,
                  .think_min = 0.1,
                  .think_max = 0.5,
                  .seed = 1,
                  .prefix = "load-"},
    };
    cleanup_free char *token = NULL;

    parse(&o, argc, argv);
    if (o.token_file != NULL)
        token = read_token(o.token_file);
    if (token != NULL)
        o.target.token = token;
    raise_descriptor_limit(o.crowd.users);
    signal(SIGPIPE, SIG_IGN);
    return run(&o);
}
