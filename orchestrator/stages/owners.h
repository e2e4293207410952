/*
 * owners - the owners: map of a dataset in numbers.
 *
 * An old name is looked up at the source, a new one at the target; a number is a number.  The manifest and the archive keep what the
 * source had: only the target, and the verification of it, know of the map.
 */
#ifndef OWNERS_H
#define OWNERS_H

#include "run.h"

struct owners { struct msg_owner *v; size_t n; };
#define OWNERS_INIT { NULL, 0 }
void owners_dispose(struct owners *o);
#define OWN_OWNERS OWN(owners_dispose)

/* Everything the plan says, in its order.  A name that its host does not know is ERR_USAGE. */
int owners_resolve(struct run *r, const struct plan_dataset *d, struct owners *out, struct err *e) MUST_CHECK;
/*
 * What the target must have, for an entry of the manifest: old names are compared with the names that it carries, so that the source
 * is not needed.  owners_new looks up the new ones; owners_expect changes uid and gid.
 */
int owners_new(struct run *r, const struct plan_dataset *d, const char *host, struct owners *out, struct err *e) MUST_CHECK;
void owners_expect(const struct plan_dataset *d, const struct owners *o, const struct entry *en, uint32_t *uid, uint32_t *gid);

#endif
