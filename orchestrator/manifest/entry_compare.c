#include "entry.h"
#include "esc.h"

#include <inttypes.h>
#include <string.h>

struct diff {
	entry_diff_fn fn;
	void *ctx;
	size_t n;
};

static void differ(struct diff *d, const char *what, const char *expected, const char *found)
{
	d->n++;
	if (d->fn)
		d->fn(d->ctx, what, expected, found);
}

static void cmp_number(struct diff *d, const char *what, const char *fmt_octal, uint64_t a, uint64_t b)
{
	char x[24], y[24];

	if (a == b)
		return;
	if (fmt_octal) {
		(void)snprintf(x, sizeof(x), "%04" PRIo64, a);
		(void)snprintf(y, sizeof(y), "%04" PRIo64, b);
	} else {
		(void)snprintf(x, sizeof(x), "%" PRIu64, a);
		(void)snprintf(y, sizeof(y), "%" PRIu64, b);
	}
	differ(d, what, x, y);
}

static void cmp_time(struct diff *d, const struct entry *a, const struct entry *b)
{
	char x[40], y[40];

	if (a->mtime_s == b->mtime_s && a->mtime_ns == b->mtime_ns)
		return;
	(void)snprintf(x, sizeof(x), "%" PRId64 ".%09" PRIu32, a->mtime_s, a->mtime_ns);
	(void)snprintf(y, sizeof(y), "%" PRId64 ".%09" PRIu32, b->mtime_s, b->mtime_ns);
	differ(d, "mtime", x, y);
}

static void cmp_digest(struct diff *d, const char *what, const uint8_t *a, const uint8_t *b)
{
	char x[DIGEST_HEX] = "none", y[DIGEST_HEX] = "none";

	if (a == b || (a && b && memcmp(a, b, DIGEST_LEN) == 0))
		return;
	if (a)
		hex_of(a, DIGEST_LEN, x);
	if (b)
		hex_of(b, DIGEST_LEN, y);
	differ(d, what, x, y);
}

static void cmp_text(struct diff *d, const char *what, const char *a, const char *b)
{
	if (a == b || (a && b && strcmp(a, b) == 0))
		return;
	differ(d, what, a ? esc_s(a) : "none", b ? esc_s(b) : "none");
}

static void cmp_device(struct diff *d, const struct entry *a, const struct entry *b)
{
	char x[32], y[32];

	if (a->rdev_major == b->rdev_major && a->rdev_minor == b->rdev_minor)
		return;
	(void)snprintf(x, sizeof(x), "%" PRIu32 ",%" PRIu32, a->rdev_major, a->rdev_minor);
	(void)snprintf(y, sizeof(y), "%" PRIu32 ",%" PRIu32, b->rdev_major, b->rdev_minor);
	differ(d, "device", x, y);
}

static const uint8_t *digest_if(const struct entry *en, uint32_t bit, const uint8_t *p)
{
	return en->has & bit ? p : NULL;
}

static void describe_layout(const struct entry *en, char out[64])
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < en->layout_count; i++)
		bytes += en->layout[i].length;
	if (en->has & ENTRY_HAS_LAYOUT)
		(void)snprintf(out, 64, "%zu data ranges with %" PRIu64 " bytes", en->layout_count, bytes);
	else
		(void)snprintf(out, 64, "no holes");
}

static void cmp_layout(struct diff *d, const struct entry *a, const struct entry *b)
{
	char x[64], y[64];

	if ((a->has & ENTRY_HAS_LAYOUT) == (b->has & ENTRY_HAS_LAYOUT) && a->layout_count == b->layout_count &&
	    (a->layout_count == 0 || memcmp(a->layout, b->layout, a->layout_count * sizeof(*a->layout)) == 0))
		return;
	describe_layout(a, x);
	describe_layout(b, y);
	differ(d, "layout", x, y);
}

static void cmp_flags(struct diff *d, const struct entry *a, const struct entry *b)
{
	uint32_t fa = a->has & ENTRY_HAS_FLAGS ? a->flags : 0, fb = b->has & ENTRY_HAS_FLAGS ? b->flags : 0;
	char x[16], y[16];

	if (fa == fb)
		return;
	(void)snprintf(x, sizeof(x), "0x%" PRIx32, fa);
	(void)snprintf(y, sizeof(y), "0x%" PRIx32, fb);
	differ(d, "flags", x, y);
}

static void cmp_content(struct diff *d, const struct entry *a, const struct entry *b, unsigned mask)
{
	uint32_t both = a->has & b->has;

	cmp_number(d, "size", NULL, a->size, b->size);
	if (both & ENTRY_HAS_SHA256)
		cmp_digest(d, "sha256", a->sha256, b->sha256);
	if (both & ENTRY_HAS_SM3)
		cmp_digest(d, "sm3", a->sm3, b->sm3);
	if (!(mask & ENTRY_CMP_NO_LAYOUT))
		cmp_layout(d, a, b);
}

static const char *presence(const struct entry *en) { return entry_is_present(en) ? "present" : "absent"; }

size_t entry_compare(const struct entry *want, const struct entry *got, unsigned mask, entry_diff_fn fn, void *ctx)
{
	struct diff d = { fn, ctx, 0 };

	if (want->type != got->type) {
		differ(&d, "type", entry_type_name(want->type), entry_type_name(got->type));
		return d.n;
	}
	if (!entry_is_present(want) || !entry_is_present(got)) {
		if (entry_is_present(want) != entry_is_present(got))
			differ(&d, "outcome", presence(want), presence(got));
		return d.n;
	}
	cmp_number(&d, "mode", "o", want->mode, got->mode);
	cmp_number(&d, "uid", NULL, want->uid, got->uid);
	cmp_number(&d, "gid", NULL, want->gid, got->gid);
	if (!(mask & ENTRY_CMP_NO_TIMES))
		cmp_time(&d, want, got);
	if (want->type == ENTRY_FILE)
		cmp_content(&d, want, got, mask);
	cmp_text(&d, "target", want->target, got->target);
	cmp_device(&d, want, got);
	if (!(mask & ENTRY_CMP_NO_NLINK) && want->type != ENTRY_DIR) {
		cmp_number(&d, "nlink", NULL, want->nlink, got->nlink);
		cmp_text(&d, "link", want->link_to, got->link_to);
	}
	cmp_digest(&d, "xattr", digest_if(want, ENTRY_HAS_XATTR, want->xattr), digest_if(got, ENTRY_HAS_XATTR, got->xattr));
	cmp_digest(&d, "acl", digest_if(want, ENTRY_HAS_ACL, want->acl), digest_if(got, ENTRY_HAS_ACL, got->acl));
	if (!(mask & ENTRY_CMP_NO_FLAGS))
		cmp_flags(&d, want, got);
	return d.n;
}
