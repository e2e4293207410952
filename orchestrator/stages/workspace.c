#include "workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "esc.h"
#include "io.h"

int workspace_config(const char *waybill_dir, const char *key, char **value, struct err *e)
{
	OWN_FREE char *path = NULL;
	OWN_BUF struct buf text = BUF_INIT;
	size_t klen = strlen(key);

	*value = NULL;
	if (asprintf(&path, "%s/config.yaml", waybill_dir) < 0)
		return err_sys(e, "config");
	if (io_read_file(AT_FDCWD, path, 65536, &text, e) < 0) {
		if (e->sys != ENOENT)
			return -1;
		err_clear(e);
		return 0;
	}
	for (char *line = text.data, *next; line && *line; line = next) {
		size_t n = strcspn(line, "\n");

		next = line + n + (line[n] == '\n');
		line[n] = '\0';
		if (strncmp(line, key, klen) != 0 || line[klen] != ':')
			continue;
		line += klen + 1;
		line += strspn(line, " \"");
		line[strcspn(line, "\"\r")] = '\0';
		if (!(*value = strdup(line)))
			return err_sys(e, "config");
		return 1;
	}
	return 0;
}

static int open_parts(struct workspace *w, struct err *e)
{
	OWN_FREE char *ledger = NULL, *store = NULL, *configured = NULL;

	w->dirfd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->dirfd < 0)
		return err_sys(e, "open the workspace %s", esc_s(w->dir));
	/* What lay in them is found out again, or missed by whoever needs it. */
	(void)mkdirat(w->dirfd, "scan", 0700);
	(void)mkdirat(w->dirfd, "log", 0700);
	w->scanfd = openat(w->dirfd, "scan", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->scanfd < 0)
		return err_sys(e, "open %s/scan", esc_s(w->dir));
	w->logfd = openat(w->dirfd, "log/waybill.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (w->logfd < 0)
		return err_sys(e, "open %s/log/waybill.log", esc_s(w->dir));
	if (workspace_config(w->dir, "store", &configured, e) < 0)
		return -1;
	if (asprintf(&ledger, "%s/ledger.git", w->dir) < 0 || asprintf(&store, "%s/store", w->dir) < 0)
		return err_sys(e, "workspace");
	if (ledger_open(&w->ledger, ledger, e) < 0)
		return -1;
	if (store_open(&w->store, configured ? configured : store, e) < 0) {
		if (e->sys == ENOENT)
			(void)err_hint(e, "mount it or put it back; where it lies is the line store: of %s/config.yaml", esc_s(w->dir));
		return -1;
	}
	return workspace_state(w, &w->state, e);
}

int workspace_open(const char *dir, struct workspace **out, struct err *e)
{
	OWN(workspace_closep) struct workspace *w = calloc(1, sizeof(*w));
	OWN_FREE char *path = NULL;

	if (!w || asprintf(&path, "%s/" WORKSPACE_DIR, dir) < 0)
		return err_sys(e, "workspace");
	w->dirfd = w->scanfd = w->logfd = -1;
	if (!(w->dir = realpath(path, NULL))) {
		err_set(e, ERR_USAGE, "%s holds no workspace", esc_s(dir));
		return err_hint(e, "make one with: waybill init %s", esc_s(dir));
	}
	if (open_parts(w, e) < 0)
		return -1;
	*out = take_ptr(&w);
	return 0;
}

int workspace_state(const struct workspace *w, struct state **out, struct err *e)
{
	OWN_FREE char *path = NULL;

	if (asprintf(&path, "%s/state.db", w->dir) < 0)
		return err_sys(e, "workspace");
	return state_open(out, path, e);
}

void workspace_close(struct workspace *w)
{
	int *fds[3];

	if (!w)
		return;
	state_close(w->state);
	store_close(w->store);
	ledger_close(w->ledger);
	fds[0] = &w->dirfd;
	fds[1] = &w->scanfd;
	fds[2] = &w->logfd;
	for (size_t i = 0; i < 3; i++)
		if (*fds[i] >= 0)
			(void)close(*fds[i]);
	free(w->dir);
	free(w);
}
