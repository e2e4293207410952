/*
 * One act: event, trees, commit, tags, branch.  Everything is computed, and signed, on the head as it is; then under a
 * short lock the head is looked at again and the objects are written, so a lost race leaves nothing behind.  Should
 * somebody else move the branch without that lock, the compare-and-swap of the reference still notices.
 */
#include "clock.h"
#include "esc.h"
#include "log.h"
#include "ledger_txn.h"
#include "sys.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define DEAD_LOCK_NS 1000000000LL	/* well within the time of all attempts */
#define ATTEMPTS 40
#define LOCK_WAIT_MS 60000

struct object { git_object_t type; git_oid id; void *data; size_t len; };	/* data owned */

struct attempt {
	bool has_head;
	git_oid head;			/* what it is built on */
	struct object *objects;		/* children before parents */
	size_t object_count, object_cap;
	struct buf commit;		/* text of the commit without signature */
	struct buf signature;
};

static void attempt_dispose(struct attempt *a)
{
	for (size_t i = 0; i < a->object_count; i++)
		free(a->objects[i].data);
	free(a->objects);
	buf_dispose(&a->commit);
	buf_dispose(&a->signature);
	*a = (struct attempt){ .objects = NULL };
}

static int keep_object(void *ctx, git_object_t type, const void *p, size_t n, const git_oid *id, unsigned depth, struct err *e)
{
	struct attempt *a = ctx;
	void *copy;

	(void)depth;
	if (a->object_count == a->object_cap) {
		size_t cap = a->object_cap ? a->object_cap * 2 : 16;
		struct object *grown = reallocarray(a->objects, cap, sizeof(*grown));

		if (!grown)
			return err_sys(e, "ledger");
		a->objects = grown;
		a->object_cap = cap;
	}
	if (!(copy = malloc(n + 1)))
		return err_sys(e, "ledger");
	memcpy(copy, p, n);
	a->objects[a->object_count++] = (struct object){ type, *id, copy, n };
	return 0;
}

/* Number and chain of the new event from the last one on the head. */
static int link_event(struct ledger *l, struct tree *tree, bool has_head, struct ledger_event *ev, uint8_t prev[DIGEST_LEN],
    struct err *e)
{
	OWN_BUF struct buf last = BUF_INIT;
	char name[LEDGER_PATH_MAX];
	git_oid blob;
	uint64_t seq;
	int got = tree_last_event(tree, name, &blob, &seq, e);

	if (got < 0)
		return -1;
	memset(prev, 0, DIGEST_LEN);
	ev->seq = seq + 1;
	if (got == 0)
		return has_head ? err_set(e, ERR_INTEGRITY, "ledger: the branch has no events") : 0;
	if (ledger_read_blob(l, &blob, LEDGER_EVENT_MAX, &last, e) < 0)
		return err_at(e, "events/%s", name);
	return digest_sha256(last.data ? last.data : "", last.len, prev, e);
}

static int put_event(const struct ledger_txn *t, struct tree *tree, struct attempt *a, struct ledger_event *ev, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT;
	OWN_BUF struct buf path = BUF_INIT;
	uint8_t prev[DIGEST_LEN];
	git_oid id;
	int rc;

	if (link_event(t->l, tree, a->has_head, ev, prev, e) < 0)
		return -1;
	buf_puts(&path, "events/");
	if (event_name(ev, &path, e) < 0 || event_encode(ev, t->plan, prev, &text, e) < 0 ||
	    digest_sha256(text.data, text.len, ev->digest, e) < 0)
		return -1;
	if ((rc = git_odb_hash(&id, text.data, text.len, GIT_OBJECT_BLOB)) < 0)
		return git_fail(e, rc, "%s", path.data);
	if (keep_object(a, GIT_OBJECT_BLOB, text.data, text.len, &id, false, e) < 0)
		return -1;
	return tree_put(tree, path.data, &id, e);
}

