#include "filehead.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mem.h"
#include "utf8.h"
#include "worker/pathrule.h"

enum { ETAG_BYTES = 72, TAGS = 64 };

/* --- paths -------------------------------------------------------------------------------- */

bool
filehead_is_path(const char *path)
{
    const size_t len = strlen(path);

    return utf8_valid_prefix(path, len) == len && pathrule_allows(path);
}

bool
filehead_is_cursor(const char *cursor)
{
    const size_t len = strlen(cursor);
    char path[PATHRULE_MAX + 1];

    return utf8_valid_prefix(cursor, len) == len && pathrule_decode(cursor, path);
}

/* --- ranges ------------------------------------------------------------------------------- */

/* -1: there is no number. */
static long long
take_number(const char **text)
{
    char *end;
    long long n;

    if (**text < '0' || **text > '9')
        return -1;
    errno = 0;
    n = strtoll(*text, &end, 10);
    *text = end;
    return errno ? LLONG_MAX : n;
}

json_t *
filehead_range(const char *header)
{
    long long first, last;

    if (header == NULL || strncasecmp(header, "bytes=", 6) != 0)
        return NULL;
    header += 6;
    header += strspn(header, " \t");
    first = take_number(&header);
    if (*header++ != '-')
        return NULL;
    last = take_number(&header);
    header += strspn(header, " \t");
    if (*header != '\0' || (first < 0 && last < 0) || (first >= 0 && last >= 0 && last < first))
        return NULL; /* several parts are sent as the whole */
    return xnotnull(json_pack("{s:o*,s:o*}", "first", first < 0 ? NULL : json_integer(first),
                              "last", last < 0 ? NULL : json_integer(last)));
}

/* --- entity tags -------------------------------------------------------------------------- */

/* The next tag of a list, moving *text behind it; false: there is none, and *text stands at what is there. */
static bool
next_tag(const char **text, const char **tag, size_t *len, bool *weak)
{
    const char *p = *text + strspn(*text, " \t,");

    *text = p;
    *weak = strncmp(p, "W/", 2) == 0;
    if (*weak)
        p += 2;
    if (*p != '"')
        return false;
    *tag = p + 1;
    *len = strcspn(*tag, "\"");
    if ((*tag)[*len] != '"')
        return false;
    *text = *tag + *len + 1;
    return true;
}

json_t *
filehead_match(const char *header, bool *ok)
{
    json_t *tags;
    const char *tag;
    size_t len;
    bool weak;

    *ok = true;
    if (header == NULL)
        return NULL;
    if (strcmp(header, "*") == 0)
        return json_true();
    tags = xnotnull(json_array());
    /* A weak one never matches here, and other servers' tags are not this one's. */
    while (next_tag(&header, &tag, &len, &weak) && json_array_size(tags) < TAGS)
        if (!weak && len <= ETAG_BYTES)
            json_array_append_new(tags, json_stringn(tag, len));
    *ok = *header == '\0';
    if (*ok && json_array_size(tags) == 0)
        json_array_append_new(tags, json_string("")); /* what matches nothing */
    return tags;
}

bool
filehead_names(const char *header, const char *etag)
{
    const char *tag;
    size_t len;
    bool weak;

    if (header == NULL)
        return false;
    if (strcmp(header, "*") == 0)
        return true;
    while (next_tag(&header, &tag, &len, &weak))
        if (len == strlen(etag) && memcmp(tag, etag, len) == 0)
            return true;
    return false;
}

json_t *
filehead_if_range(const char *header)
{
    const char *tag;
    size_t len;
    bool weak;

    if (header == NULL)
        return NULL;
    if (!next_tag(&header, &tag, &len, &weak) || weak || len > ETAG_BYTES ||
        utf8_valid_prefix(tag, len) != len)
        return xnotnull(json_string(""));
    return xnotnull(json_stringn(tag, len));
}

bool
filehead_is_etag(const char *text)
{
    const size_t len = strlen(text);

    return len > 0 && len <= ETAG_BYTES && strspn(text, "0123456789abcdef-") == len;
}

/* --- types -------------------------------------------------------------------------------- */

/* Sorted by extension. */
static const struct {
    const char *extension, *type;
} types[] = {
    {"7z", "application/x-7z-compressed"},
    {"bmp", "image/bmp"},
    {"c", "text/plain; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"htm", "text/html; charset=utf-8"},
    {"html", "text/html; charset=utf-8"},
    {"ipynb", "application/x-ipynb+json"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"log", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"parquet", "application/vnd.apache.parquet"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"py", "text/x-python; charset=utf-8"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tgz", "application/gzip"},
    {"tsv", "text/tab-separated-values; charset=utf-8"},
    {"txt", "text/plain; charset=utf-8"},
    {"wav", "audio/wav"},
    {"webp", "image/webp"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"xml", "application/xml"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
};

const char *
filehead_type(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');

    for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(dot + 1, types[i].extension) == 0)
            return types[i].type;
    return "application/octet-stream";
}
