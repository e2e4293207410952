/* The paper: what records and signed statements say, in the order of its form. */
#include "certificate_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "esc.h"
#include "plan.h"
#include "sign.h"
#include "statement.h"

/* ---- which clearing ---- */

/* What one paper is about. */
struct clearing_records {
	const struct record *started, *done;	/* started may be NULL */
	const struct record *basis;		/* the last event that it knows of */
	const struct record *certified;		/* the basis of the paper before, or NULL */
};

static const struct record *last_of(const struct record *from, const struct record *to, const char *stage, const char *state)
{
	while (to > from)
		if (record_is(--to, stage, state))
			return to;
	return NULL;
}

/* The last `clear done`, and the `clear started` that it ends; false when there is none. */
static bool find_clearing(const struct records *r, struct clearing_records *c)
{
	const struct record *last, *done;

	if (!(c->done = last_of(r->v, r->v + r->n, "clear", "done")))
		return false;
	c->started = last_of(r->v, c->done, "clear", "started");
	c->basis = certificate_basis(r, c->done);
	last = last_of(r->v, c->basis, "certify", "done");
	if (last && (done = last_of(r->v, last, "clear", "done"))) {
		struct records earlier = { r->v, (size_t)(last - r->v) };

		c->certified = certificate_basis(&earlier, done);
	}
	return true;
}

/* ---- fields ---- */

/* The value of a fact, or the words that say that nobody measured it. */
static void set_known(json_t *paper, const char *key, json_t *value)
{
	if (value && !json_is_null(value))
		(void)json_object_set(paper, key, value);
	else
		(void)json_object_set_new(paper, key, json_string(NOT_MEASURED));
}

static json_t *either(const json_t *a, const json_t *b, const char *key)
{
	json_t *v = json_object_get(a, key);

	return v ? v : json_object_get(b, key);
}

static void set_list(json_t *paper, const char *key, json_t *value)
{
	if (json_is_array(value))
		(void)json_object_set(paper, key, value);
	else
		(void)json_object_set_new(paper, key, json_array());
}

static const char *person_name(const json_t *facts, const char *person)
{
	json_t *p;
	size_t i;

	json_array_foreach(json_object_get(facts, "people"), i, p)
		if (strcmp(record_text(p, "person"), person) == 0)
			return record_text(p, "name");
	return person;
}

static bool lists(const json_t *list, const char *word)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (json_is_string(v) && strcmp(json_string_value(v), word) == 0)
			return true;
	return false;
}

/* Did the gate ask for this voice?  Anybody of the plan may speak; who is not asked or operates has authorized nothing. */
static bool counts(const struct record *started, const json_t *facts, const json_t *said)
{
	const json_t *gate = json_object_get(started->data, "gate");

	return (!json_array_size(gate) || lists(gate, record_text(said, "party"))) && !lists(json_object_get(facts, "operators"), record_text(said, "person"));
}

/* Who authorized: the last word of each person who counts before it started, for the basis that it names. */
static json_t *approvals(const struct records *r, const struct record *started, const json_t *facts)
{
	json_t *list = json_array();
	const char *basis = started ? record_text(started->data, "basis") : "";

	for (const struct record *v = r->v; started && v < started; v++) {
		const struct record *later = v + 1;
		bool last = true;

		if (!record_is(v, "approval", "recorded") || strcmp(record_text(v->data, "stage"), "clear") != 0)
			continue;
		for (; later < started; later++)
			last &= !(record_is(later, "approval", "recorded") && strcmp(record_text(later->data, "stage"), "clear") == 0 &&
			    strcmp(record_text(later->data, "person"), record_text(v->data, "person")) == 0);
		if (!last || !counts(started, facts, v->data) || strcmp(record_text(v->data, "verdict"), "approve") != 0 || (*basis && strcmp(record_text(v->data, "basis"), basis) != 0))
			continue;
		(void)json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "person", record_text(v->data, "person"), "name",
		    person_name(facts, record_text(v->data, "person")), "party", record_text(v->data, "party"), "at", v->at, "file",
		    record_text(v->data, "file"), "statement_sha256", record_text(v->data, "statement_sha256")));
	}
	return list;
}

