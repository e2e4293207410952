/* rules - what must hold between the parts of a plan; each adds its faults and goes on. */
#ifndef PLAN_RULES_H
#define PLAN_RULES_H

#include "schema.h"

void rules_hosts(struct reader *r, const struct ynode *root);		/* rules_data.c: via chains */
void rules_targets(struct reader *r);					/* rules_data.c: places that overlap */
void rules_stages(struct reader *r, const struct ynode *root);		/* rules_stages.c: order, blocks without a stage */
void rules_gates(struct reader *r, const struct ynode *root);		/* rules_gates.c: can the gates ever open? */
void rules_clear(struct reader *r, const struct ynode *root);		/* rules_stages.c: scope of clearing */

#endif
