/* Roles readblock and verifyblock: the whole device or image in one go, as one large content. */
#include "block.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "delta.h"
#include "digest.h"
#include "io.h"
#include "known.h"
#include "path.h"

#define SITE "read"
#define STEP (1u << 20)
#define TOO_MUCH 2

struct block_reader {
	struct agent *a;
	struct known known;
	struct emit emit;
	struct delta *delta;		/* owned */
	struct digest *sha256, *sm3;	/* sm3: NULL unless wanted */
	uint8_t *data;			/* STEP */
	char *prev;			/* path of the last ENTRY */
};

static void dispose(struct block_reader *r)
{
	known_dispose(&r->known);
	emit_dispose(&r->emit);
	delta_free(r->delta);
	digest_free(r->sha256);
	digest_free(r->sm3);
	free(r->data);
	free(r->prev);
}

/* ---- entries out ---- */

static int send_number(struct block_reader *r, enum msg_type t, uint64_t n, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	msg_number_encode(&b, n);
	return agent_send(r->a, WIRE_DATA, t, &b, e);
}

static int send_same(struct block_reader *r, struct err *e)
{
	r->a->done.scanned++;
	r->a->done.unchanged++;
	return send_number(r, MSG_SAME, 1, e);
}

static int send_entry(struct block_reader *r, const struct msg_entry *m, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (entry_check(&m->entry, e) < 0)
		return -1;
	msg_entry_encode(&b, m, r->prev);
	free(r->prev);
	if (!(r->prev = strdup(m->entry.path)))
		return err_sys(e, "entry");
	r->a->done.scanned++;
	if (m->entry.outcome == ENTRY_UNSETTLED)
		r->a->done.unsettled++;
	else
		r->a->done.copied++;
	return agent_send(r->a, WIRE_DATA, MSG_ENTRY, &b, e);
}

/* Move the known state to path (NULL: to its end); *k: its entry of that path, or NULL. */
static int advance(struct block_reader *r, const char *path, const struct entry **k, struct err *e)
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
		if (send_number(r, MSG_GONE, 1, e) < 0)
			return -1;
		known_drop(&r->known);
	}
	return rc;
}

/* ---- the content ---- */

static bool is_zero(const uint8_t *p, size_t n) { return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0; }

/* Block by block: what is zeros is a hole, on any medium alike, so that what was read here and there can be compared. */
static int take(struct block_reader *r, uint64_t at, size_t n, struct entry *en, struct delta_content *d, struct err *e)
{
	digest_update(r->sha256, r->data, n);
	if (r->sm3)
		digest_update(r->sm3, r->data, n);
	for (size_t done = 0, k; done < n; done += k) {
		const uint8_t *p = r->data + done;
		bool hole;
		int rc;

		k = n - done < BLOCK_MIN ? n - done : (size_t)BLOCK_MIN;
		hole = is_zero(p, k);
		if (entry_layout_add(en, at + done, hole ? 0 : k, e) < 0)
			return -1;
		if (d && (rc = delta_take(d, &r->emit, p, k, hole, e)))
			return rc == 1 ? TOO_MUCH : rc;
	}
	return 0;
}

static int read_all(struct block_reader *r, uint64_t size, struct entry *en, struct delta_content *d, struct err *e)
{
	uint64_t at = 0;
	int rc;

	digest_reset(r->sha256);
	if (r->sm3)
		digest_reset(r->sm3);
	en->layout_count = 0;
	while (at < size) {
		size_t n = size - at < STEP ? (size_t)(size - at) : STEP;
		ssize_t got = io_pread_full(SITE, r->a->root, r->data, n, at, r->a->root_path, e);

		if (got < 0)
			return -1;
		if (got == 0)
			break;
		if ((rc = take(r, at, (size_t)got, en, d, e)))
			return rc;
		at += (uint64_t)got;
		r->a->done.bytes += (uint64_t)got;
	}
	en->size = at;
	en->has |= ENTRY_HAS_SHA256 | (r->sm3 ? (uint32_t)ENTRY_HAS_SM3 : 0u);
	digest_final(r->sha256, en->sha256);
	if (r->sm3)
		digest_final(r->sm3, en->sm3);
	/* Data from end to end is no layout. */
	if (en->layout_count == 1 && en->layout[0].offset == 0 && en->layout[0].length == en->size)
		en->layout_count = 0, en->has &= ~(uint32_t)ENTRY_HAS_LAYOUT;
	rc = d ? delta_end(d, &r->emit, e) : 0;
	return rc == 1 ? TOO_MUCH : rc;
}

