/* bigendian.h - numbers as they go over the link and over ZMTP; gateway and worker share it.  No address needs alignment. */
#ifndef TCI_BIGENDIAN_H
#define TCI_BIGENDIAN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t
bigendian_get32(const void *from)
{
    uint32_t number;

    memcpy(&number, from, sizeof(number));
    return be32toh(number);
}

static inline uint64_t
bigendian_get64(const void *from)
{
    uint64_t number;

    memcpy(&number, from, sizeof(number));
    return be64toh(number);
}

static inline void
bigendian_put32(void *to, uint32_t number)
{
    number = htobe32(number);
    memcpy(to, &number, sizeof(number));
}

static inline void
bigendian_put64(void *to, uint64_t number)
{
    number = htobe64(number);
    memcpy(to, &number, sizeof(number));
}

#endif
