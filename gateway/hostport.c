#include "hostport.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static int
parse_port(const char *text, uint16_t *port)
{
    size_t len = strlen(text);
    unsigned long n;

    if (len == 0 || len > 18 || strspn(text, DIGITS) != len)
        return -1;
    n = strtoul(text, NULL, 10);
    *port = (uint16_t)n;
    return n <= UINT16_MAX ? 0 : -1;
}

static bool
is_host(const char *host, bool bracketed)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (bracketed)
        return inet_pton(AF_INET6, host, &v6) == 1;
    if (host[strspn(host, DIGITS ".")] == '\0')
        return inet_pton(AF_INET, host, &v4) == 1;
    return host[0] != '-' && host[0] != '.' && host[strspn(host, LETTERS DIGITS ".-")] == '\0';
}

int
hostport_split(const char *text, char *host, size_t size, uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    const bool bracketed = text[0] == '[';
    size_t len;

    if (colon == NULL || parse_port(colon + 1, port) < 0)
        return -1;
    len = (size_t)(colon - text);
    if (bracketed) {
        if (len < 2 || text[len - 1] != ']')
            return -1;
        text++;
        len -= 2;
    }
    if (len == 0 || len >= size)
        return -1;
    memcpy(host, text, len);
    host[len] = '\0';
    return is_host(host, bracketed) ? 0 : -1;
}
