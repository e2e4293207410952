#include "activation.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "carry.h"
#include "esc.h"
#include "log.h"
#include "place_ask.h"
#include "resend.h"

#define NAME_ROOM 300

static bool staged_kind(const struct plan_dataset *d)
{
	return d->kind == DATASET_FILES && d->files.activate != ACTIVATE_IN_PLACE && d->to.host;
}

static void staged_name(const struct run *r, const struct plan_dataset *d, const char *suffix, char out[NAME_ROOM])
{
	(void)snprintf(out, NAME_ROOM, ".waybill-%s-%s%s", r->plan->name, d->name, suffix);
}

char *activation_staged_path(const struct run *r, const struct plan_dataset *d)
{
	char dir[4096], name[NAME_ROOM], *path;

	staged_name(r, d, "", name);
	(void)place_split(d->to.path, dir);
	return asprintf(&path, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name) < 0 ? NULL : path;
}

char *activation_set_aside_path(const struct run *r, const struct plan_dataset *d)
{
	OWN_FREE char *staged = activation_staged_path(r, d);
	char *path;

	return staged && asprintf(&path, "%s.rolled-back-%u", staged, r->standing.round - 1) >= 0 ? path : NULL;
}

const struct plan_dataset *activation_dataset(struct run *r, const struct plan_dataset *d)
{
	size_t i = 0;

	while (i < r->plan->ndatasets && d != &r->plan->datasets[i])
		i++;
	if (i == r->plan->ndatasets || !staged_kind(d) || r->standing.phase == PHASE_CUTTING ||
	    r->standing.phase == PHASE_CUT || r->standing.phase >= PHASE_FINISHING)
		return d;
	if (!r->staged && !(r->staged = calloc(r->plan->ndatasets, sizeof(*r->staged))))
		return NULL;
	if (!r->staged[i].name) {
		char *path = activation_staged_path(r, d);

		if (!path)
			return NULL;
		r->staged[i] = *d;
		r->staged[i].to.path = path;	/* owned by r */
	}
	return &r->staged[i];
}

bool activation_is_staged(const struct run *r, const struct plan_dataset *d)
{
	for (size_t i = 0; r->staged && i < r->plan->ndatasets; i++)
		if (d == &r->staged[i])
			return true;
	return false;
}

/* ---- asking the agent ---- */

/* For the target and its staged tree, over a fresh connection if the old one is gone. */
static int ask_pair(struct run *r, const struct plan_dataset *d, enum msg_place_act act, const char *target, const char *staged,
    struct msg_placed *out, struct err *e)
{
	char dir[4096], name[NAME_ROOM];
	const char *base = place_split(d->to.path, dir);
	struct place_question q = { act, name, target, staged };

	staged_name(r, d, "", name);
	if (place_ask_agent(r, &d->to, base, &q, out, e) == 0)
		return 0;
	if (e->class != ERR_TEMPORARY && e->class != ERR_UNREACHABLE)
		return err_at(e, "dataset %s", d->name);
	log_warn("%s; once more", e->text);
	err_clear(e);
	run_host_drop(r, d->to.host);
	return place_ask_agent(r, &d->to, base, &q, out, e) == 0 ? 0 : err_at(e, "dataset %s", d->name);
}

/* ---- before ---- */

static int refuse(const struct plan_dataset *d, const char *what, struct err *e)
{
	char place[PLACE_NAME];

	place_name(d->to.host, d->to.path, place);
	err_set(e, ERR_REFUSED, "%s cannot be %s: %s", place, d->files.activate == ACTIVATE_SWAP ? "swapped" : "merged into", what);
	return err_hint(e, "name the directory itself, or one above or below the mount, or use activate: in-place");
}

static int check_what(const struct plan_dataset *d, const char *what, struct err *e)
{
	static const struct { const char *what, *text; } words[] = {
		{ "symlink", "it is a symbolic link" }, { "mount", "it is a mount point" }, { "mounts beneath", "something is mounted beneath it" },
		{ "other device", "it is on another device than the directory that holds it" }, { "other", "it is no directory" } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(what, words[i].what) == 0)
			return refuse(d, words[i].text, e);
	return 0;
}

