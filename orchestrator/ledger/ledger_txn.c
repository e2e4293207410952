#include "esc.h"
#include "ledger_txn.h"

#include <errno.h>
#include <string.h>

#define LOOSE_MAX 24			/* beyond so many blobs one pack is cheaper than loose objects */
#define LOOSE_BYTES_MAX (4u << 20)

int ledger_txn_begin(struct ledger *l, const char *plan, struct ledger_txn **out, struct err *e)
{
	OWN_TXN struct ledger_txn *t = calloc(1, sizeof(*t));

	if (!t || !(t->plan = strdup(plan)))
		return err_sys(e, "ledger");
	t->l = l;
	if (!ledger_plan_ok(plan))
		return err_set(e, ERR_USAGE, "\"%s\" is no name of a plan", esc_s(plan));
	*out = take_ptr(&t);
	return 0;
}

static void drop_pending(struct ledger_txn *t)
{
	for (size_t i = 0; i < t->pending_count; i++)
		free(t->pending[i].data);
	free(t->pending);
	t->pending = NULL;
	t->pending_count = t->pending_bytes = 0;
}

void ledger_txn_abandon(struct ledger_txn *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->change_count; i++)
		free(t->changes[i].path);
	for (size_t i = 0; i < t->tag_count; i++)
		free(t->tags[i]);
	drop_pending(t);
	free(t->changes);
	free(t->tags);
	pack_stream_free(t->pack);
	free(t->plan);
	free(t);
}

/* Room for one more element behind n, growing in powers of two; NULL when memory is short (the array stays). */
static void *room_for(void *array, size_t n, size_t size)
{
	if (n && (n < 8 || (n & (n - 1)) != 0))
		return array;
	return reallocarray(array, n ? n * 2 : 8, size);
}

static int add_change(struct ledger_txn *t, const char *path, const git_oid *blob, struct err *e)
{
	struct change *grown, c = { .remove = blob == NULL };

	if (!ledger_path_ok(path))
		return err_set(e, ERR_BUG, "ledger path \"%s\" is out of grammar", esc_s(path));
	if (!(grown = room_for(t->changes, t->change_count, sizeof(*grown))))
		return err_sys(e, "ledger");
	t->changes = grown;
	if (!(c.path = strdup(path)))
		return err_sys(e, "ledger");
	if (blob)
		git_oid_cpy(&c.blob, blob);
	t->changes[t->change_count++] = c;
	return 0;
}

/* From single blobs to a pack. */
static int open_pack(struct ledger_txn *t, struct err *e)
{
	if (pack_stream_new(t->l, &t->pack, e) < 0)
		return -1;
	for (size_t i = 0; i < t->pending_count; i++)
		if (pack_stream_add(t->pack, GIT_OBJECT_BLOB, t->pending[i].data, t->pending[i].len, &t->pending[i].id, e) < 0)
			return -1;
	drop_pending(t);
	return 0;
}

static int keep_pending(struct ledger_txn *t, const void *p, size_t n, const git_oid *id, struct err *e)
{
	struct pending *grown = room_for(t->pending, t->pending_count, sizeof(*grown));
	void *copy;

	if (!grown)
		return err_sys(e, "ledger");
	t->pending = grown;
	if (!(copy = malloc(n + 1)))
		return err_sys(e, "ledger");
	if (n)
		memcpy(copy, p, n);
	t->pending[t->pending_count++] = (struct pending){ *id, copy, n };
	t->pending_bytes += n;
	return 0;
}

int ledger_txn_put(struct ledger_txn *t, const char *path, const void *p, size_t n, struct err *e)
{
	git_oid id;

	if (!n)
		p = "";
	if (git_name(&id, GIT_OBJECT_BLOB, p, n, e) < 0 || add_change(t, path, &id, e) < 0)
		return -1;
	if (!t->pack && git_odb_exists_ext(t->l->odb, &id, GIT_ODB_LOOKUP_NO_REFRESH) == 1)
		return 0;
	if (!t->pack && (t->pending_count >= LOOSE_MAX || t->pending_bytes + n > LOOSE_BYTES_MAX) && open_pack(t, e) < 0)
		return -1;
	return t->pack ? pack_stream_add(t->pack, GIT_OBJECT_BLOB, p, n, &id, e) : keep_pending(t, p, n, &id, e);
}

int ledger_txn_delete(struct ledger_txn *t, const char *path, struct err *e)
{
	return add_change(t, path, NULL, e);
}

int ledger_txn_tag(struct ledger_txn *t, const char *name, struct err *e)
{
	char **grown;

	if (!ledger_path_ok(name))
		return err_set(e, ERR_BUG, "tag \"%s\" is out of grammar", esc_s(name));
	if (!(grown = room_for(t->tags, t->tag_count, sizeof(*grown))))
		return err_sys(e, "ledger");
	t->tags = grown;
	if (!(t->tags[t->tag_count] = strdup(name)))
		return err_sys(e, "ledger");
	t->tag_count++;
	return 0;
}

int txn_apply(const struct ledger_txn *t, struct tree *tree, struct err *e)
{
	for (size_t i = 0; i < t->change_count; i++) {
		const struct change *c = &t->changes[i];

		if ((c->remove ? tree_delete(tree, c->path, e) : tree_put(tree, c->path, &c->blob, e)) < 0)
			return -1;
	}
	return 0;
}

struct deep { struct pack_stream *pack; unsigned from; };

/* Those above change again; without what they become these would be left over. */
static int pack_tree(void *ctx, git_object_t type, const void *p, size_t n, const git_oid *id, unsigned depth, struct err *e)
{
	const struct deep *d = ctx;

	return depth < d->from ? 0 : pack_stream_add(d->pack, type, p, n, id, e);
}

static int pack_trees(struct ledger_txn *t, unsigned from, struct err *e)
{
	OWN(tree_freep) struct tree *tree = NULL;
	OWN(git_tree_freep) git_tree *base = NULL;
	struct deep deep = { t->pack, from };
	git_oid head, ignored;
	int got = ledger_head_id(t->l, t->plan, &head, e);

	if (got < 0 || (got > 0 && ledger_commit_tree(t->l, &head, &base, e) < 0))
		return -1;
	if (tree_new(t->l, base ? git_tree_id(base) : NULL, &tree, e) < 0 || txn_apply(t, tree, e) < 0)
		return -1;
	return tree_write(tree, pack_tree, &deep, &ignored, e);
}

static int store_pack(struct ledger_txn *t, unsigned from, struct err *e)
{
	if (t->pack && (pack_trees(t, from, e) < 0 || pack_stream_commit(t->pack, e) < 0))
		return -1;
	pack_stream_free(take_ptr(&t->pack));
	return 0;
}

int ledger_txn_store(struct ledger_txn *t, const char *whole, struct err *e)
{
	unsigned depth = 1;

	for (const char *p = whole; (p = strchr(p, '/')); p++)
		depth++;
	return store_pack(t, depth, e);
}

int txn_flush(struct ledger_txn *t, struct err *e)
{
	git_oid id;
	int rc;

	if (store_pack(t, 1, e) < 0)	/* the root comes with the event */
		return -1;
	for (size_t i = 0; i < t->pending_count; i++)
		if ((rc = git_odb_write(&id, t->l->odb, t->pending[i].data, t->pending[i].len, GIT_OBJECT_BLOB)) < 0)
			return git_fail(e, rc, "write an object");
	drop_pending(t);
	return 0;
}
