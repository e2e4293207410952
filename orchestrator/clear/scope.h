/*
 * scope - what an authorization to clear names, as lines of its signed text (waybill-clearance.5).
 *
 *   SCOPE_INIT -> scope_add* -> scope_format        (who writes the statement)
 *   SCOPE_INIT -> scope_parse -> scope_covers*      (who obeys it)
 *   either -> scope_dispose
 *
 * The statement holds other lines too; only those that begin with one of the scope's keys count, and a malformed one of
 * those is an error: a scope that is half understood is not obeyed.
 */
#ifndef SCOPE_H
#define SCOPE_H

#include "buf.h"

enum scope_kind {
	SCOPE_PATH,		/* "path: HOST:/ABS": the tree beneath /ABS may be cleared, itself included */
	SCOPE_ROOT,		/* "root: FSID:INODE HOST:/ABS": identity that the root of such a path must have */
	SCOPE_DEVICE,		/* "device: HOST:/ABS": the whole device may be cleared */
	SCOPE_SERIAL		/* "serial: SERIAL HOST:/ABS": serial that such a device must have */
};

struct scope_item {		/* strings owned by the scope */
	enum scope_kind kind;
	char *host;		/* name of the plan */
	char *path;		/* clean, absolute, raw bytes */
	char *value;		/* identity or serial; NULL for SCOPE_PATH and SCOPE_DEVICE */
};

struct scope {
	struct scope_item *v;	/* owned */
	size_t n;
};
#define SCOPE_INIT { NULL, 0 }
#define SCOPE_ITEMS_MAX 4096
void scope_dispose(struct scope *s);
#define OWN_SCOPE OWN(scope_dispose)

/*
 * Copies the strings in.  ERR_USAGE: host is no name, path not clean and absolute or "/" itself, value empty or with a
 * space where one is needed, the same item twice, or more than SCOPE_ITEMS_MAX.
 */
int scope_add(struct scope *s, enum scope_kind k, const char *host, const char *path, const char *value, struct err *e) MUST_CHECK;
/* Appends the lines in the order they were added; names escaped (esc.h). */
void scope_format(const struct scope *s, struct buf *b);
/* Adds the items of a statement.  ERR_REFUSED names the line that cannot be understood, or says that no path or device is listed. */
int scope_parse(struct scope *s, const char *text, struct err *e) MUST_CHECK;

/*
 * Is root listed as a path for host (NULL: for any host, as an agent does not know its name in the plan)?  Exactly that
 * path: neither a tree beneath nor one above it.  Where a "root:" line for it exists, identity must be equal (identity
 * NULL: not compared).  0, or ERR_REFUSED with the reason.
 */
int scope_covers_root(const struct scope *s, const char *host, const char *root, const char *identity, struct err *e) MUST_CHECK;
/*
 * Is path listed as a device for host (NULL: any)?  Where a "serial:" line for it exists, one of serials (separated by blanks, "" when the
 * device tells none) must be equal.  0, or ERR_REFUSED with the reason.
 */
int scope_covers_device(const struct scope *s, const char *host, const char *path, const char *serials, struct err *e) MUST_CHECK;

#endif
