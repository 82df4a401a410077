#include "keys.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <sodium.h>

#include "gateway/keystore.h"
#include "gateway/statedir.h"
#include "parse.h"
#include "place.h"
#include "terminal.h"

enum { WAIT_MS = 5000, MAX_SESSIONS = 10000 };

static const char usage[] =
    "Usage: tci keys create [--name NAME] [--expires DURATION] [--rate N/min] [--sessions N]\n"
    "       tci keys list\n"
    "       tci keys revoke ID\n"
    "\n"
    "API keys of the gateway on this machine.  Whoever has one has sessions of his own, apart "
    "from\n"
    "those of other keys.  A running gateway takes notice within a second.\n"
    "\n"
    "  create            makes a key and prints it; only its hash is kept, so this is the only "
    "time\n"
    "  list              says what keys there are\n"
    "  revoke ID         ends a key for good\n"
    "\n"
    "  --name NAME       to know it by, at most 64 bytes\n"
    "  --expires DURATION\n"
    "                    ends it after so long: 90s, 15m, 12h, 30d or 4w (never)\n"
    "  --rate N/min      requests a minute, up to so many of them at once (no limit)\n"
    "  --sessions N      sessions at a time (no limit)\n"
    "  --state-dir DIR   where the gateway keeps its state ($TCI_STATE_DIR, else /var/lib/tci;\n"
    "                    not as root: else $XDG_STATE_HOME/tci or ~/.local/state/tci)\n"
    "  --json            {\"id\", \"key\", ...} of the new key, {\"keys\"} of a list, {\"id\", "
    "\"revoked\"}\n"
    "  --help            show this\n"
    "\n"
    "Exit status: 0 done, 1 not done, 2 wrong usage.\n";

enum option_id {
    OPT_NAME = 1,
    OPT_EXPIRES,
    OPT_RATE,
    OPT_SESSIONS,
    OPT_STATE_DIR,
    OPT_HELP,
    OPT_JSON,
};

static const struct option long_options[] = {
    {"name", required_argument, NULL, OPT_NAME},
    {"expires", required_argument, NULL, OPT_EXPIRES},
    {"rate", required_argument, NULL, OPT_RATE},
    {"sessions", required_argument, NULL, OPT_SESSIONS},
    {"state-dir", required_argument, NULL, OPT_STATE_DIR},
    {"help", no_argument, NULL, OPT_HELP},
    {"json", no_argument, NULL, OPT_JSON},
    {NULL, 0, NULL, 0},
};

struct options {
    const char *state_dir;
    const char *name;
    uint64_t lifetime; /* seconds; 0 = for ever */
    unsigned rate;     /* a minute; 0 = any */
    uint64_t sessions; /* 0 = any */
    bool limits;       /* one of the options for create was there */
    bool help, json;
};

static enum exit_status
fail(const struct err *err)
{
    terminal_fail("keys", err);
    return STATUS_FAILED; /* there is no server in it */
}

static enum exit_status
misused(const char *what)
{
    fprintf(stderr, "tci keys: %s\nTry 'tci keys --help'.\n", what);
    return STATUS_USAGE;
}

/* --- options ------------------------------------------------------------------------------ */

static bool
apply_limit(struct options *o, int id, const char *value)
{
    o->limits = true;
    switch (id) {
    case OPT_NAME:
        o->name = value;
        return parse_name(value);
    case OPT_EXPIRES:
        return parse_duration(value, &o->lifetime);
    case OPT_RATE:
        return parse_rate(value, &o->rate);
    default:
        return parse_count(value, 1, MAX_SESSIONS, &o->sessions);
    }
}

static int
complain(const char *option, const char *value, struct err *err)
{
    static const char *const allowed[] = {
        [OPT_NAME] = "1 to 64 bytes without control characters",
        [OPT_EXPIRES] = "a duration such as 90s, 15m, 12h, 30d or 4w",
        [OPT_RATE] = "a rate such as 60/min, at most 1000000/min",
        [OPT_SESSIONS] = "a whole number from 1 to 10000",
    };
    const struct option *o = long_options;

    while (strcmp(o->name, option) != 0)
        o++;
    return err_set(err, ERR_CONFIG, "--%s = \"%.80s\" is not %s", option, value, allowed[o->val]);
}

