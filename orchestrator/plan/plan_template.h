/*
 * plan_template - the text that `waybill new` prints: a commented plan of a kind, ready to run when the people it
 * needs are given, else with every line to fill in marked so that `waybill check` names it.
 */
#ifndef PLAN_TEMPLATE_H
#define PLAN_TEMPLATE_H

#include "plan.h"

struct plan_template_person { const char *name, *party, *key_line; };

struct plan_template {
	enum plan_kind kind;
	const char *from, *to;		/* "HOST:/PATH"; to may be NULL */
	const struct plan_template_person *people;
	size_t npeople;
};

/* ERR_USAGE: from, to or a person is no such thing.  Hosts other than local become entries with ssh: NAME. */
int plan_template(const struct plan_template *t, struct buf *out, struct err *e) MUST_CHECK;

#endif
