#include "audit.h"

#include <stdio.h>
#include <string.h>
#include <event2/event.h>

#include "audit_db.h"
#include "audit_log.h"
#include "bucket.h"
#include "clock.h"
#include "log.h"
#include "metrics.h"

enum {
    FLUSH_MS = 200,          /* after the first of a batch */
    RETRY_MS = 1000,         /* after a failure */
    PURGE_MS = 3600 * 1000,  /* between looks for old rows */
    PURGE_AGAIN_MS = 50,     /* ... while there are many */
    DENIED_PER_MINUTE = 600, /* records of denied requests */
};

/* One of the two places that records go to, and how that goes. */
struct sink {
    const char *name;
    enum metric_counter dropped_metric;
    bool failing;
    unsigned long dropped; /* since that was last logged */
};

struct audit {
    struct audit_log *log; /* NULL: off */
    struct audit_db *db;   /* NULL: off */
    struct sink log_sink, db_sink;
    unsigned days;
    struct bucket denied;
    unsigned long unrecorded; /* denied requests since the last that was recorded */
    struct event *flush, *purge;
};

/* Once when it begins and once when it ends, not for every try; nothing more while it goes well. */
static void
note(struct sink *sink, int rc, const struct err *err)
{
    if (sink->dropped)
        log_error("audit: %s: %lu records are lost: too many wait", sink->name, sink->dropped);
    sink->dropped = 0;
    if (rc < 0 && !sink->failing)
        log_error("audit: %s: %s; it is tried again", sink->name, err->msg);
    if (rc == 0 && sink->failing)
        log_info("audit: %s: written again", sink->name);
    sink->failing = rc < 0;
}

/* Whether something still waits that can be written now. */
static bool
flush_both(struct audit *audit)
{
    struct err err = ERR_INIT;
    bool more_log = false, more_db = false;

    if (audit->log)
        note(&audit->log_sink, audit_log_flush(audit->log, &more_log, &err), &err);
    if (audit->db)
        note(&audit->db_sink, audit_db_flush(audit->db, &more_db, &err), &err);
    return (more_log && !audit->log_sink.failing) || (more_db && !audit->db_sink.failing);
}

/* One batch a turn: answers go in between. */
static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
    struct audit *audit = arg;

    (void)fd, (void)what;
    if (flush_both(audit))
        clock_arm(audit->flush, 1);
    else if (audit->log_sink.failing || audit->db_sink.failing)
        clock_arm(audit->flush, RETRY_MS);
}

static void
on_purge(evutil_socket_t fd, short what, void *arg)
{
    struct audit *audit = arg;
    struct err err = ERR_INIT;
    bool more = false;
    int rc = audit_db_purge(audit->db, audit->days, &more, &err);

    (void)fd, (void)what;
    if (rc < 0 && err.code != ERR_BUSY)
        log_error("audit: old records are not removed: %s", err.msg);
    clock_arm(audit->purge, more ? PURGE_AGAIN_MS : rc < 0 ? RETRY_MS * 60 : PURGE_MS);
}

struct audit *
audit_new(struct event_base *base, const struct audit_options *o, struct err *err)
{
    struct audit *audit = xcalloc(1, sizeof(*audit));

    audit->log_sink = (struct sink){.name = "log", .dropped_metric = METRIC_AUDIT_LOG_DROPPED};
    audit->db_sink = (struct sink){.name = "database", .dropped_metric = METRIC_AUDIT_DB_DROPPED};
    audit->days = o->days;
    audit->flush = xnotnull(evtimer_new(base, on_flush, audit));
    audit->purge = xnotnull(evtimer_new(base, on_purge, audit));
    if ((o->log_path[0] && (audit->log = audit_log_open(o->log_path, err)) == NULL) ||
        (o->db_path[0] && (audit->db = audit_db_open(o->db_path, err)) == NULL)) {
        audit_free(audit);
        return NULL;
    }
    if (audit->db)
        clock_arm(audit->purge, PURGE_AGAIN_MS);
    return audit;
}

void
audit_free(struct audit *audit)
{
    if (audit == NULL)
        return;
    while (flush_both(audit))
        continue;
    audit_log_close(audit->log);
    audit_db_close(audit->db);
    event_free(audit->flush);
    event_free(audit->purge);
    free(audit);
}

static int
reopen_log(struct audit *audit, const char *path, struct err *err)
{
    bool more;

    if (path[0] == '\0' && audit->log) {
        while (audit_log_flush(audit->log, &more, err) == 0 && more)
            continue;
        audit_log_close(audit->log);
        audit->log = NULL;
        audit->log_sink.failing = false;
    } else if (path[0] && audit->log) {
        return audit_log_reopen(audit->log, path, err);
    } else if (path[0]) {
        audit->log = audit_log_open(path, err);
        return audit->log ? 0 : -1;
    }
    return 0;
}

int
audit_reconfigure(struct audit *audit, const struct audit_options *o, struct err *err)
{
    audit->days = o->days;
    if (audit->db)
        clock_arm(audit->purge, PURGE_AGAIN_MS);
    return reopen_log(audit, o->log_path, err);
}

static void
drop(struct sink *sink)
{
    metrics_add(sink->dropped_metric, 1);
    sink->dropped++;
}

/* False: so many were denied of late that this one is only counted.  The next that is recorded tells how many. */
static bool
thin_out(struct audit *audit, struct audit_event *event)
{
    double wait;

    if (!bucket_take(&audit->denied, DENIED_PER_MINUTE, clock_now(), &wait)) {
        audit->unrecorded++;
        metrics_add(METRIC_AUDIT_FLOOD_DROPPED, 1);
        return false;
    }
    if (audit->unrecorded) {
        size_t len = strlen(event->detail);

        snprintf(event->detail + len, sizeof(event->detail) - len, "; %lu before it not recorded",
                 audit->unrecorded);
        audit->unrecorded = 0;
    }
    return true;
}

void
audit_add(struct audit *audit, const struct audit_event *event)
{
    struct audit_event copy = *event;

    if (audit->log == NULL && audit->db == NULL)
        return;
    if (strcmp(copy.outcome, "denied") == 0 && !thin_out(audit, &copy))
        return;
    audit_event_set_time(&copy);
    if (audit->log && !audit_log_add(audit->log, &copy))
        drop(&audit->log_sink);
    if (audit->db && !audit_db_add(audit->db, &copy))
        drop(&audit->db_sink);
    if (!evtimer_pending(audit->flush, NULL))
        clock_arm(audit->flush, FLUSH_MS);
}
