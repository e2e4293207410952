/*
 * finalise - give an inode the attributes of its entry: the only place that does it, for every role and type.
 *
 * Order (each step undoes something of a later one if done after it): owner, ACLs (also "none", over an inherited default
 * ACL), other xattrs, mode, times, inode flags.  Data and children come before the call.  Everything goes
 * through the fd; what is already right is left alone.
 */
#ifndef FINALISE_H
#define FINALISE_H

#include "attrs.h"
#include "entry.h"

enum finalise_what {
	FINALISE_FLAGS = 1,		/* set inode flags too, last */
	FINALISE_ANNOUNCED = 4,		/* what our rights deny is known: it is not named in why, and is no reason for 1 */
	FINALISE_NEW = 2		/* made by us a moment ago where nothing is inherited: it has neither xattrs nor flags to be found out */
};

/*
 * fd (borrowed): the inode, opened in any way; O_PATH needs /proc.  attrs: all xattrs and ACLs it shall have; NULL leaves
 * them alone.  Returns 0 when all is as wanted; 1 when single attributes could not be set (rights, unsupported), each named in
 * why, separated by "; "; -1 when the file system itself fails (full, I/O error).
 */
int finalise(int fd, unsigned what, const struct entry *en, const struct attr_set *attrs, struct buf *why, struct err *e) MUST_CHECK;

/* Is errno n one that says the file system, not the entry, is in trouble: full, over quota, I/O error, read-only? */
bool fs_trouble(int n);

#endif
