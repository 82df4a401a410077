/* remote.h - tci sessions, kernels, status and token: what the server says, as tables or as its JSON. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "command.h"

command_fn sessions_command;
command_fn kernels_command;
command_fn status_command;
command_fn token_command;

#endif
