#include "standing.h"

#include <jansson.h>
#include <string.h>

#include "clock.h"
#include "esc.h"

const char *stage_state_name(enum stage_state s)
{
	static const char *const names[] = { "open", "started", "done", "waiting", "failed", "refused" };

	return names[s];
}

void standing_dispose(struct standing *s)
{
	free(s->datasets);
	free(s->clear_data);
	free(s->package_data);
	free(s->cut_data);
	*s = (struct standing)STANDING_INIT;
}

struct standing_dataset *standing_dataset(const struct standing *s, const char *name)
{
	for (size_t i = 0; i < s->dataset_count; i++)
		if (strcmp(s->datasets[i].name, name) == 0)
			return &s->datasets[i];
	return NULL;
}

struct standing_dataset *standing_need(struct standing *s, const char *name, struct err *e)
{
	struct standing_dataset *d = standing_dataset(s, name), *v;

	if (d)
		return d;
	if (!(v = realloc(s->datasets, (s->dataset_count + 1) * sizeof(*v)))) {
		err_sys(e, "replay");
		return NULL;
	}
	s->datasets = v;
	d = &v[s->dataset_count++];
	memset(d, 0, sizeof(*d));
	(void)snprintf(d->name, sizeof(d->name), "%s", name);
	return d;
}

static const char *text_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static uint64_t number_of(const json_t *j, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(j, key));

	return v > 0 ? (uint64_t)v : 0;
}

/* The list of what lay at a target before the first copy; once recorded it stays. */
static void take_foreign(struct standing_dataset *d, const json_t *facts)
{
	const char *hex = text_of(facts, "foreign_sha256");

	if (d->foreign_known || !json_object_get(facts, "foreign_count"))
		return;
	d->foreign_known = true;
	(void)snprintf(d->foreign, sizeof(d->foreign), "%s", hex);
}

static int take_preflight(struct standing *s, const json_t *j, struct err *e)
{
	json_t *datasets = json_object_get(j, "datasets"), *facts;
	const char *name;

	json_object_foreach(datasets, name, facts) {
		bool wanted = json_object_get(facts, "foreign_count") || json_object_get(facts, "rights");
		struct standing_dataset *d = wanted ? standing_need(s, name, e) : NULL;

		if (d && json_object_get(facts, "rights"))
			loss_rights_parse(json_object_get(facts, "rights"), &d->rights);
		if (d)
			take_foreign(d, facts);
		else if (e->class != ERR_NONE)
			return -1;
	}
	return 0;
}

static int take_version(struct standing *s, const json_t *j, struct err *e)
{
	struct standing_dataset *d = standing_need(s, text_of(j, "dataset"), e);
	const json_t *balance = json_object_get(j, "balance");

	if (!d)
		return -1;
	take_foreign(d, j);
	if (json_object_get(j, "rights"))
		loss_rights_parse(json_object_get(j, "rights"), &d->rights);
	loss_counts_text(json_object_get(j, "losses"), d->losses, sizeof(d->losses));
	d->version = number_of(j, "version");
	d->feeding = 0;
	d->entries = number_of(j, "entries");
	d->bytes = number_of(j, "bytes");
	d->failed = number_of(balance, "failed");
	d->unsettled = number_of(balance, "unsettled");
	d->seconds = json_number_value(json_object_get(j, "seconds"));
	d->mostly_new = number_of(balance, "copied") >= d->entries / 4 + 1;
	if (!d->mostly_new) {
		d->later_seconds = d->seconds;
		d->later_entries = d->entries;
	}
	(void)snprintf(d->root, sizeof(d->root), "%s", text_of(j, "root"));
	(void)snprintf(d->root_sm3, sizeof(d->root_sm3), "%s", text_of(j, "root_sm3"));
	return 0;
}

static int take_feeding(struct standing *s, const json_t *j, struct err *e)
{
	struct standing_dataset *d = standing_need(s, text_of(j, "dataset"), e);

	if (!d)
		return -1;
	d->feeding = number_of(j, "version");
	return 0;
}

