/* package: the hand-over package written once more, to another place, or put into a drop. */
#include <inttypes.h>
#include <string.h>

#include "drop_side.h"
#include "esc.h"
#include "job.h"
#include "output.h"
#include "package.h"

static int print_relayed(struct cli_context *c, struct job *j, const struct package_relayed *p, struct err *e)
{
	char size[OUT_SIZE];

	progress_clear(j->progress);
	out_text(c, "package %s\n  number %s\n  %" PRIu64 " files sent, %s; %" PRIu64 " were there and right\n"
	    "on the other side: waybill accept PACKAGE --fetch [USER@]HOST[:PORT]:DIR --as PERSON --key FILE --to OUT\n",
	    esc_s(p->package.path), p->package.digest, p->sent_files, out_size(p->sent_bytes, size), p->kept);
	if (c->json)
		return out_json(c, package_json(&j->run, &p->package), e);
	return out_finish(e);
}

static int relay(struct cli_context *c, const char *plan, const char *host, const char *dir, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	struct package_relayed p = { .package = { .path = NULL } };
	int r;

	if (job_watch_signals(&j, e) < 0 || job_open(&j, c, plan, e) < 0)
		return -1;
	r = package_relay(&j.run, host, dir, &p, e);
	if (r == 0)
		r = print_relayed(c, &j, &p, e);
	package_result_dispose(&p.package);
	return r;
}

int cmd_package(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	OWN_PACKAGE struct package_result p = { .path = NULL };
	OWN_FREE char *to = NULL, *host = NULL;
	const char *arg = cli_value(c, "to"), *dir = NULL;
	char size[OUT_SIZE];
	int far;

	(void)argc;
	if (!arg)
		return err_set(e, ERR_USAGE, "package needs --to [HOST:]DIR");
	if ((far = drop_split(arg, &host, &dir, e)) != 0)
		return far < 0 ? -1 : relay(c, argv[0], host, dir, e);
	if (!(to = cli_absolute(arg)))
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
