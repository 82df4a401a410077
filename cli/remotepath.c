/* remotepath.c - see remotepath.h. */
#include "remotepath.h"

#include <stdio.h>
#include <string.h>

#include "gateway/mem.h"

char *
remotepath_clean(const char *text)
{
    static const char workspace[] = "/workspace";
    const size_t len = sizeof(workspace) - 1;
    char *path;
    size_t n;

    if (strncmp(text, workspace, len) == 0 && (text[len] == '/' || text[len] == '\0')) {
        text += len;
        text += strspn(text, "/");
    }
    while (strncmp(text, "./", 2) == 0) {
        text += 2;
        text += strspn(text, "/");
    }
    path = xstrdup(strcmp(text, ".") == 0 ? "" : text);
    for (n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = '\0';
    return path;
}

const char *
remotepath_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (path[0] == '\0')
        return "workspace";
    return slash && slash[1] ? slash + 1 : path;
}

char *
remotepath_join(const char *dir, const char *name)
{
    return xasprintf("%s%s%s", dir, dir[0] ? "/" : "", name);
}

char *
remotepath_encode(const char *path)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    char *out = xcalloc(3 * strlen(path) + 1, 1), *p = out;

    for (; *path; path++)
        p += sprintf(p, strchr(plain, *path) ? "%c" : "%%%02X", (unsigned char)*path);
    return out;
}

bool
remotepath_is_directory(const char *text)
{
    const size_t len = strlen(text);
    cleanup_free char *path = remotepath_clean(text);

    return path[0] == '\0' || (len > 0 && text[len - 1] == '/');
}
