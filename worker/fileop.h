/*
 * fileop.h - one operation on the files of the session, in a process of its own: the sandbox user's, without a secret in its
 * memory, so that whatever lies in the workspace, links, FIFOs or archives, can harm nothing but the sandbox itself.
 *
 * The worker starts this program anew for it (files.h), with FILEOP_ARGUMENT.  What is said on its socket is in fileio.h, the
 * requests and replies are in protocol.h.
 */
#ifndef WORKER_FILEOP_H
#define WORKER_FILEOP_H

#include <jansson.h>

#define FILEOP_ARGUMENT "--file-operation"

enum { FILEOP_CPU_S = 600 }; /* processor time after which one is ended */

/* Does what the socket asks for, and ends the process: its memory goes with it. */
void fileop_main(void) __attribute__((noreturn));

/* The parts.  Each answers by fileio.h; root is the workspace. */
typedef void fileop_fn(int root, const json_t *request);
fileop_fn fileop_read, fileop_write;      /* filedata.c */
fileop_fn fileop_archive, fileop_extract; /* filearchive.c */
fileop_fn fileop_install;                 /* fileinstall.c */
fileop_fn fileop_watch;                   /* filewatch.c */

/* Members of the request; the process ends in an error where one is missing or wrong. */
const char *fileop_path(const json_t *request, const char *key);
json_int_t fileop_integer(const json_t *request, const char *key, json_int_t missing);
int fileop_flag(const json_t *request, const char *key);

#endif
