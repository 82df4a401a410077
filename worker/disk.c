/* disk.c - see disk.h. */
#include "disk.h"

#include <stdint.h>
#include <sys/statvfs.h>

#include "protocol.h"

static void
put_number(uint8_t out[8], uint64_t n)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(n >> (56 - 8 * i));
}

bool
disk_tell(struct uplink *uplink)
{
    uint8_t numbers[TCI_DISK_SIZE];
    const struct frame frame = {numbers, sizeof(numbers)};
    struct statvfs fs;

    if (statvfs(TCI_PATH_WORKSPACE, &fs) < 0)
        return true;
    put_number(numbers, (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize);
    put_number(numbers + 8, (uint64_t)fs.f_blocks * fs.f_frsize);
    return uplink_send(uplink, TCI_DISK, &frame, 1) == 0;
}
