/* verify: what was copied is read back where it lies; restore-test: the archive really gives everything back. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "esc.h"
#include "log.h"
#include "made.h"
#include "proc.h"
#include "resend.h"
#include "restore.h"
#include "runner.h"
#include "verify.h"

static int verdict(const struct run *r, const struct verify_result *v, struct err *e)
{
	if (!v->difference_total && !v->unverified_total)
		return 0;
	err_set(e, v->difference_total ? ERR_INTEGRITY : ERR_UNVERIFIED, "dataset %s version %" PRIu64 " at the %s: %" PRIu64 " differences, %"
	    PRIu64 " unverified; first: %s %s", v->dataset, v->version, verify_side_name(v->side), v->difference_total, v->unverified_total,
	    v->difference_count ? v->differences[0].path : v->unverified[0].path,
	    v->difference_count ? v->differences[0].what : v->unverified[0].reason);
	return err_hint(e, "list them with: waybill verify %s %s --side %s", r->plan->name, v->dataset, verify_side_name(v->side));
}

/*
 * While production goes on at the source, what somebody put at the target stops nothing.  Once frozen the target is about to serve: what is
 * there besides the dataset must be what was there first, or the plan must let such things be (delete: no).
 */
static bool extra_passes(const struct run *r, const struct plan_dataset *d)
{
	return r->standing.phase != PHASE_FROZEN || d->kind != DATASET_FILES || !d->files.delete;
}

static int verify_side(struct run *r, const struct plan_dataset *d, enum verify_side side, struct made_asked *asked, struct err *e)
{
	OWN_VERIFY struct verify_result v = VERIFY_RESULT_INIT;
	struct verify_options o = { .side = side, .keep_extra = extra_passes(r, d), .asked = asked };

	if (verify_run(r, d, &o, &v, e) < 0)
		return -1;
	if (v.foreign_total)
		log_warn("%s: %" PRIu64 " foreign entries at the target stay there, first %s", d->name, v.foreign_total, v.foreign[0]);
	if (resend_note(r, &v, e) < 0 || verify_record(r, "verify", &v, e) < 0)
		return -1;
	return verdict(r, &v, e);
}

/* What was fed to a command without fingerprint: only what is kept of it can be checked. */
static bool target_is_opaque(const struct plan_dataset *d)
{
	if (d->kind != DATASET_COMMAND || d->command.fingerprint.n)
		return false;
	if (d->to.host)
		log_warn("%s: the plan names no fingerprint, so what the target made of it is not verified; the archive is", d->name);
	return true;
}

static int verify_dataset(struct run *r, const struct plan_dataset *d, struct made_asked *asked, struct err *e)
{
	if (d->to.host && !target_is_opaque(d) && verify_side(r, d, VERIFY_TARGET, asked, e) < 0)
		return -1;
	/* Hand-over and retirement rest on the archive. */
	return (!d->to.host || target_is_opaque(d) || r->plan->kind != PLAN_MIGRATION) && verify_side(r, d, VERIFY_ARCHIVE, NULL, e) < 0 ? -1 : 0;
}

/* Fed by an earlier run and found good then: whoever uses it since changes it. */
static bool settled(const struct run *r, const struct plan_dataset *d)
{
	return made_settled(r, d) && !(r->o->only && r->o->only[0]);
}

/* A database's server sums up its tables while the files are read; production may be waiting for both. */
int stage_verify(struct run *r, struct err *e)
{
	OWN(made_asked_freep) struct made_asked *asked = NULL;
	const struct plan_dataset *about = NULL;

	for (size_t i = 0; !asked && i < r->plan->ndatasets; i++)
		if (runner_wants(r, &r->plan->datasets[i]) && !settled(r, &r->plan->datasets[i]) && (asked = made_ask_ahead(r, &r->plan->datasets[i])))
			about = &r->plan->datasets[i];
	for (size_t i = 0; i < r->plan->ndatasets; i++) {
		const struct plan_dataset *d = &r->plan->datasets[i];

		if (runner_wants(r, d) && !settled(r, d) && verify_dataset(r, d, d == about ? asked : NULL, e) < 0)
			return -1;
	}
	return 0;
}

static int remove_tree(const char *path, struct err *e)
{
	const char *argv[] = { "rm", "-rf", "--", path, NULL };
	struct proc_options o = { .argv = argv };
	OWN_PROC struct proc_result res = PROC_RESULT_INIT;

	if (proc_run(&o, &res, e) < 0)
		return -1;
	return res.status == 0 ? 0 : err_set(e, ERR_PERMANENT, "the restore test's directory %s could not be removed", esc_s(path));
}

/* Restored with the code that users restore with, then read back and compared like a target. */
static int test_dataset(struct run *r, const struct plan_dataset *d, const char *dir, struct err *e)
{
	OWN_VERIFY struct verify_result v = VERIFY_RESULT_INIT;
	OWN_FREE char *to = NULL;
	struct restore_result res;
	struct verify_options vo = { .side = VERIFY_TARGET, .full = true, .host = "local" };
	struct restore_options ro = { .version = 0 };

	if (asprintf(&to, "%s/%s", dir, d->name) < 0)
		return err_sys(e, "restore test");
	ro.to = vo.path = to;
	if (restore_run(r, d, &ro, &res, e) < 0 || verify_run(r, d, &vo, &v, e) < 0)
		return -1;
	v.side = VERIFY_ARCHIVE;	/* what was tested is the archive, by way of a restored tree */
	if (verify_record(r, "restore-test", &v, e) < 0)
		return -1;
	return verdict(r, &v, e);
}

int stage_restore_test(struct run *r, struct err *e)
{
	OWN_FREE char *dir = NULL;
	struct err cleanup = ERR_INIT;
	int res = 0;

	if (asprintf(&dir, "%s/restore-test.%s", r->w->dir, r->plan->name) < 0)
		return err_sys(e, "restore test");
	if (remove_tree(dir, e) < 0)
		return -1;
	if (mkdir(dir, 0700) < 0)
		return err_sys(e, "mkdir %s", esc_s(dir));
	for (size_t i = 0; res == 0 && i < r->plan->ndatasets; i++)
		res = test_dataset(r, &r->plan->datasets[i], dir, e);
	if (remove_tree(dir, &cleanup) < 0) {
		log_error("%s", cleanup.text);
		if (res == 0)
			*e = cleanup;
		res = -1;
	}
	return res;
}
