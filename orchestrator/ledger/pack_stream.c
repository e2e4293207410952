/*
 * A pack written by ourselves: git_packbuilder would search deltas, loose objects cost an inode and a sync each
 * (libraries.md 4).  The header of a pack holds its number of objects, so they wait, deflated, in an unnamed file.
 */
#include "esc.h"
#include "io.h"
#include "ledger_private.h"
#include "sha1.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <zlib.h>

#define BLOCK (256u << 10)

struct pack_stream {
	struct ledger *l;	/* borrowed */
	int fd;			/* unnamed file */
	struct buf out;		/* not yet written to it */
	z_stream z;
	bool z_ready;
	uint32_t count;
	git_oid *seen;		/* open addressing; zero = free; owned */
	size_t seen_cap;
};

static int pack_dir(struct ledger *l, struct buf *b, struct err *e)
{
	buf_printf(b, "%sobjects/pack", git_repository_path(l->repo));
	return buf_finish(b, e);
}

static int open_unnamed(const char *dir, struct err *e)
{
	OWN_BUF struct buf name = BUF_INIT;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return err_sys(e, "%s", esc_s(dir));
	buf_printf(&name, "%s/tmp_pack_XXXXXX", dir);
	if (buf_finish(&name, e) < 0)
		return -1;
	if ((fd = mkostemp(name.data, O_CLOEXEC)) < 0 || unlink(name.data) < 0) {
		err_sys(e, "%s", esc_s(dir));
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	return fd;
}

int pack_stream_new(struct ledger *l, struct pack_stream **out, struct err *e)
{
	OWN(pack_stream_freep) struct pack_stream *s = calloc(1, sizeof(*s));
	OWN_BUF struct buf dir = BUF_INIT;

	if (!s)
		return err_sys(e, "ledger");
	s->l = l;
	s->fd = -1;
	s->seen_cap = 1024;
	if (!(s->seen = calloc(s->seen_cap, sizeof(*s->seen))))
		return err_sys(e, "ledger");
	if (deflateInit(&s->z, 1) != Z_OK) {
		errno = ENOMEM;
		return err_sys(e, "ledger");
	}
	s->z_ready = true;
	if (pack_dir(l, &dir, e) < 0 || (s->fd = open_unnamed(dir.data, e)) < 0)
		return -1;
	*out = take_ptr(&s);
	return 0;
}

void pack_stream_free(struct pack_stream *s)
{
	if (!s)
		return;
	if (s->z_ready)
		(void)deflateEnd(&s->z);
	if (s->fd >= 0)
		(void)close(s->fd);
	buf_dispose(&s->out);
	free(s->seen);
	free(s);
}

/* Slot of id: taken by it, or free. */
static git_oid *slot_of(git_oid *table, size_t cap, const git_oid *id)
{
	uint64_t h;

	memcpy(&h, id->id, sizeof(h));
	for (size_t i = (size_t)h & (cap - 1);; i = (i + 1) & (cap - 1))
		if (git_oid_is_zero(&table[i]) || git_oid_equal(&table[i], id))
			return &table[i];
}

static int grow_seen(struct pack_stream *s, struct err *e)
{
	size_t cap = s->seen_cap * 2;
	git_oid *table;

	if ((size_t)s->count * 2 < s->seen_cap)
		return 0;
	if (!(table = calloc(cap, sizeof(*table))))
		return err_sys(e, "ledger");
	for (size_t i = 0; i < s->seen_cap; i++)
		if (!git_oid_is_zero(&s->seen[i]))
			*slot_of(table, cap, &s->seen[i]) = s->seen[i];
	free(s->seen);
	s->seen = table;
	s->seen_cap = cap;
	return 0;
}

/* Type in 3 bits, size from the lowest 4 bits on in groups of 7. */
static void put_header(struct buf *b, git_object_t type, size_t n)
{
	uint8_t c = (uint8_t)((unsigned)type << 4 | (n & 15));

	for (n >>= 4; n; n >>= 7) {
		buf_put_u8(b, c | 0x80);
		c = n & 0x7f;
	}
	buf_put_u8(b, c);
}

static int put_deflated(struct pack_stream *s, const void *p, size_t n, struct err *e)
{
	char *room;
	uLong bound;
	int rc;

	if (n > INT32_MAX)
		return err_set(e, ERR_PERMANENT, "ledger: a file of %zu bytes is too large", n);
	(void)deflateReset(&s->z);
	bound = deflateBound(&s->z, (uLong)n);
	if (!(room = buf_reserve(&s->out, bound)))
		return buf_finish(&s->out, e);
	s->z.next_in = (z_const Bytef *)(uintptr_t)p;
	s->z.avail_in = (uInt)n;
	s->z.next_out = (Bytef *)room;
	s->z.avail_out = (uInt)bound;
	if ((rc = deflate(&s->z, Z_FINISH)) != Z_STREAM_END)
		return err_set(e, ERR_BUG, "ledger: deflate ended with %d", rc);
	s->out.len += bound - s->z.avail_out;
	return 0;
}

static int flush(struct pack_stream *s, struct err *e)
{
	if (buf_finish(&s->out, e) < 0 ||
	    io_write_all("ledger", s->fd, s->out.data, s->out.len, "ledger pack", e) < 0)
		return -1;
	buf_reset(&s->out);
	return 0;
}

int pack_stream_add(struct pack_stream *s, git_object_t type, const void *p, size_t n, const git_oid *id, struct err *e)
{
	git_oid *slot;

	if (git_odb_exists_ext(s->l->odb, id, GIT_ODB_LOOKUP_NO_REFRESH) == 1)
		return 0;
	if (grow_seen(s, e) < 0)
		return -1;
	slot = slot_of(s->seen, s->seen_cap, id);
	if (!git_oid_is_zero(slot))
		return 0;
	if (s->count == UINT32_MAX)
		return err_set(e, ERR_PERMANENT, "ledger: too many files in one act");
	put_header(&s->out, type, n);
	if (put_deflated(s, p, n, e) < 0)
		return -1;
	git_oid_cpy(slot, id);
	s->count++;
	return s->out.len >= BLOCK ? flush(s, e) : buf_finish(&s->out, e);
}

struct feed { git_indexer *idx; struct sha1 *sum; git_indexer_progress stats; };

static int give(struct feed *f, const void *p, size_t n, struct err *e)
{
	int rc;

	sha1_update(f->sum, p, n);
	rc = git_indexer_append(f->idx, p, n, &f->stats);
	return rc < 0 ? git_fail(e, rc, "write pack") : 0;
}

static int feed_objects(struct pack_stream *s, struct feed *f, struct err *e)
{
	const uint8_t head[12] = { 'P', 'A', 'C', 'K', 0, 0, 0, 2, (uint8_t)(s->count >> 24), (uint8_t)(s->count >> 16),
		(uint8_t)(s->count >> 8), (uint8_t)s->count };
	OWN_FREE char *block = malloc(BLOCK);
	uint64_t at = 0;
	ssize_t n;

	if (!block)
		return err_sys(e, "ledger");
	if (give(f, head, sizeof(head), e) < 0)
		return -1;
	while ((n = io_pread_full("ledger", s->fd, block, BLOCK, at, "ledger pack", e)) > 0) {
		if (give(f, block, (size_t)n, e) < 0)
			return -1;
		at += (uint64_t)n;
	}
	return (int)n;
}

static int index_pack(struct pack_stream *s, struct feed *f, struct err *e)
{
	uint8_t trailer[SHA1_LEN];
	int rc;

	if (feed_objects(s, f, e) < 0)
		return -1;
	sha1_final(f->sum, trailer);
	if ((rc = git_indexer_append(f->idx, trailer, sizeof(trailer), &f->stats)) < 0 ||
	    (rc = git_indexer_commit(f->idx, &f->stats)) < 0 || (rc = git_odb_refresh(s->l->odb)) < 0)
		return git_fail(e, rc, "index pack");
	if (f->stats.indexed_objects != s->count)
		return err_set(e, ERR_BUG, "ledger: the pack holds %u of %u objects", f->stats.indexed_objects, s->count);
	return 0;
}

int pack_stream_commit(struct pack_stream *s, struct err *e)
{
	OWN(sha1_freep) struct sha1 *sum = sha1_new();
	OWN_BUF struct buf dir = BUF_INIT;
	struct feed f = { NULL, sum, { 0 } };
	int rc;

	if (!sum)
		return err_set(e, ERR_PERMANENT, "SHA-1 is not available from the OpenSSL library");
	if (s->count == 0)
		return 0;
	if (flush(s, e) < 0 || pack_dir(s->l, &dir, e) < 0)
		return -1;
	if ((rc = git_indexer_new(&f.idx, dir.data, 0444, NULL, NULL)) < 0)
		return git_fail(e, rc, "write pack");
	rc = index_pack(s, &f, e);
	git_indexer_free(f.idx);
	return rc;
}
