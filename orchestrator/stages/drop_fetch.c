/* A package comes out of a drop, and the drop is emptied of it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "drop_internal.h"
#include "esc.h"
#include "io.h"
#include "package_internal.h"
#include "path.h"
#include "sys.h"

struct fetching {
	const struct drop *d;
	int dirfd;		/* of what is being built */
	struct drop_count *n;
};

struct writing { int fd; uint64_t at; const char *name; };

static int into_file(void *arg, const void *p, size_t n, struct err *e)
{
	struct writing *w = arg;

	if (io_pwrite_all("fetch", w->fd, p, n, w->at, w->name, e) < 0)
		return -1;
	w->at += n;
	return 0;
}

/* 1 = a file of this name and digest is here; 0 = not; -1. */
static int is_here(const struct fetching *f, const char *name, const uint8_t *digest, struct err *e)
{
	OWN_FD int fd = path_open_beneath(f->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	uint8_t here[DIGEST_LEN];
	uint64_t size;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", name);
	if (digest_fd(fd, here, &size, e) < 0)
		return -1;
	return memcmp(here, digest, DIGEST_LEN) == 0;
}

/* From where the part ends to the end of the file there; *from is where it began. */
static int receive_part(struct fetching *f, const char *part, const char *path, uint64_t size, uint64_t *from, struct err *e)
{
	OWN_FD int fd = openat(f->dirfd, part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	struct writing w = { fd, 0, part };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "%s", part);
	w.at = (uint64_t)st.st_size <= size ? (uint64_t)st.st_size : 0;
	if (w.at == 0 && ftruncate(fd, 0) < 0)
		return err_sys(e, "%s", part);
	*from = w.at;
	if (sftp_receive(f->d->sftp, path, w.at, size, into_file, &w, e) < 0)
		return -1;
	if (sys_fsync("fetch", fd) < 0)
		return err_sys(e, "sync %s", part);
	return 0;
}

/* The part is right, or goes: 1 = right, 0 = it began with what an earlier call had left, -1. */
static int judge_part(struct fetching *f, const struct drop_file *file, const char *part, uint64_t from, struct err *e)
{
	int r = is_here(f, part, file->digest, e);

	if (r != 0)
		return r;
	if (unlinkat(f->dirfd, part, 0) < 0)
		return err_sys(e, "remove %s", part);
	if (from)
		return 0;
	err_set(e, ERR_INTEGRITY, "%s/%s is not what the package lists: it was changed in the drop", f->d->name, file->name);
	return err_hint(e, "have it removed there and put again by the same waybill package");
}

static int receive_file(struct fetching *f, const struct drop_file *file, struct err *e)
{
	OWN_FREE char *path = drop_path(f->d, file->name, ""), *part = NULL;
	struct sftp_stat st;
	uint64_t from = 0;
	int r = 0;

	if (!path || asprintf(&part, "%s.part", file->name) < 0)
		return err_sys(e, "%s", f->d->name);
	if (sftp_stat(f->d->sftp, path, &st, e) < 0)
		return -1;
	if (st.kind != SFTP_FILE)
		return err_set(e, ERR_INTEGRITY, "%s/%s, which the package lists, is missing", f->d->name, file->name);
	for (int tries = 0; tries < 2 && r == 0; tries++)
		if (receive_part(f, part, path, st.size, &from, e) < 0 || (r = judge_part(f, file, part, from, e)) < 0)
			return -1;
	if (r == 0)
		return err_set(e, ERR_TEMPORARY, "%s/%s changes while it is fetched", f->d->name, file->name);
	f->n->files++;
	f->n->bytes += st.size - from;
	if (strlen(file->name) > 3 && strcmp(file->name + strlen(file->name) - 3, ".sh") == 0 && fchmodat(f->dirfd, part, 0755, 0) < 0)
		return err_sys(e, "mode of %s", part);
	return sys_renameat("fetch", f->dirfd, part, f->dirfd, file->name) < 0 ? err_sys(e, "rename %s", part) : 0;
}

static int fetch_files(struct fetching *f, const struct drop_list *l, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *name = l->v[i].name, *slash = strrchr(name, '/');
		OWN_FREE char *dir = slash ? strndup(name, (size_t)(slash - name)) : NULL;
		int here;

		if (dir && io_mkdirs(f->dirfd, dir, 0755, e) < 0)
			return -1;
		sys_point("drop-fetch");
		if ((here = is_here(f, name, l->v[i].digest, e)) < 0 || (!here && receive_file(f, &l->v[i], e) < 0))
			return -1;
		f->n->kept += here > 0;
	}
	return 0;
}