int activation_preflight(struct run *r, const struct plan_dataset *d, uint64_t foreign, struct err *e)
{
	OWN(msg_placed_dispose) struct msg_placed now = { 0 }, tried = { 0 };
	char place[PLACE_NAME];

	if (!staged_kind(d))
		return 0;
	if (strcmp(d->to.path, "/") == 0)
		return refuse(d, "it is the root of the host", e);
	if (ask_pair(r, d, MSG_PLACE_LOOK, "", "", &now, e) < 0 || check_what(d, now.what, e) < 0)
		return -1;
	if (ask_pair(r, d, MSG_PLACE_TRIAL, "", "", &tried, e) < 0)
		return -1;
	if (d->files.activate != ACTIVATE_SWAP || !foreign || d->files.foreign != FOREIGN_KEEP)
		return 0;
	err_set(e, ERR_REFUSED, "%s has %" PRIu64 " foreign entries, which a swap would take out of their place",
	    place_name(d->to.host, d->to.path, place), foreign);
	return err_hint(e, "write foreign: carry (they are copied into the new tree) or foreign: drop (they stay in the old one) into dataset %s", d->name);
}

int activation_intent(struct run *r, json_t **out, struct err *e)
{
	json_t *o = json_object();

	for (size_t i = 0; i < r->plan->ndatasets; i++) {
		const struct plan_dataset *d = &r->plan->datasets[i];
		OWN(msg_placed_dispose) struct msg_placed now = { 0 };

		if (!staged_kind(d))
			continue;
		if (ask_pair(r, d, MSG_PLACE_LOOK, "", "", &now, e) < 0 || check_what(d, now.what, e) < 0 ||
		    (!*now.other_id && err_set(e, ERR_INTEGRITY, "dataset %s: its staged tree is not there", d->name) < 0)) {
			json_decref(o);
			return -1;
		}
		(void)json_object_set_new(o, d->name, json_pack("{s:s,s:s,s:s}", "activate", *now.name_id ? plan_activate_name(d->files.activate) : "swap",
		    "target", now.name_id, "staged", now.other_id));
	}
	*out = o;
	return 0;
}

/* ---- the cut-over, and back ---- */

struct intent { bool merge; const char *target, *staged; json_t *all; };

static void intent_dispose(struct intent *i) { json_decref(i->all); }

/* False: the recorded cut-over has nothing to do with this dataset. */
static bool intent_of(const struct run *r, const struct plan_dataset *d, struct intent *out)
{
	const json_t *one;

	*out = (struct intent){ .all = json_loads(r->standing.cut_data ? r->standing.cut_data : "{}", 0, NULL) };
	one = json_object_get(json_object_get(out->all, "places"), d->name);
	if (!one)
		return false;
	out->merge = strcmp(json_string_value(json_object_get(one, "activate")), "merge") == 0;
	out->target = json_string_value(json_object_get(one, "target"));
	out->staged = json_string_value(json_object_get(one, "staged"));
	return out->target && out->staged;
}

/* Foreign entries go along, unless the places were exchanged before this run was cut. */
static int before_swap(struct run *r, const struct plan_dataset *d, const struct intent *in, struct err *e)
{
	OWN(msg_placed_dispose) struct msg_placed now = { 0 };

	if (in->merge || !*in->target || d->files.foreign != FOREIGN_CARRY)
		return 0;
	if (ask_pair(r, d, MSG_PLACE_LOOK, "", "", &now, e) < 0)
		return -1;
	return strcmp(now.name_id, in->target) == 0 ? carry_foreign(r, d, e) : 0;
}

int activation_cut(struct run *r, struct err *e)
{
	for (size_t i = 0; i < r->plan->ndatasets; i++) {
		const struct plan_dataset *d = &r->plan->datasets[i];
		OWN(intent_dispose) struct intent in = { .all = NULL };
		OWN(msg_placed_dispose) struct msg_placed now = { 0 };

		if (run_check(r, e) < 0)
			return -1;
		if (!intent_of(r, d, &in))
			continue;
		if (before_swap(r, d, &in, e) < 0)
			return -1;
		if (ask_pair(r, d, in.merge ? MSG_PLACE_MERGE : MSG_PLACE_EXCHANGE, in.target, in.staged, &now, e) < 0)
			return -1;
		if (run_event(r, NULL, "cutover", "placed", json_pack("{s:s,s:s,s:s,s:b,s:I}", "dataset", d->name, "activate", in.merge ? "merge" : "swap",
		    "target", now.name_id, "acted", now.acted, "count", (json_int_t)now.count), e, "%s %s", d->name, in.merge ? "merged" : "swapped") < 0)
			return -1;
	}
	return 0;
}

