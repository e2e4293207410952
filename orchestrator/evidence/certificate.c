#include "certificate_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "esc.h"
#include "plan.h"
#include "sign.h"
#include "statement.h"

int certificate_rank(const char *verdict)
{
	enum plan_verdict v;

	return plan_verdict_parse(verdict, &v) ? (int)v : -1;
}

bool certificate_is_proof(const char *verdict)
{
	int rank = certificate_rank(verdict);

	return rank >= 0 && rank <= PLAN_VERDICT_CRYPTO_ERASED;
}

bool certificate_format_parse(const char *s, enum certificate_format *f)
{
	static const char *const names[] = { "txt", "json", "html" };

	for (int i = 0; i < 3; i++)
		if (strcmp(s, names[i]) == 0) {
			*f = (enum certificate_format)i;
			return true;
		}
	return false;
}

void certificate_put_safe(struct buf *b, const char *s)
{
	while (*s) {
		size_t n = strcspn(s, "\\");

		esc_put(b, s, n);
		s += n;
		if (*s == '\\')
			buf_putc(b, *s++);
	}
}

/* ---- what the ledger says ---- */

struct record {			/* one event */
	uint64_t seq;
	char *stage, *state, *by, *at, *plan_digest;	/* owned */
	char commit[LEDGER_OID], digest[DIGEST_HEX];
	json_t *data;		/* owned */
};
struct records { struct record *v; size_t n; bool failed; struct err *e; };

static void records_dispose(struct records *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].stage);
		free(r->v[i].state);
		free(r->v[i].by);
		free(r->v[i].at);
		free(r->v[i].plan_digest);
		json_decref(r->v[i].data);
	}
	free(r->v);
}

static int keep(void *ctx, const struct ledger_event *ev)
{
	struct records *r = ctx;
	struct record *v = realloc(r->v, (r->n + 1) * sizeof(*v));
	json_error_t je;

	r->failed = true;
	if (!v)
		return err_sys(r->e, "certificate");
	r->v = v;
	v += r->n++;
	*v = (struct record){ .seq = ev->seq, .stage = strdup(ev->stage), .state = strdup(ev->state), .by = strdup(ev->by),
		.at = strdup(ev->at), .plan_digest = strdup(ev->plan_digest),
		.data = json_loads(ev->data, JSON_REJECT_DUPLICATES, &je) };
	memcpy(v->commit, ev->commit, sizeof(v->commit));
	hex_of(ev->digest, DIGEST_LEN, v->digest);
	if (!v->stage || !v->state || !v->by || !v->at || !v->plan_digest)
		return err_sys(r->e, "certificate");
	if (!json_is_object(v->data))
		return err_set(r->e, ERR_INTEGRITY, "event %06" PRIu64 ": its data is no object", ev->seq);
	r->failed = false;
	return 0;
}

static bool is(const struct record *r, const char *stage, const char *state)
{
	return strcmp(r->stage, stage) == 0 && strcmp(r->state, state) == 0;
}

static const char *text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

/* The last `clear done`, and the `clear started` that it ends; false when there is none. */
static bool find_clearing(const struct records *r, const struct record **started, const struct record **done, const struct record **before)
{
	*started = *done = *before = NULL;
	for (size_t i = 0; i < r->n; i++) {
		if (is(&r->v[i], "clear", "done")) {
			*before = *done;
			*done = &r->v[i];
		}
	}
	for (size_t i = 0; *done && &r->v[i] < *done; i++)
		if (is(&r->v[i], "clear", "started"))
			*started = &r->v[i];
	return *done != NULL;
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
		if (strcmp(text(p, "person"), person) == 0)
			return text(p, "name");
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

	return (!json_array_size(gate) || lists(gate, text(said, "party"))) && !lists(json_object_get(facts, "operators"), text(said, "person"));
}

