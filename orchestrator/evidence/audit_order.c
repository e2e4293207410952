/* May what happened have happened in this order? */
#include <inttypes.h>
#include <string.h>

#include "approval.h"
#include "audit_private.h"
#include "clock.h"
#include "esc.h"

void audit_order_dispose(struct audit_order *o)
{
	for (size_t i = 0; i < o->version_count; i++)
		free(o->versions[i].dataset);
	for (size_t i = 0; i < o->checked_count; i++)
		free(o->checked[i].dataset);
	for (size_t i = 0; i < o->voice_count; i++) {
		struct audit_voice *v = &o->voices[i];

		free(v->person);
		free(v->party);
		free(v->stage);
		free(v->key);
		free(v->basis);
	}
	free(o->versions);
	free(o->checked);
	free(o->voices);
	plan_free(o->plan);
	memset(o, 0, sizeof(*o));
}

/* One more, zeroed, at the end of a list; NULL when memory is short. */
#define GROW(a, list, count) __extension__({ \
	void *grown_ = realloc((list), ((count) + 1) * sizeof(*(list))); \
	if (grown_) { (list) = grown_; memset(&(list)[(count)], 0, sizeof(*(list))); } else { (a)->nomem = true; } \
	grown_ ? &(list)[(count)++] : NULL; })

static const struct audit_version *find_version(const struct audit_order *o, const char *dataset, size_t dlen, uint64_t version)
{
	for (size_t i = o->version_count; i-- > 0; )
		if (strlen(o->versions[i].dataset) == dlen && memcmp(o->versions[i].dataset, dataset, dlen) == 0 &&
		    (!version || o->versions[i].version == version))
			return &o->versions[i];
	return NULL;
}

/* What cannot have happened so; behind an event that could not be read it may have. */
static enum audit_severity wrong(const struct audit_order *o) { return o->gaps ? AUDIT_UNVERIFIED : AUDIT_ALTERED; }

/* ---- what a statement says of versions ---- */

struct dataset_line { char name[80], root[DIGEST_HEX]; uint64_t version, entries, bytes; };

static bool read_dataset(const char *value, size_t n, struct dataset_line *d)
{
	char line[512];

	if (n >= sizeof(line))
		n = sizeof(line) - 1;	/* only the place at its end can be long */
	memcpy(line, value, n);
	line[n] = '\0';
	return sscanf(line, "%79[a-z0-9-] version=%" SCNu64 " entries=%" SCNu64 " bytes=%" SCNu64 " sha256=%64[0-9a-f]", d->name,
	    &d->version, &d->entries, &d->bytes, d->root) == 5;
}

struct basis_walk { struct audit *a; const struct audit_order *o; const char *where; const struct audit_event *ev; bool accepts; };

static int compare_dataset(void *ctx, const char *key, size_t klen, const char *value, size_t vlen)
{
	struct basis_walk *w = ctx;
	const struct audit_version *v;
	struct dataset_line d;

	if (klen == 7 && memcmp(key, "package", 7) == 0 && w->accepts &&
	    (vlen != DIGEST_HEX - 1 || memcmp(value, w->o->package, vlen) != 0))
		audit_say(w->a, wrong(w->o), "%s: signs for package %.*s, the ledger recorded %s", w->where, (int)(vlen < 64 ? vlen : 64), value,
		    *w->o->package ? w->o->package : "none");
	if (klen != 7 || memcmp(key, "dataset", 7) != 0)
		return 0;
	if (!read_dataset(value, vlen, &d) || !(v = find_version(w->o, d.name, strlen(d.name), d.version))) {
		audit_say(w->a, wrong(w->o), "%s: signs for a version that is not in the ledger (%.*s)", w->where, (int)(vlen < 60 ? vlen : 60), value);
		return 0;
	}
	if (strcmp(v->root, d.root) != 0 || v->entries != d.entries || v->bytes != d.bytes)
		audit_say(w->a, AUDIT_ALTERED, "%s: signs for another content of %s@%" PRIu64 " than the ledger recorded", w->where, d.name, d.version);
	return 0;
}

static void check_against_event(struct audit *a, const char *where, const struct audit_event *ev, const struct statement *s, const char *plan_digest)
{
	char hex[DIGEST_HEX];

	if (strcmp(audit_text(ev->data, "person"), s->person) != 0 || strcmp(audit_text(ev->data, "stage"), s->stage) != 0 ||
	    strcmp(audit_text(ev->data, "party"), s->party) != 0 ||
	    strcmp(audit_text(ev->data, "verdict"), statement_says_name(s->says)) != 0)
		audit_say(a, AUDIT_ALTERED, "%s: the event says another person, stage, party or verdict than the statement", where);
	hex_of(s->basis_digest, DIGEST_LEN, hex);
	if (*audit_text(ev->data, "basis") && strcmp(audit_text(ev->data, "basis"), hex) != 0)
		audit_say(a, AUDIT_ALTERED, "%s: the event names another basis than the statement", where);
	if (s->says == SAYS_APPROVE && strcmp(s->plan_digest, plan_digest) != 0)
		audit_say(a, AUDIT_ALTERED, "%s: signs for another plan than the one in force", where);
}

