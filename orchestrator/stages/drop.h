/*
 * drop - a package in a directory of a host that has nothing but SFTP: put there, fetched from there, taken away again
 * (waybill-package.5, The drop).
 *
 * Every file travels as NAME.part, is read back and compared with the digest that the package itself lists, and then gets its name;
 * tagmanifest-sha256.txt, whose digest is the package's number, comes last: where it stands the package is whole.
 */
#ifndef DROP_H
#define DROP_H

#include "sftp.h"

struct drop {			/* all borrowed */
	struct sftp *sftp;
	const char *dir;	/* absolute, on the host */
	const char *name;	/* "HOST:DIR", escaped, for messages */
};

struct drop_count { uint64_t files, bytes, kept; };	/* moved now; files that were there already and right */

/*
 * The package in the directory local goes into the drop, whose last component is made when it is not there.  What is there and right
 * stays; a cut file is gone on with.  ERR_REFUSED: another package is there.  ERR_INTEGRITY: a file, here or there, is not what
 * the package lists; it is named.
 */
int drop_put(const struct drop *d, const char *local, struct drop_count *n, struct err *e) MUST_CHECK;
/*
 * The package in the drop becomes the directory local, all of it or nothing; built beside it as .NAME.waybill-fetch, where the next
 * try goes on.  ERR_REFUSED: the drop holds no whole package, or local is something else.  ERR_INTEGRITY as above.  A package that was
 * fetched before is left as it is.
 */
int drop_fetch(const struct drop *d, const char *local, struct drop_count *n, struct err *e) MUST_CHECK;
/*
 * Removes from the drop the files that the package in local lists, their .part, and directories that are empty then, the drop's own
 * too.  n->files: removed.  ERR_REFUSED: the drop holds another package.
 */
int drop_empty(const struct drop *d, const char *local, struct drop_count *n, struct err *e) MUST_CHECK;

#endif
