#include "reader.h"

#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "attrs_read.h"
#include "walk.h"

#define RACY_NS 2000000000LL

/*
 * Written within moments of now, as this host's clock has it: a second write could leave the same ctime behind.  The
 * kernel's clock made the ctime, so the kernel's clock judges it (never the clock of tests).
 */
static bool is_racy(const struct statx_timestamp *ctime)
{
	struct timespec now;
	int64_t age;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ctime->tv_sec < now.tv_sec - 10)
		return false;
	if (ctime->tv_sec > now.tv_sec + 10)
		return true;
	age = (now.tv_sec - ctime->tv_sec) * 1000000000LL + now.tv_nsec - (int64_t)ctime->tv_nsec;
	return age < RACY_NS;
}

void describe_stat(struct entry *en, const struct statx *st)
{
	en->type = walk_type(st->stx_mode);
	en->mode = st->stx_mode & 07777;
	en->uid = st->stx_uid;
	en->gid = st->stx_gid;
	en->mtime_s = st->stx_mtime.tv_sec;
	en->mtime_ns = st->stx_mtime.tv_nsec;
	en->nlink = st->stx_nlink;
	en->size = en->type == ENTRY_FILE ? st->stx_size : 0;
	if (en->type == ENTRY_CHAR || en->type == ENTRY_BLOCK) {
		en->rdev_major = st->stx_rdev_major;
		en->rdev_minor = st->stx_rdev_minor;
	}
	en->has |= ENTRY_HAS_SCAN;
	en->scan = (struct entry_scan){ (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor, st->stx_ino,
		st->stx_ctime.tv_sec, st->stx_ctime.tv_nsec, is_racy(&st->stx_ctime) };
	if (st->stx_mask & STATX_BTIME) {
		en->has |= ENTRY_HAS_BTIME;
		en->btime_s = st->stx_btime.tv_sec;
		en->btime_ns = st->stx_btime.tv_nsec;
	}
}

int set_note(struct entry *en, struct err *e, const char *fmt, ...)
{
	char *note = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&note, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err_sys(e, "note");
	if (n > ENTRY_NOTE_MAX)
		note[ENTRY_NOTE_MAX] = '\0';
	free(en->note);
	en->note = note;
	return 0;
}

/* ---- blobs ---- */

static size_t blob_place(const struct blobs *s, const uint8_t digest[DIGEST_LEN])
{
	static const uint8_t none[DIGEST_LEN];
	size_t at;

	memcpy(&at, digest, sizeof(at));
	for (at %= s->cap; memcmp(s->v[at], none, DIGEST_LEN) != 0 && memcmp(s->v[at], digest, DIGEST_LEN) != 0;)
		at = (at + 1) % s->cap;
	return at;
}

static int blobs_grow(struct blobs *s, struct err *e)
{
	struct blobs bigger = { NULL, s->n, s->cap ? s->cap * 4 : 64 };
	static const uint8_t none[DIGEST_LEN];

	if (!(bigger.v = calloc(bigger.cap, DIGEST_LEN)))
		return err_sys(e, "attribute blobs");
	for (size_t i = 0; i < s->cap; i++)
		if (memcmp(s->v[i], none, DIGEST_LEN) != 0)
			memcpy(bigger.v[blob_place(&bigger, s->v[i])], s->v[i], DIGEST_LEN);
	free(s->v);
	*s = bigger;
	return 0;
}

/* Tell a blob once a session. */
static int tell_blob_locked(struct reader *r, struct buf *text, const uint8_t digest[DIGEST_LEN], struct err *e)
{
	struct blobs *s = &r->sent;
	size_t at;

	if (s->n * 2 >= s->cap && blobs_grow(s, e) < 0)
		return -1;
	at = blob_place(s, digest);
	if (memcmp(s->v[at], digest, DIGEST_LEN) == 0)
		return 0;
	memcpy(s->v[at], digest, DIGEST_LEN);
	s->n++;
	return agent_send(r->a, WIRE_DATA, MSG_ATTR, text, e);
}

/* Whoever finds a blob told may rely on it: it is sent under the lock. */
static int tell_blob(struct reader *r, struct buf *text, const uint8_t digest[DIGEST_LEN], struct err *e)
{
	int res;

	if (agent_flag(r->a, MSG_F_HASH_ONLY) && !agent_flag(r->a, MSG_F_TELL_ATTRS))
		return 0;
	pthread_mutex_lock(&r->lock);
	res = tell_blob_locked(r, text, digest, e);
	pthread_mutex_unlock(&r->lock);
	return res;
}

static int describe_blob(struct reader *r, const struct attr_set *attrs, bool acl, struct entry *en, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT;
	uint8_t *digest = acl ? en->acl : en->xattr;

	attr_set_encode(attrs, acl, &text);
	if (buf_finish(&text, e) < 0)
		return -1;
	if (text.len == 0)
		return 0;
	if (digest_sha256(text.data, text.len, digest, e) < 0)
		return -1;
	en->has |= acl ? ENTRY_HAS_ACL : ENTRY_HAS_XATTR;
	return tell_blob(r, &text, digest, e);
}

/* ---- the rest ---- */

static void describe_flags(int fd, struct entry *en)
{
	int flags = 0;

	/* Where there are none to ask for (or an O_PATH fd), there are none to keep. */
	if ((en->type != ENTRY_FILE && en->type != ENTRY_DIR) || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return;
	en->flags = (uint32_t)flags & ENTRY_FLAGS;
	if (en->flags)
		en->has |= ENTRY_HAS_FLAGS;
}

static int copy_name(struct names *names, bool group, uint32_t id, char **out, struct err *e)
{
	const char *name = *out ? NULL : names_get(names, group, id);

	return name && !(*out = strdup(name)) ? err_sys(e, "owner name") : 0;
}

static int describe_owner(struct reader *r, struct entry *en, struct err *e)
{
	int res;

	pthread_mutex_lock(&r->lock);
	res = copy_name(&r->names, false, en->uid, &en->owner, e);
	if (res == 0)
		res = copy_name(&r->names, true, en->gid, &en->group, e);
	pthread_mutex_unlock(&r->lock);
	return res;
}

int describe_more(struct reader *r, int fd, struct entry *en, struct attr_set *attrs, struct err *why, struct err *e)
{
	if (attrs_read(fd, attrs, why) < 0)
		return 1;
	describe_flags(fd, en);
	if (describe_owner(r, en, e) < 0 || describe_blob(r, attrs, true, en, e) < 0)
		return -1;
	return describe_blob(r, attrs, false, en, e);
}

int describe_target(int fd, struct entry *en, struct err *why)
{
	char target[PATH_MAX + 1];
	ssize_t n = readlinkat(fd, "", target, sizeof(target));

	if (n <= 0 || (size_t)n >= sizeof(target)) {
		errno = n < 0 ? errno : ENAMETOOLONG;
		return -err_sys(why, "reading the link");
	}
	free(en->target);
	if (!(en->target = strndup(target, (size_t)n)))
		return -err_sys(why, "reading the link");
	return 0;
}
