/*
 * survey - what runs at the hosts of a plan, asked in preflight and kept in the ledger (event `survey recorded`).
 *
 * The inventory of contract and form D2: system, packages, enabled units, listening ports, users and groups, schedules,
 * mounts, kernel parameters, locales.  evidence/survey_form.h makes the paper and the list of what a target lacks.
 */
#ifndef SURVEY_STAGE_H
#define SURVEY_STAGE_H

#include "run.h"

/*
 * Asks every host that holds a source or a target of the plan, and appends an event when something differs from the last one.
 * *lacking: how many items stand at a source and not, or otherwise, at its target.
 * 0, or -1 when a host could not be asked or the ledger not written; single sources at a host that could not be read are facts
 * of their own (section "unreadable"), no failure.
 */
int survey_take(struct run *r, size_t *lacking, struct err *e) MUST_CHECK;

#endif
