/*
 * workspace - the open .waybill directory: ledger, archive, scan files, state, log.
 */
#ifndef WORKSPACE_H
#define WORKSPACE_H

#include "ledger.h"
#include "store.h"

#define WORKSPACE_DIR ".waybill"

struct workspace {
	char *dir;		/* absolute path of .waybill */
	int dirfd, scanfd, logfd;
	struct ledger *ledger;
	struct store *store;
	struct state *state;
};

/* dir: the folder that holds .waybill.  ERR_USAGE with "waybill init" as the next step when there is none. */
int workspace_open(const char *dir, struct workspace **out, struct err *e) MUST_CHECK;
void workspace_close(struct workspace *w);
static inline void workspace_closep(struct workspace **w) { workspace_close(*w); }
/* A further connection to state.db (one thread each). */
int workspace_state(const struct workspace *w, struct state **out, struct err *e) MUST_CHECK;
/* "key: value" of .waybill/config.yaml: 1 (owned text in *value), 0, -1. */
int workspace_config(const char *waybill_dir, const char *key, char **value, struct err *e) MUST_CHECK;

#endif
