/* state_file - opening state.db: new, known, or moved aside because it is damaged; internal to store/. */
#ifndef STATE_FILE_H
#define STATE_FILE_H

#include <sqlite3.h>

#include "err.h"

/* An open connection with the schema in place.  ERR_PERMANENT: made by a newer waybill. */
int state_file_open(sqlite3 **out, const char *path, struct err *e) MUST_CHECK;
/*
 * What SQLite could not do; always -1.  Damage is remembered in PATH.suspect, so that the next open moves the file aside.
 */
int state_file_error(sqlite3 *db, const char *path, const char *what, struct err *e);

#endif
