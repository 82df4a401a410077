/* jsonfile.h - writes results. */
#ifndef BENCH_JSONFILE_H
#define BENCH_JSONFILE_H

#include <jansson.h>

#include "err.h"
#include "mem.h"

/* Indented to the file, or as one line to standard output when path is "-". */
int jsonfile_write(const json_t *, const char *path, struct err *) must_check;

#endif
