/* limit PLAN bandwidth=RATE|off: changes a running copy. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "command.h"
#include "esc.h"
#include "job.h"
#include "limit.h"
#include "output.h"
#include "scalar.h"

#define KEY "bandwidth="

/* Somebody who runs it holds its lock. */
static int runs(const struct workspace *w, const char *plan, struct err *e)
{
	OWN_FREE char *path = NULL;
	OWN_FD int fd = -1;

	if (asprintf(&path, "%s/run-%s.lock", w->dir, plan) < 0)
		return err_sys(e, "limit");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", esc_s(path));
	return flock(fd, LOCK_SH | LOCK_NB) < 0 ? errno == EWOULDBLOCK ? 1 : err_sys(e, "%s", esc_s(path)) : 0;
}

int cmd_limit(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	uint64_t rate;
	int r;

	(void)argc;
	if (strncmp(argv[1], KEY, strlen(KEY)) != 0 || !scalar_rate(argv[1] + strlen(KEY), &rate))
		return err_set(e, ERR_USAGE, "limit: \"%s\" is not bandwidth=20MB/s or bandwidth=off", esc_s(argv[1]));
	if (job_open(&j, c, argv[0], e) < 0 || (r = runs(j.w, j.plan->name, e)) < 0)
		return -1;
	if (r == 0) {
		err_set(e, ERR_PERMANENT, "plan %s is not running", j.plan->name);
		return err_hint(e, "limits.bandwidth in the plan is what its next run begins with");
	}
	if (limit_wish(j.w, j.plan->name, rate, e) < 0)
		return -1;
	out_text(c, "plan %s: bandwidth %s\n", j.plan->name, argv[1] + strlen(KEY));
	if (c->json)
		return out_json(c, json_pack("{s:s,s:I}", "plan", j.plan->name, "bandwidth", (json_int_t)rate), e);
	return out_finish(e);
}
