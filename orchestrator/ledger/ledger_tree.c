#include "esc.h"
#include "ledger_private.h"

#include <errno.h>
#include <string.h>

struct node {
	char *name;		/* owned; NULL for the root */
	bool is_dir, loaded, dirty;
	git_oid id;		/* of the blob, or of the tree as it was loaded; zero when new */
	struct node *kids;	/* owned; sorted by name bytes */
	size_t n, cap;
};

struct tree {
	struct ledger *l;	/* borrowed */
	struct node root;
};

static void node_dispose(struct node *d)
{
	for (size_t i = 0; i < d->n; i++)
		node_dispose(&d->kids[i]);
	free(d->kids);
	free(d->name);
	d->kids = NULL;
	d->name = NULL;
	d->n = d->cap = 0;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	node_dispose(&t->root);
	free(t);
}

int tree_new(struct ledger *l, const git_oid *base, struct tree **out, struct err *e)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return err_sys(e, "ledger");
	t->l = l;
	t->root.is_dir = true;
	t->root.loaded = base == NULL;
	if (base)
		git_oid_cpy(&t->root.id, base);
	*out = t;
	return 0;
}

/* Index of the first kid not below name; *found says whether it is name. */
static size_t place_of(const struct node *d, const char *name, size_t len, bool *found)
{
	size_t lo = 0, hi = d->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = strncmp(d->kids[mid].name, name, len);

		if (c == 0 && d->kids[mid].name[len])
			c = 1;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = lo < d->n && strncmp(d->kids[lo].name, name, len) == 0 && !d->kids[lo].name[len];
	return lo;
}

static struct node *insert_kid(struct node *d, size_t at, const char *name, size_t len, struct err *e)
{
	char *copy = strndup(name, len);

	if (copy && d->n == d->cap) {
		size_t cap = d->cap ? d->cap * 2 : 8;
		struct node *grown = reallocarray(d->kids, cap, sizeof(*grown));

		if (grown) {
			d->kids = grown;
			d->cap = cap;
		}
	}
	if (!copy || d->n == d->cap) {
		free(copy);
		errno = ENOMEM;
		err_sys(e, "ledger");
		return NULL;
	}
	memmove(d->kids + at + 1, d->kids + at, (d->n - at) * sizeof(*d->kids));
	d->kids[at] = (struct node){ .name = copy };
	d->n++;
	return &d->kids[at];
}

static int load_entry(struct node *d, const git_tree_entry *en, struct err *e)
{
	const char *name = git_tree_entry_name(en);
	git_filemode_t mode = git_tree_entry_filemode(en);
	bool found;
	size_t at = place_of(d, name, strlen(name), &found);
	struct node *kid;

	if (found || (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_TREE))
		return err_set(e, ERR_INTEGRITY, "ledger: \"%s\" is neither plain file nor directory", esc_s(name));
	if (!(kid = insert_kid(d, at, name, strlen(name), e)))
		return -1;
	kid->is_dir = mode == GIT_FILEMODE_TREE;
	git_oid_cpy(&kid->id, git_tree_entry_id(en));
	return 0;
}

static int load(struct tree *t, struct node *d, struct err *e)
{
	OWN(git_tree_freep) git_tree *tree = NULL;
	int rc;

	if (d->loaded)
		return 0;
	if ((rc = git_tree_lookup(&tree, t->l->repo, &d->id)) < 0)
		return git_fail(e, rc, "tree of %s", d->name ? d->name : "the head");
	for (size_t i = 0; i < git_tree_entrycount(tree); i++)
		if (load_entry(d, git_tree_entry_byindex(tree, i), e) < 0)
			return -1;
	d->loaded = true;
	return 0;
}

/* The directory d/name, made if it is not there. */
static struct node *enter(struct tree *t, struct node *d, const char *name, size_t len, struct err *e)
{
	struct node *kid;
	bool found;
	size_t at;

	if (load(t, d, e) < 0)
		return NULL;
	at = place_of(d, name, len, &found);
	d->dirty = true;
	if (!found) {
		if (!(kid = insert_kid(d, at, name, len, e)))
			return NULL;
		kid->is_dir = kid->loaded = true;
		return kid;
	}
	if (!d->kids[at].is_dir) {
		err_set(e, ERR_BUG, "ledger: \"%s\" is a file, not a directory", d->kids[at].name);
		return NULL;
	}
	return &d->kids[at];
}

