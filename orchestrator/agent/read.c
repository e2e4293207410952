/* Roles read and verify: the walk, merged with the known state. */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "clock.h"
#include "filter.h"
#include "path.h"
#include "sys.h"

/* ---- sending ---- */

static int flush_counts(struct reader *r, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	bool same = r->same > 0;
	uint64_t n = same ? r->same : r->gone;

	if (n == 0)
		return 0;
	r->same = r->gone = 0;
	msg_number_encode(&b, n);
	return agent_send(r->a, WIRE_DATA, same ? MSG_SAME : MSG_GONE, &b, e);
}

static void count(struct msg_done *d, enum entry_outcome o)
{
	d->scanned++;
	switch (o) {
	case ENTRY_COPIED: d->copied++; return;
	case ENTRY_UNCHANGED: d->unchanged++; return;
	case ENTRY_SKIPPED: d->skipped++; return;
	case ENTRY_UNSETTLED: d->unsettled++; return;
	case ENTRY_FAILED: d->failed++; return;
	}
}

static int send_entry(struct reader *r, const struct msg_entry *m, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (entry_check(&m->entry, e) < 0 || flush_counts(r, e) < 0)
		return -1;
	msg_entry_encode(&b, m, r->prev);
	free(r->prev);
	if (!(r->prev = strdup(m->entry.path)))
		return err_sys(e, "entry");
	count(&r->a->done, m->entry.outcome);
	return agent_send(r->a, WIRE_DATA, MSG_ENTRY, &b, e);
}

/* What only an entry that was read may claim. */
static void strip(struct entry *en)
{
	en->has &= ENTRY_HAS_BTIME;
	free(en->link_to);
	free(en->layout);
	en->link_to = NULL;
	en->layout = NULL;
	en->layout_count = 0;
}

static int send_failed(struct reader *r, struct msg_entry *m, const struct err *why, struct err *e)
{
	m->entry.outcome = ENTRY_FAILED;
	m->content = MSG_CONTENT_NONE;
	strip(&m->entry);
	if (set_note(&m->entry, e, "%s", why->text) < 0 || agent_problem(r->a, m->entry.path, why, e) < 0)
		return -1;
	return send_entry(r, m, e);
}

static int send_skipped(struct reader *r, struct msg_entry *m, struct err *e)
{
	/* A socket is never copied but may have to be destroyed: the inventory of a clearing says which inode it is. */
	uint32_t scan = agent_flag(r->a, MSG_F_HASH_ONLY) ? m->entry.has & ENTRY_HAS_SCAN : 0;

	m->entry.outcome = ENTRY_SKIPPED;
	strip(&m->entry);
	m->entry.has |= scan;
	return send_entry(r, m, e);
}

/* ---- the known state ---- */

static int one_gone(struct reader *r, struct err *e)
{
	struct msg_entry m = { .entry = ENTRY_INIT };
	int rc = 0;

	if (r->unread && path_is_beneath(r->known.cur.path, r->unread)) {
		m.entry = r->known.cur;
		r->known.cur = (struct entry)ENTRY_INIT;
		m.entry.outcome = ENTRY_FAILED;
		strip(&m.entry);
		if (set_note(&m.entry, e, "its directory could not be read") < 0 || send_entry(r, &m, e) < 0)
			rc = -1;
		msg_entry_dispose(&m);
	} else {
		if (r->same && flush_counts(r, e) < 0)
			return -1;
		r->gone++;
	}
	known_drop(&r->known);
	return rc;
}

/* Move the cursor to path (NULL: to the end); *k is the known entry of that very path, or NULL. */
static int advance(struct reader *r, const char *path, const struct entry **k, struct err *e)
{
	int rc;

	*k = NULL;
	while ((rc = known_peek(&r->known, e)) > 0) {
		const struct entry *cur = &r->known.cur;
		int c = path ? path_cmp(cur->path, cur->path_len, path, strlen(path)) : -1;

		if (c == 0)
			*k = cur;
		if (c >= 0)
			return 0;
		if (one_gone(r, e) < 0)
			return -1;
	}
	return rc;
}

