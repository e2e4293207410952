#include "finalise.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "attrs_read.h"
#include "esc.h"

#define FLAG_MASK (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)

struct target {
	int fd;
	bool opath;		/* only usable through its name under /proc */
	char proc[32];
	struct stat st;
	struct buf *why;
	bool short_of;		/* something could not be set */
	bool announced;		/* ... and what is for want of rights was said before */
};

bool fs_trouble(int n)
{
	return n == ENOSPC || n == EDQUOT || n == EIO || n == ENOMEM || n == EROFS || n == ENFILE || n == EMFILE;
}

static int inspect(struct target *t, struct err *e)
{
	if (fstat(t->fd, &t->st) < 0)
		return err_sys(e, "stat");
	return 0;
}

/* Records that one attribute could not be set; -1 when the reason lies deeper than the entry. */
static int missed(struct target *t, const char *what, struct err *e)
{
	int n = errno;

	if (fs_trouble(n))
		return err_sys(e, "%s", what);
	if (n == EPERM && t->announced)
		return 0;
	buf_printf(t->why, "%s%s: %s", t->short_of ? "; " : "", what, strerrordesc_np(n));
	t->short_of = true;
	return 0;
}

static int set_owner(struct target *t, const struct entry *en, struct err *e)
{
	if (t->st.st_uid == en->uid && t->st.st_gid == en->gid)
		return 0;
	if (fchownat(t->fd, "", en->uid, en->gid, AT_EMPTY_PATH) == 0)
		return inspect(t, e);
	/* Without root the group may still be one of ours; in a user namespace (EINVAL) either may be an id that exists there. */
	if (errno == EPERM || errno == EINVAL) {
		(void)fchownat(t->fd, "", (uid_t)-1, en->gid, AT_EMPTY_PATH);
		(void)fchownat(t->fd, "", en->uid, (gid_t)-1, AT_EMPTY_PATH);
		if (inspect(t, e) < 0 || (t->st.st_uid == en->uid && t->st.st_gid == en->gid))
			return t->st.st_uid == en->uid && t->st.st_gid == en->gid ? 0 : -1;
		errno = EPERM;
	}
	char what[64];

	(void)snprintf(what, sizeof(what), "owner %u:%u", en->uid, en->gid);
	return missed(t, what, e);
}

static int xset(struct target *t, const struct attr *a)
{
	return t->opath ? setxattr(t->proc, a->name, a->value, a->len, 0) : fsetxattr(t->fd, a->name, a->value, a->len, 0);
}

static int xremove(struct target *t, const char *name)
{
	int r = t->opath ? removexattr(t->proc, name) : fremovexattr(t->fd, name);

	return r < 0 && errno == ENODATA ? 0 : r;
}

static const struct attr *lookup(const struct attr_set *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].name, name) == 0)
			return &s->v[i];
	return NULL;
}

/*
 * May an attribute that the entry does not have be taken away?  Those a person or a program put there, yes; labels that the
 * host's own policy gives to every file (security.selinux, ima, evm) belong to the host.
 */
static bool removable(const char *name)
{
	return attr_is_acl(name) || strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0 ||
	    strcmp(name, "security.capability") == 0;
}

/* ext4 says ENOSPC for an attribute that is too large for an inode, whatever room there is. */
static bool too_large_for_inode(const struct target *t)
{
	struct statvfs v;

	return (errno == ENOSPC || errno == EDQUOT) && fstatvfs(t->fd, &v) == 0 && v.f_bavail * v.f_frsize > (1u << 20);
}

static int attr_missed(struct target *t, const char *verb, const char *name, struct err *e)
{
	char what[320];

	if (too_large_for_inode(t))
		errno = E2BIG;
	(void)snprintf(what, sizeof(what), "%s %s", verb, esc_s(name));
	return missed(t, what, e);
}

