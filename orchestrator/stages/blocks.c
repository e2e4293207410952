#include "blocks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomic_file.h"
#include "io.h"
#include "log.h"
#include "messages.h"
#include "version.h"

#define MAGIC "WBBLOCK1"
#define MAGIC_LEN 8
#define KEY_FILE "key"
#define FILE_MAX (20u << 20)	/* 16 MiB of hashes and the rest */

struct blocks {
	int dir;
	uint8_t key[MSG_KEY_LEN];
	uint8_t key_id[DIGEST_LEN];	/* tells whether hashes are of this key */
};

static int make_key(struct blocks *b, struct err *e)
{
	random_bytes(b->key, sizeof(b->key));
	return atomic_file_write(b->dir, KEY_FILE, 0600, b->key, sizeof(b->key), e);
}

static int load_key(struct blocks *b, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT;
	struct err why = ERR_INIT;

	if (io_read_file(b->dir, KEY_FILE, 4096, &text, &why) < 0 && why.sys != ENOENT) {
		*e = why;
		return -1;
	}
	/* Without its key what was known is of no use any more, and says so by its key id. */
	if (text.len != sizeof(b->key))
		return make_key(b, e);
	memcpy(b->key, text.data, sizeof(b->key));
	return 0;
}

int blocks_open(const struct workspace *w, const char *plan, const char *dataset, struct blocks **out, struct err *e)
{
	OWN(blocks_closep) struct blocks *b = calloc(1, sizeof(*b));
	char name[VERSION_REV];

	if (!b)
		return err_sys(e, "block hashes");
	b->dir = -1;
	(void)snprintf(name, sizeof(name), "%s.%s.blocks", plan, dataset);
	if (mkdirat(w->scanfd, name, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "mkdir scan/%s", name);
	if ((b->dir = openat(w->scanfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return err_sys(e, "open scan/%s", name);
	if (load_key(b, e) < 0 || digest_sha256(b->key, sizeof(b->key), b->key_id, e) < 0)
		return err_at(e, "scan/%s", name);
	*out = take_ptr(&b);
	return 0;
}

void blocks_close(struct blocks *b)
{
	if (!b)
		return;
	if (b->dir >= 0)
		(void)close(b->dir);
	free(b);
}

const uint8_t *blocks_key(const struct blocks *b) { return b->key; }

int blocks_save(struct blocks *b, const uint8_t sha256[DIGEST_LEN], const struct blocks_of *of, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT;
	uint8_t sum[DIGEST_LEN];
	char name[DIGEST_HEX];

	hex_of(sha256, DIGEST_LEN, name);
	buf_put(&text, MAGIC, MAGIC_LEN);
	buf_put(&text, b->key_id, DIGEST_LEN);
	buf_put(&text, of->recipe.sha256, DIGEST_LEN);
	buf_put_u64(&text, of->size);
	buf_put_u64(&text, of->block);
	buf_put(&text, of->hashes, of->bytes);
	if (buf_finish(&text, e) < 0 || digest_sha256(text.data, text.len, sum, e) < 0)
		return -1;
	buf_put(&text, sum, sizeof(sum));
	OWN_FD int fd = openat(b->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	/* Never synced: one that a crash left torn does not have its digest. */
	if (fd < 0)
		return err_sys(e, "block hashes");
	return buf_finish(&text, e) < 0 ? -1 : io_write_all("blocks", fd, text.data, text.len, "block hashes", e);
}

static bool decode(const struct blocks *b, const struct buf *text, struct blocks_of *of)
{
	uint8_t sum[DIGEST_LEN];
	struct err ignored = ERR_INIT;
	struct view v;
	const uint8_t *magic, *key, *recipe;

	if (text->len < DIGEST_LEN || digest_sha256(text->data, text->len - DIGEST_LEN, sum, &ignored) < 0 ||
	    memcmp(sum, text->data + text->len - DIGEST_LEN, DIGEST_LEN) != 0)
		return false;
	v = view_of(text->data, text->len - DIGEST_LEN);
	magic = view_raw(&v, MAGIC_LEN);
	key = view_raw(&v, DIGEST_LEN);
	recipe = view_raw(&v, DIGEST_LEN);
	*of = (struct blocks_of){ .size = view_u64(&v), .hashes = NULL };
	of->block = view_u64(&v);
	of->bytes = view_left(&v);
	of->hashes = view_raw(&v, of->bytes);
	if (v.failed || !magic || memcmp(magic, MAGIC, MAGIC_LEN) != 0 || !key || memcmp(key, b->key_id, DIGEST_LEN) != 0 || !recipe)
		return false;
	memcpy(of->recipe.sha256, recipe, DIGEST_LEN);
	return of->block && of->bytes / MSG_BLOCK_HASH == of->size / of->block + (of->size % of->block != 0);
}

int blocks_load(struct blocks *b, const uint8_t sha256[DIGEST_LEN], struct buf *text, struct blocks_of *of, struct err *e)
{
	struct err why = ERR_INIT;
	char name[DIGEST_HEX];

	hex_of(sha256, DIGEST_LEN, name);
	buf_reset(text);
	if (io_read_file(b->dir, name, FILE_MAX, text, &why) < 0) {
		if (why.sys != ENOENT)
			log_warn("block hashes of a content are not used: %s", why.text);
		return 0;
	}
	return buf_finish(text, e) < 0 ? -1 : decode(b, text, of);
}

int blocks_prune(struct blocks *b, const struct u64set *keep, struct err *e)
{
	int copy = openat(b->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN_DIR DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *de;
	uint8_t id[DIGEST_LEN];

	if (!d) {
		own_closep(&copy);
		return err_sys(e, "block hashes");
	}
	while ((de = readdir(d)))
		if (hex_parse(de->d_name, id, DIGEST_LEN) && !u64set_has(keep, u64set_key(id, DIGEST_LEN)) && unlinkat(b->dir, de->d_name, 0) < 0)
			return err_sys(e, "block hashes");
	return 0;
}
