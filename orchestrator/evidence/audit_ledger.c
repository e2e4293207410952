/* A ledger: every plan's branch, commit by commit. */
#include <inttypes.h>
#include <string.h>

#include "audit_private.h"
#include "certificate_private.h"
#include "clock.h"
#include "esc.h"

struct walk {
	struct audit *a;
	const char *plan;
	struct audit_chain chain;
	struct audit_order order;
	struct audit_objects *objects;
	struct buf signers, plan_sha256;	/* as they stand in the tree */
	char digest[DIGEST_HEX];	/* of plan.sha256 */
	json_t *versions;		/* "D/N" -> commit, for the tags */
	json_t *seen;			/* every commit */
	struct records records;		/* events so far, of which papers are made */
	uint64_t unsigned_commits, foreign_commits;
	char cleared[HISTORY_OID];	/* the commit of the last `clear done`, "" = none */
	size_t papers;			/* certificates since then */
	int64_t last_at;
	char head[HISTORY_OID];
};

static void walk_dispose(struct walk *w)
{
	audit_order_dispose(&w->order);
	records_dispose(&w->records);
	buf_dispose(&w->signers);
	buf_dispose(&w->plan_sha256);
	json_decref(w->versions);
	json_decref(w->seen);
}

/* ---- the commit as such ---- */

static bool prefix(const char *s, const char *p) { return strncmp(s, p, strlen(p)) == 0; }

/* Which event may change which path; NULL: no event may. */
static bool path_allowed(const char *path, const struct audit_event *ev)
{
	char dataset[160];

	if (prefix(path, "datasets/")) {
		(void)snprintf(dataset, sizeof(dataset), "datasets/%s/", audit_text(ev->data, "dataset"));
		return strcmp(ev->state, "version") == 0 && prefix(path, dataset);
	}
	if (prefix(path, "approvals/"))
		return strcmp(ev->stage, "approval") == 0 || strcmp(ev->stage, "accept") == 0;
	if (prefix(path, "certificates/"))
		return strcmp(ev->stage, "certify") == 0;
	/* the plan and what it pulls in */
	return strcmp(ev->stage, "plan") == 0 && (strcmp(path, "plan.yaml") == 0 || strcmp(path, "plan.sha256") == 0 ||
	    strcmp(path, "signers") == 0 || strcmp(path, "documents/SHA256SUMS") == 0);
}

static bool never_changes(const char *path)
{
	return prefix(path, "events/") || prefix(path, "approvals/") || prefix(path, "certificates/");
}

static void check_changes(struct walk *w, const struct history_commit *c, const struct audit_event *ev, const char *where)
{
	for (size_t i = 0; i < c->change_count; i++) {
		const struct history_change *h = &c->changes[i];

		if (h->how == 'T')
			audit_say(w->a, AUDIT_ALTERED, "%s: %s is no plain file", where, esc_s(h->path));
		else if (never_changes(h->path) && h->how != 'A')
			audit_say(w->a, AUDIT_ALTERED, "%s: %s was %s, though it is kept for ever", where, esc_s(h->path), h->how == 'D' ? "deleted" : "changed");
		else if (!prefix(h->path, "events/") && !path_allowed(h->path, ev))
			audit_say(w->a, AUDIT_ALTERED, "%s: %s is not for %s %s to change", where, esc_s(h->path), ev->stage, ev->state);
	}
}

/* "NNNNNN STAGE STATE: text", and the trailers at the end. */
static void check_message(struct walk *w, const struct history_commit *c, const struct audit_event *ev, const char *where)
{
	OWN_BUF struct buf subject = BUF_INIT;
	OWN_BUF struct buf trailers = BUF_INIT;
	const char *m = c->message ? c->message : "";
	size_t line = strcspn(m, "\n"), total = strlen(m), keep;

	buf_printf(&subject, "%06" PRIu64 " %s %s: %s", ev->seq, ev->stage, ev->state, ev->text);
	buf_printf(&trailers, "\n\nPlan-Digest: %s\nBy: %s\nAt: %s\n", ev->plan_digest, *ev->by ? ev->by : "waybill", ev->at);
	if (subject.failed || trailers.failed) {
		w->a->nomem = true;
		return;
	}
	keep = line;
	if (line < subject.len && line > 3 && memcmp(m + line - 3, "...", 3) == 0)
		keep = line - 3;	/* a long text is cut in the subject only */
	if ((keep == line && line != subject.len) || keep > subject.len || memcmp(m, subject.data, keep) != 0)
		audit_say(w->a, AUDIT_ALTERED, "%s: the subject does not agree with the event", where);
	if (total < trailers.len || memcmp(m + total - trailers.len, trailers.data, trailers.len) != 0)
		audit_say(w->a, AUDIT_ALTERED, "%s: the trailers do not agree with the event", where);
}

