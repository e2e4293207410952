#include "manifest_private.h"
#include "path.h"
#include "esc.h"

#include <errno.h>
#include <string.h>

int manifest_sum_init(struct manifest_sum *s, struct err *e)
{
	s->sha256 = digest_new(DIGEST_SHA256);
	s->sm3 = digest_new(DIGEST_SM3);
	if (!s->sha256 || !s->sm3)
		return err_set(e, ERR_PERMANENT, "SHA-256 or SM3 is not available from the OpenSSL library");
	return 0;
}

void manifest_sum_dispose(struct manifest_sum *s)
{
	digest_free(s->sha256);
	digest_free(s->sm3);
	s->sha256 = s->sm3 = NULL;
}

void manifest_sum_text(struct manifest_sum *s, const void *p, size_t n)
{
	digest_update(s->sha256, p, n);
	digest_update(s->sm3, p, n);
}

void manifest_sum_entry(struct manifest_sum *s, const struct entry *en)
{
	struct manifest_totals *t = &s->totals;

	t->skipped += en->outcome == ENTRY_SKIPPED;
	t->failed += en->outcome == ENTRY_FAILED;
	if (!entry_is_present(en))
		return;
	t->entries++;
	t->unsettled += en->outcome == ENTRY_UNSETTLED;
	t->files += en->type == ENTRY_FILE;
	t->dirs += en->type == ENTRY_DIR;
	if (entry_has_content(en))
		t->bytes += en->size;
}

void manifest_order_dispose(struct manifest_order *o)
{
	buf_dispose(&o->prev);
	free(o->dirs);
	o->dirs = NULL;
	o->depth = o->cap = 0;
}

/* Length of the parent's path; 0 for children of the root. */
static size_t parent_len(const struct entry *en)
{
	const char *slash = memrchr(en->path, '/', en->path_len);

	return slash ? (size_t)(slash - en->path) : 0;
}

static int push_dir(struct manifest_order *o, size_t len, struct err *e)
{
	if (o->depth == o->cap) {
		size_t cap = o->cap ? o->cap * 2 : 16;
		size_t *grown = reallocarray(o->dirs, cap, sizeof(*grown));

		if (!grown)
			return err_sys(e, "manifest");
		o->dirs = grown;
		o->cap = cap;
	}
	o->dirs[o->depth++] = len;
	return 0;
}

/* Forget the directories that do not lead to en. */
static void leave_dirs(struct manifest_order *o, const struct entry *en)
{
	while (o->depth) {
		size_t len = o->dirs[o->depth - 1];

		if (len == 0 || (len < en->path_len && en->path[len] == '/' && memcmp(o->prev.data, en->path, len) == 0))
			break;
		o->depth--;
	}
}

static int out_of_place(const struct entry *en, const char *what, struct err *e)
{
	char shown[256];

	return err_set(e, ERR_INTEGRITY, "entry \"%s\" %s", esc_into(shown, sizeof(shown), en->path, en->path_len), what);
}

int manifest_order_check(struct manifest_order *o, const struct entry *en, struct err *e)
{
	bool root = strcmp(en->path, ".") == 0;

	if (o->prev.len == 0 && !root)
		return out_of_place(en, "comes first, where the root \".\" belongs", e);
	if (o->prev.len && path_cmp(o->prev.data, o->prev.len, en->path, en->path_len) >= 0)
		return out_of_place(en, "is not in walk order, or there twice", e);
	leave_dirs(o, en);
	if (entry_is_present(en) && !root && (o->depth == 0 || o->dirs[o->depth - 1] != parent_len(en)))
		return out_of_place(en, "has no directory above it in the list", e);
	if (entry_is_present(en) && en->type == ENTRY_DIR && push_dir(o, root ? 0 : en->path_len, e) < 0)
		return -1;
	buf_reset(&o->prev);
	buf_put(&o->prev, en->path, en->path_len);
	return buf_finish(&o->prev, e);
}