static int sync_attrs(struct target *t, const struct attr_set *want, const struct attr_set *have, bool acl, struct err *e)
{
	for (size_t i = 0; i < have->n; i++) {
		const char *name = have->v[i].name;

		if (attr_is_acl(name) != acl || lookup(want, name) || !removable(name))
			continue;
		if (xremove(t, name) < 0 && attr_missed(t, "cannot remove", name, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < want->n; i++) {
		const struct attr *a = &want->v[i], *old = lookup(have, a->name);

		if (attr_is_acl(a->name) != acl || (old && old->len == a->len && memcmp(old->value, a->value, a->len) == 0))
			continue;
		if (xset(t, a) < 0 && attr_missed(t, "cannot set", a->name, e) < 0)
			return -1;
	}
	return 0;
}

static int set_attrs(struct target *t, unsigned what, const struct attr_set *want, struct err *e)
{
	OWN_ATTRS struct attr_set have = ATTR_SET_INIT;

	if (!want || ((what & FINALISE_NEW) && want->n == 0))
		return 0;
	/* Read after chown, which drops security.capability. */
	if (!(what & FINALISE_NEW) && attrs_read(t->fd, &have, e) < 0)
		return -1;
	if (sync_attrs(t, want, &have, true, e) < 0 || sync_attrs(t, want, &have, false, e) < 0)
		return -1;
	return inspect(t, e);	/* an ACL changes the group bits of the mode */
}

/* A program that was to run as somebody else must not run as us instead, where its owner could not be set. */
static mode_t allowed_mode(const struct target *t, const struct entry *en)
{
	mode_t mode = (mode_t)en->mode;

	if (t->st.st_uid != en->uid && !S_ISDIR(t->st.st_mode))
		mode &= ~(mode_t)S_ISUID;
	if (t->st.st_gid != en->gid)
		mode &= ~(mode_t)S_ISGID;
	return mode;
}

static int set_mode(struct target *t, const struct entry *en, struct err *e)
{
	char what[32];

	mode_t want = allowed_mode(t, en);

	if (S_ISLNK(t->st.st_mode) || ((t->st.st_mode & 07777) == en->mode && want == en->mode))
		return 0;
	if ((t->st.st_mode & 07777) != want && (t->opath ? chmod(t->proc, want) : fchmod(t->fd, want)) < 0) {
		(void)snprintf(what, sizeof(what), "mode %04o", en->mode);
		return missed(t, what, e);
	}
	/* Who may change the mode may have all of it but set-group-id. */
	if (!(en->mode & S_ISGID) && want == en->mode)
		return 0;
	if (inspect(t, e) < 0)
		return -1;
	if ((t->st.st_mode & 07777) == en->mode)
		return 0;
	/* The kernel drops set-group-id silently when the group is not ours. */
	errno = EPERM;
	(void)snprintf(what, sizeof(what), "mode %04o", en->mode);
	return missed(t, what, e);
}

static int set_times(struct target *t, const struct entry *en, struct err *e)
{
	const struct timespec ts[2] = { { 0, UTIME_OMIT }, { (time_t)en->mtime_s, (long)en->mtime_ns } };

	if (t->st.st_mtim.tv_sec == (time_t)en->mtime_s && t->st.st_mtim.tv_nsec == (long)en->mtime_ns)
		return 0;
	if ((t->opath ? utimensat(AT_FDCWD, t->proc, ts, 0) : futimens(t->fd, ts)) < 0)
		return missed(t, "modification time", e);
	return 0;
}

static bool get_flags(const struct target *t, int *flags)
{
	return !t->opath && (S_ISREG(t->st.st_mode) || S_ISDIR(t->st.st_mode)) && ioctl(t->fd, FS_IOC_GETFLAGS, flags) == 0;
}

static int set_flags(struct target *t, int have, int want, struct err *e)
{
	if (((have ^ want) & FLAG_MASK) == 0)
		return 0;
	have = (have & ~FLAG_MASK) | (want & FLAG_MASK);
	if (ioctl(t->fd, FS_IOC_SETFLAGS, &have) < 0)
		return missed(t, "inode flags", e);
	return 0;
}

static int finish_flags(struct target *t, const struct entry *en, struct err *e)
{
	int have = 0, want = en->has & ENTRY_HAS_FLAGS ? (int)en->flags : 0;

	if (get_flags(t, &have))
		return set_flags(t, have, want, e);
	if ((want & FLAG_MASK) == 0)
		return 0;
	errno = ENOTSUP;
	return missed(t, "inode flags", e);
}

/* Immutable and append-only bar every other change; taken off first, put back last. */
static int lift_flags(struct target *t, struct err *e)
{
	int have = 0;

	if (!get_flags(t, &have) || !(have & (FS_IMMUTABLE_FL | FS_APPEND_FL)))
		return 0;
	return set_flags(t, have, have & ~(FS_IMMUTABLE_FL | FS_APPEND_FL), e);
}

int finalise(int fd, unsigned what, const struct entry *en, const struct attr_set *attrs, struct buf *why, struct err *e)
{
	struct target t = { .fd = fd, .why = why };
	int mode = fcntl(fd, F_GETFL);

	if (mode < 0 || inspect(&t, e) < 0)
		return err_sys(e, "finalise");
	if ((what & FINALISE_NEW) && !(en->has & ENTRY_HAS_FLAGS))
		what &= ~(unsigned)FINALISE_FLAGS;
	t.announced = (what & FINALISE_ANNOUNCED) != 0;
	t.opath = (mode & O_PATH) != 0;
	(void)snprintf(t.proc, sizeof(t.proc), "/proc/self/fd/%d", fd);
	if ((what & FINALISE_FLAGS) && lift_flags(&t, e) < 0)
		return -1;
	if (set_owner(&t, en, e) < 0 || set_attrs(&t, what, attrs, e) < 0 || set_mode(&t, en, e) < 0 || set_times(&t, en, e) < 0)
		return -1;
	if ((what & FINALISE_FLAGS) && finish_flags(&t, en, e) < 0)
		return -1;
	if (buf_finish(why, e) < 0)
		return -1;
	return t.short_of ? 1 : 0;
}
