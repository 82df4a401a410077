/*
 * config_table.h - the settings, a row for each: what it is called, what it may be, what it is unless somebody says so,
 * whether SIGHUP may change it, and what to say about it.  Part of config.h.
 */
#ifndef GATEWAY_CONFIG_TABLE_H
#define GATEWAY_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>

enum setting_type {
    SETTING_UNSIGNED,
    SETTING_SIZE,
    SETTING_DOUBLE,
    SETTING_CHOICE, /* a value of an enum, by its name */
    SETTING_STRING, /* checked by the row's check, if it has one */
};

enum setting_flags {
    SETTING_FIXED = 0,  /* read at start only */
    SETTING_RELOAD = 1, /* SIGHUP may change it */
    SETTING_SECRET = 2, /* its value is never shown; fixed */
};

struct setting {
    const char *name; /* in the file; TCI_NAME and --name are made from it */
    enum setting_type type;
    size_t offset;                   /* of its member of struct config */
    double min, max;                 /* numbers; of choices, the value of the first in min */
    const char *const *choices;      /* their names, NULL behind the last */
    bool (*check)(const char *text); /* strings */
    const char *allowed;             /* in words, for messages; numbers: their unit or "" */
    const char *standard;            /* the default */
    unsigned flags;
    const char *help;
};

/* An option that is no setting: without a value. */
struct config_flag {
    const char *name;
    size_t offset; /* of its member of struct config, a bool */
    const char *help;
};

/* In the order of their names. */
extern const struct setting config_settings[];
extern const size_t config_n_settings;
extern const struct config_flag config_flags[];
extern const size_t config_n_flags;

const struct setting *config_find(const char *name); /* as in the file; NULL: there is none */

/* The other spellings of a setting's name: TCI_NAME of the environment, and an option without its dashes. */
#define CONFIG_ENV_PREFIX "TCI_"
void config_env_name(const char *name, char *buf, size_t size);
void config_option_name(const char *name, char *buf, size_t size);

#endif
