/* program.h - a program that runs as a child, in a process group of its own. */
#ifndef KERNEL_PROGRAM_H
#define KERNEL_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"
#include "mem.h"

struct program {
    pid_t pid;  /* its process group as well; 0: there is none */
    int status; /* as of waitpid(2), once it has ended */
};

/* Descriptors that become its 0, 1 and 2; -1: the kernel's own.  Borrowed. */
struct program_fds {
    int in, out, err;
};

/* argv[0] is looked up in PATH.  Its working directory and environment are the kernel's. */
int program_start(struct program *, char *const argv[], const struct program_fds *,
                  struct err *) must_check;

/* To all of its group. */
void program_signal(const struct program *, int signal);

/* True once it has ended; what is left of its group is killed then, and pid is 0. */
bool program_has_ended(struct program *);

/* Kills its group and waits for its end. */
void program_kill(struct program *);

/* True if it exited with 0. */
bool program_went_well(const struct program *);

/* How it ended, as the two parts of an error: "ExitStatus" and "exit status 3", or "SIGSEGV" and what that means. */
void program_explain(const struct program *, char ename[32], char evalue[96]);

/* Whether that can be seen at all: gVisor's /proc does not tell. */
bool program_can_see_input(void);

/* Whether some process of the group waits to read from the file `input` as its standard input. */
bool program_wants_input(const struct program *, int input);

#endif
