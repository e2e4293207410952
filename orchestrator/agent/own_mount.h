/* own_mount - a file system looked at by nobody but this process. */
#ifndef OWN_MOUNT_H
#define OWN_MOUNT_H

#include "err.h"

/*
 * Mounts the file system on device (a block device, or an image of one) read-only at the directory at, in a mount namespace of this
 * process alone: nobody else sees it, and it is gone when the process ends.  Nothing is written, save that the kernel replays the journal of
 * one that was not unmounted properly.  ERR_REFUSED: somebody uses the device, or no file system on it begins at its own root here.
 * Before any thread is started that looks at paths.
 */
int own_mount(const char *device, const char *at, struct err *e) MUST_CHECK;

#endif
