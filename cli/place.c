/* place.c - see place.h. */
#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>

#include "gateway/statedir.h"

static const char *
from_environment(const char *given, const char *name)
{
    if (given == NULL)
        given = getenv(name);
    return given && given[0] ? given : NULL;
}

char *
place_state_dir(void)
{
    const char *dir = from_environment(NULL, "TCI_STATE_DIR");

    return dir ? xstrdup(dir) : statedir_default();
}

/* The first line of a file there, a new string; NULL with errno. */
static char *
read_line(const char *dir, const char *name)
{
    cleanup_free char *path = statedir_path(dir, name);
    FILE *file = fopen(path, "re");
    char text[512] = "";
    bool ok;

    if (file == NULL)
        return NULL;
    ok = fgets(text, sizeof(text), file) != NULL;
    fclose(file);
    text[strcspn(text, "\r\n")] = '\0';
    errno = ENODATA;
    return ok && text[0] ? xstrdup(text) : NULL;
}

static char *
without_slashes(const char *url)
{
    char *copy = xstrdup(url);

    for (size_t n = strlen(copy); n > 0 && copy[n - 1] == '/'; n--)
        copy[n - 1] = '\0';
    return copy;
}

static int
find_address(const char *given, const char *dir, struct place *p, struct err *err)
{
    cleanup_free char *own = read_line(dir, "address");

    if (given == NULL && own == NULL)
        return err_set(err, ERR_PEER,
                       "No gateway is running on %s: start one, or name a server with --url or "
                       "TCI_URL",
                       dir);
    p->url = without_slashes(given ? given : own);
    p->is_local = own != NULL && strcmp(p->url, own) == 0;
    if (strncmp(p->url, "http://", 7) == 0 || strncmp(p->url, "https://", 8) == 0)
        return 0;
    return err_set(err, ERR_CONFIG, "\"%.80s\" is no address like https://example.org:3874",
                   p->url);
}

/* A server may do without, so that none is no error here. */
static void
find_token(const char *given, const char *dir, struct place *p)
{
    if (given)
        p->token = xstrdup(given);
    else if (p->is_local)
        p->token = read_line(dir, "auth_token");
}

int
place_find(const struct place_options *o, struct place *p, struct err *err)
{
    cleanup_free char *standard = place_state_dir();
    const char *dir = o->state_dir ? o->state_dir : standard;
    const char *ca_file = from_environment(o->ca_file, "TCI_CA_FILE");

    memset(p, 0, sizeof(*p));
    if (find_address(from_environment(o->url, "TCI_URL"), dir, p, err) < 0)
        return -1;
    find_token(from_environment(o->token, "TCI_AUTH_TOKEN"), dir, p);
    p->ca_file = ca_file ? xstrdup(ca_file) : NULL;
    return 0;
}

void
place_clear(struct place *p)
{
    if (p->token)
        sodium_memzero(p->token, strlen(p->token));
    free(p->url);
    free(p->token);
    free(p->ca_file);
    memset(p, 0, sizeof(*p));
}
