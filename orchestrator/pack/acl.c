#include "codec.h"

#include <string.h>

/* The kernel's form (linux/posix_acl_xattr.h), little-endian: u32 version, then u16 tag, u16 permissions, u32 id each. */
#define ACL_VERSION 2u
#define ACL_HEAD 4u
#define ACL_ENTRY 8u
#define ACL_NO_ID UINT32_MAX
#define ACL_TEXT_MAX 1024	/* entries; no file system keeps more than a fraction, and the text form is quadratic */

/* Kernel tags in the order that the kernel demands. */
static const struct { uint16_t tag; int archive; bool named; } kinds[] = {
	{ 0x01, ARCHIVE_ENTRY_ACL_USER_OBJ, false }, { 0x02, ARCHIVE_ENTRY_ACL_USER, true },
	{ 0x04, ARCHIVE_ENTRY_ACL_GROUP_OBJ, false }, { 0x08, ARCHIVE_ENTRY_ACL_GROUP, true },
	{ 0x10, ARCHIVE_ENTRY_ACL_MASK, false }, { 0x20, ARCHIVE_ENTRY_ACL_OTHER, false }
};
enum { USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER, KINDS };

struct ace { unsigned kind; uint32_t perm, id; };
struct acl_shape { unsigned count[KINDS]; uint32_t perm[KINDS]; };

static unsigned kind_of(uint16_t tag)
{
	unsigned k = 0;

	while (k < KINDS && kinds[k].tag != tag)
		k++;
	return k;
}

static bool read_ace(struct view *v, struct ace *a)
{
	uint16_t tag = view_u16(v);

	a->perm = view_u16(v);
	a->id = view_u32(v);
	a->kind = kind_of(tag);
	if (v->failed || a->kind == KINDS || a->perm > 7)
		return false;
	/* libarchive keeps ids in an int. */
	return kinds[a->kind].named ? a->id <= INT32_MAX : a->id == ACL_NO_ID;
}

/* Entries in the kernel's order, each plain kind once, a mask where there are names: what the text form gives back. */
static bool shape_of(const uint8_t *raw, size_t n, struct acl_shape *s)
{
	struct view v = view_of(raw, n);
	unsigned last = 0;
	struct ace a;

	memset(s, 0, sizeof(*s));
	if (view_u32(&v) != ACL_VERSION || n > ACL_HEAD + ACL_ENTRY * ACL_TEXT_MAX)
		return false;
	while (view_left(&v)) {
		if (!read_ace(&v, &a) || a.kind < last)
			return false;
		last = a.kind;
		s->count[a.kind]++;
		s->perm[a.kind] = a.perm;
	}
	return view_done(&v) && s->count[USER_OBJ] == 1 && s->count[GROUP_OBJ] == 1 && s->count[OTHER] == 1 &&
	    s->count[MASK] <= 1 && (s->count[MASK] || !(s->count[USER] || s->count[GROUP]));
}

/* The same id twice would be merged by libarchive. */
static bool has_twins(const uint8_t *raw, size_t n)
{
	for (size_t i = ACL_HEAD; i < n; i += ACL_ENTRY)
		for (size_t j = i + ACL_ENTRY; j < n; j += ACL_ENTRY)
			if (memcmp(raw + i, raw + j, 2) == 0 && memcmp(raw + i + 4, raw + j + 4, 4) == 0)
				return true;
	return false;
}

bool acl_to_archive(struct archive_entry *ae, bool access, const uint8_t *raw, size_t n, uint32_t mode)
{
	int type = access ? ARCHIVE_ENTRY_ACL_TYPE_ACCESS : ARCHIVE_ENTRY_ACL_TYPE_DEFAULT;
	struct acl_shape s;
	struct view v;

	if (!shape_of(raw, n, &s) || has_twins(raw, n))
		return false;
	/* libarchive keeps the plain access entries as the mode, and an ACL of nothing else is none. */
	if (access && (!s.count[MASK] || s.perm[USER_OBJ] != (mode >> 6 & 7) || s.perm[MASK] != (mode >> 3 & 7) ||
	    s.perm[OTHER] != (mode & 7)))
		return false;
	v = view_of(raw + ACL_HEAD, n - ACL_HEAD);
	while (view_left(&v)) {
		struct ace a;

		if (!read_ace(&v, &a))
			return false;
		if (archive_entry_acl_add_entry(ae, type, (int)a.perm, kinds[a.kind].archive,
		    kinds[a.kind].named ? (int)a.id : -1, NULL) != ARCHIVE_OK)
			return false;
	}
	return true;
}

/* Appends the entries of one kind; 0, or -1 when one has no number. */
static int put_kind(struct archive_entry *ae, int type, unsigned kind, struct buf *raw, uint32_t *mode)
{
	int t, perm, tag, id;
	const char *name;

	(void)archive_entry_acl_reset(ae, type);
	while (archive_entry_acl_next(ae, type, &t, &perm, &tag, &id, &name) == ARCHIVE_OK) {
		if (tag != kinds[kind].archive)
			continue;
		if ((perm & ~7) || (kinds[kind].named && id < 0))
			return -1;
		buf_put_u16(raw, kinds[kind].tag);
		buf_put_u16(raw, (uint16_t)perm);
		buf_put_u32(raw, kinds[kind].named ? (uint32_t)id : ACL_NO_ID);
		if (kind == MASK && type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS)
			*mode = (*mode & ~070u) | (uint32_t)perm << 3;
	}
	return 0;
}

int acl_from_archive(struct archive_entry *ae, bool access, struct buf *raw, uint32_t *mode, struct err *e)
{
	int type = access ? ARCHIVE_ENTRY_ACL_TYPE_ACCESS : ARCHIVE_ENTRY_ACL_TYPE_DEFAULT;
	int count = archive_entry_acl_reset(ae, type);
	struct acl_shape s;

	if (count == 0)
		return 0;
	buf_put_u32(raw, ACL_VERSION);
	for (unsigned k = 0; k < KINDS; k++)
		if (put_kind(ae, type, k, raw, mode) < 0)
			return err_set(e, ERR_INTEGRITY, "an ACL with a name or permission that is no number");
	if (buf_finish(raw, e) < 0)
		return -1;
	/* As many as libarchive holds, each of a known kind, in a form that the kernel takes. */
	if (raw->len != ACL_HEAD + ACL_ENTRY * (size_t)count || !shape_of((const uint8_t *)raw->data, raw->len, &s))
		return err_set(e, ERR_INTEGRITY, "an ACL that is none");
	return 0;
}