/* Good checks of one version of a dataset before the clearing. */
static json_t *verified(const struct records *r, const struct record *end, const char *dataset, json_int_t version)
{
	json_t *list = json_array();

	for (const struct record *v = r->v; v < end; v++) {
		if ((!record_is(v, "verify", "checked") && !record_is(v, "restore-test", "checked")) || strcmp(record_text(v->data, "dataset"), dataset) != 0 ||
		    json_integer_value(json_object_get(v->data, "version")) != version)
			continue;
		(void)json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:s}", "what", v->stage, "side",
		    *record_text(v->data, "side") ? record_text(v->data, "side") : "archive", "read",
		    *record_text(v->data, "read") ? record_text(v->data, "read") : NOT_MEASURED, "verdict", record_text(v->data, "verdict"), "at", v->at));
	}
	return list;
}

/* The last version of each dataset that the clearing covers (all, when it does not say). */
static json_t *datasets(const struct records *r, const struct record *started, const struct record *done)
{
	const struct record *end = started ? started : done;
	json_t *named = json_object_get(end->data, "datasets"), *list = json_array(), *d;
	size_t i;

	if (json_is_array(named) && json_array_size(named)) {
		json_array_foreach(named, i, d) {
			json_t *copy = json_deep_copy(d);

			(void)json_object_set_new(copy, "verified", verified(r, end, record_text(d, "dataset"), json_integer_value(json_object_get(d, "version"))));
			(void)json_array_append_new(list, copy);
		}
		return list;
	}
	for (const struct record *v = r->v; v < end; v++) {
		bool last = strcmp(v->state, "version") == 0;

		for (const struct record *w = v + 1; last && w < end; w++)
			last = !(strcmp(w->state, "version") == 0 && strcmp(record_text(w->data, "dataset"), record_text(v->data, "dataset")) == 0);
		if (!last)
			continue;
		d = json_object();
		static const char *const keys[] = { "dataset", "version", "root", "root_sm3", "entries", "bytes" };
		for (i = 0; i < 6; i++)
			set_known(d, keys[i], json_object_get(v->data, keys[i]));
		(void)json_object_set_new(d, "verified", verified(r, end, record_text(v->data, "dataset"), json_integer_value(json_object_get(v->data, "version"))));
		(void)json_array_append_new(list, d);
	}
	return list;
}

/* The whole is never better than what the grade of a copy leaves possible. */
static int check_copies(const json_t *copies, const char **verdict, struct err *e)
{
	json_t *row;
	size_t i;

	json_array_foreach(copies, i, row) {
		int rank = certificate_grade_rank(record_text(row, "grade"));

		if (!*record_text(row, "what") || !*record_text(row, "grade"))
			return err_set(e, ERR_INTEGRITY, "clear done: copy %zu lacks what or grade", i + 1);
		if (rank > certificate_rank(*verdict))
			*verdict = plan_verdict_name((enum plan_verdict)rank);
	}
	return 0;
}

/* Items as they are; each must carry what the form asks for.  The whole is never better than its worst part. */
static int check_items(const json_t *done, const char **verdict, struct err *e)
{
	json_t *items = json_object_get(done, "items"), *item;
	int worst = certificate_rank(*verdict);
	size_t i;

	if (worst < 0)
		return err_set(e, ERR_INTEGRITY, "clear done: verdict %s is none", esc_s(*verdict));
	if (!json_is_array(items) || json_array_size(items) == 0)
		return err_set(e, ERR_INTEGRITY, "clear done: has no items");
	json_array_foreach(items, i, item) {
		int rank = certificate_rank(record_text(item, "verdict"));

		if (rank < 0 || !*record_text(item, "what") || !*record_text(item, "method") || !json_is_array(json_object_get(item, "limits")))
			return err_set(e, ERR_INTEGRITY, "clear done: item %zu lacks what, method, verdict or limits", i + 1);
		if (rank > worst) {
			worst = rank;
			*verdict = record_text(item, "verdict");
		}
	}
	return 0;
}

