/*
 * The work at one place: batches of objects, each written into the journal before the eraser may begin with it, its
 * results after (design.md 6).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "clearing.h"
#include "clock.h"
#include "esc.h"
#include "gates.h"
#include "inventory.h"
#include "journal.h"
#include "log.h"
#include "places.h"
#include "sys.h"

#define BATCH 128
#define GATE_NS 60000000000LL

enum answer { ASKED, INTENDED, ENDED };
struct object { uint64_t index; struct entry entry; enum answer answer; };

struct erasing {
	struct clearing *c;
	struct clearing_dataset *d;
	struct inventory inventory;
	struct clear_journal *journal;
	struct session *session;
	struct object batch[BATCH];
	size_t n;
	uint64_t next;			/* index of the next object */
	struct run_progress progress;
};

/* What was approved may expire while the work goes on. */
int clearing_still_approved(struct clearing *c, struct err *e)
{
	OWN_GATE struct gate g = GATE_INIT;
	OWN_BUF struct buf text = BUF_INIT;

	if (clock_mono_ns() - c->gate_checked < GATE_NS)
		return 0;
	c->gate_checked = clock_mono_ns();
	if (gate_now(c->r, "clear", &g, e) < 0)
		return -1;
	if (g.open)
		return 0;
	gate_text(&g, &text);
	return err_set(e, ERR_REFUSED, "the authorization no longer stands: %s", text.data ? text.data : "");
}

static void add_error(struct clearing_dataset *d, const struct entry *en, const char *state, const char *text)
{
	OWN_FREE char *path = esc_dup(en->path, en->path_len), *why = esc_dup(text, strlen(text));

	d->error_count++;
	log_warn("%s: %s: %s %s", d->d->name, path ? path : "?", state, why ? why : "");
	if (json_array_size(d->errors) < CLEARING_ERRORS)
		(void)json_array_append_new(d->errors, json_pack("{s:s,s:s,s:s}", "path", path ? path : "?", "state", state, "text", why ? why : ""));
}

static void count_result(struct erasing *x, const struct entry *en, const struct msg_erased *m)
{
	/* The content of an inode is overwritten once, through its first name in the inventory. */
	uint64_t size = en->link_to ? 0 : en->size;
	const char *why = NULL;

	clear_tally_add(&x->d->tally, en->type, size, m);
	if (!clear_result_complete(en->type, size, m, &why))
		add_error(x->d, en, journal_state_name((enum journal_state)m->state), m->text && *m->text ? m->text : why ? why : "");
}

static int send_object(struct erasing *x, const struct object *o, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	buf_put_varint(&b, o->index);
	entry_encode(&b, &o->entry, NULL);
	return buf_finish(&b, e) < 0 ? -1 : wire_send(x->session->wire, WIRE_DATA, MSG_INVENTORY, b.data, b.len, e);
}

static struct object *object_of(struct erasing *x, uint64_t index)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->batch[i].index == index)
			return &x->batch[i];
	return NULL;
}

/*
 * Gone, and an earlier run had recorded that it would unlink it: it did.  Until then it was overwritten and read back, so that what anybody
 * could have moved away was the pattern.
 */
static void own_unlink(const struct erasing *x, struct msg_erased *m)
{
	if (m->state != MSG_ERASE_ABSENT || clear_journal_state(x->journal, m->index) != JOURNAL_INTENDED)
		return;
	m->state = MSG_ERASE_DONE;
	m->how = clear_journal_how(x->journal, m->index) | MSG_EH_UNLINKED;
	m->bytes = clear_journal_bytes(x->journal, m->index);
}

/* One step of one object: what it answers depends on what it was asked. */
static int take_result(struct erasing *x, const struct wire_frame *f, struct err *e)
{
	OWN(msg_erased_dispose) struct msg_erased m = { .index = 0 };
	struct object *o;

	if (f->type == MSG_PROBLEM)
		return 0;
	if (f->type != MSG_ERASED || msg_erased_decode(f->data, f->len, &m, e) < 0 || !(o = object_of(x, m.index)) || o->answer == ENDED ||
	    (o->answer == INTENDED && m.state == MSG_ERASE_INTENDED))
		return err_set(e, ERR_INTEGRITY, "host %s: the eraser's answer is not as the protocol says", x->session->host_name);
	own_unlink(x, &m);
	if (clear_journal_result(x->journal, &m, e) < 0)
		return -1;
	o->answer = m.state == MSG_ERASE_INTENDED ? INTENDED : ENDED;
	if (o->answer == ENDED)
		count_result(x, &o->entry, &m);
	return 1;
}

