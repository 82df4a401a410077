/* disk.h - tells the gateway how much of the workspace's disk is used (protocol.h, DISK). */
#ifndef WORKER_DISK_H
#define WORKER_DISK_H

#include "uplink.h"

void disk_tell(struct uplink *);

#endif
