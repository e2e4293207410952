/*
 * codec - what the pax writer and reader share: the locale around libarchive, names seen, ACL forms.
 *
 * Internal to pack/.
 */
#ifndef CODEC_H
#define CODEC_H

#include <locale.h>

#include <archive.h>
#include <archive_entry.h>

#include "pack.h"

/* libarchive converts names by the thread's locale; only in the C locale they stay bytes (libraries.md 2.2). */
bool codec_ready(void);			/* false: out of memory */
locale_t codec_enter(void);		/* returns the locale to give back */
void codec_leave(locale_t old);

/*
 * Names of a pack with their types, as keyed 128-bit digests, so that memory is 32 bytes a name.  The key is random,
 * so nobody can prepare two names that collide.
 */
struct name_set {
	struct name_slot { uint64_t lo, hi; } *slots;	/* owned; type in the low three bits of hi, 0 = free */
	size_t size, used;				/* size is a power of two */
	uint64_t key;
};
void name_set_init(struct name_set *s);
void name_set_dispose(struct name_set *s);
/* 1 = added, 0 = was there, -1 = out of memory */
int name_set_add(struct name_set *s, const char *p, size_t n, enum entry_type type) MUST_CHECK;
/* The type it was added with; 0 when it was not. */
unsigned name_set_find(const struct name_set *s, const char *p, size_t n);

#define ACL_XATTR_ACCESS "system.posix_acl_access"
#define ACL_XATTR_DEFAULT "system.posix_acl_default"

/*
 * Gives an ACL as getxattr returned it to ae (whose mode must be set before).  False, and ae unchanged: this form
 * would not come back bit for bit from SCHILY.acl text, so it has to travel as an xattr.
 */
bool acl_to_archive(struct archive_entry *ae, bool access, const uint8_t *raw, size_t n, uint32_t mode);
/*
 * The ACL of ae in the kernel's form, appended to raw (nothing when ae has none).  For an access ACL with a mask the
 * group bits of *mode become the mask's, as stat shows them.
 */
int acl_from_archive(struct archive_entry *ae, bool access, struct buf *raw, uint32_t *mode, struct err *e) MUST_CHECK;

#endif
