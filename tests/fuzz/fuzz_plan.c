/* rooms: plan
 * A plan's text: a plan without faults, or faults; never both, never neither. */
#include <stdlib.h>

#include "plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct plan *plan = NULL;
	struct plan_faults faults = PLAN_FAULTS_INIT;
	int r = plan_parse("fuzz.yaml", "/nonexistent", p, n, &plan, &faults);

	if (r == 0 ? !plan || faults.n : plan || (!faults.n && !faults.out_of_memory))
		abort();
	plan_faults_dispose(&faults);
	plan_free(plan);
	return 0;
}
