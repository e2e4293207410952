/* More names of an inode than the file system allows (ext4: 65000): the rest share a copy, and that is said. */
#include "apply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "esc.h"
#include "io.h"

static struct split *find(struct common *c, const char *first)
{
	for (size_t i = 0; i < c->split_count; i++)
		if (strcmp(c->splits[i].first, first) == 0)
			return &c->splits[i];
	return NULL;
}

/* All names of one inode that come in packs come in one, so nobody else changes its copy meanwhile. */
const char *split_source(struct apply *ap, const char *first)
{
	const struct split *s;
	const char *now;

	pthread_mutex_lock(&ap->common->lock);
	s = find(ap->common, first);
	now = s ? s->now : first;
	pthread_mutex_unlock(&ap->common->lock);
	return now;
}

static int remember_locked(struct common *c, const char *first, const char *now, struct err *e)
{
	struct split *s = find(c, first), *grown;
	char *copy = strdup(now);

	if (!copy)
		return err_sys(e, "%s", esc_s(now));
	if (!s) {
		if (!(grown = realloc(c->splits, (c->split_count + 1) * sizeof(*grown)))) {
			free(copy);
			return err_sys(e, "%s", esc_s(now));
		}
		c->splits = grown;
		s = &grown[c->split_count];
		if (!(s->first = strdup(first))) {
			free(copy);
			return err_sys(e, "%s", esc_s(now));
		}
		s->now = NULL;
		c->split_count++;
	}
	free(s->now);
	s->now = copy;
	return 0;
}

static int remember(struct apply *ap, const char *first, const char *now, struct err *e)
{
	int r;

	pthread_mutex_lock(&ap->common->lock);
	r = remember_locked(ap->common, first, now, e);
	pthread_mutex_unlock(&ap->common->lock);
	return r;
}

/* Data ranges only, so that holes stay holes. */
static int copy_data(struct apply *ap, int in, int out, off_t size, struct err *e)
{
	off_t at = 0;

	while (at < size) {
		off_t data = lseek(in, at, SEEK_DATA), end;

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0 || (end = lseek(in, data, SEEK_HOLE)) < 0)
			return err_sys(e, "its first name");
		for (at = data; at < end; ) {
			size_t n = end - at < (off_t)COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
			ssize_t got = io_pread_full(SITE, in, ap->copy, n, (uint64_t)at, "its first name", e);

			if (got < 0)
				return -1;
			if (got == 0)
				return err_set(e, ERR_TEMPORARY, "its first name shrank while it was copied");
			if (io_pwrite_all(SITE, out, ap->copy, (size_t)got, (uint64_t)at, "copy", e) < 0)
				return -1;
			at += got;
		}
	}
	return ftruncate(out, size) < 0 ? err_sys(e, "truncate") : 0;
}

static int copy_file(struct apply *ap, const struct entry *en, int dir, const char *name, const struct attr_set *attrs, struct err *e)
{
	OWN_FD int in = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), out = -1;
	char tmp[TMP_NAME];
	struct spot spot;
	struct stat st;

	if (in < 0 || fstat(in, &st) < 0)
		return err_sys(e, "its first name");
	if ((out = tree_tmp_file(ap, tmp, e)) < 0)
		return -1;
	if (ioctl(out, FICLONE, in) < 0 && copy_data(ap, in, out, st.st_size, e) < 0) {
		(void)unlinkat(ap->staging, tmp, 0);
		return -1;
	}
	spot = tree_staged(ap, tmp);
	return tree_finish(ap, en, attrs, take_fd(&out), &spot, e);
}

int split_copy(struct apply *ap, const struct entry *en, int dir, const char *name, struct err *e)
{
	OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;
	struct err why = ERR_INIT;
	struct entry alone = *en;	/* strings stay en's */
	int r;

	alone.link_to = NULL;
	if (attr_load(ap, en, &attrs, e) < 0)
		return -1;
	r = en->type == ENTRY_FILE ? copy_file(ap, &alone, dir, name, &attrs, e) : tree_special(ap, &alone, &attrs, e);
	if (r < 0 || remember(ap, en->link_to, en->path, e) < 0)
		return -1;
	(void)err_set(&why, ERR_PERMANENT, "this file system allows no more hard links to %s: from here on its names share a copy", esc_s(en->link_to));
	return agent_problem(ap->a, en->path, &why, e);
}

void split_dispose(struct common *c)
{
	for (size_t i = 0; i < c->split_count; i++) {
		free(c->splits[i].first);
		free(c->splits[i].now);
	}
	free(c->splits);
}
