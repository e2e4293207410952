#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "esc.h"
#include "path.h"

#define STATX_WANTED (STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID)

struct name { char *s; uint8_t d_type; };	/* s lies in the level's arena */

struct level {
	struct dir *dir;	/* held; NULL while closed to save fds; the root's is a copy */
	char *arena;		/* all names, NUL-terminated */
	struct name *names;
	size_t count, at;
	size_t path_len;	/* of this directory's path; 0 for the root */
	uint64_t dev, ino;
};

struct walk {
	int root;
	struct level *v;	/* entered directories, outermost first */
	size_t depth, cap;
	struct buf path;	/* of the current item */
	struct level next;	/* its names, read already */
	bool started;
};

static void drop_level(struct level *l)
{
	dir_put(l->dir);
	free(l->arena);
	free(l->names);
	*l = (struct level){ .dir = NULL };
}

int walk_new(struct walk **out, int rootfd, struct err *e)
{
	struct walk *w = calloc(1, sizeof(*w));

	if (!w)
		return err_sys(e, "walk");
	w->root = rootfd;
	*out = w;
	return 0;
}

void walk_free(struct walk *w)
{
	if (!w)
		return;
	while (w->depth)
		drop_level(&w->v[--w->depth]);
	drop_level(&w->next);
	free(w->v);
	buf_dispose(&w->path);
	free(w);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->s, ((const struct name *)b)->s);
}

/* Names point into the arena only once it no longer moves. */
static int index_names(struct level *l, struct buf *arena, size_t count)
{
	char *p;

	if (count && !(l->names = calloc(count, sizeof(*l->names))))
		return -1;
	l->arena = p = buf_take(arena);
	if (!p)
		return -1;
	for (size_t i = 0; i < count; i++) {
		l->names[i] = (struct name){ p + 1, (uint8_t)p[0] };
		p += strlen(p + 1) + 2;
	}
	l->count = count;
	if (count)
		qsort(l->names, count, sizeof(*l->names), by_bytes);
	return 0;
}

/* All names of the directory into l; -1 with errno.  A listing that breaks off half way is no listing. */
static int list_names(int fd, struct level *l)
{
	OWN_DIR DIR *d = NULL;
	OWN_BUF struct buf arena = BUF_INIT;
	size_t count = 0;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0 || !(d = fdopendir(copy))) {
		if (copy >= 0)
			(void)close(copy);
		return -1;
	}
	rewinddir(d);
	for (;;) {
		struct dirent *de;

		errno = 0;
		if (!(de = readdir(d)))
			break;
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		buf_putc(&arena, (char)de->d_type);
		buf_put(&arena, de->d_name, strlen(de->d_name) + 1);
		count++;
	}
	if (errno)
		return -1;
	if (arena.failed || index_names(l, &arena, count) < 0) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

enum entry_type walk_type(unsigned mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return ENTRY_DIR;
	case S_IFLNK: return ENTRY_SYMLINK;
	case S_IFIFO: return ENTRY_FIFO;
	case S_IFCHR: return ENTRY_CHAR;
	case S_IFBLK: return ENTRY_BLOCK;
	case S_IFSOCK: return ENTRY_SOCKET;
	default: return ENTRY_FILE;
	}
}

static int statx_at(int fd, const char *name, struct statx *st)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name[0] ? 0 : AT_EMPTY_PATH);

	return statx(fd, name, flags, STATX_WANTED, st);
}

/* Reading a tree leaves no trace where we may ask for that; only the owner may. */
static int open_dir(int dirfd, const char *name)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int fd = openat(dirfd, name, flags | O_NOATIME);

	return fd < 0 && errno == EPERM ? openat(dirfd, name, flags) : fd;
}

/* Open, describe through the fd, list.  false: it is no directory any more, look again. */
static bool describe_dir(struct walk *w, struct walk_item *it)
{
	struct level *l = &w->next;
	int fd = it->dirfd < 0 ? fcntl(w->root, F_DUPFD_CLOEXEC, 0) : open_dir(it->dirfd, it->name);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return false;
	if (fd < 0 || !(l->dir = dir_new(fd))) {
		it->error = errno;
		return true;
	}
	if (statx_at(fd, "", &it->stx) < 0 || list_names(fd, l) < 0) {
		it->error = errno;
		drop_level(l);
		return true;
	}
	l->path_len = it->dirfd < 0 ? 0 : it->path_len;
	l->dev = (uint64_t)it->stx.stx_dev_major << 32 | it->stx.stx_dev_minor;
	l->ino = it->stx.stx_ino;
	it->fd = fd;
	it->self = l->dir;
	return true;
}

