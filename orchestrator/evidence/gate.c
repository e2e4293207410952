/* Judging the approvals of one stage. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "approval.h"
#include "clock.h"
#include "esc.h"
#include "sign.h"

const char *approval_state_name(enum approval_state s)
{
	static const char *const names[] = { "stands", "refused", "withdrawn", "superseded", "fallen", "barred", "unchecked" };

	return names[s];
}

void gate_dispose(struct gate *g)
{
	for (size_t i = 0; i < g->approval_count; i++) {
		struct approval *a = &g->approvals[i];

		free(a->stage);
		free(a->person);
		free(a->party);
		free(a->why);
		free(a->reason);
	}
	for (size_t i = 0; i < g->missing_count; i++) {
		free(g->missing[i].party);
		free(g->missing[i].people);
		free(g->missing[i].command);
	}
	free(g->approvals);
	free(g->missing);
	*g = (struct gate)GATE_INIT;
}

static int judge(struct approval *a, enum approval_state s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int judge(struct approval *a, enum approval_state s, const char *fmt, ...)
{
	va_list ap;

	a->state = s;
	free(a->why);
	a->why = NULL;
	if (!fmt)
		return 0;
	va_start(ap, fmt);
	if (vasprintf(&a->why, fmt, ap) < 0)
		a->why = NULL;
	va_end(ap);
	return a->why ? 0 : -1;
}

/* ---- one statement ---- */

static enum sign_result check_signature(const struct plan_person *who, const struct statement *s, const struct approval_file *f, char why[256])
{
	OWN_BUF struct buf signers = BUF_INIT;
	struct sign_check c = { .person = s->person, .name_space = s->name_space, .data = f->txt.data, .data_len = f->txt.len,
		.sig = f->sig.data, .sig_len = f->sig.len };

	sign_put_signer(&signers, who->key, who->key_line);
	if (signers.failed || !signers.len) {
		(void)snprintf(why, 256, "the plan's key of %s cannot be read", who->key);
		return SIGN_UNCHECKED;
	}
	c.signers = signers.data;
	return sign_verify(&c, why);
}

/* Who speaks, and is it really them?  *spoke: their signature is good (or could not be checked), so it replaces what they said before. */
static int judge_person(const struct plan *p, const struct approval_file *f, const struct statement *s, struct approval *a, bool *spoke)
{
	const struct plan_person *who = plan_person(p, f->person);
	char why[256];
	enum sign_result r;

	if (strcmp(s->person, f->person) != 0 || strcmp(s->stage, f->stage) != 0 || strcmp(s->plan, p->name) != 0)
		return judge(a, APPROVAL_FALLEN, "the statement is by %s for %s of plan %s", esc_s(s->person), esc_s(s->stage), esc_s(s->plan));
	if (!who || !who->key_line)
		return judge(a, APPROVAL_FALLEN, "%s is no person of the plan with a key", esc_s(f->person));
	if (strcmp(who->party, s->party) != 0)
		return judge(a, APPROVAL_FALLEN, "signed for party %s, the plan says %s", esc_s(s->party), who->party);
	r = check_signature(who, s, f, why);
	*spoke = r != SIGN_BAD;
	if (r == SIGN_UNCHECKED)
		return judge(a, APPROVAL_UNCHECKED, "%s", why);
	if (r == SIGN_BAD)
		return judge(a, APPROVAL_FALLEN, "the signature is bad: %s", why);
	return judge(a, APPROVAL_STANDS, NULL);
}

static int judge_content(const struct plan *p, const struct statement *s, const char *basis, int64_t now, struct approval *a)
{
	char why[256], t[CLOCK_TEXT];

	if (s->says == SAYS_WITHDRAW)
		return judge(a, APPROVAL_WITHDRAWN, NULL);
	if (statement_basis_differs(s->basis, basis, why)) {
		a->amended = strncmp(why, "plan-digest ", 12) == 0;
		return judge(a, APPROVAL_FALLEN, "what it signs has changed: %s", why);
	}
	if (s->says == SAYS_REFUSE)
		return judge(a, APPROVAL_REFUSED, NULL);
	if (s->not_after && now > s->not_after)
		return judge(a, APPROVAL_FALLEN, "it was good until %s", clock_text(s->not_after, p->timezone, t));
	if (s->not_before && now < s->not_before)
		return judge(a, APPROVAL_FALLEN, "it is good from %s only", clock_text(s->not_before, p->timezone, t));
	return 0;
}

