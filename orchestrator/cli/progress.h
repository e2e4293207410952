/*
 * progress - how far an act has come: a bar on a terminal, a line now and then elsewhere, objects with --json.
 *
 *   progress_new -> progress_view (for the stages) -> progress_free
 *
 * The bar takes the last line of the terminal and gets out of the way of log lines.  All functions may be called from
 * any thread.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include "command.h"
#include "run.h"

struct progress;
/* plan: for the objects, copied; zone: of times in them, copied (NULL = Asia/Shanghai).  NULL = out of memory. */
struct progress *progress_new(const struct cli_context *c, const char *plan, const char *zone);
/* Removes the bar for good. */
void progress_free(struct progress *p);
static inline void progress_freep(struct progress **p) { progress_free(*p); }

/* The view to give to run_open: progress and stage events end up here. */
struct run_view progress_view(struct progress *p);

void progress_update(struct progress *p, const struct run_progress *now);
/* A stage begins, ends, waits: {"event":"stage",...}, or a line.  text may be NULL or empty. */
void progress_stage(struct progress *p, const char *stage, const char *state, const char *text);
/* Takes the bar away before something else is printed; it comes back with the next update. */
void progress_clear(struct progress *p);

/* The line itself, without drawing it; at most columns wide. eta_s < 0: not known. For tests. */
char *progress_line(const struct run_progress *now, double rate, double eta_s, int columns, char *out, size_t size);

#endif