static int take_check(struct standing *s, const struct ledger_event *ev, const json_t *j, bool restore, struct err *e)
{
	struct standing_dataset *d = standing_need(s, text_of(j, "dataset"), e);
	const char *side = text_of(j, "side");
	struct standing_check *c;

	if (!d)
		return -1;
	c = restore ? &d->restore : strcmp(side, "source") == 0 ? &d->source :
	    strcmp(side, "archive") == 0 ? &d->archive : &d->target;
	c->version = number_of(j, "version");
	(void)snprintf(c->verdict, sizeof(c->verdict), "%s", text_of(j, "verdict"));
	c->medium = strcmp(text_of(j, "read"), "medium") == 0;
	c->full = json_is_true(json_object_get(j, "full"));
	c->seq = ev->seq;
	if (c == &d->target && json_object_get(j, "seconds")) {
		d->verify_seconds = json_number_value(json_object_get(j, "seconds"));
		if (!d->mostly_new)
			d->later_verify_seconds = d->verify_seconds;
	}
	(void)clock_parse(ev->at, NULL, &c->at);
	return 0;
}

static int take_clear(struct standing *s, const struct ledger_event *ev, struct err *e)
{
	if (strcmp(ev->state, "started") == 0) {
		s->clearing = true;
		(void)clock_parse(ev->at, NULL, &s->clear_started_at);
		memcpy(s->clear_started, ev->commit, sizeof(s->clear_started));
		free(s->clear_data);
		if (!(s->clear_data = strdup(ev->data)))
			return err_sys(e, "replay");
	} else if (strcmp(ev->state, "done") == 0) {
		s->clearing = false;
		memcpy(s->clear_done, ev->commit, sizeof(s->clear_done));
		s->cleared = true;
	}
	return 0;
}

static enum stage_state state_of(const char *word, enum stage_state old)
{
	static const struct { const char *word; enum stage_state state; } table[] = {
		{ "started", STAGE_STARTED }, { "done", STAGE_DONE }, { "waiting", STAGE_WAITING },
		{ "failed", STAGE_FAILED }, { "refused", STAGE_REFUSED } };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(word, table[i].word) == 0)
			return table[i].state;
	return old;
}

/* The plan goes back to `copy`: everything from there on is to be done again. */
static void reopen_from_copy(struct standing *s)
{
	for (int i = STAGE_COPY; i < STAGE_COUNT; i++)
		s->stages[i] = STAGE_OPEN;
}

/* ---- freeze, cut-over and back ---- */

static void take_hook(struct standing *s, const json_t *j)
{
	const char *point = text_of(j, "point");

	for (int p = 0; p < POINT_COUNT; p++)
		if (strcmp(point, plan_point_name((enum plan_point)p)) == 0)
			s->hook_seconds[p] += json_number_value(json_object_get(j, "seconds"));
}

static void froze(struct standing *s, const struct ledger_event *ev, const json_t *j)
{
	const json_t *predicted = json_object_get(j, "predicted_s");

	(void)clock_parse(ev->at, NULL, &s->frozen_at);
	s->froze_ms = json_integer_value(json_object_get(j, "at_ms"));
	s->predicted_freeze = json_is_number(predicted) ? json_number_value(predicted) : -1;
	s->hook_seconds[POINT_FREEZE] = s->hook_seconds[POINT_CUTOVER] = 0;
}