static int send_all(struct block_reader *r, uint64_t size, struct msg_entry *m, const struct entry *known, struct emit_large *l, struct err *e)
{
	OWN_DELTA_CONTENT struct delta_content d = DELTA_CONTENT_INIT;

	for (bool again = false;; again = true) {
		int rc;

		if (delta_begin(r->delta, &d, &r->emit, l, BLOCK_CONTENT, size, again ? NULL : known, e) < 0)
			return -1;
		l->tell_holes = true;
		rc = read_all(r, size, &m->entry, &d, e);
		if (rc != TOO_MUCH)
			return rc;
		if (emit_large_abort(&r->emit, l, e) < 0)
			return -1;
	}
}

static bool equal_content(const struct entry *a, const struct entry *b)
{
	return b && b->type == ENTRY_FILE && (b->has & ENTRY_HAS_SHA256) && a->size == b->size && memcmp(a->sha256, b->sha256, DIGEST_LEN) == 0;
}

static int place(struct block_reader *r, struct msg_entry *m, const struct entry *known, struct emit_large *l, struct err *e)
{
	if (equal_content(&m->entry, known)) {
		m->content = MSG_CONTENT_KEPT;
		return emit_large_abort(&r->emit, l, e);
	}
	m->content = l->patch ? MSG_CONTENT_PATCH : MSG_CONTENT_LARGE;
	m->large_id = l->id;
	memcpy(m->base, l->base, DIGEST_LEN);
	m->segments = take_ptr(&l->segments);
	m->segment_count = l->count;
	return 0;
}

/* ---- the two entries ---- */

static int describe(struct msg_entry *m, const char *path, enum entry_type type, uint32_t mode, struct err *e)
{
	m->entry.type = type;
	m->entry.outcome = ENTRY_COPIED;
	m->entry.mode = mode;
	m->entry.nlink = 1;
	return entry_set_path(&m->entry, path, strlen(path), e);
}

static int do_root(struct block_reader *r, struct err *e)
{
	OWN(msg_entry_dispose) struct msg_entry m = { .entry = ENTRY_INIT };
	const struct entry *known;

	if (describe(&m, ".", ENTRY_DIR, 0700, e) < 0 || advance(r, ".", &known, e) < 0)
		return -1;
	if (known) {
		known_drop(&r->known);
		return send_same(r, e);
	}
	return send_entry(r, &m, e);
}

/* Only of a file does the file system tell that nothing was written since. */
static void describe_scan(struct entry *en, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return;
	en->has |= ENTRY_HAS_SCAN;
	en->scan = (struct entry_scan){ (uint64_t)st->st_dev, st->st_ino, st->st_ctim.tv_sec, (uint32_t)st->st_ctim.tv_nsec,
		time(NULL) - st->st_ctim.tv_sec <= 2 };
}

static bool is_same(const struct block_reader *r, const struct entry *known, const struct entry *en, uint64_t size)
{
	struct entry now = *en;

	now.size = size;
	return known && known->outcome != ENTRY_UNSETTLED && !agent_flag(r->a, MSG_F_STRICT) && (known->has & ENTRY_HAS_SHA256) &&
	    (known->has & ENTRY_HAS_SCAN) && (en->has & ENTRY_HAS_SCAN) && (!r->sm3 || (known->has & ENTRY_HAS_SM3)) &&
	    entry_scan_equal(known, &now);
}

