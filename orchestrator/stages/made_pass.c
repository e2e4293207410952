/* A pass over a dataset that commands make: output into slices, recipes, a version; and its feed. */
#include "made.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "archive.h"
#include "clock.h"
#include "esc.h"
#include "log.h"
#include "pass_internal.h"
#include "sys.h"

#define MADE_SITE "made-fed"	/* of the fault seam: the target has it, the ledger does not */

/* ---- output into the archive ---- */

#define TAIL 512

struct taker {
	struct pass *p;
	struct recipe rc;
	struct digest *sha256, *sm3;	/* sm3: NULL unless wanted */
	struct store_put *put;		/* of the open slice */
	struct frame_writer *w;
	uint64_t in_slice;
	char tail[TAIL];		/* the last bytes of it */
	size_t tail_len;
};

static void taker_dispose(struct taker *t)
{
	recipe_dispose(&t->rc);
	digest_free(t->sha256);
	digest_free(t->sm3);
	frame_writer_free(t->w);
	store_put_abandon(t->put);
}

static int end_slice(struct taker *t, struct err *e)
{
	struct recipe_part part = { .length = t->in_slice };
	uint64_t raw, stored;
	struct object_id id;

	if (!t->w)
		return 0;
	if (frame_writer_finish(t->w, &raw, &stored, e) < 0 || store_put_commit(take_ptr(&t->put), &id, &stored, e) < 0)
		return -1;
	frame_writer_free(take_ptr(&t->w));
	t->p->result.objects++;
	t->p->result.stored += stored;
	memcpy(part.slice, id.sha256, DIGEST_LEN);
	return recipe_add(&t->rc, &part, e);
}

static int begin_slice(struct taker *t, const uint8_t *p, size_t n, struct err *e)
{
	const struct plan_archive *a = &t->p->r->plan->archive;
	int level = !frame_compressible(p, n < 65536 ? n : 65536) ? PACK_LEVEL_RAW : a->level_auto ? 1 : a->level;

	t->in_slice = 0;
	if (store_put_begin(t->p->r->w->store, STORE_SLICE, &t->put, e) < 0)
		return -1;
	return frame_writer_new(&t->w, level, store_put_sink, t->put, e);
}

static void keep_tail(struct taker *t, const uint8_t *p, size_t n)
{
	size_t new = n < TAIL ? n : TAIL, old = t->tail_len < TAIL - new ? t->tail_len : TAIL - new;

	memmove(t->tail, t->tail + t->tail_len - old, old);
	memcpy(t->tail + old, p + n - new, new);
	t->tail_len = old + new;
}

/* A dump may be cut where its command still ends well: by a pipe in a wrapper, by a full disk that it does not look at. */
static int is_whole(const struct made *m, const struct made_part *part, const struct taker *t, struct err *e)
{
	if (!part->last || memmem(t->tail, t->tail_len, part->last, strlen(part->last)))
		return 0;
	err_set(e, ERR_PERMANENT, "dataset %s: %s at host %s ended well, but what it said lacks its end (\"%s\"): it was cut", m->d->name,
	    esc_s(part->run.argv[0]), m->d->from.host, part->last);
	return err_hint(e, "nobody was fed with it; look for a wrapper or a full disk there, then run again");
}

static int take(struct taker *t, const uint8_t *p, size_t n, struct err *e)
{
	digest_update(t->sha256, p, n);
	if (t->sm3)
		digest_update(t->sm3, p, n);
	t->p->progress.bytes += n;
	keep_tail(t, p, n);
	while (n) {
		size_t k;

		if (!t->w && begin_slice(t, p, n, e) < 0)
			return -1;
		k = n < SLICE_RAW - t->in_slice ? n : (size_t)(SLICE_RAW - t->in_slice);
		if (frame_writer_put(t->w, p, k, e) < 0)
			return -1;
		t->in_slice += k;
		p += k;
		n -= k;
		if (t->in_slice == SLICE_RAW && end_slice(t, e) < 0)
			return -1;
	}
	return 0;
}

/* The recipe, and the entry that it makes. */
static int end_content(struct taker *t, struct entry *en, struct location *at, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT;
	OWN(store_put_abandonp) struct store_put *put = NULL;
	uint64_t stored;

	if (end_slice(t, e) < 0)
		return -1;
	digest_final(t->sha256, en->sha256);
	en->has |= ENTRY_HAS_SHA256;
	if (t->sm3) {
		digest_final(t->sm3, en->sm3);
		en->has |= ENTRY_HAS_SM3;
	}
	en->size = t->rc.size;
	*at = (struct location){ .kind = LOCATION_NONE };
	if (!en->size)
		return 0;
	memcpy(t->rc.sha256, en->sha256, DIGEST_LEN);
	recipe_encode(&t->rc, &text);
	if (buf_finish(&text, e) < 0 || store_put_begin(t->p->r->w->store, STORE_RECIPE, &put, e) < 0 ||
	    store_put_write(put, text.data, text.len, e) < 0)
		return -1;
	at->kind = LOCATION_RECIPE;
	return store_put_commit(take_ptr(&put), &at->id, &stored, e);
}