/* Who authorized: the last word of each person who counts before it started, for the basis that it names. */
static json_t *approvals(const struct records *r, const struct record *started, const json_t *facts)
{
	json_t *list = json_array();
	const char *basis = started ? text(started->data, "basis") : "";

	for (const struct record *v = r->v; started && v < started; v++) {
		const struct record *later = v + 1;
		bool last = true;

		if (!is(v, "approval", "recorded") || strcmp(text(v->data, "stage"), "clear") != 0)
			continue;
		for (; later < started; later++)
			last &= !(is(later, "approval", "recorded") && strcmp(text(later->data, "stage"), "clear") == 0 &&
			    strcmp(text(later->data, "person"), text(v->data, "person")) == 0);
		if (!last || !counts(started, facts, v->data) || strcmp(text(v->data, "verdict"), "approve") != 0 || (*basis && strcmp(text(v->data, "basis"), basis) != 0))
			continue;
		(void)json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "person", text(v->data, "person"), "name",
		    person_name(facts, text(v->data, "person")), "party", text(v->data, "party"), "at", v->at, "file",
		    text(v->data, "file"), "statement_sha256", text(v->data, "statement_sha256")));
	}
	return list;
}

/* Good checks of one version of a dataset before the clearing. */
static json_t *verified(const struct records *r, const struct record *end, const char *dataset, json_int_t version)
{
	json_t *list = json_array();

	for (const struct record *v = r->v; v < end; v++) {
		if ((!is(v, "verify", "checked") && !is(v, "restore-test", "checked")) || strcmp(text(v->data, "dataset"), dataset) != 0 ||
		    json_integer_value(json_object_get(v->data, "version")) != version)
			continue;
		(void)json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:s}", "what", v->stage, "side",
		    *text(v->data, "side") ? text(v->data, "side") : "archive", "read",
		    *text(v->data, "read") ? text(v->data, "read") : NOT_MEASURED, "verdict", text(v->data, "verdict"), "at", v->at));
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

			(void)json_object_set_new(copy, "verified", verified(r, end, text(d, "dataset"), json_integer_value(json_object_get(d, "version"))));
			(void)json_array_append_new(list, copy);
		}
		return list;
	}
	for (const struct record *v = r->v; v < end; v++) {
		bool last = strcmp(v->state, "version") == 0;

		for (const struct record *w = v + 1; last && w < end; w++)
			last = !(strcmp(w->state, "version") == 0 && strcmp(text(w->data, "dataset"), text(v->data, "dataset")) == 0);
		if (!last)
			continue;
		d = json_object();
		static const char *const keys[] = { "dataset", "version", "root", "root_sm3", "entries", "bytes" };
		for (i = 0; i < 6; i++)
			set_known(d, keys[i], json_object_get(v->data, keys[i]));
		(void)json_object_set_new(d, "verified", verified(r, end, text(v->data, "dataset"), json_integer_value(json_object_get(v->data, "version"))));
		(void)json_array_append_new(list, d);
	}
	return list;
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
		int rank = certificate_rank(text(item, "verdict"));

		if (rank < 0 || !*text(item, "what") || !*text(item, "method") || !json_is_array(json_object_get(item, "limits")))
			return err_set(e, ERR_INTEGRITY, "clear done: item %zu lacks what, method, verdict or limits", i + 1);
		if (rank > worst) {
			worst = rank;
			*verdict = text(item, "verdict");
		}
	}
	json_array_foreach(json_object_get(done, "copies"), i, item)
		if (!*text(item, "what") || !*text(item, "grade"))
			return err_set(e, ERR_INTEGRITY, "clear done: copy %zu lacks what or grade", i + 1);
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
		"Memory, controller caches, replication targets and provider logs are out of scope." };
	json_t *list = json_array(), *item;
	size_t i;

	json_array_foreach(json_object_get(done, "items"), i, item)
		add_all(list, json_object_get(item, "limits"));
	add_all(list, json_object_get(done, "limits"));
	if (!certificate_is_proof(verdict) && !json_object_get(done, "residue"))
		add_once(list, "No residue scan was made: that nothing readable is left was not measured.");
	for (i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		add_once(list, always[i]);
	return list;
}

/* "measured by a process under the control of HOST's administrator", one host after the other. */
static json_t *measured_by(const json_t *started, const json_t *done)
{
	json_t *hosts = json_array(), *item, *out;
	OWN_BUF struct buf b = BUF_INIT;
	size_t i;

	add_all(hosts, json_object_get(started, "hosts"));
	json_array_foreach(json_object_get(done, "items"), i, item)
		add_once(hosts, text(item, "host"));
	buf_puts(&b, "measured by a process under the control of ");
	json_array_foreach(hosts, i, item)
		buf_printf(&b, "%s%s's administrator", i ? " and of " : "", json_string_value(item));
	if (!json_array_size(hosts))
		buf_puts(&b, "the source host's administrator");
	out = json_string(b.failed ? "" : b.data);
	json_decref(hosts);
	return out;
}

