#include "history.h"

#include <errno.h>
#include <git2.h>
#if __has_include(<git2/sys/errors.h>)	/* where git_error_clear went after 1.5 */
#include <git2/sys/errors.h>
#endif
#include <string.h>

#include "esc.h"
#include "loose_check.h"

struct history { git_repository *repo; };

/* What libgit2 said, as one of the classes an audit tells apart. */
static int fail(struct err *e, int code, const char *what)
{
	const git_error *g = git_error_last();
	const char *said = g && g->message ? g->message : "unknown";
	enum err_class c = code == GIT_ENOTFOUND ? ERR_UNVERIFIED : ERR_INTEGRITY;

	if (g && g->klass == GIT_ERROR_NOMEMORY)
		c = ERR_TEMPORARY;
	else if (g && g->klass == GIT_ERROR_OS)
		c = ERR_UNVERIFIED;
	err_set(e, c, "git: %s: %s", esc_s(what), esc_s(said));
	git_error_clear();
	return -1;
}

int history_open(struct history **out, const char *dir, struct err *e)
{
	struct history *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return err_sys(e, "ledger %s", esc_s(dir));
	if (git_libgit2_init() < 0) {
		free(h);
		return err_set(e, ERR_PERMANENT, "libgit2 cannot be started");
	}
	/* an auditor rarely owns what he audits, and nothing of the repository's configuration is run */
	(void)git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	r = git_repository_open_ext(&h->repo, dir, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
	if (r < 0) {
		const git_error *g = git_error_last();

		err_set(e, ERR_USAGE, "%s is no git repository (%s)", esc_s(dir), g ? esc_s(g->message) : "unknown");
		history_close(h);
		return -1;
	}
	if ((r = loose_check_install(h->repo)) < 0) {
		(void)fail(e, r, dir);
		history_close(h);
		return -1;
	}
	*out = h;
	return 0;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	git_repository_free(h->repo);
	free(h);
	(void)git_libgit2_shutdown();
}

/* ---- refs ---- */

struct names { char **v; size_t n; };
static void names_dispose(struct names *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int names_of(struct history *h, const char *glob, struct names *out, struct err *e)
{
	git_reference_iterator *it = NULL;
	const char *name;
	int r = git_reference_iterator_glob_new(&it, h->repo, glob);

	while (r == 0 && (r = git_reference_next_name(&name, it)) == 0) {
		char **v = realloc(out->v, (out->n + 1) * sizeof(*v));

		if (v)
			out->v = v;
		if (!v || !(v[out->n] = strdup(name))) {
			git_reference_iterator_free(it);
			return err_sys(e, "references");
		}
		out->n++;
	}
	git_reference_iterator_free(it);
	if (r != GIT_ITEROVER)
		return fail(e, r, "references");
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_name);
	return 0;
}

int history_plans(struct history *h, int (*fn)(void *ctx, const char *plan), void *ctx, struct err *e)
{
	OWN(names_dispose) struct names names = { NULL, 0 };

	if (names_of(h, "refs/heads/*", &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		const char *plan = names.v[i] + strlen("refs/heads/");

		if (*plan != '_' && fn(ctx, plan) != 0)
			break;
	}
	return 0;
}

static int commit_of(struct history *h, const char *ref, git_oid *out)
{
	git_object *o = NULL;
	int r = git_revparse_single(&o, h->repo, ref);
	git_object *c = NULL;

	if (r == 0)
		r = git_object_peel(&c, o, GIT_OBJECT_COMMIT);
	if (r == 0)
		git_oid_cpy(out, git_object_id(c));
	git_object_free(c);
	git_object_free(o);
	return r;
}

static void hex(char out[HISTORY_OID], const git_oid *id) { git_oid_tostr(out, HISTORY_OID, id); }

/* PLAN/DATASET/NUMBER */
static bool is_version(const char *tag)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t plan = strspn(tag, name), dataset = tag[plan] == '/' ? strspn(tag + plan + 1, name) : 0;
	const char *number = tag + plan + 1 + dataset;

	return plan && dataset && number[0] == '/' && number[1] && strspn(number + 1, "0123456789") == strlen(number + 1);
}

int history_tags(struct history *h, const char *plan, int (*fn)(void *ctx, const char *name, const char *oid), void *ctx, struct err *e)
{
	OWN(names_dispose) struct names names = { NULL, 0 };
	char glob[256], oid[HISTORY_OID];
	git_oid id;
	int r;

	(void)snprintf(glob, sizeof(glob), "refs/tags/%s/*", plan ? plan : "*");
	if (names_of(h, glob, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		if (!plan && !is_version(names.v[i] + strlen("refs/tags/")))
			continue;	/* somebody's own */
		if ((r = commit_of(h, names.v[i], &id)) < 0)
			return fail(e, r, names.v[i]);
		hex(oid, &id);
		if (fn(ctx, names.v[i] + strlen("refs/tags/"), oid) != 0)
			break;
	}
	return 0;
}

static int head_of(struct history *h, const char *plan, git_oid *id, struct err *e)
{
	char ref[256];
	int r;

	(void)snprintf(ref, sizeof(ref), "refs/heads/%s", plan);
	r = git_reference_name_to_id(id, h->repo, ref);
	if (r == GIT_ENOTFOUND)
		return 0;
	return r < 0 ? fail(e, r, ref) : 1;
}

int history_head(struct history *h, const char *plan, char oid[HISTORY_OID], struct err *e)
{
	git_oid id;
	int r = head_of(h, plan, &id, e);

	if (r == 1)
		hex(oid, &id);
	return r;
}

/* ---- changes of one commit ---- */

struct changes { struct history_change *v; size_t n; };
static void changes_dispose(struct changes *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i].path);
	free(c->v);
}

