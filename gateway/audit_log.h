/* audit_log.h - audit events as lines of JSON at the end of a file.  Only whole lines, also on a disk that is full. */
#ifndef GATEWAY_AUDIT_LOG_H
#define GATEWAY_AUDIT_LOG_H

#include <stdbool.h>

#include "audit_event.h"
#include "err.h"
#include "mem.h"

struct audit_log;

/* Opens path, or makes it, 0600. */
struct audit_log *audit_log_open(const char *path, struct err *) must_check;
void audit_log_close(struct audit_log *); /* accepts NULL; what waits is lost */

/* On failure the file it has stays. */
int audit_log_reopen(struct audit_log *, const char *path, struct err *) must_check;

/* False: too much waits already. */
bool audit_log_add(struct audit_log *, const struct audit_event *) must_check;

/* Writes some of what waits; *more tells whether something still does.  On failure nothing is lost. */
int audit_log_flush(struct audit_log *, bool *more, struct err *) must_check;

#endif
