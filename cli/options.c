/* options.c - see options.h. */
#include "options.h"

#include <getopt.h>
#include <string.h>

#include "parse.h"

const char options_help[] =
    "  --url URL         the server ($TCI_URL, else the gateway of the state directory)\n"
    "  --token TOKEN     the master token or an API key; others on this machine can see it there, "
    "so\n"
    "                    better $TCI_AUTH_TOKEN (else the state directory's, for its own gateway)\n"
    "  --ca-file FILE    certificates that https is held against ($TCI_CA_FILE, else the "
    "system's)\n"
    "  --state-dir DIR   of a gateway on this machine ($TCI_STATE_DIR, else /var/lib/tci; not as\n"
    "                    root: else $XDG_STATE_HOME/tci or ~/.local/state/tci)\n"
    "  --help            show this\n"
    "\n"
    "Exit status: 0 done, 1 not done or the code raised, 2 wrong usage, 3 the server cannot be "
    "reached\n"
    "or refuses, 4 it took too long, 5 the code's environment died, 130 Ctrl-C.\n";

enum option_id {
    OPT_URL = 1,
    OPT_TOKEN,
    OPT_CA_FILE,
    OPT_STATE_DIR,
    OPT_HELP,
    OPT_JSON,
    OPT_SESSION,
    OPT_LANGUAGE,
    OPT_KERNEL,
    OPT_TIMEOUT,
    OPT_IMAGES,
    OPT_CODE,
    OPT_QUIET,
    OPT_RECURSIVE,
    OPT_FORCE,
};

static const struct option long_options[] = {
    {"url", required_argument, NULL, OPT_URL},
    {"token", required_argument, NULL, OPT_TOKEN},
    {"ca-file", required_argument, NULL, OPT_CA_FILE},
    {"state-dir", required_argument, NULL, OPT_STATE_DIR},
    {"help", no_argument, NULL, OPT_HELP},
    {"json", no_argument, NULL, OPT_JSON},
    {"session", required_argument, NULL, OPT_SESSION},
    {"language", required_argument, NULL, OPT_LANGUAGE},
    {"kernel", required_argument, NULL, OPT_KERNEL},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"images", required_argument, NULL, OPT_IMAGES},
    {"code", required_argument, NULL, OPT_CODE},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"recursive", no_argument, NULL, OPT_RECURSIVE},
    {"force", no_argument, NULL, OPT_FORCE},
    {NULL, 0, NULL, 0},
};

/* One of these must be taken; 0: all commands take it. */
static unsigned
needed_for(int id)
{
    switch (id) {
    case OPT_JSON:
        return TAKES_JSON;
    case OPT_SESSION:
        return TAKES_SESSION | TAKES_ID;
    case OPT_LANGUAGE:
    case OPT_KERNEL:
        return TAKES_SESSION;
    case OPT_TIMEOUT:
    case OPT_IMAGES:
        return TAKES_RUN;
    case OPT_CODE:
        return TAKES_CODE;
    case OPT_QUIET:
        return TAKES_QUIET;
    case OPT_RECURSIVE:
    case OPT_FORCE:
        return TAKES_FILES;
    default:
        return 0;
    }
}

static const char **
text_of(struct options *o, int id)
{
    switch (id) {
    case OPT_URL:
        return &o->place.url;
    case OPT_TOKEN:
        return &o->place.token;
    case OPT_CA_FILE:
        return &o->place.ca_file;
    case OPT_STATE_DIR:
        return &o->place.state_dir;
    case OPT_SESSION:
        return &o->session;
    case OPT_LANGUAGE:
        return &o->language;
    case OPT_KERNEL:
        return &o->kernel;
    case OPT_IMAGES:
        return &o->images;
    default:
        return &o->code;
    }
}

/* NULL: it has a value. */
static bool *
flag_of(struct options *o, int id)
{
    switch (id) {
    case OPT_HELP:
        return &o->help;
    case OPT_JSON:
        return &o->json;
    case OPT_QUIET:
        return &o->quiet;
    case OPT_RECURSIVE:
        return &o->recursive;
    case OPT_FORCE:
        return &o->force;
    default:
        return NULL;
    }
}

static int
apply(struct options *o, int id, const char *value, struct err *err)
{
    bool *flag = flag_of(o, id);

    if (flag)
        *flag = true;
    else if (id != OPT_TIMEOUT)
        *text_of(o, id) = value;
    else if (!parse_seconds(value, &o->timeout))
        return err_set(err, ERR_CONFIG, "--timeout = \"%.80s\" is not a number of seconds above 0",
                       value);
    if (id == OPT_SESSION && !parse_id(value))
        return err_set(err, ERR_CONFIG,
                       "--session = \"%.80s\" is not 1 to 128 characters of A-Z a-z 0-9 . _ : @ -",
                       value);
    return 0;
}

static const char *
name_of(int id)
{
    const struct option *o = long_options;

    while (o->val != id)
        o++;
    return o->name;
}

static int
long_form(int id)
{
    static const struct {
        int letter, id;
    } letters[] = {{'c', OPT_CODE},  {'s', OPT_SESSION},   {'l', OPT_LANGUAGE},
                   {'q', OPT_QUIET}, {'r', OPT_RECURSIVE}, {'f', OPT_FORCE}};

    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
        if (letters[i].letter == id)
            return letters[i].id;
    return id;
}

int
options_parse(int argc, char *argv[], unsigned takes, struct options *o, struct err *err)
{
    static const char ordered[] = "+c:s:l:qrf", any_order[] = "c:s:l:qrf";
    int id;

    memset(o, 0, sizeof(*o));
    optind = 0; /* afresh, whoever has used it before */
    while ((id = getopt_long(argc, argv, takes & STOPS_AT_WORD ? ordered : any_order, long_options,
                             NULL)) != -1) {
        if (id == '?')
            return err_set(err, ERR_CONFIG, "the option above is not usable");
        id = long_form(id);
        if (needed_for(id) && (needed_for(id) & takes) == 0)
            return err_set(err, ERR_CONFIG, "there is no --%s here", name_of(id));
        if (apply(o, id, optarg, err) < 0)
            return -1;
    }
    if (o->language && o->kernel)
        return err_set(err, ERR_CONFIG, "--language and --kernel do not go together");
    o->n_words = argc - optind;
    o->words = argv + optind;
    return 0;
}