void audit_order_voice(struct audit *a, struct audit_order *o, const struct audit_event *ev, const struct statement *s, bool good, const char *signers)
{
	struct audit_voice *v = GROW(a, o->voices, o->voice_count);
	char where[160];
	struct basis_walk w = { a, o, where, ev, strcmp(s->stage, "accept") == 0 };

	(void)snprintf(where, sizeof(where), "event %06" PRIu64 ", approval of %s", ev->seq, esc_s(s->person));
	check_against_event(a, where, ev, s, ev->plan_digest);
	if (s->says == SAYS_APPROVE)
		(void)statement_basis_lines(s->basis, compare_dataset, &w);
	if (!v)
		return;
	v->person = strdup(s->person);
	v->party = strdup(s->party);
	v->stage = strdup(s->stage);
	v->basis = strdup(s->basis);
	(void)snprintf(v->plan_digest, sizeof(v->plan_digest), "%s", s->plan_digest);
	v->key = sign_signer_key(signers, s->person);
	v->says = s->says;
	v->good = good;
	v->at = s->at;
	v->not_before = s->not_before;
	v->not_after = s->not_after;
	memcpy(v->digest, s->basis_digest, DIGEST_LEN);
	if (!v->person || !v->party || !v->stage || !v->basis) {
		a->nomem = true;
		o->voice_count--;
	}
}

/* ---- gates ---- */

static bool same_speaker(const struct audit_voice *a, const struct audit_voice *b)
{
	return a->good && b->good && strcmp(a->person, b->person) == 0 && strcmp(a->stage, b->stage) == 0;
}

/* An approval that was signed before its person said no, and brought (again) after that: it counts as little as in gate.c. */
static bool old_word(const struct audit_order *o, size_t i)
{
	const struct audit_voice *v = &o->voices[i], *no = NULL;
	bool repeated = false;

	for (size_t k = 0; k < i; k++) {
		if (!same_speaker(&o->voices[k], v))
			continue;
		repeated |= o->voices[k].at == v->at && memcmp(o->voices[k].digest, v->digest, DIGEST_LEN) == 0;
		if (o->voices[k].says != SAYS_APPROVE)
			no = &o->voices[k];
	}
	return no && v->says == SAYS_APPROVE && (v->at < no->at || (v->at == no->at && repeated));
}

static bool last_word(const struct audit_order *o, size_t i)
{
	for (size_t k = i + 1; k < o->voice_count; k++)
		if (same_speaker(&o->voices[k], &o->voices[i]) && !old_word(o, k))
			return false;
	return !old_word(o, i);
}

/* Good approvals of a stage as they stand now: indices into o->voices, distinct people with distinct keys. */
static size_t standing(const struct audit_order *o, const char *stage, const char *basis, int64_t at, size_t *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < o->voice_count && n < max; i++) {
		const struct audit_voice *v = &o->voices[i];
		char hex[DIGEST_HEX];
		bool twin = false;

		hex_of(v->digest, DIGEST_LEN, hex);
		if (!v->good || v->says != SAYS_APPROVE || strcmp(v->stage, stage) != 0 || !last_word(o, i) ||
		    (o->plan && !gate_counts(o->plan, stage, v->person)) ||
		    (*basis && strcmp(basis, hex) != 0) || (v->not_after && at > v->not_after) || (v->not_before && at < v->not_before))
			continue;
		for (size_t k = 0; k < n; k++)
			/* a key that is not known was said to prove nothing already */
			twin |= strcmp(v->person, o->voices[out[k]].person) == 0 ||
			    (v->key && o->voices[out[k]].key && sign_same_key(v->key, o->voices[out[k]].key));
		if (!twin)
			out[n++] = i;
	}
	return n;
}

static bool take_party(const struct audit_order *o, size_t *voices, size_t *n, const char *party)
{
	for (size_t i = 0; i < *n; i++) {
		if (strcmp(o->voices[voices[i]].party, party) != 0)
			continue;
		memmove(&voices[i], &voices[i + 1], (*n - i - 1) * sizeof(*voices));
		(*n)--;
		return true;
	}
	return false;
}

