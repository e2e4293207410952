/*
 * run - what every stage works with: workspace, plan, where the plan stands, the hosts, who acts, who watches.
 *
 *   run_open -> stages -> run_close
 *
 * One thread runs the stages; run_cancel may come from any other.
 */
#ifndef RUN_H
#define RUN_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "messages.h"
#include "plan.h"
#include "plan_sha256.h"
#include "standing.h"
#include "transport.h"
#include "wire.h"
#include "workspace.h"

struct run_progress {		/* of the act that is going on */
	const char *stage, *dataset;
	uint64_t entries, bytes;
	uint64_t total_entries, total_bytes;	/* 0 = not known */
};

struct run_view {		/* who watches; any function may be NULL */
	void *ctx;
	void (*progress)(void *ctx, const struct run_progress *p);
	void (*stage)(void *ctx, const char *stage, const char *state, const char *text);
	bool (*confirm)(void *ctx, const char *question);	/* a person at a terminal said yes */
};

struct run_options {		/* borrowed */
	const char *as, *key;	/* person and key file, or NULL */
	const char *until;	/* stage, or NULL */
	const char *amend;	/* reason, or NULL */
	const char *const *only;	/* datasets, NULL-terminated, or NULL */
	bool yes, wait, stay_frozen, dry;
	const char *agent_binary;	/* our own waybill-agent */
};

#define RUN_WIRES 8

struct run {
	struct workspace *w;		/* borrowed */
	const struct plan *plan;	/* borrowed */
	const struct run_options *o;	/* borrowed */
	const struct run_view *view;	/* borrowed, may be NULL */
	char plan_digest[DIGEST_HEX];
	struct standing standing;
	uint64_t epoch;			/* fencing number of this runner */
	struct run_slot {		/* by index in plan->hosts; host is NULL until first used */
		struct host *host;
		struct host_spec spec;	/* lives as long as the host */
		char *identity;
		bool lost;		/* a session over it was lost: it is opened anew at its next use */
	} *hosts;
	struct run_limit *limit;	/* limit.h; NULL but for a runner */
	struct run_cost {		/* measured in this run: what each session and each event costs, whatever it is for */
		double session_s, event_s;	/* in all */
		unsigned sessions, events;
	} cost;
	uint64_t losses;		/* sessions that were lost with their connection */
	uint64_t acks;			/* batches of entries acknowledged: what was achieved between two losses */
	struct plan_dataset *derived;	/* as save_dataset gave it last; owned */
	struct plan_dataset *staged;	/* by index in plan->datasets: as activation_dataset gives them; owned */
	pthread_mutex_t lock;
	struct wire *wires[RUN_WIRES];	/* open sessions, for run_cancel */
	atomic_bool cancelled;
	atomic_bool must_undo;		/* something froze: the process does not end before it was undone or taken over */
	atomic_bool may_give_up;	/* frozen, and not yet cutting over (give_up.h) */
	atomic_bool gave_up;		/* cutover.give_up came before the cut-over, and cancelled the run */
	atomic_bool shielded;		/* undoing: a signal no longer stops it (run_shield) */
};

/* w, plan, o and view stay the caller's.  Replays the ledger; plan_digest NULL: the recorded one.  Takes a new epoch when runner is true. */
int run_open(struct run *r, struct workspace *w, const struct plan *plan, const char *plan_digest,
    const struct run_options *o, const struct run_view *view, bool runner, struct err *e) MUST_CHECK;
/* Only what logging in needs: no workspace, no ledger (check --connect). */
int run_open_hosts(struct run *r, const struct plan *plan, const struct run_options *o, struct err *e) MUST_CHECK;
/* A higher fencing number, kept in state.db: what worked with the one before is overtaken. */
int run_next_epoch(struct run *r, struct err *e) MUST_CHECK;
void run_close(struct run *r);
/* Ends every session with ERR_CANCELLED; async use from a signal-waiting thread. */
void run_cancel(struct run *r);
/* -1 (ERR_CANCELLED) after run_cancel. */
int run_check(struct run *r, struct err *e) MUST_CHECK;
/* For what is tried to the end: logs one failure, and keeps it in e unless another went before (failed, which is -1 then).  Always -1. */
int run_failed_too(const struct err *one, int failed, struct err *e);

/*
 * From here on nothing is cancelled any more: what froze is thawed, and what took over is rolled back, whatever signals come.
 * Signals that came before stay known (r->cancelled).
 */
void run_shield(struct run *r);
void run_unshield(struct run *r);

void run_show_stage(struct run *r, const char *stage, const char *state, const char *text);
void run_show_progress(struct run *r, const struct run_progress *p);

/*
 * Append one event.  t may be NULL (event only); it is consumed in every case.  data is stolen (may be NULL).  text is
 * escaped here.  The standing is brought up to date.
 */
int run_event(struct run *r, struct ledger_txn *t, const char *stage, const char *state, json_t *data,
    struct err *e, const char *text, ...) __attribute__((format(printf, 7, 8))) MUST_CHECK;

/* ---- sessions with agents ---- */

struct session {
	struct host *host;		/* borrowed from the run */
	struct channel *channel;
	struct wire *wire;
	struct msg_ready ready;
	struct session_lanes *lanes;
	const char *host_name;		/* borrowed */
	char peer[80];			/* "host NAME", as every failure of the connection begins */
	struct run *run;
};

/* How the plan says that a host is reached, into an unused slot (host NULL); identity becomes the slot's; via is not set. */
int run_host_spec(struct run *r, const struct plan_host *h, struct run_slot *slot, struct err *e) MUST_CHECK;
/* The host's connection, opened on first use, after that of its bastion if it has one. */
int run_log_in(struct run *r, const char *name, struct host **out, struct err *e) MUST_CHECK;
/* Ends its connection, and first those that lead through it: they are channels of it.  Nothing may be open there. */
void run_hang_up(struct run *r, struct run_slot *slot);
/* As run_log_in, with its agent in place. */
int run_host(struct run *r, const char *name, struct host **out, struct err *e) MUST_CHECK;
/* Ends the host's connection, so that the next use makes a new one; no session may be open there. */
void run_host_drop(struct run *r, const char *name);
/* Starts a role at root; start is encoded (epoch is filled in).  READY has been received when 0. */
int session_open(struct run *r, const char *host, const char *role, const char *root, struct msg_start *start,
    struct session **out, struct err *e) MUST_CHECK;
/* The same with the agent's whole argv: role, "--root", root, further options, NULL. */
int session_open_args(struct run *r, const char *host, const char *const *args, struct msg_start *start,
    struct session **out, struct err *e) MUST_CHECK;
/* Waits for MSG_DONE and a clean exit; the balance into done (may be NULL). */
int session_finish(struct session *s, struct msg_done *done, struct err *e) MUST_CHECK;
void session_close(struct session *s);
static inline void session_closep(struct session **s) { session_close(*s); }

/* "HOST:/path" escaped, for messages. */
#define PLACE_NAME 700
char *place_name(const char *host, const char *path, char out[PLACE_NAME]);

#endif
