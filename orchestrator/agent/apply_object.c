#include "apply.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "digest.h"
#include "finalise.h"
#include "io.h"
#include "owner_map.h"
#include "sys.h"

#define OBJECT_MAX (96u << 20)		/* stored bytes of one object: a pack and its largest member, incompressible */
#define OBJECTS_BYTES_MAX (128u << 20)	/* of all that are open at once; as much again is with the workers (POOL_BYTES) */
#define OBJECTS_MAX 64
#define LARGES_MAX 256

/* ---- gathering ---- */

struct object *object_find(struct apply *ap, uint64_t ordinal)
{
	for (size_t i = 0; i < ap->object_count; i++)
		if (ap->objects[i].is.ordinal == ordinal)
			return &ap->objects[i];
	return NULL;
}

void object_dispose(struct object *o)
{
	buf_dispose(&o->stored);
	msg_ranges_dispose(&o->ranges);
}

static void drop_object(struct apply *ap, struct object *o)
{
	ap->object_bytes -= o->stored.len;
	object_dispose(o);
	*o = ap->objects[--ap->object_count];
}

int object_begin(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	struct object o = { .stored = BUF_INIT }, *grown;

	if (msg_obj_begin_decode(f->data, f->len, &o.is, e) < 0)
		return -1;
	if (object_find(ap, o.is.ordinal) || ap->object_count >= OBJECTS_MAX)
		return err_set(e, ERR_INTEGRITY, "object %" PRIu64 " begins twice, or too many are open", o.is.ordinal);
	if (!(grown = realloc(ap->objects, (ap->object_count + 1) * sizeof(*grown))))
		return err_set(e, ERR_TEMPORARY, "out of memory");
	ap->objects = grown;
	ap->objects[ap->object_count++] = o;
	return 0;
}

int object_data(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	uint64_t ordinal;
	const uint8_t *p;
	size_t n;
	struct object *o;

	if (msg_obj_data_decode(f->data, f->len, &ordinal, &p, &n, e) < 0)
		return -1;
	if (!(o = object_find(ap, ordinal)))
		return err_set(e, ERR_INTEGRITY, "data of object %" PRIu64 ", which is not open", ordinal);
	if (o->stored.len + n > OBJECT_MAX || ap->object_bytes + n > OBJECTS_BYTES_MAX)
		return err_set(e, ERR_INTEGRITY, "object %" PRIu64 " exceeds the limits", ordinal);
	buf_put(&o->stored, p, n);
	ap->object_bytes += n;
	return buf_finish(&o->stored, e);
}

/* ---- large contents ---- */

struct large *large_find(struct apply *ap, uint64_t id)
{
	for (size_t i = 0; i < ap->large_count; i++)
		if (ap->larges[i]->id == id)
			return ap->larges[i];
	return NULL;
}

/* No worker has a slice of it any more, here and in what follows. */
void large_unstage(struct apply *ap, struct large *l)
{
	if (l->fd < 0)
		return;
	(void)close(take_fd(&l->fd));
	if (l->in_place)
		undo_now(ap, l);
	else if (!ap->block)
		(void)unlinkat(ap->staging, l->tmp, 0);
}

static void drop_large(struct apply *ap, struct large *l)
{
	size_t i = 0;

	large_unstage(ap, l);
	own_closep(&l->direct);
	while (ap->larges[i] != l)
		i++;
	ap->larges[i] = ap->larges[--ap->large_count];
	free(l->path);
	free(l);
}

int large_fail(struct apply *ap, struct large *l, const struct err *why, struct err *e)
{
	large_unstage(ap, l);
	return apply_settle(ap, l->path, -1, why, e);
}

struct large *large_add(struct apply *ap, uint64_t id, const char *path, struct err *e)
{
	struct large **grown, *l;
	char *copy;

	if (id <= ap->large_max || ap->large_count >= LARGES_MAX) {
		err_set(e, ERR_INTEGRITY, "large content %" PRIu64 " begins twice, or too many are open", id);
		return NULL;
	}
	grown = realloc(ap->larges, (ap->large_count + 1) * sizeof(struct large *));
	l = calloc(1, sizeof(*l));
	copy = strdup(path);
	if (grown)
		ap->larges = grown;
	if (!grown || !l || !copy) {
		free(l);
		free(copy);
		err_set(e, ERR_TEMPORARY, "out of memory");
		return NULL;
	}
	*l = (struct large){ .id = id, .fd = -1, .direct = -1, .path = copy };
	ap->large_max = id;
	return ap->larges[ap->large_count++] = l;
}

