/* options.h - the options of the commands that talk to a server: one table, of which each command takes some. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>

#include "command.h"
#include "place.h"

/* What a command takes beside --url, --token, --ca-file, --state-dir and --help. */
enum option_set {
    TAKES_JSON = 1 << 0,
    TAKES_SESSION = 1 << 1, /* --session, --language, --kernel */
    TAKES_RUN = 1 << 2,     /* --timeout, --images */
    TAKES_CODE = 1 << 3,
    STOPS_AT_WORD = 1 << 4, /* what follows the first word are words as well */
    TAKES_ID = 1 << 5,      /* --session, of one that there is */
    TAKES_FILES = 1 << 6,   /* --recursive, --force */
    TAKES_QUIET = 1 << 7,
};

struct options {
    struct place_options place;
    const char *session, *language, *kernel; /* NULL: not given */
    const char *code, *images;
    double timeout; /* seconds; 0: the server's */
    bool json, help, quiet, recursive, force;
    int n_words;
    char **words; /* those of argv that are no options */
};

/* argv is put in order, and its strings are borrowed.  ERR_CONFIG: the message is a sentence for the user. */
int options_parse(int argc, char *argv[], unsigned takes, struct options *,
                  struct err *) must_check;

/* For the help of commands. */
extern const char options_help[];

#endif
