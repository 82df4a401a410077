/*
 * kernelspec.h - a kernel.json as Jupyter defines it (jupyter-client, "Kernel specs"), found by name in
 * our kernelspecs/ directory and then in Jupyter's system directories.
 */
#ifndef GATEWAY_KERNELSPEC_H
#define GATEWAY_KERNELSPEC_H

#include <jansson.h>
#include <stdbool.h>

#include "allowance.h"
#include "err.h"
#include "mem.h"

struct kernelspec {
    char *name; /* directory name, [A-Za-z0-9_-][A-Za-z0-9._-]*, at most 64 */
    char *dir;  /* the directory on the host, absolute, links resolved */

    /* Array of strings; {resource_dir} is already the path inside the container (TCI_PATH_KERNELSPEC),
     * {connection_file} is left for the worker. */
    json_t *argv;

    /* Object of strings, the kernel's whole environment: what the file says over HOME, LANG, LOGNAME,
     * PATH, SHELL and USER.  ${NAME} is not expanded. */
    json_t *env;

    char *display_name;     /* name, where the file has none */
    char *language;         /* "" where the file has none */
    bool interrupt_message; /* interrupt_mode is "message": a request on control, no signal */

    /* metadata.tci.prepare: argv of a program run once on the host before the first worker, to build
     * the home that every worker starts with; quick when it is there.  {resource_dir} is dir already,
     * {skel_dir} is left in place.  NULL if absent. */
    json_t *prepare;

    /* metadata.tci.warmup: array of code strings run silently before a worker counts as warm; NULL if
     * absent. */
    json_t *warmup;

    /* metadata.tci.flow_control: the kernel publishes no faster than it is read, and drops nothing.  A worker then
     * reads output beyond the limits slowly; without that, what is not read in time may be the idle status. */
    bool flow_control;

    /* metadata.tci.warm: how many workers are kept warm where it is not TCI_KERNEL. */
    unsigned warm;

    /* metadata.tci.limits: what its workers get in place of what the settings say; 0 where they say it. */
    struct portion limits;

    /* metadata.tci.package: what to install where the kernel is not, as it says it: a string or an array of strings; NULL if
     * absent. */
    json_t *package;

    /* metadata.tci.packages: how packages are installed, see packagetool.h, {resource_dir} in install being TCI_PATH_KERNELSPEC; NULL if
     * absent: not at all. */
    json_t *packages;

    /* metadata.tci.needs: array of absolute paths without which the kernel does not run; NULL if absent. */
    json_t *needs;
};

/* The directories that kernelspecs are looked for in, NULL-terminated: own_dir (may be NULL), then Jupyter's. */
#define KERNELSPEC_DIRS 3
void kernelspec_dirs(const char *own_dir, const char *dirs[KERNELSPEC_DIRS + 1]);

/*
 * Looks for dir/name/kernel.json in own_dir (may be NULL), /usr/local/share/jupyter/kernels and
 * /usr/share/jupyter/kernels, in this order.  On failure *ks is cleared and the error says which
 * directories were searched, or which key of which file is wrong.  Reads files: for start-up only.
 */
int kernelspec_find(const char *own_dir, const char *name, struct kernelspec *ks,
                    struct err *) must_check;

/*
 * As kernelspec_find, of the directory dir/name only.  On failure *missing says that there is no kernel.json in it, or that the
 * name is none; *ks is cleared.
 */
int kernelspec_load(const char *dir, const char *name, struct kernelspec *ks, bool *missing,
                    struct err *) must_check;

/*
 * Whether what the kernel needs is on this host: its program, and metadata.tci.needs.  The host's /usr is all that
 * containers see.  The error says what is missing, and which package has it.
 */
int kernelspec_check(const struct kernelspec *, struct err *) must_check;

void kernelspec_clear(struct kernelspec *); /* idempotent */

#endif
