#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "atomic_file.h"
#include "esc.h"
#include "io.h"
#include "output.h"
#include "scalar.h"
#include "workspace.h"

struct place {			/* the new workspace */
	char *dir;		/* absolute, the folder that holds .waybill */
	char *wb;		/* DIR/.waybill */
	char *store;		/* absolute */
	bool elsewhere;		/* --store was given */
};

static void place_dispose(struct place *p)
{
	free(p->dir);
	free(p->wb);
	free(p->store);
}

static int absolute(const char *path, char **out, struct err *e)
{
	if (io_mkdirs(AT_FDCWD, path, 0700, e) < 0)
		return -1;
	if (!(*out = realpath(path, NULL)))
		return err_sys(e, "%s", esc_s(path));
	return 0;
}

static int place_find(struct place *p, const char *dir, const char *store, struct err *e)
{
	if (absolute(dir, &p->dir, e) < 0)
		return -1;
	if (asprintf(&p->wb, "%s/" WORKSPACE_DIR, p->dir) < 0)
		return err_sys(e, "init");
	if (mkdir(p->wb, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "%s", esc_s(p->wb));
	/* Made by somebody else with wider rights: names and contents of others' data will lie there. */
	if (chmod(p->wb, 0700) < 0)
		return err_sys(e, "%s: mode 0700", esc_s(p->wb));
	p->elsewhere = store != NULL;
	if (store)
		return absolute(store, &p->store, e);
	if (asprintf(&p->store, "%s/store", p->wb) < 0)
		return err_sys(e, "init");
	return 0;
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static int write_config(const struct place *p, int wbfd, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (strpbrk(p->store, "\"\\") || scalar_has_control(p->store))
		return err_set(e, ERR_USAGE, "--store %s: a name without quotes, backslashes and control characters is needed",
		    esc_s(p->store));
	buf_puts(&b, "# Who acts when neither --as nor WAYBILL_AS says so:\n# as: zhang\n# key: ~/.ssh/id_ed25519\n");
	if (p->elsewhere)
		buf_printf(&b, "store: \"%s\"\n", p->store);
	if (buf_finish(&b, e) < 0)
		return -1;
	return atomic_file_write(wbfd, "config.yaml", 0600, b.data, b.len, e);
}

static int make_parts(const struct place *p, struct err *e)
{
	static const char *const folders[] = { "scan", "log", "packages" };
	OWN_FREE char *ledger = NULL, *db = NULL;
	OWN_FD int wbfd = open(p->wb, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct state *state = NULL;

	if (wbfd < 0)
		return err_sys(e, "%s", esc_s(p->wb));
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (mkdirat(wbfd, folders[i], 0700) < 0 && errno != EEXIST)
			return err_sys(e, "%s/%s", esc_s(p->wb), folders[i]);
	if (asprintf(&ledger, "%s/ledger.git", p->wb) < 0 || asprintf(&db, "%s/state.db", p->wb) < 0)
		return err_sys(e, "init");
	if (store_create(p->store, e) < 0 || state_open(&state, db, e) < 0)
		return -1;
	state_close(state);
	/* Last, because a folder counts as a workspace by its ledger. */
	if (write_config(p, wbfd, e) < 0)
		return -1;
	return ledger_create(ledger, e);
}

/* A workspace that is there stays as it is; another --store is refused, because the archive would be torn in two. */
static int keep_existing(struct cli_context *c, const struct place *p, struct err *e)
{
	OWN_FREE char *configured = NULL;
	int r;

	if (p->elsewhere) {
		if ((r = workspace_config(p->wb, "store", &configured, e)) < 0)
			return -1;
		if (r == 0 || strcmp(configured, p->store) != 0)
			return err_set(e, ERR_REFUSED, "%s is a workspace already, with its archive in %s%s", esc_s(p->dir),
			    r ? "" : esc_s(p->wb), r ? esc_s(configured) : "/store");
	}
	out_text(c, "%s is a workspace already; nothing was changed\n", esc_s(p->dir));
	return 0;
}

static int say(struct cli_context *c, const struct place *p, bool made, struct err *e)
{
	json_t *obj = json_object();

	if (!c->json) {
		json_decref(obj);
		return out_finish(e);
	}
	if (out_json_set(obj, "workspace", out_json_text(p->wb), e) < 0 || out_json_set(obj, "made", json_boolean(made), e) < 0) {
		json_decref(obj);
		return -1;
	}
	return out_json(c, obj, e);
}

int cmd_init(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN(place_dispose) struct place p = { NULL, NULL, NULL, false };
	OWN_FREE char *ledger = NULL;
	bool there;

	if (place_find(&p, argc ? argv[0] : c->dir ? c->dir : ".", cli_value(c, "store"), e) < 0)
		return err_at(e, "init");
	if (asprintf(&ledger, "%s/ledger.git", p.wb) < 0)
		return err_sys(e, "init");
	there = is_there(ledger);
	if (there) {
		if (keep_existing(c, &p, e) < 0)
			return -1;
	} else {
		if (make_parts(&p, e) < 0)
			return err_at(e, "init");
		out_text(c, "made the workspace %s\n  ledger   %s\n  archive  %s\n", esc_s(p.wb), esc_s(ledger), esc_s(p.store));
	}
	return say(c, &p, !there, e);
}