static void check_commit_signature(struct walk *w, const struct history_commit *c, const struct audit_event *ev, const char *where)
{
	if (!c->signature) {
		w->unsigned_commits++;
		return;
	}
	if (!w->signers.data || !sign_has_person(w->signers.data, ev->by)) {
		w->foreign_commits++;
		return;
	}
	(void)audit_signature(w->a, where, (struct sign_check){ .person = ev->by, .name_space = SIGN_NS_GIT, .data = c->payload,
	    .data_len = c->payload_len, .sig = c->signature, .sig_len = c->signature_len }, w->signers.data);
}

/* ---- plan and signers ---- */

static void reread(struct walk *w, const char *oid, const char *path, struct buf *into, const char *where)
{
	struct err e = ERR_INIT;
	int r;

	buf_reset(into);
	r = history_read(w->a->h, oid, path, into, &e);
	if (r < 0)
		audit_err(w->a, where, &e);
	else if (r == 0)
		audit_say(w->a, AUDIT_ALTERED, "%s: %s is missing", where, path);
	buf_puts(into, "");
}

/* What the digest of the plan stands for: plan.yaml, and the files that it pulls in. */
static void check_plan_files(struct walk *w, const char *oid, const char *where)
{
	OWN_BUF struct buf yaml = BUF_INIT;
	OWN_BUF struct buf documents = BUF_INIT;
	uint8_t d[DIGEST_LEN];
	struct err e = ERR_INIT;
	const char *list = w->plan_sha256.data ? w->plan_sha256.data : "";

	reread(w, oid, "plan.yaml", &yaml, where);
	if (digest_sha256(yaml.data ? yaml.data : "", yaml.len, d, &e) < 0)
		return;
	if (!audit_plan_lists(list, "plan.yaml", d))
		audit_say(w->a, AUDIT_ALTERED, "%s: plan.sha256 does not list plan.yaml with its digest", where);
	if (history_read(w->a->h, oid, "documents/SHA256SUMS", &documents, &e) < 0) {
		audit_err(w->a, where, &e);
		return;
	}
	buf_puts(&documents, "");
	audit_plan_files(w->a, w->objects, where, list, documents.data ? documents.data : "");
	audit_plan(w->a, &w->order, where, w->plan, &yaml, w->signers.data);
}

static void take_plan(struct walk *w, const struct history_commit *c, const char *where)
{
	uint8_t d[DIGEST_LEN];
	struct err e = ERR_INIT;

	reread(w, c->oid, "plan.sha256", &w->plan_sha256, where);
	reread(w, c->oid, "signers", &w->signers, where);
	if (digest_sha256(w->plan_sha256.data ? w->plan_sha256.data : "", w->plan_sha256.len, d, &e) == 0)
		hex_of(d, DIGEST_LEN, w->digest);
	check_plan_files(w, c->oid, where);
	if (w->signers.data)
		audit_signers_agree(w->a, where, w->signers.data);
}

/* ---- approvals and certificates ---- */

static void compare_digest(struct walk *w, const struct audit_event *ev, const char *key, const struct buf *b, const char *where)
{
	uint8_t d[DIGEST_LEN];
	char hex[DIGEST_HEX];
	struct err e = ERR_INIT;

	if (!*audit_text(ev->data, key) || digest_sha256(b->data ? b->data : "", b->len, d, &e) < 0)
		return;
	hex_of(d, DIGEST_LEN, hex);
	if (strcmp(hex, audit_text(ev->data, key)) != 0)
		audit_say(w->a, AUDIT_ALTERED, "%s: %s is not the digest of the file", where, key);
}

