/* One item: opened, described, read, packed; or a further name of what was. */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static bool equal_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool was_taken(const struct entry *k, bool list_only)
{
	if (!k || !entry_is_present(k))
		return false;
	return (k->note && strcmp(k->note, NOTE_LIST_ONLY) == 0) == list_only;
}

bool item_is_same(const struct reader *r, const struct entry *known, const struct entry *cur, bool list_only)
{
	const uint64_t no_hash = MSG_F_NO_HASH;

	if (!was_taken(known, list_only) || known->outcome == ENTRY_UNSETTLED || (r->a->start.flags & MSG_F_STRICT) ||
	    !entry_scan_equal(known, cur) || !equal_text(known->link_to, cur->link_to))
		return false;
	if (cur->type != ENTRY_FILE || (r->a->start.flags & no_hash))
		return true;
	return known->has & ENTRY_HAS_SHA256 && (!agent_flag(r->a, MSG_F_SM3) || known->has & ENTRY_HAS_SM3);
}

void strip(struct entry *en)
{
	en->has &= ENTRY_HAS_BTIME;
	free(en->link_to);
	free(en->layout);
	en->link_to = NULL;
	en->layout = NULL;
	en->layout_count = 0;
}

int item_fail(struct item *x, const struct err *why, struct err *e)
{
	x->m.entry.outcome = ENTRY_FAILED;
	x->m.content = MSG_CONTENT_NONE;
	strip(&x->m.entry);
	if (!x->why && !(x->why = malloc(sizeof(*x->why))))
		return err_sys(e, "entry");
	*x->why = *why;
	return set_note(&x->m.entry, e, "%s", why->text);
}

/* Whether contents and inodes travel at all for this item. */
static bool sends(const struct reader *r, const struct item *x)
{
	return !x->list_only && !(r->a->start.flags & (MSG_F_HASH_ONLY | MSG_F_NO_HASH));
}

static int into_pack(struct hand *h, struct item *x, const struct attr_set *attrs, uint64_t *ended, struct err *e)
{
	x->m.content = MSG_CONTENT_PACK;
	return emit_pack(&h->packs, &x->m.entry, attrs, h->data, ended, e);
}

static int place_content(struct hand *h, struct item *x, struct content *c, uint64_t *ended, struct err *e)
{
	const struct entry *k = x->known;

	if (!sends(h->r, x))
		return 0;
	if (was_taken(k, false) && k->type == ENTRY_FILE && !k->link_to && k->has & ENTRY_HAS_SHA256 &&
	    k->size == x->m.entry.size && memcmp(k->sha256, x->m.entry.sha256, DIGEST_LEN) == 0) {
		x->m.content = MSG_CONTENT_KEPT;
		return 0;
	}
	if (!c->is_large)
		return into_pack(h, x, &c->attrs, ended, e);
	x->m.content = c->large.patch ? MSG_CONTENT_PATCH : MSG_CONTENT_LARGE;
	memcpy(x->m.base, c->large.base, DIGEST_LEN);
	x->m.large_id = c->large.id;
	x->m.segments = take_ptr(&c->large.segments);
	x->m.segment_count = c->large.count;
	return 0;
}

/* The last component, as the directory has it. */
static const char *name_of(const struct item *x)
{
	const char *slash = strrchr(x->m.entry.path, '/');

	return slash ? slash + 1 : x->m.entry.path;
}

static int open_file(const struct item *x)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = openat(x->dir->fd, name_of(x), flags | O_NOATIME);

	return fd < 0 && errno == EPERM ? openat(x->dir->fd, name_of(x), flags) : fd;
}

static int not_opened(struct item *x, struct err *e)
{
	struct err why = ERR_INIT;

	/* It was listed, and is no more: the walk leaves such names out, and so do we. */
	if (errno == ENOENT) {
		x->vanished = true;
		return 0;
	}
	(void)err_sys(&why, "open");
	return item_fail(x, &why, e);
}

