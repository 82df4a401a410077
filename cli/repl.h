/* repl.h - tci repl: a conversation with a session. */
#ifndef CLI_REPL_H
#define CLI_REPL_H

#include "command.h"

command_fn repl_command;

#endif
