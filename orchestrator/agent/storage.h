/* storage - what lies between a file system and its medium, as far as it decides what overwriting reaches. */
#ifndef STORAGE_H
#define STORAGE_H

#include <sys/types.h>

#include "buf.h"

/*
 * Words, separated by blanks, for a block device and all that it stands on: crypt (dm-crypt), thin, snapshot (the device is the
 * origin of a dm snapshot, or one), raid, multipath, mirror, loop, flash (not rotational and not virtual), virtual (virtio, Xen, ...).
 * Nothing is appended where nothing of this is seen.
 */
void storage_traits(dev_t dev, struct buf *words);
/*
 * Snapshots that a btrfs keeps of the subvolume behind fd, which needs rights to search its trees: 1 = there are some, 0 = none,
 * -1 = cannot be told (another file system, or no right to look).
 */
int storage_snapshots(int fd);

#endif
