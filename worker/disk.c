/* disk.c - see disk.h. */
#include "disk.h"

#include <stdint.h>
#include <sys/statvfs.h>

#include "bigendian.h"
#include "protocol.h"

void
disk_tell(struct uplink *uplink)
{
    uint8_t numbers[TCI_DISK_SIZE];
    const struct frame frame = {numbers, sizeof(numbers)};
    struct statvfs fs;

    if (statvfs(TCI_PATH_WORKSPACE, &fs) < 0)
        return;
    bigendian_put64(numbers, (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize);
    bigendian_put64(numbers + 8, (uint64_t)fs.f_blocks * fs.f_frsize);
    uplink_send(uplink, TCI_DISK, &frame, 1);
}
