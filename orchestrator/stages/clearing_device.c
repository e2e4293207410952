#include "clearing_device.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "backing.h"
#include "esc.h"
#include "journal.h"
#include "log.h"
#include "places.h"
#include "sys.h"

void clearing_devices_dispose(struct clearing *c)
{
	for (size_t i = 0; i < c->ndevices; i++) {
		msg_wipe_facts_dispose(&c->devices[i].facts);
		json_decref(c->devices[i].datasets);
	}
	free(c->devices);
}

/* ---- one session ---- */

struct wiping {
	struct clearing *c;
	struct clearing_device *x;
	struct session *session;
	struct clear_journal *journal;
	struct run_progress progress;
};

static void wiping_dispose(struct wiping *w)
{
	session_close(w->session);
	clear_journal_close(w->journal);
}

/* On what the archive, the ledger and the journals stand. */
static int own_places(const struct clearing *c, struct buf *words, struct err *e)
{
	OWN_FREE char *store = NULL;
	struct stat st;

	if (stat(c->r->w->dir, &st) == 0)
		backing_of(&st, words);
	if (fstat(c->r->w->scanfd, &st) == 0)
		backing_of(&st, words);
	if (asprintf(&store, "%s", store_dir(c->r->w->store)) < 0)
		store = NULL;
	if (!store || stat(store, &st) < 0)
		return err_sys(e, "where the archive stands");
	backing_of(&st, words);
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

static int open_session(struct wiping *w, bool write, struct err *e)
{
	const struct plan_place *at = &w->x->d->at;
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

static int act(struct wiping *w, enum msg_wipe_how how, uint64_t offset, uint64_t length, struct msg_wipe_result *m, struct err *e)
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

static int finish(struct wiping *w, struct err *e)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

	if (wire_end(w->session->wire, WIRE_DATA, e) < 0)
		return -1;
	while (wire_recv(w->session->wire, WIRE_ACK, &f, e) > 0)
		wire_frame_dispose(&f);
	return session_finish(w->session, NULL, e);
}

/* ---- before ---- */

/* The dataset with that root, or NULL. */
static const struct plan_dataset *rooted_at(const struct clearing *c, const char *host, const char *path)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->v[i].d->from.host, host) == 0 && strcmp(c->v[i].d->from.path, path) == 0)
			return c->v[i].d;
	return NULL;
}

/* Every file system that is mounted from it must be a dataset from its mount point on, and there must be one. */
static int check_covered(const struct clearing *c, const struct clearing_device *x, struct err *e)
{
	OWN_FREE char *list = strdup(x->facts.mounts);
	char *save = NULL, place[PLACE_NAME];
	size_t n = 0;

	(void)place_name(x->d->at.host, x->d->at.path, place);
	for (char *point = list ? strtok_r(list, "\n", &save) : NULL; point; point = strtok_r(NULL, "\n", &save), n++) {
		OWN_BUF struct buf raw = BUF_INIT;
		const struct plan_dataset *d = esc_undo(&raw, point, strlen(point)) && raw.data ? rooted_at(c, x->d->at.host, raw.data) : NULL;

		if (d)
			(void)json_array_append_new(x->datasets, json_string(d->name));
		else
			return err_set(e, ERR_REFUSED, "%s: its file system at %s is no dataset of this clearing from its mount point on", place, esc_s(point));
	}
	if (n)
		return 0;
	err_set(e, ERR_REFUSED, "%s: no dataset of this clearing is mounted from it: nothing shows that what it holds is archived", place);
	return err_hint(e, "mount it where its dataset is, and run again");
}

static int check_method(const struct clearing *c, const struct clearing_device *x, struct err *e)
{
	enum plan_method method = c->r->plan->clear.method;
	char place[PLACE_NAME];

	(void)place_name(x->d->at.host, x->d->at.path, place);
	if (method == METHOD_CRYPTO && !x->facts.luks)
		return err_set(e, ERR_REFUSED, "%s holds no LUKS header: there are no keys on it to destroy", place);
	if (method == METHOD_SANITIZE && !(x->facts.flags & MSG_WIPE_SANITIZE))
		return err_set(e, ERR_REFUSED, "%s offers no sanitize command (or one that would strike other namespaces); clear.method: overwrite", place);
	return 0;
}

