/*
 * config_value.h - a setting's value: read from text, compared, exchanged, refused.  A value is read by its row's type
 * whatever the source, so that it means the same in the file, in the environment and on the command line.  Part of config.h.
 */
#ifndef GATEWAY_CONFIG_VALUE_H
#define GATEWAY_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "config_table.h"
#include "err.h"
#include "mem.h"

struct config;

/* Reads text as the setting's type; false, and nothing changed, when it is none of what is allowed. */
bool config_value_read(struct config *, const struct setting *, const char *text) must_check;

/* The same, with config_value_refuse's error.  source says where the text is from: "option --x". */
int config_value_set(struct config *, const struct setting *, const char *text, const char *source,
                     struct err *) must_check;

/* Fills the error, which quotes no secret; -1. */
int config_value_refuse(const struct setting *, const char *text, const char *source, struct err *);

/* What is allowed, in words: "0.1 to 86400 seconds".  Maybe in buf, of 80 bytes. */
const char *config_value_allowed(const struct setting *, char *buf, size_t size);

bool config_value_is_same(const struct config *, const struct config *, const struct setting *);
void config_value_swap(struct config *, struct config *, const struct setting *);

/* Frees a string, and leaves nothing of a secret; the member is invalid then. */
void config_value_free(struct config *, const struct setting *);

#endif
