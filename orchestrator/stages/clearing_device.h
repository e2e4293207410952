/*
 * clearing_device - whole devices in the scope of a clearing: the gate, the wiping, what was read back.
 */
#ifndef CLEARING_DEVICE_H
#define CLEARING_DEVICE_H

#include "clearing.h"
#include "messages_wipe.h"

struct clearing_device {
	const struct plan_device *d;	/* borrowed */
	struct msg_wipe_facts facts;	/* owned; looked at when the clearing began, or goes on */
	uint64_t chunks;		/* of CLEARING_CHUNK bytes, the last one shorter */
	uint64_t written, pattern, zero, other, bad, bad_at;
	uint64_t area;			/* bytes of the area that is written: all of it, or the headers of a LUKS volume */
	json_t *datasets;		/* owned: names of those whose file system lies on it */
	const char *method;		/* literal, for the certificate */
	char device_says[400];		/* of its own sanitize, of discarding */
	bool crypto, sanitized, wiped;	/* wiped: read back to its end */
};
#define CLEARING_CHUNK (UINT64_C(256) << 20)

/* At most one line each: what the plan's devices are, before anything is destroyed.  ERR_REFUSED names what does not hold. */
int clearing_devices_look(struct clearing *c, bool begin, struct err *e) MUST_CHECK;
/* Wipes what the journals do not say is written, and reads all of it back. */
int clearing_devices_wipe(struct clearing *c, struct err *e) MUST_CHECK;
void clearing_devices_dispose(struct clearing *c);
/* Rows for `clear started`; items and verdict for `clear done`. */
json_t *clearing_devices_json(const struct clearing *c);
void clearing_devices_items(const struct clearing *c, json_t *items);
enum verdict clearing_device_verdict(const struct clearing_device *x);
/* The device that took all of a medium with it, so that nothing of it can be searched any more; NULL when there is none. */
const struct clearing_device *clearing_wiped_medium(const struct clearing *c, const struct clearing_medium *m);

#endif
