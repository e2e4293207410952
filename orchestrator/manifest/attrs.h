/*
 * attrs - extended attributes and ACLs as one canonical text, so that equal sets have equal digests.
 *
 * Blob: one line a name, sorted by name bytes: esc_put_mtree(name) '=' base64(value) '\n'.  One blob holds the POSIX
 * ACLs (system.posix_acl_access, system.posix_acl_default), the other all remaining xattrs.  The blob is stored once
 * in the archive as object <sha256 of the text>.attr, and the manifest carries that digest (waybill-manifest.5).
 */
#ifndef ATTRS_H
#define ATTRS_H

#include "buf.h"

struct attr { char *name; uint8_t *value; size_t len; };	/* owned by the set */
struct attr_set { struct attr *v; size_t n; };
#define ATTR_SET_INIT { NULL, 0 }
#define ATTR_BLOB_MAX (2u << 20)	/* largest blob accepted from anywhere */

void attr_set_dispose(struct attr_set *s);
#define OWN_ATTRS OWN(attr_set_dispose)
/* Copies name and value in, keeping the set sorted; a duplicate name is ERR_INTEGRITY. */
int attr_set_add(struct attr_set *s, const char *name, const void *value, size_t len, struct err *e) MUST_CHECK;
bool attr_is_acl(const char *name);
/* Canonical text of the ACLs (acl = true) or of the rest; empty result when there are none. */
void attr_set_encode(const struct attr_set *s, bool acl, struct buf *b);
/* Adds the attributes of a blob to s; ERR_INTEGRITY when it is not canonical. */
int attr_set_decode(struct attr_set *s, const void *p, size_t n, struct err *e) MUST_CHECK;

#endif
