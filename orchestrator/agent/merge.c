/*
 * merge: a staged tree goes into one that lives, entry by entry, and can be taken out again.
 *
 * "OTHER.merge" beside both is the journal, a line an act, escaped, written as a whole and durable before the first act:
 *
 *   A PATH                        not there before: PATH of the staged tree (a whole directory as well) is renamed into the target
 *   R PATH                        there before: what was there goes to "OTHER.kept", then as A
 *   D OWN OWN PATH                a directory of both: mode, owner and time that it had, and those of the staged one, which it takes;
 *                                 OWN is MODE UID GID SEC NSEC, the mode octal
 *
 * Each act can be told from what stands under the names, so that any prefix of them may be done already.
 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomic_file.h"
#include "esc.h"
#include "io.h"
#include "path.h"
#include "sys.h"

#define JOURNAL_MAX (1u << 30)
#define NAME_ROOM 280

struct merge {
	int target, staged, kept;	/* owned; kept -1 until something is kept */
	int parent;			/* borrowed */
	char journal[NAME_ROOM], kept_name[NAME_ROOM];
	uint64_t count, made;
};
#define MERGE_INIT { -1, -1, -1, -1, "", "", 0, 0 }

static void merge_dispose(struct merge *m)
{
	own_closep(&m->target);
	own_closep(&m->staged);
	own_closep(&m->kept);
}

static int open_dir(int at, const char *name, struct err *e)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 ? fd : err_sys(e, "%s", esc_s(name));
}

static int merge_open(struct merge *m, int parent, const struct msg_place *p, struct err *e)
{
	m->parent = parent;
	(void)snprintf(m->journal, sizeof(m->journal), "%s.merge", p->other);
	(void)snprintf(m->kept_name, sizeof(m->kept_name), "%s.kept", p->other);
	m->target = open_dir(parent, p->name, e);
	m->staged = m->target < 0 ? -1 : open_dir(parent, p->other, e);
	return m->staged < 0 ? -1 : 0;
}

/* ---- the journal ---- */

static int plan_dir(struct buf *journal, int target, int staged, const char *path, struct err *e);

static void line(struct buf *j, char act, const char *path)
{
	buf_putc(j, act);
	buf_putc(j, ' ');
	esc_put(j, path, strlen(path));
	buf_putc(j, '\n');
}

