/* A pass from the source's side: the agent's answers are merged with what is known. */
#include "pass_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "activation.h"
#include "block_place.h"
#include "clock.h"
#include "esc.h"
#include "log.h"
#include "path.h"
#include "sweep.h"

/* ---- known state on its way to the agent ---- */

struct known_sender { struct wire *w; struct known *k; pthread_t thread; struct err e; };

#define KNOWN_BATCH 65536	/* bytes of encoded entries in one message */

static int send_known(struct known_sender *s, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	OWN_FREE char *prev = NULL;

	for (;;) {
		OWN_ITEM struct known_item it = { .acked = false };
		int got = known_next(s->k, &it, e);

		if (got < 0)
			return -1;
		if (b.len && (got == 0 || b.len >= KNOWN_BATCH)) {
			if (wire_send(s->w, WIRE_KNOWN, MSG_KNOWN, b.data, b.len, e) < 0)
				return -1;
			buf_reset(&b);
			free(take_ptr(&prev));	/* prefix coding starts anew in each message */
		}
		if (got == 0)
			return wire_end(s->w, WIRE_KNOWN, e);
		entry_encode(&b, &it.entry, prev);
		free(prev);
		prev = take_ptr(&it.entry.path);
		if (buf_finish(&b, e) < 0)
			return -1;
	}
}

static void *sender_main(void *arg)
{
	struct known_sender *s = arg;

	/* The reader of the answers reports why a session died; this side only has to stop. */
	(void)send_known(s, &s->e);
	return NULL;
}

/* Takes k over. */
static int known_sender_start(struct wire *w, struct known *k, struct known_sender **out, struct err *e)
{
	struct known_sender *s = calloc(1, sizeof(*s));

	if (!s) {
		known_close(k);
		return err_sys(e, "known state");
	}
	s->w = w;
	s->k = k;
	if ((errno = pthread_create(&s->thread, NULL, sender_main, s)) != 0) {
		known_close(k);
		free(s);
		return err_sys(e, "thread");
	}
	*out = s;
	return 0;
}

static int known_sender_join(struct known_sender *s, struct err *e)
{
	int r = 0;

	if (!s)
		return 0;
	(void)pthread_join(s->thread, NULL);
	if (s->e.class != ERR_NONE) {
		*e = s->e;
		r = -1;
	}
	known_close(s->k);
	free(s);
	return r;
}

int pass_start(const struct run *r, const struct plan_dataset *d, uint64_t flags, struct msg_start *m, struct err *e)
{
	const struct plan_files *f = &d->files;
	const struct plan_strings *lists[] = { &f->include, &f->exclude, &f->list_only };
	char ***out[] = { &m->include, &m->exclude, &m->list_only };

	m->flags = flags | (f->one_file_system ? MSG_F_ONE_FS : 0) | (f->scan == SCAN_STRICT ? MSG_F_STRICT : 0) |
	    (r->plan->archive.sm3 ? MSG_F_SM3 : 0);
	m->level = r->plan->archive.level_auto ? INT32_MIN : r->plan->archive.level;
	m->identity = strdup("");
	m->scope = strdup("");
	m->size_min = f->size_min;
	m->size_limit = f->size_max + 1;	/* no limit is the highest number, and becomes 0 */
	m->age_min_s = f->age_min_s;
	m->age_limit_s = f->age_max_s == INT64_MAX ? 0 : f->age_max_s + 1;
	for (size_t i = 0; i < 3; i++) {
		if (!(*out[i] = calloc(lists[i]->n + 1, sizeof(char *))))
			return err_sys(e, "start");
		for (size_t k = 0; k < lists[i]->n; k++)
			if (!((*out[i])[k] = strdup(lists[i]->v[k])))
				return err_sys(e, "start");
	}
	return m->identity && m->scope ? 0 : err_sys(e, "start");
}

/* ---- merging the answers ---- */

static int advance(struct pass *p, struct err *e)
{
	int got = known_next(p->known, &p->head, e);

	p->have_head = got == 1;
	return got < 0 ? -1 : 0;
}

