#include "scan_client.h"

#include <errno.h>
#include <string.h>

#include "esc.h"

void scan_result_dispose(struct scan_result *x)
{
	msg_medium_dispose(&x->medium);
	for (size_t i = 0; i < x->nhits; i++)
		free(x->hits[i].owner);
	free(x->hits);
	free(x->bad);
	free(x->settled);
	*x = (struct scan_result){ .nhits = 0 };
}

void scan_close(struct scan *s)
{
	session_close(s->session);
	for (size_t i = 0; i < s->n; i++)
		scan_result_dispose(&s->media[i]);
	free(s->media);
	*s = (struct scan)SCAN_INIT;
}

int scan_open(struct scan *s, struct run *r, const char *host, const char *root, const char *on, bool settle, struct err *e)
{
	const char *args[16] = { "scan", "--root", on ? "/" : root };
	struct msg_start start = { .identity = "", .scope = "" };
	size_t n = 3;

	if (on) {
		args[n++] = "--on";
		args[n++] = on;
	}
	if (s->mount) {
		args[n++] = "--mount";
		args[n++] = s->mount;
		args[n++] = "--at";
		args[n++] = s->at;
	}
	if (settle)
		args[n++] = "--settle";
	if (strcmp(host, "local") == 0) {
		args[n++] = "--own";
		args[n++] = r->w->dir;
	}

	s->r = r;
	s->host = host;
	return session_open_args(r, host, args, &start, &s->session, e);
}

/* ---- what comes back ---- */

static char *escaped(char *s)
{
	char *t = s ? esc_dup(s, strlen(s)) : NULL;

	free(s);
	return t;
}

static int take_medium(struct scan *s, const struct wire_frame *f, struct err *e)
{
	struct scan_result *grown = realloc(s->media, (s->n + 1) * sizeof(*grown)), *x;

	if (!grown)
		return err_sys(e, "media");
	s->media = grown;
	x = &s->media[s->n];
	*x = (struct scan_result){ .nhits = 0 };
	if (msg_medium_decode(f->data, f->len, &x->medium, e) < 0)
		return -1;
	s->n++;
	x->medium.serial = escaped(x->medium.serial);
	x->medium.fstype = escaped(x->medium.fstype);
	x->medium.note = escaped(x->medium.note);
	x->medium.uuid = escaped(x->medium.uuid);
	x->medium.where = escaped(x->medium.where);
	x->settled = strdup("");
	return x->medium.serial && x->medium.fstype && x->medium.note && x->medium.uuid && x->medium.where && x->settled ? 0 : err_sys(e, "media");
}

/* Room for one more, by powers of two. */
static void *room(void *v, size_t n, size_t size)
{
	return n & (n - 1) ? v : realloc(v, (n ? 2 * n : 1) * size);
}

static int take_hit(struct scan_result *x, const struct wire_frame *f, const struct scan_request *q, struct err *e)
{
	OWN(msg_hit_dispose) struct msg_hit m = { .owner = NULL };
	struct scan_found_hit *grown;

	if (msg_hit_decode(f->data, f->len, &m, e) < 0)
		return -1;
	if (m.witness >= q->set->n || x->nhits >= q->hits_max)
		return err_set(e, ERR_INTEGRITY, "a hit that was not asked for");
	if (!(grown = room(x->hits, x->nhits, sizeof(*grown))))
		return err_sys(e, "hits");
	x->hits = grown;
	grown[x->nhits] = (struct scan_found_hit){ m.offset, m.length, (uint32_t)m.witness, esc_dup(m.owner, strlen(m.owner)) };
	return grown[x->nhits++].owner ? 0 : err_sys(e, "hits");
}

static int take_bad(struct scan_result *x, const struct wire_frame *f, struct err *e)
{
	struct msg_bad *grown = room(x->bad, x->nbad, sizeof(*grown));

	if (!grown)
		return err_sys(e, "unreadable ranges");
	x->bad = grown;
	return msg_bad_decode(f->data, f->len, &grown[x->nbad++], e);
}

static int take_found(const struct wire_frame *f, const struct scan_request *q, struct err *e)
{
	struct msg_found m;

	if (msg_found_decode(f->data, f->len, &m, e) < 0)
		return -1;
	if (!q->found || m.first / 8 + m.bytes > (q->set->n + 7) / 8)
		return err_set(e, ERR_INTEGRITY, "more witnesses are found than were asked for");
	for (size_t i = 0; i < m.bytes; i++)
		q->found[m.first / 8 + i] |= m.bits[i];
	return 0;
}

static int take_settled(struct scan_result *x, const struct wire_frame *f, struct err *e)
{
	struct view v = view_of(f->data, f->len);
	size_t n;
	const uint8_t *p = view_bytes(&v, 4096, &n);

	if (!p || !view_done(&v))
		return err_set(e, ERR_INTEGRITY, "malformed SETTLED");
	free(x->settled);
	return (x->settled = esc_dup((const char *)p, n)) ? 0 : err_sys(e, "media");
}