/* base: "approvals/0001-clear-zhang" */
static void take_approval(struct walk *w, const struct history_commit *c, const struct audit_event *ev, const char *base, const char *where)
{
	OWN_STATEMENT struct statement s = STATEMENT_INIT;
	OWN_BUF struct buf txt = BUF_INIT;
	OWN_BUF struct buf sig = BUF_INIT;
	char path[320];
	bool good;

	(void)snprintf(path, sizeof(path), "%s.txt", base);
	reread(w, c->oid, path, &txt, where);
	(void)snprintf(path, sizeof(path), "%s.sig", base);
	reread(w, c->oid, path, &sig, where);
	compare_digest(w, ev, "statement_sha256", &txt, where);
	compare_digest(w, ev, "signature_sha256", &sig, where);
	good = audit_statement(w->a, where, &txt, &sig, w->signers.data ? w->signers.data : "", &s) != SIGN_BAD;
	if (!s.plan)
		return;
	if (strcmp(s.plan, w->plan) != 0)
		audit_say(w->a, AUDIT_ALTERED, "%s: the statement is about plan %s", where, esc_s(s.plan));
	audit_order_voice(w->a, &w->order, ev, &s, good, w->signers.data ? w->signers.data : "");
	for (size_t i = 0; i < s.attachment_count; i++) {
		uint8_t id[DIGEST_LEN];

		if (!hex_parse(s.attachments[i].digest, id, DIGEST_LEN) || !audit_objects_add(w->objects, 'd', id))
			w->a->nomem = true;	/* the statement was parsed: its digests are digests */
	}
}

static int read_history(void *ctx, const char *commit, const char *path, struct buf *b, struct err *e)
{
	struct walk *w = ctx;

	return history_read(w->a->h, commit, path, b, e);
}

/* 1 equal, 0 different, -1. */
static int is_paper(const json_t *paper, struct certificate_options o, const struct buf *found, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (certificate_render(paper, &o, &b, e) < 0)
		return -1;
	return b.len == found->len && (!b.len || memcmp(b.data, found->data, b.len) == 0);
}

/* Made again out of what was recorded before it, a paper must have the same bytes. */
static void derive(struct walk *w, const char *path, const struct buf *found, const char *where)
{
	struct certificate_options o = { .format = CERTIFICATE_TXT };
	struct err e = ERR_INIT;
	bool any;
	json_t *paper;
	int same;

	if (!certificate_name_parse(path, &o, &any)) {
		audit_say(w->a, AUDIT_ALTERED, "%s: a paper of a kind that is not known", where);
		return;
	}
	if (found->data && !strstr(found->data, CERTIFICATE_FORM)) {
		audit_say(w->a, AUDIT_UNVERIFIED, "%s: is not of the form %s; it was not derived again", where, CERTIFICATE_FORM);
		return;
	}
	if (!(paper = certificate_paper(&(struct paper_source){ .plan = w->plan, .records = &w->records, .read = read_history, .ctx = w }, &e))) {
		audit_say(w->a, e.class == ERR_INTEGRITY || e.class == ERR_REFUSED ? AUDIT_ALTERED : AUDIT_UNVERIFIED, "%s: cannot be derived again: %s", where, e.text);
		return;
	}
	same = is_paper(paper, o, found, &e);
	if (same == 0 && any) {
		o.chinese = true;
		same = is_paper(paper, o, found, &e);
	}
	json_decref(paper);
	if (same < 0)
		audit_err(w->a, where, &e);
	else if (same == 0)
		audit_say(w->a, w->chain.gap || w->order.gaps ? AUDIT_UNVERIFIED : AUDIT_ALTERED, "%s: the certificate is not what the ledger says", where);
}

/* The event names each paper with its digest. */
static void compare_listed(struct walk *w, const struct audit_event *ev, const char *path, const struct buf *paper, const char *where)
{
	const char *name = path + strlen("certificates/");
	const char *listed = json_string_value(json_object_get(json_object_get(ev->data, "files"), name));
	uint8_t d[DIGEST_LEN];
	char hex[DIGEST_HEX];
	struct err e = ERR_INIT;

	if (digest_sha256(paper->data ? paper->data : "", paper->len, d, &e) < 0)
		return;
	hex_of(d, DIGEST_LEN, hex);
	if (!listed || strcmp(listed, hex) != 0)
		audit_say(w->a, AUDIT_ALTERED, "%s: %s", where, listed ? "is not what its event says" : "is not named by its event");
}