/* The parent's times change at the target when something is made or removed in it. */
static int touch_parent(struct pass *p, const struct entry *en, struct err *e)
{
	const char *slash = memrchr(en->path, '/', en->path_len);
	uint64_t key = slash ? u64set_key(en->path, (size_t)(slash - en->path)) : u64set_key(".", 1);

	return u64set_add(&p->touched, key) < 0 ? err_sys(e, "pass") : 0;
}

static int found(struct pass *p, const struct entry *en, uint64_t place, unsigned marks, struct err *e)
{
	p->progress.entries++;
	if (((marks & FOUND_CHANGED) && touch_parent(p, en, e) < 0) || names_add(&p->names, en, e) < 0)
		return -1;
	return passfile_add(p->found, en, place << FOUND_MARKS | marks, e);
}

static int take_same(struct pass *p, uint64_t count, struct err *e)
{
	uint64_t place;

	while (count--) {
		if (!p->have_head)
			return err_set(e, ERR_INTEGRITY, "the source agent reports more known entries than it was told");
		p->head.entry.outcome = ENTRY_UNCHANGED;
		p->result.added += !p->head.in_version;
		p->result.changed += p->head.in_version && p->head.acked;
		if (pass_place(p, &p->head.at, &place, e) < 0 ||
		    found(p, &p->head.entry, place, p->head.acked || !p->head.in_version ? FOUND_CHANGED : 0, e) < 0 || advance(p, e) < 0)
			return -1;
	}
	return 0;
}

static int take_gone(struct pass *p, uint64_t count, bool keep, struct err *e)
{
	while (count--) {
		if (!p->have_head)
			return err_set(e, ERR_INTEGRITY, "the source agent reports more known entries than it was told");
		if (!keep) {
			p->gone_count++;
			p->result.gone += p->head.in_version;
			if (passfile_add(p->gone, &p->head.entry, 0, e) < 0 || touch_parent(p, &p->head.entry, e) < 0)
				return -1;
		}
		if (advance(p, e) < 0)
			return -1;
	}
	return 0;
}

static bool at_head(const struct pass *p, const struct entry *en)
{
	return p->have_head && p->head.entry.path_len == en->path_len &&
	    memcmp(p->head.entry.path, en->path, en->path_len) == 0;
}

static int place_of(struct pass *p, struct msg_entry *m, struct entry *en, uint64_t *place, struct err *e)
{
	const struct location none = { .kind = LOCATION_NONE };

	*place = 0;
	switch (m->content) {
	case MSG_CONTENT_NONE:
		return 0;
	case MSG_CONTENT_PACK:
		return pass_pack_place(p, m->ordinal, place, e);
	case MSG_CONTENT_LARGE:
		return pass_large_add(p, m, &none, place, e);	/* takes m, and with it its entry */
	case MSG_CONTENT_PATCH:
		if (!at_head(p, en) || p->head.at.kind != LOCATION_RECIPE || memcmp(m->base, p->head.entry.sha256, DIGEST_LEN) != 0)
			return err_set(e, ERR_INTEGRITY, "the source agent patches a content that is not known: %s", esc_s(en->path));
		return pass_large_add(p, m, &p->head.at, place, e);
	case MSG_CONTENT_KEPT:
		if (!at_head(p, en) || en->type != p->head.entry.type ||
		    memcmp(en->sha256, p->head.entry.sha256, DIGEST_LEN) != 0)
			return err_set(e, ERR_INTEGRITY, "the source agent keeps a content that is not known: %s", esc_s(en->path));
		return pass_place(p, &p->head.at, place, e);
	}
	return err_set(e, ERR_BUG, "content %d", (int)m->content);
}

static void no_difference(void *ctx, const char *what, const char *expected, const char *found)
{
	(void)ctx;
	(void)what;
	(void)expected;
	(void)found;
}

/* Read again and found as it was (a racy entry, or one whose ctime moved): nothing has to be done at the target. */
static bool differs(const struct pass *p, const struct msg_entry *m, const struct entry *en)
{
	if (!at_head(p, en) || p->head.acked || !p->head.in_version || en->outcome != ENTRY_COPIED)
		return true;
	if (m->content == MSG_CONTENT_PACK || m->content == MSG_CONTENT_LARGE || m->content == MSG_CONTENT_PATCH)
		return true;
	return entry_compare(&p->head.entry, en, ENTRY_CMP_NO_NLINK, no_difference, NULL) > 0 ||
	    strcmp(p->head.entry.link_to ? p->head.entry.link_to : "", en->link_to ? en->link_to : "") != 0;
}

