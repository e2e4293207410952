/* Removing objects that nobody names. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "store_impl.h"
#include "sys.h"

int store_alone(struct store *s, bool *alone, struct err *e)
{
	*alone = flock(s->objects_fd, LOCK_EX | LOCK_NB) == 0;
	if (*alone || errno == EWOULDBLOCK)
		return *alone ? 0 : store_share(s, e);	/* a conversion that fails may have lost the lock that was held */
	return store_sys(s, "lock", e);
}

int store_share(struct store *s, struct err *e)
{
	int r;

	do
		r = flock(s->objects_fd, LOCK_SH);
	while (r < 0 && errno == EINTR);
	return r < 0 ? store_sys(s, "lock", e) : 0;
}

/* "<64 hex>.KIND" */
static bool parse(const char *name, enum store_kind *k, struct object_id *id)
{
	char hex[DIGEST_HEX];

	if (strlen(name) < DIGEST_HEX)
		return false;
	memcpy(hex, name, DIGEST_HEX - 1);
	hex[DIGEST_HEX - 1] = '\0';
	if (!hex_parse(hex, id->sha256, DIGEST_LEN))
		return false;
	for (*k = STORE_PACK; *k <= STORE_DOC; (*k)++)
		if (strcmp(name + DIGEST_HEX - 1, store_kind_suffix(*k)) == 0)
			return true;
	return false;
}

static int sweep_dir(struct store *s, int fd, const struct store_sweep *w, uint64_t *objects, uint64_t *bytes, struct err *e)
{
	OWN_DIR DIR *d = fdopendir(fd);
	struct dirent *de;

	if (!d) {
		(void)close(fd);
		return store_sys(s, "objects", e);
	}
	while ((errno = 0, de = readdir(d))) {
		enum store_kind k;
		struct object_id id;
		struct stat st;

		/* Documents are named by events and people, in more ways than are searched. */
		if (!parse(de->d_name, &k, &id) || k == STORE_DOC || w->named(w->ctx, k, &id))
			continue;
		if (fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || (w->remove && sys_unlinkat(STORE_SITE, fd, de->d_name, 0) < 0))
			return store_sys(s, de->d_name, e);
		(*objects)++;
		*bytes += (uint64_t)st.st_size;
	}
	return errno ? store_sys(s, "objects", e) : 0;
}

int store_sweep(struct store *s, const struct store_sweep *w, uint64_t *objects, uint64_t *bytes, struct err *e)
{
	*objects = *bytes = 0;
	for (unsigned i = 0; i < 256; i++) {
		char name[3];
		int fd;

		(void)snprintf(name, sizeof(name), "%02x", i);
		fd = openat(s->objects_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return store_sys(s, "objects", e);
		if (sweep_dir(s, fd, w, objects, bytes, e) < 0)
			return -1;
	}
	return 0;
}
