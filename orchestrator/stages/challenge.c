#include "challenge.h"

#include <string.h>

#include "archive.h"
#include "digest.h"
#include "objects.h"

static void sample_dispose(struct challenge_sample *s)
{
	while (s->n)
		entry_dispose(&s->picks[--s->n].entry);
}

void challenge_dispose(struct challenge *c)
{
	sample_dispose(&c->whole);
	sample_dispose(&c->large);
}

static uint64_t below(uint64_t n)
{
	uint64_t r, limit = UINT64_MAX - UINT64_MAX % n;

	do
		random_bytes(&r, sizeof(r));
	while (r >= limit);
	return r % n;
}

static int sample_offer(struct challenge_sample *s, size_t room, const struct entry *en, const struct location *at, struct err *e)
{
	struct challenge_pick *place;
	struct entry *copy;

	s->seen++;
	if (s->n < room) {
		place = &s->picks[s->n];
	} else {
		uint64_t k = below(s->seen);

		if (k >= room)
			return 0;
		place = &s->picks[k];
	}
	if (!(copy = entry_dup(en)))
		return err_sys(e, "challenge");
	if (place == &s->picks[s->n])
		s->n++;
	else
		entry_dispose(&place->entry);
	place->entry = *copy;
	place->at = *at;
	free(copy);
	return 0;
}

int challenge_offer(struct challenge *c, const struct entry *en, const struct location *at, struct err *e)
{
	if (en->type != ENTRY_FILE || en->link_to || at->kind == LOCATION_NONE)
		return 0;
	if (en->size <= CHALLENGE_BYTES)
		return sample_offer(&c->whole, CHALLENGES, en, at, e);
	return at->kind == LOCATION_RECIPE ? sample_offer(&c->large, CHALLENGES_LARGE, en, at, e) : 0;
}

/* ---- what the archive says ---- */

struct hashing { struct digest *d; uint64_t at; };

static void zeros(struct hashing *h, uint64_t until)
{
	static const uint8_t none[65536];

	while (h->at < until) {
		size_t n = until - h->at < sizeof(none) ? (size_t)(until - h->at) : sizeof(none);

		digest_update(h->d, none, n);
		h->at += n;
	}
}

static int hash_piece(void *ctx, uint64_t offset, const void *p, size_t n, struct err *e)
{
	struct hashing *h = ctx;

	if (offset < h->at)
		return err_set(e, ERR_BUG, "a content came out of order");
	zeros(h, offset);
	digest_update(h->d, p, n);
	h->at += n;
	return 0;
}

static int expected_answer(struct archive *a, const struct challenge_pick *p, const struct msg_challenge *m, uint8_t out[DIGEST_LEN], struct err *e)
{
	OWN(digest_freep) struct digest *d = digest_new(DIGEST_SHA256);
	struct hashing h = { d, m->offset };
	int r;

	if (!d)
		return err_sys(e, "challenge");
	digest_update(d, m->nonce, sizeof(m->nonce));
	r = m->length ? archive_range(a, &p->entry, &p->at, m->offset, m->length, hash_piece, &h, e) :
	    archive_content(a, &p->entry, &p->at, hash_piece, &h, e);
	if (r < 0)
		return -1;
	zeros(&h, m->length ? m->offset + m->length : p->entry.size);
	digest_final(d, out);
	return 0;
}

/* ---- asking ---- */

static int take_answer(struct session *s, uint64_t index, struct msg_answer *out, struct err *e)
{
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		int got = wire_recv(s->wire, WIRE_ACK, &f, e);

		if (got < 0)
			return -1;
		if (got == 0)
			return err_set(e, ERR_INTEGRITY, "host %s: a challenge was not answered", s->host_name);
		if (f.type == MSG_PROBLEM)
			continue;	/* the answer that follows says that there is none */
		if (f.type != MSG_ANSWER)
			return err_set(e, ERR_INTEGRITY, "host %s: unexpected message %u", s->host_name, f.type);
		if (msg_answer_decode(f.data, f.len, out, e) < 0)
			return -1;
		return out->index == index ? 0 : err_set(e, ERR_INTEGRITY, "host %s: an answer to another challenge", s->host_name);
	}
}

/* large: a random range of it, else the whole content. */
static int ask(struct session *s, struct archive *a, const struct challenge_pick *p, bool large, uint64_t index, struct verify_result *v, struct err *e)
{
	struct msg_challenge m = { .index = index, .path = p->entry.path, .offset = large ? below(p->entry.size - CHALLENGE_RANGE + 1) : 0,
		.length = large ? CHALLENGE_RANGE : 0 };
	struct msg_answer answer;
	OWN_BUF struct buf b = BUF_INIT;
	uint8_t want[DIGEST_LEN];
	char x[DIGEST_HEX], y[DIGEST_HEX];

	random_bytes(m.nonce, sizeof(m.nonce));
	msg_challenge_encode(&b, &m);
	if (buf_finish(&b, e) < 0 || wire_send(s->wire, WIRE_DATA, MSG_CHALLENGE, b.data, b.len, e) < 0 ||
	    take_answer(s, index, &answer, e) < 0)
		return -1;
	v->challenged++;
	if (!answer.read)
		return verify_add_unverified(v, p->entry.path, "its challenge could not be answered") < 0 ? err_sys(e, "verify") : 0;
	if (expected_answer(a, p, &m, want, e) < 0) {
		/* The archive is what cannot be read here: said, and never taken for a match. */
		int r = e->class == ERR_INTEGRITY ? verify_add_unverified(v, p->entry.path, e->text) : -1;

		if (r == 0)
			err_clear(e);
		return r;
	}
	if (memcmp(want, answer.digest, DIGEST_LEN) == 0)
		return 0;
	hex_of(want, DIGEST_LEN, x);
	hex_of(answer.digest, DIGEST_LEN, y);
	return verify_add_difference(v, p->entry.path, "challenge", x, y) < 0 ? err_sys(e, "verify") : 0;
}

int challenge_run(struct run *r, struct challenge *c, const char *host, const char *path, bool cached, struct verify_result *v, struct err *e)
{
	OWN(session_closep) struct session *s = NULL;
	OWN(archive_closep) struct archive *a = NULL;
	struct msg_start start = { .identity = "", .scope = "", .flags = cached ? 0 : MSG_F_MEDIUM };
	uint64_t index = 0;

	if (c->whole.n == 0 && c->large.n == 0)
		return 0;
	if (archive_open(r->w, &a, e) < 0 || session_open(r, host, "challenge", path, &start, &s, e) < 0)
		return -1;
	for (size_t i = 0; i < c->whole.n; i++)
		if (run_check(r, e) < 0 || ask(s, a, &c->whole.picks[i], false, index++, v, e) < 0)
			return -1;
	for (size_t i = 0; i < c->large.n * CHALLENGE_RANGES; i++)
		if (run_check(r, e) < 0 || ask(s, a, &c->large.picks[i / CHALLENGE_RANGES], true, index++, v, e) < 0)
			return -1;
	return wire_end(s->wire, WIRE_DATA, e) < 0 ? -1 : session_finish(s, NULL, e);
}
