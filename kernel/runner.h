/* runner.h - runs cells: as programs of their own, which are built and run, or in the session of their language. */
#ifndef KERNEL_RUNNER_H
#define KERNEL_RUNNER_H

#include <jansson.h>
#include <stdbool.h>

#include "attendant.h"
#include "language.h"
#include "outcome.h"

struct runner;

/* Both must outlive it. */
struct runner *runner_new(const struct language *, const struct attendant *,
                          struct err *) must_check;
void runner_free(struct runner *); /* accepts NULL */

/* What it writes goes to the kernel's own descriptors 1 and 2.  may_ask: the client answers where it wants input. */
void runner_run(struct runner *, const char *code, size_t len, bool may_ask, struct outcome *);

/* "complete", "incomplete", "invalid" or "unknown". */
const char *runner_check(struct runner *, const char *code, size_t len);

/* Completions of the word at the end of the code, a new array of strings; *word: its length in characters. */
json_t *runner_complete(struct runner *, const char *code, size_t len, int *word);

/* What the language says of its version: a new string, "" where nothing is known. */
char *runner_version(struct runner *);

#endif