/* Also of a command that did its work: warnings of a dump are of use years later. */
static void note_said(struct made *m, json_t **said, const char *part, const char *host, const struct msg_exec_end *end)
{
	OWN_FREE char *text = made_said(m, end);

	if (!text)
		return;
	if (!*said)
		*said = json_array();
	(void)json_array_append_new(*said, json_pack("{s:s,s:s,s:s}", "part", part, "host", host, "stderr", text));
}

/* ---- a feed: what it says is read beside what it is told ---- */

struct fed {
	struct exec *x;
	pthread_t thread;
	bool running;
	struct err why;
};

static void *drain(void *arg)
{
	struct fed *f = arg;
	int got;

	do {
		OWN_FRAME struct wire_frame w = WIRE_FRAME_INIT;

		got = exec_read(f->x, &w, &f->why);
	} while (got == 1);
	return NULL;
}

static void fed_close(struct fed *f)
{
	if (f->running) {
		/* An abandoned command is killed with its session, which wakes its reader. */
		exec_cancel(f->x);
		(void)pthread_join(f->thread, NULL);
	}
	exec_close(f->x);
}

static int fed_open(struct made *m, const struct made_command *c, struct fed *f, struct err *e)
{
	struct exec_command x = { .host = m->d->to.host, .user = m->user, .argv = c->argv, .env = (const char *const *)m->env };

	if (exec_start(m->r, &x, &f->x, e) < 0)
		return -1;
	if ((errno = pthread_create(&f->thread, NULL, drain, f)) != 0)
		return err_sys(e, "thread");
	f->running = true;
	return 0;
}

static int fed_finish(struct made *m, struct pass *p, const struct made_part *part, struct fed *f, struct err *e)
{
	const struct made_command *c = &part->feed;
	OWN(msg_exec_end_dispose) struct msg_exec_end end = { .how = 0 };

	if (exec_end_input(f->x, e) < 0)
		return -1;
	(void)pthread_join(f->thread, NULL);
	f->running = false;
	if (f->why.class != ERR_NONE) {
		*e = f->why;
		return -1;
	}
	if (exec_finish(f->x, &end, e) < 0)
		return -1;
	note_said(m, &p->said, part->name, m->d->to.host, &end);
	return exec_good(&end) ? 0 : made_failed(m, m->d->to.host, c, &end, e);
}

static int to_feed(void *ctx, uint64_t offset, const void *p, size_t n, struct err *e)
{
	struct fed *f = ctx;

	(void)offset;
	return exec_write(f->x, p, n, e);
}

static int feed_part(struct made *m, struct pass *p, const struct made_part *part, const struct entry *en, const struct location *at, struct err *e)
{
	OWN(archive_closep) struct archive *a = NULL;
	OWN(fed_close) struct fed f = { .x = NULL };

	if (archive_open(m->r->w, &a, e) < 0 || fed_open(m, &part->feed, &f, e) < 0)
		return -1;
	if (at->kind != LOCATION_NONE && archive_content(a, en, at, to_feed, &f, e) < 0)
		return -1;
	return fed_finish(m, p, part, &f, e);
}

/* ---- one part ---- */

struct taken { struct entry entry; struct location at; };

static int read_output(struct taker *t, struct exec *x, struct fed *f, struct err *e)
{
	int got;

	for (;;) {
		OWN_FRAME struct wire_frame w = WIRE_FRAME_INIT;

		if ((got = exec_read(x, &w, e)) != 1)
			return got;
		if (take(t, w.data, w.len, e) < 0 || (f && exec_write(f->x, w.data, w.len, e) < 0) || run_check(t->p->r, e) < 0)
			return -1;
		run_show_progress(t->p->r, &t->p->progress);
	}
}

static int run_source(struct made *m, const struct made_part *part, struct taker *t, struct fed *f, struct err *e)
{
	OWN(exec_closep) struct exec *x = NULL;
	OWN(msg_exec_end_dispose) struct msg_exec_end end = { .how = 0 };
	struct exec_command c = { .host = m->d->from.host, .user = m->user, .argv = part->run.argv, .env = (const char *const *)m->env, .to_eof = true };
	const char *in = part->run.input ? part->run.input : "";

	if (exec_start(m->r, &c, &x, e) < 0 || exec_write(x, in, strlen(in), e) < 0 || exec_end_input(x, e) < 0 ||
	    read_output(t, x, f, e) < 0 || exec_finish(x, &end, e) < 0)
		return -1;
	note_said(m, &t->p->said, part->name, m->d->from.host, &end);
	return exec_good(&end) ? 0 : made_failed(m, m->d->from.host, &part->run, &end, e);
}