static int take_file(struct hand *h, struct item *x, uint64_t *ended, struct err *e)
{
	OWN_CONTENT struct content c = CONTENT_INIT;
	OWN_FD int fd = open_file(x);
	struct err why = ERR_INIT;
	/* Content of a further name stands with the first: as its own it is new. */
	const struct entry *k = was_taken(x->known, false) && !x->known->link_to ? x->known : NULL;
	int rc;

	if (fd < 0)
		return not_opened(x, e);
	c.dirfd = x->dir->fd;
	c.name = name_of(x);
	rc = content_take(h, fd, &x->m.entry, k, sends(h->r, x), &c, &why, e);
	if (rc)
		return rc < 0 ? -1 : item_fail(x, &why, e);
	if (x->list_only && set_note(&x->m.entry, e, NOTE_LIST_ONLY) < 0)
		return -1;
	if (!c.settled) {
		x->m.entry.outcome = ENTRY_UNSETTLED;
		x->m.entry.has &= ~(uint32_t)ENTRY_HAS_SCAN;	/* never equal next time */
		if (set_note(&x->m.entry, e, "%s", NOTE_CHANGED) < 0)
			return -1;
	}
	return place_content(h, x, &c, ended, e);
}

/* Does the known entry already stand for this directory, symlink or device? */
static bool same_thing(const struct entry *k, const struct entry *en)
{
	return was_taken(k, false) && k->type == en->type && !k->link_to && equal_text(k->target, en->target) &&
	    k->rdev_major == en->rdev_major && k->rdev_minor == en->rdev_minor;
}

/* Directories, symlinks, fifos, devices; fd is any fd of the inode. */
static int take_inode(struct hand *h, struct item *x, int fd, uint64_t *ended, struct err *e)
{
	OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;
	struct entry *en = &x->m.entry;
	struct err why = ERR_INIT;
	int rc = describe_more(h->r, fd, en, &attrs, &why, e);

	if (rc == 0 && en->type == ENTRY_SYMLINK)
		rc = describe_target(fd, en, &why);
	if (rc)
		return rc < 0 ? -1 : item_fail(x, &why, e);
	if (sends(h->r, x) && !same_thing(x->known, en))
		return into_pack(h, x, &attrs, ended, e);
	return 0;
}

static int take_special(struct hand *h, struct item *x, uint64_t *ended, struct err *e)
{
	OWN_FD int fd = openat(x->dir->fd, name_of(x), O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct err why = ERR_INIT;
	struct statx st;

	if (fd < 0)
		return not_opened(x, e);
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) < 0) {
		(void)err_sys(&why, "stat");
		return item_fail(x, &why, e);
	}
	if (walk_type(st.stx_mode) != x->m.entry.type) {
		err_set(&why, ERR_TEMPORARY, "replaced while it was read");
		return item_fail(x, &why, e);
	}
	describe_stat(&x->m.entry, &st);
	return take_inode(h, x, fd, ended, e);
}

int item_take(struct hand *h, struct item *x, uint64_t *ended, struct err *e)
{
	*ended = 0;
	if (x->m.entry.type == ENTRY_FILE)
		return take_file(h, x, ended, e);
	if (x->m.entry.type == ENTRY_DIR)
		return take_inode(h, x, x->self->fd, ended, e);
	return take_special(h, x, ended, e);
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
			return item_fail(x, &why, e);
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
	return 0;
}

/* By the role's own hand, whose pack goes out at once: the entry is sent next. */
static int take_now(struct reader *r, struct item *x, struct err *e)
{
	uint64_t ended;

	if (item_take(&r->own, x, &ended, e) < 0 || (!ended && emit_finish(&r->own.packs, &ended, e) < 0))
		return -1;
	x->m.ordinal = ended;
	return 0;
}

int item_decide(struct reader *r, struct item *x, struct err *e)
{
	struct entry *en = &x->m.entry;
	const struct entry *first = links_find(&r->links, en);
	OWN_ENTRY struct entry scan = { .scan = en->scan };	/* what identifies the inode after en changed hands */
	int rc;

	if (first && !(en->link_to = strdup(first->path)))
		return err_sys(e, "hard link");
	if (item_is_same(r, x->known, en, x->list_only)) {
		rc = !first && links_add(&r->links, x->known, e) < 0 ? -1 : 1;
	} else if (first) {
		rc = take_link(r, x, first, e);
	} else {
		/* The name that was to carry the content could not be read. */
		rc = take_now(r, x, e);
	}
	if (first)
		links_seen(&r->links, &scan);
	return rc;
}
