/*
 * changes.h - which files of a directory an execution makes, changes and deletes: what is there before it held against what is
 * there after it.
 */
#ifndef WORKER_CHANGES_H
#define WORKER_CHANGES_H

#include <stdbool.h>

#include "frame.h"

struct changes;

/* dir: borrowed; stays open from the first changes_begin on. */
struct changes *changes_new(const char *dir);
void changes_free(struct changes *); /* accepts NULL */

/*
 * Looks at what is there.  May wait for the next tick of the clock, where a change right after the last one could not be told from it.
 */
void changes_begin(struct changes *);

/*
 * Looks again, and says what is different: the frames of CHANGES (protocol.h), valid until the next call.  False: nothing is.  May
 * be called several times.
 */
bool changes_end(struct changes *, struct frame frames[2]);

#endif