static int judge_file(const struct plan *p, const struct approval_file *f, const char *basis, int64_t now, struct approval *a)
{
	OWN_STATEMENT struct statement s = STATEMENT_INIT;
	const struct plan_person *who = plan_person(p, f->person);
	struct err e = ERR_INIT;

	a->number = f->number;
	a->stage = strdup(f->stage);
	a->person = strdup(f->person);
	a->party = strdup(who ? who->party : "");
	if (!a->stage || !a->person || !a->party)
		return -1;
	if (statement_parse(f->txt.data, f->txt.len, &s, &e) < 0)
		return judge(a, APPROVAL_FALLEN, "%s", e.text);
	a->at = s.at;
	a->says = s.says;
	if (s.reason && !(a->reason = strdup(s.reason)))
		return -1;
	if (judge_person(p, f, &s, a, &a->spoke) < 0)
		return -1;
	return a->state == APPROVAL_STANDS ? judge_content(p, &s, basis, now, a) : 0;
}

/* The last word of each person counts; what they said before does not. */
static int supersede(struct gate *g, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		struct approval *old = &g->approvals[k];

		if (strcmp(old->person, g->approvals[i].person) == 0 && old->state != APPROVAL_SUPERSEDED &&
		    judge(old, APPROVAL_SUPERSEDED, "by number %04u", g->approvals[i].number) < 0)
			return -1;
	}
	return 0;
}

/* ---- counting ---- */

struct need { const char *party; bool receiver; bool met; };	/* receiver: any party of that role */
struct needs { struct need *v; size_t n; };
static void needs_dispose(struct needs *n) { free(n->v); }

static bool any_receiver(const struct plan *p, const struct plan_strings *parties)
{
	for (size_t i = 0; i < parties->n; i++) {
		const struct plan_party *q = plan_party(p, parties->v[i]);

		if (q && q->role == ROLE_RECEIVER)
			return true;
	}
	return false;
}

static bool stage_gate(const struct plan *p, const char *stage, const struct plan_strings **parties, bool *receiver)
{
	enum plan_stage s;

	if (!plan_stage_parse(stage, &s))
		return false;
	*parties = &p->gates[s].approve;
	*receiver = s == STAGE_ACCEPT && !any_receiver(p, *parties);
	return (*parties)->n > 0 || *receiver;
}

bool gate_exists(const struct plan *p, const char *stage)
{
	const struct plan_strings *parties;
	bool receiver;

	return stage_gate(p, stage, &parties, &receiver);
}

static int list_needs(const struct plan *p, const char *stage, struct needs *out, struct err *e)
{
	const struct plan_strings *parties = NULL;
	bool receiver = false;

	if (!stage_gate(p, stage, &parties, &receiver))
		return 0;
	if (!(out->v = calloc(parties->n + 1, sizeof(*out->v))))
		return err_sys(e, "gate");
	for (size_t i = 0; i < parties->n; i++)
		out->v[out->n++].party = parties->v[i];
	if (receiver)
		out->v[out->n++].receiver = true;
	return 0;
}

static bool need_fits(const struct plan *p, const struct need *n, const char *party)
{
	const struct plan_party *q = plan_party(p, party);

	return n->receiver ? q && q->role == ROLE_RECEIVER : strcmp(n->party, party) == 0;
}

static bool gate_wants(const struct plan *p, const struct needs *n, const char *party)
{
	for (size_t i = 0; i < n->n; i++)
		if (need_fits(p, &n->v[i], party))
			return true;
	return false;
}

bool gate_counts(const struct plan *p, const char *stage, const char *person)
{
	const struct plan_person *who = plan_person(p, person);
	struct needs n = { .v = NULL };
	struct err ignored = ERR_INIT;
	bool counts;

	if (!who || plan_is_operator(p, person) || list_needs(p, stage, &n, &ignored) < 0)
		return false;
	counts = gate_wants(p, &n, who->party);
	free(n.v);
	return counts;
}

static const char *key_of(const struct plan *p, const char *person)
{
	const struct plan_person *who = plan_person(p, person);

	return who && who->key_line ? who->key_line : "";
}

/* Somebody whose voice already counts and who has this key; NULL if nobody. */
static const struct approval *same_key_before(const struct plan *p, const struct gate *g, size_t i, const char *person)
{
	for (size_t k = 0; k < i; k++)
		if (g->approvals[k].state == APPROVAL_STANDS && strcmp(g->approvals[k].person, person) != 0 &&
		    sign_same_key(key_of(p, g->approvals[k].person), key_of(p, person)))
			return &g->approvals[k];
	return NULL;
}

static int bar(const struct plan *p, const struct needs *n, struct gate *g, size_t i)
{
	struct approval *a = &g->approvals[i];
	const struct approval *twin;

	if (a->state != APPROVAL_STANDS)
		return 0;
	if (plan_is_operator(p, a->person))
		return judge(a, APPROVAL_BARRED, "an operator of the plan opens none of its gates");
	if (!gate_wants(p, n, a->party))
		return judge(a, APPROVAL_BARRED, "party %s is not asked at this gate", a->party);
	if ((twin = same_key_before(p, g, i, a->person)))
		return judge(a, APPROVAL_BARRED, "has the same key as %s", twin->person);
	return 0;
}