static json_t *planned_gate(const struct plan *p, const char *stage)
{
	enum plan_stage s;
	json_t *gate = json_array();

	if (plan_stage_parse(stage, &s))
		for (size_t i = 0; i < p->gates[s].approve.n; i++)
			(void)json_array_append_new(gate, json_string(p->gates[s].approve.v[i]));
	return gate;
}

/* The gate that the plan asks for, whatever the event says it was.  Without a plan: what a retirement cannot do without. */
static json_t *gate_of(struct audit *a, const struct audit_order *o, const struct audit_event *ev, const char *where)
{
	json_t *said = json_object_get(ev->data, "gate"), *gate;

	if (!o->plan)
		return json_array_size(said) > 0 ? json_incref(said) : json_pack("[s,s]", "department", "department");
	gate = planned_gate(o->plan, "clear");
	if (!json_equal(gate, said))
		audit_say(a, AUDIT_ALTERED, "%s: names another gate than the plan asks for", where);
	return gate;
}

static bool was_checked(const struct audit_order *o, const char *dataset, uint64_t version, bool restore)
{
	for (size_t i = 0; i < o->checked_count; i++)
		if (o->checked[i].restore == restore && o->checked[i].archive && o->checked[i].good && o->checked[i].version == version && strcmp(o->checked[i].dataset, dataset) == 0)
			return true;
	return false;
}

static int check_ground(void *ctx, const char *key, size_t klen, const char *value, size_t vlen)
{
	struct basis_walk *w = ctx;
	const struct audit_version *newest;
	struct dataset_line d;

	if (klen != 7 || memcmp(key, "dataset", 7) != 0 || !read_dataset(value, vlen, &d))
		return 0;
	newest = find_version(w->o, d.name, strlen(d.name), 0);
	if (!newest || newest->version != d.version)
		audit_say(w->a, wrong(w->o), "%s: %s@%" PRIu64 " was approved, but it was not the newest version", w->where, d.name, d.version);
	if (!was_checked(w->o, d.name, d.version, false))
		audit_say(w->a, wrong(w->o), "%s: %s@%" PRIu64 " had no good verification of its archive before", w->where, d.name, d.version);
	if (!was_checked(w->o, d.name, d.version, true))
		audit_say(w->a, wrong(w->o), "%s: %s@%" PRIu64 " had no good restore test before", w->where, d.name, d.version);
	return 0;
}

static void check_clear_started(struct audit *a, struct audit_order *o, const struct audit_event *ev, const char *where)
{
	json_t *gate = gate_of(a, o, ev, where), *party;
	size_t voices[64], n, i, first;
	int64_t at = 0;
	struct basis_walk w = { a, o, where, ev, false };

	(void)clock_parse(ev->at, NULL, &at);
	n = standing(o, "clear", audit_text(ev->data, "basis"), at, voices, 64);
	first = n ? voices[0] : 0;
	if (n)
		(void)statement_basis_lines(o->voices[first].basis, check_ground, &w);
	json_array_foreach(gate, i, party) {
		const char *name = json_string_value(party);

		if (!name || !take_party(o, voices, &n, name))
			audit_say(a, wrong(o), "%s: began without the valid approval of %s that its gate asks for", where, name ? esc_s(name) : "a party");
	}
	json_decref(gate);
	if (!*audit_text(ev->data, "basis"))
		audit_say(a, AUDIT_ALTERED, "%s: does not say which basis was approved", where);
}

/*
 * A stage with a gate is done: every party had approved it under this plan.  Whether they had taken it back since is not judged: what
 * is asked before the freeze holds until its end.
 */
static void check_gate_passed(struct audit *a, const struct audit_order *o, const struct audit_event *ev, const char *where)
{
	json_t *gate = o->plan ? planned_gate(o->plan, ev->stage) : json_array(), *party;
	size_t voices[64], n = 0, i;

	for (i = 0; i < o->voice_count && n < 64; i++) {
		const struct audit_voice *v = &o->voices[i];
		bool twin = false;

		if (!v->good || v->says != SAYS_APPROVE || strcmp(v->stage, ev->stage) != 0 || strcmp(v->plan_digest, ev->plan_digest) != 0)
			continue;
		for (size_t k = 0; k < n; k++)
			twin |= strcmp(v->person, o->voices[voices[k]].person) == 0;
		if (!twin && (!o->plan || gate_counts(o->plan, ev->stage, v->person)))
			voices[n++] = i;
	}
	json_array_foreach(gate, i, party)
		if (!take_party(o, voices, &n, json_string_value(party)))
			audit_say(a, wrong(o), "%s: passed without the approval of %s that its gate asks for", where, json_string_value(party));
	json_decref(gate);
}