static void add_once(json_t *list, const char *s)
{
	json_t *v;
	size_t i;

	if (!*s)
		return;
	json_array_foreach(list, i, v)
		if (strcmp(json_string_value(v), s) == 0)
			return;
	(void)json_array_append_new(list, json_string(s));
}

static void add_all(json_t *list, const json_t *from)
{
	json_t *v;
	size_t i;

	json_array_foreach(from, i, v)
		if (json_is_string(v))
			add_once(list, json_string_value(v));
}

/* What no measurement of ours can know is printed whatever happened (clearing.md 5). */
static json_t *limits(const json_t *done, const char *verdict)
{
	static const char *const always[] = {
		"Only the contents listed under datasets were in scope; earlier contents of the same places were not searched for.",
		"Swap, hibernation images, core dumps, temporary files, indexes and backups outside the scope are not covered.",
		"Copies made by storage, hypervisor or provider (snapshots, replicas, spare blocks) are covered only as far as the copies table says.",
		"Memory, controller caches, replication targets and provider logs are out of scope.",
		"The duty of confidentiality of everybody who had access continues." };
	json_t *list = json_array(), *item;
	size_t i;

	json_array_foreach(json_object_get(done, "items"), i, item)
		add_all(list, json_object_get(item, "limits"));
	add_all(list, json_object_get(done, "limits"));
	if (!certificate_is_proof(verdict) && !json_object_get(done, "residue"))
		add_once(list, "No residue scan was made: that nothing readable is left was not measured.");
	/* What was searched for is told by the items. */
	for (i = json_object_get(done, "residue") ? 1 : 0; i < sizeof(always) / sizeof(always[0]); i++)
		add_once(list, always[i]);
	return list;
}

/* "measured by a process under the control of HOST's administrator", one host after the other. */
static json_t *measured_by(const json_t *started, const json_t *done)
{
	json_t *hosts = json_array(), *item, *out;
	OWN_BUF struct buf b = BUF_INIT;
	const char *host;
	size_t i;

	add_all(hosts, json_object_get(started, "hosts"));
	json_object_foreach(json_object_get(started, "hosts"), host, item)
		add_once(hosts, host);
	json_array_foreach(json_object_get(done, "items"), i, item)
		add_once(hosts, record_text(item, "host"));
	buf_puts(&b, "measured by a process under the control of ");
	json_array_foreach(hosts, i, item)
		buf_printf(&b, "%s%s's administrator", i ? " and of " : "", json_string_value(item));
	if (!json_array_size(hosts))
		buf_puts(&b, "the source host's administrator");
	out = json_string(b.failed ? "" : b.data);
	json_decref(hosts);
	return out;
}

/* Names of the parties that have one of two roles; "not stated" when there are none. */
static json_t *parties_of(const json_t *facts, const char *role, const char *other)
{
	json_t *p, *list = json_array();
	size_t i;

	json_array_foreach(json_object_get(facts, "parties"), i, p)
		if (strcmp(record_text(p, "role"), role) == 0 || strcmp(record_text(p, "role"), other) == 0)
			add_once(list, *record_text(p, "name") ? record_text(p, "name") : record_text(p, "party"));
	if (json_array_size(list))
		return list;
	json_decref(list);
	return json_string(NOT_STATED);
}

static void add_line(json_t *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_line(json_t *list, const char *fmt, ...)
{
	OWN_FREE char *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0)
		line = NULL;
	va_end(ap);
	if (line)
		(void)json_array_append_new(list, json_string(line));
}

