/*
 * clearing_device - whole devices in the scope of a clearing: the gate, the wiping, what was read back.
 */
#ifndef CLEARING_DEVICE_H
#define CLEARING_DEVICE_H

#include "clearing.h"
#include "messages_wipe.h"

struct clearing_device {
	struct plan_device d;		/* of the plan, or the place of a block dataset; strings borrowed */
	struct msg_wipe_facts facts;	/* owned; looked at when the clearing began, or goes on */
	uint64_t chunks;		/* of CLEARING_CHUNK bytes, the last one shorter */
	uint64_t written, pattern, zero, other, bad, bad_at;
	uint64_t zeroed;		/* bytes that took no pattern and were zeroed by the device or the kernel */
	uint64_t area;			/* bytes of the area that is written: all of it, or the headers of a LUKS volume */
	json_t *datasets;		/* owned: names of those that go with it */
	size_t beneath;			/* 1 + the number of the medium on which an image lies; 0: none */
	const char *method;		/* literal, for the certificate */
	char device_says[400];		/* of its own sanitize, of discarding */
	bool crypto, sanitized, wiped;	/* wiped: read back to its end */
	bool reported;			/* sanitized: the device says that it came to its end */
};
#define CLEARING_CHUNK (UINT64_C(256) << 20)

/*
 * What the plan's devices and the block datasets' places are, before anything is destroyed: each free, as authorized, and all that is on it
 * archived (its file systems are looked at by the agent alone; clearing_dataset.mount says where).  begin: false when a clearing goes on.
 * ERR_REFUSED names what does not hold.
 */
int clearing_devices_look(struct clearing *c, bool begin, struct err *e) MUST_CHECK;
/* On what media do the image files among them lie?  After clearing_media_find. */
int clearing_devices_beneath(struct clearing *c, struct err *e) MUST_CHECK;
/* Wipes what the journals do not say is written, and reads all of it back. */
int clearing_devices_wipe(struct clearing *c, struct err *e) MUST_CHECK;
void clearing_devices_dispose(struct clearing *c);
/* Rows for `clear started`; items and verdict for `clear done`. */
json_t *clearing_devices_json(const struct clearing *c);
void clearing_devices_items(const struct clearing *c, json_t *items);
enum verdict clearing_device_verdict(const struct clearing *c, const struct clearing_device *x);
/* The device with which the dataset goes; NULL: none, its objects are erased one by one. */
const char *clearing_device_class(const struct clearing_device *x);	/* of the method, for the certificate; a literal */
const struct clearing_device *clearing_device_of(const struct clearing *c, size_t dataset);

/* ---- for clearing_device*.c ---- */

struct wiping {			/* one session */
	struct clearing *c;
	struct clearing_device *x;
	struct session *session;
	struct clear_journal *journal;
	struct run_progress progress;
};
void wiping_dispose(struct wiping *w);
int wiping_open(struct wiping *w, bool write, struct err *e) MUST_CHECK;
int wiping_act(struct wiping *w, enum msg_wipe_how how, uint64_t offset, uint64_t length, struct msg_wipe_result *m, struct err *e) MUST_CHECK;
int wiping_finish(struct wiping *w, struct err *e) MUST_CHECK;

#endif
