#include "sent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io.h"
#include "known.h"
#include "path.h"
#include "version.h"

#define SENT_MAX (1u << 30)

struct sent {
	int fd;
	struct buf pending;
	struct sent_name *left;		/* owned */
	size_t count;
};

static int keep(struct sent *s, uint8_t type, const char *path, struct err *e)
{
	struct sent_name *v = s->left;

	if ((s->count & (s->count - 1)) == 0 && !(v = reallocarray(s->left, s->count ? s->count * 2 : 1, sizeof(*v))))
		return err_sys(e, "names sent before");
	s->left = v;
	v[s->count] = (struct sent_name){ strdup(path), (enum entry_type)type };
	return v[s->count++].path ? 0 : err_sys(e, "names sent before");
}

struct names { struct run *r; const struct plan_dataset *d; uint64_t version, pass; struct known *k; struct known_item head; bool have; };

static int rewind_known(struct names *n, struct err *e)
{
	known_item_dispose(&n->head);
	known_close(take_ptr(&n->k));
	if (known_open(n->r->w, n->r->plan->name, n->d->name, n->version, n->pass, &n->k, e) < 0)
		return -1;
	int got = known_next(n->k, &n->head, e);

	n->have = got == 1;
	return got < 0 ? -1 : 0;
}

/* Is path known?  Called in walk order since the last rewind.  1, 0, -1. */
static int is_known(struct names *n, const char *path, struct err *e)
{
	while (n->have) {
		int c = path_cmp(n->head.entry.path, n->head.entry.path_len, path, strlen(path)), got;

		if (c >= 0)
			return c == 0;
		if ((got = known_next(n->k, &n->head, e)) < 0)
			return -1;
		n->have = got == 1;
	}
	return 0;
}

static int by_path(const void *a, const void *b)
{
	const char *x = *(const char *const *)a + 1, *y = *(const char *const *)b + 1;

	return path_cmp(x, strlen(x), y, strlen(y));
}

/* A record that was cut with its process, or is none: what comes after it is not believed.  *v: each begins with its type. */
static int records(const struct buf *b, const char ***v, size_t *count, struct err *e)
{
	const char *p = b->data, *end = p + b->len, *stop;

	for (; p < end; p = stop + 1) {
		const uint8_t type = (uint8_t)*p;
		const char **more = *v;

		stop = memchr(p, '\0', (size_t)(end - p));
		if (!stop || type < ENTRY_FILE || type > ENTRY_SOCKET || !path_is_safe(p + 1, (size_t)(stop - p) - 1))
			return 0;
		if ((*count & (*count - 1)) == 0 && !(more = reallocarray(*v, *count ? *count * 2 : 1, sizeof(*more))))
			return err_sys(e, "names sent before");
		*v = more;
		more[(*count)++] = p;
	}
	return 0;
}

/* Packs come in the order in which they are full: sorted, the known state has to be gone through only once. */
static int sift(struct sent *s, struct names *n, const struct buf *b, struct err *e)
{
	OWN_FREE const char **v = NULL;
	size_t count = 0;

	if (records(b, &v, &count, e) < 0 || (count && rewind_known(n, e) < 0))
		return -1;
	if (count)
		qsort(v, count, sizeof(*v), by_path);
	for (size_t i = 0; i < count; i++) {
		int known = i && by_path(&v[i - 1], &v[i]) == 0 ? 1 : is_known(n, v[i] + 1, e);

		if (known < 0 || (known == 0 && keep(s, (uint8_t)*v[i], v[i] + 1, e) < 0))
			return -1;
	}
	return 0;
}

static int read_left(struct sent *s, struct names *n, const char *name, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	int r;

	if (io_read_file(n->r->w->scanfd, name, SENT_MAX, &b, e) < 0) {
		if (e->sys != ENOENT)
			return -1;
		err_clear(e);
		return 0;
	}
	r = b.len ? sift(s, n, &b, e) : 0;
	known_item_dispose(&n->head);
	known_close(n->k);
	return r;
}

static void list_name(const struct run *r, const char *dataset, char out[VERSION_REV])
{
	(void)snprintf(out, VERSION_REV, "%s.%s.sent", r->plan->name, dataset);
}

int sent_forget(struct run *r, const char *dataset, struct err *e)
{
	char name[VERSION_REV];

	list_name(r, dataset, name);
	return unlinkat(r->w->scanfd, name, 0) < 0 && errno != ENOENT ? err_sys(e, "list of names sent") : 0;
}

int sent_open(struct run *r, const struct plan_dataset *d, uint64_t version, uint64_t pass, struct sent **out, struct err *e)
{
	struct sent *s = calloc(1, sizeof(*s));
	struct names n = { .r = r, .d = d, .version = version, .pass = pass };
	char name[VERSION_REV];

	*out = s;
	if (!s)
		return err_sys(e, "names sent before");
	s->fd = -1;
	list_name(r, d->name, name);
	if (read_left(s, &n, name, e) < 0)
		return -1;
	s->fd = openat(r->w->scanfd, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->fd < 0)
		return err_sys(e, "list of names sent");
	/* While something is left the old runs stay: this pass may be cut as well. */
	return s->count == 0 && ftruncate(s->fd, 0) < 0 ? err_sys(e, "list of names sent") : 0;
}

int sent_add(struct sent *s, const char *path, enum entry_type type, struct err *e)
{
	buf_put_u8(&s->pending, (uint8_t)type);
	buf_put(&s->pending, path, strlen(path) + 1);
	return buf_finish(&s->pending, e);
}

int sent_flush(struct sent *s, struct err *e)
{
	if (s->pending.len && io_write_all("sent", s->fd, s->pending.data, s->pending.len, "list of names sent", e) < 0)
		return -1;
	buf_reset(&s->pending);
	return 0;
}

const struct sent_name *sent_left(const struct sent *s, size_t *n)
{
	*n = s->count;
	return s->left;
}

void sent_clear(struct sent *s)
{
	/* A list that stays too long is only looked through once more. */
	(void)!ftruncate(s->fd, 0);
}

void sent_close(struct sent *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		(void)close(s->fd);
	for (size_t i = 0; i < s->count; i++)
		free(s->left[i].path);
	free(s->left);
	buf_dispose(&s->pending);
	free(s);
}
