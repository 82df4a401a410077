/* mem.h - allocation that cannot fail (sizes are capped before), and cleanup at the end of a scope. */
#ifndef GATEWAY_MEM_H
#define GATEWAY_MEM_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define must_check __attribute__((warn_unused_result))

/* Memory from here on is never NULL: out of memory ends the process, and the next start takes the
 * sessions back. */
static inline void *
xnotnull(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

static inline void *
xcalloc(size_t n, size_t size)
{
    return xnotnull(calloc(n, size));
}

static inline void *
xrealloc(void *p, size_t size)
{
    return xnotnull(realloc(p, size));
}

static inline char *
xstrdup(const char *s)
{
    return xnotnull(strdup(s));
}

/* A new string, as asprintf(3). */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* cleanup_free char *p = ...; cleanup_close int fd = -1; */
static inline void
mem_free_at(void *p)
{
    free(*(void **)p);
}

static inline void
mem_close_at(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define cleanup_free __attribute__((cleanup(mem_free_at)))
#define cleanup_close __attribute__((cleanup(mem_close_at)))

/* Hands over a pointer held by a cleanup variable. */
static inline void *
mem_steal(void *pp)
{
    void *p = *(void **)pp;

    *(void **)pp = NULL;
    return p;
}

#endif