static int look(struct clearing *c, struct clearing_device *x, bool begin, struct err *e)
{
	OWN(wiping_dispose) struct wiping w = { .c = c, .x = x };

	if (open_session(&w, false, e) < 0 || finish(&w, e) < 0)
		return -1;
	if (!(x->datasets = json_array()))
		return err_sys(e, "clear");
	x->crypto = c->r->plan->clear.method == METHOD_CRYPTO;
	x->sanitized = c->r->plan->clear.method == METHOD_SANITIZE;
	x->method = x->crypto ? "overwrite of the LUKS headers and key slots" : x->sanitized ? "sanitize command of the device" :
	    "overwrite of all blocks of the device";
	/* Of a clearing that goes on, the headers may be gone by now. */
	return !begin ? 0 : check_covered(c, x, e) < 0 ? -1 : check_method(c, x, e);
}

int clearing_devices_look(struct clearing *c, bool begin, struct err *e)
{
	const struct plan_clear *p = &c->r->plan->clear;

	if (p->ndevices && !(c->devices = calloc(p->ndevices, sizeof(*c->devices))))
		return err_sys(e, "clear");
	for (size_t i = 0; i < p->ndevices; i++) {
		c->devices[i].d = &p->devices[i];
		c->ndevices++;
		if (look(c, &c->devices[i], begin, e) < 0)
			return -1;
	}
	return 0;
}

/* Size, serial numbers and headers as they were when the clearing began. */
static int load_row(struct clearing *c, size_t i, uint64_t *size, uint64_t *luks, char **serial, struct err *e)
{
	json_t *j = json_loads(c->r->standing.clear_data ? c->r->standing.clear_data : "", 0, NULL);
	const json_t *row = json_array_get(json_object_get(j, "devices"), i);
	const char *recorded = json_string_value(json_object_get(row, "serial"));

	*serial = strdup(recorded ? recorded : "");

	*size = (uint64_t)json_integer_value(json_object_get(row, "size"));
	*luks = (uint64_t)json_integer_value(json_object_get(row, "luks_header_bytes"));
	(void)json_array_clear(c->devices[i].datasets);
	(void)json_array_extend(c->devices[i].datasets, json_object_get(row, "datasets"));
	json_decref(j);
	return *size && *serial ? 0 : err_set(e, ERR_INTEGRITY, "clear started tells nothing of device %zu", i + 1);
}

/* ---- the work ---- */

static int open_journal(struct wiping *w, size_t i, struct err *e)
{
	const struct clearing_device *x = w->x;
	OWN_BUF struct buf b = BUF_INIT;
	uint8_t id[DIGEST_LEN];
	char name[160];

	(void)snprintf(name, sizeof(name), "%s.device-%zu.journal", w->c->r->plan->name, i);
	buf_printf(&b, "%s %s %s %" PRIu64 " %s", x->d->at.host, x->d->at.path, x->facts.serial, x->area, x->method);
	buf_put(&b, w->c->key, WITNESS_KEY);
	if (buf_finish(&b, e) < 0 || digest_sha256(b.data, b.len, id, e) < 0)
		return -1;
	return clear_journal_open(&w->journal, w->c->r->w->scanfd, name, id, x->chunks, e);
}

static uint64_t chunk_length(const struct clearing_device *x, uint64_t k)
{
	uint64_t left = x->area - k * CLEARING_CHUNK;

	return left < CLEARING_CHUNK ? left : CLEARING_CHUNK;
}

/* Written before it begins, and again once it is durable there. */
static int write_chunk(struct wiping *w, uint64_t k, struct err *e)
{
	struct clearing_device *x = w->x;
	OWN(msg_wipe_result_dispose) struct msg_wipe_result m = { .text = NULL };
	struct msg_erased done = { .index = k, .text = (char *)(uintptr_t)"" };

	if (clear_journal_state(w->journal, k) == JOURNAL_DONE) {
		x->written += clear_journal_bytes(w->journal, k);
		return 0;
	}
	if (clear_journal_writing(w->journal, k, e) < 0 || clear_journal_sync(w->journal, e) < 0)
		return -1;
	sys_point("wipe-writing");
	if (act(w, MSG_WIPE_OVERWRITE, k * CLEARING_CHUNK, chunk_length(x, k), &m, e) < 0)
		return -1;
	x->written += m.bytes;
	done.state = m.done ? MSG_ERASE_DONE : MSG_ERASE_FAILED;
	done.how = MSG_EH_OVERWRITTEN;
	done.bytes = m.bytes;
	if (!m.done)
		log_warn("%s: %" PRIu64 " bytes could not be written, the first at %" PRIu64, x->d->at.path, m.bad, m.bad_at);
	return clear_journal_result(w->journal, &done, e) < 0 ? -1 : clear_journal_sync(w->journal, e);
}

