/* Canonical text of one entry (waybill-manifest.5). */
#include "esc.h"
#include "manifest_private.h"

#include <string.h>

/* Every entry of every version comes through here: no printf, which was two fifths of the writer's time. */

static void put_number(struct buf *b, const char *key, uint64_t n)
{
	buf_puts(b, key);
	buf_put_decimal(b, n, 1);
}

static void put_time(struct buf *b, const char *key, int64_t s, uint32_t ns)
{
	buf_puts(b, key);
	if (s < 0)
		buf_putc(b, '-');
	buf_put_decimal(b, s < 0 ? -(uint64_t)s : (uint64_t)s, 1);
	buf_putc(b, '.');
	buf_put_decimal(b, ns, 9);
}

static void put_mode(struct buf *b, uint32_t mode)
{
	const char t[4] = { (char)('0' + (mode >> 9 & 7)), (char)('0' + (mode >> 6 & 7)), (char)('0' + (mode >> 3 & 7)), (char)('0' + (mode & 7)) };

	buf_puts(b, " mode=");
	buf_put(b, t, sizeof(t));
}

static void put_hex(struct buf *b, const char *key, const uint8_t d[DIGEST_LEN])
{
	char hex[DIGEST_HEX];

	hex_of(d, DIGEST_LEN, hex);
	buf_puts(b, key);
	buf_put(b, hex, DIGEST_HEX - 1);
}

static void put_word(struct buf *b, const char *key, const char *s)
{
	buf_puts(b, key);
	esc_put_mtree(b, s, strlen(s));
}

static void put_type(struct buf *b, enum entry_type t)
{
	buf_puts(b, " type=");
	buf_puts(b, entry_type_name(t));
}

static void put_path(struct buf *b, const char *p)
{
	if (strcmp(p, ".") != 0)
		buf_put(b, "./", 2);
	esc_put_mtree(b, p, strlen(p));
}

static void put_facts(struct buf *b, const struct entry *en)
{
	put_path(b, en->path);
	put_type(b, en->type);
	put_mode(b, en->mode);
	put_number(b, " uid=", en->uid);
	put_number(b, " gid=", en->gid);
	put_time(b, " time=", en->mtime_s, en->mtime_ns);
	if (en->type != ENTRY_DIR)
		put_number(b, " nlink=", en->nlink);
	if (en->type == ENTRY_FILE)
		put_number(b, " size=", en->size);
	if (en->has & ENTRY_HAS_SHA256)
		put_hex(b, " sha256=", en->sha256);
	if (en->target)
		put_word(b, " link=", en->target);
	if (en->type == ENTRY_CHAR || en->type == ENTRY_BLOCK) {
		put_number(b, " device=native,", en->rdev_major);
		put_number(b, ",", en->rdev_minor);
	}
	buf_putc(b, '\n');
}

static void put_flags(struct buf *b, uint32_t flags)
{
	static const struct { uint32_t bit; const char *name; } names[] = {
		{ 0x10, "immutable" }, { 0x20, "append" }, { 0x40, "nodump" }, { 0x80, "noatime" } };
	const char *lead = " flags=";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (flags & names[i].bit) {
			buf_puts(b, lead);
			buf_puts(b, names[i].name);
			lead = ",";
		}
}

static void put_extras(struct buf *b, const struct entry *en)
{
	size_t start = b->len;

	buf_puts(b, "#+");
	if (en->owner)
		put_word(b, " owner=", en->owner);
	if (en->group)
		put_word(b, " group=", en->group);
	if (en->has & ENTRY_HAS_SM3)
		put_hex(b, " sm3=", en->sm3);
	if (en->has & ENTRY_HAS_XATTR)
		put_hex(b, " xattr=", en->xattr);
	if (en->has & ENTRY_HAS_ACL)
		put_hex(b, " acl=", en->acl);
	if (en->has & ENTRY_HAS_FLAGS)
		put_flags(b, en->flags);
	if (en->has & ENTRY_HAS_BTIME)
		put_time(b, " btime=", en->btime_s, en->btime_ns);
	if (en->link_to) {
		buf_puts(b, " first=");
		put_path(b, en->link_to);
	}
	if (en->outcome == ENTRY_UNSETTLED)
		buf_puts(b, " unsettled");
	/* A content that was never copied has to say so, or it is missing at the target. */
	if (en->note && (en->outcome == ENTRY_UNSETTLED || strcmp(en->note, "list_only") == 0))
		put_word(b, " note=", en->note);
	if (b->failed || b->len == start + 2) {
		b->len = start;
		return;
	}
	buf_putc(b, '\n');
}

static void put_data(struct buf *b, const struct entry *en)
{
	if (en->layout_count == 0)
		buf_puts(b, "#+ data=-\n");
	for (size_t i = 0; i < en->layout_count; i++) {
		buf_puts(b, i % MANIFEST_RANGES == 0 ? "#+ data=" : ",");
		put_number(b, "", en->layout[i].offset);
		put_number(b, "+", en->layout[i].length);
		if (i % MANIFEST_RANGES == MANIFEST_RANGES - 1 || i + 1 == en->layout_count)
			buf_putc(b, '\n');
	}
}

void manifest_format(struct buf *b, const struct entry *en)
{
	if (!entry_is_present(en)) {
		buf_puts(b, en->outcome == ENTRY_SKIPPED ? "#+ skipped " : "#+ failed ");
		put_path(b, en->path);
		put_type(b, en->type);
		if (en->note)
			put_word(b, " note=", en->note);
		buf_putc(b, '\n');
		return;
	}
	put_facts(b, en);
	put_extras(b, en);
	if (en->has & ENTRY_HAS_LAYOUT)
		put_data(b, en);
}
