/* The survey role: what the other survey_* files find is told fact by fact. */
#include "survey.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io.h"

#define FILE_MAX (8u << 20)
#define VALUE_MAX 4096

int survey_tell(struct agent *a, const char *section, const char *name, const char *value, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT, key = BUF_INIT, text = BUF_INIT;

	buf_printf(&key, "%s/%.*s", section, VALUE_MAX, name);
	buf_printf(&text, "%.*s", VALUE_MAX, value);
	if (buf_finish(&key, e) < 0 || buf_finish(&text, e) < 0)
		return -1;
	msg_fact_encode(&b, key.data, text.data);
	a->done.scanned++;
	a->done.copied++;
	return agent_send(a, WIRE_DATA, MSG_FACT, &b, e);
}

static bool is_absent(int error) { return error == ENOENT || error == ENOTDIR; }

static int tell_unreadable(struct agent *a, const char *path, int error, struct err *e)
{
	return survey_tell(a, "unreadable", path, strerrordesc_np(error) ? strerrordesc_np(error) : "error", e);
}

int survey_file(struct agent *a, const char *path, struct buf *b, struct err *e)
{
	struct err why = ERR_INIT;

	buf_reset(b);
	if (io_read_file(a->root, path, FILE_MAX, b, &why) < 0)
		return is_absent(why.sys) ? 0 : tell_unreadable(a, path, why.sys ? why.sys : EFBIG, e) < 0 ? -1 : 0;
	return b->data != NULL;
}

int survey_lines(struct agent *a, const char *path, survey_line fn, void *ctx, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	int got = survey_file(a, path, &b, e);
	char *next = b.data;

	while (got == 1 && next && *next) {
		char *line = strsep(&next, "\n");

		if (fn(a, line, ctx, e) < 0)
			return -1;
	}
	return got;
}

static int not_dots(const struct dirent *de) { return strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0; }

int survey_dir(struct agent *a, const char *dir, survey_name fn, void *ctx, struct err *e)
{
	struct dirent **names = NULL;
	int n = scandirat(a->root, dir, &names, not_dots, alphasort), r = 0;

	if (n < 0)
		return is_absent(errno) ? 0 : tell_unreadable(a, dir, errno, e);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = fn(a, dir, names[i]->d_name, ctx, e);
		free(names[i]);
	}
	free(names);
	return r;
}

int role_survey(struct agent *a, struct err *e)
{
	if (a->argc)
		return err_set(e, ERR_USAGE, "survey takes no options");
	return survey_system(a, e) < 0 || survey_software(a, e) < 0 || survey_accounts(a, e) < 0 ? -1 : survey_ports(a, e);
}
