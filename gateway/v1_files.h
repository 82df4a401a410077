/* v1_files.h - the handlers of /v1/sessions/{id}/files. */
#ifndef GATEWAY_V1_FILES_H
#define GATEWAY_V1_FILES_H

#include <jansson.h>

#include "api.h"

struct target;
struct v1_session;

api_handler_fn v1_files_list;
api_handler_fn v1_files_delete;
api_handler_fn v1_files_mkdir;
api_handler_fn v1_files_move;
api_handler_fn v1_files_usage;

/* v1_filedata.c: those with bytes. */
api_handler_fn v1_files_get;
api_handler_fn v1_files_put; /* streamed */
api_handler_fn v1_files_archive;
api_handler_fn v1_files_extract; /* streamed */
api_handler_fn v1_files_watch;

/* v1_filepost.c: several files, or one in JSON. */
api_handler_fn v1_files_post; /* streamed */

/* --- what they share ---------------------------------------------------------------------- */

/* The path of a parameter of the path or the query ("": it may be missing, and is "" then).  False: it has been answered. */
bool v1_files_path(struct http_request *, const char *field, const char *value, bool may_be_empty);

/* An entry as clients see it, a new object; NULL: that is none. */
json_t *v1_files_entry(const json_t *reply_entry);

/* What is answered where an operation's reply is none. */
void v1_files_nonsense(struct err *);

#endif
