#include "esc.h"
#include "ledger_private.h"
#include "loose_check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "sys.h"

int ledger_create(const char *dir, struct err *e)
{
	git_repository_init_options o;
	OWN(git_repository_freep) git_repository *repo = NULL;
	OWN_FD int fd = -1;
	int rc;

	if (ledger_start(e) < 0)
		return -1;
	if ((rc = git_repository_init_options_init(&o, GIT_REPOSITORY_INIT_OPTIONS_VERSION)) < 0)
		return git_fail(e, rc, "create %s", esc_s(dir));
	o.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_NO_REINIT;
	o.mode = GIT_REPOSITORY_INIT_SHARED_UMASK;
	o.initial_head = "refs/heads/_none";
	if ((rc = git_repository_init_ext(&repo, dir, &o)) < 0) {
		if (rc == GIT_EEXISTS)
			return err_set(e, ERR_USAGE, "%s: there is a git repository already", esc_s(dir));
		return git_fail(e, rc, "create %s", esc_s(dir));
	}
	/* Everything beneath it was made new: one sync of the file system is the cheapest way to be sure of all. */
	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 || sys_syncfs("ledger", fd) < 0)
		return err_sys(e, "sync %s", esc_s(dir));
	return 0;
}

static bool usable(struct ledger *l)
{
	return git_repository_is_bare(l->repo) == 1 && git_repository_odb(&l->odb, l->repo) == 0;
}

int ledger_open(struct ledger **out, const char *dir, struct err *e)
{
	OWN(ledger_closep) struct ledger *l = calloc(1, sizeof(*l));
	int rc;

	if (!l || !(l->dir = strdup(dir)))
		return err_sys(e, "ledger %s", esc_s(dir));
	if (ledger_start(e) < 0)
		return -1;
	rc = git_repository_open_ext(&l->repo, dir, GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, NULL);
	if (rc == GIT_ENOTFOUND)
		return err_set(e, ERR_USAGE, "%s is no ledger; `waybill init` makes one", esc_s(dir));
	if (rc < 0)
		return git_fail(e, rc, "open %s", esc_s(dir));
	if (!usable(l) || loose_check_install(l->repo) < 0)
		return git_fail(e, -1, "open %s", esc_s(dir));
	*out = take_ptr(&l);
	return 0;
}

void ledger_close(struct ledger *l)
{
	if (!l)
		return;
	git_odb_free(l->odb);
	git_repository_free(l->repo);
	free(l->dir);
	free(l);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int ledger_plans(struct ledger *l, int (*fn)(void *ctx, const char *plan), void *ctx, struct err *e)
{
	git_strarray refs = { NULL, 0 };
	int rc = git_reference_list(&refs, l->repo);

	if (rc < 0)
		return git_fail(e, rc, "list branches");
	if (refs.count)
		qsort(refs.strings, refs.count, sizeof(*refs.strings), by_name);
	for (size_t i = 0; i < refs.count; i++) {
		const char *ref = refs.strings[i];

		if (strncmp(ref, "refs/heads/", 11) != 0 || !ledger_plan_ok(ref + 11))
			continue;
		if (fn(ctx, ref + 11) != 0)
			break;
	}
	git_strarray_dispose(&refs);
	return 0;
}

static int ref_id(struct ledger *l, const char *ref, git_oid *id, struct err *e)
{
	int rc = git_reference_name_to_id(id, l->repo, ref);

	if (rc == GIT_ENOTFOUND) {
		git_error_clear();
		return 0;
	}
	return rc < 0 ? git_fail(e, rc, "read %s", ref) : 1;
}

int ledger_head_id(struct ledger *l, const char *plan, git_oid *id, struct err *e)
{
	char ref[96];

	if (!ledger_plan_ok(plan))
		return err_set(e, ERR_USAGE, "\"%s\" is no name of a plan", esc_s(plan));
	(void)snprintf(ref, sizeof(ref), "refs/heads/%s", plan);
	return ref_id(l, ref, id, e);
}

int ledger_head(struct ledger *l, const char *plan, char oid[LEDGER_OID], struct err *e)
{
	git_oid id;
	int got = ledger_head_id(l, plan, &id, e);

	if (got > 0)
		git_oid_tostr(oid, LEDGER_OID, &id);
	return got;
}

int ledger_tag(struct ledger *l, const char *tag, char oid[LEDGER_OID], struct err *e)
{
	char ref[LEDGER_PATH_MAX + 16];
	git_oid id;
	int got;

	if (!ledger_path_ok(tag))
		return err_set(e, ERR_USAGE, "\"%s\" is no name of a version", esc_s(tag));
	(void)snprintf(ref, sizeof(ref), "refs/tags/%s", tag);
	if ((got = ref_id(l, ref, &id, e)) > 0)
		git_oid_tostr(oid, LEDGER_OID, &id);
	return got;
}

int ledger_commit_tree(struct ledger *l, const git_oid *commit, git_tree **out, struct err *e)
{
	OWN(git_commit_freep) git_commit *c = NULL;
	char hex[LEDGER_OID];
	int rc = git_commit_lookup(&c, l->repo, commit);

	if (rc == 0)
		rc = git_commit_tree(out, c);
	git_oid_tostr(hex, sizeof(hex), commit);
	return rc < 0 ? git_fail(e, rc, "commit %s", hex) : 0;
}

int ledger_read_blob(struct ledger *l, const git_oid *id, size_t limit, struct buf *b, struct err *e)
{
	OWN(git_blob_freep) git_blob *blob = NULL;
	char hex[LEDGER_OID];
	git_object_t type;
	size_t size;
	int rc = git_odb_read_header(&size, &type, l->odb, id);

	git_oid_tostr(hex, sizeof(hex), id);
	if (rc < 0)
		return git_fail(e, rc, "object %s", hex);
	if (type != GIT_OBJECT_BLOB || size > limit)
		return err_set(e, ERR_INTEGRITY, "ledger: object %s is no file, or larger than %zu bytes", hex, limit);
	if ((rc = git_blob_lookup(&blob, l->repo, id)) < 0)
		return git_fail(e, rc, "object %s", hex);
	buf_put(b, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
	return buf_finish(b, e);
}
