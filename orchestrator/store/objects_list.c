#include "objects.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char header[] = "waybill-objects 1\n";

struct objects_writer {
	struct buf text;
	struct location last;
	uint64_t run;			/* contents in the open run */
	struct object_id *attrs;	/* unsorted until finish */
	size_t attr_count, attr_cap;
	uint8_t recent[2][DIGEST_LEN];	/* most entries repeat the blob of the one before */
};

bool objects_has_content(const struct entry *en)
{
	return entry_has_content(en) && en->size > 0;
}

int objects_writer_new(struct objects_writer **out, struct err *e)
{
	if (!(*out = calloc(1, sizeof(**out)))) {
		errno = ENOMEM;
		return err_sys(e, "objects list");
	}
	buf_puts(&(*out)->text, header);
	return 0;
}

static void end_run(struct objects_writer *w)
{
	char hex[DIGEST_HEX];

	if (!w->run)
		return;
	hex_of(w->last.id.sha256, DIGEST_LEN, hex);
	if (w->last.kind == LOCATION_PACK)
		buf_printf(&w->text, "pack %s %" PRIu64 "\n", hex, w->run);
	else if (w->last.kind == LOCATION_RECIPE)
		buf_printf(&w->text, "recipe %s\n", hex);
	else
		buf_printf(&w->text, "none %" PRIu64 "\n", w->run);
	w->run = 0;
}

static bool same_place(const struct location *a, const struct location *b)
{
	if (a->kind != b->kind || a->kind == LOCATION_RECIPE)
		return false;		/* a recipe is one line each */
	return a->kind == LOCATION_NONE || memcmp(a->id.sha256, b->id.sha256, DIGEST_LEN) == 0;
}

int objects_writer_add(struct objects_writer *w, const struct location *at, struct err *e)
{
	if (!w->run || !same_place(at, &w->last)) {
		end_run(w);
		w->last = *at;
	}
	w->run++;
	return buf_finish(&w->text, e);
}

static int id_cmp(const void *a, const void *b) { return memcmp(a, b, DIGEST_LEN); }

/* Sorts and drops repetitions; how many are left. */
static size_t distinct(struct object_id *v, size_t n)
{
	size_t kept = 0;

	qsort(v, n, sizeof(*v), id_cmp);
	for (size_t i = 0; i < n; i++)
		if (!kept || id_cmp(&v[i], &v[kept - 1]) != 0)
			v[kept++] = v[i];
	return kept;
}

int objects_writer_attr(struct objects_writer *w, const uint8_t id[DIGEST_LEN], struct err *e)
{
	struct object_id *p;

	if (memcmp(w->recent[0], id, DIGEST_LEN) == 0 || memcmp(w->recent[1], id, DIGEST_LEN) == 0)
		return 0;
	memcpy(w->recent[1], w->recent[0], DIGEST_LEN);
	memcpy(w->recent[0], id, DIGEST_LEN);
	/* Room by forgetting repetitions first: many entries, but few different blobs. */
	if (w->attr_count == w->attr_cap) {
		size_t cap, left = w->attr_count ? distinct(w->attrs, w->attr_count) : 0;

		w->attr_count = left;
		cap = left * 2 < 16 ? 16 : left * 2;
		if (!(p = realloc(w->attrs, cap * sizeof(*p))))
			return err_sys(e, "objects list");
		w->attrs = p;
		w->attr_cap = cap;
	}
	memcpy(w->attrs[w->attr_count++].sha256, id, DIGEST_LEN);
	return 0;
}

int objects_writer_finish(struct objects_writer *w, struct buf *b, struct err *e)
{
	char hex[DIGEST_HEX];

	end_run(w);
	if (w->attr_count)
		w->attr_count = distinct(w->attrs, w->attr_count);
	for (size_t i = 0; i < w->attr_count; i++) {
		hex_of(w->attrs[i].sha256, DIGEST_LEN, hex);
		buf_printf(&w->text, "attr %s\n", hex);
	}
	if (buf_finish(&w->text, e) < 0)
		return -1;
	buf_put(b, w->text.data, w->text.len);
	return buf_finish(b, e);
}

void objects_writer_free(struct objects_writer *w)
{
	if (!w)
		return;
	buf_dispose(&w->text);
	free(w->attrs);
	free(w);
}

void objects_dispose(struct objects *o)
{
	free(o->runs);
	free(o->attrs);
	*o = (struct objects)OBJECTS_INIT;
}

