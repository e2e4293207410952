/* check_connect - logs in to every host of a plan and says what was found there; changes nothing but uploads the agent. */
#ifndef CHECK_CONNECT_H
#define CHECK_CONNECT_H

#include "command.h"
#include "plan.h"

/*
 * Adds an object for each host to report and prints for people unless c->json.  All hosts are tried; -1 with the worst
 * failure when one could not be reached or its clock is off by more than a minute is only said.
 */
int check_connect(struct cli_context *c, const struct plan *p, json_t *report, struct err *e) MUST_CHECK;

#endif