static bool equal_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Known content that the archive has (or that was hashed): all entries but those that were only listed or not taken. */
static bool was_taken(const struct entry *k, bool list_only)
{
	if (!k || !entry_is_present(k))
		return false;
	return (k->note && strcmp(k->note, NOTE_LIST_ONLY) == 0) == list_only;
}

static bool is_same(const struct reader *r, const struct entry *k, const struct entry *cur, bool list_only)
{
	const uint64_t no_hash = MSG_F_NO_HASH;

	if (!was_taken(k, list_only) || k->outcome == ENTRY_UNSETTLED || (r->a->start.flags & MSG_F_STRICT) ||
	    !entry_scan_equal(k, cur) || !equal_text(k->link_to, cur->link_to))
		return false;
	if (cur->type != ENTRY_FILE || (r->a->start.flags & no_hash))
		return true;
	return k->has & ENTRY_HAS_SHA256 && (!r->sm3 || k->has & ENTRY_HAS_SM3);
}

static int send_same(struct reader *r, struct err *e)
{
	if (r->gone && flush_counts(r, e) < 0)
		return -1;
	r->same++;
	count(&r->a->done, ENTRY_UNCHANGED);
	return 0;
}

/* ---- one item ---- */

struct item {
	const struct walk_item *it;
	const struct entry *known;	/* of the same path, or NULL */
	bool list_only;
	struct msg_entry m;		/* owned */
};

/* Whether contents and inodes travel at all for this item. */
static bool sends(const struct reader *r, const struct item *x)
{
	return !x->list_only && !(r->a->start.flags & (MSG_F_HASH_ONLY | MSG_F_NO_HASH));
}

static int into_pack(struct reader *r, struct item *x, const struct attr_set *attrs, struct err *e)
{
	x->m.content = MSG_CONTENT_PACK;
	return emit_pack(&r->emit, &x->m.entry, attrs, r->data, &x->m.ordinal, e);
}

static int place_content(struct reader *r, struct item *x, struct content *c, struct err *e)
{
	const struct entry *k = x->known;

	if (!sends(r, x))
		return 0;
	if (was_taken(k, false) && k->type == ENTRY_FILE && !k->link_to && k->has & ENTRY_HAS_SHA256 &&
	    k->size == x->m.entry.size && memcmp(k->sha256, x->m.entry.sha256, DIGEST_LEN) == 0) {
		x->m.content = MSG_CONTENT_KEPT;
		return 0;
	}
	if (!c->is_large)
		return into_pack(r, x, &c->attrs, e);
	x->m.content = c->large.patch ? MSG_CONTENT_PATCH : MSG_CONTENT_LARGE;
	memcpy(x->m.base, c->large.base, DIGEST_LEN);
	x->m.large_id = c->large.id;
	x->m.segments = take_ptr(&c->large.segments);
	x->m.segment_count = c->large.count;
	return 0;
}

static int open_file(const struct walk_item *it)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = openat(it->dirfd, it->name, flags | O_NOATIME);

	return fd < 0 && errno == EPERM ? openat(it->dirfd, it->name, flags) : fd;
}

