/* run.h - tci exec and tci run: code from the command line, and from a file. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "command.h"

command_fn exec_command;
command_fn run_command;

#endif