static int begin_taking(struct taker *t, struct pass *p, struct err *e)
{
	*t = (struct taker){ .p = p, .sha256 = digest_new(DIGEST_SHA256), .sm3 = p->r->plan->archive.sm3 ? digest_new(DIGEST_SM3) : NULL };
	return t->sha256 && (t->sm3 || !p->r->plan->archive.sm3) ? 0 : err_set(e, ERR_TEMPORARY, "out of memory");
}

static int end_taking(struct taker *t, const struct made_part *part, struct taken *out, struct err *e)
{
	out->entry.type = ENTRY_FILE;
	out->entry.outcome = ENTRY_COPIED;
	out->entry.mode = 0600;
	out->entry.nlink = 1;
	return end_content(t, &out->entry, &out->at, e) < 0 ? -1 : entry_set_path(&out->entry, part->name, strlen(part->name), e);
}

static int take_part(struct made *m, struct pass *p, const struct made_part *part, struct taken *out, struct err *e)
{
	bool streams = m->d->kind == DATASET_COMMAND && m->d->command.stream && part->feed.argv && m->d->to.host;
	OWN(taker_dispose) struct taker t = { .p = NULL };
	OWN(fed_close) struct fed f = { .x = NULL };

	if (begin_taking(&t, p, e) < 0 || (streams && fed_open(m, &part->feed, &f, e) < 0))
		return -1;
	if (run_source(m, part, &t, streams ? &f : NULL, e) < 0 || is_whole(m, part, &t, e) < 0 || (streams && fed_finish(m, p, part, &f, e) < 0))
		return -1;
	return end_taking(&t, part, out, e);
}

/* The fingerprint, which the source has been making since the pass began. */
static int take_later(struct made *m, struct pass *p, const struct made_part *part, struct made_later *l, struct taken *out, struct err *e)
{
	OWN(taker_dispose) struct taker t = { .p = NULL };
	OWN(msg_exec_end_dispose) struct msg_exec_end end = { .how = 0 };

	if (begin_taking(&t, p, e) < 0 || made_later_end(l, &end, e) < 0)
		return -1;
	note_said(m, &p->said, part->name, m->d->from.host, &end);
	if (!exec_good(&end))
		return made_failed(m, m->d->from.host, &part->run, &end, e);
	if (l->out.len && take(&t, (const uint8_t *)l->out.data, l->out.len, e) < 0)
		return -1;
	return end_taking(&t, part, out, e) < 0 ? -1 : store_sync(p->r->w->store, e);
}

/* ---- the pass ---- */

static int add_entry(struct pass *p, const struct entry *en, const struct location *at, struct err *e)
{
	uint64_t place = 0;

	p->result.balance.scanned++;
	p->result.balance.copied++;
	p->progress.entries++;
	if (pass_place(p, at, &place, e) < 0)
		return -1;
	return names_add(&p->names, en, e) < 0 ? -1 : passfile_add(p->found, en, place << FOUND_MARKS | FOUND_CHANGED, e);
}

static int add_root(struct pass *p, struct err *e)
{
	OWN_ENTRY struct entry en = { .type = ENTRY_DIR, .outcome = ENTRY_COPIED, .mode = 0700, .nlink = 1 };
	const struct location none = { .kind = LOCATION_NONE };

	return entry_set_path(&en, ".", 1, e) < 0 ? -1 : add_entry(p, &en, &none, e);
}

/* An intent, for what is in a database cannot be taken back: the next run must be able to tell whose contents those are. */
static int begin_feed(struct made *m, struct pass *p, struct err *e)
{
	if (!m->vacant)
		return 0;
	if (m->vacant(m, e) < 0)
		return -1;
	return run_event(m->r, NULL, p->stage, "feeding", json_pack("{s:s,s:I,s:s}", "dataset", m->d->name, "version", (json_int_t)p->version,
	    "host", m->d->to.host), e, "%s version %" PRIu64 " is fed at host %s", m->d->name, p->version, m->d->to.host);
}