/* A second fd past the page cache, since slices of one content are written at the same time; without one all goes as usual. */
static int open_direct(const struct apply *ap, const struct large *l, uint64_t size)
{
	OWN_FD int fd = size < OUT_DIRECT_MIN ? -1 : openat(ap->staging, l->tmp, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && out_set_direct(fd, true) ? take_fd(&fd) : -1;
}

int large_begin(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	OWN(msg_large_begin_dispose) struct msg_large_begin m = { .path = NULL };
	struct err why = ERR_INIT;
	struct large *l;

	if (msg_large_begin_decode(f->data, f->len, &m, e) < 0 || !(l = large_add(ap, m.large_id, m.path, e)))
		return -1;
	if (ap->block)
		return block_begin(ap, l, m.size, e);
	if ((l->fd = tree_tmp_file(ap, l->tmp, &why)) < 0)
		return large_fail(ap, l, &why, e);
	l->direct = open_direct(ap, l, m.size);
	return 0;
}

int large_abort(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	struct large *l;
	uint64_t id;

	if (msg_number_decode(f->data, f->len, &id, e) < 0)
		return -1;
	if (id > ap->large_max)
		return err_set(e, ERR_INTEGRITY, "abort of large content %" PRIu64 ", which never began", id);
	if (!(l = large_find(ap, id)))
		return 0;
	if (pool_drain_large(ap, l, e) < 0)
		return -1;
	drop_large(ap, l);
	return 0;
}

int object_end(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	struct msg_obj_end m;
	struct object *o;
	int r;

	if (msg_obj_end_decode(f->data, f->len, &m, e) < 0)
		return -1;
	o = object_find(ap, m.ordinal);
	if (!o || o->stored.len != m.stored)
		return err_set(e, ERR_INTEGRITY, "object %" PRIu64 " ended without having begun, or with other bytes than announced",
		    m.ordinal);
	ap->object_bytes -= o->stored.len;
	r = pool_give(ap, o, m.raw, e);
	*o = ap->objects[--ap->object_count];
	return r;
}

/*
 * Ranges that the source has as holes and that came as zeros inside a slice become holes again; all of them are punched, for XFS
 * leaves space there that it allocated ahead of the writes.
 */
static int punch_holes(int fd, const struct entry *en, struct err *e)
{
	uint64_t at = 0;

	for (size_t i = 0; i <= en->layout_count; i++) {
		uint64_t next = i < en->layout_count ? en->layout[i].offset : en->size;

		if (next > at &&
		    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)(next - at)) < 0)
			return err_sys(e, "cannot make its holes");
		if (i < en->layout_count)
			at = en->layout[i].offset + en->layout[i].length;
	}
	return 0;
}

static bool has_map(int fd)
{
	struct fiemap q = { .fm_length = UINT64_MAX };

	return ioctl(fd, FS_IOC_FIEMAP, &q) == 0;
}

/* What no slice brought within a range of data is preallocated space: it is allocated, where the file system can tell it from a hole afterwards, else written. */
static int allocate(struct apply *ap, int fd, uint64_t from, uint64_t to, const char *path, struct err *e)
{
	while (from < to) {
		off_t hole = lseek(fd, (off_t)from, SEEK_HOLE), data;
		uint64_t end;

		if (hole < 0 || (uint64_t)hole >= to)
			return 0;
		data = lseek(fd, hole, SEEK_DATA);
		end = data < 0 || (uint64_t)data > to ? to : (uint64_t)data;
		if (!has_map(fd) || fallocate(fd, 0, hole, (off_t)(end - (uint64_t)hole)) < 0) {
			memset(ap->copy, 0, COPY_BYTES);
			for (uint64_t at = (uint64_t)hole, n; at < end; at += n) {
				n = end - at < COPY_BYTES ? end - at : COPY_BYTES;
				if (io_pwrite_all(SITE, fd, ap->copy, (size_t)n, at, path, e) < 0)
					return -1;
			}
		}
		from = end;
	}
	return 0;
}

static int fill_data(struct apply *ap, int fd, const struct entry *en, struct err *e)
{
	if (!(en->has & ENTRY_HAS_LAYOUT))
		return allocate(ap, fd, 0, en->size, en->path, e);
	for (size_t i = 0; i < en->layout_count; i++)
		if (allocate(ap, fd, en->layout[i].offset, en->layout[i].offset + en->layout[i].length, en->path, e) < 0)
			return -1;
	return 0;
}

