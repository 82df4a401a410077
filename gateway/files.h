/* files.h - where the gateway's own files are: beside the build tree it was started from, or installed. */
#ifndef GATEWAY_FILES_H
#define GATEWAY_FILES_H

#include "err.h"
#include "mem.h"

struct files {
    char *worker;      /* the tci-worker program */
    char *kernel;      /* the tci-kernel program */
    char *proxy;       /* the tci-proxy program */
    char *kernelspecs; /* our directory of kernelspecs */
    char *web;         /* the directory of pages */
    char *scan_rules;  /* what code is looked at for, unless TCI_SCAN_RULES says so */
};

/* By /proc/self/exe.  On failure *out is cleared and the error names what is missing. */
int files_find(struct files *out, struct err *) must_check;
void files_clear(struct files *); /* idempotent */

/* Makes the directory and its parents with this mode; an existing one is left alone. */
int files_make_dir(const char *path, unsigned mode, struct err *) must_check;

/* Writes text aside and renames it over path, with this mode. */
int files_write(const char *path, unsigned mode, const char *text, struct err *) must_check;

#endif