static int read_chunk(struct wiping *w, uint64_t k, struct err *e)
{
	struct clearing_device *x = w->x;
	OWN(msg_wipe_result_dispose) struct msg_wipe_result m = { .text = NULL };

	if (act(w, MSG_WIPE_READ, k * CLEARING_CHUNK, chunk_length(x, k), &m, e) < 0)
		return -1;
	x->pattern += m.pattern;
	x->zero += m.zero;
	x->other += m.other;
	if (m.bad && !x->bad)
		x->bad_at = m.bad_at;
	x->bad += m.bad;
	return 0;
}

static void device_said(struct clearing_device *x, const char *what, const struct msg_wipe_result *m)
{
	OWN_FREE char *text = esc_dup(m->text ? m->text : "", m->text ? strlen(m->text) : 0);
	size_t n = strlen(x->device_says);

	(void)snprintf(x->device_says + n, sizeof(x->device_says) - n, "%s%s%s%.300s", n ? "; " : "", what, text && *text ? ": " : m->done ? ": done" : ": refused",
	    text ? text : "");
}

static int sanitize(struct wiping *w, struct err *e)
{
	OWN(msg_wipe_result_dispose) struct msg_wipe_result m = { .text = NULL };

	if (act(w, MSG_WIPE_DEVICE, 0, w->x->facts.size, &m, e) < 0)
		return -1;
	device_said(w->x, "sanitize", &m);
	w->x->written += m.bytes;
	return 0;
}

/* An extra, never alone: what counts was read back before. */
static int discard(struct wiping *w, struct err *e)
{
	OWN(msg_wipe_result_dispose) struct msg_wipe_result m = { .text = NULL };

	if (act(w, MSG_WIPE_DISCARD, 0, w->x->facts.size, &m, e) < 0)
		return -1;
	device_said(w->x, "discard afterwards", &m);
	return 0;
}

static int wipe_it(struct wiping *w, size_t i, struct err *e)
{
	struct clearing_device *x = w->x;

	if (open_journal(w, i, e) < 0 || (x->sanitized && sanitize(w, e) < 0))
		return -1;
	for (uint64_t k = 0; !x->sanitized && k < x->chunks; k++)
		if (write_chunk(w, k, e) < 0)
			return -1;
	sys_point("wipe-read");
	for (uint64_t k = 0; k < x->chunks; k++)
		if (read_chunk(w, k, e) < 0)
			return -1;
	x->wiped = true;
	return x->crypto || x->sanitized ? 0 : discard(w, e);
}

static int wipe(struct clearing *c, size_t i, struct err *e)
{
	struct clearing_device *x = &c->devices[i];
	OWN(wiping_dispose) struct wiping w = { .c = c, .x = x };
	OWN_FREE char *serial = NULL;
	uint64_t size, luks;

	if (load_row(c, i, &size, &luks, &serial, e) < 0 || open_session(&w, true, e) < 0)
		return -1;
	if (strcmp(x->facts.serial, serial) != 0)
		return err_set(e, ERR_REFUSED, "%s has the serial number \"%s\", \"%s\" when the clearing began: it is another device", x->d->at.path,
		    esc_s(x->facts.serial), serial);
	if (x->facts.size != size)
		return err_set(e, ERR_REFUSED, "%s has %" PRIu64 " bytes, %" PRIu64 " when the clearing began: it is another device", x->d->at.path, x->facts.size, size);
	x->facts.luks = luks;
	x->area = x->crypto ? luks : size;
	x->chunks = (x->area + CLEARING_CHUNK - 1) / CLEARING_CHUNK;
	w.progress = (struct run_progress){ .stage = "clear", .dataset = x->d->at.path, .total_bytes = 2 * x->area };
	return wipe_it(&w, i, e) < 0 ? -1 : finish(&w, e);
}

int clearing_devices_wipe(struct clearing *c, struct err *e)
{
	for (size_t i = 0; i < c->ndevices; i++)
		if (wipe(c, i, e) < 0)
			return -1;
	return 0;
}
