/*
 * fuzz.h - what the fuzz targets share.  A target is one function that takes any bytes; libFuzzer's main calls
 * it, or replay.c's with the files of its corpus.  Most targets read their input as lines.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
#define must(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))
_Noreturn void fuzz_fail(const char *file, int line, const char *condition);

struct fuzz_input {
    const uint8_t *data;
    size_t size;
};

/*
 * A piece of the input, up to the next separator, in memory of its own: reading beyond it is seen by the sanitizer.
 * NULL when there is none left.
 */
char *fuzz_next(struct fuzz_input *, char separator, size_t *len);

/* A piece as a string, the caller's.  (strndup looks for an end beyond it, by the sanitizer's strict reading.) */
char *fuzz_text(const char *piece, size_t len);

#endif
