/*
 * audit.h - who did what: a record of each execution, each release and each request that was denied.  They go to a file,
 * one JSON object a line, and to an SQLite database; either may be off.
 *
 * Records wait in bounded queues and are written in batches, soon after.  Nothing waits for a disk or a lock: what cannot
 * be written is tried again, and once a queue is full, what comes is counted and dropped.  A flood of denied requests is
 * thinned out, so that nobody without a token can fill a disk or push out what others did.
 */
#ifndef GATEWAY_AUDIT_H
#define GATEWAY_AUDIT_H

#include "audit_event.h"
#include "err.h"
#include "mem.h"

struct audit;
struct event_base;

struct audit_options {    /* copied */
    const char *log_path; /* "" = no file */
    const char *db_path;  /* "" = no database */
    unsigned days;        /* that the database keeps records for */
};

/* Opens both, and fails if one cannot be used.  A database that cannot be read is set aside. */
struct audit *audit_new(struct event_base *, const struct audit_options *, struct err *) must_check;

/* Accepts NULL.  Writes what waits, if it can be written now. */
void audit_free(struct audit *);

/* SIGHUP: opens the file anew, by what may be another path, and takes over days.  On failure the old file stays.  The
 * database's path is not looked at. */
int audit_reconfigure(struct audit *, const struct audit_options *, struct err *) must_check;

/* Copies the event and sets its time to now. */
void audit_add(struct audit *, const struct audit_event *);

#endif