static int take_file(struct reader *r, struct item *x, struct err *e)
{
	OWN_CONTENT struct content c = { .attrs = ATTR_SET_INIT, .large = EMIT_LARGE_INIT, .delta = DELTA_CONTENT_INIT,
		.dirfd = x->it->dirfd, .name = x->it->name };
	OWN_FD int fd = open_file(x->it);
	struct err why = ERR_INIT;
	/* Content of a further name stands with the first: as its own it is new. */
	const struct entry *k = was_taken(x->known, false) && !x->known->link_to ? x->known : NULL;
	int rc;

	if (fd < 0) {
		(void)err_sys(&why, "open");
		return send_failed(r, &x->m, &why, e);
	}
	rc = content_take(r, fd, &x->m.entry, k, sends(r, x), &c, &why, e);
	if (rc)
		return rc < 0 ? -1 : send_failed(r, &x->m, &why, e);
	if (x->list_only && set_note(&x->m.entry, e, NOTE_LIST_ONLY) < 0)
		return -1;
	if (!c.settled) {
		x->m.entry.outcome = ENTRY_UNSETTLED;
		x->m.entry.has &= ~(uint32_t)ENTRY_HAS_SCAN;	/* never equal next time */
		if (set_note(&x->m.entry, e, "%s", NOTE_CHANGED) < 0)
			return -1;
	}
	return place_content(r, x, &c, e) < 0 ? -1 : send_entry(r, &x->m, e);
}

/* Does the known entry already stand for this directory, symlink or device? */
static bool same_thing(const struct entry *k, const struct entry *en)
{
	return was_taken(k, false) && k->type == en->type && !k->link_to && equal_text(k->target, en->target) &&
	    k->rdev_major == en->rdev_major && k->rdev_minor == en->rdev_minor;
}

/* Directories, symlinks, fifos, devices; fd is any fd of the inode. */
static int take_inode(struct reader *r, struct item *x, int fd, struct err *e)
{
	OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;
	struct entry *en = &x->m.entry;
	struct err why = ERR_INIT;
	int rc = describe_more(r, fd, en, &attrs, &why, e);

	if (rc == 0 && en->type == ENTRY_SYMLINK)
		rc = describe_target(fd, en, &why);
	if (rc)
		return rc < 0 ? -1 : send_failed(r, &x->m, &why, e);
	if (sends(r, x) && !same_thing(x->known, en) && into_pack(r, x, &attrs, e) < 0)
		return -1;
	return send_entry(r, &x->m, e);
}

static int take_special(struct reader *r, struct item *x, struct err *e)
{
	OWN_FD int fd = openat(x->it->dirfd, x->it->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct err why = ERR_INIT;
	struct statx st;

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) < 0) {
		(void)err_sys(&why, "open");
		return send_failed(r, &x->m, &why, e);
	}
	if ((st.stx_mode & S_IFMT) != (x->it->stx.stx_mode & S_IFMT)) {
		err_set(&why, ERR_TEMPORARY, "replaced while it was read");
		return send_failed(r, &x->m, &why, e);
	}
	describe_stat(&x->m.entry, &st);
	return take_inode(r, x, fd, e);
}

/* A further name of an inode whose first name was taken: everything but path and scan is the first name's. */
static int take_link(struct reader *r, struct item *x, const struct entry *first, struct err *e)
{
	struct entry *cur = &x->m.entry;
	OWN(entry_freep) struct entry *en = entry_dup(first);
	struct err why = ERR_INIT;

	if (!en || entry_set_path(en, cur->path, cur->path_len, e) < 0)
		return en ? -1 : err_sys(e, "hard link");
	if (first->size != cur->size || first->mtime_s != cur->mtime_s || first->mtime_ns != cur->mtime_ns) {
		err_set(&why, ERR_TEMPORARY, "changed after its first name was read");
		if (agent_flag(r->a, MSG_F_FROZEN))
			return send_failed(r, &x->m, &why, e);
		en->outcome = ENTRY_UNSETTLED;
		if (set_note(en, e, "%s", why.text) < 0)
			return -1;
	} else if (en->outcome == ENTRY_UNCHANGED) {
		en->outcome = ENTRY_COPIED;
	}
	free(en->link_to);
	en->link_to = take_ptr(&cur->link_to);
	en->scan = cur->scan;
	if (en->outcome == ENTRY_UNSETTLED)
		en->has &= ~(uint32_t)ENTRY_HAS_SCAN;
	entry_dispose(cur);
	*cur = *en;
	*en = (struct entry)ENTRY_INIT;
	return send_entry(r, &x->m, e);
}

