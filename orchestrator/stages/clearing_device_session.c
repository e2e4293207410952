/* One session with the wiper of a device. */
#include "clearing_device.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backing.h"
#include "esc.h"
#include "journal.h"

void wiping_dispose(struct wiping *w)
{
	session_close(w->session);
	clear_journal_close(w->journal);
}

/* A place that cannot be looked at may stand on the device: nobody may then say that it does not. */
static int put_place(const char *path, struct buf *words, struct err *e)
{
	struct stat st;

	if (stat(path, &st) == 0) {
		backing_of(&st, words);
		return 0;
	}
	(void)err_sys(e, "on what %s stands cannot be told, and what stands on a device must not go with it", esc_s(path));
	e->class = ERR_REFUSED;
	return -1;
}

/* On what the archive, the ledger, the journals and the package stand. */
static int own_places(const struct clearing *c, struct buf *words, struct err *e)
{
	OWN_FREE char *package = c->r->plan->package.to ? plan_file_path(c->r->plan, c->r->plan->package.to) : NULL;
	struct stat st;

	if (c->r->plan->package.to && !package)
		return err_sys(e, "where the package stands");
	if (put_place(c->r->w->dir, words, e) < 0 || put_place(store_dir(c->r->w->store), words, e) < 0)
		return -1;
	if (fstat(c->r->w->scanfd, &st) < 0)
		return err_sys(e, "where the journals stand");
	backing_of(&st, words);
	/* One that was made must be seen; one that was not is nowhere. */
	if (package && (c->r->standing.package_data || access(package, F_OK) == 0) && put_place(package, words, e) < 0)
		return -1;
	if (!words->len)
		buf_puts(words, "none");
	return buf_finish(words, e);
}

/* What is written: 32 bytes that only the key of this clearing gives. */
static int seed_of(const struct clearing *c, uint8_t out[DIGEST_LEN], struct err *e)
{
	uint8_t in[WITNESS_KEY + 4];

	memcpy(in, c->key, WITNESS_KEY);
	memcpy(in + WITNESS_KEY, "wipe", 4);
	return digest_sha256(in, sizeof(in), out, e);
}

static int receive(struct wiping *w, uint8_t type, struct wire_frame *f, struct err *e)
{
	for (;;) {
		int got = wire_recv(w->session->wire, WIRE_ACK, f, e);

		if (got < 0)
			return -1;
		if (got == 0)
			return err_set(e, ERR_TEMPORARY, "host %s: the wiper ended too early; run the same command again", w->session->host_name);
		if (f->type == type)
			return 0;
		if (f->type != MSG_PROBLEM)
			return err_set(e, ERR_INTEGRITY, "host %s: the wiper's answer is not as the protocol says", w->session->host_name);
		wire_frame_dispose(f);
	}
}

int wiping_open(struct wiping *w, bool write, struct err *e)
{
	const struct plan_place *at = &w->x->d.at;
	struct msg_start start = { .identity = "", .scope = w->c->scope };
	struct msg_wipe_begin m = { .write = write };
	OWN_BUF struct buf keep = BUF_INIT, b = BUF_INIT;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

	if (own_places(w->c, &keep, e) < 0 || seed_of(w->c, m.seed, e) < 0 ||
	    session_open(w->c->r, at->host, "wipe", at->path, &start, &w->session, e) < 0)
		return -1;
	m.keep = keep.data;
	msg_wipe_begin_encode(&b, &m);
	if (buf_finish(&b, e) < 0 || wire_send(w->session->wire, WIRE_DATA, MSG_WIPE_BEGIN, b.data, b.len, e) < 0 ||
	    receive(w, MSG_WIPE_FACTS, &f, e) < 0)
		return -1;
	msg_wipe_facts_dispose(&w->x->facts);
	return msg_wipe_facts_decode(f.data, f.len, &w->x->facts, e);
}

int wiping_act(struct wiping *w, enum msg_wipe_how how, uint64_t offset, uint64_t length, struct msg_wipe_result *m, struct err *e)
{
	struct msg_wipe_act a = { (uint8_t)how, offset, length };
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	OWN_BUF struct buf b = BUF_INIT;

	msg_wipe_act_encode(&b, &a);
	if (clearing_still_approved(w->c, e) < 0 || run_check(w->c->r, e) < 0 || buf_finish(&b, e) < 0 ||
	    wire_send(w->session->wire, WIRE_DATA, MSG_WIPE_ACT, b.data, b.len, e) < 0 || receive(w, MSG_WIPE_RESULT, &f, e) < 0 ||
	    msg_wipe_result_decode(f.data, f.len, m, e) < 0)
		return -1;
	if (m->bytes > length || m->bad > length)
		return err_set(e, ERR_INTEGRITY, "host %s: the wiper tells of more than there is", w->session->host_name);
	w->progress.bytes += m->bytes;
	run_show_progress(w->c->r, &w->progress);
	return 0;
}

int wiping_finish(struct wiping *w, struct err *e)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

	if (wire_end(w->session->wire, WIRE_DATA, e) < 0)
		return -1;
	while (wire_recv(w->session->wire, WIRE_ACK, &f, e) > 0)
		wire_frame_dispose(&f);
	return session_finish(w->session, NULL, e);
}

