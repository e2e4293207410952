#include "loose_check.h"

#include <fcntl.h>
#include <git2/sys/odb_backend.h>
#if __has_include(<git2/sys/errors.h>)	/* where git_error_set_str went after 1.5 */
#include <git2/sys/errors.h>
#endif
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "own.h"

#define PRIORITY 100		/* above the loose and packed objects of the repository itself: 1 and 2 */

struct check {
	git_odb_backend parent;		/* first: libgit2 hands this back */
	int dir;			/* of the objects */
};

/* True when the stream in fd comes to its end. */
static bool inflates(int fd)
{
	unsigned char in[16384], out[65536];
	z_stream z = { .next_in = in };
	int r = inflateInit(&z);
	ssize_t n;

	if (r != Z_OK)
		return true;		/* no memory: nothing can be said */
	while (r == Z_OK && (n = read(fd, in, sizeof(in))) > 0) {
		z.next_in = in;
		z.avail_in = (uInt)n;
		do {
			z.next_out = out;
			z.avail_out = sizeof(out);
			r = inflate(&z, Z_NO_FLUSH);
		} while (r == Z_OK && (z.avail_in || !z.avail_out));
		if (r == Z_BUF_ERROR)
			r = Z_OK;	/* only wants more */
	}
	(void)inflateEnd(&z);
	return r == Z_STREAM_END;
}

/* GIT_ENOTFOUND sends libgit2 on to where the object really is. */
static int look(const git_odb_backend *b, const git_oid *id)
{
	const struct check *c = (const void *)b;
	char hex[GIT_OID_HEXSZ + 1], path[GIT_OID_HEXSZ + 2], text[160];
	OWN_FD int fd = -1;

	git_oid_tostr(hex, sizeof(hex), id);
	(void)snprintf(path, sizeof(path), "%.2s/%s", hex, hex + 2);
	fd = openat(c->dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || inflates(fd))
		return GIT_ENOTFOUND;
	(void)snprintf(text, sizeof(text), "the object objects/%s is cut off or damaged", path);
	git_error_set_str(GIT_ERROR_ZLIB, text);
	return GIT_ERROR;
}

static int read_object(void **data, size_t *n, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
	(void)data, (void)n, (void)type;
	return look(b, id);
}

static int read_header(size_t *n, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
	(void)n, (void)type;
	return look(b, id);
}

static int no_objects(git_odb_backend *b, git_odb_foreach_cb fn, void *payload)
{
	(void)b, (void)fn, (void)payload;
	return 0;
}

static void check_free(git_odb_backend *b)
{
	struct check *c = (void *)b;

	(void)close(c->dir);
	free(c);
}

int loose_check_install(git_repository *repo)
{
	struct check *c = calloc(1, sizeof(*c));
	char path[PATH_MAX];
	git_odb *odb = NULL;
	int r;

	if (!c) {
		git_error_set_str(GIT_ERROR_NOMEMORY, "out of memory");
		return GIT_ERROR;
	}
	(void)snprintf(path, sizeof(path), "%s/objects", git_repository_commondir(repo));
	c->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dir < 0) {		/* no objects: libgit2 says so when it looks for one */
		free(c);
		return 0;
	}
	r = git_odb_init_backend(&c->parent, GIT_ODB_BACKEND_VERSION);
	c->parent.read = read_object;
	c->parent.read_header = read_header;
	c->parent.foreach = no_objects;
	c->parent.free = check_free;
	if (r == 0)
		r = git_repository_odb(&odb, repo);
	if (r == 0)
		r = git_odb_add_backend(odb, &c->parent, PRIORITY);
	git_odb_free(odb);
	if (r < 0)
		check_free(&c->parent);
	return r;
}
