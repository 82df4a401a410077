/* begin.h - how the commands that talk to a server begin. */
#ifndef CLI_BEGIN_H
#define CLI_BEGIN_H

#include "client.h"
#include "options.h"

/*
 * Reads the options, shows the help where that is asked for, and has failures told as --json says.  False: the command is over, with
 * *status.
 */
bool begin(int argc, char *argv[], unsigned takes, const char *usage, struct options *,
           enum exit_status *status);

#endif
