/*
 * scratch_file.h - for tests about one file: a directory of the test's own, and the file's path in it.  Included by the one source
 * of a test, whose cmocka fixtures these are.
 */
#ifndef TESTS_UNIT_SCRATCH_FILE_H
#define TESTS_UNIT_SCRATCH_FILE_H

#include "tests/unit/scratch.h"

static char directory[SCRATCH_PATH], path[SCRATCH_PATH + 16];

static int
set_up(void **state)
{
    (void)state;
    if (scratch_make(directory) < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/file", directory);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    return scratch_remove(directory);
}

#endif