static int commit_text(struct attempt *a, const git_oid *root, const struct ledger_event *ev, struct err *e)
{
	const char *who = ev->by && *ev->by ? ev->by : "waybill";
	char hex[LEDGER_OID];
	int64_t when;

	if (!ledger_plan_ok(who))
		return err_set(e, ERR_BUG, "event by \"%s\", which is no name of a person", esc_s(who));
	if (!ev->at || !clock_parse(ev->at, NULL, &when))
		return err_set(e, ERR_BUG, "event at \"%s\", which is no time", ev->at ? esc_s(ev->at) : "");
	buf_printf(&a->commit, "tree %s\n", git_oid_tostr(hex, sizeof(hex), root));
	if (a->has_head)
		buf_printf(&a->commit, "parent %s\n", git_oid_tostr(hex, sizeof(hex), &a->head));
	buf_printf(&a->commit, "author %s <%s@waybill> %" PRId64 " +0800\n", who, who, when);
	buf_printf(&a->commit, "committer %s <%s@waybill> %" PRId64 " +0800\n\n", who, who, when);
	event_message(ev, &a->commit);
	return buf_finish(&a->commit, e);
}

static int sign(struct attempt *a, ledger_signer signer, void *ctx, struct err *e)
{
	struct buf *sig = &a->signature;

	if (signer(ctx, a->commit.data, a->commit.len, sig, e) != 0 || buf_finish(sig, e) < 0)
		return err_at(e, "sign the commit");
	/* A header field of git ends without the newline that an armored text ends with. */
	while (sig->len && sig->data[sig->len - 1] == '\n')
		sig->data[--sig->len] = '\0';
	return sig->len ? 0 : err_set(e, ERR_BUG, "the signer gave no signature");
}

static int prepare(const struct ledger_txn *t, struct attempt *a, struct ledger_event *ev, ledger_signer signer, void *ctx,
    struct err *e)
{
	OWN(tree_freep) struct tree *tree = NULL;
	OWN(git_tree_freep) git_tree *base = NULL;
	git_oid root;
	int got = ledger_head_id(t->l, t->plan, &a->head, e);

	if (got < 0 || (got > 0 && ledger_commit_tree(t->l, &a->head, &base, e) < 0))
		return -1;
	a->has_head = got > 0;
	if (tree_new(t->l, base ? git_tree_id(base) : NULL, &tree, e) < 0 || txn_apply(t, tree, e) < 0 ||
	    put_event(t, tree, a, ev, e) < 0 || tree_write(tree, keep_object, a, &root, e) < 0 ||
	    commit_text(a, &root, ev, e) < 0)
		return -1;
	return signer ? sign(a, signer, ctx, e) : 0;
}

static void pause_ms(unsigned up_to)
{
	uint16_t r;
	struct timespec ts;

	random_bytes(&r, sizeof(r));
	ts = (struct timespec){ 0, (1 + r % (long)up_to) * 1000000L };
	(void)nanosleep(&ts, NULL);
}

