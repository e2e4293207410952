#include "esc.h"
#include "ledger_private.h"

#include <errno.h>
#include <string.h>

static bool is_commit_hex(const char *s)
{
	return strlen(s) == 40 && strspn(s, "0123456789abcdef") == 40;
}

/* Commit that plan and rev name: 1, 0, -1. */
static int resolve(struct ledger *l, const char *plan, const char *rev, git_oid *id, struct err *e)
{
	char hex[LEDGER_OID];
	int got;

	if (!rev)
		return ledger_head_id(l, plan, id, e);
	if (!is_commit_hex(rev)) {
		if ((got = ledger_tag(l, rev, hex, e)) <= 0)
			return got;
		rev = hex;
	}
	got = git_oid_fromstr(id, rev);
	return got < 0 ? git_fail(e, got, "commit %s", rev) : 1;
}

/* What lies at path: 1 (entry owned by the caller), 0, -1. */
static int find(struct ledger *l, const char *plan, const char *rev, const char *path, git_tree_entry **out, struct err *e)
{
	OWN(git_tree_freep) git_tree *tree = NULL;
	git_oid id;
	int got, rc;

	if (!ledger_path_ok(path))
		return err_set(e, ERR_BUG, "ledger path \"%s\" is out of grammar", esc_s(path));
	if ((got = resolve(l, plan, rev, &id, e)) <= 0)
		return got;
	if (ledger_commit_tree(l, &id, &tree, e) < 0)
		return -1;
	rc = git_tree_entry_bypath(out, tree, path);
	if (rc == GIT_ENOTFOUND) {
		git_error_clear();
		return 0;
	}
	return rc < 0 ? git_fail(e, rc, "%s", path) : 1;
}

int ledger_read(struct ledger *l, const char *plan, const char *rev, const char *path, struct buf *b, struct err *e)
{
	OWN(git_tree_entry_freep) git_tree_entry *en = NULL;
	int got = find(l, plan, rev, path, &en, e);

	if (got <= 0)
		return got;
	if (git_tree_entry_filemode(en) != GIT_FILEMODE_BLOB)
		return err_set(e, ERR_INTEGRITY, "ledger: %s is no plain file", path);
	if (ledger_read_blob(l, git_tree_entry_id(en), LEDGER_BLOB_MAX, b, e) < 0)
		return err_at(e, "%s", path);
	return 1;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(git_tree_entry_name(*(const git_tree_entry *const *)a), git_tree_entry_name(*(const git_tree_entry *const *)b));
}

/* git sorts directories as if their names ended in '/': we promise plain byte order. */
static int list_tree(git_tree *tree, int (*fn)(void *ctx, const char *name, bool is_dir), void *ctx, struct err *e)
{
	size_t n = git_tree_entrycount(tree);
	OWN_FREE const git_tree_entry **v = calloc(n + 1, sizeof(*v));

	if (!v)
		return err_sys(e, "ledger");
	for (size_t i = 0; i < n; i++)
		v[i] = git_tree_entry_byindex(tree, i);
	if (n)
		qsort(v, n, sizeof(*v), by_name);
	for (size_t i = 0; i < n; i++)
		if (fn(ctx, git_tree_entry_name(v[i]), git_tree_entry_filemode(v[i]) == GIT_FILEMODE_TREE) != 0)
			break;
	return 0;
}

int ledger_list(struct ledger *l, const char *plan, const char *rev, const char *dir,
    int (*fn)(void *ctx, const char *name, bool is_dir), void *ctx, struct err *e)
{
	OWN(git_tree_entry_freep) git_tree_entry *en = NULL;
	OWN(git_tree_freep) git_tree *tree = NULL;
	int rc, got = find(l, plan, rev, dir, &en, e);

	if (got <= 0)
		return got;
	if (git_tree_entry_filemode(en) != GIT_FILEMODE_TREE)
		return err_set(e, ERR_INTEGRITY, "ledger: %s is no directory", dir);
	if ((rc = git_tree_lookup(&tree, l->repo, git_tree_entry_id(en))) < 0)
		return git_fail(e, rc, "%s", dir);
	return list_tree(tree, fn, ctx, e);
}