static void take_certificate(struct walk *w, const struct history_commit *c, const struct audit_event *ev, const char *path, const char *event)
{
	OWN_BUF struct buf paper = BUF_INIT;
	OWN_BUF struct buf sig = BUF_INIT;
	const char *signers = w->signers.data ? w->signers.data : "";
	char name[320], who[128], where[600];
	struct err e = ERR_INIT;
	int r;

	(void)snprintf(where, sizeof(where), "%s: %s", event, esc_s(path));
	reread(w, c->oid, path, &paper, where);
	compare_listed(w, ev, path, &paper, where);
	derive(w, path, &paper, where);
	(void)snprintf(name, sizeof(name), "%s.sig", path);
	r = history_read(w->a->h, c->oid, name, &sig, &e);
	if (r == 0) {
		audit_say(w->a, AUDIT_NOTE, "%s: is not signed", where);
		return;
	}
	r = r < 0 ? r : sign_find_person(signers, sig.data, sig.len, who, &e);
	if (r < 0)
		audit_err(w->a, where, &e);
	else if (r == 0)
		audit_say(w->a, AUDIT_ALTERED, "%s: is signed by nobody of signers", where);
	else
		(void)audit_signature(w->a, where, (struct sign_check){ .person = who, .name_space = SIGN_NS_CERTIFICATE, .data = paper.data,
		    .data_len = paper.len, .sig = sig.data, .sig_len = sig.len }, signers);
}

/* All papers that the event names are there; one that adds none rests on those made since the clearing. */
static void check_certify(struct walk *w, const struct audit_event *ev, size_t papers, const char *where)
{
	size_t named = json_object_size(json_object_get(ev->data, "files"));

	w->papers += papers;
	if (papers < named)
		audit_say(w->a, AUDIT_ALTERED, "%s: names %zu certificates, the commit adds %zu", where, named, papers);
	else if (!w->papers)
		audit_say(w->a, AUDIT_ALTERED, "%s: there is no certificate", where);
	if (strcmp(audit_text(ev->data, "commit"), w->cleared) != 0)
		audit_say(w->a, AUDIT_ALTERED, "%s: certifies commit %s, the clearing was recorded by %s", where,
		    *audit_text(ev->data, "commit") ? esc_s(audit_text(ev->data, "commit")) : "that it does not name", *w->cleared ? w->cleared : "none");
}

/* Files that are signed: those this commit added. */
static void take_signed_files(struct walk *w, const struct history_commit *c, const struct audit_event *ev, const char *where)
{
	size_t approvals = 0, papers = 0;

	for (size_t i = 0; i < c->change_count; i++) {
		const char *path = c->changes[i].path;
		size_t n = strlen(path);
		char base[300];

		if (c->changes[i].how != 'A' || n >= sizeof(base) || n < 5)
			continue;
		if (prefix(path, "approvals/") && strcmp(path + n - 4, ".txt") == 0) {
			(void)snprintf(base, sizeof(base), "%.*s", (int)(n - 4), path);
			if (*audit_text(ev->data, "file") && strcmp(audit_text(ev->data, "file"), base) != 0)
				audit_say(w->a, AUDIT_ALTERED, "%s: the event is about %s, the commit adds %s", where, esc_s(audit_text(ev->data, "file")), esc_s(base));
			take_approval(w, c, ev, base, where);
			approvals++;
		} else if (prefix(path, "certificates/") && strcmp(path + n - 4, ".sig") != 0) {
			take_certificate(w, c, ev, path, where);
			papers++;
		}
	}
	if (strcmp(ev->stage, "approval") == 0 && approvals != 1)
		audit_say(w->a, AUDIT_ALTERED, "%s: adds %zu statements where it should add one", where, approvals);
	if (strcmp(ev->stage, "certify") == 0 && strcmp(ev->state, "done") == 0)
		check_certify(w, ev, papers, where);
}

