/*
 * execute.h - code run in a session, while the user looks on.
 *
 * What it shows appears as it comes; what it asks for is read from stdin; the first Ctrl-C interrupts it, the second leaves it,
 * which cancels it.
 */
#ifndef CLI_EXECUTE_H
#define CLI_EXECUTE_H

#include <jansson.h>

#include "client.h"
#include "command.h"
#include "session.h"
#include "show.h"

/* body: the request, which is taken; "stream" is added.  What is wrong is told on stderr in the name of the command. */
enum exit_status execute(struct client *, const char *command, const struct session *, json_t *body,
                         struct show *);

/* The same without looking on: the server's answer is printed as JSON. */
enum exit_status execute_in_json(struct client *, const char *command, const struct session *,
                                 json_t *body);

/* The exit status of how an execution ended, "ok", "error", "timeout" ...; NULL: nobody knows. */
enum exit_status execute_status(const char *ended);

#endif
