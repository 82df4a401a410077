/* scratch.h - the directory that cells are written to and built in, outside of the user's working directory. */
#ifndef KERNEL_SCRATCH_H
#define KERNEL_SCRATCH_H

#include "err.h"
#include "mem.h"

/* Makes one below $TMPDIR or /tmp: a new string. */
char *scratch_new(struct err *) must_check;

/* Makes dir/name anew, with what is in it removed: a new string, NULL with *err. */
char *scratch_subdir(const char *dir, const char *name, struct err *) must_check;

/* Writes a file: a new string with its path, NULL with *err. */
char *scratch_write(const char *dir, const char *name, const char *data, size_t len,
                    struct err *) must_check;

/* Makes a FIFO, open for both directions, so that neither end is ever missing; -1 with *err.  *path is a new string. */
int scratch_fifo(const char *dir, const char *name, char **path, struct err *) must_check;

/* With all that is in it. */
void scratch_remove(const char *dir);

#endif
