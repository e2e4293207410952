#include "loss_survey.h"

#include <string.h>

#include "answers.h"
#include "esc.h"
#include "owners.h"
#include "pack.h"
#include "places.h"
#include "store.h"

#define BLOBS_MAX 65536
#define CAP_DAC 6u		/* CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH */

void loss_blobs_dispose(struct loss_blobs *b)
{
	free(b->v);
	u64set_dispose(&b->none);
	*b = (struct loss_blobs){ .v = NULL };
}

static bool find_blob(const struct loss_blobs *b, uint64_t key, unsigned *kinds)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].key == key) {
			*kinds = b->v[i].kinds;
			return true;
		}
	return false;
}

/* Beyond the bound it is read again each time. */
static void keep_blob(struct loss_blobs *b, uint64_t key, unsigned kinds)
{
	void *grown = b->n < BLOBS_MAX ? reallocarray(b->v, b->n + 1, sizeof(*b->v)) : NULL;

	if (!grown)
		return;
	b->v = grown;
	b->v[b->n].key = key;
	b->v[b->n++].kinds = kinds;
}

static int load(struct run *r, const struct entry *en, struct attr_set *set, struct err *e)
{
	OWN_BUF struct buf blob = BUF_INIT;
	struct object_id id;

	memcpy(id.sha256, en->xattr, DIGEST_LEN);
	return store_get_bytes(r->w->store, STORE_ATTR, &id, ATTR_BLOB_MAX, &blob, e) < 0 ||
	    attr_set_decode(set, blob.data, blob.len, e) < 0 ? -1 : 0;
}

int loss_blob_kinds(struct run *r, struct loss_blobs *b, const struct entry *en, unsigned *kinds, struct err *e)
{
	OWN_ATTRS struct attr_set set = ATTR_SET_INIT;
	uint64_t key = u64set_key(en->xattr, DIGEST_LEN);

	*kinds = 0;
	if (!(en->has & ENTRY_HAS_XATTR) || u64set_has(&b->none, key) || find_blob(b, key, kinds))
		return 0;
	if (load(r, en, &set, e) < 0)
		return -1;
	*kinds = loss_of_attrs(&set);
	if (*kinds)
		keep_blob(b, key, *kinds);
	else
		(void)u64set_add(&b->none, key);
	return 0;
}

int loss_reduced(struct run *r, const struct entry *en, unsigned kinds, uint8_t sha256[DIGEST_LEN], struct err *e)
{
	OWN_ATTRS struct attr_set set = ATTR_SET_INIT, left = ATTR_SET_INIT;
	OWN_BUF struct buf text = BUF_INIT;

	if (load(r, en, &set, e) < 0)
		return -1;
	for (size_t i = 0; i < set.n; i++)
		if (!loss_takes_attr(kinds, set.v[i].name) && attr_set_add(&left, set.v[i].name, set.v[i].value, set.v[i].len, e) < 0)
			return -1;
	attr_set_encode(&left, false, &text);
	if (buf_finish(&text, e) < 0)
		return -1;
	return text.len == 0 ? 0 : digest_sha256(text.data, text.len, sha256, e) < 0 ? -1 : 1;
}

/* ---- the source, before the copy ---- */

void loss_forecast_dispose(struct loss_forecast *f)
{
	loss_counts_dispose(&f->lost);
	free(f->first);
	*f = (struct loss_forecast){ .first = NULL };
}

static void take_blob(void *ctx, const void *blob, size_t n)
{
	OWN_ATTRS struct attr_set set = ATTR_SET_INIT;
	struct err e = ERR_INIT;
	uint8_t digest[DIGEST_LEN];
	unsigned kinds;

	/* A blob that is none shows in the pass, which checks it. */
	if (attr_set_decode(&set, blob, n, &e) < 0 || digest_sha256(blob, n, digest, &e) < 0 || !(kinds = loss_of_attrs(&set)))
		return;
	keep_blob(ctx, u64set_key(digest, DIGEST_LEN), kinds);
}

static void count_one(struct loss_forecast *f, const struct loss_rights *rights, const struct loss_blobs *blobs, const struct plan_dataset *d,
    const struct owners *owners, struct entry *en)
{
	unsigned kinds = 0;

	if (en->outcome == ENTRY_FAILED) {
		if (f->unreadable++ == 0)
			f->first = esc_dup(en->path, en->path_len);
		return;
	}
	if (en->has & ENTRY_HAS_XATTR)
		(void)find_blob(blobs, u64set_key(en->xattr, DIGEST_LEN), &kinds);
	owners_expect(d, owners, en, &en->uid, &en->gid);
	loss_count(&f->lost, loss_of(rights, en, kinds), en->path);
}

/* May the agent read whatever there is, and see all attributes? */
static bool reads_all(const json_t *facts)
{
	const char *caps = place_fact(facts, "caps");

	if (json_object_get(facts, "uids"))
		return false;
	return *caps ? (strtoull(caps, NULL, 16) & CAP_DAC) != 0 : place_number(facts, "euid") == 0;
}

static bool sees_trusted(const json_t *facts)
{
	struct loss_rights r;

	loss_rights_from(facts, &r);
	return !(r.denied >> LOSS_XATTR & 1);
}

int loss_survey(struct run *r, const struct plan_dataset *d, const json_t *from, const json_t *to, struct loss_forecast *f, struct err *e)
{
	OWN(answers_closep) struct answers *a = NULL;
	OWN_LOSS_BLOBS struct loss_blobs blobs = { .v = NULL };
	OWN_OWNERS struct owners owners = OWNERS_INIT;
	struct loss_rights rights = { .denied = 0 };
	struct answers_options o = { .host = d->from.host, .path = d->from.path, .attr = take_blob, .ctx = &blobs,
		.flags = MSG_F_HASH_ONLY | MSG_F_NO_HASH | MSG_F_TELL_ATTRS };
	int got;

	if (to)
		loss_rights_from(to, &rights);
	f->unseen = !sees_trusted(from);
	if (!rights.denied && reads_all(from))
		return 0;
	if ((to && owners_new(r, d, d->to.host, &owners, e) < 0) || answers_open(r, d, &o, &a, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = answers_next(a, &en, e)) != 1)
			return got;
		count_one(f, &rights, &blobs, d, &owners, &en);
	}
}

bool loss_forecast_any(const struct loss_forecast *f) { return f->unreadable || f->unseen || loss_total(&f->lost); }

json_t *loss_forecast_json(const struct loss_forecast *f)
{
	json_t *o = json_pack("{s:o}", "target", loss_counts_json(&f->lost));

	if (f->unreadable)
		(void)json_object_set_new(o, "unreadable", json_pack("{s:I,s:s}", "entries", (json_int_t)f->unreadable, "first", f->first ? f->first : "?"));
	if (f->unseen)
		(void)json_object_set_new(o, "unseen", json_pack("[s]", "trusted.* extended attributes"));
	return o;
}