/* ---- one commit ---- */

/* Evidence that was attached lies in the archive, by its digest. */
static void take_attached(struct walk *w, const struct audit_event *ev, const char *where)
{
	uint8_t id[DIGEST_LEN];
	json_t *a;
	size_t i;

	json_array_foreach(json_object_get(ev->data, "attached"), i, a) {
		if (!hex_parse(audit_text(a, "sha256"), id, DIGEST_LEN))
			audit_say(w->a, AUDIT_ALTERED, "%s: attachment %zu has no digest", where, i + 1);
		else if (!audit_objects_add(w->objects, 'd', id))
			w->a->nomem = true;
	}
}

/* A record for the papers to come. */
static void remember(struct walk *w, const struct history_commit *c, const struct audit_event *ev)
{
	struct ledger_event l = { .seq = ev->seq, .stage = ev->stage, .state = ev->state, .by = ev->by, .at = ev->at, .plan_digest = ev->plan_digest };
	struct err e = ERR_INIT;

	memcpy(l.commit, c->oid, sizeof(l.commit));
	memcpy(l.digest, ev->digest, sizeof(l.digest));
	w->a->nomem |= records_add(&w->records, &l, ev->data, &e) < 0;
}

static void check_event(struct walk *w, const struct history_commit *c, const struct audit_event *ev, const char *where)
{
	int64_t at;

	audit_chain_step(w->a, &w->chain, ev, where);
	if (ev->plan && strcmp(ev->plan, w->plan) != 0)
		audit_say(w->a, AUDIT_ALTERED, "%s: belongs to plan %s", where, esc_s(ev->plan));
	check_message(w, c, ev, where);
	check_changes(w, c, ev, where);
	if (strcmp(ev->stage, "plan") == 0 && strcmp(ev->state, "abandoned") != 0)
		take_plan(w, c, where);
	if (strcmp(ev->plan_digest, w->digest) != 0)
		audit_say(w->a, AUDIT_ALTERED, "%s: plan_digest is not the digest of plan.sha256", where);
	check_commit_signature(w, c, ev, where);
	take_signed_files(w, c, ev, where);
	remember(w, c, ev);
	if (strcmp(ev->stage, "record") == 0)
		take_attached(w, ev, where);
	if (strcmp(ev->state, "version") == 0) {
		char key[200];

		audit_version_check(w->a, w->plan, c->oid, ev, w->objects);
		(void)snprintf(key, sizeof(key), "%s/%s/%" PRIu64, w->plan, audit_text(ev->data, "dataset"), audit_number(ev->data, "version"));
		(void)json_object_set_new(w->versions, key, json_string(c->oid));
	}
	if (strcmp(ev->stage, "clear") == 0 && strcmp(ev->state, "done") == 0) {
		memcpy(w->cleared, c->oid, sizeof(w->cleared));
		w->papers = 0;
	}
	audit_order_event(w->a, &w->order, ev);
	if (!clock_parse(ev->at, NULL, &at))
		audit_say(w->a, AUDIT_ALTERED, "%s: at is no time", where);
	else if (at < w->last_at)
		audit_say(w->a, AUDIT_NOTE, "%s: is dated before the event that precedes it; a clock was wrong", where);
	else
		w->last_at = at;
}

static const char *added_event(const struct history_commit *c, size_t *n)
{
	const char *path = NULL;

	*n = 0;
	for (size_t i = 0; i < c->change_count; i++)
		if (prefix(c->changes[i].path, "events/") && c->changes[i].how == 'A') {
			path = c->changes[i].path;
			(*n)++;
		}
	return path;
}