/* Five lines, each of stock tools, to be run in the bare repository of the ledger. */
static json_t *check_lines(const char *plan, const char *id, const struct record *done)
{
	json_t *list = json_array();

	add_line(list, "git fsck --strict && git merge-base --is-ancestor %s %s", done->commit, plan);
	add_line(list, "git show %s:signers > signers    # compare with the list that you were given on another way", plan);
	add_line(list, "git show %s:certificates/%s.en.txt > paper; git show %s:certificates/%s.en.txt.sig > paper.sig", plan, id, plan, id);
	add_line(list, "ssh-keygen -Y verify -f signers -I PERSON -n certificate@waybill -s paper.sig < paper");
	add_line(list, "git show %s:events/%06" PRIu64 "-clear-done.json | sha256sum    # %s", done->commit, done->seq, done->digest);
	return list;
}

/* That one file was in the scope, without telling of the others. */
static json_t *inclusion_lines(const char *plan, const struct record *done, const json_t *datasets)
{
	json_t *list = json_array(), *d;
	size_t i;

	json_array_foreach(datasets, i, d) {
		add_line(list, "git grep -F ./NAME %s -- datasets/%s/manifest    # its line has the sha256 of the content", done->commit, record_text(d, "dataset"));
		add_line(list, "waybill show %s %s@%lld | sha256sum    # the root of the whole manifest: %s", plan, record_text(d, "dataset"),
		    (long long)json_integer_value(json_object_get(d, "version")), record_text(d, "root"));
	}
	return list;
}

/* Clauses that an assessor may hold this against; that they are met is for him to say. */
static json_t *references(void)
{
	static const char *const clauses[] = { "GB/T 22239-2019 8.1.4.10, 8.2.4.6", "GB/T 28448-2019 L3-CES1-32, L3-CES1-33", "GB/T 31167 9.1, 9.4",
		"NIST SP 800-88 Rev. 2 4.6" };
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(clauses) / sizeof(clauses[0]); i++)
		(void)json_array_append_new(list, json_string(clauses[i]));
	return list;
}

/* ---- the paper ---- */

static void put(json_t *p, const char *key, const char *s) { (void)json_object_set_new(p, key, json_string(s)); }

static void paper_id(char id[128], const char *plan, const struct record *basis)
{
	(void)snprintf(id, 128, "%s-%06" PRIu64, plan, basis->seq);
}

/* 通过, 部分通过, 不通过 (form D18): as asked for, less than asked for, not shown or shown to be otherwise. */
static const char *result_of(const char *verdict, const char *require, const json_t *access)
{
	int got = certificate_rank(verdict), want = certificate_rank(*require ? require : "cleared-sampled");
	bool refused = true;
	json_t *row;
	size_t i;

	json_array_foreach(access, i, row)
		refused &= strcmp(record_text(row, "result"), "refused") == 0;
	if (certificate_is_proof(verdict) && got <= want && refused)
		return "passed";
	return got <= PLAN_VERDICT_PERFORMED_NOT_PROVABLE ? "passed in part" : "not passed";
}

static void put_identity(json_t *p, const char *plan, const struct clearing_records *c, const char *verdict)
{
	char id[128];

	put(p, "form", CERTIFICATE_FORM);
	put(p, "title", certificate_is_proof(verdict) ? "Certificate of clearance" : "Record of disposal (not proven)");
	put(p, "title_zh", certificate_is_proof(verdict) ? "清除证明" : "处置记录(未证实)");
	paper_id(id, plan, c->basis);
	put(p, "id", id);
	if (c->certified)
		paper_id(id, plan, c->certified);
	(void)json_object_set_new(p, "supersedes", c->certified ? json_string(id) : json_null());
	put(p, "plan", plan);
	put(p, "plan_digest", c->done->plan_digest);
}