static int take(struct reader *r, struct item *x, struct err *e)
{
	if (x->m.entry.type == ENTRY_FILE)
		return take_file(r, x, e);
	if (x->m.entry.type == ENTRY_DIR)
		return take_inode(r, x, x->it->fd, e);
	return take_special(r, x, e);
}

/* Same, link or new: an item that no rule left out and that stat could describe. */
static int take_or_keep(struct reader *r, struct item *x, struct err *e)
{
	struct entry *en = &x->m.entry;
	/* A name that is only listed is none of a group: no other name's content may depend on it. */
	bool several = en->type != ENTRY_DIR && en->nlink > 1 && !x->list_only;
	const struct entry *first = several ? links_find(&r->links, en) : NULL;
	OWN_ENTRY struct entry scan = { .scan = en->scan };	/* what identifies the inode after en changed hands */
	int rc;

	if (first && !(en->link_to = strdup(first->path)))
		return err_sys(e, "hard link");
	if (is_same(r, x->known, en, x->list_only)) {
		rc = send_same(r, e);
		if (rc == 0 && several && !first)
			return links_add(&r->links, x->known, e);
	} else if (first) {
		rc = take_link(r, x, first, e);
	} else {
		rc = take(r, x, e);
		if (rc == 0 && several && entry_is_present(&x->m.entry) && x->m.entry.nlink > 1) {
			x->m.entry.has |= ENTRY_HAS_SCAN;
			return links_add(&r->links, &x->m.entry, e);
		}
	}
	if (first)
		links_seen(&r->links, &scan);
	return rc;
}

static bool other_mount(const struct reader *r, const struct walk_item *it)
{
	const struct agent *a = r->a;

	if (!agent_flag(a, MSG_F_ONE_FS))
		return false;
	if (a->root_mnt && it->stx.stx_mask & STATX_MNT_ID)
		return it->stx.stx_mnt_id != a->root_mnt;
	return ((uint64_t)it->stx.stx_dev_major << 32 | it->stx.stx_dev_minor) != a->root_dev;
}

/* Why size or age leave a file out, or NULL. */
static const char *by_measure(const struct reader *r, const struct entry *en)
{
	const struct msg_start *s = &r->a->start;
	int64_t age = r->now_s - en->mtime_s;

	if (en->size < s->size_min)
		return "smaller than size.min";
	if (s->size_limit && en->size >= s->size_limit)
		return "larger than size.max";
	if (s->age_min_s && age < s->age_min_s)
		return "younger than age.min";
	return s->age_limit_s && age >= s->age_limit_s ? "older than age.max" : NULL;
}

/* A rule that leaves the item out: 1 with the note set, 0, -1. */
static int by_rule(struct reader *r, struct item *x, struct err *e)
{
	const struct msg_start *s = &r->a->start;
	struct entry *en = &x->m.entry;
	bool is_dir = en->type == ENTRY_DIR;
	const char *pattern;

	if (x->it->dirfd < 0)
		return 0;
	pattern = filter_find(s->include, en->path, is_dir) ? NULL : filter_find(s->exclude, en->path, is_dir);
	if (pattern)
		return set_note(en, e, "excluded: %s", pattern) < 0 ? -1 : 1;
	if (!x->it->no_stat && other_mount(r, x->it))
		return set_note(en, e, "other file system") < 0 ? -1 : 1;
	if (en->type == ENTRY_SOCKET)
		return set_note(en, e, "socket") < 0 ? -1 : 1;
	if (en->type == ENTRY_FILE && !x->it->no_stat && (pattern = by_measure(r, en)))
		return set_note(en, e, "%s", pattern) < 0 ? -1 : 1;
	x->list_only = en->type == ENTRY_FILE && filter_find(s->list_only, en->path, false);
	return 0;
}

