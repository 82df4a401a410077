/*
 * config_source.h - where settings are said: the configuration file, the environment, the command line.  Each puts its values
 * over those that are there; its errors name the setting, the source, and for a name that is unknown the one that may have
 * been meant.  Part of config.h.
 */
#ifndef GATEWAY_CONFIG_SOURCE_H
#define GATEWAY_CONFIG_SOURCE_H

#include "err.h"
#include "mem.h"

struct config;

int config_source_file(struct config *, const char *path, struct err *) must_check;
int config_source_environment(struct config *, struct err *) must_check;

/*
 * The command line is read twice: what must be known before the file is read, --config and the options that are no settings;
 * and the settings, which go over file and environment.
 */
int config_source_flags(struct config *, int argc, char *const argv[], struct err *) must_check;
int config_source_options(struct config *, int argc, char *const argv[], struct err *) must_check;

#endif
