/*
 * survey_form - the survey of a plan's hosts as a paper (form D2, 系统现状调研表) and the list of what a target lacks.
 *
 * A survey is {"hosts": {HOST: {SECTION: {NAME: value}}}, "pairs": [[FROM, TO], ...]}: the data of event `survey recorded`.
 */
#ifndef SURVEY_FORM_H
#define SURVEY_FORM_H

#include <jansson.h>

#include "buf.h"
#include "ledger.h"
#include "plan.h"

/* Is it one of the sections that an agent may tell? */
bool survey_is_section(const char *s, size_t n);

/* [[FROM, TO], ...] of the plan's datasets, each pair of two hosts once; new reference, NULL when memory is short. */
json_t *survey_pairs(const struct plan *p);

/* The newest survey in the ledger, new reference; NULL in *out when there is none.  0, or -1 when the ledger cannot be read. */
int survey_last(struct ledger *l, const char *plan, json_t **out, struct err *e) MUST_CHECK;

/*
 * [{from, to, section, name, what: "missing" | "differs", source, target}]: what stands at a source and not, or otherwise, at
 * its target.  Host names, hardware and what could not be read are no drift.  New reference, NULL when memory is short.
 */
json_t *survey_drift(const json_t *hosts, const json_t *pairs);
size_t survey_lacking(const json_t *hosts, const json_t *pairs);	/* how many of them */

/* The paper, appended to b: the form for each host, then the drift; chinese adds the Chinese labels before the English ones. */
void survey_text(const struct plan *p, const json_t *survey, bool chinese, struct buf *b);

#endif
