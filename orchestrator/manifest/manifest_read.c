#include "manifest_private.h"
#include "esc.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define TEXT_MAX (64u << 20)		/* bytes of one entry's lines, and of one piece of text */

struct manifest_reader {
	manifest_source_fn fn;
	void *ctx;
	struct manifest_sum sum;
	struct manifest_order order;
	struct buf text;		/* what came and is not consumed starts at pos */
	size_t pos;
	uint64_t line;			/* of text[pos], from 1 */
	bool source_ended, done, failed;
	struct manifest_root root;
};

int manifest_reader_new(struct manifest_reader **out, manifest_source_fn fn, void *ctx, struct err *e)
{
	OWN(manifest_reader_freep) struct manifest_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return err_sys(e, "manifest");
	r->fn = fn;
	r->ctx = ctx;
	r->line = 1;
	if (manifest_sum_init(&r->sum, e) < 0)
		return -1;
	*out = take_ptr(&r);
	return 0;
}

void manifest_reader_free(struct manifest_reader *r)
{
	if (!r)
		return;
	manifest_sum_dispose(&r->sum);
	manifest_order_dispose(&r->order);
	buf_dispose(&r->text);
	free(r);
}

static int bad(struct manifest_reader *r, const char *what, struct err *e)
{
	return err_set(e, ERR_INTEGRITY, "manifest, line %" PRIu64 ": %s", r->line, what);
}

/* More text behind what is there: 1, 0 at the end, -1. */
static int fill(struct manifest_reader *r, struct err *e)
{
	size_t before;
	int got;

	if (r->source_ended)
		return 0;
	if (r->pos) {
		buf_consume(&r->text, r->pos);
		r->pos = 0;
	}
	if (r->text.len > TEXT_MAX)
		return bad(r, "an entry larger than any can be", e);
	do {
		before = r->text.len;
		got = r->fn(r->ctx, &r->text, e);
		if (got > 0 && buf_finish(&r->text, e) < 0)
			got = -1;
	} while (got > 0 && r->text.len == before);
	if (got == 0)
		r->source_ended = true;
	return got;
}

/* Length with newline of the line at pos + at: 1 and *n, 0 at the clean end, -1. */
static int line_at(struct manifest_reader *r, size_t at, size_t *n, struct err *e)
{
	size_t searched = 0;

	for (;;) {
		size_t left = r->text.len - r->pos - at;
		const char *p = left ? r->text.data + r->pos + at : NULL;
		const char *nl = left > searched ? memchr(p + searched, '\n', left - searched) : NULL;
		int got;

		if (nl) {
			*n = (size_t)(nl - p) + 1;
			return 1;
		}
		searched = left;
		if ((got = fill(r, e)) < 0)
			return -1;
		if (got == 0)
			return left ? bad(r, "cut short", e) : 0;
	}
}

static int read_magic(struct manifest_reader *r, struct err *e)
{
	size_t n;
	int got = line_at(r, 0, &n, e);

	if (got < 0)
		return -1;
	if (got == 0 || n != strlen(MANIFEST_MAGIC) || memcmp(r->text.data + r->pos, MANIFEST_MAGIC, n) != 0)
		return bad(r, "no manifest: it must start with #mtree", e);
	manifest_sum_text(&r->sum, MANIFEST_MAGIC, n);
	r->pos += n;
	r->line = 2;
	return 0;
}

/* All lines of the next entry: 1 with *n bytes and *lines, 0 at the end, -1. */
static int entry_lines(struct manifest_reader *r, size_t *n, uint64_t *lines, struct err *e)
{
	size_t one;
	int got = line_at(r, 0, n, e);

	if (got <= 0)
		return got;
	*lines = 1;
	if (manifest_is_absent_line(r->text.data + r->pos, *n))
		return 1;
	while ((got = line_at(r, *n, &one, e)) > 0) {
		const char *p = r->text.data + r->pos + *n;

		if (one < 3 || memcmp(p, "#+ ", 3) != 0 || manifest_is_absent_line(p, one))
			break;
		*n += one;
		++*lines;
	}
	return got < 0 ? -1 : 1;
}

static int finish(struct manifest_reader *r, struct err *e)
{
	if (r->order.prev.len == 0)
		return bad(r, "no entries", e);
	digest_final(r->sum.sha256, r->root.sha256);
	digest_final(r->sum.sm3, r->root.sm3);
	r->done = true;
	return 0;
}

static int next(struct manifest_reader *r, struct entry *en, struct err *e)
{
	uint64_t lines;
	size_t n;
	int got;

	if (r->line == 1 && read_magic(r, e) < 0)
		return -1;
	if ((got = entry_lines(r, &n, &lines, e)) < 0)
		return -1;
	if (got == 0)
		return finish(r, e);
	if (manifest_parse(r->text.data + r->pos, n, en, e) < 0 || manifest_order_check(&r->order, en, e) < 0)
		return err_at(e, "manifest, line %" PRIu64, r->line);
	manifest_sum_text(&r->sum, r->text.data + r->pos, n);
	manifest_sum_entry(&r->sum, en);
	r->pos += n;
	r->line += lines;
	return 1;
}

int manifest_reader_next(struct manifest_reader *r, struct entry *en, struct err *e)
{
	int got;

	if (r->failed)
		return err_set(e, ERR_BUG, "manifest read on after an error");
	if (r->done)
		return 0;
	got = next(r, en, e);
	if (got < 0)
		r->failed = true;
	return got;
}

void manifest_reader_root(const struct manifest_reader *r, struct manifest_root *root, struct manifest_totals *t)
{
	if (root)
		*root = r->root;
	if (t)
		*t = r->sum.totals;
}
