/* interrupt.h - Ctrl-C, and being told to end, as something that can be waited for. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/*
 * From here on SIGINT, SIGTERM and SIGHUP, unless they are ignored, end nothing, but make interrupt_fd() readable; what waits
 * for something waits for that, too.  SIGQUIT ends it still, and SIGTSTP stops it, with the terminal as it is now.
 */
void interrupt_catch(void);

/*
 * SIGPIPE, too, unless it is ignored: for who has something at the server that is to end when nobody reads any further.  What
 * wrote has EPIPE.
 */
void interrupt_catch_pipe(void);

/* -1 as long as interrupts are not caught. */
int interrupt_fd(void);

/* Whether there was one since the last call. */
bool interrupt_taken(void);

/* That one is there again, for who comes next: what took it was not all that it was meant for. */
void interrupt_put_back(void);

/* As a signal to end would: for who finds that what is under way is for nothing. */
void interrupt_end(void);

/* Whether it was stopped, and went on at the terminal, since the last call: something else may stand there now. */
bool interrupt_has_stopped(void);

/* Whether one of them was not Ctrl-C: then it is over, and there is no second one to wait for. */
bool interrupt_is_final(void);

/* Whether one of them was SIGPIPE. */
bool interrupt_was_pipe(void);

#endif
