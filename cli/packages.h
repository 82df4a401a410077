/* packages.h - tci packages: what a session's language is to have installed. */
#ifndef CLI_PACKAGES_H
#define CLI_PACKAGES_H

#include "command.h"

command_fn packages_command;

#endif
