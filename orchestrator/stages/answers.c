#include "answers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "block_place.h"
#include "esc.h"
#include "log.h"
#include "manifest.h"
#include "pass.h"
#include "path.h"

struct known_file {		/* a scan file read twice: by the sender and by the merge */
	int fd;
	struct scan_reader *reader;
};

struct answers {
	struct run *r;
	struct session *session;
	struct known_file ours, theirs;
	pthread_t thread;
	bool sending;
	struct err sender_failure;
	struct entry head;		/* of the known state */
	bool have_head;
	uint64_t same, gone;		/* still to be taken from the known state */
	char *prev;
	struct msg_done balance;
	void (*attr)(void *ctx, const void *blob, size_t n);
	void *ctx;
	bool ended;
};

static void known_file_close(struct known_file *k)
{
	scan_reader_free(k->reader);
	if (k->fd >= 0)
		(void)close(k->fd);
}

/* A known state that cannot be read is no known state: everything is read again. */
static void known_file_open(struct run *r, const char *name, struct known_file *k)
{
	struct err e = ERR_INIT;

	k->fd = name ? openat(r->w->scanfd, name, O_RDONLY | O_CLOEXEC) : -1;
	if (k->fd >= 0 && scan_reader_new(&k->reader, k->fd, &e) < 0) {
		log_warn("scan state %s cannot be used: %s", name, e.text);
		k->reader = NULL;
	}
}

static bool usable(const struct entry *en)
{
	return (en->has & ENTRY_HAS_SCAN) && en->outcome != ENTRY_SKIPPED && en->outcome != ENTRY_FAILED;
}

static int next_known(struct known_file *k, struct entry *en, struct err *e)
{
	int got;

	if (!k->reader)
		return 0;
	do {
		entry_dispose(en);
		got = scan_reader_next(k->reader, en, e);
	} while (got == 1 && !usable(en));
	return got;
}

static int send_known(struct answers *a, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	OWN_FREE char *prev = NULL;
	OWN_ENTRY struct entry en = ENTRY_INIT;
	int got;

	while ((got = next_known(&a->theirs, &en, e)) == 1) {
		if (b.len >= 65536) {
			if (wire_send(a->session->wire, WIRE_KNOWN, MSG_KNOWN, b.data, b.len, e) < 0)
				return -1;
			buf_reset(&b);
			free(take_ptr(&prev));
		}
		entry_encode(&b, &en, prev);
		free(prev);
		prev = take_ptr(&en.path);
	}
	if (got < 0 || buf_finish(&b, e) < 0)
		return -1;
	if (b.len && wire_send(a->session->wire, WIRE_KNOWN, MSG_KNOWN, b.data, b.len, e) < 0)
		return -1;
	return wire_end(a->session->wire, WIRE_KNOWN, e);
}

static void *sender_main(void *arg)
{
	struct answers *a = arg;

	if (send_known(a, &a->sender_failure) < 0)
		log_debug("known state: %s", a->sender_failure.text);
	return NULL;
}

static int advance(struct answers *a, struct err *e)
{
	int got = next_known(&a->ours, &a->head, e);

	a->have_head = got == 1;
	return got < 0 ? -1 : 0;
}

static void drop_filters(struct msg_start *m)
{
	char **lists[] = { m->include, m->exclude, m->list_only };

	for (size_t i = 0; i < 3; i++)
		for (char **p = lists[i]; p && *p; p++)
			free(take_ptr(p));
}

static int open_session(struct run *r, const struct plan_dataset *d, const struct answers_options *o, struct msg_start *start, struct session **out,
    struct err *e)
{
	const char *args[] = { "verify", "--root", o->path, o->mount ? "--mount" : NULL, o->mount, NULL };

	if (o->is_place)
		return place_session(r, d, o->source ? SIDE_SOURCE_CHECK : SIDE_TARGET_CHECK, o->host, o->path, o->size, start, out, e);
	return session_open_args(r, o->host, args, start, out, e);
}