static json_t *requested_by(const json_t *facts)
{
	json_t *p, *list = json_array();
	size_t i;

	json_array_foreach(json_object_get(facts, "parties"), i, p)
		if (strcmp(text(p, "role"), "department") == 0)
			add_once(list, text(p, "name"));
	return list;
}

static json_t *check_lines(const char *plan, const struct record *done)
{
	json_t *list = json_array();
	char line[400];

	(void)json_array_append_new(list, json_string("git fsck --strict"));
	(void)snprintf(line, sizeof(line), "git show %s:signers > signers", plan);
	(void)json_array_append_new(list, json_string(line));
	(void)snprintf(line, sizeof(line), "git show %s:certificates/FILE > paper; git show %s:certificates/FILE.sig > paper.sig", plan, plan);
	(void)json_array_append_new(list, json_string(line));
	(void)json_array_append_new(list, json_string("ssh-keygen -Y verify -f signers -I PERSON -n certificate@waybill -s paper.sig < paper"));
	(void)snprintf(line, sizeof(line), "git show %s:events/%06" PRIu64 "-clear-done.json | sha256sum   # %s", done->commit, done->seq, done->digest);
	(void)json_array_append_new(list, json_string(line));
	return list;
}

/* ---- the paper ---- */

static void put_identity(json_t *p, const char *plan, const struct record *done, const struct record *before, const char *verdict)
{
	char id[128];

	(void)json_object_set_new(p, "form", json_string("waybill-certificate 1"));
	(void)json_object_set_new(p, "title", json_string(certificate_is_proof(verdict) ? "Certificate of clearance" : "Record of disposal (not proven)"));
	(void)json_object_set_new(p, "title_zh", json_string(certificate_is_proof(verdict) ? "清除证明" : "处置记录(未证实)"));
	(void)snprintf(id, sizeof(id), "%s-%06" PRIu64, plan, done->seq);
	(void)json_object_set_new(p, "id", json_string(id));
	if (before)
		(void)snprintf(id, sizeof(id), "%s-%06" PRIu64, plan, before->seq);
	(void)json_object_set_new(p, "supersedes", before ? json_string(id) : json_null());
	(void)json_object_set_new(p, "plan", json_string(plan));
	(void)json_object_set_new(p, "plan_digest", json_string(done->plan_digest));
}