/* Fill it for a name; false when it vanished. */
static bool describe(struct walk *w, struct walk_item *it, uint8_t d_type)
{
	for (int tries = 0; tries < 8; tries++) {
		if (statx_at(it->dirfd, it->name, &it->stx) < 0) {
			if (errno == ENOENT)
				return false;
			it->error = errno;
			it->no_stat = true;
			it->type = walk_type((unsigned)DTTOIF(d_type));
			return true;
		}
		it->type = walk_type(it->stx.stx_mode);
		if (it->type != ENTRY_DIR || describe_dir(w, it))
			return true;
	}
	it->error = EBUSY;	/* directory and not, eight times in a row */
	return true;
}

static int first_item(struct walk *w, struct walk_item *it, struct err *e)
{
	w->started = true;
	buf_puts(&w->path, ".");
	if (buf_finish(&w->path, e) < 0)
		return -1;
	*it = (struct walk_item){ .path = w->path.data, .path_len = 1, .name = "", .dirfd = -1, .fd = -1, .type = ENTRY_DIR };
	(void)describe_dir(w, it);
	if (it->fd < 0) {
		errno = it->error ? it->error : errno;
		return err_sys(e, "reading the root directory");
	}
	return 1;
}

/* Enter the directory given out last. */
static int enter(struct walk *w, struct err *e)
{
	if (w->depth == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 32;
		struct level *v = reallocarray(w->v, cap, sizeof(*v));

		if (!v)
			return err_sys(e, "walk");
		w->v = v;
		w->cap = cap;
	}
	w->v[w->depth++] = w->next;
	w->next = (struct level){ .dir = NULL };
	if (w->depth > WALK_FDS) {
		struct level *far = &w->v[w->depth - 1 - WALK_FDS];

		dir_put(take_ptr(&far->dir));
	}
	return 0;
}

/* The walk came back to a directory whose fd was closed: the same one, or we stop. */
static int reopen(struct walk *w, struct level *l, struct err *e)
{
	OWN_FREE char *path = l->path_len ? strndup(w->path.data, l->path_len) : strdup(".");
	struct statx st;
	int fd;

	if (!path)
		return err_sys(e, "walk");
	fd = path_open_beneath(w->root, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
	if (fd < 0 || !(l->dir = dir_new(fd)))
		return err_sys(e, "%s: coming back to the directory", esc_s(path));
	if (statx_at(fd, "", &st) < 0)
		return err_sys(e, "%s", esc_s(path));
	if (st.stx_ino != l->ino || ((uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor) != l->dev)
		return err_set(e, ERR_TEMPORARY, "%s: directory was replaced while it was read; run the same command again",
		    esc_s(path));
	return 0;
}

static int set_path(struct walk *w, const struct level *l, const char *name, struct err *e)
{
	w->path.len = l->path_len;
	if (l->path_len)
		buf_putc(&w->path, '/');
	buf_puts(&w->path, name);
	if (w->path.len > PATH_BYTES_MAX)
		return err_set(e, ERR_PERMANENT, "a path is longer than %d bytes: %.64s...", PATH_BYTES_MAX, esc_s(w->path.data));
	return buf_finish(&w->path, e);
}

int walk_next(struct walk *w, struct walk_item *it, struct err *e)
{
	if (!w->started)
		return first_item(w, it, e);
	if (w->next.dir && enter(w, e) < 0)
		return -1;
	while (w->depth) {
		struct level *l = &w->v[w->depth - 1];
		struct name *n;

		if (l->at == l->count) {
			w->path.len = l->path_len;
			drop_level(&w->v[--w->depth]);
			continue;
		}
		n = &l->names[l->at++];
		if ((!l->dir && reopen(w, l, e) < 0) || set_path(w, l, n->s, e) < 0)
			return -1;
		*it = (struct walk_item){ .path = w->path.data, .path_len = w->path.len, .name = n->s,
			.dir = l->dir, .dirfd = l->dir->fd, .fd = -1 };
		if (describe(w, it, n->d_type))
			return 1;
	}
	return 0;
}

void walk_prune(struct walk *w) { drop_level(&w->next); }
