#include "secrets.h"

#include <fcntl.h>
#include <string.h>

#include "esc.h"
#include "io.h"

#define SECRET_MAX (64u << 10)

const char *secret_name(const char *value)
{
	return strncmp(value, "secret:", 7) == 0 ? value + 7 : NULL;
}

static int from_file(const struct plan *p, const struct plan_secret *s, struct buf *out, struct err *e)
{
	OWN_FREE char *path = plan_file_path(p, s->file);

	if (!path)
		return err_sys(e, "secret %s", s->name);
	if (io_read_file(AT_FDCWD, path, SECRET_MAX, out, e) < 0) {
		if (e->class == ERR_PERMANENT)
			e->class = ERR_USAGE;
		return err_at(e, "secret %s", s->name);
	}
	return 0;
}

int secret_read(const struct plan *p, const char *name, struct buf *out, struct err *e)
{
	const struct plan_secret *s = plan_secret(p, name);

	if (!s)
		return err_set(e, ERR_USAGE, "the plan has no secret %s", esc_s(name));
	if (s->file && from_file(p, s, out, e) < 0)
		return -1;
	if (!s->file && !getenv(s->env))
		return err_set(e, ERR_USAGE, "secret %s: the variable %s is not set", s->name, esc_s(s->env));
	if (!s->file)
		buf_puts(out, getenv(s->env));
	if (buf_finish(out, e) < 0)
		return -1;
	while (out->len && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
		out->data[--out->len] = '\0';
	if (!out->len || memchr(out->data, '\0', out->len))
		return err_set(e, ERR_USAGE, "secret %s: %s", s->name, out->len ? "a NUL stands in it" : "it is empty");
	return 0;
}
