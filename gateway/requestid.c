#include "requestid.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sodium.h>

/* Random digits that are this process's, and some that count: drawing each would be a system call in every request. */
static void
draw(char id[REQUESTID_SIZE])
{
    static uint64_t random;
    static uint32_t n;

    if (n == 0)
        randombytes_buf(&random, sizeof(random));
    snprintf(id, REQUESTID_SIZE, "r-%016" PRIx64 "%08" PRIx32, random, n++);
}

void
requestid_take(const char *own, char id[REQUESTID_SIZE])
{
    static const char usable[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
    const size_t len = own ? strlen(own) : 0;

    if (len > 0 && len <= REQUESTID_MAX && strspn(own, usable) == len)
        memcpy(id, own, len + 1);
    else
        draw(id);
}
