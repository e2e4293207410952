#include "apply.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "clock.h"
#include "digest.h"
#include "esc.h"
#include "finalise.h"
#include "sys.h"

#define FRESH_MAX (1u << 20)			/* 8 MiB */
#define STAGE_WAIT_NS (15 * 1000000000ll)	/* a predecessor that lost its connection is gone by then */

enum entry_type tree_type(uint32_t st_mode)
{
	switch (st_mode & S_IFMT) {
	case S_IFREG: return ENTRY_FILE;
	case S_IFDIR: return ENTRY_DIR;
	case S_IFLNK: return ENTRY_SYMLINK;
	case S_IFIFO: return ENTRY_FIFO;
	case S_IFCHR: return ENTRY_CHAR;
	case S_IFBLK: return ENTRY_BLOCK;
	case S_IFSOCK: return ENTRY_SOCKET;
	default: return (enum entry_type)0;
	}
}

/* ---- the staging directory ---- */

static int lock_stage(int fd, struct err *e)
{
	int64_t until = clock_mono_ns() + STAGE_WAIT_NS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(e, "lock of " STAGING);
		if (clock_mono_ns() > until)
			return err_set(e, ERR_TEMPORARY, "another agent is writing beneath this root");
		(void)usleep(100 * 1000);
	}
	return 0;
}

static int empty_stage(int fd, struct err *e)
{
	OWN_DIR DIR *d = NULL;
	OWN_FD int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *de;

	if (copy < 0 || !(d = fdopendir(copy)))
		return err_sys(e, "read " STAGING);
	(void)take_fd(&copy);
	while ((errno = 0, de = readdir(d))) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		/* Only files were ever made there: a directory is not ours, and stops us. */
		if (sys_unlinkat(SITE, fd, de->d_name, 0) < 0)
			return err_sys(e, "remove left-over " STAGING "/%s", esc_s(de->d_name));
	}
	return errno ? err_sys(e, "read " STAGING) : 0;
}

