#include "gates.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "version.h"

void gate_facts_dispose(struct gate_facts *g)
{
	facts_dispose(&g->facts);
	for (size_t i = 0; i < g->owned_count; i++)
		free(g->owned[i]);
	free(g->owned);
	free(g->skipped);
	*g = (struct gate_facts)GATE_FACTS_INIT;
}

/* Keeps s (taken over) as long as the facts; NULL when memory is short. */
static char *keep(struct gate_facts *g, char *s)
{
	char **v = s ? realloc(g->owned, (g->owned_count + 1) * sizeof(*v)) : NULL;

	if (!v) {
		free(s);
		return NULL;
	}
	g->owned = v;
	return v[g->owned_count++] = s;
}

static int add_skipped(struct gate_facts *g, const char *dataset, const struct entry *en, struct err *e)
{
	size_t n = g->facts.f.skipped_count;
	struct statement_discard *v = g->skipped;
	const char *reason = en->note ? en->note : "not copied";

	if ((n & (n - 1)) == 0) {
		if (!(v = realloc(v, (n ? n * 2 : 1) * sizeof(*v))))
			return err_sys(e, "statement");
		g->skipped = v;
	}
	v[n] = (struct statement_discard){ dataset, keep(g, strdup(en->path)), keep(g, strdup(reason)) };
	g->facts.f.skipped = v;
	g->facts.f.skipped_count = n + 1;
	return v[n].path && v[n].reason ? 0 : err_sys(e, "statement");
}

/* What will be destroyed though no copy of it exists: it must stand in what people sign (contract 4.7). */
static int skipped_of(struct run *r, struct gate_facts *g, const char *dataset, uint64_t version, struct err *e)
{
	OWN(version_closep) struct version_reader *v = NULL;
	int got;

	if (version_open(r->w, r->plan->name, dataset, version, VERSION_MANIFEST, &v, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = version_next(v, &en, NULL, e)) != 1)
			return got;
		if ((en.outcome == ENTRY_SKIPPED || en.outcome == ENTRY_FAILED ||
		    (en.note && strncmp(en.note, "list_only", 9) == 0)) && add_skipped(g, dataset, &en, e) < 0)
			return -1;
	}
}

static int fill_dataset(struct run *r, struct gate_facts *g, struct statement_dataset *f, bool clear, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&r->standing, f->name);
	OWN_SUMMARY struct version_summary sum = VERSION_SUMMARY_INIT;

	if (!s || !s->version) {
		err_set(e, ERR_USAGE, "dataset %s of plan %s has no version yet", f->name, r->plan->name);
		return err_hint(e, "an approval of %s signs its manifest root: run the plan up to there first", g->facts.f.stage);
	}
	f->version = s->version;
	f->root = s->root;
	f->root_sm3 = s->root_sm3;
	f->entries = s->entries;
	f->bytes = s->bytes;
	if (!clear)
		return 0;
	if (version_summary(r->w, r->plan->name, f->name, s->version, &sum, e) != 1)
		return e->class ? -1 : err_set(e, ERR_INTEGRITY, "version %s/%s has no summary", r->plan->name, f->name);
	if (!(f->identity = keep(g, take_ptr(&sum.identity))))
		return err_sys(e, "statement");
	return skipped_of(r, g, f->name, s->version, e);
}

static int fill_package(struct run *r, struct gate_facts *g, struct err *e)
{
	json_t *j = json_loads(r->standing.package_data ? r->standing.package_data : "{}", 0, NULL);
	const char *digest = json_string_value(json_object_get(j, "package"));

	if (digest && strlen(digest) == DIGEST_HEX - 1) {
		memcpy(g->package, digest, DIGEST_HEX);
		g->facts.f.package = g->package;
	}
	json_decref(j);
	if (!digest && strcmp(g->facts.f.stage, "accept") == 0)
		return err_set(e, ERR_USAGE, "plan %s has no package yet; run it first", r->plan->name);
	return 0;
}

int gate_facts(struct run *r, const char *stage, struct gate_facts *g, struct err *e)
{
	bool clear = strcmp(stage, "clear") == 0;

	if (facts_from_plan(&g->facts, r->plan, stage, r->plan_digest, r->standing.round, e) < 0)
		return -1;
	for (size_t i = 0; i < g->facts.f.dataset_count; i++)
		if (fill_dataset(r, g, &g->facts.datasets[i], clear, e) < 0)
			return -1;
	return strcmp(stage, "accept") == 0 ? fill_package(r, g, e) : 0;
}

int gate_now(struct run *r, const char *stage, struct gate *g, struct err *e)
{
	OWN_GATE_FACTS struct gate_facts f = GATE_FACTS_INIT;

	if (!gate_exists(r->plan, stage)) {
		g->open = true;
		return 0;
	}
	if (gate_facts(r, stage, &f, e) < 0)
		return -1;
	return gate_check(r->w->ledger, r->plan, &f.facts.f, clock_now_ns() / 1000000000, g, e);
}

int gate_pass(struct run *r, const char *stage, struct err *e)
{
	OWN_GATE struct gate g = GATE_INIT;
	OWN_BUF struct buf text = BUF_INIT;
	enum plan_stage s;
	bool refused;

	if (gate_now(r, stage, &g, e) < 0)
		return -1;
	if (g.open)
		return 0;
	gate_text(&g, &text);
	if (buf_finish(&text, e) < 0)
		return -1;
	refused = g.refused || g.fallen;
	run_show_stage(r, stage, refused ? "refused" : "waiting", text.data);
	if (plan_stage_parse(stage, &s) && r->standing.stages[s] != (refused ? STAGE_REFUSED : STAGE_WAITING) &&
	    run_event(r, NULL, stage, refused ? "refused" : "waiting", NULL, e, "%.600s", text.data) < 0)
		return -1;
	return err_set(e, refused ? ERR_REFUSED : ERR_WAITING, "plan %s, stage %s: %s", r->plan->name, stage, text.data);
}
