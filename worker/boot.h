/*
 * boot.h - the boot record: where the gateway listens and who we are to it (protocol.h has its
 * form).
 */
#ifndef WORKER_BOOT_H
#define WORKER_BOOT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#define BOOT_MAX 4096 /* bytes of a boot record */

struct boot {
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* of the gateway's socket */
    char routing_id[65];                                    /* a secret */
    int64_t orphan_ms;                                      /* without a link for so long: exit */
};

/* 0, or -1 with *why saying in a static sentence what is wrong.  Pure: any bytes may come in. */
int boot_parse(const char *text, size_t len, struct boot *, const char **why)
    __attribute__((warn_unused_result));

/* Reads fd to its end and parses that; dies with TCI_EXIT_BOOT on anything unusable. */
void boot_read(int fd, struct boot *);

#endif