static void meet(const struct plan *p, struct needs *n, const struct approval *a)
{
	/* named parties first: a receiver's voice may serve either */
	for (size_t i = 0; i < n->n; i++) {
		if (!n->v[i].met && need_fits(p, &n->v[i], a->party)) {
			n->v[i].met = true;
			return;
		}
	}
}

static bool is_candidate(const struct plan *p, const struct need *n, const struct gate *g, const struct plan_person *who)
{
	if (!who->key_line || !need_fits(p, n, who->party) || plan_is_operator(p, who->key))
		return false;
	for (size_t i = 0; i < g->approval_count; i++)
		if (g->approvals[i].state == APPROVAL_STANDS && strcmp(g->approvals[i].person, who->key) == 0)
			return false;
	return same_key_before(p, g, g->approval_count, who->key) == NULL;
}

/* Is there another candidate before i with the same key?  Only one of the two could ever count. */
static bool named_before(const struct plan *p, const struct need *n, const struct gate *g, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (is_candidate(p, n, g, &p->people[k]) && sign_same_key(p->people[k].key_line, p->people[i].key_line))
			return true;
	return false;
}

static int put_command(struct buf *b, const struct plan *p, const char *stage, const char *person)
{
	if (!*person)
		person = "PERSON";
	if (strcmp(stage, "accept") == 0)
		buf_printf(b, "waybill accept PACKAGE --as %s --key KEYFILE --to ANSWER; then: waybill accept %s --import ANSWER", person, p->name);
	else
		buf_printf(b, "waybill approve %s %s --as %s --key KEYFILE", p->name, stage, person);
	return b->failed ? -1 : 0;
}

static int add_missing(const struct plan *p, const struct need *n, const char *stage, struct gate *g)
{
	struct approval_missing *v = realloc(g->missing, (g->missing_count + 1) * sizeof(*v));
	OWN_BUF struct buf people = BUF_INIT;
	OWN_BUF struct buf command = BUF_INIT;
	const char *first = "";
	size_t before = 0;		/* voices missing of the same party: each command names somebody else */

	if (!v)
		return -1;
	g->missing = v;
	for (size_t i = 0; i < g->missing_count; i++)
		before += strcmp(v[i].party, n->receiver ? "receiver" : n->party) == 0;
	v += g->missing_count;
	for (size_t i = 0; i < p->npeople; i++) {
		if (!is_candidate(p, n, g, &p->people[i]))
			continue;
		if (!*first || (before && !named_before(p, n, g, i))) {
			before -= *first != '\0';
			first = p->people[i].key;
		}
		buf_printf(&people, "%s%s", people.len ? ", " : "", p->people[i].key);
	}
	if (people.failed || put_command(&command, p, stage, first) < 0)
		return -1;
	v->party = strdup(n->receiver ? "receiver" : n->party);
	v->people = people.len ? buf_take(&people) : strdup("");
	v->command = buf_take(&command);
	g->missing_count++;
	return v->party && v->people && v->command ? 0 : -1;
}

/* Does the gate hear this refusal: someone of an asked party, no operator? */
static bool refusal_counts(const struct plan *p, const struct needs *n, const struct approval *a)
{
	return a->state == APPROVAL_REFUSED && !plan_is_operator(p, a->person) && gate_wants(p, n, a->party);
}

static int count(const struct plan *p, const char *stage, struct needs *n, struct gate *g)
{
	bool all = true;

	for (size_t i = 0; i < g->approval_count; i++) {
		if (bar(p, n, g, i) < 0)
			return -1;
		if (g->approvals[i].state == APPROVAL_STANDS)
			meet(p, n, &g->approvals[i]);
		g->fallen |= g->approvals[i].state == APPROVAL_FALLEN && !g->approvals[i].amended;
		g->refused |= refusal_counts(p, n, &g->approvals[i]);
	}
	for (size_t i = 0; i < n->n; i++) {
		if (n->v[i].met)
			continue;
		all = false;
		if (add_missing(p, &n->v[i], stage, g) < 0)
			return -1;
	}
	g->open = all && !g->refused;
	return 0;
}

