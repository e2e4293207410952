#include "passfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct passfile {
	FILE *f;
	int fd;			/* of a view: borrowed from the file it looks at, read from at on */
	off_t at;
	struct buf record;	/* the record being written or read */
	char *prev;		/* path of the entry before, for prefix coding */
};

int passfile_new(struct passfile **out, int dirfd, struct err *e)
{
	OWN_FD int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	OWN(passfile_freep) struct passfile *p = calloc(1, sizeof(*p));

	if (fd < 0 || !p)
		return err_sys(e, "temporary file in the workspace's scan directory");
	if (!(p->f = fdopen(fd, "w+")))
		return err_sys(e, "temporary file in the workspace's scan directory");
	(void)take_fd(&fd);
	*out = take_ptr(&p);
	return 0;
}

static ssize_t view_read(void *view, char *to, size_t n)
{
	struct passfile *p = view;
	ssize_t r;

	while ((r = pread(p->fd, to, n, p->at)) < 0 && errno == EINTR)
		;
	p->at += r > 0 ? r : 0;
	return r;
}

int passfile_view(struct passfile *of, struct passfile **out, struct err *e)
{
	static const cookie_io_functions_t io = { .read = view_read };
	OWN(passfile_freep) struct passfile *p = calloc(1, sizeof(*p));

	if (!p || fflush(of->f) != 0)
		return err_sys(e, "write the pass file in the workspace");
	p->fd = fileno(of->f);
	if (!(p->f = fopencookie(p, "r", io)))
		return err_sys(e, "pass file");
	*out = take_ptr(&p);
	return 0;
}

static int remember(struct passfile *p, const struct entry *en, struct err *e)
{
	char *copy = strdup(en->path);

	if (!copy)
		return err_sys(e, "pass file");
	free(p->prev);
	p->prev = copy;
	return 0;
}

int passfile_add(struct passfile *p, const struct entry *en, uint64_t place, struct err *e)
{
	uint32_t len;

	buf_reset(&p->record);
	buf_put_varint(&p->record, place);
	entry_encode(&p->record, en, p->prev);
	if (buf_finish(&p->record, e) < 0)
		return -1;
	len = (uint32_t)p->record.len;
	if (fwrite(&len, sizeof(len), 1, p->f) != 1 || fwrite(p->record.data, 1, len, p->f) != len)
		return err_sys(e, "write the pass file in the workspace");
	return remember(p, en, e);
}

int passfile_rewind(struct passfile *p, struct err *e)
{
	if (fflush(p->f) != 0 || fseek(p->f, 0, SEEK_SET) != 0)
		return err_sys(e, "write the pass file in the workspace");
	free(take_ptr(&p->prev));
	return 0;
}

int passfile_next(struct passfile *p, struct entry *en, uint64_t *place, struct err *e)
{
	uint32_t len;
	struct view v;
	char *room;

	if (fread(&len, sizeof(len), 1, p->f) != 1)
		return ferror(p->f) ? err_sys(e, "read the pass file") : 0;
	buf_reset(&p->record);
	if (!(room = buf_reserve(&p->record, len)))
		return buf_finish(&p->record, e);
	if (fread(room, 1, len, p->f) != len)
		return err_set(e, ERR_BUG, "the pass file is cut short");
	v = view_of(room, len);
	*place = view_varint(&v);
	if (entry_decode(&v, en, p->prev, e) < 0 || remember(p, en, e) < 0)
		return -1;
	return 1;
}

void passfile_free(struct passfile *p)
{
	if (!p)
		return;
	if (p->f)
		(void)fclose(p->f);
	buf_dispose(&p->record);
	free(p->prev);
	free(p);
}
