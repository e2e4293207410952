/* faults - collecting what is wrong with a plan, each with its place in the text. */
#ifndef PLAN_FAULTS_H
#define PLAN_FAULTS_H

#include "plan.h"

#define PLAN_FAULT_CAP 200	/* nobody reads more in one go; also bounds the work on a hostile file */

struct fault_source {		/* the text that offsets point into; borrowed */
	const char *text;
	size_t len;
	struct plan_faults *out;
};

#define AT_FILE SIZE_MAX	/* an offset that means: the file as a whole */

/* off, width: bytes in the text.  hint may be NULL.  Both texts are escaped here.  Never fails: see out_of_memory. */
void fault_add(struct fault_source *s, size_t off, size_t width, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* The same by line and character column (1-based), as a parser gives them. */
void fault_add_at(struct fault_source *s, int line, int column, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Line and character column of an offset. */
struct plan_pos fault_pos(const struct fault_source *s, size_t off);
void fault_sort(struct plan_faults *f);

#endif