static bool same_text(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

/* Signed before that person said no, or the very text that they took back: whoever brings it again speaks for nobody. */
static bool is_old_word(const struct gate *g, const struct approval_file *const *files, size_t i)
{
	const struct approval *a = &g->approvals[i], *no = NULL;
	bool repeated = false;

	for (size_t k = 0; k < i; k++) {
		const struct approval *b = &g->approvals[k];

		if (!b->spoke || strcmp(b->person, a->person) != 0)
			continue;
		repeated |= same_text(&files[k]->txt, &files[i]->txt);
		if (b->says != SAYS_APPROVE)
			no = b;
	}
	return no && a->says == SAYS_APPROVE && (a->at < no->at || repeated);
}

static int judge_all(const struct plan *p, const struct statement_facts *f, const char *basis, const struct approval_files *files, int64_t now, struct gate *g)
{
	OWN_FREE const struct approval_file **said = calloc(files->n + 1, sizeof(*said));

	if (!said || !(g->approvals = calloc(files->n ? files->n : 1, sizeof(*g->approvals))))
		return -1;
	for (size_t i = 0; i < files->n; i++) {
		size_t k = g->approval_count;
		struct approval *a = &g->approvals[k];

		if (strcmp(files->v[i].stage, f->stage) != 0)
			continue;
		said[g->approval_count++] = &files->v[i];
		if (judge_file(p, &files->v[i], basis, now, a) < 0)
			return -1;
		if (a->spoke && is_old_word(g, said, k)) {
			a->spoke = false;
			if (judge(a, APPROVAL_FALLEN, "it was signed before %s took it back", a->person) < 0)
				return -1;
		}
		if (a->spoke && supersede(g, k) < 0)
			return -1;
	}
	return 0;
}

int gate_evaluate(const struct plan *p, const struct statement_facts *now_facts, const struct approval_files *files, int64_t now,
    struct gate *g, struct err *e)
{
	OWN(needs_dispose) struct needs needs = { NULL, 0 };
	OWN_BUF struct buf basis = BUF_INIT;

	*g = (struct gate)GATE_INIT;
	if (list_needs(p, now_facts->stage, &needs, e) < 0 || statement_basis(now_facts, &basis, e) < 0)
		return -1;
	if (judge_all(p, now_facts, basis.data, files, now, g) < 0 || count(p, now_facts->stage, &needs, g) < 0) {
		gate_dispose(g);
		return err_set(e, ERR_TEMPORARY, "gate %s: out of memory", now_facts->stage);
	}
	return 0;
}

void gate_text(const struct gate *g, struct buf *b)
{
	for (size_t i = 0; i < g->approval_count; i++) {
		const struct approval *a = &g->approvals[i];

		if (a->state == APPROVAL_REFUSED) {
			buf_printf(b, "%s%s (%s) refuses", b->len ? "; " : "", a->person, a->party);
			if (a->reason) {
				buf_puts(b, ": ");
				esc_put(b, a->reason, strlen(a->reason));
			}
		} else if (a->state == APPROVAL_FALLEN || a->state == APPROVAL_BARRED || a->state == APPROVAL_UNCHECKED) {
			buf_printf(b, "%s%s's word does not count (%s)", b->len ? "; " : "", a->person, a->why ? a->why : approval_state_name(a->state));
		}
	}
	for (size_t i = 0; i < g->missing_count; i++)
		buf_printf(b, "%swaits for %s (%s): %s", b->len ? "; " : "", g->missing[i].party,
		    *g->missing[i].people ? g->missing[i].people : "nobody left in the plan", g->missing[i].command);
}

/* ---- before recording ---- */

int approval_check(const struct plan *p, const struct statement_facts *now_facts, const void *txt, size_t n, const char *sig, size_t sig_len,
    int64_t now, struct statement *out, struct err *e)
{
	OWN_BUF struct buf basis = BUF_INIT;
	struct approval_file f = { .stage = (char *)(uintptr_t)now_facts->stage };
	struct approval a = { .state = APPROVAL_STANDS };
	bool spoke = false;
	int rc = -1;

	if (statement_parse(txt, n, out, e) < 0 || statement_basis(now_facts, &basis, e) < 0) {
		e->class = e->class == ERR_INTEGRITY ? ERR_REFUSED : e->class;
		return -1;
	}
	f.person = out->person;		/* borrowed, as txt and sig are */
	f.txt = (struct buf){ .data = (char *)(uintptr_t)txt, .len = n };
	f.sig = (struct buf){ .data = (char *)(uintptr_t)sig, .len = sig_len };
	if (plan_is_operator(p, out->person))
		err_set(e, ERR_REFUSED, "%s is an operator of plan %s and can open none of its gates", esc_s(out->person), p->name);
	else if (judge_person(p, &f, out, &a, &spoke) < 0 ||
	    (a.state == APPROVAL_STANDS && judge_content(p, out, basis.data, now, &a) < 0))
		err_set(e, ERR_TEMPORARY, "approval: out of memory");
	else if (a.state == APPROVAL_UNCHECKED)
		err_set(e, ERR_UNVERIFIED, "approval of %s: %s", esc_s(out->person), a.why);
	else if (a.state == APPROVAL_FALLEN)
		err_set(e, ERR_REFUSED, "approval of %s: %s; write a new one with --request", esc_s(out->person), a.why);
	else
		rc = 0;
	free(a.why);
	if (rc < 0)
		statement_dispose(out);
	return rc;
}
