/* device - what the kernel says about block devices; shared by facts, erase and scan. */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "buf.h"

/* "/dev/NAME" of a device number, from /sys; false when there is none. */
#define DEVICE_NODE 300
bool device_node(dev_t dev, char out[DEVICE_NODE]);
/* First line of a small file beneath dir (a directory of /sys), without trailing blanks; false when absent or empty. */
bool device_attribute(int dir, const char *name, struct buf *out);
/* Appends the serial numbers (else WWIDs) of the device, or of what a stacked one stands on; nothing where none is told. */
void device_serials(dev_t dev, struct buf *list);
/* Appends maker and model of the disk, as its driver tells them; nothing where none is told. */
void device_model(dev_t dev, struct buf *out);
/* True when this is a virtual machine: then a medium is what its host lets it see.  out says by what it was seen. */
#define DEVICE_WHY 120
bool device_guest(char out[DEVICE_WHY]);
/*
 * By what, besides serial number and content, a device or image is known again: "BOOT-ID b:MAJOR:MINOR", of a loop device with
 * " f:INODE:MAJOR:MINOR" of its file after it; "BOOT-ID f:INODE:MAJOR:MINOR" of an image.  Owned by the caller; NULL: no memory.
 */
char *device_where(const struct stat *st);
/* A 0/1 attribute of its queue ("rotational"); false where it has none. */
bool device_flag(dev_t dev, const char *attribute);

#endif
