/* audit: checks a ledger, package or certificate offline. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "esc.h"
#include "log.h"
#include "output.h"
#include "workspace.h"

static void print_findings(struct cli_context *c, const struct audit_report *r)
{
	for (size_t i = 0; i < r->finding_count; i++)
		out_text(c, "%s: %s\n", audit_severity_name(r->findings[i].severity), r->findings[i].what);
	out_text(c, "%s: %llu commits, %llu versions, %llu signatures, %llu objects looked at\n", audit_verdict(r), (unsigned long long)r->commits,
	    (unsigned long long)r->versions, (unsigned long long)r->signatures, (unsigned long long)r->objects);
}

static int verdict(const struct audit_report *r, struct err *e)
{
	const char *first = "";

	for (size_t i = 0; i < r->finding_count; i++)
		if (r->findings[i].severity == r->worst) {
			first = r->findings[i].what;
			break;
		}
	if (audit_exit_code(r) == 0)
		return 0;
	return err_set(e, audit_exit_code(r) == 4 ? ERR_INTEGRITY : ERR_UNVERIFIED, "%s: %s", audit_verdict(r), first);
}

/* "head/PLAN" of state.db: COMMIT SEQ. */
static int remembered_head(void *ctx, const char *plan, char commit[65])
{
	struct workspace *w = ctx;
	OWN_BUF struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;
	char name[96];

	(void)snprintf(name, sizeof(name), "head/%s", plan);
	if (state_get(w->state, name, &b, &ignored) < 0 || !b.len || b.failed)
		return 0;
	(void)snprintf(commit, 65, "%.*s", (int)strcspn(b.data, " "), b.data);
	return 1;
}

struct relay { int (*fn)(void *ctx, const char *plan); void *ctx; };

static int relay_name(void *ctx, const char *name)
{
	const struct relay *r = ctx;

	return r->fn(r->ctx, name + strlen("head/"));
}

static void each_head(void *ctx, int (*fn)(void *ctx2, const char *plan), void *ctx2)
{
	struct workspace *w = ctx;
	struct relay r = { fn, ctx2 };
	struct err e = ERR_INIT;

	if (state_names(w->state, "head/", relay_name, &r, &e) < 0)
		log_warn("audit: %s", e.text);
}

/* Is it a workspace of ours?  That of somebody else is only read: opening it would write to it. */
static bool is_own_workspace(const char *path)
{
	OWN_FREE char *dir = NULL;
	struct stat st;

	return asprintf(&dir, "%s/" WORKSPACE_DIR, path) >= 0 && lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

/* What only the workspace itself knows.  One that does not open is audited all the same, by what lies in it. */
static void own_workspace(struct audit_options *o, struct workspace **w, char **store)
{
	OWN_FREE char *dir = NULL;
	struct err ignored = ERR_INIT;

	if (asprintf(&dir, "%s/" WORKSPACE_DIR, o->path) < 0)
		return;
	if (workspace_config(dir, "store", store, &ignored) == 1)
		o->store = *store;
	err_clear(&ignored);
	if (workspace_open(o->path, w, &ignored) < 0) {
		log_warn("audit: %s", ignored.text);
		err_clear(&ignored);
		return;
	}
	o->remembered = remembered_head;
	o->each_remembered = each_head;
	o->ctx = *w;
}

int cmd_audit(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_AUDIT_REPORT struct audit_report r = AUDIT_REPORT_INIT;
	OWN_BUF struct buf json = BUF_INIT;
	struct audit_options o = { .signers = cli_value(c, "signers"), .expect = cli_value(c, "expect"), .full = true };
	OWN(workspace_closep) struct workspace *w = NULL;
	OWN_FREE char *store = NULL;
	const char *root;

	if (argc == 0 && cli_workspace(c, NULL, &root, e) < 0)
		return -1;
	o.path = argc ? argv[0] : root;
	if (argc == 0 || is_own_workspace(o.path))
		own_workspace(&o, &w, &store);
	if (audit_run(&o, &r, e) < 0)
		return -1;
	print_findings(c, &r);
	if (c->json) {
		if (audit_json(&r, &json, e) < 0)
			return -1;
		out_raw(json.data, json.len);
		if (json.len && json.data[json.len - 1] != '\n')
			out_raw("\n", 1);
		c->printed_json = true;
	}
	return verdict(&r, e) < 0 ? -1 : out_finish(e);
}
