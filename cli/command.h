/* command.h - what a command of tci is, and what its exit status says. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

enum exit_status {
    STATUS_OK = 0,
    STATUS_FAILED = 1,  /* what was asked for could not be done; or the code raised */
    STATUS_USAGE = 2,   /* it was asked for in a wrong way */
    STATUS_SERVER = 3,  /* the server cannot be reached, or refuses */
    STATUS_TIMEOUT = 4, /* the code, or the server, took too long */
    STATUS_DIED = 5, /* the code ended without an outcome: its kernel died, or it was cancelled */
    STATUS_INTERRUPTED = 130, /* by Ctrl-C */
};

/* argv[0] is the command's own name, and options and words follow.  Messages about failures go to stderr. */
typedef enum exit_status command_fn(int argc, char *argv[]);

struct command {
    const char *name;
    command_fn *run;
    const char *summary; /* for the usage text */
};

#endif