/* The place itself is gone (its root was the last object, and the machine died before that was written down). */
static int absent_batch(struct erasing *x, struct err *e)
{
	for (size_t i = 0; i < x->n; i++) {
		struct msg_erased m = { .index = x->batch[i].index, .state = MSG_ERASE_ABSENT, .text = (char *)(uintptr_t)"" };

		own_unlink(x, &m);
		if (clear_journal_result(x->journal, &m, e) < 0)
			return -1;
		count_result(x, &x->batch[i].entry, &m);
		entry_dispose(&x->batch[i].entry);
	}
	x->n = 0;
	return clear_journal_sync(x->journal, e);
}

/* n answers, which are on the medium when 0. */
static int take_results(struct erasing *x, size_t n, struct err *e)
{
	while (n) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		int got = wire_recv(x->session->wire, WIRE_ACK, &f, e);

		if (got == 0)
			return err_set(e, ERR_TEMPORARY, "host %s: the eraser ended too early; run the same command again", x->session->host_name);
		if (got < 0 || (got = take_result(x, &f, e)) < 0)
			return -1;
		n -= (size_t)got;
	}
	return clear_journal_sync(x->journal, e);
}

/* Objects that are to be unlinked already stay so: their end may be that they are gone. */
static int put_writing(struct erasing *x, struct err *e)
{
	for (size_t i = 0; i < x->n; i++)
		if (clear_journal_state(x->journal, x->batch[i].index) != JOURNAL_INTENDED &&
		    clear_journal_writing(x->journal, x->batch[i].index, e) < 0)
			return -1;
	return clear_journal_sync(x->journal, e);
}

/* The intent is on the medium; only now may the eraser unlink. */
static int unlink_all(struct erasing *x, struct err *e)
{
	size_t n = 0;

	sys_point("clear-intended");
	for (size_t i = 0; i < x->n; i++) {
		OWN_BUF struct buf b = BUF_INIT;

		if (x->batch[i].answer != INTENDED)
			continue;
		msg_number_encode(&b, x->batch[i].index);
		if (buf_finish(&b, e) < 0 || wire_send(x->session->wire, WIRE_DATA, MSG_ERASE_UNLINK, b.data, b.len, e) < 0)
			return -1;
		n++;
	}
	return n ? take_results(x, n, e) : 0;
}

static int do_batch(struct erasing *x, struct err *e)
{
	if (!x->n)
		return 0;
	if (!x->session)
		return absent_batch(x, e);
	if (clearing_still_approved(x->c, e) < 0 || put_writing(x, e) < 0)
		return -1;
	sys_point("clear-writing");
	for (size_t i = 0; i < x->n; i++)
		if (send_object(x, &x->batch[i], e) < 0)
			return -1;
	if (take_results(x, x->n, e) < 0 || unlink_all(x, e) < 0)
		return -1;
	sys_point("clear-done");
	for (size_t i = 0; i < x->n; i++)
		entry_dispose(&x->batch[i].entry);
	x->n = 0;
	run_show_progress(x->c->r, &x->progress);
	return run_check(x->c->r, e);
}

/* From an earlier run: counted as recorded, not done again. */
static bool finished_before(struct erasing *x, const struct entry *en, uint64_t index)
{
	enum journal_state s = clear_journal_state(x->journal, index);
	struct msg_erased m = { .index = index, .state = (enum msg_erase_state)s, .how = clear_journal_how(x->journal, index),
		.bytes = clear_journal_bytes(x->journal, index), .text = (char *)(uintptr_t)"" };

	if (s != JOURNAL_DONE && s != JOURNAL_ABSENT)
		return false;
	count_result(x, en, &m);
	return true;
}

