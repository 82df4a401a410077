/* keys.h - tci keys: makes, lists and revokes API keys in a gateway's state directory. */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include "command.h"

command_fn keys_command;

#endif
