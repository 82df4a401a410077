/* interrupt.h - Ctrl-C as something that can be waited for. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/* From here on SIGINT ends nothing, but makes interrupt_fd() readable; what waits for something waits for that, too. */
void interrupt_catch(void);

/* -1 as long as interrupts are not caught. */
int interrupt_fd(void);

/* Whether there was one since the last call. */
bool interrupt_taken(void);

#endif