static void put_people(json_t *p, const struct records *r, const struct clearing_records *c, const json_t *facts)
{
	static const char *const known[] = { "kind", "title", "system", "contract", "parties", "people" };
	static const char *const by_hand[] = { "witness", "contact", "place", "classification_before", "classification_after" };

	for (size_t i = 0; i < 6; i++)
		set_known(p, i == 1 ? "subject" : known[i], json_object_get(facts, known[i]));
	(void)json_object_set_new(p, "requested_by", parties_of(facts, "department", "department"));
	(void)json_object_set_new(p, "provider", parties_of(facts, "provider", "contractor"));
	(void)json_object_set_new(p, "supervised_by", parties_of(facts, "bureau", "supervisor"));
	if (json_object_get(facts, "operator"))
		set_known(p, "operator", json_object_get(facts, "operator"));
	else
		put(p, "operator", *c->done->by ? c->done->by : NOT_STATED);
	if (json_object_get(facts, "verifier"))
		set_known(p, "verifier", json_object_get(facts, "verifier"));
	else
		put(p, "verifier", NOT_STATED);
	for (size_t i = 0; i < sizeof(by_hand) / sizeof(by_hand[0]); i++)
		put(p, by_hand[i], NOT_STATED);
	(void)json_object_set_new(p, "approvals", approvals(r, c->started, facts));
}

/* A time that the act itself noted, else that of its event. */
static void put_time(json_t *p, const char *key, const struct record *own, const json_t *more)
{
	json_t *v = json_object_get(own ? own->data : NULL, key);

	if (!v)
		v = json_object_get(more, key);
	if (v)
		(void)json_object_set(p, key, v);
	else
		(void)json_object_set_new(p, key, json_string(own ? own->at : NOT_MEASURED));
}

static void put_record(json_t *p, const struct clearing_records *c, const json_t *facts, const char *verdict)
{
	put(p, "commit", c->done->commit);
	(void)json_object_set_new(p, "event", json_integer((json_int_t)c->done->seq));
	put(p, "event_sha256", c->done->digest);
	put(p, "as_of_commit", c->basis->commit);
	(void)json_object_set_new(p, "as_of_event", json_integer((json_int_t)c->basis->seq));
	put_time(p, "started", c->started, c->done->data);
	put_time(p, "finished", c->done, NULL);
	put(p, "verdict", verdict);
	(void)json_object_set_new(p, "proof", json_boolean(certificate_is_proof(verdict)));
	put(p, "result", result_of(verdict, record_text(facts, "require"), json_object_get(p, "access")));
}

/* ---- out of what was signed ---- */

static int take_skipped(void *ctx, const char *key, size_t klen, const char *value, size_t vlen)
{
	static const char word[] = "destroyed-without-copy";

	if (klen >= sizeof(word) - 1 && memcmp(key, word, sizeof(word) - 1) == 0)
		(void)json_array_append_new(ctx, json_stringn(value, vlen));
	return 0;
}

/* What was authorized to be destroyed without a copy: it stands in the signed statements only. */
static int put_skipped(json_t *p, const struct paper_source *src, const struct record *done, struct err *e)
{
	OWN_STATEMENT struct statement s = STATEMENT_INIT;
	OWN_BUF struct buf txt = BUF_INIT;
	const char *file = record_text(json_array_get(json_object_get(p, "approvals"), 0), "file");
	json_t *list = json_array();
	char path[300];
	int r = 0;

	(void)json_object_set_new(p, "destroyed_without_copy", list);
	if (!*file || snprintf(path, sizeof(path), "%s.txt", file) >= (int)sizeof(path))
		return 0;
	r = src->read(src->ctx, done->commit, path, &txt, e);
	if (r == 1)
		r = statement_parse(txt.data, txt.len, &s, e);
	else if (r == 0)
		return err_set(e, ERR_INTEGRITY, "%s is missing", esc_s(path));
	if (r == 0)
		(void)statement_basis_lines(s.basis, take_skipped, list);
	return r;
}

