/*
 * rootfs.h - the root directory that all containers share, read-only: made of the host's /usr (mounted by ocispec) and a
 * small /etc of our own.  Nothing of the host's /etc is in it but a short list of files without secrets.
 */
#ifndef GATEWAY_ROOTFS_H
#define GATEWAY_ROOTFS_H

#include "err.h"
#include "mem.h"

/*
 * Makes dir, or brings it up to date while containers of an earlier gateway run on it.  Blocks; for start-up.
 */
int rootfs_make(const char *dir, struct err *) must_check;

#endif
