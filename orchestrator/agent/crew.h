/*
 * crew - threads that work off tasks.
 *
 *   crew_new -> crew_give* / crew_wait* from any thread -> crew_free
 *
 * Tasks start in the order in which they were given, urgent ones first.  Whoever waits for a task that nobody has begun does
 * it himself; so a task may give tasks and wait for them, and nobody waits for ever.
 */
#ifndef CREW_H
#define CREW_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

struct task {
	/* hand: that of the thread which runs it (crew_new), or what crew_wait was given */
	void (*run)(struct task *t, void *hand);
	struct task *next;		/* of the crew, as is state */
	enum { TASK_QUEUED = 1, TASK_RUNS, TASK_DONE } state;
};

struct crew;
/* n threads; thread i gets hands[i] (borrowed). */
int crew_new(struct crew **out, size_t n, void *const *hands, struct err *e) MUST_CHECK;
/* The task (borrowed until it is done). */
void crew_give(struct crew *c, struct task *t, bool urgent);
/* Is a thread without work, so that a task given now begins at once? */
bool crew_idle(struct crew *c);
bool crew_done(struct crew *c, const struct task *t);
/* Until the task is done; help: by running it here, with this hand, when nobody has begun it. */
void crew_wait(struct crew *c, struct task *t, bool help, void *hand);
/* Ends the threads; what nobody has begun is never run.  NULL is fine. */
void crew_free(struct crew *c);

#endif
