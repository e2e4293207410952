/* Wiping of whole devices and images: ranges one after the other, each in the journal before and after; then all of it is read back. */
#include "clearing_device.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "esc.h"
#include "journal.h"
#include "log.h"
#include "places.h"
#include "sys.h"

static int open_journal(struct wiping *w, size_t i, struct err *e)
{
	const struct clearing_device *x = w->x;
	OWN_BUF struct buf b = BUF_INIT;
	uint8_t id[DIGEST_LEN];
	char name[160];

	(void)snprintf(name, sizeof(name), "%s.device-%zu.journal", w->c->r->plan->name, i);
	buf_printf(&b, "%s %s %s %" PRIu64 " %s", x->d.at.host, x->d.at.path, x->facts.serial, x->area, x->method);
	buf_put(&b, w->c->key, WITNESS_KEY);
	if (buf_finish(&b, e) < 0 || digest_sha256(b.data, b.len, id, e) < 0)
		return -1;
	return clear_journal_open(&w->journal, w->c->r->w->scanfd, name, id, x->chunks + 1, e);
}

static uint64_t chunk_length(const struct clearing_device *x, uint64_t k)
{
	uint64_t left = x->area - k * CLEARING_CHUNK;

	return left < CLEARING_CHUNK ? left : CLEARING_CHUNK;
}

static void device_said(struct clearing_device *x, const char *what, const struct msg_wipe_result *m)
{
	OWN_FREE char *text = esc_dup(m->text ? m->text : "", m->text ? strlen(m->text) : 0);
	size_t n = strlen(x->device_says);

	(void)snprintf(x->device_says + n, sizeof(x->device_says) - n, "%s%s%s%.300s", n ? "; " : "", what, text && *text ? ": " : m->done ? ": done" : ": refused",
	    text ? text : "");
}

static bool may_zero(const struct wiping *w) { return w->c->r->plan->clear.method == METHOD_AUTO; }

/*
 * A range that takes no pattern: the kernel or the device zeroes it (BLKZEROOUT).  Zeros that are read back show less than a pattern, for
 * what is merely unmapped reads as zeros too.
 */
static int zero_chunk(struct wiping *w, uint64_t k, struct msg_wipe_result *m, struct err *e)
{
	OWN(msg_wipe_result_dispose) struct msg_wipe_result z = { .text = NULL };

	if (wiping_act(w, MSG_WIPE_ZEROOUT, k * CLEARING_CHUNK, chunk_length(w->x, k), &z, e) < 0)
		return -1;
	device_said(w->x, "zeroing of what took no pattern", &z);
	if (!z.done)
		return 0;
	w->x->zeroed += z.bytes;
	m->done = true;
	m->bytes = z.bytes;
	return 0;
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
	if (wiping_act(w, MSG_WIPE_OVERWRITE, k * CLEARING_CHUNK, chunk_length(x, k), &m, e) < 0)
		return -1;
	if (!m.done && may_zero(w) && zero_chunk(w, k, &m, e) < 0)
		return -1;
	x->written += m.bytes;
	done.state = m.done ? MSG_ERASE_DONE : MSG_ERASE_FAILED;
	done.how = MSG_EH_OVERWRITTEN;
	done.bytes = m.bytes;
	if (!m.done)
		log_warn("%s: %" PRIu64 " bytes could not be written, the first at %" PRIu64, x->d.at.path, m.bad, m.bad_at);
	return clear_journal_result(w->journal, &done, e) < 0 ? -1 : clear_journal_sync(w->journal, e);
}

static int read_chunk(struct wiping *w, uint64_t k, struct err *e)
{
	struct clearing_device *x = w->x;
	OWN(msg_wipe_result_dispose) struct msg_wipe_result m = { .text = NULL };

	if (wiping_act(w, MSG_WIPE_READ, k * CLEARING_CHUNK, chunk_length(x, k), &m, e) < 0)
		return -1;
	x->pattern += m.pattern;
	x->zero += m.zero;
	x->other += m.other;
	if (m.bad && !x->bad)
		x->bad_at = m.bad_at;
	x->bad += m.bad;
	return 0;
}

static int sanitize(struct wiping *w, struct err *e)
{
	OWN(msg_wipe_result_dispose) struct msg_wipe_result m = { .text = NULL };

	if (wiping_act(w, MSG_WIPE_DEVICE, 0, w->x->facts.size, &m, e) < 0)
		return -1;
	device_said(w->x, "sanitize", &m);
	w->x->reported = m.done;
	if (!m.done)
		log_warn("%s: it was not sanitized: %s", w->x->d.at.path, w->x->device_says);
	w->x->written += m.bytes;
	return 0;
}

/* An extra, never alone: what counts was read back before. */
static int discard(struct wiping *w, struct err *e)
{
	OWN(msg_wipe_result_dispose) struct msg_wipe_result m = { .text = NULL };

	if (wiping_act(w, MSG_WIPE_DISCARD, 0, w->x->facts.size, &m, e) < 0)
		return -1;
	device_said(w->x, "discard afterwards", &m);
	return 0;
}

/* The last object of the journal: all of it was read back as it was written.  From then on it may be discarded. */
static int record_reading(struct wiping *w, struct err *e)
{
	struct clearing_device *x = w->x;
	struct msg_erased done = { .index = x->chunks, .state = MSG_ERASE_DONE, .how = MSG_EH_READ_RAW, .bytes = x->pattern, .text = (char *)(uintptr_t)"" };

	return clear_journal_result(w->journal, &done, e) < 0 ? -1 : clear_journal_sync(w->journal, e);
}

