#include "store_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "atomic_file.h"
#include "esc.h"
#include "io.h"
#include "sys.h"

#define FORMAT_FILE "format"
#define FORMAT_TEXT "waybill-store 1\n"

static const struct { const char *name, *suffix; } kinds[] = {
	[STORE_PACK] = { "pack", ".tar.zst" }, [STORE_SLICE] = { "slice", ".zst" }, [STORE_RECIPE] = { "recipe", ".recipe" },
	[STORE_ATTR] = { "attr", ".attr" }, [STORE_DOC] = { "doc", ".doc" }
};

const char *store_kind_suffix(enum store_kind k) { return kinds[k].suffix; }
const char *store_kind_name(enum store_kind k) { return kinds[k].name; }

bool store_kind_parse(const char *name, enum store_kind *k)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(name, kinds[i].name) == 0) {
			*k = (enum store_kind)i;
			return true;
		}
	return false;
}

void object_name(char out[OBJECT_NAME], enum store_kind k, const struct object_id *id)
{
	char hex[DIGEST_HEX];

	hex_of(id->sha256, DIGEST_LEN, hex);
	(void)snprintf(out, OBJECT_NAME, "%.2s/%s%s", hex, hex, kinds[k].suffix);
}

const char *object_label(char out[OBJECT_NAME], enum store_kind k, const struct object_id *id)
{
	char hex[DIGEST_HEX];

	hex_of(id->sha256, DIGEST_LEN, hex);
	(void)snprintf(out, OBJECT_NAME, "%s %s", kinds[k].name, hex);
	return out;
}

int store_sys(struct store *s, const char *what, struct err *e)
{
	err_sys(e, "store %s: %s", esc_s(s->dir), esc_s(what));
	if (e->sys == ENOSPC || e->sys == EDQUOT)
		return err_hint(e, "free space there and run the same command again");
	return -1;
}

const char *store_dir(const struct store *s) { return s->dir; }

int store_create(const char *dir, struct err *e)
{
	OWN_FD int fd = -1;

	if (io_mkdirs(AT_FDCWD, dir, 0700, e) < 0)
		return err_at(e, "store %s", esc_s(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "store %s", esc_s(dir));
	if (faccessat(fd, FORMAT_FILE, F_OK, 0) == 0)
		return 0;	/* store_open looks at what it says */
	if (io_mkdirs(fd, "objects", 0700, e) < 0 || io_mkdirs(fd, "tmp", 0700, e) < 0)
		return err_at(e, "store %s", esc_s(dir));
	/* Last, and it syncs the directory: with the format file the store is whole. */
	if (atomic_file_write(fd, FORMAT_FILE, 0444, FORMAT_TEXT, strlen(FORMAT_TEXT), e) < 0)
		return err_at(e, "store %s", esc_s(dir));
	return 0;
}

static int check_format(int fd, const char *dir, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (io_read_file(fd, FORMAT_FILE, 4096, &b, e) < 0) {
		if (e->sys == ENOENT)
			return err_set(e, ERR_PERMANENT, "%s is not a store of waybill: it has no file \"format\"", esc_s(dir));
		return err_at(e, "store %s", esc_s(dir));
	}
	if (b.len == strlen(FORMAT_TEXT) && memcmp(b.data, FORMAT_TEXT, b.len) == 0)
		return 0;
	return err_set(e, ERR_PERMANENT, "store %s is of a format that this waybill does not know: %s", esc_s(dir),
	    esc_s(b.data ? b.data : ""));
}

/* A live writer holds the lock of its file; whoever makes one notices when it lost it here (make_temp). */
static void drop_if_dead(int tmp_fd, const char *name)
{
	OWN_FD int fd = openat(tmp_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return;
	(void)unlinkat(tmp_fd, name, 0);
}

static int drop_dead(struct store *s, struct err *e)
{
	int fd = openat(s->tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN_DIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return store_sys(s, "tmp", e);
	}
	while ((de = readdir(d)))
		if (strncmp(de->d_name, "put-", 4) == 0)
			drop_if_dead(s->tmp_fd, de->d_name);
	return 0;
}

static int open_dirs(struct store *s, struct err *e)
{
	OWN_FD int fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "store %s", esc_s(s->dir));
	if (check_format(fd, s->dir, e) < 0)
		return -1;
	s->objects_fd = openat(fd, "objects", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->tmp_fd = openat(fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->objects_fd < 0 || s->tmp_fd < 0)
		return store_sys(s, s->objects_fd < 0 ? "objects" : "tmp", e);
	return store_share(s, e) < 0 ? -1 : drop_dead(s, e);
}

int store_open(struct store **out, const char *dir, struct err *e)
{
	struct store *s = calloc(1, sizeof(*s));

	if (!s || !(s->dir = strdup(dir))) {
		free(s);
		return err_set(e, ERR_TEMPORARY, "store: out of memory");
	}
	s->objects_fd = s->tmp_fd = -1;
	s->why = (struct err)ERR_INIT;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_mutex_init(&s->sync_lock, NULL);
	if (open_dirs(s, e) < 0) {
		store_close(s);
		return -1;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	while (s->first) {	/* never synced, so nobody relies on it */
		struct waiting *w = s->first;

		s->first = w->next;
		(void)unlinkat(s->tmp_fd, w->tmp, 0);
		(void)close(w->fd);
		free(w);
	}
	if (s->objects_fd >= 0)
		(void)close(s->objects_fd);
	if (s->tmp_fd >= 0)
		(void)close(s->tmp_fd);
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_mutex_destroy(&s->sync_lock);
	free(s->spare);
	free(s->dir);
	free(s);
}

bool store_find_waiting(struct store *s, enum store_kind k, const struct object_id *id, uint64_t *size, int *fd)
{
	bool found = false;

	(void)pthread_mutex_lock(&s->lock);
	for (struct waiting *w = s->first; w && !found; w = w->next) {
		if (w->kind != k || memcmp(&w->id, id, sizeof(*id)) != 0)
			continue;
		found = true;
		if (size)
			*size = w->size;
		/* A new description: the writer's own has its offset and its lock. */
		if (fd)
			*fd = openat(s->tmp_fd, w->tmp, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return found;
}

int store_has(struct store *s, enum store_kind k, const struct object_id *id, uint64_t *size, struct err *e)
{
	char name[OBJECT_NAME];
	struct stat st;

	/* First those that wait: they leave that list only after they stand under objects/. */
	if (store_find_waiting(s, k, id, size, NULL))
		return 1;
	object_name(name, k, id);
	if (fstatat(s->objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : store_sys(s, name, e);
	if (size)
		*size = (uint64_t)st.st_size;
	return 1;
}