static void put_people(json_t *p, const struct records *r, const struct record *started, const struct record *done, const json_t *facts)
{
	static const char *const known[] = { "kind", "title", "system", "contract", "parties", "people" };

	for (size_t i = 0; i < 6; i++)
		set_known(p, i == 1 ? "subject" : known[i], json_object_get(facts, known[i]));
	(void)json_object_set_new(p, "requested_by", requested_by(facts));
	if (json_object_get(facts, "operator"))
		set_known(p, "operator", json_object_get(facts, "operator"));
	else
		(void)json_object_set_new(p, "operator", *done->by ? json_string(done->by) : json_string(NOT_MEASURED));
	set_known(p, "verifier", json_object_get(facts, "verifier"));
	(void)json_object_set_new(p, "approvals", approvals(r, started, facts));
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

static void put_record(json_t *p, const struct record *started, const struct record *done, const char *verdict)
{
	(void)json_object_set_new(p, "commit", json_string(done->commit));
	(void)json_object_set_new(p, "event", json_integer((json_int_t)done->seq));
	(void)json_object_set_new(p, "event_sha256", json_string(done->digest));
	put_time(p, "started", started, done->data);
	put_time(p, "finished", done, NULL);
	(void)json_object_set_new(p, "verdict", json_string(verdict));
	(void)json_object_set_new(p, "proof", json_boolean(certificate_is_proof(verdict)));
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
static int put_skipped(json_t *p, struct ledger *l, const char *plan, const struct record *done, struct err *e)
{
	OWN_STATEMENT struct statement s = STATEMENT_INIT;
	OWN_BUF struct buf txt = BUF_INIT;
	const char *file = text(json_array_get(json_object_get(p, "approvals"), 0), "file");
	json_t *list = json_array();
	char path[300];
	int r = 0;

	(void)json_object_set_new(p, "destroyed_without_copy", list);
	if (!*file || snprintf(path, sizeof(path), "%s.txt", file) >= (int)sizeof(path))
		return 0;
	r = ledger_read(l, plan, done->commit, path, &txt, e);
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
	static const char *const measured[] = { "media", "control", "canaries", "residue", "coverage", "p_miss", "objects", "bytes", "errors" };
	static const char *const said[] = { "method", "require" };
	static const char *const about[] = { "tool", "kernel", "destination" };
	const json_t *s = started ? started->data : NULL;

	(void)json_object_set(p, "items", json_object_get(done->data, "items"));
	for (size_t i = 0; i < sizeof(measured) / sizeof(measured[0]); i++)
		set_known(p, measured[i], either(done->data, s, measured[i]));
	set_list(p, "copies", json_object_get(done->data, "copies"));
	set_list(p, "discarded", json_object_get(facts, "discard"));
	for (size_t i = 0; i < 2; i++)
		set_known(p, said[i], json_object_get(facts, said[i]));
	for (size_t i = 0; i < 3; i++)
		set_known(p, about[i], either(done->data, s, about[i]));
	(void)json_object_set_new(p, "limits", limits(done->data, verdict));
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

json_t *certificate_paper(struct ledger *l, const char *plan, struct err *e)
{
	OWN(records_dispose) struct records r = { NULL, 0, false, e };
	const struct record *started, *done, *before;
	const json_t *facts;
	const char *verdict;
	json_t *p;

	if (ledger_replay(l, plan, keep, &r, e) < 0 || r.failed)
		return NULL;
	if (!find_clearing(&r, &started, &done, &before)) {
		err_set(e, ERR_REFUSED, "plan %s has cleared nothing yet: nothing is certified from an unfinished record", plan);
		return NULL;
	}
	verdict = text(done->data, "verdict");
	if (check_items(done->data, &verdict, e) < 0)
		return NULL;
	facts = started ? json_object_get(started->data, "facts") : NULL;
	if (!(p = json_object())) {
		err_sys(e, "certificate");
		return NULL;
	}
	put_identity(p, plan, done, before, verdict);
	put_people(p, &r, started, done, facts);
	put_record(p, started, done, verdict);
	(void)json_object_set_new(p, "measured_by", measured_by(started ? started->data : NULL, done->data));
	(void)json_object_set_new(p, "datasets", datasets(&r, started, done));
	put_findings(p, started, done, facts, verdict);
	(void)json_object_set_new(p, "check", check_lines(plan, done));
	if (put_skipped(p, l, plan, done, e) < 0) {
		json_decref(p);
		return NULL;
	}
	make_safe(p);
	return p;
}

int certificate_build(struct ledger *l, const char *plan, const struct certificate_options *o, struct buf *out, struct err *e)
{
	json_t *p;
	OWN_FREE char *json = NULL;

	if (o->format == CERTIFICATE_HTML)
		return err_set(e, ERR_PERMANENT, "certificate --format html: not built yet; txt and json are");
	if (!(p = certificate_paper(l, plan, e)))
		return err_at(e, "certificate");
	if (o->format == CERTIFICATE_JSON) {
		json = json_dumps(p, JSON_INDENT(2));
		if (json)
			buf_puts(out, json);
		buf_putc(out, '\n');
		out->failed |= !json;
	} else {
		certificate_text(p, o->chinese, out);
	}
	json_decref(p);
	return buf_finish(out, e);
}

int certificate_verdict(struct ledger *l, const char *plan, char out[32], struct err *e)
{
	json_t *p = certificate_paper(l, plan, e);

	if (!p && e->class == ERR_REFUSED) {
		err_clear(e);
		return 0;
	}
	if (!p)
		return -1;
	(void)snprintf(out, 32, "%s", text(p, "verdict"));
	json_decref(p);
	return 1;
}

int certificate_sign(const char *keyfile, const void *p, size_t n, struct buf *sig, struct err *e)
{
	return sign_bytes(keyfile, SIGN_NS_CERTIFICATE, p, n, sig, e);
}