static int finish_large(struct apply *ap, struct large *l, const struct entry *en, struct err *e)
{
	OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;
	struct spot s = tree_staged(ap, l->tmp);
	struct stat st;

	if (strcmp(l->path, en->path) != 0 || en->type != ENTRY_FILE)
		return err_set(e, ERR_INTEGRITY, "large content %" PRIu64 " began with another name", l->id);
	if (ap->block)
		return block_end(ap, l, en, e);
	if (attr_load(ap, en, &attrs, e) < 0)
		return -1;
	if (fstat(l->fd, &st) < 0)
		return err_sys(e, "stat");
	/* Where nothing is cut off as well: a time that was set is taken back too if this does not come to its end. */
	if (l->in_place && undo_keep_data(ap, l, en->size, UINT64_MAX, e) < 0)
		return -1;
	if ((uint64_t)st.st_size != en->size && ftruncate(l->fd, (off_t)en->size) < 0)
		return err_sys(e, "truncate");
	if (((en->has & ENTRY_HAS_LAYOUT) && punch_holes(l->fd, en, e) < 0) || fill_data(ap, l->fd, en, e) < 0)
		return -1;
	if (l->in_place)
		return patch_end(ap, l, en, &attrs, e);
	return tree_finish(ap, en, &attrs, take_fd(&l->fd), &s, e);
}

int large_end(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct err why = ERR_INIT;
	struct large *l;
	uint64_t id;
	int r = 0;

	if (msg_numbered_decode(f->data, f->len, &id, &en, e) < 0)
		return -1;
	owner_map(ap->a, &en);
	if (!(l = large_find(ap, id)) || en.size > INT64_MAX)
		return err_set(e, ERR_INTEGRITY, "end of large content %" PRIu64 ", which is not open", id);
	if (pool_drain_large(ap, l, e) < 0)
		return -1;
	if (l->fd >= 0 && !l->failed) {
		int rc = finish_large(ap, l, &en, &why);

		r = apply_settle(ap, en.path, rc, &why, e);
	}
	drop_large(ap, l);
	return r;
}

/* ---- attribute blobs ---- */

static void attr_name(const uint8_t digest[DIGEST_LEN], char out[80])
{
	char hex[DIGEST_HEX];

	hex_of(digest, DIGEST_LEN, hex);
	(void)snprintf(out, 80, "attr-%s", hex);
}

int attr_keep(struct apply *ap, const void *p, size_t n, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	OWN_ATTRS struct attr_set check = ATTR_SET_INIT;
	char name[80];

	if (n > ATTR_BLOB_MAX)
		return err_set(e, ERR_INTEGRITY, "an attribute blob of %zu bytes", n);
	if (attr_set_decode(&check, p, n, e) < 0 || digest_sha256(p, n, digest, e) < 0)
		return -1;
	attr_name(digest, name);
	OWN_FD int fd = openat(ap->staging, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno == EEXIST ? 0 : err_sys(e, "create in " STAGING);
	if (io_write_all(SITE, fd, p, n, STAGING, e) < 0) {
		e->class = ERR_TEMPORARY;
		return -1;
	}
	return 0;
}

static int load_blob(struct apply *ap, const uint8_t digest[DIGEST_LEN], struct attr_set *out, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	uint8_t found[DIGEST_LEN];
	char name[80];

	attr_name(digest, name);
	if (io_read_file(ap->staging, name, ATTR_BLOB_MAX, &b, e) < 0)
		return err_at(e, "its attributes did not arrive");
	if (digest_sha256(b.data ? b.data : "", b.len, found, e) < 0)
		return -1;
	if (memcmp(found, digest, DIGEST_LEN) != 0)
		return err_set(e, ERR_INTEGRITY, "its attributes changed in " STAGING);
	return attr_set_decode(out, b.data, b.len, e);
}

int attr_load(struct apply *ap, const struct entry *en, struct attr_set *out, struct err *e)
{
	if ((en->has & ENTRY_HAS_XATTR) && load_blob(ap, en->xattr, out, e) < 0)
		return -1;
	if ((en->has & ENTRY_HAS_ACL) && load_blob(ap, en->acl, out, e) < 0)
		return -1;
	return 0;
}

void objects_dispose(struct apply *ap)
{
	while (ap->object_count)
		drop_object(ap, &ap->objects[0]);
	while (ap->large_count)
		drop_large(ap, ap->larges[0]);
	free(ap->objects);
	free(ap->larges);
}
