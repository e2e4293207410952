/* rooms: manifest
 * A manifest's text: what is taken is in order, safe, and says the same again, byte for byte. */
#include <stdlib.h>
#include <string.h>

#include "manifest.h"
#include "path.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct text { const uint8_t *p; size_t left; };

/* In small pieces, so that lines are cut anywhere. */
static int next_piece(void *ctx, struct buf *b, struct err *e)
{
	struct text *t = ctx;
	size_t n = t->left < 97 ? t->left : 97;

	if (n == 0)
		return 0;
	buf_put(b, t->p, n);
	t->p += n;
	t->left -= n;
	return buf_finish(b, e) < 0 ? -1 : 1;
}

static int no_line(void *ctx, const uint8_t sha256[DIGEST_LEN], uint64_t entries, const char *name)
{
	(void)ctx;
	(void)sha256;
	(void)entries;
	if (!path_is_safe(name, strlen(name)))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct text t = { p, n };
	struct manifest_reader *r = NULL;
	struct entry en = ENTRY_INIT;
	struct err e = ERR_INIT;
	struct buf again = BUF_INIT;
	char *prev = NULL;

	buf_puts(&again, "#mtree\n");
	if (manifest_reader_new(&r, next_piece, &t, &e) == 0) {
		int got;

		while ((got = manifest_reader_next(r, &en, &e)) == 1) {
			if (!path_is_safe(en.path, en.path_len) || (prev && path_cmp(prev, strlen(prev), en.path, en.path_len) >= 0))
				abort();
			manifest_format(&again, &en);
			free(prev);
			if (!(prev = strdup(en.path)))
				abort();
			entry_dispose(&en);
		}
		if (got == 0 && again.len > 7 && (again.len > n || memcmp(again.data + 7, p + n - (again.len - 7), again.len - 7) != 0))
			abort();
		manifest_reader_free(r);
	}
	entry_dispose(&en);
	buf_dispose(&again);
	free(prev);
	(void)!manifest_index_parse((const char *)p, n, no_line, NULL, &e);
	return 0;
}