/*
 * Does the target make it complete, attributes and all, from the objects of this session?  The rest is set again from its entry:
 * flags bar further changes and come last, packs have no room for every attribute and no fractions of a second before 1970.
 */
static bool arrives_whole(const struct msg_entry *m)
{
	const struct entry *en = &m->entry;

	if (en->outcome != ENTRY_COPIED || en->link_to || en->mtime_s < 0 || (en->has & ENTRY_HAS_FLAGS))
		return false;
	if (m->content == MSG_CONTENT_LARGE || m->content == MSG_CONTENT_PATCH)
		return true;
	return m->content == MSG_CONTENT_PACK && (en->type == ENTRY_FILE || en->type == ENTRY_SYMLINK) &&
	    !(en->has & (ENTRY_HAS_XATTR | ENTRY_HAS_ACL));
}

static void count_difference(struct pass *p, const struct entry *en, bool differs)
{
	if (!entry_is_present(en))
		return;
	if (!at_head(p, en) || !p->head.in_version)
		p->result.added++;
	else if (differs)
		p->result.changed++;
}

static int take_entry(struct pass *p, const struct wire_frame *f, struct err *e)
{
	OWN(msg_entry_dispose) struct msg_entry m = { .content = MSG_CONTENT_NONE };
	OWN(entry_freep) struct entry *en = NULL;
	unsigned marks;
	uint64_t place;

	if (msg_entry_decode(f->data, f->len, &m, p->prev, e) < 0)
		return -1;
	if (p->prev && path_cmp(p->prev, strlen(p->prev), m.entry.path, m.entry.path_len) >= 0)
		return err_set(e, ERR_INTEGRITY, "the source agent's entries are out of order at %s", esc_s(m.entry.path));
	if (p->have_head && path_cmp(m.entry.path, m.entry.path_len, p->head.entry.path, p->head.entry.path_len) > 0)
		return err_set(e, ERR_INTEGRITY, "the source agent passes over the known entry %s", esc_s(p->head.entry.path));
	if (!(en = entry_dup(&m.entry)))
		return err_sys(e, "pass");
	free(p->prev);
	if (!(p->prev = strdup(en->path)))
		return err_sys(e, "pass");
	/* A file whose content moved under the reader is read again next time, whatever its times say. */
	if (en->outcome == ENTRY_UNSETTLED && (en->has & ENTRY_HAS_SCAN))
		en->scan.racy = true;
	if (p->sent && m.content != MSG_CONTENT_PACK && !at_head(p, en) && entry_is_present(en) &&
	    (sent_add(p->sent, en->path, en->type, e) < 0 || (m.content == MSG_CONTENT_LARGE && sent_flush(p->sent, e) < 0)))
		return -1;
	marks = (differs(p, &m, en) ? FOUND_CHANGED : 0) | (arrives_whole(&m) ? FOUND_WHOLE : 0) |
	    (m.content == MSG_CONTENT_PATCH ? FOUND_PATCH : 0);
	count_difference(p, en, marks & FOUND_CHANGED);
	p->patched |= m.content == MSG_CONTENT_PATCH;
	if (place_of(p, &m, en, &place, e) < 0 || found(p, en, place, marks, e) < 0)
		return -1;
	p->progress.bytes += en->type == ENTRY_FILE ? en->size : 0;
	if (at_head(p, en) && advance(p, e) < 0)
		return -1;
	if (en->outcome != ENTRY_COPIED)
		return 0;
	return pass_row(p, en, place, e);
}

#define PROBLEMS_LOGGED 200u	/* of a source; they all stand in the manifest */

static int take_problem(struct pass *p, const struct wire_frame *f, struct err *e)
{
	OWN(msg_problem_dispose) struct msg_problem m = { .path = NULL };

	if (msg_problem_decode(f->data, f->len, &m, e) < 0)
		return -1;
	if (++p->source_problems <= PROBLEMS_LOGGED)
		log_warn("%s: %s: %s", p->source->host_name, esc_s(m.path), m.text);
	return 0;
}