static int each_object(struct erasing *x, struct err *e)
{
	for (;;) {
		struct object *o = &x->batch[x->n];
		int got;

		o->entry = (struct entry)ENTRY_INIT;
		o->index = x->next;
		o->answer = ASKED;
		if ((got = inventory_next(&x->inventory, &o->entry, e)) < 0)
			return -1;
		if (got == 0)
			return do_batch(x, e);
		x->next++;
		x->progress.entries++;
		x->progress.bytes += o->entry.type == ENTRY_FILE && !o->entry.link_to ? o->entry.size : 0;
		if (finished_before(x, &o->entry, o->index)) {
			entry_dispose(&o->entry);
			continue;
		}
		/* Begun before: its old content is no longer expected, only its place (wire: outcome unsettled). */
		o->entry.outcome = clear_journal_state(x->journal, o->index) == JOURNAL_PENDING ? ENTRY_COPIED : ENTRY_UNSETTLED;
		if (++x->n == BATCH && do_batch(x, e) < 0)
			return -1;
	}
}

static int finish_session(struct erasing *x, struct err *e)
{
	if (wire_end(x->session->wire, WIRE_DATA, e) < 0)
		return -1;
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		int got = wire_recv(x->session->wire, WIRE_ACK, &f, e);

		if (got < 0)
			return -1;
		if (got == 0)
			return session_finish(x->session, NULL, e);
	}
}

static void erasing_dispose(struct erasing *x)
{
	for (size_t i = 0; i < x->n; i++)
		entry_dispose(&x->batch[i].entry);
	session_close(x->session);
	clear_journal_close(x->journal);
	inventory_close(&x->inventory);
}

/* True when the journal says that every object has its end: then nobody needs to log in again. */
static bool all_finished(const struct erasing *x)
{
	return clear_journal_count(x->journal, JOURNAL_DONE) + clear_journal_count(x->journal, JOURNAL_ABSENT) == x->inventory.count;
}

/*
 * The root is the last object: a place that is gone while others were never begun was not cleared by us but unmounted or
 * moved, and its data may be whole.
 */
static int check_absent(const struct erasing *x, struct err *e)
{
	uint64_t pending = clear_journal_count(x->journal, JOURNAL_PENDING);
	char place[PLACE_NAME];

	if (pending == 0)
		return 0;
	err_set(e, ERR_REFUSED, "%s is gone, and %" PRIu64 " of %" PRIu64 " objects there were not cleared yet", place_name(x->d->d->from.host,
	    x->d->d->from.path, place), pending, x->inventory.count);
	return err_hint(e, "mount it and run again");
}

int clearing_erase(struct clearing *c, size_t i, struct err *e)
{
	OWN(erasing_dispose) struct erasing x = { .c = c, .d = &c->v[i], .inventory = INVENTORY_INIT };
	const struct plan_dataset *d = c->v[i].d;
	struct msg_start start = { .identity = "", .scope = c->scope };
	char name[200], hex[DIGEST_HEX];

	(void)snprintf(name, sizeof(name), "%s.%s.journal", c->r->plan->name, d->name);
	if (inventory_open(c->r, d->name, &x.inventory, e) < 0)
		return -1;
	hex_of(x.inventory.sha256, DIGEST_LEN, hex);
	if (strcmp(hex, c->v[i].inventory) != 0)
		return err_set(e, ERR_INTEGRITY, "dataset %s: the inventory is not the one that `clear started` recorded", d->name);
	if (clear_journal_open(&x.journal, c->r->w->scanfd, name, x.inventory.sha256, x.inventory.count, e) < 0)
		return -1;
	x.progress = (struct run_progress){ .stage = "clear", .dataset = d->name, .total_entries = x.inventory.count, .total_bytes = x.inventory.bytes };
	if (all_finished(&x))
		return each_object(&x, e);
	if (strcmp(place_fact(c->v[i].place, "exists"), "no") == 0)
		return check_absent(&x, e) < 0 ? -1 : each_object(&x, e);
	if (session_open(c->r, d->from.host, "erase", d->from.path, &start, &x.session, e) < 0)
		return -1;
	return each_object(&x, e) < 0 ? -1 : finish_session(&x, e);
}
