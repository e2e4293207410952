/* preflight: everything that can fail is looked at before a byte moves. */
#include <inttypes.h>
#include <string.h>

#include "activation.h"
#include "block_place.h"
#include "foreign.h"
#include "log.h"
#include "made.h"
#include "loss_survey.h"
#include "overlap.h"
#include "places.h"
#include "runner.h"
#include "survey.h"

/* A root that is reached through a symlink is followed, and said: the paper must name the place that was copied. */
static void say_resolved(const json_t *facts, const char *place)
{
	if (*place_fact(facts, "resolved"))
		log_warn("%s leads through a symlink to %s: that place is meant", place, place_fact(facts, "resolved"));
}

static int check_source(const struct run *r, const struct plan_dataset *d, const json_t *facts, struct err *e)
{
	char place[PLACE_NAME];

	place_name(d->from.host, d->from.path, place);
	if (strcmp(place_fact(facts, "exists"), "no") == 0 && r->plan->hooks[POINT_BEFORE_COPY].n) {
		log_info("%s does not exist yet; before-copy hooks may make it", place);
		return 0;
	}
	if (strcmp(place_fact(facts, "exists"), "no") == 0) {
		err_set(e, ERR_REFUSED, "%s does not exist", place);
		return err_hint(e, "is it mounted? correct datasets.%s.files.from, or mount it", d->name);
	}
	if (strcmp(place_fact(facts, "exists"), "yes") != 0) {
		err_set(e, ERR_REFUSED, "%s cannot be reached as this user (%s)", place, place_fact(facts, "error"));
		return err_hint(e, "give the user access, or use become: sudo");
	}
	if (strcmp(place_fact(facts, "type"), "dir") != 0)
		return err_set(e, ERR_REFUSED, "%s is no directory but a %s", place, place_fact(facts, "type"));
	say_resolved(facts, place);
	return 0;
}

static int check_target(const struct plan_dataset *d, const json_t *facts, struct err *e)
{
	char place[PLACE_NAME];

	place_name(d->to.host, d->to.path, place);
	if (strcmp(place_fact(facts, "exists"), "yes") == 0 && strcmp(place_fact(facts, "type"), "dir") != 0)
		return err_set(e, ERR_REFUSED, "%s is no directory but a %s", place, place_fact(facts, "type"));
	say_resolved(facts, place);
	if (strcmp(place_fact(facts, "read_only"), "yes") == 0)
		return err_set(e, ERR_REFUSED, "%s is on a file system that is mounted read-only", place);
	if (strcmp(place_fact(facts, "exists"), "no") == 0) {
		const char *nearest = place_fact(facts, "nearest");
		size_t n = strlen(nearest);

		/* Making one directory is what "contents of to" asks for; more than one is a typing error more often than not. */
		if (strncmp(d->to.path, nearest, n) != 0 || strchr(d->to.path + n + (n > 1 ? 1 : 0), '/')) {
			err_set(e, ERR_REFUSED, "%s: its parent directory does not exist (the nearest that does is %s)", place, nearest);
			return err_hint(e, "make the parent, or correct datasets.%s.files.to", d->name);
		}
	}
	return 0;
}

/* Nothing rests on two clocks agreeing; whoever reads the papers of both hosts wants to know that they do not. */
static void note_clock(json_t *clocks, const char *host, const json_t *facts)
{
	int64_t skew = place_skew(facts);

	if (json_object_get(clocks, host))
		return;
	(void)json_object_set_new(clocks, host, json_integer(skew));
	if (skew > PLACE_SKEW_S || skew < -PLACE_SKEW_S)
		log_warn("host %s: its clock is %lld s %s this machine's: set the clocks right, or the papers contradict each other", host,
		    (long long)(skew < 0 ? -skew : skew), skew < 0 ? "behind" : "ahead of");
}

static int look_at_target(struct run *r, const struct plan_dataset *d, json_t *entry, json_t *clocks, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);
	json_t *facts;
	char place[PLACE_NAME];
	bool fresh = !s || !s->version;

	if (place_facts(r, d->to.host, d->to.path, &facts, e) < 0)
		return -1;
	(void)json_object_set_new(entry, "to", facts);
	note_clock(clocks, d->to.host, facts);
	if (check_target(d, facts, e) < 0)
		return -1;
	if (place_number(facts, "free_bytes") == 0)
		return err_set(e, ERR_TEMPORARY, "%s has no free space; free some and run the same command again", place_name(d->to.host, d->to.path, place));
	/* An absent target has nothing foreign, and that too is recorded: the next look may find a first pass that was cut. */
	if (fresh && foreign_record(r, d, strcmp(place_fact(facts, "exists"), "yes") == 0, entry, e) < 0)
		return -1;
	return activation_preflight(r, d, (uint64_t)json_integer_value(json_object_get(entry, "foreign_count")), e);
}

