/* A package goes into a drop. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "drop_internal.h"
#include "esc.h"
#include "path.h"
#include "sys.h"

struct putting {
	const struct drop *d;
	const char *local;
	int dirfd;
	char *made;		/* the directory that was seen or made last, owned */
	struct drop_count *n;
};
static void putting_dispose(struct putting *p)
{
	if (p->dirfd >= 0)
		(void)close(p->dirfd);
	free(p->made);
}

/* path must be a directory, or becomes one. */
static int make_dir(const struct drop *d, const char *path, struct err *e)
{
	struct sftp_stat st;

	if (sftp_stat(d->sftp, path, &st, e) < 0)
		return -1;
	if (st.kind == SFTP_DIR)
		return 0;
	if (st.kind != SFTP_NONE)
		return err_set(e, ERR_REFUSED, "%s: %s there is no directory", d->name, esc_s(path));
	return sftp_mkdir(d->sftp, path, e) < 0 ? err_hint(e, "the directory above it must be there, and writable") : 0;
}

static int make_parents(struct putting *p, const char *name, struct err *e)
{
	const char *slash = strrchr(name, '/');
	OWN_FREE char *dir = slash ? strndup(name, (size_t)(slash - name)) : NULL;

	if (!slash || (p->made && dir && strcmp(p->made, dir) == 0))
		return 0;
	for (const char *s = name; (s = strchr(s, '/')); s++) {
		OWN_FREE char *head = strndup(name, (size_t)(s - name)), *path = head ? drop_path(p->d, head, "") : NULL;

		if (!path)
			return err_sys(e, "%s", p->d->name);
		if (make_dir(p->d, path, e) < 0)
			return -1;
	}
	free(p->made);
	p->made = take_ptr(&dir);
	return 0;
}

static int differs(const struct drop *d, const char *name, struct err *e)
{
	err_set(e, ERR_INTEGRITY, "%s/%s is not what the package holds under that name", d->name, name);
	return err_hint(e, "remove it there, or name another directory; the same command then goes on");
}

/* A file under its own name is right, or somebody changed it: it had been read back before it got that name. */
static int check_there(const struct drop *d, const struct drop_file *f, const char *path, const struct sftp_stat *st, uint64_t size, struct err *e)
{
	uint8_t digest[DIGEST_LEN];

	if (st->kind != SFTP_FILE || st->size != size)
		return differs(d, f->name, e);
	if (drop_hash(d, path, size, digest, e) < 0)
		return -1;
	return memcmp(digest, f->digest, DIGEST_LEN) == 0 ? 0 : differs(d, f->name, e);
}

/* Send from where the part ends; *good = it reads back as it should. */
static int send_part(const struct drop *d, const struct drop_file *f, const char *part, int fd, uint64_t from, uint64_t size, bool *good, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	struct sftp_stat st;

	if (sftp_send(d->sftp, part, fd, from, size, e) < 0 || sftp_stat(d->sftp, part, &st, e) < 0)
		return -1;
	*good = st.kind == SFTP_FILE && st.size == size;
	if (!*good)
		return 0;
	if (drop_hash(d, part, size, digest, e) < 0)
		return -1;
	*good = memcmp(digest, f->digest, DIGEST_LEN) == 0;
	return 0;
}

static int send_file(struct putting *p, const struct drop_file *f, const char *path, int fd, uint64_t size, struct err *e)
{
	OWN_FREE char *part = drop_path(p->d, f->name, ".part");
	struct sftp_stat st;
	uint64_t from;
	bool good = false;

	if (!part)
		return err_sys(e, "%s", p->d->name);
	if (sftp_stat(p->d->sftp, part, &st, e) < 0)
		return -1;
	if (st.kind != SFTP_NONE && st.kind != SFTP_FILE)
		return err_set(e, ERR_REFUSED, "%s/%s.part is no plain file", p->d->name, f->name);
	from = st.kind == SFTP_FILE && st.size <= size ? st.size : 0;
	if (send_part(p->d, f, part, fd, from, size, &good, e) < 0)
		return -1;
	if (!good && from) {	/* what was there is not the beginning of this file */
		from = 0;
		if (send_part(p->d, f, part, fd, 0, size, &good, e) < 0)
			return -1;
	}
	if (!good)
		return err_set(e, ERR_INTEGRITY, "%s/%s.part does not read back as it was sent", p->d->name, f->name);
	p->n->files++;
	p->n->bytes += size - from;
	return sftp_rename(p->d->sftp, part, path, e);
}

static int put_file(struct putting *p, const struct drop_file *f, struct err *e)
{
	OWN_FREE char *path = drop_path(p->d, f->name, "");
	OWN_FD int fd = path_open_beneath(p->dirfd, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	uint8_t digest[DIGEST_LEN];
	struct sftp_stat st;
	uint64_t size;

	if (!path || fd < 0)
		return err_sys(e, "%s/%s", esc_s(p->local), f->name);
	if (digest_fd(fd, digest, &size, e) < 0)
		return -1;
	if (memcmp(digest, f->digest, DIGEST_LEN) != 0)
		return err_set(e, ERR_INTEGRITY, "%s/%s is not what the package lists", esc_s(p->local), f->name);
	if (make_parents(p, f->name, e) < 0 || sftp_stat(p->d->sftp, path, &st, e) < 0)
		return -1;
	if (st.kind == SFTP_NONE)
		return send_file(p, f, path, fd, size, e);
	p->n->kept++;
	return check_there(p->d, f, path, &st, size, e);
}

int drop_put(const struct drop *d, const char *local, struct drop_count *n, struct err *e)
{
	OWN(putting_dispose) struct putting p = { .d = d, .local = local, .dirfd = open(local, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .n = n };
	OWN_DROP_LIST struct drop_list l = { NULL, 0 };
	OWN_BUF struct buf tags = BUF_INIT;
	struct drop_file last = { .name = (char[]){ DROP_TAGS } };

	*n = (struct drop_count){ 0, 0, 0 };
	if (p.dirfd < 0)
		return err_sys(e, "open %s", esc_s(local));
	if (drop_list_local(&l, p.dirfd, esc_s(local), &tags, e) < 0 || digest_sha256(tags.data, tags.len, last.digest, e) < 0 ||
	    make_dir(d, d->dir, e) < 0 || drop_same(d, &tags, e) < 0)
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		sys_point("drop-put");
		if (put_file(&p, &l.v[i], e) < 0)
			return -1;
	}
	return put_file(&p, &last, e);
}
