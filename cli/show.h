/*
 * show.h - what an execution shows, on the terminal: text as a terminal may have it (sift.h), pictures there, or as files whose paths are told.
 */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <jansson.h>

struct show;

/*
 * Pictures go to the directory, which is borrowed; NULL: to the terminal, where that can show them (graphics.h), else to the current
 * directory.
 */
struct show *show_new(const char *picture_dir);
void show_free(struct show *); /* accepts NULL */

/* One event of an execution; those that show nothing are passed over. */
void show_event(struct show *, const char *name, const json_t *data);

#endif