/* A freeze or cut-over without "started" before it has nothing to undo: the plan has no hooks and no swap. */
static int take_phase(struct standing *s, const struct ledger_event *ev, const json_t *j, struct err *e)
{
	bool started = strcmp(ev->state, "started") == 0, done = strcmp(ev->state, "done") == 0;

	if (strcmp(ev->stage, "copy") == 0 && done)
		s->pass_seconds = json_number_value(json_object_get(j, "last_pass_s"));
	if (strcmp(ev->stage, "freeze") == 0 && started) {
		s->phase = PHASE_FREEZING;
		froze(s, ev, j);
	} else if (strcmp(ev->stage, "freeze") == 0 && done && s->phase == PHASE_FREEZING) {
		s->phase = PHASE_FROZEN;
	} else if (strcmp(ev->stage, "cutover") == 0 && started) {
		if (s->phase == PHASE_LIVE)	/* nothing was frozen before */
			froze(s, ev, j);
		s->phase = PHASE_CUTTING;
		free(s->cut_data);
		if (!(s->cut_data = strdup(ev->data)))
			return err_sys(e, "replay");
	} else if (strcmp(ev->stage, "cutover") == 0 && done && s->phase == PHASE_CUTTING) {
		s->phase = PHASE_CUT;
		s->freeze_seconds = json_number_value(json_object_get(j, "freeze_s"));
	} else if (strcmp(ev->stage, "finish") == 0 && (started || done)) {
		s->phase = started ? PHASE_FINISHING : PHASE_FINISHED;
	} else if (strcmp(ev->stage, "smoke") == 0) {
		s->smoke_blind = strcmp(ev->state, "failed") == 0 && json_integer_value(json_object_get(j, "exit")) == 9;
	}
	return 0;
}

/* thaw and rollback: the source serves again, and the plan stands at copy. */
static void take_undo(struct standing *s, const struct ledger_event *ev)
{
	bool rollback = strcmp(ev->stage, "rollback") == 0;

	if (strcmp(ev->state, "started") == 0 || strcmp(ev->state, "failed") == 0)
		s->phase = rollback ? PHASE_ROLLING : PHASE_THAWING;
	if (strcmp(ev->state, "done") != 0)
		return;
	s->phase = PHASE_LIVE;
	s->round += rollback;
	s->smoke_blind = false;
	free(s->cut_data);
	s->cut_data = NULL;
	reopen_from_copy(s);
}

static int take_rehearsal(struct standing *s, const struct ledger_event *ev, const json_t *j, struct err *e)
{
	const char *name;
	const json_t *one;

	if (strcmp(ev->state, "done") != 0)
		return 0;
	s->rehearsed = true;
	json_object_foreach(json_object_get(j, "datasets"), name, one) {
		struct standing_dataset *d = standing_need(s, name, e);

		if (!d)
			return -1;
		d->rehearsed = json_number_value(json_object_get(one, "seconds"));
	}
	return 0;
}

/* What lay at the target of an earlier plan says nothing of this one's. */
static void take_retargeted(struct standing *s, const json_t *names)
{
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name) {
		struct standing_dataset *d = json_is_string(name) ? standing_dataset(s, json_string_value(name)) : NULL;

		if (d && !d->version) {
			d->foreign_known = false;
			d->foreign[0] = '\0';
		}
	}
}

static int take_plan(struct standing *s, const struct ledger_event *ev, const json_t *j)
{
	if (strcmp(ev->state, "recorded") == 0 || strcmp(ev->state, "amended") == 0) {
		(void)snprintf(s->plan_digest, sizeof(s->plan_digest), "%s", ev->plan_digest);
		s->plan_version = number_of(j, "version");
		s->rehearsed = false;
		take_retargeted(s, json_object_get(j, "retargeted"));
		for (int i = 0; i < STAGE_COUNT; i++)
			s->stages[i] = STAGE_OPEN;
	} else if (strcmp(ev->state, "abandoned") == 0) {
		s->abandoned = true;
	}
	return 0;
}

