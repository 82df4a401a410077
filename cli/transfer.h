/*
 * transfer.h - files between here and a session, with a line that tells how far they are (progress.h).
 *
 * A download is a file of its own beside the one that it becomes, NAME.ETAG.part, until it is whole: after a broken connection, or
 * the next time, it goes on where it was, if the session's file is still the same.
 */
#ifndef CLI_TRANSFER_H
#define CLI_TRANSFER_H

#include <jansson.h>
#include <stdbool.h>

#include "client.h"

struct transfer_place {
    struct client *client;
    const char *session; /* its id */
    bool quiet;          /* no progress */
};

/*
 * The file, or directory, of that path of the session to the local path: "-" is stdout; what is there already is replaced, of a
 * directory the files of the same names.  *told: {"path", "local", "type", "bytes"}, the caller's.
 */
int transfer_get(const struct transfer_place *, const char *path, const char *local, json_t **told,
                 struct err *) must_check;

/* A local file or directory, or stdin ("-"), to that path.  *told: the server's answer, the caller's. */
int transfer_put(const struct transfer_place *, const char *local, const char *path, json_t **told,
                 struct err *) must_check;

/* "/v1/sessions/ID/files" and what follows; a new string. */
char *transfer_url(const struct transfer_place *, const char *verb, const char *path);

#endif
