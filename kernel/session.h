/*
 * session.h - an interpreter that lives on from cell to cell.
 *
 * It is started with the variable TCI_STATUS in its environment, the path of a FIFO, and reads lines from its standard
 * input: `feed` or `complete` of its language, filled in.  It answers each with lines in the FIFO:
 *
 *     match WORD               a completion of the word before the cursor
 *     word CHARACTERS          how long that word is
 *     image FILE               a PNG that the cell shows
 *     show FILE                what it shows, by MIME type: a JSON object; the file is removed
 *     result FILE              the same of its value
 *     error NAME: TEXT         what went wrong, where a status says too little
 *     exit NUMBER STATUS       the end: the number is the cell's; lines with another number are none
 *
 * When it ends it is started anew for the next cell.  What it wants to have then it keeps in a file of its own beside the
 * FIFO, $TCI_STATUS.kept, which the next one removes: where there is none, its state is lost.
 */
#ifndef KERNEL_SESSION_H
#define KERNEL_SESSION_H

#include <jansson.h>
#include <stdbool.h>

#include "attendant.h"
#include "language.h"
#include "outcome.h"

struct session;

/* Has files in dir.  Starts the interpreter, so that it is ready when the first cell comes. */
struct session *session_new(const struct language *, const struct attendant *, const char *dir,
                            struct err *) must_check;
void session_free(struct session *); /* accepts NULL */

/* values->number is set here.  input: as watch.h has it. */
void session_run(struct session *, struct language_values *values, int input, struct outcome *);

/* A new array of strings; *word: characters before the cursor that they replace. */
json_t *session_complete(struct session *, struct language_values *values, int *word);

#endif
