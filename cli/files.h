/* files.h - tci files: the files of a session. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <jansson.h>

#include "command.h"
#include "transfer.h"

command_fn files_command;

/* The listing of a directory, all pages of it: {"files"}, the caller's. */
int files_list(const struct transfer_place *, const char *path, bool recursive, json_t **list,
               struct err *) must_check;

/* The same as a table on stdout. */
void files_print(const json_t *list);

/* Where a file of that name is to be: below `to` where that means a directory here; a new string. */
char *files_local(const char *to, const char *path);

/* The path of a local file in a session: below `to` where that means a directory there, or there are several; a new string. */
char *files_remote(const char *to, const char *local, bool several);

#endif
