/* Roles read and verify: the walk merged with the known state; what is to be done for each item. */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "clock.h"
#include "filter.h"
#include "path.h"
#include "sys.h"

/* ---- the known state ---- */

static int one_gone(struct reader *r, struct err *e)
{
	struct item *x;

	if (!r->unread || !path_is_beneath(r->known.cur.path, r->unread)) {
		known_drop(&r->known);
		return add_gone(r, e) < 0 ? -1 : batch_step(r, e);
	}
	if (!(x = item_add(r, ITEM_ENTRY, e)))
		return -1;
	x->m.entry = r->known.cur;
	r->known.cur = (struct entry)ENTRY_INIT;
	known_drop(&r->known);
	x->m.entry.outcome = ENTRY_FAILED;
	strip(&x->m.entry);
	return set_note(&x->m.entry, e, "its directory could not be read") < 0 ? -1 : batch_step(r, e);
}

/* Move the cursor to path (NULL: to the end); *found: it stands at that very path. */
static int advance(struct reader *r, const char *path, bool *found, struct err *e)
{
	int rc;

	*found = false;
	while ((rc = known_peek(&r->known, e)) > 0) {
		const struct entry *cur = &r->known.cur;
		int c = path ? path_cmp(cur->path, cur->path_len, path, strlen(path)) : -1;

		*found = c == 0;
		if (c >= 0)
			return 0;
		if (one_gone(r, e) < 0)
			return -1;
	}
	return rc;
}

/* ---- one item ---- */

/* What the walk gave, before it is known what is to be done about it. */
struct seen {
	const struct walk_item *it;
	bool is_known;			/* the cursor stands at it */
	bool list_only;
	struct entry entry;		/* owned */
};

/* An item for what was seen, which is handed over to it. */
static struct item *add(struct reader *r, struct seen *s, enum item_kind kind, struct err *e)
{
	struct item *x = item_add(r, kind, e);

	if (!x)
		return NULL;
	x->m.entry = s->entry;
	s->entry = (struct entry)ENTRY_INIT;
	x->inode = x->m.entry.scan;
	x->list_only = s->list_only;
	if (kind != ITEM_ENTRY) {
		x->dir = dir_get(s->it->dir);
		x->self = dir_get(s->it->self);
	}
	if (s->is_known && !(x->known = known_take(&r->known))) {
		(void)err_sys(e, "known state");
		return NULL;
	}
	s->is_known = false;
	return x;
}

static int skip(struct reader *r, struct seen *s, struct err *e)
{
	/* A socket is never copied but may have to be destroyed: the inventory of a clearing says which inode it is. */
	uint32_t scan = agent_flag(r->a, MSG_F_HASH_ONLY) ? s->entry.has & ENTRY_HAS_SCAN : 0;

	s->entry.outcome = ENTRY_SKIPPED;
	strip(&s->entry);
	s->entry.has |= scan;
	return add(r, s, ITEM_ENTRY, e) ? 0 : -1;
}

static int item_failed(struct reader *r, struct seen *s, struct err *e)
{
	struct err why = ERR_INIT;
	struct item *x = add(r, s, ITEM_ENTRY, e);

	if (!x)
		return -1;
	errno = s->it->error;
	(void)err_sys(&why, x->m.entry.type == ENTRY_DIR ? "reading the directory" : "stat");
	free(r->unread);
	if (!(r->unread = strdup(x->m.entry.path)))
		return err_sys(e, "directory");
	return item_fail(x, &why, e);
}

static int same(struct reader *r, struct seen *s, bool several, struct err *e)
{
	if (several && links_add(&r->links, &r->known.cur, e) < 0)
		return -1;
	known_drop(&r->known);
	s->is_known = false;
	return add_same(r, e);
}

