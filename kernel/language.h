/*
 * language.h - what is to be known of a language that is only a command: metadata.tci.command of its kernel.json.
 *
 *   file        name of the file that a cell is written to, in a directory of its own
 *   build       argv that makes of it what is run; may be left out
 *   run         argv of the program that a cell is
 *   session     in place of build and run: argv of one interpreter that all cells share, see session.h
 *   feed        ... and the line on its standard input that has it run a cell
 *   complete    ... and the one that has it complete a word; may be left out
 *   check       argv that exits with 0 where the file is a whole piece of code; may be left out
 *   incomplete  strings, one of which `check` says, somewhere, of code that only wants more lines; may be left out
 *   version     argv that prints the language's version first of all; may be left out
 *   mimetype    text/plain, where there is none
 *
 * In all of these {file} and {dir} are the cell's file and its directory, {resource_dir} is the directory of kernel.json,
 * {stdin} is where a session's cell reads its input; `feed` and `complete` have {number}, the cell's.
 */
#ifndef KERNEL_LANGUAGE_H
#define KERNEL_LANGUAGE_H

#include <jansson.h>

#include "err.h"
#include "mem.h"

struct language {
    json_t *spec;         /* the whole kernel.json; owns everything below */
    const char *name;     /* "language" */
    const char *title;    /* "display_name" */
    const char *mimetype; /* never NULL */
    const char *file;
    const char *feed, *complete;                 /* NULL: left out */
    const json_t *build, *run, *check, *version; /* arrays of strings; NULL: left out */
    const json_t *incomplete;
    const json_t *session; /* NULL: each cell is a program of its own */
    char *resource_dir;
};

int language_read(struct language *, const char *kernel_json, struct err *) must_check;
void language_clear(struct language *); /* idempotent */

/* Suffix of `file` with its dot, "" if it has none; borrowed. */
const char *language_suffix(const struct language *);

/* One value for each placeholder; NULL leaves it as it is. */
struct language_values {
    const char *file, *dir, *stdin_path, *number;
};

/* text with its placeholders replaced: a new string. */
char *language_fill(const struct language *, const char *text, const struct language_values *);

/* An argv for posix_spawn(3), to be freed by language_free_argv. */
char **language_argv(const struct language *, const json_t *list, const struct language_values *);
void language_free_argv(char **argv); /* accepts NULL */

#endif
