/* The binary form of an entry (waybill-manifest.5, BINARY FORM). */
#include "entry.h"
#include "path.h"

#include <string.h>

enum { STR_TARGET = 1, STR_LINK_TO = 2, STR_OWNER = 4, STR_GROUP = 8, STR_NOTE = 16 };

static size_t shared_prefix(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

static bool is_device(enum entry_type t) { return t == ENTRY_CHAR || t == ENTRY_BLOCK; }

static void put_optional(struct buf *b, const struct entry *en)
{
	if (en->has & ENTRY_HAS_SHA256)
		buf_put(b, en->sha256, DIGEST_LEN);
	if (en->has & ENTRY_HAS_SM3)
		buf_put(b, en->sm3, DIGEST_LEN);
	if (en->has & ENTRY_HAS_XATTR)
		buf_put(b, en->xattr, DIGEST_LEN);
	if (en->has & ENTRY_HAS_ACL)
		buf_put(b, en->acl, DIGEST_LEN);
	if (is_device(en->type)) {
		buf_put_varint(b, en->rdev_major);
		buf_put_varint(b, en->rdev_minor);
	}
	if (en->has & ENTRY_HAS_BTIME) {
		buf_put_zigzag(b, en->btime_s);
		buf_put_varint(b, en->btime_ns);
	}
	if (en->has & ENTRY_HAS_FLAGS)
		buf_put_varint(b, en->flags);
}

static void put_strings(struct buf *b, const struct entry *en)
{
	const char *s[] = { en->target, en->link_to, en->owner, en->group, en->note };
	unsigned bits = 0;

	for (size_t i = 0; i < 5; i++)
		if (s[i])
			bits |= 1u << i;
	buf_put_u8(b, (uint8_t)bits);
	for (size_t i = 0; i < 5; i++)
		if (s[i])
			buf_put_bytes(b, s[i], strlen(s[i]));
}

static void put_layout(struct buf *b, const struct entry *en)
{
	uint64_t end = 0;

	buf_put_varint(b, en->layout_count);
	for (size_t i = 0; i < en->layout_count; i++) {
		buf_put_varint(b, en->layout[i].offset - end);
		buf_put_varint(b, en->layout[i].length);
		end = en->layout[i].offset + en->layout[i].length;
	}
}

static void put_scan(struct buf *b, const struct entry_scan *s)
{
	buf_put_varint(b, s->dev);
	buf_put_varint(b, s->ino);
	buf_put_zigzag(b, s->ctime_s);
	buf_put_varint(b, s->ctime_ns);
	buf_put_u8(b, s->racy);
}

void entry_encode(struct buf *b, const struct entry *en, const char *prev)
{
	size_t shared = prev ? shared_prefix(prev, en->path) : 0;

	buf_put_varint(b, shared);
	buf_put_bytes(b, en->path + shared, en->path_len - shared);
	buf_put_u8(b, (uint8_t)en->type);
	buf_put_u8(b, (uint8_t)en->outcome);
	buf_put_varint(b, en->mode);
	buf_put_varint(b, en->uid);
	buf_put_varint(b, en->gid);
	buf_put_varint(b, en->has);
	buf_put_zigzag(b, en->mtime_s);
	buf_put_varint(b, en->mtime_ns);
	buf_put_varint(b, en->nlink);
	buf_put_varint(b, en->size);
	put_optional(b, en);
	put_strings(b, en);
	if (en->has & ENTRY_HAS_LAYOUT)
		put_layout(b, en);
	if (en->has & ENTRY_HAS_SCAN)
		put_scan(b, &en->scan);
}

static uint32_t get_u32(struct view *v)
{
	uint64_t n = view_varint(v);

	if (n > UINT32_MAX)
		v->failed = true;
	return v->failed ? 0 : (uint32_t)n;
}

static void get_digest(struct view *v, uint8_t out[DIGEST_LEN])
{
	const uint8_t *p = view_raw(v, DIGEST_LEN);

	if (p)
		memcpy(out, p, DIGEST_LEN);
}

/* Owned copy of the next bytes; NULL with v failed on a NUL byte in them, an excess or short memory. */
static char *get_string(struct view *v, size_t max)
{
	size_t n;
	const uint8_t *p = view_bytes(v, max, &n);
	char *s;

	if (!p || memchr(p, '\0', n) || !(s = strndup((const char *)p, n))) {
		v->failed = true;
		return NULL;
	}
	return s;
}

static int get_path(struct view *v, struct entry *en, const char *prev, struct err *e)
{
	size_t prev_len = prev ? strlen(prev) : 0, n;
	uint64_t shared = view_varint(v);
	const uint8_t *rest = view_bytes(v, PATH_BYTES_MAX, &n);
	OWN_BUF struct buf b = BUF_INIT;

	if (!rest || shared > prev_len)
		return err_set(e, ERR_INTEGRITY, "encoded entry: malformed path");
	if (shared)
		buf_put(&b, prev, (size_t)shared);
	buf_put(&b, rest, n);
	if (buf_finish(&b, e) < 0)
		return -1;
	return entry_set_path(en, b.data, b.len, e);
}

static void get_optional(struct view *v, struct entry *en)
{
	if (en->has & ENTRY_HAS_SHA256)
		get_digest(v, en->sha256);
	if (en->has & ENTRY_HAS_SM3)
		get_digest(v, en->sm3);
	if (en->has & ENTRY_HAS_XATTR)
		get_digest(v, en->xattr);
	if (en->has & ENTRY_HAS_ACL)
		get_digest(v, en->acl);
	if (is_device(en->type)) {
		en->rdev_major = get_u32(v);
		en->rdev_minor = get_u32(v);
	}
	if (en->has & ENTRY_HAS_BTIME) {
		en->btime_s = view_zigzag(v);
		en->btime_ns = get_u32(v);
	}
	if (en->has & ENTRY_HAS_FLAGS)
		en->flags = get_u32(v);
}

static void get_strings(struct view *v, struct entry *en)
{
	unsigned bits = view_u8(v);

	if (bits > 31)
		v->failed = true;
	if (bits & STR_TARGET)
		en->target = get_string(v, PATH_BYTES_MAX);
	if (bits & STR_LINK_TO)
		en->link_to = get_string(v, PATH_BYTES_MAX);
	if (bits & STR_OWNER)
		en->owner = get_string(v, 255);
	if (bits & STR_GROUP)
		en->group = get_string(v, 255);
	if (bits & STR_NOTE)
		en->note = get_string(v, ENTRY_NOTE_MAX);
}

static void get_layout(struct view *v, struct entry *en)
{
	uint64_t n = view_varint(v), end = 0;

	/* Two bytes a range at least: a lying count cannot make us allocate more than it sent. */
	if (v->failed || n > ENTRY_LAYOUT_MAX || n > view_left(v) / 2) {
		v->failed = true;
		return;
	}
	if (n && !(en->layout = calloc((size_t)n, sizeof(*en->layout)))) {
		v->failed = true;
		return;
	}
	en->layout_count = (size_t)n;
	for (size_t i = 0; i < n; i++) {
		uint64_t gap = view_varint(v), len = view_varint(v);

		if (gap > INT64_MAX - end || len > INT64_MAX - end - gap)
			v->failed = true;
		en->layout[i] = (struct entry_range){ end + gap, len };
		end += v->failed ? 0 : gap + len;
	}
}

static void get_scan(struct view *v, struct entry_scan *s)
{
	uint8_t racy;

	s->dev = view_varint(v);
	s->ino = view_varint(v);
	s->ctime_s = view_zigzag(v);
	s->ctime_ns = get_u32(v);
	racy = view_u8(v);
	if (racy > 1)
		v->failed = true;
	s->racy = racy == 1;
}

static int decode_fields(struct view *v, struct entry *en, const char *prev, struct err *e)
{
	if (get_path(v, en, prev, e) < 0)
		return -1;
	en->type = (enum entry_type)view_u8(v);
	en->outcome = (enum entry_outcome)view_u8(v);
	en->mode = get_u32(v);
	en->uid = get_u32(v);
	en->gid = get_u32(v);
	en->has = get_u32(v);
	en->mtime_s = view_zigzag(v);
	en->mtime_ns = get_u32(v);
	en->nlink = get_u32(v);
	en->size = view_varint(v);
	get_optional(v, en);
	get_strings(v, en);
	if (en->has & ENTRY_HAS_LAYOUT)
		get_layout(v, en);
	if (en->has & ENTRY_HAS_SCAN)
		get_scan(v, &en->scan);
	if (v->failed)
		return err_set(e, ERR_INTEGRITY, "encoded entry: cut short or a field out of range");
	return entry_check(en, e);
}

int entry_decode(struct view *v, struct entry *en, const char *prev, struct err *e)
{
	OWN_ENTRY struct entry fresh = ENTRY_INIT;

	/* prev may be en's own path: nothing of en is freed before the new one is whole. */
	if (decode_fields(v, &fresh, prev, e) < 0)
		return -1;
	entry_dispose(en);
	*en = fresh;
	fresh = (struct entry)ENTRY_INIT;	/* transferred */
	return 0;
}