static int one_commit(void *ctx, const struct history_commit *c)
{
	struct walk *w = ctx;
	OWN_AUDIT_EVENT struct audit_event ev = { .seq = 0 };
	OWN_BUF struct buf text = BUF_INIT;
	char where[200], name[256];
	struct err e = ERR_INIT;
	size_t n;
	const char *path = added_event(c, &n);

	w->a->r->commits++;
	memcpy(w->head, c->oid, sizeof(w->head));
	(void)json_object_set_new(w->seen, c->oid, json_true());
	(void)snprintf(where, sizeof(where), "plan %s, commit %.12s", w->plan, c->oid);
	if (c->parents > 1)
		audit_say(w->a, AUDIT_ALTERED, "%s: is a merge", where);
	if (n != 1) {
		audit_say(w->a, AUDIT_ALTERED, "%s: adds %zu event files where every commit adds one", where, n);
		return 0;
	}
	(void)snprintf(where, sizeof(where), "plan %s, %s", w->plan, esc_s(path));
	if (history_read(w->a->h, c->oid, path, &text, &e) != 1) {
		audit_err(w->a, where, &e);
		w->chain.gap = e.class != ERR_INTEGRITY;
		w->order.gaps |= w->chain.gap;
		return 0;
	}
	if (audit_event_parse(text.data, text.len, &ev, &e) < 0) {
		audit_say(w->a, AUDIT_ALTERED, "%s: %s", where, e.text);
		return 0;
	}
	audit_event_name(&ev, name);
	if (strcmp(name, path) != 0)
		audit_say(w->a, AUDIT_ALTERED, "%s: its name does not agree with its content", where);
	check_event(w, c, &ev, where);
	return 0;
}

/* ---- one plan ---- */

/*
 * The next version of a dataset, whose commit is not in the history: its tag is set first, so a run was cut just there, or goes on while
 * we look.
 */
static bool is_begun(const struct walk *w, const char *name, const char *oid)
{
	const char *dataset = strchr(name, '/') + 1, *number = strrchr(name, '/') + 1;
	uint64_t newest = 0;
	char next[24];

	for (size_t i = 0; i < w->order.version_count; i++)
		if (strlen(w->order.versions[i].dataset) == (size_t)(number - 1 - dataset) &&
		    memcmp(w->order.versions[i].dataset, dataset, (size_t)(number - 1 - dataset)) == 0)
			newest = w->order.versions[i].version;
	(void)snprintf(next, sizeof(next), "%" PRIu64, newest + 1);
	return dataset < number && strcmp(number, next) == 0 && !json_object_get(w->seen, oid);
}

static int one_tag(void *ctx, const char *name, const char *oid)
{
	struct walk *w = ctx;
	const char *want = json_string_value(json_object_get(w->versions, name));

	if (!want && is_begun(w, name, oid))
		audit_say(w->a, AUDIT_NOTE, "tag %s: a version that was begun and is not recorded", esc_s(name));
	else if (!want)
		audit_say(w->a, AUDIT_ALTERED, "tag %s: no version of the plan is called so", esc_s(name));
	else if (strcmp(want, oid) != 0)
		audit_say(w->a, AUDIT_ALTERED, "tag %s: names commit %.12s, the version was recorded by %.12s", esc_s(name), oid, want);
	(void)json_object_del(w->versions, name);
	return 0;
}

static void check_tags(struct walk *w)
{
	struct err e = ERR_INIT;
	const char *name;
	json_t *oid;

	if (history_tags(w->a->h, w->plan, one_tag, w, &e) < 0)
		audit_err(w->a, "tags", &e);
	json_object_foreach(w->versions, name, oid)
		audit_say(w->a, AUDIT_UNVERIFIED, "tag %s is missing; git fetch --tags brings it along", esc_s(name));
}

struct plans { struct audit *a; struct audit_objects objects; size_t n; bool expected; json_t *names; };

static void one_walk(struct plans *p, const char *plan)
{
	OWN(walk_dispose) struct walk w = { .a = p->a, .plan = plan, .objects = &p->objects, .signers = BUF_INIT, .plan_sha256 = BUF_INIT,
		.versions = json_object(), .seen = json_object() };
	struct err e = ERR_INIT;
	char where[128];

	(void)snprintf(where, sizeof(where), "plan %s", esc_s(plan));
	if (history_walk(p->a->h, plan, one_commit, &w, &e) < 0) {
		audit_err(p->a, where, &e);
		return;
	}
	check_tags(&w);
	if (w.unsigned_commits)
		audit_say(p->a, AUDIT_NOTE, "%s: %" PRIu64 " commits carry no signature", where, w.unsigned_commits);
	if (w.foreign_commits)
		audit_say(p->a, AUDIT_NOTE, "%s: %" PRIu64 " commits are signed by somebody who is not among the people of the plan", where, w.foreign_commits);
	if (w.order.clear_started && !w.order.clear_done)
		audit_say(p->a, AUDIT_NOTE, "%s: a clearing was started and is not recorded as done", where);
	audit_say(p->a, AUDIT_NOTE, "%s: %" PRIu64 " events, head %s", where, w.chain.seq, w.head);
}

