/* What commands share: the workspace, who acts, the plan. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "esc.h"
#include "log.h"
#include "output.h"
#include "plan.h"
#include "recorded.h"
#include "scalar.h"
#include "workspace.h"

static bool holds_workspace(const char *dir)
{
	char path[PATH_MAX];
	struct stat st;

	return snprintf(path, sizeof(path), "%s/" WORKSPACE_DIR "/ledger.git", dir) < (int)sizeof(path) &&
	    stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The nearest folder at or above dir that holds a workspace, owned; NULL. */
static char *search_above(const char *dir)
{
	OWN_FREE char *at = realpath(dir, NULL);

	while (at) {
		char *slash;

		if (holds_workspace(at))
			return take_ptr(&at);
		slash = strrchr(at, '/');
		if (!slash || (slash == at && at[1] == '\0'))
			return NULL;
		slash[slash == at ? 1 : 0] = '\0';
	}
	return NULL;
}

/* Above the folder of a plan file; NULL when plan is no file. */
static char *search_above_plan(const char *plan)
{
	OWN_FREE char *file = realpath(plan, NULL);
	char *slash = file ? strrchr(file, '/') : NULL;

	if (!slash)
		return NULL;
	slash[slash == file ? 1 : 0] = '\0';
	return search_above(file);
}

int cli_workspace(struct cli_context *c, const char *plan, const char **root, struct err *e)
{
	if (!c->root && c->dir) {
		if (!holds_workspace(c->dir)) {
			err_set(e, ERR_USAGE, "%s holds no workspace", esc_s(c->dir));
			return err_hint(e, "make one with: waybill init %s", esc_s(c->dir));
		}
		if (!(c->root = realpath(c->dir, NULL)))
			return err_sys(e, "%s", esc_s(c->dir));
	}
	if (!c->root)
		c->root = search_above(".");
	if (!c->root && plan)
		c->root = search_above_plan(plan);
	if (!c->root) {
		err_set(e, ERR_USAGE, "there is no workspace (.waybill) here or above%s", plan ? ", nor above the plan" : "");
		return err_hint(e, "make one with: waybill init, or name it with -C DIR");
	}
	*root = c->root;
	return 0;
}

int cli_workspace_open(struct cli_context *c, const char *plan, struct workspace **out, struct err *e)
{
	const char *root;

	if (cli_workspace(c, plan, &root, e) < 0 || workspace_open(root, out, e) < 0)
		return -1;
	log_setup(cli_log_level(c), (*out)->logfd);
	return 0;
}

/* ---- who acts ---- */

static int config_value(const struct cli_context *c, const char *key, char **value, struct err *e)
{
	OWN_FREE char *dir = NULL;

	if (!c->root)
		return 0;
	if (asprintf(&dir, "%s/" WORKSPACE_DIR, c->root) < 0)
		return err_sys(e, "config");
	return workspace_config(dir, key, value, e);
}

static int config_key(struct cli_context *c, struct err *e)
{
	OWN_FREE char *value = NULL;
	int r = config_value(c, "key", &value, e);
	const char *home = getenv("HOME");

	if (r <= 0)
		return r;
	if (value[0] == '/')
		c->key = take_ptr(&value);
	else if (strncmp(value, "~/", 2) == 0 && home)
		r = asprintf(&c->key, "%s/%s", home, value + 2);
	else
		r = asprintf(&c->key, "%s/%s", c->root, value);
	if (r < 0) {
		c->key = NULL;
		return err_sys(e, "config");
	}
	return 0;
}

static const char *given_or_env(const char *given, const char *env)
{
	const char *v = given ? given : getenv(env);

	return v && *v ? v : NULL;
}

int cli_who(struct cli_context *c, struct err *e)
{
	const char *as = given_or_env(c->as_given, "WAYBILL_AS"), *key = given_or_env(c->key_given, "WAYBILL_KEY");

	if (!c->as && as && !(c->as = strdup(as)))
		return err_sys(e, "--as");
	if (!c->key && key && !(c->key = strdup(key)))
		return err_sys(e, "--key");
	if (!c->as && config_value(c, "as", &c->as, e) < 0)
		return -1;
	/* The key of the configuration belongs to the person there: never to another one named on the command line. */
	if (!c->key && !as && config_key(c, e) < 0)
		return -1;
	if (c->as && !scalar_is_name(c->as))
		return err_set(e, ERR_USAGE, "--as %s: a person is a key of `people` in the plan", esc_s(c->as));
	if (c->key && access(c->key, R_OK) != 0)
		return err_set(e, ERR_USAGE, "--key %s: %s", esc_s(c->key), strerror(errno));
	return 0;
}

/* ---- the plan ---- */

static int faults_to_err(struct plan_faults *f, struct err *e)
{
	fflush(stdout);
	plan_faults_print(f, stderr, isatty(2) && !getenv("NO_COLOR"));
	if (f->out_of_memory)
		return plan_faults_err(f, e);
	return err_set(e, ERR_USAGE, "%s: %zu fault%s", f->file, f->n, f->n == 1 ? "" : "s");
}

/*
 * A plan named by its ledger name has its hooks and documents where its file was when it was last used here; state.db
 * remembers that.  Else beside the workspace, where plans usually are.
 */
