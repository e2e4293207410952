/* attrs_read - extended attributes and ACLs of an open inode, symlinks and O_PATH fds included. */
#ifndef ATTRS_READ_H
#define ATTRS_READ_H

#include "attrs.h"

/*
 * All xattrs of fd (any fd, O_PATH too) into s, raw as getxattr gives them.  A file system without xattrs gives none; names
 * that vanish meanwhile are left out; more than ATTR_BLOB_MAX of them is ERR_PERMANENT.  s may hold something already.
 */
int attrs_read(int fd, struct attr_set *s, struct err *e) MUST_CHECK;

#endif
