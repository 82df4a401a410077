/* remotepath.h - the paths of a session's files: as the user writes them, and in a URL.  Pure. */
#ifndef CLI_REMOTEPATH_H
#define CLI_REMOTEPATH_H

#include <stdbool.h>

/*
 * Below the workspace, without slashes at its end: "/workspace/a/", "./a" and "a/" are "a", and "/workspace", "." and "" are "", the
 * workspace itself.  All else is left for the server to judge.  A new string.
 */
char *remotepath_clean(const char *text);

/* The last component; "workspace" for the workspace.  Borrowed. */
const char *remotepath_name(const char *path);

/* dir/name, or name where dir is "".  A new string. */
char *remotepath_join(const char *dir, const char *name);

/* For a path of a URL: all but unreserved characters (RFC 3986) and slashes as %XX.  A new string. */
char *remotepath_encode(const char *path);

/* Whether the user means a directory: a slash at its end, or nothing but the workspace. */
bool remotepath_is_directory(const char *text);

#endif
