#include "known.h"

#include <errno.h>
#include <string.h>

#include "path.h"
#include "resend.h"

struct known {
	struct version_reader *version;
	struct state *state;		/* own connection: the caller's writes go on meanwhile */
	struct state_iter *rows;
	struct known_item a, b;		/* heads: version, acknowledged */
	bool have_a, have_b;
	struct u64set resend;		/* found different at the target: not known */
};

void known_item_dispose(struct known_item *it)
{
	entry_dispose(&it->entry);
	*it = (struct known_item){ .acked = false };
}

void known_row_encode(struct buf *b, const struct entry *en, const struct location *at)
{
	buf_put_u8(b, (uint8_t)at->kind);
	buf_put(b, at->id.sha256, DIGEST_LEN);
	entry_encode(b, en, NULL);
}

static int decode_row(const void *row, size_t n, struct known_item *it, struct err *e)
{
	struct view v = view_of(row, n);
	uint8_t kind = view_u8(&v);
	const uint8_t *id = view_raw(&v, DIGEST_LEN);

	if (!id || kind > LOCATION_RECIPE)
		return err_set(e, ERR_INTEGRITY, "state.db: a row is not understood");
	it->at.kind = (enum location_kind)kind;
	memcpy(it->at.id.sha256, id, DIGEST_LEN);
	it->acked = true;
	if (entry_decode(&v, &it->entry, NULL, e) < 0)
		return -1;
	return view_done(&v) ? 0 : err_set(e, ERR_INTEGRITY, "state.db: a row has trailing bytes");
}

static int advance_a(struct known *k, struct err *e)
{
	int r;

	known_item_dispose(&k->a);
	r = version_next(k->version, &k->a.entry, &k->a.at, e);
	k->have_a = r == 1;
	return r < 0 ? -1 : 0;
}

static int advance_b(struct known *k, struct err *e)
{
	const void *key, *row;
	size_t klen, rlen;
	int r;

	known_item_dispose(&k->b);
	r = state_iter_next(k->rows, &key, &klen, &row, &rlen, e);
	k->have_b = r == 1;
	if (r == 1 && decode_row(row, rlen, &k->b, e) < 0)
		return -1;
	return r < 0 ? -1 : 0;
}

int known_open(const struct workspace *w, const char *plan, const char *dataset, uint64_t version, uint64_t pass,
    struct known **out, struct err *e)
{
	OWN(known_closep) struct known *k = calloc(1, sizeof(*k));

	if (!k)
		return err_sys(e, "known state");
	if (version_open(w, plan, dataset, version, VERSION_SCAN, &k->version, e) < 0 ||
	    workspace_state(w, &k->state, e) < 0 ||
	    resend_load(w, k->state, plan, dataset, &k->resend, e) < 0 ||
	    state_ack_iter(k->state, plan, dataset, pass, &k->rows, e) < 0 ||
	    advance_a(k, e) < 0 || advance_b(k, e) < 0)
		return -1;
	*out = take_ptr(&k);
	return 0;
}

/*
 * What a rule left out is not known.  What could not be read is, by name: an earlier version may have brought it to the
 * target, and only who knows it notices its end.  (It is read again in any case: it was not taken.)
 */
static bool usable(const struct entry *en) { return en->outcome != ENTRY_SKIPPED; }

static bool is_resent(const struct known *k, const struct entry *en)
{
	/* The further names of an inode are made anew with the first, or they would stay with the one that was there. */
	return u64set_has(&k->resend, RESEND_ALL) || u64set_has(&k->resend, u64set_key(en->path, en->path_len)) ||
	    (en->link_to && u64set_has(&k->resend, u64set_key(en->link_to, strlen(en->link_to))));
}

/*
 * What was found different at the target is to be sent again.  A file stays known by name (so that its end is noticed) but
 * without what would save reading or sending it; other entries are simply not known.
 */
static bool keep_known(const struct known *k, struct known_item *it)
{
	if (it->acked || !is_resent(k, &it->entry))
		return true;
	if (it->entry.type != ENTRY_FILE || it->entry.link_to)
		return false;
	it->entry.scan.racy = true;
	it->entry.has &= ~(uint32_t)ENTRY_HAS_SHA256;
	return true;
}

static int next_any(struct known *k, struct known_item *it, struct err *e)
{
	int order;

	if (!k->have_a && !k->have_b)
		return 0;
	order = !k->have_a ? 1 : !k->have_b ? -1 : entry_cmp(&k->a.entry, &k->b.entry);
	known_item_dispose(it);
	if (order < 0) {
		*it = k->a;
		k->a = (struct known_item){ .acked = false };
		it->in_version = true;
		return advance_a(k, e) < 0 ? -1 : 1;
	}
	*it = k->b;
	k->b = (struct known_item){ .acked = false };
	it->in_version = order == 0;
	if (order == 0 && advance_a(k, e) < 0)
		return -1;
	return advance_b(k, e) < 0 ? -1 : 1;
}

int known_next(struct known *k, struct known_item *it, struct err *e)
{
	int r;

	do
		r = next_any(k, it, e);
	while (r == 1 && (!usable(&it->entry) || !keep_known(k, it)));
	return r;
}

void known_close(struct known *k)
{
	if (!k)
		return;
	known_item_dispose(&k->a);
	known_item_dispose(&k->b);
	state_iter_free(k->rows);
	state_close(k->state);
	u64set_dispose(&k->resend);
	version_close(k->version);
	free(k);
}
