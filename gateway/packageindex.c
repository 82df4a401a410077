#include "packageindex.h"

#include <stdbool.h>
#include <stdio.h>
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

    if (len == 0 || memchr(host, '@', (size_t)len) || memchr(host, ',', (size_t)len))
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

char *
packageindex_allow(const char *url, const char *hosts)
{
    struct packageindex index;

    if (url[0] == '\0' || packageindex_parse(url, &index) < 0)
        return xstrdup("");
    return xasprintf("%s,%s", index.place, hosts);
}