static bool still_named(int root, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(root, STAGING, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino;
}

/* No default ACL, no flags: a new entry of this directory starts with what its maker gives it. */
static bool gives_nothing(int dir)
{
	const int inherited = FS_NODUMP_FL | FS_NOATIME_FL | FS_SYNC_FL | FS_DIRSYNC_FL | FS_APPEND_FL | FS_IMMUTABLE_FL;
	int flags = 0;

	if (fgetxattr(dir, "system.posix_acl_default", NULL, 0) >= 0 || (errno != ENODATA && errno != EOPNOTSUPP))
		return false;
	if (ioctl(dir, FS_IOC_GETFLAGS, &flags) < 0)
		return errno == ENOTTY || errno == EOPNOTSUPP;
	return (flags & inherited) == 0;
}

int tree_stage_open(struct apply *ap, struct err *e)
{
	int root = ap->a->root, kept;

	for (;;) {
		OWN_FD int fd = -1;

		if (mkdirat(root, STAGING, 0700) < 0 && errno != EEXIST &&
		    (errno != EPERM || !tree_unlock(ap, root, NULL) || mkdirat(root, STAGING, 0700) < 0))
			return err_sys(e, "mkdir %s/" STAGING, esc_s(ap->a->root_path));
		fd = openat(root, STAGING, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;	/* its owner removed it just now */
		if (fd < 0)
			return err_sys(e, "open %s/" STAGING, esc_s(ap->a->root_path));
		if (lock_stage(fd, e) < 0)
			return err_at(e, "%s", esc_s(ap->a->root_path));
		if (!still_named(root, fd))
			continue;
		if (fchmod(fd, 0700) < 0)
			return err_sys(e, "chmod %s/" STAGING, esc_s(ap->a->root_path));
		if ((kept = undo_all(ap, fd, e)) < 0 || empty_stage(fd, e) < 0)
			return err_at(e, "%s", esc_s(ap->a->root_path));
		/* Nothing of it may stand beside what this session keeps under the same names. */
		if (kept && sys_fsync(SITE, fd) < 0)
			return err_sys(e, "fsync of %s/" STAGING, esc_s(ap->a->root_path));
		ap->staging_plain = gives_nothing(fd);
		ap->staging = take_fd(&fd);
		return 0;
	}
}

int tree_stage_close(struct apply *ap, struct err *e)
{
	if (empty_stage(ap->staging, e) < 0)
		return -1;
	if (unlinkat(ap->a->root, STAGING, AT_REMOVEDIR) < 0)
		return err_sys(e, "rmdir %s/" STAGING, esc_s(ap->a->root_path));
	own_closep(&ap->staging);
	ap->staging = -1;
	return 0;
}

void tree_tmp_name(struct apply *ap, char tmp[TMP_NAME])
{
	(void)snprintf(tmp, TMP_NAME, "%" PRIu64, __atomic_fetch_add(&ap->common->next_tmp, 1, __ATOMIC_RELAXED));
}

int tree_tmp_file(struct apply *ap, char tmp[TMP_NAME], struct err *e)
{
	int fd;

	tree_tmp_name(ap, tmp);
	fd = openat(ap->staging, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(e, "create in " STAGING) : fd;
}

/* ---- parents ---- */

static uint64_t fresh_key(const char *path, size_t n)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < n; i++)	/* FNV-1a */
		h = (h ^ (uint8_t)path[i]) * 1099511628211u;
	return h ? h : 1;
}

static uint64_t *fresh_at(const struct fresh *f, uint64_t key)
{
	size_t i = (size_t)(key ^ key >> 32) & (f->cap - 1);

	while (f->v[i] && f->v[i] != key)
		i = (i + 1) & (f->cap - 1);
	return &f->v[i];
}

static bool is_fresh(const struct apply *ap, const char *path)
{
	const struct fresh *f = &ap->common->fresh;
	bool yes;

	pthread_mutex_lock(&ap->common->lock);
	yes = f->cap && *fresh_at(f, fresh_key(path, strlen(path))) != 0;
	pthread_mutex_unlock(&ap->common->lock);
	return yes;
}

/* Without memory for it the directory is simply not among them. */
static void put_fresh(struct fresh *f, uint64_t key)
{
	struct fresh more = { NULL, f->n, f->cap ? f->cap * 2 : 256 };
	uint64_t *at;

	if (f->n * 2 >= f->cap) {
		if (f->cap >= FRESH_MAX || !(more.v = calloc(more.cap, sizeof(*more.v))))
			return;
		for (size_t i = 0; i < f->cap; i++)
			if (f->v[i])
				*fresh_at(&more, f->v[i]) = f->v[i];
		free(f->v);
		*f = more;
	}
	at = fresh_at(f, key);
	f->n += *at == 0;
	*at = key;
}

static void add_fresh(struct apply *ap, const char *path, size_t n)
{
	pthread_mutex_lock(&ap->common->lock);
	put_fresh(&ap->common->fresh, fresh_key(path, n));
	pthread_mutex_unlock(&ap->common->lock);
}

void tree_forget_parent(struct apply *ap)
{
	own_closep(&ap->parent_fd);
	ap->parent_fd = -1;
	free(take_ptr(&ap->parent));
}

void tree_dispose(struct apply *ap)
{
	tree_forget_parent(ap);
	free(ap->copy);
}

static bool is_dir(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/*
 * Without root a directory of our own may lack the owner's write bit; it gets it for now, its final mode comes with its own
 * entry.  True when it was worth a second try.
 */
bool tree_open_up(int fd)
{
	char proc[32];
	struct stat st;

	if (geteuid() == 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 0700) == 0700)
		return false;
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return chmod(proc, (st.st_mode & 07777) | 0700) == 0;
}

/* A directory name beneath dir; what stands there and is none gives way.  1: it was made, 0: it was there. */
static int make_dir(struct apply *ap, int dir, const char *name, struct err *e)
{
	for (int tries = 0; tries < 4; tries++) {
		if (mkdirat(dir, name, 0700) == 0)
			return 1;
		if (errno == EEXIST && is_dir(dir, name))
			return 0;
		/* EISDIR: another worker, which needs it too, has replaced it meanwhile. */
		if (errno == EEXIST && sys_unlinkat(SITE, dir, name, 0) < 0 && errno != ENOENT && errno != EPERM && errno != EISDIR)
			return err_sys(e, "cannot replace %s by a directory", esc_s(name));
		if ((errno == EACCES && !tree_open_up(dir)) || (errno == EPERM && !tree_unlock(ap, dir, name)))
			return err_sys(e, "mkdir %s", esc_s(name));
	}
	return err_sys(e, "mkdir %s", esc_s(name));
}

/* Component by component, making what is missing. */
static int make_parents(struct apply *ap, const char *dirs, struct err *e)
{
	OWN_FREE char *copy = strdup(dirs);
	OWN_FD int cur = fcntl(ap->a->root, F_DUPFD_CLOEXEC, 0);
	char *save = NULL;

	if (!copy || cur < 0)
		return err_sys(e, "parents of %s", esc_s(dirs));
	for (char *name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		int next, made = make_dir(ap, cur, name, e);

		if (made < 0)
			return -1;
		if (made)
			add_fresh(ap, dirs, (size_t)(name - copy) + strlen(name));
		next = openat(cur, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return err_sys(e, "open %s", esc_s(name));
		(void)close(cur);
		cur = next;
	}
	return take_fd(&cur);
}

/* Fd (borrowed, valid until the next call) of the parent of path, made when missing; *base points into path. */
static int parent_of(struct apply *ap, const char *path, const char **base, struct err *e)
{
	const char *slash = strrchr(path, '/');
	OWN_FREE char *dirs = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	int fd;

	if (!dirs)
		return err_sys(e, "%s", esc_s(path));
	*base = slash ? slash + 1 : path;
	if (ap->parent && strcmp(ap->parent, dirs) == 0)
		return ap->parent_fd;
	tree_forget_parent(ap);
	ap->parent_fresh = is_fresh(ap, dirs);
	fd = path_open_beneath(ap->a->root, dirs, (ap->parent_fresh ? O_RDONLY : O_PATH) | O_DIRECTORY, 0);
	ap->parent_plain = ap->parent_fresh && fd >= 0 && gives_nothing(fd);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		fd = make_parents(ap, dirs, e);
	else if (fd < 0)
		return err_sys(e, "open directory %s", esc_s(dirs));
	if (fd < 0)
		return -1;
	ap->parent = take_ptr(&dirs);
	return ap->parent_fd = fd;
}

static bool reserved(const char *path) { return path_is_beneath(path, STAGING) || strcmp(path, ".") == 0; }

static int parent_for_writing(struct apply *ap, const char *path, const char **base, struct err *e)
{
	if (reserved(path))
		return err_set(e, ERR_REFUSED, "the name belongs to waybill");
	return parent_of(ap, path, base, e);
}

int tree_dir(struct apply *ap, const char *path, struct err *e)
{
	const char *base;
	int dir, made;

	if (strcmp(path, ".") == 0)
		return 0;
	if ((dir = parent_for_writing(ap, path, &base, e)) < 0 || (made = make_dir(ap, dir, base, e)) < 0)
		return -1;
	if (made)
		add_fresh(ap, path, strlen(path));
	return 0;
}

/* ---- a directory in whose place something else comes ---- */

static int aside_name(const char *path, char out[64], struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	char hex[17];

	if (digest_sha256(path, strlen(path), digest, e) < 0)
		return -1;
	hex_of(digest, 8, hex);
	(void)snprintf(out, 64, ASIDE_PREFIX "%s", hex);
	return 0;
}

static int remember_aside(struct apply *ap, const char *path, struct err *e)
{
	struct common *c = ap->common;
	char *copy = strdup(path), **grown;

	pthread_mutex_lock(&c->lock);
	grown = realloc(c->asides, (c->aside_count + 1) * sizeof(*grown));
	if (grown)
		c->asides = grown;
	if (grown && copy)
		c->asides[c->aside_count++] = copy;
	pthread_mutex_unlock(&c->lock);
	if (grown && copy)
		return 0;
	free(copy);
	return err_set(e, ERR_TEMPORARY, "out of memory");
}

/*
 * Its entries may be known ones whose removal is still to come, or foreign ones that must be kept: so it is renamed to a name that
 * follows from its path, where tree_remove finds it (after a crash as well), and goes once it is empty.
 */
static int set_aside(struct apply *ap, int dir, const char *base, const char *path, struct err *e)
{
	char aside[64];

	if (unlinkat(dir, base, AT_REMOVEDIR) == 0)
		return 0;
	if (errno == EPERM && tree_unlock(ap, dir, base) && unlinkat(dir, base, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return err_sys(e, "a directory stands in its place");
	if (aside_name(path, aside, e) < 0)
		return -1;
	(void)unlinkat(dir, aside, AT_REMOVEDIR);	/* an empty one of before */
	if (sys_renameat(SITE, dir, base, dir, aside) < 0 &&
	    (errno != EPERM || !tree_unlock(ap, dir, base) || sys_renameat(SITE, dir, base, dir, aside) < 0))
		return err_sys(e, "cannot set aside the directory in its place as %s", aside);
	return remember_aside(ap, path, e);
}

/* No worker is at work any more. */
static int drop_all_asides(struct apply *ap, struct err *e)
{
	const struct common *c = ap->common;

	for (size_t i = 0; i < c->aside_count; i++) {
		struct err why = ERR_INIT;
		const char *base;
		char aside[64];
		int dir = parent_of(ap, c->asides[i], &base, &why);

		if (dir < 0 || aside_name(c->asides[i], aside, &why) < 0) {
			if (apply_settle(ap, c->asides[i], -1, &why, e) < 0)
				return -1;
			continue;
		}
		if (unlinkat(dir, aside, AT_REMOVEDIR) == 0 || errno == ENOENT)
			continue;
		(void)err_sys(&why, "the directory that stood here had foreign entries; kept beside it as %s", aside);
		if (apply_settle(ap, c->asides[i], -1, &why, e) < 0)
			return -1;
	}
	return 0;
}

int tree_drop_asides(struct apply *ap, struct err *e)
{
	struct common *c = ap->common;
	int r = drop_all_asides(ap, e);

	while (c->aside_count)
		free(c->asides[--c->aside_count]);
	return r;
}

/* ---- putting in place ---- */

static int put_in_place(struct apply *ap, const char *tmp, const char *path, struct err *e)
{
	const char *base;
	int dir = parent_for_writing(ap, path, &base, e);

	for (int tries = 0; dir >= 0 && tries < 4; tries++) {
		if (sys_renameat(SITE, ap->staging, tmp, dir, base) == 0)
			return 0;
		if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST) {
			if (set_aside(ap, dir, base, path, e) < 0)
				break;
			continue;
		}
		if ((errno == EACCES && tree_open_up(dir)) || (errno == EPERM && tree_unlock(ap, dir, base)))
			continue;
		if (errno == EXDEV)
			(void)err_set(e, ERR_PERMANENT, "another file system is mounted inside the target; a dataset stays on one");
		else
			(void)err_sys(e, "cannot put it in place");
		break;
	}
	if (e->class == ERR_NONE)
		(void)err_set(e, ERR_PERMANENT, "cannot put it in place: a directory comes back there each time");
	(void)unlinkat(ap->staging, tmp, 0);
	return -1;
}

/* ---- new inodes ---- */

struct spot tree_staged(const struct apply *ap, const char tmp[TMP_NAME])
{
	struct spot s = { .dir = ap->staging, .plain = ap->staging_plain };

	memcpy(s.tmp, tmp, TMP_NAME);
	return s;
}

static const char *spot_name(const struct spot *s) { return s->in_place ? s->name : s->tmp; }

void tree_drop(const struct spot *s) { (void)unlinkat(s->dir, spot_name(s), 0); }

/* Where path will be made: beneath its fresh directory if it has one. */
static int choose_spot(struct apply *ap, const char *path, struct spot *s, struct err *e)
{
	const char *base;
	int dir = parent_for_writing(ap, path, &base, e);

	if (dir < 0)
		return -1;
	if (ap->parent_fresh) {
		*s = (struct spot){ .dir = dir, .name = base, .in_place = true, .plain = ap->parent_plain };
		return 0;
	}
	*s = (struct spot){ .dir = ap->staging, .plain = ap->staging_plain };
	tree_tmp_name(ap, s->tmp);
	return 0;
}

/* The name is taken, in a directory that was made just now: replaced like any other. */
static void stage_instead(struct apply *ap, struct spot *s)
{
	*s = (struct spot){ .dir = ap->staging, .plain = ap->staging_plain };
	tree_tmp_name(ap, s->tmp);
}

int tree_new_file(struct apply *ap, const struct entry *en, struct spot *s, struct err *e)
{
	/* Nobody else gets into a fresh directory yet, so what is ours may have its mode at once. */
	mode_t mode = 0600;
	int fd;

	if (choose_spot(ap, en->path, s, e) < 0)
		return -1;
	if (s->in_place && en->uid == ap->common->euid && en->gid == ap->common->egid)
		mode = (mode_t)en->mode & 0777;
	fd = openat(s->dir, spot_name(s), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0 && errno == EEXIST && s->in_place) {
		stage_instead(ap, s);
		fd = openat(s->dir, s->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	return fd < 0 ? err_sys(e, s->in_place ? "create" : "create in " STAGING) : fd;
}

unsigned tree_finalise_what(const struct apply *ap)
{
	return (agent_flag(ap->a, MSG_F_FLAGS) ? FINALISE_FLAGS : 0u) | (agent_flag(ap->a, MSG_F_ANNOUNCED) ? FINALISE_ANNOUNCED : 0u);
}

/* Immutable and append-only files cannot be renamed: their flags come with MSG_FINAL. */
static unsigned staged_what(const struct apply *ap, const struct entry *en)
{
	return (en->has & ENTRY_HAS_FLAGS) && (en->flags & 0x30) ? tree_finalise_what(ap) & ~(unsigned)FINALISE_FLAGS : tree_finalise_what(ap);
}

static int put_flags(struct apply *ap, const struct entry *en, const struct attr_set *attrs, struct buf *missed, struct err *e)
{
	OWN_FD int fd = -1;

	if (staged_what(ap, en) == tree_finalise_what(ap) || en->type != ENTRY_FILE)
		return 0;
	if ((fd = path_open_beneath(ap->a->root, en->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0)) < 0)
		return err_sys(e, "open to set inode flags");
	return finalise(fd, tree_finalise_what(ap), en, attrs, missed, e);
}

int tree_finish(struct apply *ap, const struct entry *en, const struct attr_set *attrs, int fd, const struct spot *s, struct err *e)
{
	OWN_BUF struct buf missed = BUF_INIT;
	OWN_FD int owned = fd;
	int r = finalise(fd, staged_what(ap, en) | (s->plain ? FINALISE_NEW : 0), en, attrs, &missed, e), late;

	if (r >= 0 && ap->fsync_each && en->type == ENTRY_FILE && sys_fsync(SITE, fd) < 0)
		r = err_sys(e, "fsync");
	if (close(take_fd(&owned)) < 0 && r >= 0)
		r = err_sys(e, "close");
	if (r < 0) {
		tree_drop(s);
		return -1;
	}
	if (!s->in_place && put_in_place(ap, s->tmp, en->path, e) < 0)
		return -1;
	if ((late = put_flags(ap, en, attrs, &missed, e)) < 0)
		return -1;
	if (r || late)
		return err_set(e, ERR_PERMANENT, "in place, but not as it was: %s", missed.data);
	return 0;
}

static int make_special(const struct spot *s, const struct entry *en)
{
	const char *name = spot_name(s);
	dev_t dev = makedev(en->rdev_major, en->rdev_minor);

	switch (en->type) {
	case ENTRY_SYMLINK: return symlinkat(en->target ? en->target : "", s->dir, name);
	case ENTRY_FIFO: return mknodat(s->dir, name, S_IFIFO | 0600, 0);
	case ENTRY_CHAR: return mknodat(s->dir, name, S_IFCHR | 0600, dev);
	case ENTRY_BLOCK: return mknodat(s->dir, name, S_IFBLK | 0600, dev);
	default: errno = ENOTSUP; return -1;
	}
}

/* A device that may not be made here, as was announced. */
static bool lost_device(const struct apply *ap, const struct entry *en)
{
	return (errno == EPERM || errno == ENOENT) && agent_flag(ap->a, MSG_F_ANNOUNCED) &&
	    (en->type == ENTRY_CHAR || en->type == ENTRY_BLOCK);
}

int tree_special(struct apply *ap, const struct entry *en, const struct attr_set *attrs, struct err *e)
{
	struct spot s;
	int r, fd;

	if (choose_spot(ap, en->path, &s, e) < 0)
		return -1;
	r = make_special(&s, en);
	if (r < 0 && errno == EEXIST && s.in_place) {
		stage_instead(ap, &s);
		r = make_special(&s, en);
	}
	if (r < 0 && lost_device(ap, en))
		return 0;
	if (r < 0)
		return err_sys(e, "cannot make a %s", entry_type_name(en->type));
	fd = openat(s.dir, spot_name(&s), O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open the new %s", entry_type_name(en->type));
	return tree_finish(ap, en, attrs, fd, &s, e);
}

/* ---- links ---- */

int tree_link(struct apply *ap, const struct entry *en, struct err *e)
{
	const char *from, *base;
	OWN_FD int source = path_open_parent(ap->a->root, split_source(ap, en->link_to), &from);
	struct stat first, here;
	OWN_FD int locked = -1;
	char tmp[TMP_NAME];
	int dir, had = 0;

	if (source < 0 || fstatat(source, from, &first, AT_SYMLINK_NOFOLLOW) < 0)
		return lost_device(ap, en) ? 0 : err_sys(e, "its first name %s", esc_s(en->link_to));
	if (tree_type(first.st_mode) != en->type || en->type == ENTRY_DIR)
		return err_set(e, ERR_PERMANENT, "its first name %s is no %s", esc_s(en->link_to), entry_type_name(en->type));
	if ((dir = parent_for_writing(ap, en->path, &base, e)) < 0)
		return -1;
	if (fstatat(dir, base, &here, AT_SYMLINK_NOFOLLOW) == 0 && here.st_ino == first.st_ino && here.st_dev == first.st_dev)
		return 0;
	tree_tmp_name(ap, tmp);
	if (linkat(source, from, ap->staging, tmp, 0) < 0 &&
	    (errno != EPERM || (locked = tree_unlock_inode(ap, source, from, &had)) < 0 ||
	     linkat(source, from, ap->staging, tmp, 0) < 0))
		return errno == EMLINK ? split_copy(ap, en, source, from, e) : err_sys(e, "cannot link it to %s", esc_s(en->link_to));
	if (put_in_place(ap, tmp, en->path, e) < 0)
		return -1;
	return locked >= 0 ? tree_relock(locked, had, e) : 0;
}

/* ---- removal ---- */

/* path with the first of its directories that was set aside replaced by its aside name; NULL when there is none. */
static char *path_in_aside(struct apply *ap, const char *path)
{
	for (const char *p = path; ; p++) {
		struct err ignored = ERR_INIT;
		OWN_FREE char *prefix = NULL;
		OWN_BUF struct buf b = BUF_INIT;
		char aside[64];
		const char *base;
		size_t n;

		if (*p != '/' && *p != '\0')
			continue;
		if (!(prefix = strndup(path, (size_t)(p - path))) || aside_name(prefix, aside, &ignored) < 0)
			return NULL;
		base = strrchr(prefix, '/');
		n = base ? (size_t)(base + 1 - prefix) : 0;
		buf_put(&b, prefix, n);
		buf_puts(&b, aside);
		if (!b.failed) {
			OWN_FD int fd = path_open_beneath(ap->a->root, b.data, O_PATH | O_DIRECTORY, 0);

			if (fd >= 0) {
				buf_puts(&b, p);
				return b.failed ? NULL : buf_take(&b);
			}
		}
		if (*p == '\0')
			return NULL;
	}
}

/* 1: nothing of that type there. */
static int remove_here(struct apply *ap, const char *path, enum entry_type type, struct err *e)
{
	const char *base;
	OWN_FD int dir = path_open_parent(ap->a->root, path, &base);
	struct stat st;

	if (dir < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 1 : err_sys(e, "open its directory");
	if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 1 : err_sys(e, "stat");
	if (tree_type(st.st_mode) != type)
		return 1;
	for (int tries = 0; tries < 3; tries++) {
		if (sys_unlinkat(SITE, dir, base, type == ENTRY_DIR ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT)
			return 0;
		if (errno == ENOTEMPTY || errno == EEXIST)
			return err_set(e, ERR_PERMANENT, "foreign entries inside; the directory was kept");
		if (!(errno == EACCES && tree_open_up(dir)) && !(errno == EPERM && tree_unlock(ap, dir, base)))
			break;
	}
	return err_sys(e, "cannot remove it");
}

int tree_remove(struct apply *ap, const char *path, enum entry_type type, struct err *e)
{
	OWN_FREE char *elsewhere = NULL;
	int r;

	if (reserved(path))
		return err_set(e, ERR_REFUSED, "neither the root nor a name of waybill is removed");
	if (type == ENTRY_DIR)
		tree_forget_parent(ap);
	if ((r = remove_here(ap, path, type, e)) <= 0 || !(elsewhere = path_in_aside(ap, path)))
		return r < 0 ? -1 : 0;
	return remove_here(ap, elsewhere, type, e) < 0 ? -1 : 0;
}
