/* What a package lists, and what the drop holds of it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "drop_internal.h"
#include "esc.h"
#include "io.h"
#include "path.h"

void drop_list_dispose(struct drop_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(take_ptr(&l->v));
	l->n = 0;
}

static bool is_name(const char *p, size_t n, bool payload)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
	bool data = n > 5 && memcmp(p, "data/", 5) == 0;

	for (size_t i = 0; i < n; i++)
		if (!strchr(allowed, p[i]) || !p[i])
			return false;
	if (!path_is_safe(p, n) || data != payload || n > 512)
		return false;
	if ((n > 5 && memcmp(p + n - 5, ".part", 5) == 0) || (n == strlen(DROP_TAGS) && memcmp(p, DROP_TAGS, n) == 0))
		return false;
	return !(n == 1 && *p == '.');
}

static int add(struct drop_list *l, const char *name, size_t n, const uint8_t *digest, struct err *e)
{
	struct drop_file *v = (l->n & (l->n - 1)) ? l->v : realloc(l->v, (l->n ? 2 * l->n : 1) * sizeof(*v));

	if (!v)
		return err_sys(e, "package");
	l->v = v;
	if (!(v[l->n].name = strndup(name, n)))
		return err_sys(e, "package");
	memcpy(v[l->n].digest, digest, DIGEST_LEN);
	l->n++;
	return 0;
}

int drop_list_read(struct drop_list *l, const struct buf *text, bool payload, const char *whose, struct err *e)
{
	size_t line = 0, head = DIGEST_HEX - 1 + 2;

	for (const char *p = text->data; p && *p; ) {
		const char *end = strchr(p, '\n');
		uint8_t digest[DIGEST_LEN];
		char hex[DIGEST_HEX];
		size_t n = end ? (size_t)(end - p) : 0;

		line++;
		(void)snprintf(hex, sizeof(hex), "%.*s", DIGEST_HEX - 1, p);
		if (n <= head || memcmp(p + DIGEST_HEX - 1, "  ", 2) != 0 || !hex_parse(hex, digest, DIGEST_LEN) || !is_name(p + head, n - head, payload))
			return err_set(e, ERR_INTEGRITY, "%s: line %zu of its %s is none of a package's", whose, line, payload ? DROP_MANIFEST : DROP_TAGS);
		if (add(l, p + head, n - head, digest, e) < 0)
			return -1;
		p = end + 1;
	}
	return 0;
}

const struct drop_file *drop_list_find(const struct drop_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].name, name) == 0)
			return &l->v[i];
	return NULL;
}

static int listed_digest(const struct drop_list *tags, const struct buf *manifest, const char *whose, struct err *e)
{
	const struct drop_file *f = drop_list_find(tags, DROP_MANIFEST);
	uint8_t digest[DIGEST_LEN];

	if (digest_sha256(manifest->data ? manifest->data : "", manifest->len, digest, e) < 0)
		return -1;
	if (f && memcmp(f->digest, digest, DIGEST_LEN) == 0)
		return 0;
	return err_set(e, ERR_INTEGRITY, "%s: " DROP_MANIFEST " is not what its " DROP_TAGS " says", whose);
}

int drop_list_local(struct drop_list *l, int dirfd, const char *whose, struct buf *tags, struct err *e)
{
	OWN_DROP_LIST struct drop_list t = { NULL, 0 };
	OWN_BUF struct buf manifest = BUF_INIT;

	if (io_read_file(dirfd, DROP_TAGS, DROP_LIST_MAX, tags, e) < 0 || io_read_file(dirfd, DROP_MANIFEST, DROP_LIST_MAX, &manifest, e) < 0) {
		err_at(e, "%s", whose);
		return err_hint(e, "is it a whole package?");
	}
	if (drop_list_read(&t, tags, false, whose, e) < 0 || listed_digest(&t, &manifest, whose, e) < 0 ||
	    drop_list_read(l, &manifest, true, whose, e) < 0)
		return -1;
	for (size_t i = 0; i < t.n; i++)
		if (add(l, t.v[i].name, strlen(t.v[i].name), t.v[i].digest, e) < 0)
			return -1;
	return 0;
}

char *drop_path(const struct drop *d, const char *name, const char *suffix)
{
	char *out;

	return asprintf(&out, "%s/%s%s", strcmp(d->dir, "/") == 0 ? "" : d->dir, name, suffix) < 0 ? NULL : out;
}

static int into_digest(void *arg, const void *p, size_t n, struct err *e)
{
	(void)e;
	digest_update(arg, p, n);
	return 0;
}

int drop_hash(const struct drop *d, const char *path, uint64_t size, uint8_t digest[DIGEST_LEN], struct err *e)
{
	OWN(digest_freep) struct digest *h = digest_new(DIGEST_SHA256);

	if (!h)
		return err_set(e, ERR_TEMPORARY, "no memory for a digest");
	if (sftp_receive(d->sftp, path, 0, size, into_digest, h, e) < 0)
		return -1;
	digest_final(h, digest);
	return 0;
}

static int into_buf(void *arg, const void *p, size_t n, struct err *e)
{
	buf_put(arg, p, n);
	return buf_finish(arg, e);
}

int drop_read(const struct drop *d, const char *name, uint64_t limit, struct buf *b, struct err *e)
{
	OWN_FREE char *path = drop_path(d, name, "");
	struct sftp_stat st;

	if (!path)
		return err_sys(e, "%s", d->name);
	if (sftp_stat(d->sftp, path, &st, e) < 0)
		return -1;
	if (st.kind == SFTP_NONE)
		return 0;
	if (st.kind != SFTP_FILE || st.size > limit)
		return err_set(e, ERR_INTEGRITY, "%s/%s is no file of a package", d->name, name);
	return sftp_receive(d->sftp, path, 0, st.size, into_buf, b, e) < 0 ? -1 : 1;
}

int drop_same(const struct drop *d, const struct buf *tags, struct err *e)
{
	OWN_BUF struct buf there = BUF_INIT;
	int got = drop_read(d, DROP_TAGS, DROP_LIST_MAX, &there, e);

	if (got <= 0)
		return got;
	if (there.len == tags->len && memcmp(there.data ? there.data : "", tags->data ? tags->data : "", tags->len) == 0)
		return 1;
	err_set(e, ERR_REFUSED, "%s holds another package, or its " DROP_TAGS " was changed", d->name);
	return err_hint(e, "name another directory, or remove it there");
}