int answers_open(struct run *r, const struct plan_dataset *d, const struct answers_options *o, struct answers **out, struct err *e)
{
	OWN(answers_closep) struct answers *a = calloc(1, sizeof(*a));
	OWN(msg_start_dispose) struct msg_start start = { .identity = NULL };

	if (!a)
		return err_sys(e, "answers");
	a->r = r;
	a->attr = o->attr;
	a->ctx = o->ctx;
	a->ours.fd = a->theirs.fd = -1;
	if (pass_start(r, d, o->flags, &start, e) < 0)
		return -1;
	/* What was within the bounds when it was copied has to be there, whatever it has become since. */
	start.size_min = start.size_limit = 0;
	start.age_min_s = start.age_limit_s = 0;
	if (o->unfiltered)
		drop_filters(&start);
	if (open_session(r, d, o, &start, &a->session, e) < 0)
		return -1;
	known_file_open(r, o->known, &a->ours);
	known_file_open(r, a->ours.reader ? o->known : NULL, &a->theirs);
	if (!a->theirs.reader) {
		scan_reader_free(a->ours.reader);
		a->ours.reader = NULL;
	}
	if (advance(a, e) < 0)
		return -1;
	if ((errno = pthread_create(&a->thread, NULL, sender_main, a)) != 0)
		return err_sys(e, "thread");
	a->sending = true;
	*out = take_ptr(&a);
	return 0;
}

static int lost_count(struct err *e)
{
	return err_set(e, ERR_INTEGRITY, "the agent reports other known entries than it was told");
}

static int take_same(struct answers *a, struct entry *en, struct err *e)
{
	if (!a->have_head)
		return lost_count(e);
	a->same--;
	*en = a->head;
	a->head = (struct entry)ENTRY_INIT;
	en->outcome = ENTRY_UNCHANGED;
	return advance(a, e) < 0 ? -1 : 1;
}

static int take_entry(struct answers *a, const struct wire_frame *f, struct entry *en, struct err *e)
{
	OWN(msg_entry_dispose) struct msg_entry m = { .content = MSG_CONTENT_NONE };

	if (msg_entry_decode(f->data, f->len, &m, a->prev, e) < 0)
		return -1;
	if (a->prev && path_cmp(a->prev, strlen(a->prev), m.entry.path, m.entry.path_len) >= 0)
		return err_set(e, ERR_INTEGRITY, "the agent's entries are out of order at %s", esc_s(m.entry.path));
	if (a->have_head && entry_cmp(&a->head, &m.entry) == 0 && advance(a, e) < 0)
		return -1;
	*en = m.entry;
	m.entry = (struct entry)ENTRY_INIT;	/* transferred */
	free(a->prev);
	return (a->prev = strdup(en->path)) ? 1 : err_sys(e, "answers");
}

static int take_count(struct answers *a, const struct wire_frame *f, struct err *e)
{
	struct view v = view_of(f->data, f->len);
	uint64_t n = view_varint(&v);

	if (!view_done(&v))
		return lost_count(e);
	if (f->type == MSG_SAME) {
		a->same = n;
		return 0;
	}
	while (n--)
		if (!a->have_head || advance(a, e) < 0)
			return lost_count(e);
	return 0;
}

static int finish(struct answers *a, struct err *e)
{
	(void)pthread_join(a->thread, NULL);
	a->sending = false;
	a->ended = true;
	if (a->sender_failure.class != ERR_NONE) {
		*e = a->sender_failure;
		return -1;
	}
	if (a->have_head)
		return lost_count(e);
	return session_finish(a->session, &a->balance, e);
}

int answers_next(struct answers *a, struct entry *en, struct err *e)
{
	if (a->ended)
		return 0;
	while (!a->same) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		int got = wire_recv(a->session->wire, WIRE_DATA, &f, e);

		if (got < 0)
			return -1;
		if (got == 0)
			return finish(a, e);
		if (f.type == MSG_ENTRY)
			return take_entry(a, &f, en, e);
		if (f.type == MSG_SAME || f.type == MSG_GONE) {
			if (take_count(a, &f, e) < 0)
				return -1;
		} else if (f.type == MSG_ATTR && a->attr) {
			a->attr(a->ctx, f.data, f.len);
		} else if (f.type != MSG_PROBLEM && f.type != MSG_ATTR) {
			return err_set(e, ERR_INTEGRITY, "host %s: unexpected message %u", a->session->host_name, f.type);
		}
	}
	return take_same(a, en, e);
}

const struct msg_ready *answers_ready(const struct answers *a) { return &a->session->ready; }
const struct msg_done *answers_balance(const struct answers *a) { return &a->balance; }

void answers_close(struct answers *a)
{
	if (!a)
		return;
	if (a->sending) {
		if (a->session->wire)
			wire_cancel(a->session->wire);
		(void)pthread_join(a->thread, NULL);
	}
	session_close(a->session);
	known_file_close(&a->ours);
	known_file_close(&a->theirs);
	entry_dispose(&a->head);
	free(a->prev);
	free(a);
}