int tree_put(struct tree *t, const char *path, const git_oid *blob, struct err *e)
{
	struct node *d = &t->root, *kid;
	const char *slash;
	bool found;
	size_t at;

	for (; (slash = strchr(path, '/')); path = slash + 1)
		if (!(d = enter(t, d, path, (size_t)(slash - path), e)))
			return -1;
	if (load(t, d, e) < 0)
		return -1;
	at = place_of(d, path, strlen(path), &found);
	if (found && d->kids[at].is_dir)
		return err_set(e, ERR_BUG, "ledger: \"%s\" is a directory, not a file", path);
	if (!(kid = found ? &d->kids[at] : insert_kid(d, at, path, strlen(path), e)))
		return -1;
	git_oid_cpy(&kid->id, blob);
	d->dirty = true;
	return 0;
}

int tree_delete(struct tree *t, const char *path, struct err *e)
{
	struct node *d = &t->root;
	size_t len, at;
	bool found;

	for (;; path += len + 1) {
		len = strcspn(path, "/");
		if (load(t, d, e) < 0)
			return -1;
		at = place_of(d, path, len, &found);
		if (!found || (path[len] && !d->kids[at].is_dir))
			return 0;
		/* Marked although nothing may be removed further down: the tree then comes out as it was. */
		d->dirty = true;
		if (!path[len])
			break;
		d = &d->kids[at];
	}
	node_dispose(&d->kids[at]);
	d->n--;
	memmove(d->kids + at, d->kids + at + 1, (d->n - at) * sizeof(*d->kids));
	return 0;
}

/* git's order: a directory's name counts as if it ended in '/'. */
static int git_order(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
	size_t nx = strlen(x->name), ny = strlen(y->name), n = nx < ny ? nx : ny;
	int c = memcmp(x->name, y->name, n), cx, cy;

	if (c)
		return c;
	cx = n < nx ? (unsigned char)x->name[n] : x->is_dir ? '/' : 0;
	cy = n < ny ? (unsigned char)y->name[n] : y->is_dir ? '/' : 0;
	return cx - cy;
}

static int serialise(const struct node *d, struct buf *b, struct err *e)
{
	OWN_FREE const struct node **v = calloc(d->n + 1, sizeof(*v));

	if (!v)
		return err_sys(e, "ledger");
	for (size_t i = 0; i < d->n; i++)
		v[i] = &d->kids[i];
	if (d->n)
		qsort(v, d->n, sizeof(*v), git_order);
	for (size_t i = 0; i < d->n; i++) {
		buf_puts(b, v[i]->is_dir ? "40000 " : "100644 ");
		buf_put(b, v[i]->name, strlen(v[i]->name) + 1);
		buf_put(b, v[i]->id.id, sizeof(v[i]->id.id));
	}
	return buf_finish(b, e);
}

static int write_node(struct node *d, object_fn fn, void *ctx, unsigned depth, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	git_oid id;

	for (size_t i = 0; i < d->n; i++) {
		struct node *kid = &d->kids[i];

		if (!kid->is_dir || !kid->dirty)
			continue;
		if (write_node(kid, fn, ctx, depth + 1, e) < 0)
			return -1;
		if (kid->n == 0) {
			node_dispose(kid);
			d->n--;
			memmove(kid, kid + 1, (d->n - i) * sizeof(*kid));
			i--;
		}
	}
	if (depth && d->n == 0)
		return 0;
	if (serialise(d, &b, e) < 0 || git_name(&id, GIT_OBJECT_TREE, b.data ? b.data : "", b.len, e) < 0)
		return -1;
	d->dirty = false;
	if (git_oid_equal(&id, &d->id))
		return 0;
	git_oid_cpy(&d->id, &id);
	return fn(ctx, GIT_OBJECT_TREE, b.data ? b.data : "", b.len, &id, depth, e);
}

int tree_write(struct tree *t, object_fn fn, void *ctx, git_oid *root, struct err *e)
{
	if ((t->root.dirty || git_oid_is_zero(&t->root.id)) && write_node(&t->root, fn, ctx, 0, e) < 0)
		return -1;
	git_oid_cpy(root, &t->root.id);
	return 0;
}

int tree_last_event(struct tree *t, char name[LEDGER_PATH_MAX], git_oid *blob, uint64_t *seq, struct err *e)
{
	struct node *d;
	bool found;
	size_t at;

	*seq = 0;
	if (load(t, &t->root, e) < 0)
		return -1;
	at = place_of(&t->root, "events", 6, &found);
	if (!found || !t->root.kids[at].is_dir)
		return 0;
	d = &t->root.kids[at];
	if (load(t, d, e) < 0)
		return -1;
	for (size_t i = 0; i < d->n; i++) {
		uint64_t v = event_name_seq(d->kids[i].name);

		if (v <= *seq || d->kids[i].is_dir)
			continue;
		*seq = v;
		(void)snprintf(name, LEDGER_PATH_MAX, "%s", d->kids[i].name);
		git_oid_cpy(blob, &d->kids[i].id);
	}
	return *seq > 0;
}
