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

int objects_writer_attr(struct objects_writer *w, const uint8_t id[DIGEST_LEN], struct err *e)
{
	struct object_id *p;

	if (memcmp(w->recent[0], id, DIGEST_LEN) == 0 || memcmp(w->recent[1], id, DIGEST_LEN) == 0)
		return 0;
	memcpy(w->recent[1], w->recent[0], DIGEST_LEN);
	memcpy(w->recent[0], id, DIGEST_LEN);
	if (w->attr_count == w->attr_cap) {
		size_t cap = w->attr_cap ? w->attr_cap * 2 : 16;

		if (!(p = realloc(w->attrs, cap * sizeof(*p))))
			return err_sys(e, "objects list");
		w->attrs = p;
		w->attr_cap = cap;
	}
	memcpy(w->attrs[w->attr_count++].sha256, id, DIGEST_LEN);
	return 0;
}

static int id_cmp(const void *a, const void *b) { return memcmp(a, b, DIGEST_LEN); }

int objects_writer_finish(struct objects_writer *w, struct buf *b, struct err *e)
{
	char hex[DIGEST_HEX];

	end_run(w);
	if (w->attr_count)
		qsort(w->attrs, w->attr_count, sizeof(*w->attrs), id_cmp);
	for (size_t i = 0; i < w->attr_count; i++) {
		if (i && id_cmp(&w->attrs[i], &w->attrs[i - 1]) == 0)
			continue;
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

/* "<word> <64 hex>[ <count>]"; count is 1 for lines that carry none. */
static bool parse_line(const char *line, struct location *at, uint64_t *count, bool *attr)
{
	char word[8], hex[DIGEST_HEX + 1];
	unsigned long long n = 1;
	int used = 0;

	*attr = false;
	memset(at, 0, sizeof(*at));
	if (sscanf(line, "none %llu%n", &n, &used) == 1 && line[used] == '\0') {
		*count = n;
		return n > 0;
	}
	used = 0;
	if (sscanf(line, "%7[a-z] %65[0-9a-f]%n", word, hex, &used) != 2 || !hex_parse(hex, at->id.sha256, DIGEST_LEN))
		return false;
	if (strcmp(word, "pack") == 0) {
		int more = 0;

		at->kind = LOCATION_PACK;
		if (sscanf(line + used, " %llu%n", &n, &more) != 1 || n == 0)
			return false;
		used += more;
	} else if (strcmp(word, "recipe") == 0) {
		at->kind = LOCATION_RECIPE;
	} else if (strcmp(word, "attr") == 0) {
		*attr = true;
	} else {
		return false;
	}
	*count = n;
	return line[used] == '\0';
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
