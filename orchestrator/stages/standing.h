/*
 * standing - where a plan stands, by replaying its events.
 */
#ifndef STANDING_H
#define STANDING_H

#include "ledger.h"
#include "loss.h"
#include "plan.h"

enum stage_state { STAGE_OPEN, STAGE_STARTED, STAGE_DONE, STAGE_WAITING, STAGE_FAILED, STAGE_REFUSED };
const char *stage_state_name(enum stage_state s);

/*
 * How far a take-over has come.  What is between two quiet states (live, frozen, cut, finished) was cut short when it is met at the
 * start of a run.
 */
enum standing_phase {
	PHASE_LIVE,		/* nothing was touched, or all of it was undone */
	PHASE_FREEZING, PHASE_FROZEN,
	PHASE_CUTTING, PHASE_CUT,
	PHASE_THAWING, PHASE_ROLLING,	/* begun; or failed */
	PHASE_FINISHING, PHASE_FINISHED
};

struct standing_check {		/* the last verification of one dataset and side */
	uint64_t version;
	char verdict[16];	/* match, mismatch, unverified, or "" */
	bool medium, full;
	int64_t at;		/* seconds since the epoch */
	uint64_t seq;
};

struct standing_dataset {
	char name[PLAN_NAME_MAX + 1];
	uint64_t version;		/* newest, 0 = none */
	uint64_t feeding;		/* the version that a database was begun to be fed with, until it stands; 0 = none */
	uint64_t entries, bytes, failed, unsettled;
	double seconds;			/* the newest pass took */
	double verify_seconds;		/* the last verification at the target took */
	bool mostly_new;		/* the newest pass copied a quarter of its entries or more */
	double later_seconds, later_verify_seconds;	/* the last pass that copied less, and its verification; 0 = none ... */
	uint64_t later_entries;				/* ... of so many entries */
	double rehearsed;		/* what its last rehearsal took for the last pass and its verification; 0 = none */
	bool foreign_known;		/* the target was looked at before the first copy ... */
	char foreign[DIGEST_HEX];	/* ... and this is the list of what was there ("" = nothing) */
	struct loss_rights rights;	/* of the target's agent, as announced: by the last preflight or version */
	char losses[512];		/* of the newest version at the target: loss_counts_text; "" = none */
	char root[DIGEST_HEX], root_sm3[DIGEST_HEX];
	struct standing_check target, source, archive, restore;	/* restore: the restore test */
};

struct standing {
	bool exists;			/* the ledger has this plan */
	char head[LEDGER_OID];
	uint64_t count;			/* events */
	uint64_t anchor_seq;		/* set before loading: the event that was last seen here, 0 = none */
	char anchor[LEDGER_OID];	/* its commit */
	bool anchor_moved;		/* another commit stands there now */
	char plan_digest[DIGEST_HEX];	/* of the last `plan recorded` or `plan amended` */
	uint64_t plan_version;
	enum stage_state stages[STAGE_COUNT];
	char stage_text[STAGE_COUNT][256];	/* of the last event of that stage */
	int64_t stage_at[STAGE_COUNT];
	struct standing_dataset *datasets;	/* owned; in order of first appearance */
	size_t dataset_count;
	enum standing_phase phase;
	int64_t frozen_at;		/* seconds since the epoch; of the last freeze */
	int64_t froze_ms;		/* the same by the wall clock, in milliseconds */
	double predicted_freeze;	/* seconds, as said at the last freeze; < 0 = could not be */
	double pass_seconds;		/* the last live pass over all datasets, its verification and all around them; 0 = none */
	double freeze_seconds;		/* the last freeze took; 0 = not known */
	double hook_seconds[POINT_COUNT];	/* the hooks of a point took when they last ran; 0 = never */
	char *cut_data;			/* data of the last `cutover started`, owned, or NULL */
	bool smoke_blind;		/* the last smoke test could not be run to its end */
	bool rehearsed;			/* a rehearsal of this version of the plan was good */
	unsigned round;			/* 1, and one more after each rollback */
	bool abandoned;
	bool clearing;			/* `clear started` without `clear done` */
	bool cleared;
	bool access_open;		/* the last test of clear.revoke found a log-in that is not refused */
	int64_t clear_started_at;	/* seconds since the epoch */
	char clear_started[LEDGER_OID], clear_done[LEDGER_OID];	/* commits */
	char *clear_data;		/* data of `clear started`, owned, or NULL */
	char *package_data;		/* data of the last `package done`, owned, or NULL */
	bool accepted;
	char accept_verdict[16];
};
#define STANDING_INIT { .exists = false }
void standing_dispose(struct standing *s);

/* The dataset, made when it has not appeared yet; NULL: out of memory. */
struct standing_dataset *standing_need(struct standing *s, const char *name, struct err *e) MUST_CHECK;
/* Replay all events of the plan; s must be STANDING_INIT. */
int standing_load(struct ledger *l, const char *plan, struct standing *s, struct err *e) MUST_CHECK;
/* One further event, as just appended. */
int standing_apply(struct standing *s, const struct ledger_event *ev, struct err *e) MUST_CHECK;
struct standing_dataset *standing_dataset(const struct standing *s, const char *name);	/* NULL: no version yet */

#endif
