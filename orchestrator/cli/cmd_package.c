/* package: the hand-over package written once more, to another place. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "esc.h"
#include "job.h"
#include "output.h"
#include "package.h"

static char *absolute(const char *arg)
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

int cmd_package(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	OWN_PACKAGE struct package_result p = { .path = NULL };
	OWN_FREE char *to = NULL;
	const char *arg = cli_value(c, "to");
	char size[OUT_SIZE];

	(void)argc;
	if (!arg)
		return err_set(e, ERR_USAGE, "package needs --to DIR");
	if (!(to = absolute(arg)))
		return err_sys(e, "package");
	if (job_watch_signals(&j, e) < 0 || job_open(&j, c, argv[0], e) < 0 || package_write(&j.run, to, &p, e) < 0)
		return -1;
	progress_clear(j.progress);
	/* Not the package that the plan hands over (that one is made by its stage): only that it was written is recorded. */
	if (run_event(&j.run, NULL, "package", "written", package_json(&j.run, &p), e, "package %s written", p.digest) < 0)
		return -1;
	out_text(c, "package %s\n  number %s\n  %" PRIu64 " payload files, %s\ncheck it with: sh %s/VERIFY.sh\n", esc_s(p.path), p.digest, p.files,
	    out_size(p.bytes, size), esc_s(p.path));
	if (c->json)
		return out_json(c, package_json(&j.run, &p), e);
	return out_finish(e);
}
