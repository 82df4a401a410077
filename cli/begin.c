/* begin.c - see begin.h. */
#include "begin.h"

#include <stdio.h>

#include "terminal.h"

bool
begin(int argc, char *argv[], unsigned takes, const char *usage, struct options *o,
      enum exit_status *status)
{
    struct err err = ERR_INIT;

    if (options_parse(argc, argv, takes, o, &err) < 0) {
        *status = terminal_misused(argv[0], err.msg);
        return false;
    }
    if (o->help)
        printf("%s%s", usage, options_help);
    terminal_fail_in_json(o->json);
    *status = STATUS_OK;
    return !o->help;
}