static int take_problem(struct scan *s, const struct wire_frame *f, struct err *e)
{
	OWN(msg_problem_dispose) struct msg_problem m = { .path = NULL };

	if (msg_problem_decode(f->data, f->len, &m, e) < 0)
		return -1;
	(void)snprintf(s->why_none, sizeof(s->why_none), "%s", m.text);
	return 0;
}

static void show(const struct scan *s, const struct scan_result *x, const struct scan_request *q)
{
	struct run_progress p = { .stage = "scan", .dataset = q->dataset, .bytes = x->sum.bytes,
		.total_bytes = q->reads ? q->reads * 8192 : x->medium.size };

	run_show_progress(s->r, &p);
}

static int take(struct scan *s, const struct wire_frame *f, const struct scan_request *q, struct err *e)
{
	struct scan_result *x = s->n ? &s->media[s->n - 1] : NULL;

	if (f->type == MSG_PROBLEM)
		return take_problem(s, f, e);
	if (f->type == MSG_MEDIUM)
		return take_medium(s, f, e);
	if (f->type == MSG_FOUND && q)
		return take_found(f, q, e);
	if (x && f->type == MSG_SETTLED)
		return take_settled(x, f, e);
	if (!x || !q || x->complete)
		return err_set(e, ERR_INTEGRITY, "message type %u does not belong here", f->type);
	if (f->type == MSG_HIT)
		return take_hit(x, f, q, e);
	if (f->type == MSG_BAD)
		return take_bad(x, f, e);
	if (f->type != MSG_SCANNED || msg_scanned_decode(f->data, f->len, &x->sum, e) < 0)
		return err_set(e, ERR_INTEGRITY, "message type %u does not belong here", f->type);
	x->complete = x->sum.done;
	show(s, x, q);
	return 0;
}

static int take_all(struct scan *s, const struct scan_request *q, struct err *e)
{
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		int got = wire_recv(s->session->wire, WIRE_ACK, &f, e);

		if (got < 0 || (got == 1 && take(s, &f, q, e) < 0))
			return -1;
		if (got == 0)
			return session_finish(s->session, NULL, e);
	}
}

/* ---- what is asked ---- */

static int send(struct scan *s, enum msg_scan_type t, struct buf *b, struct err *e)
{
	int r = buf_finish(b, e) < 0 ? -1 : wire_send(s->session->wire, WIRE_DATA, (uint8_t)t, b->data, b->len, e);

	buf_reset(b);
	return r;
}

int scan_map(struct scan *s, const char *const *paths, size_t n, struct msg_mapped *out, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		OWN_BUF struct buf b = BUF_INIT;

		msg_map_encode(&b, i, paths[i]);
		if (send(s, MSG_MAP, &b, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < n;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		int got = wire_recv(s->session->wire, WIRE_ACK, &f, e);

		if (got == 0)
			return err_set(e, ERR_TEMPORARY, "host %s: the scan ended too early; run the same command again", s->host);
		if (got < 0 || (f.type == MSG_PROBLEM && take_problem(s, &f, e) < 0))
			return -1;
		if (f.type == MSG_PROBLEM)
			continue;
		if (f.type != (uint8_t)MSG_MAP || msg_mapped_decode(f.data, f.len, &out[i], e) < 0)
			return e->class ? -1 : err_set(e, ERR_INTEGRITY, "host %s: the answer to MAP is another one", s->host);
		if (out[i].index != i)
			return err_set(e, ERR_INTEGRITY, "host %s: the answer to MAP is that to another question", s->host);
		i++;
	}
	return 0;
}

int scan_look(struct scan *s, struct err *e)
{
	return wire_end(s->session->wire, WIRE_DATA, e) < 0 ? -1 : take_all(s, NULL, e);
}

#define BATCH_BYTES 65536u

static int send_witnesses(struct scan *s, const struct witness_set *set, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	for (size_t i = 0; i < set->n; i++) {
		const struct witness *w = &set->v[i];
		struct msg_witness m = { .cls = w->cls, .len = w->len, .off = w->off, .tag = w->tag, .hash = w->hash };

		msg_witness_put(&b, &m);
		if ((b.len >= BATCH_BYTES || i + 1 == set->n) && send(s, MSG_WITNESSES, &b, e) < 0)
			return -1;
	}
	return 0;
}

int scan_search(struct scan *s, const struct scan_request *q, struct err *e)
{
	struct msg_scan_begin begin = { .witnesses = q->set->n, .flags = q->flags, .hits_max = q->hits_max, .reads = q->reads };
	OWN_BUF struct buf b = BUF_INIT;

	memcpy(begin.key, q->set->key.bytes, sizeof(begin.key));
	if (q->seed)
		memcpy(begin.seed, q->seed, sizeof(begin.seed));
	msg_scan_begin_encode(&b, &begin);
	if (send(s, MSG_SCAN_BEGIN, &b, e) < 0 || send_witnesses(s, q->set, e) < 0 || wire_end(s->session->wire, WIRE_DATA, e) < 0)
		return -1;
	return take_all(s, q, e);
}