static void tell_unlogged(const struct pass *p)
{
	if (p->source_problems > PROBLEMS_LOGGED)
		log_warn("%s: %" PRIu64 " further entries with problems; the manifest has all of them", p->source->host_name,
		    p->source_problems - PROBLEMS_LOGGED);
}

static int take_count(struct pass *p, const struct wire_frame *f, struct err *e)
{
	struct view v = view_of(f->data, f->len);
	uint64_t n = view_varint(&v);

	if (!view_done(&v) || n == 0)
		return err_set(e, ERR_INTEGRITY, "the source agent's count is not as the protocol says");
	return f->type == MSG_SAME ? take_same(p, n, e) : take_gone(p, n, false, e);
}

static void note_large(struct pass *p, const struct wire_frame *f)
{
	struct view v = view_of(f->data, f->len);
	uint64_t id = view_varint(&v);

	if (f->type == MSG_LARGE_ABORT)
		pass_hashes_drop(p, id);
	else if (id > p->large_max)
		p->large_max = id;
}

/* Of a pack that is on its way: it is made at the target before its entries have their turn here. */
static int take_names(struct pass *p, const struct wire_frame *f, struct err *e)
{
	const char *at = (const char *)f->data, *end = at + f->len;

	while (at < end) {
		enum entry_type type = (enum entry_type)(uint8_t)*at++;
		const char *stop = memchr(at, '\0', (size_t)(end - at));

		if (!stop || type < ENTRY_FILE || type > ENTRY_SOCKET || !path_is_safe(at, (size_t)(stop - at)))
			return err_set(e, ERR_INTEGRITY, "the source agent's NAMES is not as the protocol says");
		if (p->sent && sent_add(p->sent, at, type, e) < 0)
			return -1;
		at = stop + 1;
	}
	return 0;
}

static int take(struct pass *p, const struct wire_frame *f, struct err *e)
{
	switch (f->type) {
	case MSG_OBJ_BEGIN:
		return pass_object_begin(p, f, e) < 0 ? -1 : target_send(&p->target, f->type, f->data, f->len, e);
	case MSG_OBJ_DATA:
		return pass_object_data(p, f, e) < 0 ? -1 : target_send(&p->target, f->type, f->data, f->len, e);
	case MSG_OBJ_END:
		if (p->sent && sent_flush(p->sent, e) < 0)
			return -1;
		/* the target first: LARGE_END, which the end of a slice may set free, must come after it */
		return target_send(&p->target, f->type, f->data, f->len, e) < 0 ? -1 : pass_object_end(p, f, e);
	case MSG_LARGE_ABORT:
		note_large(p, f);
		return pass_large_abort(p, f, e) < 0 ? -1 : target_send(&p->target, f->type, f->data, f->len, e);
	case MSG_ASK:
		return pass_ask(p, f, e);
	case MSG_HASHES:
		return pass_hashes(p, f, e);
	case MSG_LARGE_BEGIN: case MSG_PATCH_BEGIN:
		note_large(p, f);
		return target_send(&p->target, f->type, f->data, f->len, e);
	case MSG_RANGES: case MSG_HOLE:
		return target_send(&p->target, f->type, f->data, f->len, e);
	case MSG_ATTR:
		return pass_attr(p, f, e);
	case MSG_NAMES:
		return take_names(p, f, e);
	case MSG_ENTRY:
		return take_entry(p, f, e);
	case MSG_SAME: case MSG_GONE:
		return take_count(p, f, e);
	case MSG_PROBLEM:
		return take_problem(p, f, e);
	default:
		return err_set(e, ERR_INTEGRITY, "host %s: unexpected message %u", p->source->host_name, f->type);
	}
}

static void show(struct pass *p, bool force)
{
	int64_t now = clock_mono_ns();

	if (!force && now - p->shown < 200000000)
		return;
	p->shown = now;
	run_show_progress(p->r, &p->progress);
}

static int receive(struct pass *p, struct err *e)
{
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		int got = wire_recv(p->source->wire, WIRE_DATA, &f, e);

		if (got < 0)
			return -1;
		if (got == 0)
			return 0;
		if (take(p, &f, e) < 0 || pass_flush(p, false, false, e) < 0 || run_check(p->r, e) < 0)
			return -1;
		show(p, false);
	}
}