/* An earlier run had read it back, and discarded it perhaps: what reads as zeros now was the pattern then. */
static void count_earlier(const struct wiping *w)
{
	struct clearing_device *x = w->x;

	if (clear_journal_state(w->journal, x->chunks) != JOURNAL_DONE || clear_journal_bytes(w->journal, x->chunks) != x->area ||
	    x->pattern + x->zero != x->area)
		return;
	x->pattern = x->area;
	x->zero = 0;
}

static int wipe_it(struct wiping *w, struct err *e)
{
	struct clearing_device *x = w->x;

	if (x->sanitized && sanitize(w, e) < 0)
		return -1;
	for (uint64_t k = 0; !x->sanitized && k < x->chunks; k++)
		if (write_chunk(w, k, e) < 0)
			return -1;
	sys_point("wipe-read");
	for (uint64_t k = 0; k < x->chunks; k++)
		if (read_chunk(w, k, e) < 0)
			return -1;
	x->wiped = true;
	count_earlier(w);
	if (x->crypto || x->sanitized)
		return 0;
	/* What a discard leaves reads as zeros: it would hide what was not as it was written. */
	if (x->pattern + x->zero != x->area)
		return 0;
	return (x->pattern == x->area && record_reading(w, e) < 0) ? -1 : discard(w, e);
}

/* ---- is it still the device that it was? ---- */

struct row { uint64_t size, luks; char *serial, *where, *head; };	/* of `clear started` */

static void row_dispose(struct row *r)
{
	free(r->serial);
	free(r->where);
	free(r->head);
}

static char *word(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));

	return strdup(s ? s : "");
}

/* Size, serial numbers, headers and place as they were when the clearing began. */
static int load_row(const struct clearing *c, size_t i, struct row *r, struct err *e)
{
	json_t *j = json_loads(c->r->standing.clear_data ? c->r->standing.clear_data : "", 0, NULL);
	const json_t *row = json_array_get(json_object_get(j, "devices"), i);

	*r = (struct row){ (uint64_t)json_integer_value(json_object_get(row, "size")), (uint64_t)json_integer_value(json_object_get(row, "luks_header_bytes")),
		word(row, "serial"), word(row, "where"), word(row, "head_sha256") };
	json_decref(j);
	return r->size && r->serial && r->where && r->head ? 0 : err_set(e, ERR_INTEGRITY, "clear started tells nothing of device %zu", i + 1);
}

static int another(const struct clearing_device *x, const char *what, struct err *e)
{
	char place[PLACE_NAME];

	return err_set(e, ERR_REFUSED, "%s is not the device that it was when the clearing began: %s", place_name(x->d.at.host, x->d.at.path, place), what);
}

/*
 * What is at its beginning: what was there, while nothing has been written there; else what this clearing writes, which nothing else holds.
 * Between the two, either.
 */
static int same_content(struct wiping *w, const struct row *r, struct err *e)
{
	enum journal_state first = clear_journal_state(w->journal, 0);
	bool head = *r->head && strcmp(r->head, w->x->facts.head) == 0;
	uint64_t n = w->x->area < MSG_WIPE_HEAD ? w->x->area : MSG_WIPE_HEAD;
	OWN(msg_wipe_result_dispose) struct msg_wipe_result m = { .text = NULL };

	if (w->x->sanitized || (first != JOURNAL_DONE && head))
		return 0;
	if (first == JOURNAL_PENDING)
		return another(w->x, "its first 128 KiB are not what they were", e);
	if (wiping_act(w, MSG_WIPE_READ, 0, n, &m, e) < 0)
		return -1;
	/* One that could not be written was zeroed, or is told as not cleared in any case. */
	return m.pattern || (m.zero && m.zero == m.bytes) || m.bad ? 0 : another(w->x, "what was written to it is not there", e);
}

static int check_same(const struct clearing_device *x, const struct row *r, struct err *e)
{
	if (strcmp(x->facts.serial, r->serial) != 0)
		return another(x, "its serial number is another", e);
	if (x->facts.size != r->size)
		return another(x, "its size is another", e);
	return clearing_same_place(r->where, x->facts.where) ? 0 : another(x, "its device number or inode is another", e);
}

static int wipe(struct clearing *c, size_t i, struct err *e)
{
	struct clearing_device *x = &c->devices[i];
	OWN(wiping_dispose) struct wiping w = { .c = c, .x = x };
	OWN(row_dispose) struct row r = { .serial = NULL };

	if (load_row(c, i, &r, e) < 0 || wiping_open(&w, true, e) < 0 || check_same(x, &r, e) < 0)
		return -1;
	x->facts.luks = r.luks;
	x->area = x->crypto ? r.luks : r.size;
	x->chunks = (x->area + CLEARING_CHUNK - 1) / CLEARING_CHUNK;
	w.progress = (struct run_progress){ .stage = "clear", .dataset = x->d.at.path, .total_bytes = 2 * x->area };
	if (open_journal(&w, i, e) < 0 || same_content(&w, &r, e) < 0)
		return -1;
	return wipe_it(&w, e) < 0 ? -1 : wiping_finish(&w, e);
}

int clearing_devices_wipe(struct clearing *c, struct err *e)
{
	for (size_t i = 0; i < c->ndevices; i++)
		if (wipe(c, i, e) < 0)
			return -1;
	return 0;
}
