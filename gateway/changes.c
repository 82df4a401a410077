/* changes.c - see changes.h. */
#include "changes.h"

#include <string.h>

#include "worker/bigendian.h"
#include "worker/protocol.h"

/* The array that paths of that kind go into; NULL: there is no such kind. */
static json_t *
array_of(json_t *changes, char kind)
{
    switch (kind) {
    case TCI_CREATED:
        return json_object_get(changes, "created");
    case TCI_CHANGED:
        return json_object_get(changes, "changed");
    case TCI_DELETED:
        return json_object_get(changes, "deleted");
    default:
        return NULL;
    }
}

static json_t *
path_text(const char *path)
{
    json_t *text = json_string(path);
    char *copy;

    if (text)
        return text;
    copy = xstrdup(path);
    for (char *p = copy; *p; p++)
        if (*p & 0x80)
            *p = '?';
    text = xnotnull(json_string(copy));
    free(copy);
    return text;
}

/* One kind and path with its end; bytes of it, 0: it is none. */
static size_t
take_one(json_t *changes, const char *p, size_t len)
{
    json_t *array = len > 2 ? array_of(changes, p[0]) : NULL;
    const char *end = array ? memchr(p + 1, '\0', len - 1) : NULL;

    if (end == NULL || end == p + 1 || p[1] == '/')
        return 0;
    json_array_append_new(array, path_text(p + 1));
    return (size_t)(end - p) + 1;
}

static bool
take_all(json_t *changes, const char *p, size_t len)
{
    size_t n;

    for (unsigned i = 0; len > 0; i++) {
        n = i < TCI_CHANGES_MAX_PATHS ? take_one(changes, p, len) : 0;
        if (n == 0)
            return false;
        p += n;
        len -= n;
    }
    return true;
}

static json_t *
no_changes(void)
{
    return xnotnull(json_pack("{s:[],s:[],s:[],s:b}", "created", "changed", "deleted", "truncated",
                              (int)false));
}

/* Most executions have none: not to be made for each of them. */
json_t *
changes_none(void)
{
    static json_t *none;

    if (none == NULL)
        none = no_changes();
    return json_incref(none);
}

json_t *
changes_parse(const struct wire_frame *f, size_t n)
{
    json_t *changes;
    char flag;

    if (n != 2 || f[0].len != 1 || f[1].len > TCI_CHANGES_MAX)
        return NULL;
    flag = *(const char *)f[0].data;
    if (flag == TCI_CHANGES_UNKNOWN && f[1].len == 0)
        return json_null();
    if (flag != TCI_CHANGES_ALL && flag != TCI_CHANGES_SOME)
        return NULL;
    changes = no_changes();
    if (flag == TCI_CHANGES_SOME)
        json_object_set_new(changes, "truncated", json_true());
    if (take_all(changes, f[1].data, f[1].len))
        return changes;
    json_decref(changes);
    return NULL;
}

bool
changes_parse_disk(const struct wire_frame *f, size_t n, int64_t now_ms, struct disk *disk)
{
    uint64_t used, size;

    if (n != 1 || f[0].len != TCI_DISK_SIZE)
        return false;
    used = bigendian_get64(f[0].data);
    size = bigendian_get64((const uint8_t *)f[0].data + 8);
    if (used > size || size > INT64_MAX)
        return false;
    *disk = (struct disk){used, size, now_ms};
    return true;
}
