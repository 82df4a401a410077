/*
 * config.h - the settings: what they are, loaded and reloaded.  A value comes from, in rising order of precedence: the
 * default, the configuration file, the environment (TCI_NAME), the command line (--name).
 */
#ifndef GATEWAY_CONFIG_H
#define GATEWAY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "err.h"
#include "log.h"
#include "mem.h"
#include "netpolicy.h"
#include "scan.h"

/* Whether modules that code imports are installed if they are missing. */
enum packages_on_import { PACKAGES_BY_REQUEST, PACKAGES_BY_IMPORT };

/* The strings are never NULL.  Those that SIGHUP may change are replaced: keep no pointer to them. */
struct config {
    unsigned audit_days;    /* that audit_db keeps records for */
    char *audit_db;         /* "on" = in state_dir, "off", or a path */
    char *audit_log;        /* "" = none */
    char *auth_token;       /* "" = made once and kept in state_dir */
    double client_timeout;  /* seconds for a request to arrive, an answer to be taken */
    char *config_file;      /* "" = none; --config only */
    char *cors_origin;      /* "" = no CORS, "*" or one origin */
    double exec_timeout;    /* seconds */
    unsigned keep_days;     /* that files of an ended session are kept */
    unsigned keep_mb;       /* of all of them; 0 = none are kept */
    unsigned keep_sessions; /* of one caller */
    char *kernel;           /* kernelspec name */
    char *listen;           /* hostport.h */
    enum log_format log_format;
    enum log_level log_level;
    size_t max_code_bytes;
    unsigned max_connections_per_address; /* 0 = any number */
    size_t max_output_bytes;              /* of one execution */
    size_t max_stream_bytes;              /* of one that is streamed */
    unsigned max_total_workers;
    unsigned min_idle_workers;
    enum network_mode network; /* NETWORK_NONE: no session may have one */
    char *network_allow;       /* netpolicy.h */
    char *network_permit;      /* ... */
    char *network_resolver;    /* address[:port]; "" = the system's */
    double orphan_timeout;     /* seconds a worker lives on without a gateway */
    size_t packages_cache_mb;  /* of installed packages that are kept */
    char *packages_dir;        /* of wheels and the like; "" = none */
    char *packages_hosts;      /* as network_allow: what packages_index leads to */
    char *packages_index;      /* URLs (packageindex.h); "" = none */
    enum packages_on_import packages_on_import;
    double packages_timeout;  /* seconds that an installation may take */
    unsigned queue_limit;     /* executions of one session, waiting and running */
    char *runsc_platform;     /* "", "ptrace", "systrap" or "kvm" */
    char *runtime;            /* "crun" or "runsc" */
    enum scan_mode scan;      /* what is done about code that breaks a rule */
    char *scan_rules;         /* absolute path; "" = the rules that come with the gateway */
    char *state_dir;          /* absolute path, no slash at its end */
    char *tls_cert, *tls_key; /* PEM files, absolute, both or none */
    double worker_cpu;        /* cores */
    unsigned worker_disk_mb;
    double worker_idle_timeout; /* seconds */
    unsigned worker_memory_mb;
    unsigned worker_pids;
    /* command line only */
    bool help, help_markdown, version, remove_containers;
};

/*
 * Fills *cfg from defaults, file, environment and argv; on failure *cfg is cleared and the error names
 * the setting (err->field), its value (never a token's), where it came from and what is allowed.  An
 * unknown option, an unknown key in the file and an unknown TCI_ variable in the environment are errors.
 * With one of help, help_markdown and version on the command line nothing else is looked at.
 */
int config_load(struct config *, int argc, char *const argv[], struct err *) must_check;

/*
 * For SIGHUP: loads anew and takes over what may change; *changed gets the number of settings that did.
 * A setting that differs but may not change is logged as a warning and keeps its value.  On failure
 * nothing has changed.
 */
int config_reload(struct config *, int argc, char *const argv[], unsigned *changed,
                  struct err *) must_check;

void config_clear(struct config *); /* idempotent */

/* Whether packages can be had from anywhere. */
bool config_has_packages(const struct config *);

/* --help: usage, then a line for each setting, sorted, with default and help text. */
void config_print_help(FILE *);

/* --help-markdown: the table that README.md has between `<!-- settings -->` and `<!-- /settings -->`. */
void config_print_markdown(FILE *);

#endif
