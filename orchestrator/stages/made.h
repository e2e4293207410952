/*
 * made - datasets that are no files but what commands say: `command`, and `database` with its drivers.
 *
 * A version of one is a small tree: "." and a file for each part.  A part is what one command at the source writes; another command may
 * be fed with it at the target.  The part "fingerprint" is fed to nobody: the same command is run at the target and must say the same.
 *
 *   made_open -> made_preflight | made_pass_run | verification -> made_dispose
 */
#ifndef MADE_H
#define MADE_H

#include "archive.h"
#include "exec.h"
#include "pass.h"
#include "redact.h"
#include "verify.h"

#define MADE_FINGERPRINT "fingerprint"
#define MADE_PARTS 4
#define MADE_FINGERPRINT_MAX (64u << 20)	/* bytes of it */

struct made_command {
	const char **argv;		/* owned array, NULL-terminated; NULL: there is none */
	const char *input;		/* for its standard input; NULL: nothing, or what it is fed with */
};

struct made_part {
	const char *name;		/* of its entry; parts are in walk order */
	struct made_command run, feed;
	struct made_command again;	/* the fingerprint at the target, where that is not the same command */
	const char *last;		/* what stands at the end of a whole output; NULL: nothing tells */
	int order;			/* 0: fed before the target is prepared, 1: after that */
};

struct made {
	struct run *r;			/* borrowed */
	const struct plan_dataset *d;
	struct made_part parts[MADE_PARTS];
	size_t count;
	const char *user;		/* or NULL */
	char **env;			/* owned, "NAME=value"; secrets in clear */
	struct redactor *redactor;	/* owned */
	char **words;			/* owned: strings of argv that were made */
	size_t word_count;
	/* A driver's own, or NULL: what has to be so before a byte moves; what has to be there before the feed. */
	int (*preflight)(struct made *m, json_t *facts, struct err *e);
	int (*prepare)(struct made *m, struct err *e);
	/* ERR_REFUSED: the target holds something that the feed would refuse.  It changes nothing. */
	int (*vacant)(struct made *m, struct err *e);
};

bool made_is(const struct plan_dataset *d);		/* a dataset of that sort */
bool made_due(const struct plan_dataset *d, const char *stage);	/* is it taken in this stage: "copy" or "final" */
int made_open(struct run *r, const struct plan_dataset *d, struct made *m, struct err *e) MUST_CHECK;
void made_dispose(struct made *m);
#define OWN_MADE OWN(made_dispose)
const struct made_part *made_part(const struct made *m, const char *name);	/* NULL: there is none */

/* For drivers: a formatted string that lives as long as m; NULL: memory is short. */
const char *made_word(struct made *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A command of words up to a NULL; argv NULL afterwards: memory is short. */
struct made_command made_command(const char *input, ...) __attribute__((sentinel));
struct made_part *made_add(struct made *m, const char *name, int order);

/* The command at host, its standard output into out (at most limit bytes).  ERR_PERMANENT when it did not end well, with what it said last. */
int made_ask(struct made *m, const char *host, const struct made_command *c, size_t limit, struct buf *out, struct err *e) MUST_CHECK;

/*
 * The same beside other work: made_later -> made_later_end -> made_later_close; close alone abandons it, and the command is killed.
 * Its output is in out after the end; more than limit bytes of it are ERR_PERMANENT.  l stays where it is meanwhile.
 */
struct made_later {
	struct exec *x;			/* NULL: none */
	pthread_t thread;
	bool running;
	size_t limit;
	struct buf out;
	struct err why;
};
int made_later(struct made *m, const char *host, const struct made_command *c, size_t limit, struct made_later *l, struct err *e) MUST_CHECK;
int made_later_end(struct made_later *l, struct msg_exec_end *end, struct err *e) MUST_CHECK;
void made_later_close(struct made_later *l);

/* What it said on standard error, without secrets, escaped: the last bytes of it, at most MADE_SAID.  NULL: nothing, or memory. */
#define MADE_SAID 4096
char *made_said(const struct made *m, const struct msg_exec_end *end);
/* The failure of a command that ended, as *e: place, how it ended, the last line of its standard error, without secrets. */
int made_failed(struct made *m, const char *host, const struct made_command *c, const struct msg_exec_end *end, struct err *e);

int made_preflight(struct run *r, const struct plan_dataset *d, json_t *entry, struct err *e) MUST_CHECK;
/* Before the freeze: the targets that the final pass feeds can take it.  ERR_REFUSED: one holds something, as after a roll-back. */
int made_vacant(struct run *r, struct err *e) MUST_CHECK;
/*
 * A database that this plan fed and found good there is finished for a plan that only repeats (contract 4.1): feeding it again would need
 * an empty one.  settled: the ledger says so.  finished: and it is still there, *finished.
 */
bool made_settled(const struct run *r, const struct plan_dataset *d);
int made_finished(struct run *r, const struct plan_dataset *d, bool *finished, struct err *e) MUST_CHECK;
/*
 * As pass_run: a version, fed to the target; nothing is recorded when any command fails.  A database is not fed twice: a feed that was
 * begun and not recorded counts as done when the target's fingerprint says all of it (ERR_REFUSED when it says less).
 */
int made_pass_run(struct run *r, const struct plan_dataset *d, const char *stage, struct pass_result *out, struct err *e) MUST_CHECK;
/*
 * Asks the target of d for its fingerprint, to be used by the verification that gets it (verify_options.asked): that one waits for
 * the rest of the answer only.  NULL: d is no database, or it could not be asked; then the verification asks.
 */
struct made_asked;
struct made_asked *made_ask_ahead(struct run *r, const struct plan_dataset *d);
void made_asked_free(struct made_asked *a);
static inline void made_asked_freep(struct made_asked **a) { made_asked_free(*a); }
/* Compares the fingerprint of version v->version with what the side says now.  Differences and what could not be checked go into v. */
/* *same: what the target says now is what the entry, a fingerprint at that place in the archive, has. */
int made_same(struct made *m, const struct entry *en, const struct location *at, bool *same, struct err *e) MUST_CHECK;
int made_verify(struct run *r, const struct plan_dataset *d, const struct verify_options *o, struct verify_result *v, struct err *e) MUST_CHECK;

/* Drivers: fill in parts, preflight, prepare and vacant. */
int driver_postgresql(struct made *m, struct err *e) MUST_CHECK;
int driver_mariadb(struct made *m, struct err *e) MUST_CHECK;
int driver_sqlite(struct made *m, struct err *e) MUST_CHECK;

#endif
