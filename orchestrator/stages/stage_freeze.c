/* freeze, cutover, smoke: production stops being written, the new side takes over, somebody looks whether it serves. */
#include <string.h>

#include "activation.h"
#include "clock.h"
#include "give_up.h"
#include "hooks.h"
#include "log.h"
#include "made.h"
#include "runner.h"
#include "takeover.h"

static int64_t now_ms(void) { return clock_now_ns() / 1000000; }

static json_t *beginning(const struct run *r)
{
	double predicted = takeover_predict(r);

	return json_pack("{s:I,s:o}", "at_ms", (json_int_t)now_ms(), "predicted_s", predicted < 0 ? json_null() : json_real(predicted));
}

/* Said before the first hook: whatever happens from here on, the next run knows that production may be frozen. */
static int begin_freeze(struct run *r, struct err *e)
{
	double predicted = takeover_predict(r);

	if (made_vacant(r, e) < 0)
		return -1;
	if (predicted < 0)
		return run_event(r, NULL, "freeze", "started", beginning(r), e, "freeze started; nothing measured predicts how long it takes");
	return run_event(r, NULL, "freeze", "started", beginning(r), e, "freeze started, predicted to take %.1f s", predicted);
}

int stage_freeze(struct run *r, struct err *e)
{
	struct hooks_call c = { .point = POINT_FREEZE, .stage = "freeze" };

	/* Without hooks nothing is frozen: production is as it was until the cut-over. */
	if (!r->plan->hooks[POINT_FREEZE].n)
		return 0;
	if (r->standing.phase == PHASE_LIVE && begin_freeze(r, e) < 0)
		return -1;
	atomic_store(&r->must_undo, true);
	give_up_arm(r, true);
	return hooks_run(r, &c, e);
}

static int record_cutover(struct run *r, struct err *e)
{
	struct standing *s = &r->standing;
	double took = s->froze_ms ? (double)(now_ms() - s->froze_ms) / 1e3 : 0;
	json_t *data = json_pack("{s:f,s:o}", "freeze_s", took, "predicted_s", s->predicted_freeze < 0 ? json_null() : json_real(s->predicted_freeze));

	if (s->predicted_freeze < 0)
		return run_event(r, NULL, "cutover", "done", data, e, "cutover done, %.1f s after the freeze began", took);
	return run_event(r, NULL, "cutover", "done", data, e, "cutover done, %.1f s after the freeze began (predicted: %.1f s)", took, s->predicted_freeze);
}

/* The intent: what will stand where.  From here on a failure is rolled back. */
static int begin_cutover(struct run *r, struct err *e)
{
	int64_t give_up = r->plan->cutover.give_up;
	json_t *places, *data;

	if (give_up && now_ms() / 1000 >= give_up) {
		atomic_store(&r->gave_up, true);
		return err_set(e, ERR_TEMPORARY, "plan %s: give_up was reached before the cut-over", r->plan->name);
	}
	if (activation_intent(r, &places, e) < 0)
		return -1;
	data = r->standing.phase == PHASE_LIVE ? beginning(r) : json_object();
	(void)json_object_set_new(data, "places", places);
	if (run_event(r, NULL, "cutover", "started", data, e, "cutover started") < 0)
		return -1;
	atomic_store(&r->must_undo, true);
	return 0;
}

int stage_cutover(struct run *r, struct err *e)
{
	struct hooks_call c = { .point = POINT_CUTOVER, .stage = "cutover" };

	if (!plan_takes_over(r->plan))
		return 0;
	if (r->standing.phase != PHASE_CUTTING && begin_cutover(r, e) < 0)
		return -1;
	if (activation_cut(r, e) < 0 || hooks_run(r, &c, e) < 0 || run_check(r, e) < 0)
		return -1;
	if (record_cutover(r, e) < 0)
		return -1;
	atomic_store(&r->must_undo, false);
	return 0;
}

int stage_smoke(struct run *r, struct err *e)
{
	struct hooks_call c = { .point = POINT_SMOKE, .stage = "smoke", .go_on = true };

	if (hooks_run(r, &c, e) == 0)
		return 0;
	if (e->class == ERR_DOWN)
		return err_hint(e, "look now whether the target serves; then run again (the smoke test only), or waybill rollback %s", r->plan->name);
	return e->class == ERR_INTEGRITY && !r->plan->rollback.on_failed_smoke ?
	    err_hint(e, "the target stays in service; run again once it is put right, or waybill rollback %s", r->plan->name) : -1;
}
