#include "drop_side.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "drop.h"
#include "esc.h"
#include "output.h"
#include "path.h"

char *cli_absolute(const char *arg)
{
	OWN_FREE char *cwd = realpath(".", NULL);
	char *out = NULL;
	size_t n;

	if (arg[0] == '/')
		out = strdup(arg);
	else if (!cwd || asprintf(&out, "%s/%s", cwd, arg) < 0)
		return NULL;
	n = out ? strlen(out) : 0;
	while (n > 1 && out[n - 1] == '/')
		out[--n] = '\0';
	return out;
}

int drop_split(const char *arg, char **host, const char **dir, struct err *e)
{
	const char *mark = arg[0] == '/' ? NULL : strstr(arg, ":/");

	if (!mark || mark == arg || memchr(arg, '/', (size_t)(mark - arg)))
		return 0;
	if (!path_is_clean_absolute(mark + 1))
		return err_set(e, ERR_USAGE, "%s: HOST:DIR takes an absolute directory without \".\", \"..\" and a slash at its end", esc_s(arg));
	if (!(*host = strndup(arg, (size_t)(mark - arg))))
		return err_sys(e, "drop");
	*dir = mark + 1;
	return 1;
}

/* The port goes off the end of host; an address with more colons than one has none. */
static int cut_port(char *host, struct err *e)
{
	char *colon = strchr(host, ':'), *end;
	long port;

	if (!colon || strchr(colon + 1, ':'))
		return 0;
	port = strtol(colon + 1, &end, 10);
	if (!isdigit((unsigned char)colon[1]) || *end || port < 1 || port > 65535)
		return err_set(e, ERR_USAGE, "%s: behind the colon there must be a port", esc_s(host));
	*colon = '\0';
	return (int)port;
}

static int say(struct cli_context *c, const char *name, bool empty, const struct drop_count *n, struct err *e)
{
	char size[OUT_SIZE];

	if (empty)
		out_text(c, "removed from %s: %" PRIu64 " files\n", name, n->files);
	else
		out_text(c, "fetched from %s: %" PRIu64 " files, %s (%" PRIu64 " were here and right)\n", name, n->files, out_size(n->bytes, size), n->kept);
	if (c->json && empty && !cli_value(c, "to"))
		return out_json(c, json_pack("{s:s,s:I}", "drop", name, "removed", (json_int_t)n->files), e);
	return 0;
}

int drop_side(struct cli_context *c, const char *from, const char *local, bool empty, struct err *e)
{
	OWN(host_closep) struct host *h = NULL;
	OWN(sftp_closep) struct sftp *s = NULL;
	OWN_FREE char *host = NULL, *name = esc_dup(from, strlen(from));
	struct host_spec spec = { .sftp_only = true };
	struct drop_count n;
	struct drop d = { .name = name };
	int r = drop_split(from, &host, &d.dir, e);

	if (r < 0 || !name)
		return r < 0 ? -1 : err_sys(e, "drop");
	if (r == 0)
		return err_set(e, ERR_USAGE, "--fetch takes [USER@]HOST[:PORT]:/DIR");
	if ((spec.port = cut_port(host, e)) < 0)
		return -1;
	spec.name = spec.ssh = host;
	if (host_open(&h, &spec, e) < 0 || sftp_open(h, (struct sftp_watch){ NULL, NULL }, &s, e) < 0)
		return -1;
	d.sftp = s;
	if ((empty ? drop_empty(&d, local, &n, e) : drop_fetch(&d, local, &n, e)) < 0)
		return -1;
	return say(c, name, empty, &n, e);
}
