/* filehead.h - what a request about a file says: its path, the part of it, its entity tags; and what type it is.  Pure. */
#ifndef GATEWAY_FILEHEAD_H
#define GATEWAY_FILEHEAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Whether it is UTF-8, and a path below the workspace (worker/pathrule.h). */
bool filehead_is_path(const char *path);

/* Whether it is UTF-8, and a cursor of listings (pathrule_decode). */
bool filehead_is_cursor(const char *);

/* {"first"?, "last"?} of a Range header, a new object; NULL: it has none, or one that is to be ignored (RFC 9110, 14.2). */
json_t *filehead_range(const char *header);

/*
 * The tags of If-Match, without quotes, as a new array; true for "*"; NULL when there is no such header.  *ok: it is well-formed.
 */
json_t *filehead_match(const char *header, bool *ok);

/* Whether If-None-Match names that tag, or any. */
bool filehead_names(const char *header, const char *etag);

/* The tag of If-Range, without quotes, a new string; "" for a date, which nothing matches; NULL: there is no such header. */
json_t *filehead_if_range(const char *header);

/* The type of a file of that name, by its extension. */
const char *filehead_type(const char *path);

/* Whether it is an entity tag as worker/filetree.c makes them: nothing that a header could not hold. */
bool filehead_is_etag(const char *);

#endif