static int write_tags(int dirfd, const struct buf *tags, struct err *e)
{
	OWN_FD int fd = openat(dirfd, DROP_TAGS, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return err_sys(e, DROP_TAGS);
	if (io_write_all("fetch", fd, tags->data, tags->len, DROP_TAGS, e) < 0)
		return -1;
	return sys_fsync("fetch", fd) < 0 ? err_sys(e, "sync " DROP_TAGS) : 0;
}

/* The tag files first: they say which payload there must be. */
static int fill(struct fetching *f, const struct buf *tags, struct err *e)
{
	OWN_DROP_LIST struct drop_list first = { NULL, 0 }, payload = { NULL, 0 };
	OWN_BUF struct buf manifest = BUF_INIT;

	if (drop_list_read(&first, tags, false, f->d->name, e) < 0)
		return -1;
	if (!drop_list_find(&first, DROP_MANIFEST))
		return err_set(e, ERR_INTEGRITY, "%s: its " DROP_TAGS " lists no " DROP_MANIFEST, f->d->name);
	if (fetch_files(f, &first, e) < 0 || io_read_file(f->dirfd, DROP_MANIFEST, DROP_LIST_MAX, &manifest, e) < 0 ||
	    drop_list_read(&payload, &manifest, true, f->d->name, e) < 0 || fetch_files(f, &payload, e) < 0)
		return -1;
	return write_tags(f->dirfd, tags, e);
}

static int publish(int dirfd, const char *tmp, const char *local, struct err *e)
{
	OWN_FREE char *parent = strdup(local);
	OWN_FD int fd = -1;

	if (!parent)
		return err_sys(e, "package");
	if (syncfs(dirfd) < 0)
		return err_sys(e, "sync of %s", esc_s(tmp));
	if (rename(tmp, local) < 0)
		return err_sys(e, "put the package at %s", esc_s(local));
	*strrchr(parent, '/') = '\0';
	fd = open(*parent ? parent : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? err_sys(e, "sync of the directory of %s", esc_s(local)) : 0;
}

/* 1 = local is a package already, and the drop holds no other; 0; -1. */
static int fetched_before(const struct drop *d, const char *local, struct err *e)
{
	OWN_FD int fd = open(local, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN_BUF struct buf tags = BUF_INIT;

	if (fd < 0 || io_read_file(fd, DROP_TAGS, DROP_LIST_MAX, &tags, e) < 0) {
		err_clear(e);
		return 0;
	}
	return drop_same(d, &tags, e) < 0 ? -1 : 1;
}

int drop_fetch(const struct drop *d, const char *local, struct drop_count *n, struct err *e)
{
	const char *base = strrchr(local, '/') + 1;
	OWN_BUF struct buf tags = BUF_INIT;
	OWN_FREE char *tmp = NULL;
	OWN_FD int dirfd = -1;
	struct fetching f = { d, -1, n };
	int r;

	*n = (struct drop_count){ 0, 0, 0 };
	if ((r = fetched_before(d, local, e)) != 0)
		return r < 0 ? -1 : 0;
	if (package_check_place(local, e) < 0 || (r = drop_read(d, DROP_TAGS, DROP_LIST_MAX, &tags, e)) < 0)
		return -1;
	if (r == 0 || !tags.len) {
		err_set(e, ERR_REFUSED, "%s holds no whole package: " DROP_TAGS ", which comes last, is not there", d->name);
		return err_hint(e, "the other side must end its `waybill package PLAN --to HOST:DIR` first");
	}
	if (asprintf(&tmp, "%.*s.%s.waybill-fetch", (int)(base - local), local, base) < 0)
		return err_sys(e, "package");
	if (io_mkdirs(AT_FDCWD, tmp, 0755, e) < 0)
		return -1;
	if ((f.dirfd = dirfd = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return err_sys(e, "open %s", esc_s(tmp));
	return fill(&f, &tags, e) < 0 ? -1 : publish(dirfd, tmp, local, e);
}
