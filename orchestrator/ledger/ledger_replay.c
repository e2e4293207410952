#include "esc.h"
#include "ledger_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct file { uint64_t seq; char *name; };

struct replay {
	struct ledger *l;		/* borrowed */
	const char *plan;
	git_tree *tree;			/* events/ of the head; owned */
	git_oid *commits;		/* oldest first; owned */
	const git_tree_entry **files;	/* oldest first; borrowed from tree */
	size_t n, commit_count;
	uint8_t prev[DIGEST_LEN];
};

static void replay_dispose(struct replay *r)
{
	git_tree_free(r->tree);
	free(r->commits);
	free(r->files);
}

static int broken(const struct replay *r, uint64_t seq, const char *what, struct err *e)
{
	return err_set(e, ERR_INTEGRITY, "ledger of plan %s, event %06" PRIu64 ": %s", r->plan, seq, what);
}

static int by_seq(const void *a, const void *b)
{
	uint64_t x = event_name_seq(git_tree_entry_name(*(const git_tree_entry *const *)a));
	uint64_t y = event_name_seq(git_tree_entry_name(*(const git_tree_entry *const *)b));

	return (x > y) - (x < y);
}

static int load_files(struct replay *r, git_tree *root, struct err *e)
{
	const git_tree_entry *dir = git_tree_entry_byname(root, "events");
	int rc;

	if (!dir || git_tree_entry_filemode(dir) != GIT_FILEMODE_TREE)
		return err_set(e, ERR_INTEGRITY, "ledger of plan %s: the branch has no events", r->plan);
	if ((rc = git_tree_lookup(&r->tree, r->l->repo, git_tree_entry_id(dir))) < 0)
		return git_fail(e, rc, "events of plan %s", r->plan);
	r->n = git_tree_entrycount(r->tree);
	if (!(r->files = calloc(r->n + 1, sizeof(*r->files))))
		return err_sys(e, "ledger");
	for (size_t i = 0; i < r->n; i++) {
		const git_tree_entry *en = r->files[i] = git_tree_entry_byindex(r->tree, i);

		if (event_name_seq(git_tree_entry_name(en)) == 0 || git_tree_entry_filemode(en) != GIT_FILEMODE_BLOB)
			return err_set(e, ERR_INTEGRITY, "ledger of plan %s: events/%s is no event", r->plan,
			    esc_s(git_tree_entry_name(en)));
	}
	if (r->n)
		qsort(r->files, r->n, sizeof(*r->files), by_seq);
	return 0;
}

/* Commit number i from the end must say in its subject that it is event n - i. */
static int check_commit(struct replay *r, git_commit *c, size_t left, struct err *e)
{
	const char *subject = git_commit_message_raw(c);
	size_t digits = strspn(subject, "0123456789");
	char want[24];

	(void)snprintf(want, sizeof(want), "%06zu ", left);
	if (left == 0)
		return broken(r, 1, "the history has more commits than there are events", e);
	if (strncmp(subject, want, strlen(want)) != 0)
		return broken(r, left, digits ? "its commit has another number" : "its commit is none of an event", e);
	if (git_commit_parentcount(c) != (left > 1))
		return broken(r, left, left > 1 ? "its commit has not one parent" : "its commit is not the first", e);
	git_oid_cpy(&r->commits[left - 1], git_commit_id(c));
	return 0;
}

static int load_commits(struct replay *r, const git_oid *head, struct err *e)
{
	git_oid at = *head;

	if (!(r->commits = calloc(r->n + 1, sizeof(*r->commits))))
		return err_sys(e, "ledger");
	for (size_t left = r->n;; left--) {
		OWN(git_commit_freep) git_commit *c = NULL;
		int rc = git_commit_lookup(&c, r->l->repo, &at);

		if (rc < 0)
			return git_fail(e, rc, "history of plan %s", r->plan);
		if (check_commit(r, c, left, e) < 0)
			return -1;
		if (left == 1)
			return 0;
		at = *git_commit_parent_id(c, 0);
	}
}

static int one(struct replay *r, size_t i, int (*fn)(void *ctx, const struct ledger_event *ev), void *ctx, struct err *e)
{
	OWN(event_held_dispose) struct event_held h = EVENT_HELD_INIT;
	OWN_BUF struct buf text = BUF_INIT;
	OWN_BUF struct buf name = BUF_INIT;

	if (event_name_seq(git_tree_entry_name(r->files[i])) != i + 1)
		return broken(r, i + 1, "missing, or there twice", e);
	if (ledger_read_blob(r->l, git_tree_entry_id(r->files[i]), LEDGER_EVENT_MAX, &text, e) < 0 ||
	    event_decode(text.data ? text.data : "", text.len, r->plan, &h, e) < 0)
		return err_at(e, "ledger of plan %s, event %06zu", r->plan, i + 1);
	if (event_name(&h.ev, &name, e) < 0 || strcmp(name.data, git_tree_entry_name(r->files[i])) != 0)
		return broken(r, i + 1, "the name of its file does not agree with its content", e);
	if (memcmp(h.prev, r->prev, DIGEST_LEN) != 0)
		return broken(r, i + 1, "the chain is broken: prev is not the digest of the event before", e);
	memcpy(r->prev, h.ev.digest, DIGEST_LEN);
	git_oid_tostr(h.ev.commit, sizeof(h.ev.commit), &r->commits[i]);
	return fn(ctx, &h.ev) != 0;
}

int ledger_replay(struct ledger *l, const char *plan, int (*fn)(void *ctx, const struct ledger_event *ev), void *ctx,
    struct err *e)
{
	OWN(replay_dispose) struct replay r = { .l = l, .plan = plan };
	OWN(git_tree_freep) git_tree *root = NULL;
	git_oid head;
	int got = ledger_head_id(l, plan, &head, e);

	if (got <= 0)
		return got;
	if (ledger_commit_tree(l, &head, &root, e) < 0 || load_files(&r, root, e) < 0 || load_commits(&r, &head, e) < 0)
		return -1;
	for (size_t i = 0; i < r.n; i++)
		if ((got = one(&r, i, fn, ctx, e)) != 0)
			return got < 0 ? -1 : 0;
	return 0;
}