static int take(struct reader *r, struct seen *s, bool several, struct err *e)
{
	/* A content of its own length gets a hand of its own, and what comes after it another. */
	bool large = s->entry.type == ENTRY_FILE && s->entry.size > PACK_FILE_MAX && !agent_flag(r->a, MSG_F_NO_HASH);
	struct item *x;

	if (large && batch_close(r, e) < 0)
		return -1;
	if (!(x = add(r, s, ITEM_TAKE, e)))
		return -1;
	x->several = several;
	return several ? links_add(&r->flying, &x->m.entry, e) : 0;
}

/* Same, link or new: an item that no rule left out and that stat could describe. */
static int take_or_keep(struct reader *r, struct seen *s, struct err *e)
{
	struct entry *en = &s->entry;
	/* A name that is only listed is none of a group: no other name's content may depend on it. */
	bool several = en->type != ENTRY_DIR && en->nlink > 1 && !s->list_only;
	struct item *x;

	if (several && (links_find(&r->links, en) || links_find(&r->flying, en))) {
		if ((x = add(r, s, ITEM_LATER, e)))
			x->several = true;
		return x ? 0 : -1;
	}
	if (s->is_known && item_is_same(r, &r->known.cur, en, s->list_only))
		return same(r, s, several, e);
	return take(r, s, several, e);
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
static int by_rule(struct reader *r, struct seen *x, struct err *e)
{
	const struct msg_start *s = &r->a->start;
	struct entry *en = &x->entry;
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

static int process(struct reader *r, struct seen *s, struct err *e)
{
	int rc;

	s->entry.type = s->it->type;
	s->entry.outcome = ENTRY_COPIED;
	if (entry_set_path(&s->entry, s->it->path, s->it->path_len, e) < 0 || advance(r, s->it->path, &s->is_known, e) < 0)
		return -1;
	if (!s->it->no_stat)
		describe_stat(&s->entry, &s->it->stx);
	rc = by_rule(r, s, e);
	if (rc > 0) {
		if (s->entry.type == ENTRY_DIR)
			walk_prune(r->walk);
		rc = skip(r, s, e);
	} else if (rc == 0) {
		rc = s->it->error ? item_failed(r, s, e) : take_or_keep(r, s, e);
	}
	return rc < 0 ? -1 : batch_step(r, e);
}

/* ---- the role ---- */

static int reader_init(struct reader *r, struct agent *a, struct err *e)
{
	known_init(&r->known, a);
	emit_init(&r->emit, a);
	r->now_s = clock_now_ns() / 1000000000;
	return hands_start(r, e) < 0 || delta_new(&r->delta, a, e) < 0 ? -1 : walk_new(&r->walk, a->root, e);
}

static void reader_dispose(struct reader *r)
{
	hands_stop(r);
	walk_free(r->walk);
	known_dispose(&r->known);
	links_dispose(&r->links);
	links_dispose(&r->flying);
	names_dispose(&r->names);
	emit_dispose(&r->emit);
	delta_free(r->delta);
	free(r->sent.v);
	free(r->prev);
	free(r->unread);
}

int role_read(struct agent *a, struct err *e)
{
	OWN(reader_dispose) struct reader r = { .a = a };
	struct walk_item it;
	bool found;
	int rc;

	if (strcmp(a->role, "verify") == 0)
		a->start.flags |= MSG_F_HASH_ONLY;
	if (reader_init(&r, a, e) < 0)
		return -1;
	wire_set_state(a->wire, "walk");
	if (agent_flag(a, MSG_F_MEDIUM) && sys_syncfs(SITE, a->root) < 0)
		return err_sys(e, "%s: syncing the file system before reading it back", a->root_path);
	while ((rc = walk_next(r.walk, &it, e)) > 0) {
		struct seen s = { .it = &it, .entry = ENTRY_INIT };

		rc = process(&r, &s, e);
		if (rc < 0) {
			char name[AGENT_NAME];

			(void)err_at(e, "%s", agent_name(a, it.path, name));
		}
		entry_dispose(&s.entry);
		if (rc < 0)
			return -1;
	}
	return rc < 0 || advance(&r, NULL, &found, e) < 0 ? -1 : batch_finish(&r, e);
}