/* A number as the writer prints it, to the end of the line: no sign, no zero in front, not 0. */
static bool parse_count(const char *s, uint64_t *n)
{
	uint64_t v = 0;

	if (*s == '0' || !*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*n = v;
	return true;
}

/* "<word> ": what follows it, or NULL. */
static const char *after(const char *line, const char *word)
{
	size_t n = strlen(word);

	return strncmp(line, word, n) == 0 && line[n] == ' ' ? line + n + 1 : NULL;
}

/* 64 hex digits at p: what follows them, or NULL. */
static const char *parse_id(const char *p, struct object_id *id)
{
	char hex[DIGEST_HEX];

	if (strnlen(p, DIGEST_HEX - 1) < DIGEST_HEX - 1)
		return NULL;
	memcpy(hex, p, DIGEST_HEX - 1);
	hex[DIGEST_HEX - 1] = '\0';
	return hex_parse(hex, id->sha256, DIGEST_LEN) ? p + DIGEST_HEX - 1 : NULL;
}

/* "none N", "pack ID N", "recipe ID" or "attr ID"; count is 1 for lines that carry none. */
static bool parse_line(const char *line, struct location *at, uint64_t *count, bool *attr)
{
	const char *p;

	memset(at, 0, sizeof(*at));
	*count = 1;
	*attr = false;
	if ((p = after(line, "none")))
		return parse_count(p, count);
	if ((p = after(line, "pack"))) {
		at->kind = LOCATION_PACK;
		return (p = parse_id(p, &at->id)) && *p == ' ' && parse_count(p + 1, count);
	}
	if ((p = after(line, "recipe")))
		at->kind = LOCATION_RECIPE;
	else if ((p = after(line, "attr")))
		*attr = true;
	return p && (p = parse_id(p, &at->id)) && *p == '\0';
}

static int grow(void **v, size_t count, size_t size, struct err *e)
{
	void *p;

	if (count & (count - 1) && count)	/* capacity is the next power of two */
		return 0;
	if (!(p = realloc(*v, (count ? count * 2 : 1) * size)))
		return err_sys(e, "objects list");
	*v = p;
	return 0;
}

static int take_line(struct objects *o, const char *line, struct err *e)
{
	struct location at;
	uint64_t count;
	bool attr;

	if (!parse_line(line, &at, &count, &attr))
		return err_set(e, ERR_INTEGRITY, "objects list: not understood");
	if (attr) {
		if (o->attr_count && id_cmp(&o->attrs[o->attr_count - 1], &at.id) >= 0)
			return err_set(e, ERR_INTEGRITY, "objects list: attributes out of order");
		if (grow((void **)&o->attrs, o->attr_count, sizeof(*o->attrs), e) < 0)
			return -1;
		o->attrs[o->attr_count++] = at.id;
		return 0;
	}
	if (o->attr_count)
		return err_set(e, ERR_INTEGRITY, "objects list: a content after the attributes");
	if (grow((void **)&o->runs, o->run_count, sizeof(*o->runs), e) < 0)
		return -1;
	o->runs[o->run_count++] = (struct objects_run){ at, count };
	return 0;
}

int objects_parse(struct objects *o, const char *text, size_t n, struct err *e)
{
	size_t pos = sizeof(header) - 1, lineno = 1;
	char line[160];

	if (n < pos || memcmp(text, header, pos) != 0)
		return err_set(e, ERR_INTEGRITY, "objects list: no header");
	while (pos < n) {
		const char *end = memchr(text + pos, '\n', n - pos);
		size_t len = end ? (size_t)(end - (text + pos)) : 0;

		lineno++;
		if (!end || len >= sizeof(line))
			return err_set(e, ERR_INTEGRITY, "objects list: line %zu is cut or too long", lineno);
		memcpy(line, text + pos, len);
		line[len] = '\0';
		if (take_line(o, line, e) < 0)
			return err_at(e, "line %zu", lineno);
		pos += len + 1;
	}
	return 0;
}

int objects_cursor_next(struct objects_cursor *c, struct location *at, struct err *e)
{
	if (c->run >= c->o->run_count)
		return err_set(e, ERR_INTEGRITY, "objects list: fewer contents than the manifest has");
	*at = c->o->runs[c->run].at;
	if (++c->used == c->o->runs[c->run].count) {
		c->run++;
		c->used = 0;
	}
	return 0;
}

bool objects_cursor_done(const struct objects_cursor *c) { return c->run == c->o->run_count; }