static int plan_entry(struct buf *j, int target, int staged, const char *dir, const char *name, struct err *e)
{
	OWN_FREE char *path = NULL;
	struct stat now, want;

	if (asprintf(&path, "%s%s%s", strcmp(dir, ".") == 0 ? "" : dir, strcmp(dir, ".") == 0 ? "" : "/", name) < 0)
		return err_sys(e, "merge");
	if (fstatat(staged, name, &want, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "%s", esc_s(path));
	if (fstatat(target, name, &now, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return err_sys(e, "%s", esc_s(path));
		line(j, 'A', path);
	} else if (S_ISDIR(want.st_mode) && S_ISDIR(now.st_mode)) {
		OWN_FD int t = open_dir(target, name, e), s = t < 0 ? -1 : open_dir(staged, name, e);

		return s < 0 ? -1 : plan_dir(j, t, s, path, e);
	} else {
		line(j, 'R', path);
	}
	return 0;
}

static void put_own(struct buf *j, const struct stat *st)
{
	buf_printf(j, "%o %u %u %lld %ld ", (unsigned)st->st_mode & 07777, st->st_uid, st->st_gid, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

static int plan_dir(struct buf *j, int target, int staged, const char *path, struct err *e)
{
	OWN_FD int again = openat(staged, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN_DIR DIR *d = again < 0 ? NULL : fdopendir(again);
	struct dirent *en;
	struct stat st, want;

	if (!d || fstat(target, &st) < 0 || fstat(staged, &want) < 0)
		return err_sys(e, "%s", esc_s(path));
	again = -1;	/* d's now */
	while ((errno = 0, en = readdir(d)))
		if (strcmp(en->d_name, ".") != 0 && strcmp(en->d_name, "..") != 0 && plan_entry(j, target, staged, path, en->d_name, e) < 0)
			return -1;
	if (errno)
		return err_sys(e, "%s", esc_s(path));
	/* After what it holds, and both as they are now: renaming within a directory changes its time. */
	buf_puts(j, "D ");
	put_own(j, &st);
	put_own(j, &want);
	esc_put(j, path, strlen(path));
	buf_putc(j, '\n');
	return 0;
}

/* 1 = there (appended to b), 0 = none. */
static int read_journal(const struct merge *m, struct buf *b, struct err *e)
{
	if (io_read_file(m->parent, m->journal, JOURNAL_MAX, b, e) == 0)
		return 1;
	if (e->sys != ENOENT)
		return -1;
	err_clear(e);
	return 0;
}

static int need_journal(struct merge *m, struct buf *b, struct err *e)
{
	int got = read_journal(m, b, e);

	if (got != 0)
		return got < 0 ? -1 : 0;
	if (plan_dir(b, m->target, m->staged, ".", e) < 0 || buf_finish(b, e) < 0)
		return -1;
	return atomic_file_write(m->parent, m->journal, 0600, b->data, b->len, e);
}

/* ---- acts ---- */

struct own { unsigned mode, uid, gid; long long sec; long nsec; };
struct act { char what; struct own had, takes; struct buf path; };

/* "MODE UID GID SEC NSEC " at *s. */
static bool parse_own(const char **s, struct own *o)
{
	int n = 0;

	if (sscanf(*s, "%o %u %u %lld %ld%n", &o->mode, &o->uid, &o->gid, &o->sec, &o->nsec, &n) != 5 || (*s)[n] != ' ')
		return false;
	*s += n + 1;
	return true;
}

static int parse(const char *s, size_t n, struct act *a, struct err *e)
{
	const char *end = s + n, *at = s + 2;

	*a = (struct act){ .what = s[0], .path = BUF_INIT };
	if (n > 2 && strchr("ARD", a->what) && s[1] == ' ' && (a->what != 'D' || (parse_own(&at, &a->had) && parse_own(&at, &a->takes))) &&
	    at < end && esc_undo(&a->path, at, (size_t)(end - at)) && path_is_safe(a->path.data, a->path.len) &&
	    (a->what == 'D' || strcmp(a->path.data, ".") != 0))
		return 0;
	buf_dispose(&a->path);
	return err_set(e, ERR_INTEGRITY, "the journal of the merge is damaged");
}

static bool there(int dir, const char *path)
{
	const char *base;
	OWN_FD int d = path_open_parent(dir, path, &base);
	struct stat st;

	return d >= 0 && fstatat(d, base, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Both parents exist. */
static int move(int from, int to, const char *path, struct err *e)
{
	const char *fbase, *tbase;
	OWN_FD int f = path_open_parent(from, path, &fbase), t = path_open_parent(to, path, &tbase);

	if (f < 0 || t < 0 || renameat2(f, fbase, t, tbase, RENAME_NOREPLACE) < 0)
		return err_sys(e, "move %s", esc_s(path));
	return 0;
}

static int need_kept(struct merge *m, const char *path, struct err *e)
{
	OWN_FREE char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!dir)
		return err_sys(e, "merge");
	if (m->kept < 0) {
		if (io_mkdirs(m->parent, m->kept_name, 0700, e) < 0 || (m->kept = open_dir(m->parent, m->kept_name, e)) < 0)
			return -1;
	}
	if (!slash)
		return 0;
	*slash = '\0';
	return io_mkdirs(m->kept, dir, 0700, e);
}

/*
 * The directory path of the target, where somebody deleted it since.  Whatever the journal goes into was a directory of both, whose D line
 * gives it back what it had at the end; until then it is nobody else's.
 */
static int need_dir(struct merge *m, const char *path, struct err *e)
{
	OWN_FD int there_already = path_open_beneath(m->target, path, O_RDONLY | O_DIRECTORY, 0);
	OWN_FREE char *p = strdup(path);

	if (there_already >= 0)
		return 0;
	if (errno != ENOENT || !p)
		return err_sys(e, "%s", esc_s(path));
	for (char *s = p; s; ) {
		const char *base;

		if ((s = strchr(s, '/')))
			*s = '\0';
		OWN_FD int parent = path_open_parent(m->target, p, &base);

		if (parent >= 0 && mkdirat(parent, base, 0700) == 0)
			m->made++;
		else if (parent < 0 || errno != EEXIST)
			return err_sys(e, "make %s again", esc_s(p));
		if (s)
			*s++ = '/';
	}
	return 0;
}

static int need_parent(struct merge *m, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	OWN_FREE char *dir = slash ? strndup(path, (size_t)(slash - path)) : NULL;

	if (!slash)
		return 0;
	return dir ? need_dir(m, dir, e) : err_sys(e, "merge");
}

static int put_attributes(int target, const char *path, const struct own *o, struct err *e)
{
	const struct timespec times[2] = { { 0, UTIME_OMIT }, { o->sec, o->nsec } };
	OWN_FD int fd = path_open_beneath(target, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "%s", esc_s(path));
	if ((st.st_uid != o->uid || st.st_gid != o->gid) && fchown(fd, o->uid, o->gid) < 0)
		return err_sys(e, "owner of %s", esc_s(path));
	if (fchmod(fd, o->mode) < 0 || futimens(fd, times) < 0)
		return err_sys(e, "attributes of %s", esc_s(path));
	return 0;
}

static int in_one(struct merge *m, const struct act *a, struct err *e)
{
	const char *path = a->path.data;

	sys_point(PLACE_SITE);
	if (a->what == 'D')
		return put_attributes(m->target, path, &a->takes, e);
	if (!there(m->staged, path))
		return 0;	/* moved before */
	if (a->what == 'R' && there(m->target, path) && (need_kept(m, path, e) < 0 || move(m->target, m->kept, path, e) < 0))
		return -1;
	m->count++;
	return move(m->staged, m->target, path, e);
}

/*
 * What was replaced is beneath "kept" until it is back.  So as long as it is there, what stands at the target is the staged one, and once
 * it is not, the target's is the original; what somebody deleted at the target since is given back all the same.
 */
static int back_one(struct merge *m, const struct act *a, struct err *e)
{
	const char *path = a->path.data;
	bool kept;

	sys_point(PLACE_SITE);
	if (a->what == 'D')
		return 0;	/* last, see below */
	if (a->what == 'R' && need_kept(m, path, e) < 0)
		return -1;
	kept = a->what == 'R' && there(m->kept, path);
	if ((a->what == 'A' || kept) && !there(m->staged, path) && there(m->target, path)) {
		if (move(m->target, m->staged, path, e) < 0)
			return -1;
		m->count++;
	}
	if (!kept || there(m->target, path))
		return 0;
	return need_parent(m, path, e) < 0 ? -1 : move(m->kept, m->target, path, e);
}

static int back_dir(struct merge *m, const struct act *a, struct err *e)
{
	if (a->what != 'D')
		return 0;
	return need_dir(m, a->path.data, e) < 0 ? -1 : put_attributes(m->target, a->path.data, &a->had, e);
}

static int each(struct merge *m, const struct buf *journal, int (*one)(struct merge *, const struct act *, struct err *), struct err *e)
{
	for (const char *s = journal->data ? journal->data : ""; *s; s += strcspn(s, "\n") + 1) {
		size_t n = strcspn(s, "\n");
		struct act a;
		int r;

		if (s[n] != '\n')
			return err_set(e, ERR_INTEGRITY, "the journal of the merge is cut");
		if (parse(s, n, &a, e) < 0)
			return -1;
		r = one(m, &a, e);
		buf_dispose(&a.path);
		if (r < 0)
			return -1;
	}
	/* Names in many directories: the file system as a whole. */
	return sys_syncfs(PLACE_SITE, m->parent) < 0 ? err_sys(e, "sync") : 0;
}

int merge_in(int parent, const struct msg_place *p, uint64_t *count, struct err *e)
{
	OWN(merge_dispose) struct merge m = MERGE_INIT;
	OWN_BUF struct buf journal = BUF_INIT;

	if (merge_open(&m, parent, p, e) < 0 || need_journal(&m, &journal, e) < 0 || each(&m, &journal, in_one, e) < 0)
		return -1;
	*count = m.count;
	return 0;
}

int merge_back(int parent, const struct msg_place *p, uint64_t *count, uint64_t *made, struct err *e)
{
	OWN(merge_dispose) struct merge m = MERGE_INIT;
	OWN_BUF struct buf journal = BUF_INIT;
	int got;

	(void)snprintf(m.journal, sizeof(m.journal), "%s.merge", p->other);
	m.parent = parent;
	if ((got = read_journal(&m, &journal, e)) <= 0)
		return got;
	if (merge_open(&m, parent, p, e) < 0 || each(&m, &journal, back_one, e) < 0 || each(&m, &journal, back_dir, e) < 0)
		return -1;
	*count = m.count;
	*made = m.made;
	if (sys_unlinkat(PLACE_SITE, parent, m.journal, 0) < 0)
		return err_sys(e, "journal of the merge");
	return sys_fsync(PLACE_SITE, parent) < 0 ? err_sys(e, "fsync") : 0;
}