/* ---- the whole pass ---- */

/* "fsid:inode" */
static bool same_root(const char *a, const char *b)
{
	const char *x = strchr(a, ':'), *y = strchr(b, ':');

	return x && y && strcmp(x, y) == 0;
}

static int check_identity(struct pass *p, const struct version_summary *last, struct err *e)
{
	char place[PLACE_NAME];

	if (!p->last || strcmp(last->identity, p->source->ready.identity) == 0 || p->r->o->amend)
		return 0;
	/* A snapshot that a hook takes for each pass is another file system every time (btrfs), with the same root. */
	if (p->r->plan->hooks[POINT_BEFORE_COPY].n && same_root(last->identity, p->source->ready.identity)) {
		log_info("%s is another file system than at version %" PRIu64 "; before-copy hooks may have made it",
		    place_name(p->d->from.host, p->d->from.path, place), p->last);
		return 0;
	}
	err_set(e, ERR_REFUSED, "%s is another directory or file system than at version %" PRIu64 " (%s, was %s)",
	    place_name(p->d->from.host, p->d->from.path, place), p->last, p->source->ready.identity, last->identity);
	return err_hint(e, "is it mounted? If the source was moved on purpose, run again with --amend REASON");
}

static int open_source(struct pass *p, struct err *e)
{
	OWN(msg_start_dispose) struct msg_start start = { .identity = NULL };
	OWN_SUMMARY struct version_summary last = VERSION_SUMMARY_INIT;
	struct known *k;
	uint64_t known;
	bool cut;

	if (p->last && version_summary(p->r->w, p->r->plan->name, p->d->name, p->last, &last, e) != 1)
		return p->last && e->class == ERR_NONE ? err_set(e, ERR_INTEGRITY, "version %" PRIu64 " has no summary", p->last) : -1;
	p->last_entries = last.totals.entries;
	p->progress.total_entries = last.totals.entries;
	p->progress.total_bytes = 0;
	if (pass_start(p->r, p->d, (p->frozen ? MSG_F_FROZEN : 0) | MSG_F_BLOCKS, &start, e) < 0)
		return -1;
	if (place_session(p->r, p->d, SIDE_SOURCE, p->d->from.host, p->d->from.path, 0, &start, &p->source, e) < 0)
		return -1;
	if (check_identity(p, &last, e) < 0 || block_pass_cut(p->r, p->d, &cut, e) < 0 || pass_blocks_open(p, e) < 0)
		return -1;
	known = cut ? 0 : p->last;
	if (known_open(p->r->w, p->r->plan->name, p->d->name, known, p->version, &k, e) < 0)
		return -1;
	if (known_open(p->r->w, p->r->plan->name, p->d->name, known, p->version, &p->known, e) < 0) {
		known_close(k);
		return -1;
	}
	if (known_sender_start(p->source->wire, k, &p->sender, e) < 0)
		return -1;
	return advance(p, e);
}

static int close_source(struct pass *p, struct err *e)
{
	struct msg_done *b = &p->result.balance;
	char place[PLACE_NAME];

	if (known_sender_join(take_ptr(&p->sender), e) < 0 || session_finish(p->source, b, e) < 0)
		return err_at(e, "%s", place_name(p->d->from.host, p->d->from.path, place));
	tell_unlogged(p);
	if (p->have_head)
		return err_set(e, ERR_INTEGRITY, "the source agent did not account for all known entries");
	if (b->scanned != b->copied + b->unchanged + b->skipped + b->unsettled + b->failed ||
	    b->scanned != p->progress.entries)
		return err_set(e, ERR_INTEGRITY, "the balance does not close: scanned %" PRIu64 ", received %" PRIu64,
		    b->scanned, p->progress.entries);
	if (p->large_count)
		return err_set(e, ERR_INTEGRITY, "the source agent left large contents without an end");
	return 0;
}

