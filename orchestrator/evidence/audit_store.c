/* The archive: what the versions name must be there. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "audit_private.h"
#include "esc.h"
#include "io.h"

#define RECIPE_MAX (256u << 20)
#define MISSING_MAX 20		/* named one by one; the rest is counted */

static const char *suffix(char kind)
{
	return kind == 'p' ? "tar.zst" : kind == 'r' ? "recipe" : kind == 's' ? "zst" : kind == 'd' ? "doc" : "attr";
}

static int by_id(const void *a, const void *b)
{
	const struct audit_object *x = a, *y = b;
	int c = memcmp(x->id, y->id, DIGEST_LEN);

	return c ? c : x->kind - y->kind;
}

static void unique(struct audit_objects *o)
{
	size_t k = 0;

	if (o->n)
		qsort(o->v, o->n, sizeof(*o->v), by_id);
	for (size_t i = 0; i < o->n; i++)
		if (k == 0 || by_id(&o->v[i], &o->v[k - 1]) != 0)
			o->v[k++] = o->v[i];
	o->n = k;
}

static void object_path(const struct audit_object *o, char out[160])
{
	char hex[DIGEST_HEX];

	hex_of(o->id, DIGEST_LEN, hex);
	(void)snprintf(out, 160, "objects/%.2s/%s.%s", hex, hex, suffix(o->kind));
}

/* True when it is there and, as far as asked, what its name says. */
static bool look(struct audit *a, int dir, const struct audit_object *o, bool full, size_t *missing)
{
	char path[160];
	OWN_FD int fd = -1;
	uint8_t d[DIGEST_LEN];
	uint64_t size;
	struct stat st;
	struct err e = ERR_INIT;

	object_path(o, path);
	a->r->objects++;
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0) {
		if ((*missing)++ < MISSING_MAX)
			audit_say(a, AUDIT_UNVERIFIED, "archive: %s: %s", path, strerror(errno));
		return false;
	}
	if (!S_ISREG(st.st_mode) || (st.st_size == 0 && o->kind != 'd')) {
		audit_say(a, AUDIT_ALTERED, "archive: %s is empty or no file", path);
		return false;
	}
	if (!full)
		return true;
	if (digest_fd(fd, d, &size, &e) < 0) {
		audit_say(a, AUDIT_UNVERIFIED, "archive: %s: %s", path, e.text);
		return false;
	}
	if (memcmp(d, o->id, DIGEST_LEN) != 0)
		audit_say(a, AUDIT_ALTERED, "archive: %s is not what its name says", path);
	return memcmp(d, o->id, DIGEST_LEN) == 0;
}

/* Slices that a recipe names: lines "slice HEX offset length" (waybill-recipe.5). */
static void look_at_slices(struct audit *a, int dir, const struct audit_object *recipe, size_t *missing)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct audit_object slice = { .kind = 's' };
	char path[160], hex[DIGEST_HEX];
	struct err e = ERR_INIT;
	uint8_t last[DIGEST_LEN] = { 0 };

	object_path(recipe, path);
	if (io_read_file(dir, path, RECIPE_MAX, &b, &e) < 0) {
		audit_say(a, AUDIT_UNVERIFIED, "archive: %s", e.text);
		return;
	}
	for (const char *p = b.data, *end = b.data + b.len; p && p < end; ) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = nl ? (size_t)(nl - p) : (size_t)(end - p);

		if (n > 6 + DIGEST_HEX && memcmp(p, "slice ", 6) == 0) {
			memcpy(hex, p + 6, DIGEST_HEX - 1);
			hex[DIGEST_HEX - 1] = '\0';
			if (hex_parse(hex, slice.id, DIGEST_LEN) && memcmp(last, slice.id, DIGEST_LEN) != 0) {
				memcpy(last, slice.id, DIGEST_LEN);
				(void)look(a, dir, &slice, a->o->full, missing);
			}
		}
		p += n + 1;
	}
}

void audit_store(struct audit *a, const char *store, struct audit_objects *o)
{
	OWN_FD int dir = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t missing = 0;

	if (dir < 0) {
		audit_say(a, AUDIT_UNVERIFIED, "archive %s: %s", esc_s(store), strerror(errno));
		return;
	}
	unique(o);
	for (size_t i = 0; i < o->n; i++)
		if (look(a, dir, &o->v[i], a->o->full, &missing) && o->v[i].kind == 'r')
			look_at_slices(a, dir, &o->v[i], &missing);
	if (missing > MISSING_MAX)
		audit_say(a, AUDIT_UNVERIFIED, "archive: %zu objects are missing in all", missing);
	if (!a->o->full)
		audit_say(a, AUDIT_NOTE, "archive: the objects are there; their contents were not read");
}