static char how_of(const git_diff_delta *d)
{
	uint16_t mode = d->status == GIT_DELTA_DELETED ? d->old_file.mode : d->new_file.mode;

	if (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_BLOB_EXECUTABLE)
		return 'T';
	return d->status == GIT_DELTA_ADDED ? 'A' : d->status == GIT_DELTA_DELETED ? 'D' : d->status == GIT_DELTA_MODIFIED ? 'M' : 'T';
}

static bool add_change(struct changes *c, const git_diff_delta *d)
{
	struct history_change *v;
	const char *path = d->status == GIT_DELTA_DELETED ? d->old_file.path : d->new_file.path;

	if ((c->n & (c->n - 1)) == 0) {
		if (!(v = realloc(c->v, (c->n ? c->n * 2 : 1) * sizeof(*v))))
			return false;
		c->v = v;
	}
	c->v[c->n].how = how_of(d);
	if (!(c->v[c->n].path = strdup(path)))
		return false;
	c->n++;
	return true;
}

/* From the list alone: git_diff_foreach would read every blob, and stop at a damaged one. */
static int add_changes(struct changes *c, const git_diff *diff)
{
	size_t n = git_diff_num_deltas(diff);

	for (size_t i = 0; i < n; i++)
		if (!add_change(c, git_diff_get_delta(diff, i)))
			return GIT_ERROR;
	return 0;
}

static int changes_of(struct history *h, git_commit *c, struct changes *out)
{
	git_tree *now = NULL, *was = NULL;
	git_commit *parent = NULL;
	git_diff *diff = NULL;
	git_diff_options o;
	int r = git_diff_options_init(&o, GIT_DIFF_OPTIONS_VERSION);

	if (r == 0)
		r = git_commit_tree(&now, c);
	o.flags |= GIT_DIFF_INCLUDE_TYPECHANGE | GIT_DIFF_SKIP_BINARY_CHECK;
	if (r == 0 && git_commit_parentcount(c) > 0) {
		r = git_commit_parent(&parent, c, 0);
		if (r == 0)
			r = git_commit_tree(&was, parent);
	}
	if (r == 0)
		r = git_diff_tree_to_tree(&diff, h->repo, was, now, &o);
	if (r == 0)
		r = add_changes(out, diff);
	git_diff_free(diff);
	git_tree_free(was);
	git_tree_free(now);
	git_commit_free(parent);
	return r;
}

/* ---- walking ---- */

static int hand_out(struct history *h, git_commit *c, int (*fn)(void *ctx, const struct history_commit *c), void *ctx, struct err *e)
{
	OWN(changes_dispose) struct changes changes = { NULL, 0 };
	git_buf sig = GIT_BUF_INIT, payload = GIT_BUF_INIT;
	struct history_commit out = { .parents = git_commit_parentcount(c), .message = git_commit_message_raw(c),
		.author = git_commit_author(c)->name };
	int r = changes_of(h, c, &changes);

	if (r < 0)
		return fail(e, r, "changes of a commit");
	hex(out.oid, git_commit_id(c));
	if (out.parents)
		hex(out.parent, git_commit_parent_id(c, 0));
	out.changes = changes.v;
	out.change_count = changes.n;
	r = git_commit_extract_signature(&sig, &payload, h->repo, (git_oid *)(uintptr_t)git_commit_id(c), NULL);
	if (r == 0) {
		out.signature = sig.ptr;
		out.signature_len = sig.size;
		out.payload = payload.ptr;
		out.payload_len = payload.size;
	} else if (r != GIT_ENOTFOUND) {
		return fail(e, r, "signature of a commit");
	}
	git_error_clear();
	r = fn(ctx, &out);
	git_buf_dispose(&sig);
	git_buf_dispose(&payload);
	return r != 0;
}

struct oids { git_oid *v; size_t n; };
static void oids_dispose(struct oids *o) { free(o->v); }

/* Ids along first parents, newest first. */
static int collect(struct history *h, const char *plan, struct oids *out, struct err *e)
{
	git_oid id;
	int r = head_of(h, plan, &id, e);

	while (r == 1) {
		git_commit *c = NULL;

		if ((out->n & (out->n - 1)) == 0) {
			git_oid *v = realloc(out->v, (out->n ? out->n * 2 : 1) * sizeof(*v));

			if (!v)
				return err_sys(e, "history");
			out->v = v;
		}
		out->v[out->n++] = id;
		if ((r = git_commit_lookup(&c, h->repo, &id)) < 0)
			return fail(e, r, "commit");
		r = git_commit_parentcount(c) > 0;
		if (r)
			git_oid_cpy(&id, git_commit_parent_id(c, 0));
		git_commit_free(c);
	}
	return r;
}