/* What either end's rights will lose: found, listed and recorded before a byte is copied. */
static int announce(struct run *r, const struct plan_dataset *d, json_t *entry, struct err *e)
{
	OWN_FORECAST struct loss_forecast f = { .first = NULL };
	const json_t *from = json_object_get(entry, "from"), *to = json_object_get(entry, "to");
	struct standing_dataset *s;
	char text[1024], place[PLACE_NAME];

	if (loss_survey(r, d, from, to, &f, e) < 0)
		return -1;
	if (to) {
		if (!(s = standing_need(&r->standing, d->name, e)))
			return -1;
		loss_rights_from(to, &s->rights);
		(void)json_object_set_new(entry, "rights", loss_rights_json(&s->rights));
	}
	if (json_object_get(from, "uids"))
		log_warn("%s: %s is in a user namespace there: owners that do not exist in it are read, and copied, as nobody",
		    place_name(d->from.host, d->from.path, place), place_fact(from, "user"));
	if (!loss_forecast_any(&f))
		return 0;
	(void)json_object_set_new(entry, "losses", loss_forecast_json(&f));
	loss_counts_text(json_object_get(json_object_get(entry, "losses"), "target"), text, sizeof(text));
	if (*text)
		log_warn("%s: %s is %s there; cannot be kept: %s", place_name(d->to.host, d->to.path, place), place_fact(to, "user"),
		    json_object_get(to, "uids") ? "in a user namespace" : "not root", text);
	if (f.unreadable)
		log_warn("%s: %s cannot read %" PRIu64 " entries (first %s)", place_name(d->from.host, d->from.path, place),
		    place_fact(from, "user"), f.unreadable, f.first ? f.first : "?");
	if (f.unseen)
		log_warn("%s: %s is not shown trusted.* extended attributes; if there are any, they are not copied",
		    place_name(d->from.host, d->from.path, place), place_fact(from, "user"));
	return 0;
}

/* A host that no path was asked about: a command or a database is there. */
static int ask_clock(struct run *r, json_t *clocks, const char *host, struct err *e)
{
	json_t *facts;

	if (!host || json_object_get(clocks, host))
		return 0;
	if (place_facts(r, host, "/", &facts, e) < 0)
		return -1;
	note_clock(clocks, host, facts);
	json_decref(facts);
	return 0;
}

static int look_at(struct run *r, const struct plan_dataset *d, json_t *datasets, json_t *clocks, struct err *e)
{
	json_t *entry = json_object(), *facts;

	(void)json_object_set_new(datasets, d->name, entry);
	if (d->kind == DATASET_BLOCK)
		return block_preflight(r, d, entry, e);
	if (made_is(d))
		return made_preflight(r, d, entry, e);
	if (place_facts(r, d->from.host, d->from.path, &facts, e) < 0)
		return -1;
	(void)json_object_set_new(entry, "from", facts);
	note_clock(clocks, d->from.host, facts);
	if (check_source(r, d, facts, e) < 0)
		return -1;
	return (d->to.host && look_at_target(r, d, entry, clocks, e) < 0) || announce(r, d, entry, e) < 0 ? -1 : 0;
}

static json_t *routes(const struct run *r)
{
	json_t *hosts = json_object();

	for (size_t i = 0; i < r->plan->nhosts; i++)
		if (r->hosts[i].host)
			(void)json_object_set_new(hosts, r->plan->hosts[i].name, json_pack("{s:s,s:s}", "route",
			    host_route(r->hosts[i].host), "client_reason", host_client_reason(r->hosts[i].host)));
	return hosts;
}

int stage_preflight(struct run *r, struct err *e)
{
	json_t *datasets = json_object(), *clocks = json_object(), *facts;
	bool only = r->o->only && r->o->only[0];
	size_t lacking;
	int res = 0;

	for (size_t i = 0; res == 0 && i < r->plan->ndatasets; i++)
		if (runner_wants(r, &r->plan->datasets[i]))
			res = look_at(r, &r->plan->datasets[i], datasets, clocks, e);
	for (size_t i = 0; res == 0 && !only && i < r->plan->ndatasets; i++)
		if (ask_clock(r, clocks, r->plan->datasets[i].from.host, e) < 0 || ask_clock(r, clocks, r->plan->datasets[i].to.host, e) < 0)
			res = -1;
	if (res == 0)
		res = overlap_check(r, datasets, e);
	facts = json_pack("{s:o,s:o,s:o}", "hosts", routes(r), "clock_skew_s", clocks, "datasets", datasets);
	if (res < 0 || only) {
		json_decref(facts);
		return res;
	}
	if (survey_take(r, &lacking, e) < 0) {
		json_decref(facts);
		return -1;
	}
	return run_event(r, NULL, "preflight", "done", facts, e, "%zu dataset%s looked at; targets lack %zu item%s of their sources' systems%s%s",
	    r->plan->ndatasets, r->plan->ndatasets == 1 ? "" : "s", lacking, lacking == 1 ? "" : "s", lacking ? ": waybill survey " : "", lacking ? r->plan->name : "");
}