/* A source that lost everything is far more often unmounted than emptied on purpose (transfer.md 35). */
static int check_deletions(struct pass *p, struct err *e)
{
	uint64_t cap = (uint64_t)p->r->plan->limits.deletes_percent;
	char place[PLACE_NAME];

	if (!p->gone_count)
		return 0;
	place_name(p->d->from.host, p->d->from.path, place);
	if (p->last_entries > 1 && p->result.balance.scanned <= 1) {
		err_set(e, ERR_REFUSED, "%s is empty, but version %" PRIu64 " has %" PRIu64 " entries", place, p->last, p->last_entries);
		return err_hint(e, "mount or restore the source; nothing was deleted and nothing recorded");
	}
	if (p->d->to.host && p->d->files.delete && p->gone_count * 100 > p->last_entries * cap && p->gone_count > 10 && !p->r->o->yes &&
	    p->r->standing.phase == PHASE_LIVE) {	/* limits are void while frozen */
		err_set(e, ERR_WAITING, "%s: %" PRIu64 " of %" PRIu64 " entries are gone, more than limits.deletes (%" PRIu64 " %%)",
		    place, p->gone_count, p->last_entries, cap);
		return err_hint(e, "if that is right, run again with --yes");
	}
	return 0;
}

static int open_target(struct pass *p, struct err *e)
{
	OWN_OWNERS struct owners owners = OWNERS_INIT;

	if (p->d->to.host && owners_resolve(p->r, p->d, &owners, e) < 0)
		return -1;
	if (target_open(&p->target, p->r, p->d, p->d->to.host, p->d->to.path, (p->d->files.flags ? MSG_F_FLAGS : 0u) |
	    (activation_is_staged(p->r, p->d) ? MSG_F_STAGED : 0u) |
	    (pass_rights(p)->denied ? MSG_F_ANNOUNCED : 0u), &owners, e) < 0)
		return -1;
	return block_pass_writing(p->r, p->d, e);
}

static int run_pass(struct pass *p, struct err *e)
{
	if (passfile_new(&p->found, p->r->w->scanfd, e) < 0 || passfile_new(&p->gone, p->r->w->scanfd, e) < 0 ||
	    open_source(p, e) < 0 || open_target(p, e) < 0 ||
	    sweep_note(p->r, p->d, e) < 0 || (p->d->to.host && sent_open(p->r, p->d, p->last, p->version, &p->sent, e) < 0) ||
	    receive(p, e) < 0 || close_source(p, e) < 0 || check_deletions(p, e) < 0 ||
	    pass_check_patches(p, e) < 0 || pass_finish_target(p, e) < 0)
		return -1;
	show(p, true);
	return pass_commit(p, e) < 0 ? -1 : sweep_after(p->r, p->d, p->stage, e);
}

void pass_free(struct pass *p)
{
	struct err ignored = ERR_INIT;

	if (p->source && p->source->wire)
		wire_cancel(p->source->wire);
	if (known_sender_join(p->sender, &ignored) < 0)
		log_debug("known state: %s", ignored.text);
	pass_version_abandon(p);
	session_close(p->source);
	target_free(&p->target);
	pass_acks_free(p);
	pass_objects_free(p);
	known_item_dispose(&p->head);
	known_close(p->known);
	passfile_free(p->found);
	passfile_free(p->gone);
	names_dispose(&p->names);
	u64set_dispose(&p->touched);
	u64set_dispose(&p->contents);
	sent_close(p->sent);
	loss_counts_dispose(&p->lost);
	loss_blobs_dispose(&p->blobs);
	owners_dispose(&p->owners);
	json_decref(p->said);
	free(p->prev);
}

int pass_run(struct run *r, const struct plan_dataset *d, const char *stage, struct pass_result *out, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);
	struct pass p = { .r = r, .d = activation_dataset(r, d), .stage = stage, .last = s ? s->version : 0, .started = clock_mono_ns() };
	int res;

	if (!p.d)
		return err_sys(e, "pass");
	p.version = p.last + 1;
	p.frozen = strcmp(stage, "final") == 0;
	p.batches_end = &p.batches;
	p.flushed_at = p.started;
	p.progress.stage = stage;
	/* The staging directory comes and goes in the root: its times are set anew by every pass. */
	if (u64set_add(&p.touched, u64set_key(".", 1)) < 0)
		return err_sys(e, "pass");
	p.progress.dataset = d->name;
	res = run_pass(&p, e);
	/* A lost connection of one end cancels the other: the first cause is what the user needs. */
	if (res == 0)
		*out = p.result;
	pass_free(&p);
	return res;
}