static int append_lock(struct ledger *l, struct err *e)
{
	OWN_BUF struct buf name = BUF_INIT;
	OWN_FD int fd = -1;
	int64_t until = clock_mono_ns() + LOCK_WAIT_MS * 1000000LL;

	buf_printf(&name, "%sappend.lock", git_repository_path(l->repo));
	if (buf_finish(&name, e) < 0)
		return -1;
	if ((fd = open(name.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
		return err_sys(e, "%s", esc_s(name.data));
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(e, "%s", esc_s(name.data));
		if (clock_mono_ns() > until)
			return err_set(e, ERR_TEMPORARY, "ledger: another process has been appending for %d s; try again",
			    LOCK_WAIT_MS / 1000);
		pause_ms(20);
	}
	return take_fd(&fd);
}

/* Is the branch still where a was built on: 1, 0, -1. */
static int still_there(struct ledger_txn *t, const struct attempt *a, struct err *e)
{
	git_oid now;
	int got = ledger_head_id(t->l, t->plan, &now, e);

	if (got < 0)
		return -1;
	return a->has_head == (got > 0) && (got == 0 || git_oid_equal(&now, &a->head));
}

/* libgit2 syncs files and the directory each is in, not the directories above that it made. */
static int sync_dir(struct ledger *l, const char *sub, struct err *e)
{
	OWN_BUF struct buf path = BUF_INIT;
	OWN_FD int fd = -1;

	buf_printf(&path, "%s%s", git_repository_path(l->repo), sub);
	if (buf_finish(&path, e) < 0)
		return -1;
	if ((fd = open(path.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 || sys_fsync("ledger", fd) < 0)
		return err_sys(e, "sync %s", esc_s(path.data));
	return 0;
}

static int write_objects(struct ledger *l, const struct attempt *a, git_oid *commit, struct err *e)
{
	git_oid id;
	int rc;

	for (size_t i = 0; i < a->object_count; i++) {
		const struct object *o = &a->objects[i];

		if ((rc = git_odb_write(&id, l->odb, o->data, o->len, o->type)) < 0)
			return git_fail(e, rc, "write an object");
		if (!git_oid_equal(&id, &o->id))
			return err_set(e, ERR_BUG, "ledger: an object got another name than computed");
	}
	if (a->signature.len)
		rc = git_commit_create_with_signature(commit, l->repo, a->commit.data, a->signature.data, NULL);
	else
		rc = git_odb_write(commit, l->odb, a->commit.data, a->commit.len, GIT_OBJECT_COMMIT);
	return rc < 0 ? git_fail(e, rc, "write the commit") : sync_dir(l, "objects", e);
}

/* A tag whose commit is part of the history stays; one left over from an act that was cut short does not. */
static int check_tag(struct ledger_txn *t, const struct attempt *a, const char *tag, struct err *e)
{
	char hex[LEDGER_OID];
	git_oid id;
	int got = ledger_tag(t->l, tag, hex, e), rc;

	if (got <= 0 || !a->has_head)
		return got < 0 ? -1 : 0;
	if ((rc = git_oid_fromstr(&id, hex)) < 0)
		return git_fail(e, rc, "tag %s", tag);
	if (git_oid_equal(&id, &a->head))
		return err_set(e, ERR_BUG, "ledger: version %s is recorded already", tag);
	if ((rc = git_graph_descendant_of(t->l->repo, &a->head, &id)) < 0)
		return git_fail(e, rc, "tag %s", tag);
	return rc == 1 ? err_set(e, ERR_BUG, "ledger: version %s is recorded already", tag) : 0;
}

/* The new reference, and every directory above it that may be new, durable. */
static int sync_tag(struct ledger *l, const char *tag, struct err *e)
{
	char dir[LEDGER_PATH_MAX + 16];
	char *slash;

	(void)snprintf(dir, sizeof(dir), "refs/tags/%s", tag);
	while ((slash = strrchr(dir, '/')) && slash != strchr(dir, '/')) {
		*slash = '\0';
		if (sync_dir(l, dir, e) < 0)
			return -1;
	}
	return 0;
}

/*
 * A process killed while libgit2 moved a reference leaves its lock file, and nobody else removes it.  We hold the append lock, so
 * it is no living waybill's; a git command of a person has one for moments only.
 */
static void drop_dead_lock(struct ledger *l, const char *ref)
{
	OWN_BUF struct buf path = BUF_INIT;
	struct timespec now;
	struct stat st;

	buf_printf(&path, "%s%s.lock", git_repository_path(l->repo), ref);
	if (path.failed || lstat(path.data, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);	/* as the file's time is: never the clock of tests */
	if ((now.tv_sec - st.st_mtim.tv_sec) * 1000000000LL + now.tv_nsec - st.st_mtim.tv_nsec < DEAD_LOCK_NS || unlink(path.data) < 0)
		return;
	log_warn("ledger: removed the lock of a process that died while it moved %s", ref);
}

/* As move_branch. */
static int set_tags(struct ledger_txn *t, const struct attempt *a, const git_oid *commit, struct err *e)
{
	for (size_t i = 0; i < t->tag_count; i++) {
		OWN(git_reference_freep) git_reference *ref = NULL;
		char name[LEDGER_PATH_MAX + 16];
		int rc;

		if (check_tag(t, a, t->tags[i], e) < 0)
			return -1;
		(void)snprintf(name, sizeof(name), "refs/tags/%s", t->tags[i]);
		drop_dead_lock(t->l, name);
		if ((rc = git_reference_create(&ref, t->l->repo, name, commit, 1, NULL)) == GIT_ELOCKED) {
			git_error_clear();
			return 1;
		}
		if (rc < 0)
			return git_fail(e, rc, "tag %s", t->tags[i]);
		if (sync_tag(t->l, t->tags[i], e) < 0)
			return -1;
	}
	return 0;
}

/* 0 done, 1 somebody else was faster, -1. */
static int move_branch(struct ledger_txn *t, const struct attempt *a, const git_oid *commit, struct err *e)
{
	OWN(git_reference_freep) git_reference *ref = NULL;
	char name[96];
	int rc;

	(void)snprintf(name, sizeof(name), "refs/heads/%s", t->plan);
	drop_dead_lock(t->l, name);
	rc = git_reference_create_matching(&ref, t->l->repo, name, commit, a->has_head, a->has_head ? &a->head : NULL, NULL);
	if (rc == GIT_ELOCKED || rc == GIT_EMODIFIED || rc == GIT_EEXISTS) {
		git_error_clear();
		return 1;
	}
	return rc < 0 ? git_fail(e, rc, "branch %s", t->plan) : sync_dir(t->l, "refs/heads", e);
}

/* A HEAD that points nowhere makes stock git complain: the first plan gets it.  The act is recorded already and stands
 * without it, so a failure is left to the next act. */
static void set_head(struct ledger_txn *t)
{
	char name[96];

	(void)snprintf(name, sizeof(name), "refs/heads/%s", t->plan);
	if (git_repository_head_unborn(t->l->repo) == 1 && git_repository_set_head(t->l->repo, name) < 0)
		git_error_clear();
}

/* As move_branch; under the lock. */
static int publish(struct ledger_txn *t, const struct attempt *a, struct ledger_event *ev, struct err *e)
{
	OWN_FD int lock = append_lock(t->l, e);
	git_oid commit;
	int rc;

	if (lock < 0)
		return -1;
	if ((rc = still_there(t, a, e)) <= 0)
		return rc < 0 ? -1 : 1;
	if (write_objects(t->l, a, &commit, e) < 0)
		return -1;
	sys_point("ledger");
	if ((rc = set_tags(t, a, &commit, e)) != 0)
		return rc;
	sys_point("ledger");
	if ((rc = move_branch(t, a, &commit, e)) != 0)
		return rc;
	git_oid_tostr(ev->commit, sizeof(ev->commit), &commit);
	set_head(t);
	return 0;
}

static int attempts(struct ledger_txn *t, struct ledger_event *ev, ledger_signer signer, void *ctx, struct err *e)
{
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		OWN(attempt_dispose) struct attempt a = { .objects = NULL };
		int rc;

		if (prepare(t, &a, ev, signer, ctx, e) < 0)
			return -1;
		if ((rc = publish(t, &a, ev, e)) <= 0)
			return rc;
		pause_ms(10 + 5 * i);
	}
	return err_set(e, ERR_TEMPORARY, "ledger: other processes were faster %d times; try again", ATTEMPTS);
}

int ledger_txn_commit(struct ledger_txn *t, struct ledger_event *ev, ledger_signer signer, void *ctx, struct err *e)
{
	int rc = txn_flush(t, e);

	if (rc == 0)
		rc = attempts(t, ev, signer, ctx, e);
	if (rc < 0)
		err_at(e, "plan %s", t->plan);
	ledger_txn_abandon(t);
	return rc;
}