/* A workspace knows the heads that it wrote itself: of its own ledger a cut tail shows without --expect. */
static void check_remembered(struct plans *p, const char *plan)
{
	struct err e = ERR_INIT;
	char commit[65] = "";
	int r;

	if (!p->a->o->remembered || p->a->o->remembered(p->a->o->ctx, plan, commit) != 1)
		return;
	if ((r = history_contains(p->a->h, plan, commit, &e)) < 0)
		audit_err(p->a, "the head that the workspace remembers", &e);
	else if (r == 0)
		audit_say(p->a, AUDIT_ALTERED, "plan %s: the workspace remembers head %s, which is not in the history: it was rewritten or its tail cut",
		    esc_s(plan), esc_s(commit));
}

static int one_plan(void *ctx, const char *plan)
{
	struct plans *p = ctx;
	struct err e = ERR_INIT;

	if (p->a->o->plan && strcmp(p->a->o->plan, plan) != 0)
		return 0;
	p->n++;
	(void)json_object_set_new(p->names, plan, json_true());
	one_walk(p, plan);
	check_remembered(p, plan);
	if (p->a->o->expect) {
		int r = history_contains(p->a->h, plan, p->a->o->expect, &e);

		if (r < 0)
			audit_err(p->a, "--expect", &e);
		p->expected |= r == 1;
	}
	return 0;
}

/* A version whose plan has no branch: the branch was taken away. */
static int orphan_tag(void *ctx, const char *name, const char *oid)
{
	struct plans *p = ctx;
	OWN_FREE char *plan = strndup(name, strcspn(name, "/"));

	(void)oid;
	if (!plan || *plan == '_' || json_object_get(p->names, plan) || json_object_set_new(p->names, plan, json_true()) < 0)
		return 0;
	audit_say(p->a, AUDIT_ALTERED, "plan %s: there are versions of it (tag %s), but its branch is gone", esc_s(plan), esc_s(name));
	return 0;
}

/* Plans that the workspace wrote itself and that are no longer there. */
static int remembered_plan(void *ctx, const char *plan)
{
	struct plans *p = ctx;

	if (!json_object_get(p->names, plan))
		audit_say(p->a, AUDIT_ALTERED, "plan %s: the workspace remembers it, but its branch is gone", esc_s(plan));
	return 0;
}

static void check_gone(struct plans *p)
{
	struct err e = ERR_INIT;

	if (p->a->o->plan)
		return;
	if (p->a->o->each_remembered)
		p->a->o->each_remembered(p->a->o->ctx, remembered_plan, p);
	if (history_tags(p->a->h, NULL, orphan_tag, p, &e) < 0)
		audit_err(p->a, "tags", &e);
}

void audit_ledger(struct audit *a)
{
	OWN(audit_objects_dispose) struct audit_objects objects = { NULL, 0, 0 };
	struct plans p = { .a = a, .names = json_object() };
	struct err e = ERR_INIT;

	if (history_plans(a->h, one_plan, &p, &e) < 0)
		audit_err(a, "branches", &e);
	objects = p.objects;
	check_gone(&p);
	json_decref(p.names);
	if (!p.n)
		audit_say(a, AUDIT_UNVERIFIED, a->o->plan ? "there is no plan of that name in the ledger" : "there is no plan in the ledger");
	if (a->o->expect && !p.expected)
		audit_say(a, AUDIT_ALTERED, "commit %s is in the history of no plan: the history was rewritten or its tail cut", a->o->expect);
	if (!a->o->expect)
		audit_say(a, AUDIT_NOTE, "no --expect: a tail cut off the history cannot be seen; give a head printed on an earlier paper");
	if (a->o->store)
		audit_store(a, a->o->store, &objects);
	else
		audit_say(a, AUDIT_NOTE, "the archive was not looked at");
}