int history_walk(struct history *h, const char *plan, int (*fn)(void *ctx, const struct history_commit *c), void *ctx, struct err *e)
{
	OWN(oids_dispose) struct oids ids = { NULL, 0 };

	if (collect(h, plan, &ids, e) < 0)
		return -1;
	for (size_t i = ids.n; i-- > 0; ) {
		git_commit *c = NULL;
		int r = git_commit_lookup(&c, h->repo, &ids.v[i]);

		if (r < 0)
			return fail(e, r, "commit");
		r = hand_out(h, c, fn, ctx, e);
		git_commit_free(c);
		if (r != 0)
			return r < 0 ? -1 : 0;
	}
	return 0;
}

int history_contains(struct history *h, const char *plan, const char *oid, struct err *e)
{
	OWN(oids_dispose) struct oids ids = { NULL, 0 };
	char id[HISTORY_OID];

	if (collect(h, plan, &ids, e) < 0)
		return -1;
	for (size_t i = 0; i < ids.n; i++) {
		hex(id, &ids.v[i]);
		if (strncmp(id, oid, strlen(oid)) == 0)
			return 1;
	}
	return 0;
}

/* ---- trees ---- */

static int tree_of(struct history *h, const char *oid, git_tree **out)
{
	git_oid id;
	git_commit *c = NULL;
	int r = git_oid_fromstr(&id, oid);

	if (r == 0)
		r = git_commit_lookup(&c, h->repo, &id);
	if (r == 0)
		r = git_commit_tree(out, c);
	git_commit_free(c);
	return r;
}

/* The entry of path, or GIT_ENOTFOUND with *absent set when the tree does not name it (an object that is named but missing is another matter). */
static int entry_at(struct history *h, const char *oid, const char *path, git_tree_entry **out, bool *absent)
{
	git_tree *t = NULL;
	int r;

	git_error_clear();		/* its class tells below why a lookup failed */
	r = tree_of(h, oid, &t);
	*absent = false;
	if (r == 0) {
		r = git_tree_entry_bypath(out, t, path);
		*absent = r == GIT_ENOTFOUND && git_error_last() && git_error_last()->klass == GIT_ERROR_TREE;
	}
	git_tree_free(t);
	return r;
}

int history_read(struct history *h, const char *oid, const char *path, struct buf *b, struct err *e)
{
	git_tree_entry *entry = NULL;
	git_blob *blob = NULL;
	bool absent;
	int r = entry_at(h, oid, path, &entry, &absent);

	if (absent) {
		git_error_clear();
		return 0;
	}
	if (r == 0 && git_tree_entry_type(entry) != GIT_OBJECT_BLOB) {
		git_tree_entry_free(entry);
		return 0;
	}
	if (r == 0)
		r = git_blob_lookup(&blob, h->repo, git_tree_entry_id(entry));
	git_tree_entry_free(entry);
	if (r < 0)
		return fail(e, r, path);
	buf_put(b, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
	git_blob_free(blob);
	return buf_finish(b, e) < 0 ? -1 : 1;
}

struct lister { int (*fn)(void *ctx, const char *path); void *ctx; const char *dir; bool failed; };

static int list_one(const char *root, const git_tree_entry *entry, void *ctx)
{
	struct lister *l = ctx;
	OWN_BUF struct buf path = BUF_INIT;

	if (git_tree_entry_type(entry) == GIT_OBJECT_TREE)
		return 0;
	buf_printf(&path, "%s/%s%s", l->dir, root, git_tree_entry_name(entry));
	l->failed = path.failed;
	return l->failed || l->fn(l->ctx, path.data) != 0 ? -1 : 0;
}

int history_list(struct history *h, const char *oid, const char *dir, int (*fn)(void *ctx, const char *path), void *ctx, struct err *e)
{
	struct lister l = { fn, ctx, dir, false };
	git_tree_entry *entry = NULL;
	git_tree *t = NULL;
	bool absent;
	int r = entry_at(h, oid, dir, &entry, &absent);

	if (absent) {
		git_error_clear();
		return 0;
	}
	if (r == 0)
		r = git_tree_lookup(&t, h->repo, git_tree_entry_id(entry));
	git_tree_entry_free(entry);
	if (r < 0)
		return fail(e, r, dir);
	git_error_clear();
	r = git_tree_walk(t, GIT_TREEWALK_PRE, list_one, &l);
	git_tree_free(t);
	if (l.failed)
		return err_set(e, ERR_TEMPORARY, "list %s: out of memory", esc_s(dir));
	/* -1 of a callback stops the walk and comes back; only a library error leaves its text */
	if (r < 0 && git_error_last() && git_error_last()->klass != GIT_ERROR_CALLBACK && git_error_last()->klass != GIT_ERROR_NONE)
		return fail(e, r, dir);
	return 0;
}