/* The target holds what a feed brought that was cut before it was recorded: all of it, or it is nobody's business but a person's. */
static int fed_before(struct made *m, const struct taken *taken, const struct err *occupied, struct err *e)
{
	bool same = false;

	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->parts[i].name, MADE_FINGERPRINT) == 0 && made_same(m, &taken[i].entry, &taken[i].at, &same, e) < 0)
			return -1;
	if (same) {
		log_warn("dataset %s: an earlier run fed it and was cut before that was recorded; the fingerprints of source and target are the same, "
		    "so it is not fed again", m->d->name);
		return 0;
	}
	*e = *occupied;
	return err_hint(e, "a feed was begun there, its end is not recorded, and what is there is not what the source holds: drop the database there, "
	    "and run again");
}

static int feed_order(struct made *m, struct pass *p, const struct taken *taken, int order, struct err *e)
{
	if (order == 1 && m->prepare && m->prepare(m, e) < 0)
		return -1;
	for (size_t i = 0; i < m->count; i++)
		if (m->parts[i].order == order && m->parts[i].feed.argv && feed_part(m, p, &m->parts[i], &taken[i].entry, &taken[i].at, e) < 0)
			return -1;
	return 0;
}

static bool is_fed(const struct made *m)
{
	return m->d->to.host && !(m->d->kind == DATASET_COMMAND && m->d->command.stream);
}

/* Looked at before the source has all the work.  occupied: why not, when it may be what we fed. */
static int look_at_target(struct made *m, struct err *occupied, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&m->r->standing, m->d->name);

	if (!is_fed(m) || !m->vacant || m->vacant(m, e) == 0)
		return 0;
	if (e->class != ERR_REFUSED || !s || !s->feeding)
		return -1;
	*occupied = *e;
	err_clear(e);
	return 0;
}

/* Durable before anybody is fed with it. */
static int take_and_feed(struct made *m, struct pass *p, struct taken *taken, const struct made_part *print, struct made_later *l, struct err *e)
{
	struct err occupied = ERR_INIT;

	if (look_at_target(m, &occupied, e) < 0)
		return -1;
	for (size_t i = 0; i < m->count; i++)
		if (&m->parts[i] != print && take_part(m, p, &m->parts[i], &taken[i], e) < 0)
			return -1;
	/* What a server has for all of its databases goes first: owners have to be there before what they own. */
	if (store_sync(p->r->w->store, e) < 0 ||
	    (is_fed(m) && occupied.class == ERR_NONE && (begin_feed(m, p, e) < 0 || feed_order(m, p, taken, 0, e) < 0)))
		return -1;
	if (print && take_later(m, p, print, l, &taken[print - m->parts], e) < 0)
		return -1;
	if (!is_fed(m))
		return 0;
	if (occupied.class != ERR_NONE)
		return store_sync(p->r->w->store, e) < 0 ? -1 : fed_before(m, taken, &occupied, e);
	if (feed_order(m, p, taken, 1, e) < 0)
		return -1;
	sys_point(MADE_SITE);
	return 0;
}

static int run_parts(struct made *m, struct pass *p, struct taken *taken, struct err *e)
{
	const struct made_part *print = m->d->kind == DATASET_DATABASE ? made_part(m, MADE_FINGERPRINT) : NULL;
	OWN(made_later_close) struct made_later l = { .x = NULL };

	/* A database is summed up beside its dump; of a command nobody knows what it needs. */
	if (print && made_later(m, m->d->from.host, &print->run, MADE_FINGERPRINT_MAX, &l, e) < 0)
		return -1;
	if (take_and_feed(m, p, taken, print, &l, e) < 0 || passfile_new(&p->found, p->r->w->scanfd, e) < 0 || add_root(p, e) < 0)
		return -1;
	for (size_t i = 0; i < m->count; i++)
		if (add_entry(p, &taken[i].entry, &taken[i].at, e) < 0)
			return -1;
	run_show_progress(p->r, &p->progress);
	return pass_commit(p, e);
}

int made_pass_run(struct run *r, const struct plan_dataset *d, const char *stage, struct pass_result *out, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);
	struct pass p = { .r = r, .d = d, .stage = stage, .last = s ? s->version : 0, .started = clock_mono_ns() };
	struct taken taken[MADE_PARTS] = { { .entry = ENTRY_INIT } };
	OWN_MADE struct made m = { .r = NULL };
	int res;

	p.version = p.last + 1;
	p.frozen = strcmp(stage, "final") == 0;
	p.batches_end = &p.batches;
	p.progress = (struct run_progress){ .stage = stage, .dataset = d->name };
	res = made_open(r, d, &m, e) < 0 ? -1 : run_parts(&m, &p, taken, e);
	if (res == 0)
		*out = p.result;
	for (size_t i = 0; i < MADE_PARTS; i++)
		entry_dispose(&taken[i].entry);
	pass_free(&p);
	return res;
}
