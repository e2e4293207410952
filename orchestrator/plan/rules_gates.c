/*
 * Can the people listed ever open the gates?  A gate wants a key of its own for each mention of a party: a matching of
 * mentions to distinct keys of people who are not operators.
 */
#include <string.h>

#include "rules.h"
#include "words.h"

#define SLOTS_MAX 64

struct matching {
	const struct plan *p;
	const char *party[SLOTS_MAX];	/* of each slot */
	size_t nslots;
	int taken[SLOTS_MAX];		/* person chosen for a slot, or -1 */
};

static bool same_key(const struct plan_person *a, const struct plan_person *b)
{
	return a == b || (a->key_line && b->key_line && strcmp(a->key_line, b->key_line) == 0);
}

/* A person whose key could not be read counts as one with a key of his own: that key's fault stands already. */
static bool may_sign(const struct plan *p, const struct plan_person *who, const char *party)
{
	return who->party && strcmp(who->party, party) == 0 && !plan_is_operator(p, who->key);
}

/* Slot that holds that person's key, or -1. */
static int holder(const struct matching *m, const struct plan_person *who)
{
	for (size_t i = 0; i < m->nslots; i++)
		if (m->taken[i] >= 0 && same_key(&m->p->people[m->taken[i]], who))
			return (int)i;
	return -1;
}

/* Augmenting path from slot; visited marks the slots already on it. */
static bool place(struct matching *m, size_t slot, bool visited[SLOTS_MAX])
{
	for (size_t i = 0; i < m->p->npeople; i++) {
		const struct plan_person *who = &m->p->people[i];
		int other;

		if (!may_sign(m->p, who, m->party[slot]))
			continue;
		other = holder(m, who);
		if (other >= 0 && visited[other])
			continue;
		if (other >= 0) {
			visited[other] = true;
			if (!place(m, (size_t)other, visited))
				continue;
		}
		m->taken[slot] = (int)i;
		return true;
	}
	return false;
}

/* Number of slots that can be filled at once; *missing is a party that cannot. */
static size_t fill(struct matching *m, const char **missing)
{
	size_t filled = 0;

	for (size_t i = 0; i < m->nslots; i++)
		m->taken[i] = -1;
	for (size_t i = 0; i < m->nslots; i++) {
		bool visited[SLOTS_MAX] = { false };

		visited[i] = true;
		if (place(m, i, visited))
			filled++;
		else
			*missing = m->party[i];
	}
	return filled;
}

static size_t count_able(const struct plan *p, const char *party)
{
	size_t n = 0;

	for (size_t i = 0; i < p->npeople; i++) {
		bool fresh = may_sign(p, &p->people[i], party);

		for (size_t k = 0; k < i && fresh; k++)
			fresh = !(may_sign(p, &p->people[k], party) && same_key(&p->people[i], &p->people[k]));
		n += fresh;
	}
	return n;
}

static void check_gate(struct reader *r, enum plan_stage stage)
{
	const struct plan_gate *g = &r->plan->gates[stage];
	const struct ynode *at = reader_mark_of(r, g);
	struct matching m = { .p = r->plan };
	const char *missing = "";
	size_t wanted = 0;

	if (!at || g->approve.n == 0)
		return;
	if (g->approve.n > SLOTS_MAX) {
		key_fault(r, at, NULL, "a gate may ask for at most %d approvals", SLOTS_MAX);
		return;
	}
	for (size_t i = 0; i < g->approve.n; i++) {
		if (!plan_party(r->plan, g->approve.v[i]))
			return;		/* already named as dangling */
		m.party[m.nslots++] = g->approve.v[i];
	}
	if (fill(&m, &missing) == m.nslots)
		return;
	for (size_t i = 0; i < m.nslots; i++)
		wanted += strcmp(m.party[i], missing) == 0;
	key_fault(r, at, "add people of that party under people:, each with a key of his own; operators do not count",
	    "the gate at %s can never open: it wants %zu of \"%s\" and %zu can sign%s", plan_stage_name(stage), wanted,
	    missing, count_able(r->plan, missing),
	    count_able(r->plan, missing) >= wanted ? " without sharing a key with another party" : "");
}

static size_t department_approvals(const struct plan *p)
{
	const struct plan_gate *g = &p->gates[STAGE_CLEAR];
	size_t n = 0;

	for (size_t i = 0; i < g->approve.n; i++) {
		const struct plan_party *party = plan_party(p, g->approve.v[i]);

		n += party && party->role == ROLE_DEPARTMENT;
	}
	return n;
}

static void check_clear_gate(struct reader *r, const struct ynode *root)
{
	const struct plan *p = r->plan;
	const struct ynode *gates = yaml_get(root, "gates"), *gate = yaml_get(gates, "clear"), *at;

	if (p->kind != PLAN_RETIREMENT && plan_stage_index(p, STAGE_CLEAR) < 0)
		return;
	if (department_approvals(p) >= 2)
		return;
	at = gate ? gate : gates ? gates : yaml_get(root, "kind");
	if (at)
		key_fault(r, at, "gates: {clear: {approve: [department, department]}}",
		    "clearing needs two approvals of the department at the gate \"clear\"");
}

/* Only a person of the receiving party can accept. */
static void check_receiver(struct reader *r, const struct ynode *root)
{
	const struct plan *p = r->plan;
	const struct ynode *people = yaml_get(root, "people"), *at = people ? people : yaml_get(root, "kind");

	if (p->kind != PLAN_HANDOVER && plan_stage_index(p, STAGE_ACCEPT) < 0)
		return;
	for (size_t i = 0; i < p->npeople; i++) {
		const struct plan_party *party = p->people[i].party ? plan_party(p, p->people[i].party) : NULL;

		if (party && party->role == ROLE_RECEIVER && !plan_is_operator(p, p->people[i].key))
			return;
	}
	if (at)
		key_fault(r, at, "add a party with role: receiver and a person of it with a key",
		    "nobody can accept this handover: no person of a party with role receiver%s",
		    p->has_operators ? " (operators do not count)" : "");
}

void rules_gates(struct reader *r, const struct ynode *root)
{
	for (int s = 0; s < STAGE_COUNT; s++)
		check_gate(r, (enum plan_stage)s);
	check_clear_gate(r, root);
	check_receiver(r, root);
}