static bool moved(const struct stat *a, const struct stat *b)
{
	return a->st_size != b->st_size || memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) != 0;
}

/* A live source that was written to meanwhile is of no one moment: the pass is good for being patched by the next one. */
static int judge(struct block_reader *r, struct entry *en, const struct stat *before, struct err *e)
{
	struct stat after;

	if (fstat(r->a->root, &after) < 0)
		return err_sys(e, "stat");
	if (agent_flag(r->a, MSG_F_HASH_ONLY) || !moved(before, &after))
		return 0;
	if (agent_flag(r->a, MSG_F_FROZEN))
		return err_set(e, ERR_TEMPORARY, "%s was written to while it was read, after freeze", r->a->root_path);
	en->outcome = ENTRY_UNSETTLED;
	en->has &= ~(uint32_t)ENTRY_HAS_SCAN;
	return (en->note = strdup("changed while it was read")) ? 0 : err_sys(e, "note");
}

static int do_content(struct block_reader *r, struct err *e)
{
	OWN(msg_entry_dispose) struct msg_entry m = { .entry = ENTRY_INIT };
	OWN(emit_large_dispose) struct emit_large l = EMIT_LARGE_INIT;
	const char *limit = block_option(r->a, "--size");
	uint64_t size = block_size(r->a);
	const struct entry *known;
	struct stat st;

	if (limit && strtoull(limit, NULL, 10) < size)
		size = strtoull(limit, NULL, 10);
	if (fstat(r->a->root, &st) < 0)
		return err_sys(e, "stat");
	if (describe(&m, BLOCK_CONTENT, ENTRY_FILE, 0600, e) < 0 || advance(r, BLOCK_CONTENT, &known, e) < 0)
		return -1;
	describe_scan(&m.entry, &st);
	if (is_same(r, known, &m.entry, size)) {
		known_drop(&r->known);
		return send_same(r, e);
	}
	if (agent_flag(r->a, MSG_F_HASH_ONLY) ? read_all(r, size, &m.entry, NULL, e) < 0 :
	    send_all(r, size, &m, known, &l, e) < 0 || place(r, &m, known, &l, e) < 0)
		return -1;
	if (judge(r, &m.entry, &st, e) < 0 || send_entry(r, &m, e) < 0)
		return -1;
	if (known)
		known_drop(&r->known);
	return 0;
}

/* What lies in the page cache is not what the medium holds. */
static int drop_cache(const struct agent *a, struct err *e)
{
	struct stat st;

	if (!agent_flag(a, MSG_F_MEDIUM))
		return 0;
	if (fsync(a->root) < 0 || fstat(a->root, &st) < 0)
		return err_sys(e, "sync of %s before reading it back", a->root_path);
	if (S_ISBLK(st.st_mode))
		(void)ioctl(a->root, BLKFLSBUF, 0);
	(void)posix_fadvise(a->root, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

int role_readblock(struct agent *a, struct err *e)
{
	OWN(dispose) struct block_reader r = { .a = a };
	const struct entry *none;

	if (strcmp(a->role, "verifyblock") == 0)
		a->start.flags |= MSG_F_HASH_ONLY;
	known_init(&r.known, a);
	emit_init(&r.emit, a);
	r.sha256 = digest_new(DIGEST_SHA256);
	r.sm3 = agent_flag(a, MSG_F_SM3) ? digest_new(DIGEST_SM3) : NULL;
	if (!r.sha256 || (agent_flag(a, MSG_F_SM3) && !r.sm3) || !(r.data = malloc(STEP)))
		return err_set(e, ERR_TEMPORARY, "out of memory");
	wire_set_state(a->wire, "read");
	if (drop_cache(a, e) < 0 || delta_new(&r.delta, a, e) < 0 || do_root(&r, e) < 0 || do_content(&r, e) < 0)
		return -1;
	return advance(&r, NULL, &none, e);
}
