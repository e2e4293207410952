/*
 * Text back to an entry.  The parser takes keywords in any order and numbers in any spelling; that the text is the
 * canonical one is found by writing the entry again and comparing.
 */
#include "esc.h"
#include "manifest_private.h"

#include <errno.h>
#include <string.h>

struct word { const char *p; size_t n; };	/* borrowed */

static bool word_is(struct word w, const char *s) { return w.n == strlen(s) && memcmp(w.p, s, w.n) == 0; }

static bool get_u64(struct word w, unsigned base, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (w.n == 0)
		return false;
	for (size_t i = 0; i < w.n; i++) {
		unsigned d = (unsigned)(w.p[i] - '0');

		if (d >= base || v > (max - d) / base)
			return false;
		v = v * base + d;
	}
	*out = v;
	return true;
}

static bool get_u32(struct word w, unsigned base, uint32_t *out)
{
	uint64_t v;

	if (!get_u64(w, base, UINT32_MAX, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

/* Part of w before c into head, the rest after it into tail. */
static bool split(struct word w, char c, struct word *head, struct word *tail)
{
	const char *at = memchr(w.p, c, w.n);

	if (!at)
		return false;
	*head = (struct word){ w.p, (size_t)(at - w.p) };
	*tail = (struct word){ at + 1, w.n - head->n - 1 };
	return true;
}

static bool get_time(struct word w, int64_t *s, uint32_t *ns)
{
	struct word whole, part;
	bool minus = w.n && w.p[0] == '-';
	uint64_t v;

	if (minus)
		w = (struct word){ w.p + 1, w.n - 1 };
	if (!split(w, '.', &whole, &part) || part.n != 9 || !get_u32(part, 10, ns) ||
	    !get_u64(whole, 10, minus ? (uint64_t)INT64_MAX + 1 : INT64_MAX, &v))
		return false;
	*s = minus ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

static bool get_hex(struct word w, struct entry *en, uint32_t bit, uint8_t *out)
{
	char hex[DIGEST_HEX];

	if (w.n != DIGEST_HEX - 1)
		return false;
	memcpy(hex, w.p, w.n);
	hex[w.n] = '\0';
	en->has |= bit;
	return hex_parse(hex, out, DIGEST_LEN);
}

/* Owned, unescaped copy; a second value for the same field is refused. */
static bool get_text(struct word w, char **out)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (*out || w.n == 0 || !esc_undo(&b, w.p, w.n) || b.failed || memchr(b.data, '\0', b.len))
		return false;
	*out = buf_take(&b);
	return *out != NULL;
}

/* "." or "./a/b" into the form without "./". */
static bool get_path(struct word w, char **out)
{
	if (word_is(w, "."))
		return get_text(w, out);
	if (w.n < 3 || memcmp(w.p, "./", 2) != 0)
		return false;
	return get_text((struct word){ w.p + 2, w.n - 2 }, out);
}

static bool get_type(struct word w, enum entry_type *out)
{
	for (enum entry_type t = ENTRY_FILE; t <= ENTRY_SOCKET; t++)
		if (word_is(w, entry_type_name(t))) {
			*out = t;
			return true;
		}
	return false;
}

static bool get_device(struct word w, struct entry *en)
{
	struct word native, numbers, major, minor;

	return split(w, ',', &native, &numbers) && word_is(native, "native") && split(numbers, ',', &major, &minor) &&
	    get_u32(major, 10, &en->rdev_major) && get_u32(minor, 10, &en->rdev_minor);
}

static bool get_flags(struct word w, struct entry *en)
{
	static const struct { const char *name; uint32_t bit; } names[] = {
		{ "immutable", 0x10 }, { "append", 0x20 }, { "nodump", 0x40 }, { "noatime", 0x80 } };
	struct word one, rest = w;
	bool more;

	en->has |= ENTRY_HAS_FLAGS;
	do {
		uint32_t bit = 0;

		more = split(rest, ',', &one, &rest);
		if (!more)
			one = rest;
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (word_is(one, names[i].name))
				bit = names[i].bit;
		if (!bit)
			return false;
		en->flags |= bit;
	} while (more);
	return true;
}

static bool get_data(struct word w, struct entry *en)
{
	struct word one, rest = w, offset, length;
	struct err ignored = ERR_INIT;
	uint64_t o, l;
	bool more;

	en->has |= ENTRY_HAS_LAYOUT;
	if (word_is(w, "-"))
		return en->layout_count == 0;
	do {
		more = split(rest, ',', &one, &rest);
		if (!more)
			one = rest;
		if (!split(one, '+', &offset, &length) || !get_u64(offset, 10, INT64_MAX, &o) ||
		    !get_u64(length, 10, INT64_MAX, &l) || entry_layout_add(en, o, l, &ignored) < 0)
			return false;
	} while (more);
	return true;
}

static bool get_fact(struct word key, struct word v, struct entry *en)
{
	if (word_is(key, "type"))
		return get_type(v, &en->type);
	if (word_is(key, "mode"))
		return get_u32(v, 8, &en->mode);
	if (word_is(key, "uid"))
		return get_u32(v, 10, &en->uid);
	if (word_is(key, "gid"))
		return get_u32(v, 10, &en->gid);
	if (word_is(key, "time"))
		return get_time(v, &en->mtime_s, &en->mtime_ns);
	if (word_is(key, "nlink"))
		return get_u32(v, 10, &en->nlink);
	if (word_is(key, "size"))
		return get_u64(v, 10, INT64_MAX, &en->size);
	if (word_is(key, "sha256"))
		return get_hex(v, en, ENTRY_HAS_SHA256, en->sha256);
	if (word_is(key, "link"))
		return get_text(v, &en->target);
	if (word_is(key, "device"))
		return get_device(v, en);
	return false;
}

static bool get_extra(struct word key, struct word v, struct entry *en)
{
	if (word_is(key, "owner"))
		return get_text(v, &en->owner);
	if (word_is(key, "group"))
		return get_text(v, &en->group);
	if (word_is(key, "sm3"))
		return get_hex(v, en, ENTRY_HAS_SM3, en->sm3);
	if (word_is(key, "xattr"))
		return get_hex(v, en, ENTRY_HAS_XATTR, en->xattr);
	if (word_is(key, "acl"))
		return get_hex(v, en, ENTRY_HAS_ACL, en->acl);
	if (word_is(key, "flags"))
		return get_flags(v, en);
	if (word_is(key, "btime")) {
		en->has |= ENTRY_HAS_BTIME;
		return get_time(v, &en->btime_s, &en->btime_ns);
	}
	if (word_is(key, "first"))
		return get_path(v, &en->link_to);
	if (word_is(key, "note"))
		return get_text(v, &en->note);
	if (word_is(key, "data"))
		return get_data(v, en);
	return false;
}

typedef bool (*keyword_fn)(struct word key, struct word value, struct entry *en);

/* Every word of line goes to fn; "unsettled" is the one without a value. */
static bool get_words(struct word line, keyword_fn fn, struct entry *en)
{
	struct word one, rest = line, key, value;
	bool more;

	do {
		more = split(rest, ' ', &one, &rest);
		if (!more)
			one = rest;
		if (fn == get_extra && word_is(one, "unsettled"))
			en->outcome = ENTRY_UNSETTLED;
		else if (!split(one, '=', &key, &value) || !fn(key, value, en))
			return false;
	} while (more);
	return true;
}

static bool get_absent_word(struct word key, struct word v, struct entry *en)
{
	if (word_is(key, "type"))
		return get_type(v, &en->type);
	if (word_is(key, "note"))
		return get_text(v, &en->note);
	return false;
}

bool manifest_is_absent_line(const char *line, size_t n)
{
	return (n > 11 && memcmp(line, "#+ skipped ", 11) == 0) || (n > 10 && memcmp(line, "#+ failed ", 10) == 0);
}

static bool parse_first_line(struct word line, struct entry *en)
{
	struct word path, rest = line;
	bool absent = manifest_is_absent_line(line.p, line.n);

	en->outcome = ENTRY_COPIED;
	if (absent) {
		en->outcome = line.p[3] == 's' ? ENTRY_SKIPPED : ENTRY_FAILED;
		rest = (struct word){ line.p + (line.p[3] == 's' ? 11 : 10), line.n - (line.p[3] == 's' ? 11 : 10) };
	}
	if (!split(rest, ' ', &path, &rest) || !get_path(path, &en->path))
		return false;
	en->path_len = strlen(en->path);
	return get_words(rest, absent ? get_absent_word : get_fact, en);
}

static bool parse_lines(const char *text, size_t n, struct entry *en)
{
	const char *p = text, *end = text + n, *nl;

	for (bool first = true; p < end; p = nl + 1, first = false) {
		struct word line;

		if (!(nl = memchr(p, '\n', (size_t)(end - p))))
			return false;
		line = (struct word){ p, (size_t)(nl - p) };
		if (first) {
			if (!parse_first_line(line, en))
				return false;
		} else if (line.n < 4 || memcmp(p, "#+ ", 3) != 0 ||
		    !get_words((struct word){ p + 3, line.n - 3 }, get_extra, en)) {
			return false;
		}
	}
	return en->path != NULL;
}

int manifest_parse(const char *text, size_t n, struct entry *en, struct err *e)
{
	OWN_ENTRY struct entry fresh = ENTRY_INIT;
	OWN_BUF struct buf again = BUF_INIT;

	if (!parse_lines(text, n, &fresh))
		return err_set(e, ERR_INTEGRITY, "not the line of an entry, or an unknown keyword or value");
	if (entry_check(&fresh, e) < 0)
		return -1;
	manifest_format(&again, &fresh);
	if (buf_finish(&again, e) < 0)
		return -1;
	if (again.len != n || memcmp(again.data, text, n) != 0)
		return err_set(e, ERR_INTEGRITY, "not in canonical form");
	entry_dispose(en);
	*en = fresh;
	fresh = (struct entry)ENTRY_INIT;	/* transferred */
	return 0;
}