static int take_stage(struct standing *s, const struct ledger_event *ev, const json_t *j, struct err *e)
{
	enum plan_stage stage;

	if (!plan_stage_parse(ev->stage, &stage))
		return 0;
	s->stages[stage] = state_of(ev->state, s->stages[stage]);
	(void)snprintf(s->stage_text[stage], sizeof(s->stage_text[stage]), "%s", ev->text);
	esc_trim(s->stage_text[stage]);
	(void)clock_parse(ev->at, NULL, &s->stage_at[stage]);
	if (stage == STAGE_COPY && strcmp(ev->state, "started") == 0) {
		reopen_from_copy(s);
		s->stages[STAGE_COPY] = STAGE_STARTED;
	}
	if (stage == STAGE_PREFLIGHT && strcmp(ev->state, "done") == 0)
		return take_preflight(s, j, e);
	if ((stage == STAGE_COPY || stage == STAGE_FINAL) && strcmp(ev->state, "version") == 0)
		return take_version(s, j, e);
	if ((stage == STAGE_COPY || stage == STAGE_FINAL) && strcmp(ev->state, "feeding") == 0)
		return take_feeding(s, j, e);
	if (strcmp(ev->state, "checked") == 0)
		return take_check(s, ev, j, stage == STAGE_RESTORE_TEST, e);
	if (stage == STAGE_CLEAR)
		return take_clear(s, ev, e);
	if (stage == STAGE_PACKAGE && strcmp(ev->state, "done") == 0) {
		free(s->package_data);
		if (!(s->package_data = strdup(ev->data)))
			return err_sys(e, "replay");
	}
	if (stage == STAGE_ACCEPT && strcmp(ev->state, "done") == 0) {
		s->accepted = true;
		(void)snprintf(s->accept_verdict, sizeof(s->accept_verdict), "%s", text_of(j, "verdict"));
	}
	return 0;
}

static void take_certify(struct standing *s, const struct ledger_event *ev, const json_t *j)
{
	json_t *row;
	size_t i;

	if (strcmp(ev->state, "access") == 0) {
		s->access_open = false;
		json_array_foreach(json_object_get(j, "access"), i, row)
			s->access_open |= strcmp(text_of(row, "result"), "refused") != 0;
	}
	/* Whatever else is certified: the access is to be tested again. */
	if (strcmp(ev->state, "done") == 0 && s->access_open)
		s->stages[STAGE_CERTIFY] = STAGE_OPEN;
}

/* What a holder states of a copy afterwards belongs into the certificate: it is made again. */
static void take_record(struct standing *s, const json_t *j)
{
	const char *kind = json_string_value(json_object_get(j, "kind"));

	if (s->cleared && kind && strcmp(kind, "statement") == 0 && s->stages[STAGE_CERTIFY] == STAGE_DONE)
		s->stages[STAGE_CERTIFY] = STAGE_OPEN;
}

int standing_apply(struct standing *s, const struct ledger_event *ev, struct err *e)
{
	json_error_t je;
	json_t *j = json_loads(ev->data && *ev->data ? ev->data : "{}", JSON_REJECT_DUPLICATES, &je);
	int r;

	if (!j)
		return err_set(e, ERR_INTEGRITY, "event %06llu: its data is no JSON", (unsigned long long)ev->seq);
	s->exists = true;
	s->count = ev->seq;
	if (s->anchor_seq == ev->seq)
		s->anchor_moved = strcmp(s->anchor, ev->commit) != 0;
	memcpy(s->head, ev->commit, sizeof(s->head));
	if (strcmp(ev->stage, "plan") == 0)
		r = take_plan(s, ev, j);
	else
		r = take_stage(s, ev, j, e);
	if (r == 0)
		r = take_phase(s, ev, j, e);
	if (strcmp(ev->state, "hook") == 0)
		take_hook(s, j);
	if (strcmp(ev->stage, "rollback") == 0 || strcmp(ev->stage, "thaw") == 0)
		take_undo(s, ev);
	if (strcmp(ev->stage, "certify") == 0)
		take_certify(s, ev, j);
	if (strcmp(ev->stage, "record") == 0)
		take_record(s, j);
	if (r == 0 && strcmp(ev->stage, "rehearse") == 0)
		r = take_rehearsal(s, ev, j, e);
	json_decref(j);
	return r;
}

struct loader { struct standing *s; struct err *e; bool failed; };

static int load_one(void *ctx, const struct ledger_event *ev)
{
	struct loader *l = ctx;

	l->failed = standing_apply(l->s, ev, l->e) < 0;
	return l->failed;
}

int standing_load(struct ledger *l, const char *plan, struct standing *s, struct err *e)
{
	struct loader loader = { s, e, false };
	char oid[LEDGER_OID];
	int r = ledger_head(l, plan, oid, e);

	s->round = 1;
	if (r <= 0)
		return r;
	if (ledger_replay(l, plan, load_one, &loader, e) < 0 || loader.failed)
		return err_at(e, "ledger of plan %s", plan);
	return 0;
}