static void put_findings(json_t *p, const struct record *started, const struct record *done, const json_t *facts, const char *verdict)
{
	static const char *const measured[] = { "media", "control", "canaries", "residue", "coverage", "p_miss", "objects", "bytes",
		"errors" };
	static const char *const said[] = { "method", "require", "retain_until" };
	static const char *const about[] = { "tool", "tool_sha256", "kernel", "destination" };
	const json_t *s = started ? started->data : NULL;

	(void)json_object_set(p, "items", json_object_get(done->data, "items"));
	for (size_t i = 0; i < sizeof(measured) / sizeof(measured[0]); i++)
		set_known(p, measured[i], either(done->data, s, measured[i]));
	set_known(p, "seed_sha256", json_object_get(json_object_get(s, "search"), "seed_commitment"));
	set_list(p, "discarded", json_object_get(facts, "discard"));
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (json_object_get(facts, said[i]))
			set_known(p, said[i], json_object_get(facts, said[i]));
		else
			put(p, said[i], NOT_STATED);
	for (size_t i = 0; i < sizeof(about) / sizeof(about[0]); i++)
		if (either(done->data, s, about[i]))
			set_known(p, about[i], either(done->data, s, about[i]));
		else
			put(p, about[i], NOT_STATED);
	(void)json_object_set_new(p, "limits", limits(done->data, verdict));
	(void)json_object_set_new(p, "references", references());
}

/* Strings out of the ledger once more through the escapes, wherever they stand. */
static void make_safe(json_t *j)
{
	const char *key;
	json_t *v;
	void *tmp;
	size_t i;

	if (json_is_object(j)) {
		json_object_foreach_safe(j, tmp, key, v)
			make_safe(v);
	} else if (json_is_array(j)) {
		json_array_foreach(j, i, v)
			make_safe(v);
	} else if (json_is_string(j)) {
		OWN_BUF struct buf b = BUF_INIT;

		certificate_put_safe(&b, json_string_value(j));
		if (!b.failed && b.data)
			(void)json_string_set(j, b.data);
	}
}

static int fill(json_t *p, const struct paper_source *src, const struct clearing_records *c, const json_t *facts, const char *verdict, struct err *e)
{
	const struct record *access = last_of(c->done, src->records->v + src->records->n, "certify", "access");

	put_identity(p, src->plan, c, verdict);
	set_list(p, "access", json_object_get(access ? access->data : NULL, "access"));
	put_people(p, src->records, c, facts);
	put_record(p, c, facts, verdict);
	(void)json_object_set_new(p, "measured_by", measured_by(c->started ? c->started->data : NULL, c->done->data));
	(void)json_object_set_new(p, "datasets", datasets(src->records, c->started, c->done));
	put_findings(p, c->started, c->done, facts, verdict);
	(void)json_object_set_new(p, "check", check_lines(src->plan, record_text(p, "id"), c->done));
	(void)json_object_set_new(p, "inclusion", inclusion_lines(src->plan, c->done, json_object_get(p, "datasets")));
	return put_skipped(p, src, c->done, e);
}

json_t *certificate_paper(const struct paper_source *src, struct err *e)
{
	struct clearing_records c = { .certified = NULL };
	json_t *p = json_object(), *copies = NULL;
	const json_t *facts;
	const char *verdict;

	if (!p || !find_clearing(src->records, &c)) {
		json_decref(p);
		err_set(e, p ? ERR_REFUSED : ERR_TEMPORARY, p ? "plan %s has cleared nothing yet: nothing is certified from an unfinished record" :
		    "certificate of plan %s: out of memory", src->plan);
		return NULL;
	}
	facts = c.started ? json_object_get(c.started->data, "facts") : NULL;
	verdict = record_text(c.done->data, "verdict");
	copies = certificate_copies(src->records, c.done);
	(void)json_object_set_new(p, "copies", copies);
	if (check_items(c.done->data, &verdict, e) < 0 || check_copies(copies, &verdict, e) < 0 || fill(p, src, &c, facts, verdict, e) < 0) {
		json_decref(p);
		return NULL;
	}
	make_safe(p);
	return p;
}
