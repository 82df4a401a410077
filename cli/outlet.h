/*
 * outlet.h - output that nobody may be reading just now: the wait for room ends with an interrupt (interrupt.h), which is left for
 * others to take.
 */
#ifndef CLI_OUTLET_H
#define CLI_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Writes all of it; -1: errno, which is EINTR when there was an interrupt and no room. */
int outlet_write(int fd, const char *bytes, size_t len);

/*
 * The same after what the stream still holds.  What cannot be written to stdout is the end of what is under way (interrupt_end); what
 * there was no room for when an interrupt came is left out.
 */
void outlet_put(FILE *, const char *bytes, size_t len);

/* Whether something was left out since the last call. */
bool outlet_was_cut(void);

/* Why stdout could not be written to (errno); 0: it could. */
int outlet_error(void);

#endif