static int plan_home(struct workspace *w, const char *name, char **dir, struct err *e)
{
	OWN_BUF struct buf known = BUF_INIT;
	char key[PLAN_NAME_MAX + 16];
	int r;

	(void)snprintf(key, sizeof(key), "home/%s", name);
	if ((r = state_get(w->state, key, &known, e)) < 0)
		return -1;
	if (r == 1 && known.len) {
		*dir = buf_take(&known);
		return *dir ? 0 : err_sys(e, "plan");
	}
	if (asprintf(dir, "%s/..", w->dir) < 0) {
		*dir = NULL;
		return err_sys(e, "plan");
	}
	return 0;
}

static int remember_home(struct workspace *w, const struct plan *p, struct err *e)
{
	OWN_FREE char *dir = realpath(p->dir, NULL);
	OWN_BUF struct buf known = BUF_INIT;
	char key[PLAN_NAME_MAX + 16];
	int r;

	if (!dir)
		return err_sys(e, "%s", esc_s(p->dir));
	(void)snprintf(key, sizeof(key), "home/%s", p->name);
	if ((r = state_get(w->state, key, &known, e)) < 0)
		return -1;
	if (r == 1 && known.len == strlen(dir) && memcmp(known.data, dir, known.len) == 0)
		return 0;
	return state_set(w->state, key, dir, strlen(dir), e);
}

int cli_plan_there(struct workspace *w, const char *name, struct err *e)
{
	char head[LEDGER_OID];
	int there = ledger_head(w->ledger, name, head, e);

	if (there != 0)
		return there < 0 ? -1 : 0;
	err_set(e, ERR_USAGE, "%s is neither a plan file nor a plan in the ledger of %s", esc_s(name), esc_s(w->dir));
	return err_hint(e, "waybill status lists the plans there");
}

int cli_plan_recorded(struct workspace *w, const char *name, struct plan **out, struct err *e)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	OWN_BUF struct buf text = BUF_INIT;
	OWN_FREE char *dir = NULL;
	int r = recorded_text(w, name, &text, e);

	if (r < 0)
		return -1;
	if (r == 0)
		return cli_plan_there(w, name, e) < 0 ? -1 : err_set(e, ERR_INTEGRITY, "ledger of plan %s: plan.yaml is missing", name);
	if (plan_home(w, name, &dir, e) < 0)
		return -1;
	if (plan_parse_recorded(name, dir, text.data ? text.data : "", text.len, out, &f) < 0)
		return faults_to_err(&f, e);
	return 0;
}

/* A folder of that name is no plan file: data often lies in one that is called like its plan. */
static bool is_plan_name(const char *arg)
{
	struct stat st;

	return scalar_is_name(arg) && (stat(arg, &st) < 0 || S_ISDIR(st.st_mode));
}

int cli_plan(struct cli_context *c, struct workspace *w, const char *arg, struct plan **out, bool *from_ledger,
    struct err *e)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	bool recorded = w && is_plan_name(arg);

	(void)c;
	if (from_ledger)
		*from_ledger = recorded;
	if (recorded)
		return cli_plan_recorded(w, arg, out, e);
	if (plan_load(arg, out, &f) < 0)
		return faults_to_err(&f, e);
	if (w && remember_home(w, *out, e) < 0) {
		plan_free(take_ptr(out));
		return -1;
	}
	return 0;
}

int cli_plan_name(struct cli_context *c, struct workspace *w, const char *arg, char **name, struct err *e)
{
	OWN_PLAN struct plan *p = NULL;

	if (is_plan_name(arg)) {
		*name = strdup(arg);
	} else {
		if (cli_plan(c, w, arg, &p, NULL, e) < 0)
			return -1;
		*name = strdup(p->name);
	}
	return *name ? 0 : err_sys(e, "plan");
}

int cli_dataset_version(const char *arg, char **dataset, uint64_t *version, struct err *e)
{
	const char *at = strchr(arg, '@');
	size_t n = at ? (size_t)(at - arg) : strlen(arg);
	int64_t v = 0;

	*dataset = NULL;
	if (at && (!scalar_int(at + 1, &v) || v < 1))
		return err_set(e, ERR_USAGE, "%s: a version is a number from 1", esc_s(arg));
	*version = (uint64_t)v;
	if (!(*dataset = strndup(arg, n)))
		return err_sys(e, "dataset");
	if (!scalar_is_name(*dataset)) {
		free(take_ptr(dataset));
		return err_set(e, ERR_USAGE, "%s is not the name of a dataset", esc_s(arg));
	}
	return 0;
}

int cli_agent_binary(char **path, struct err *e)
{
	static const char *const beside[] = { "waybill-agent", "../libexec/waybill/waybill-agent" };
	const char *env = getenv("WAYBILL_AGENT");
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (env && *env) {
		if (!(*path = strdup(env)))
			return err_sys(e, "agent");
		return 0;
	}
	if (n < 0)
		return err_sys(e, "/proc/self/exe");
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
		if (asprintf(path, "%s/%s", exe, beside[i]) < 0)
			return err_sys(e, "agent");
		if (access(*path, R_OK) == 0)
			return 0;
		free(take_ptr(path));
	}
	return err_set(e, ERR_PERMANENT, "waybill-agent was not found beside %s/waybill; name it with WAYBILL_AGENT", esc_s(exe));
}
