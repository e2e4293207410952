/* A drop is emptied of one package: of the names that it lists, and of nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "drop_internal.h"
#include "esc.h"
#include "log.h"
#include "sys.h"

static int remove_name(const struct drop *d, const char *name, const char *suffix, struct drop_count *n, struct err *e)
{
	OWN_FREE char *path = drop_path(d, name, suffix);

	if (!path)
		return err_sys(e, "%s", d->name);
	if (sftp_remove(d->sftp, path, e) == 0) {
		n->files++;
		return 0;
	}
	if (e->sys != ENOENT)
		return -1;
	err_clear(e);
	return 0;
}

/* 1 = what has that name there is the package's file; 0; -1. */
static int is_right(const struct drop *d, const struct drop_file *f, struct err *e)
{
	OWN_FREE char *path = drop_path(d, f->name, "");
	uint8_t digest[DIGEST_LEN];
	struct sftp_stat st;

	if (!path)
		return err_sys(e, "%s", d->name);
	if (sftp_stat(d->sftp, path, &st, e) < 0)
		return -1;
	if (st.kind != SFTP_FILE)
		return 0;
	return drop_hash(d, path, st.size, digest, e) < 0 ? -1 : memcmp(digest, f->digest, DIGEST_LEN) == 0;
}

/*
 * ours: its tagmanifest stood there, so the names are the package's, damaged or not.  Otherwise an emptying was cut, or the names
 * are somebody else's: only what has the right contents goes.
 */
static int remove_file(const struct drop *d, const struct drop_file *f, bool ours, struct drop_count *n, struct err *e)
{
	if (ours)
		return remove_name(d, f->name, "", n, e) < 0 || remove_name(d, f->name, ".part", n, e) < 0 ? -1 : 0;
	switch (is_right(d, f, e)) {
	case 1: return remove_name(d, f->name, "", n, e);
	case 0: return 0;
	default: return -1;
	}
}

/* Whoever holds something else in it keeps it; servers say no more than "failure". */
static int remove_dir(const struct drop *d, const char *path, struct err *e)
{
	if (sftp_rmdir(d->sftp, path, e) == 0)
		return 0;
	if (e->class != ERR_PERMANENT)
		return -1;
	log_info("%s: %s stays, something else is in it", d->name, esc_s(path));
	err_clear(e);
	return 0;
}

/* The directories that name lies in, deepest first. */
static int remove_parents(const struct drop *d, const char *name, struct err *e)
{
	OWN_FREE char *dir = strdup(name);
	char *slash;

	if (!dir)
		return err_sys(e, "%s", d->name);
	while ((slash = strrchr(dir, '/'))) {
		OWN_FREE char *path = NULL;

		*slash = '\0';
		if (!(path = drop_path(d, dir, "")))
			return err_sys(e, "%s", d->name);
		if (remove_dir(d, path, e) < 0)
			return -1;
	}
	return 0;
}

static size_t dir_length(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? (size_t)(slash - name) : 0;
}

/* Each directory once, after all files are gone; a parent that others still fill is tried again with them. */
static int remove_dirs(const struct drop *d, const struct drop_list *l, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *name = l->v[i].name;
		size_t n = dir_length(name);

		if (!n || (i + 1 < l->n && dir_length(l->v[i + 1].name) == n && memcmp(name, l->v[i + 1].name, n) == 0))
			continue;
		if (remove_parents(d, name, e) < 0)
			return -1;
	}
	return remove_dir(d, d->dir, e);
}

int drop_empty(const struct drop *d, const char *local, struct drop_count *n, struct err *e)
{
	OWN_FD int dirfd = open(local, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN_DROP_LIST struct drop_list l = { NULL, 0 };
	OWN_BUF struct buf tags = BUF_INIT;
	int ours;

	*n = (struct drop_count){ 0, 0, 0 };
	if (dirfd < 0)
		return err_sys(e, "open %s", esc_s(local));
	/* First what says that it is whole: a drop that was emptied by half is never taken for one. */
	if (drop_list_local(&l, dirfd, esc_s(local), &tags, e) < 0 || (ours = drop_same(d, &tags, e)) < 0 ||
	    (ours && remove_name(d, DROP_TAGS, "", n, e) < 0))
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		sys_point("drop-empty");
		if (remove_file(d, &l.v[i], ours, n, e) < 0)
			return -1;
	}
	return remove_dirs(d, &l, e);
}
