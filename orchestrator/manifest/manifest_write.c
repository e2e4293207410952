#include "manifest_private.h"
#include "esc.h"

#include <errno.h>
#include <string.h>

struct manifest_writer {
	manifest_chunk_fn fn;
	void *ctx;
	struct manifest_sum sum;
	struct manifest_hash *hash;	/* into sum */
	struct manifest_order order;
	struct digest *paths;		/* for chunk cuts and names */
	struct buf chunk;
	uint64_t in_chunk;		/* entries */
	char name[MANIFEST_NAME];	/* of the chunk being filled */
	uint64_t *names;		/* 64 bits of every chunk name so far; owned */
	size_t name_count, name_cap;
};

int manifest_writer_new(struct manifest_writer **out, manifest_chunk_fn fn, void *ctx, struct err *e)
{
	OWN(manifest_writer_freep) struct manifest_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return err_sys(e, "manifest");
	w->fn = fn;
	w->ctx = ctx;
	if (manifest_sum_init(&w->sum, e) < 0 || manifest_hash_new(&w->hash, &w->sum, e) < 0)
		return -1;
	if (!(w->paths = digest_new(DIGEST_SHA256))) {
		errno = ENOMEM;
		return err_sys(e, "manifest");
	}
	buf_puts(&w->chunk, MANIFEST_MAGIC);
	*out = take_ptr(&w);
	return 0;
}

void manifest_writer_free(struct manifest_writer *w)
{
	if (!w)
		return;
	manifest_hash_free(w->hash);
	manifest_sum_dispose(&w->sum);
	manifest_order_dispose(&w->order);
	digest_free(w->paths);
	buf_dispose(&w->chunk);
	free(w->names);
	free(w);
}

static int remember_name(struct manifest_writer *w, const uint8_t d[DIGEST_LEN], struct err *e)
{
	uint64_t v;

	if (w->name_count == w->name_cap) {
		size_t cap = w->name_cap ? w->name_cap * 2 : 64;
		uint64_t *grown = reallocarray(w->names, cap, sizeof(*grown));

		if (!grown)
			return err_sys(e, "manifest");
		w->names = grown;
		w->name_cap = cap;
	}
	memcpy(&v, d, sizeof(v));
	w->names[w->name_count++] = v;
	return 0;
}

static int name_chunk(struct manifest_writer *w, const uint8_t d[DIGEST_LEN], struct err *e)
{
	char hex[17];

	hex_of(d, 8, hex);
	(void)snprintf(w->name, sizeof(w->name), "%.2s/%s.mtree", hex, hex);
	return remember_name(w, d, e);
}

static int emit_chunk(struct manifest_writer *w, bool last, struct err *e)
{
	const struct buf *text;

	if (buf_finish(&w->chunk, e) < 0)
		return -1;
	text = manifest_hash_give(w->hash, &w->chunk, w->name, w->in_chunk, last);
	w->in_chunk = 0;
	return w->fn(w->ctx, w->name, text->data, text->len, e) != 0 ? -1 : 0;
}

static bool cut_before(const struct manifest_writer *w, const uint8_t d[DIGEST_LEN])
{
	if (w->in_chunk < MANIFEST_CHUNK_MIN)
		return false;
	return w->in_chunk >= MANIFEST_CHUNK_MAX || (d[DIGEST_LEN - 1] == 0 && (d[DIGEST_LEN - 2] & 3) == 0);
}

int manifest_writer_add(struct manifest_writer *w, const struct entry *en, struct err *e)
{
	uint8_t d[DIGEST_LEN];

	if (entry_check(en, e) < 0 || manifest_order_check(&w->order, en, e) < 0) {
		/* What came from outside was checked where it came in. */
		if (e->class == ERR_INTEGRITY)
			e->class = ERR_BUG;
		return err_at(e, "manifest");
	}
	digest_update(w->paths, en->path, en->path_len);
	digest_final(w->paths, d);
	if (cut_before(w, d) && emit_chunk(w, false, e) < 0)
		return -1;
	if (w->in_chunk == 0 && name_chunk(w, d, e) < 0)
		return -1;
	manifest_format(&w->chunk, en);
	w->in_chunk++;
	manifest_sum_entry(&w->sum, en);
	return buf_finish(&w->chunk, e);
}

static int cmp_u64(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Two chunks of one name would overwrite each other: 64 bits make it unlikely, a hostile source could try. */
static int check_names(struct manifest_writer *w, struct err *e)
{
	if (w->name_count)
		qsort(w->names, w->name_count, sizeof(*w->names), cmp_u64);
	for (size_t i = 1; i < w->name_count; i++)
		if (w->names[i] == w->names[i - 1])
			return err_set(e, ERR_PERMANENT, "manifest: two chunks have the same name; "
			    "rename one of the files at their starts");
	return 0;
}

int manifest_writer_finish(struct manifest_writer *w, struct buf *index, struct manifest_root *root,
    struct manifest_totals *t, struct err *e)
{
	const struct buf *lines;

	if (w->in_chunk == 0)
		return err_set(e, ERR_BUG, "manifest without any entry, or finished twice");
	if (emit_chunk(w, true, e) < 0 || check_names(w, e) < 0)
		return -1;
	lines = manifest_hash_index(w->hash);
	buf_put(index, lines->data, lines->len);
	digest_final(w->sum.sha256, root->sha256);
	digest_final(w->sum.sm3, root->sm3);
	if (t)
		*t = w->sum.totals;
	if (buf_finish(lines, e) < 0)
		return -1;
	return buf_finish(index, e);
}
