#include "packageindex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const schemes[][2] = {{"http://", "80"}, {"https://", "443"}};

static bool
is_text(const char *s)
{
    for (; *s; s++)
        if (*s <= ' ' || *s > '~' || strchr("\"'\\<>`{}|", *s))
            return false;
    return true;
}

/* Whether a port stands behind the host; a colon in brackets is an address'. */
static bool
has_port(const char *place)
{
    const char *bracket = strrchr(place, ']'), *colon = strrchr(place, ':');

    return colon && (bracket == NULL || colon > bracket);
}

static int
take_place(const char *host, const char *port, struct packageindex *out)
{
    const int len = (int)strcspn(host, "/?#");

    if (len == 0 || (int)strcspn(host, "@,*") < len)
        return -1;
    snprintf(out->place, sizeof(out->place), "%.*s", len, host);
    if (!has_port(out->place))
        snprintf(out->place, sizeof(out->place), "%.*s:%s", len, host, port);
    return 0;
}

int
packageindex_parse(const char *url, struct packageindex *out)
{
    if (strlen(url) > PACKAGEINDEX_MAX - sizeof(":443") || !is_text(url))
        return -1;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        const size_t n = strlen(schemes[i][0]);

        if (strncmp(url, schemes[i][0], n) == 0)
            return take_place(url + n, schemes[i][1], out);
    }
    return -1;
}

/* --- several of them ---------------------------------------------------------------------- */

/* An entry of a list, taken apart; both are parts of the list. */
struct entry {
    const char *name, *url;
    size_t n_name, n_url;
};

/* The entry at *at, which moves behind it; false: there is no more. */
static bool
next_entry(const char **at, struct entry *e)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

    if (**at == '\0')
        return false;
    e->name = e->url = *at;
    e->n_name = strspn(*at, letters);
    if (e->n_name > 0 && e->name[e->n_name] == '=')
        e->url += e->n_name + 1;
    else
        e->n_name = 0;
    e->n_url = strcspn(e->url, ",");
    *at = e->url + e->n_url;
    *at += **at == ',';
    return true;
}

static bool
parse_entry(const struct entry *e, struct packageindex *out)
{
    char url[PACKAGEINDEX_MAX + 1];

    if (e->n_url > PACKAGEINDEX_MAX)
        return false;
    snprintf(url, sizeof(url), "%.*s", (int)e->n_url, e->url);
    return packageindex_parse(url, out) == 0;
}

static bool
is_named(const struct entry *e, const char *name, size_t len)
{
    return e->n_name == len && memcmp(e->name, name, len) == 0;
}

static unsigned
count_named(const char *list, const struct entry *wanted)
{
    struct entry e;
    unsigned n = 0;

    while (next_entry(&list, &e))
        n += is_named(&e, wanted->name, wanted->n_name);
    return n;
}

bool
packageindex_is_list(const char *list)
{
    const char *at = list;
    struct packageindex index;
    struct entry e;

    while (next_entry(&at, &e))
        if (!parse_entry(&e, &index) || count_named(list, &e) > 1)
            return false;
    return list[0] == '\0' || list[strlen(list) - 1] != ',';
}

const char *
packageindex_find(const char *list, const char *name, char out[PACKAGEINDEX_MAX + 1])
{
    struct entry e;

    while (next_entry(&list, &e))
        if (is_named(&e, name, strlen(name)) && e.n_url <= PACKAGEINDEX_MAX) {
            snprintf(out, PACKAGEINDEX_MAX + 1, "%.*s", (int)e.n_url, e.url);
            return out;
        }
    return NULL;
}

char *
packageindex_allow(const char *list, const char *hosts)
{
    char *all = xstrdup(list[0] ? hosts : "");
    struct packageindex index;
    struct entry e;

    while (next_entry(&list, &e)) {
        char *more;

        if (!parse_entry(&e, &index))
            continue;
        more = xasprintf("%s%s%s", index.place, all[0] ? "," : "", all);
        free(all);
        all = more;
    }
    return all;
}