static int item_failed(struct reader *r, struct item *x, struct err *e)
{
	struct err why = ERR_INIT;

	errno = x->it->error;
	(void)err_sys(&why, x->m.entry.type == ENTRY_DIR ? "reading the directory" : "stat");
	free(r->unread);
	if (!(r->unread = strdup(x->m.entry.path)))
		return err_sys(e, "directory");
	return send_failed(r, &x->m, &why, e);
}

static int process(struct reader *r, struct item *x, struct err *e)
{
	int rc;

	x->m.entry.type = x->it->type;
	x->m.entry.outcome = ENTRY_COPIED;
	if (entry_set_path(&x->m.entry, x->it->path, x->it->path_len, e) < 0 ||
	    advance(r, x->it->path, &x->known, e) < 0)
		return -1;
	if (!x->it->no_stat)
		describe_stat(&x->m.entry, &x->it->stx);
	rc = by_rule(r, x, e);
	if (rc > 0) {
		if (x->m.entry.type == ENTRY_DIR)
			walk_prune(r->walk);
		rc = send_skipped(r, &x->m, e);
	} else if (rc == 0) {
		rc = x->it->error ? item_failed(r, x, e) : take_or_keep(r, x, e);
	}
	if (rc == 0 && x->known)
		known_drop(&r->known);
	return rc;
}

/* ---- the role ---- */

static int reader_init(struct reader *r, struct agent *a, struct err *e)
{
	r->a = a;
	known_init(&r->known, a);
	emit_init(&r->emit, a);
	r->now_s = clock_now_ns() / 1000000000;
	r->sha256 = digest_new(DIGEST_SHA256);
	r->sm3 = agent_flag(a, MSG_F_SM3) ? digest_new(DIGEST_SM3) : NULL;
	if (!r->sha256 || (agent_flag(a, MSG_F_SM3) && !r->sm3))
		return err_set(e, ERR_PERMANENT, "%s is not to be had from libcrypto", r->sha256 ? "SM3" : "SHA-256");
	if (!(r->data = malloc(PACK_FILE_MAX)))
		return err_sys(e, "buffer");
	if (delta_new(&r->delta, a, e) < 0)
		return -1;
	return walk_new(&r->walk, a->root, e);
}

static void reader_dispose(struct reader *r)
{
	walk_free(r->walk);
	known_dispose(&r->known);
	links_dispose(&r->links);
	names_dispose(&r->names);
	emit_dispose(&r->emit);
	delta_free(r->delta);
	digest_free(r->sha256);
	digest_free(r->sm3);
	free(r->sent.v);
	free(r->data);
	free(r->prev);
	free(r->unread);
}

int role_read(struct agent *a, struct err *e)
{
	OWN(reader_dispose) struct reader r = { .a = a };
	const struct entry *none;
	struct walk_item it;
	int rc;

	if (strcmp(a->role, "verify") == 0)
		a->start.flags |= MSG_F_HASH_ONLY;
	if (reader_init(&r, a, e) < 0)
		return -1;
	wire_set_state(a->wire, "walk");
	if (agent_flag(a, MSG_F_MEDIUM) && sys_syncfs(SITE, a->root) < 0)
		return err_sys(e, "%s: syncing the file system before reading it back", a->root_path);
	while ((rc = walk_next(r.walk, &it, e)) > 0) {
		struct item x = { .it = &it, .m = { .entry = ENTRY_INIT } };

		rc = process(&r, &x, e);
		if (rc < 0) {
			char name[AGENT_NAME];

			(void)err_at(e, "%s", agent_name(a, it.path, name));
		}
		msg_entry_dispose(&x.m);
		if (rc < 0)
			return -1;
	}
	if (rc < 0 || advance(&r, NULL, &none, e) < 0 || flush_counts(&r, e) < 0)
		return -1;
	return emit_finish(&r.emit, e);
}