/* What may have been written since keeps a name of its own; the next pass begins with an empty staged tree. */
static int set_aside(struct run *r, const struct plan_dataset *d, struct err *e)
{
	OWN(msg_placed_dispose) struct msg_placed now = { 0 };
	char name[NAME_ROOM], aside[NAME_ROOM], suffix[40];
	struct place_question q = { MSG_PLACE_RENAME, aside, "", "" };

	(void)snprintf(suffix, sizeof(suffix), ".rolled-back-%u", r->standing.round);
	staged_name(r, d, "", name);
	staged_name(r, d, suffix, aside);
	if (resend_everything(r, d->name, e) < 0 || place_ask_agent(r, &d->to, name, &q, &now, e) < 0)
		return -1;
	return run_event(r, NULL, "rollback", "placed", json_pack("{s:s,s:s}", "dataset", d->name, "set_aside", aside), e, "%s is as it was before the cut-over", d->name);
}

static int undo_one(struct run *r, const struct plan_dataset *d, struct err *e)
{
	OWN(intent_dispose) struct intent in = { .all = NULL };
	OWN(msg_placed_dispose) struct msg_placed now = { 0 }, back = { 0 };
	char place[PLACE_NAME];

	if (!intent_of(r, d, &in))
		return 0;
	if (ask_pair(r, d, MSG_PLACE_LOOK, "", "", &now, e) < 0)
		return -1;
	/* Neither name stands as the cut-over found or left it once it was set aside: an earlier roll-back got that far. */
	if (!*now.other_id && strcmp(now.name_id, in.target) == 0)
		return 0;
	if (ask_pair(r, d, in.merge ? MSG_PLACE_UNMERGE : MSG_PLACE_BACK, in.target, in.staged, &back, e) < 0)
		return -1;
	if (back.made)
		log_warn("%s: %" PRIu64 " directories were deleted since the cut-over and were made again, as they were and with what was replaced in them",
		    place_name(d->to.host, d->to.path, place), back.made);
	return set_aside(r, d, e);
}

int activation_undo(struct run *r, struct err *e)
{
	int failed = 0;

	for (size_t i = r->plan->ndatasets; i-- > 0;) {
		struct err one = ERR_INIT;

		if (undo_one(r, &r->plan->datasets[i], &one) < 0)
			failed = run_failed_too(&one, failed, e);
	}
	return failed;
}

static int remove_name(struct run *r, const struct plan_dataset *d, const char *suffix, const char *id, struct err *e)
{
	OWN(msg_placed_dispose) struct msg_placed now = { 0 };
	struct place_question q = { MSG_PLACE_REMOVE, "", id, "" };
	char name[NAME_ROOM];

	staged_name(r, d, suffix, name);
	return place_ask_agent(r, &d->to, name, &q, &now, e);
}

int activation_finish(struct run *r, struct err *e)
{
	static const char *const merged[] = { ".kept", ".merge" };

	for (size_t i = 0; i < r->plan->ndatasets; i++) {
		const struct plan_dataset *d = &r->plan->datasets[i];
		OWN(intent_dispose) struct intent in = { .all = NULL };

		if (!staged_kind(d) || !intent_of(r, d, &in))
			continue;
		if (remove_name(r, d, "", in.merge ? in.staged : in.target, e) < 0)
			return -1;
		for (size_t k = 0; in.merge && k < 2; k++)
			if (remove_name(r, d, merged[k], "", e) < 0)
				return -1;
		for (unsigned n = 1; n < r->standing.round; n++) {
			char suffix[40];

			(void)snprintf(suffix, sizeof(suffix), ".rolled-back-%u", n);
			if (remove_name(r, d, suffix, "", e) < 0)
				return -1;
		}
	}
	return 0;
}