/* Leaves the words that are no options at the end of argv, from optind on. */
static int
parse_options(int argc, char *argv[], struct options *o, struct err *err)
{
    int id, index = 0;

    while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (id == '?')
            return err_set(err, ERR_CONFIG, "the option above is not usable");
        if (id == OPT_HELP)
            o->help = true;
        else if (id == OPT_JSON)
            o->json = true;
        else if (id == OPT_STATE_DIR)
            o->state_dir = optarg;
        else if (!apply_limit(o, id, optarg))
            return complain(long_options[index].name, optarg, err);
    }
    return 0;
}

/* --- the file ----------------------------------------------------------------------------- */

/* A directory that is not there is a slip: keys made in it would be keys of no gateway. */
static struct keystore *
open_keys(const struct options *o, struct err *err)
{
    cleanup_free char *path = statedir_path(o->state_dir, KEYSTORE_FILE);
    struct stat st;

    if (stat(o->state_dir, &st) < 0) {
        err_sys(err, "%s: cannot be used; start the gateway once, or name its --state-dir",
                o->state_dir);
        return NULL;
    }
    return keystore_open(path, WAIT_MS, err);
}

/* --- the commands ------------------------------------------------------------------------- */

static const char *
date(time_t t, char *buf, size_t size)
{
    struct tm tm;

    if (t == 0 || gmtime_r(&t, &tm) == NULL || strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(buf, size, "-");
    return buf;
}

static const char *
state_of(const struct key_row *row)
{
    if (row->revoked)
        return "revoked";
    return row->expires && row->expires <= time(NULL) ? "expired" : "active";
}

/* As text, which is the caller's; NULL: it is none. */
static char *
date_or_null(time_t t)
{
    char buf[32];

    return t == 0 ? NULL : xstrdup(date(t, buf, sizeof(buf)));
}

/* 0 is no limit. */
static json_t *
limit_or_null(unsigned n)
{
    return n ? json_integer(n) : json_null();
}

static json_t *
row_in_json(const struct key_row *row)
{
    cleanup_free char *created = date_or_null(row->created);
    cleanup_free char *expires = date_or_null(row->expires);

    return xnotnull(json_pack("{s:s,s:s,s:s,s:s?,s:s?,s:o,s:o}", "id", row->id, "name", row->name,
                              "state", state_of(row), "created_at", created, "expires_at", expires,
                              "rate", limit_or_null(row->rate), "sessions",
                              limit_or_null(row->max_sessions)));
}

/* The key alone on stdout, so that a script can take it. */
static void
tell_key(const struct key_row *row, const char *text, bool as_json)
{
    if (as_json) {
        json_t *object = row_in_json(row);

        json_object_set_new(object, "key", json_string(text));
        terminal_json(object);
        json_decref(object);
        return;
    }
    fprintf(stderr, "key %s; it is shown this once:\n", row->id);
    printf("%s\n", text);
}

static enum exit_status
create_key(struct keystore *keys, const struct options *o)
{
    time_t now = time(NULL);
    struct key_row row = {
        .name = o->name ? o->name : "",
        .created = now,
        .expires = o->lifetime ? now + (time_t)o->lifetime : 0,
        .rate = o->rate,
        .max_sessions = (unsigned)o->sessions,
    };
    struct err err = ERR_INIT;
    char text[KEY_TEXT_SIZE];
    enum exit_status status = STATUS_OK;

    key_make(row.id, text);
    key_hash(text, row.hash);
    if (keystore_add(keys, &row, &err) < 0)
        status = fail(&err);
    else
        tell_key(&row, text, o->json);
    sodium_memzero(text, sizeof(text));
    return status;
}

static const char *
limit(unsigned n, const char *unit, char *buf, size_t size)
{
    if (n == 0)
        snprintf(buf, size, "-");
    else
        snprintf(buf, size, "%u%s", n, unit);
    return buf;
}

static void
print_row(void *owner, const struct key_row *row)
{
    char created[32], expires[32], rate[24], sessions[16];

    (void)owner;
    printf("%-12s  %-7s  %-20s  %-20s  %-11s  %-8s  %s\n", row->id, state_of(row),
           date(row->created, created, sizeof(created)),
           date(row->expires, expires, sizeof(expires)),
           limit(row->rate, "/min", rate, sizeof(rate)),
           limit(row->max_sessions, "", sessions, sizeof(sessions)), row->name);
}

static void
add_row(void *list, const struct key_row *row)
{
    json_array_append_new(list, row_in_json(row));
}

static enum exit_status
list_in_json(struct keystore *keys)
{
    json_t *all = xnotnull(json_pack("{s:[]}", "keys"));
    struct err err = ERR_INIT;
    enum exit_status status = STATUS_OK;

    if (keystore_each(keys, add_row, json_object_get(all, "keys"), &err) < 0)
        status = fail(&err);
    else
        terminal_json(all);
    json_decref(all);
    return status;
}

static enum exit_status
list_keys(struct keystore *keys, const struct options *o)
{
    struct err err = ERR_INIT;

    if (o->json)
        return list_in_json(keys);

    printf("%-12s  %-7s  %-20s  %-20s  %-11s  %-8s  %s\n", "ID", "STATE", "CREATED", "EXPIRES",
           "RATE", "SESSIONS", "NAME");
    return keystore_each(keys, print_row, NULL, &err) < 0 ? fail(&err) : STATUS_OK;
}

/* A whole key does as well, for who has nothing else at hand. */
static enum exit_status
revoke_key(struct keystore *keys, const struct options *o, const char *which)
{
    struct err err = ERR_INIT;
    char id[KEY_ID_SIZE];

    if (key_is_id(which))
        snprintf(id, sizeof(id), "%s", which);
    else if (!key_parse(which, id))
        return misused("an ID has 12 characters of 0-9 a-f");
    if (keystore_revoke(keys, id, time(NULL), &err) < 0)
        return fail(&err);
    if (o->json)
        printf("{\"id\":\"%s\",\"revoked\":true}\n", id);
    else
        fprintf(stderr, "key %s is revoked\n", id);
    return STATUS_OK;
}

static enum exit_status
run(const struct options *o, const char *verb, const char *word)
{
    struct err err = ERR_INIT;
    struct keystore *keys = open_keys(o, &err);
    enum exit_status status;

    if (keys == NULL)
        return fail(&err);
    if (word)
        status = revoke_key(keys, o, word);
    else
        status = strcmp(verb, "create") == 0 ? create_key(keys, o) : list_keys(keys, o);
    keystore_close(keys);
    return status;
}

enum exit_status
keys_command(int argc, char *argv[])
{
    cleanup_free char *state_dir = place_state_dir();
    struct options o = {.state_dir = state_dir};
    struct err err = ERR_INIT;
    const char *verb;
    bool revoking;
    int words;

    if (parse_options(argc, argv, &o, &err) < 0)
        return misused(err.msg);
    if (o.help) {
        fputs(usage, stdout);
        return STATUS_OK;
    }
    terminal_fail_in_json(o.json);
    words = argc - optind;
    verb = words > 0 ? argv[optind] : "";
    revoking = strcmp(verb, "revoke") == 0;
    if (!revoking && strcmp(verb, "create") != 0 && strcmp(verb, "list") != 0)
        return misused("say create, list or revoke");
    if (words != (revoking ? 2 : 1))
        return misused(revoking ? "revoke takes the ID of one key" : "there is a word too many");
    if (o.limits && strcmp(verb, "create") != 0)
        return misused("only create takes limits and a name");
    return run(&o, verb, revoking ? argv[optind + 1] : NULL);
}