/* What the plan names was compared in its newest version, and agreed. */
static void check_verify_done(struct audit *a, const struct audit_order *o, const char *where)
{
	for (size_t i = 0; o->plan && i < o->plan->ndatasets; i++) {
		const char *name = o->plan->datasets[i].name;
		const struct audit_version *v = find_version(o, name, strlen(name), 0);
		bool good = !v;

		for (size_t k = 0; !good && k < o->checked_count; k++)
			good = !o->checked[k].restore && o->checked[k].good && o->checked[k].version == v->version &&
			    strcmp(o->checked[k].dataset, name) == 0;
		if (!good)
			audit_say(a, wrong(o), "%s: %s@%" PRIu64 " had no good verification before", where, name, v->version);
	}
}

/* ---- every other event ---- */

static void take_version(struct audit *a, struct audit_order *o, const struct audit_event *ev, const char *where)
{
	const char *dataset = audit_text(ev->data, "dataset");
	const struct audit_version *last = find_version(o, dataset, strlen(dataset), 0);
	uint64_t n = audit_number(ev->data, "version");
	struct audit_version *v;

	if (n != (last ? last->version : 0) + 1)
		audit_say(a, wrong(o), "%s: version %" PRIu64 " of %s follows %" PRIu64, where, n, esc_s(dataset), last ? last->version : 0);
	if (o->clear_started && !o->clear_done)
		audit_say(a, AUDIT_ALTERED, "%s: a new version while the source was being cleared", where);
	if (!(v = GROW(a, o->versions, o->version_count)))
		return;
	v->version = n;
	v->entries = audit_number(ev->data, "entries");
	v->bytes = audit_number(ev->data, "bytes");
	v->seq = ev->seq;
	(void)snprintf(v->root, sizeof(v->root), "%s", audit_text(ev->data, "root"));
	(void)snprintf(v->root_sm3, sizeof(v->root_sm3), "%s", audit_text(ev->data, "root_sm3"));
	if (!(v->dataset = strdup(dataset))) {
		a->nomem = true;
		o->version_count--;
	}
}

static void take_check(struct audit *a, struct audit_order *o, const struct audit_event *ev, const char *where, bool restore)
{
	const char *dataset = audit_text(ev->data, "dataset");
	struct audit_checked *c = GROW(a, o->checked, o->checked_count);

	if (!find_version(o, dataset, strlen(dataset), audit_number(ev->data, "version")))
		audit_say(a, wrong(o), "%s: checks a version of %s that is not recorded", where, esc_s(dataset));
	if (!c)
		return;
	c->version = audit_number(ev->data, "version");
	c->restore = restore;
	c->archive = strcmp(audit_text(ev->data, "side"), "archive") == 0;
	c->good = strcmp(audit_text(ev->data, "verdict"), "match") == 0;
	c->seq = ev->seq;
	if (!(c->dataset = strdup(dataset))) {
		a->nomem = true;
		o->checked_count--;
	}
}

static bool is(const struct audit_event *ev, const char *stage, const char *state)
{
	return strcmp(ev->stage, stage) == 0 && strcmp(ev->state, state) == 0;
}

void audit_order_event(struct audit *a, struct audit_order *o, const struct audit_event *ev)
{
	char where[160];
	size_t voices[4];

	(void)snprintf(where, sizeof(where), "event %06" PRIu64 " %s %s", ev->seq, ev->stage, ev->state);
	if (strcmp(ev->state, "done") == 0 && strcmp(ev->stage, "clear") != 0)
		check_gate_passed(a, o, ev, where);
	if (is(ev, "copy", "version") || is(ev, "final", "version")) {
		take_version(a, o, ev, where);
	} else if (is(ev, "verify", "checked") || is(ev, "restore-test", "checked")) {
		take_check(a, o, ev, where, strcmp(ev->stage, "verify") != 0);
	} else if (is(ev, "clear", "started")) {
		check_clear_started(a, o, ev, where);
		o->clear_started = true;
		o->clear_done = false;
	} else if (is(ev, "clear", "done")) {
		if (!o->clear_started)
			audit_say(a, wrong(o), "%s: there is no clear started before it", where);
		o->clear_done = true;
	} else if (is(ev, "verify", "done")) {
		check_verify_done(a, o, where);
	} else if (is(ev, "package", "done")) {
		(void)snprintf(o->package, sizeof(o->package), "%s", audit_text(ev->data, "package"));
	} else if (is(ev, "certify", "done")) {
		if (!o->clear_done)
			audit_say(a, wrong(o), "%s: certifies a clearing that is not recorded as done", where);
	} else if (is(ev, "accept", "done") && strncmp(audit_text(ev->data, "verdict"), "refus", 5) != 0 &&
	    standing(o, "accept", "", 0, voices, 4) == 0) {
		audit_say(a, wrong(o), "%s: nobody had accepted", where);
	}
}
