#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "buf.h"
#include "esc.h"
#include "log.h"

#define APPLICATION_ID 0x57425354	/* "WBST" */
#define USER_VERSION 1
#define BUSY_MS 10000

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS ack (plan TEXT NOT NULL, dataset TEXT NOT NULL, pass INTEGER NOT NULL, key BLOB NOT NULL,"
    " row BLOB NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (plan, dataset, pass, key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS value (name TEXT NOT NULL PRIMARY KEY, data BLOB NOT NULL, sum INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "PRAGMA application_id = 0x57425354;"
    "PRAGMA user_version = 1;"
    "COMMIT;";

static bool is_damage(int code)
{
	return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

/* path + suffix, owned by the caller; NULL: out of memory */
static char *beside(const char *path, const char *suffix)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, path);
	buf_puts(&b, suffix);
	return b.failed ? NULL : buf_take(&b);
}

static void note_suspect(const char *path)
{
	OWN_FREE char *mark = beside(path, ".suspect");
	OWN_FD int fd = mark ? open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;

	if (fd < 0)
		log_warn("%s: cannot be marked as damaged; move it away by hand", path);
}

int state_file_error(sqlite3 *db, const char *path, const char *what, struct err *e)
{
	int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM, sys = db ? sqlite3_system_errno(db) : 0;
	const char *text = db ? sqlite3_errmsg(db) : "out of memory";

	if (is_damage(code)) {
		note_suspect(path);
		return err_set(e, ERR_TEMPORARY, "%s is damaged (%s: %s); run the same command again: it is made afresh",
		    esc_s(path), what, text);
	}
	switch (code & 0xff) {
	case SQLITE_FULL:
		return err_set(e, ERR_TEMPORARY, "%s: %s: no space left; free space there and run the same command again",
		    esc_s(path), what);
	case SQLITE_BUSY: case SQLITE_LOCKED:
		return err_set(e, ERR_TEMPORARY, "%s: %s: another process holds it; run the same command again",
		    esc_s(path), what);
	case SQLITE_IOERR: case SQLITE_NOMEM: case SQLITE_PROTOCOL:
		err_set(e, ERR_TEMPORARY, "%s: %s: %s%s%s", esc_s(path), what, text, sys ? ": " : "", sys ? strerror(sys) : "");
		e->sys = sys;
		return -1;
	case SQLITE_CONSTRAINT: case SQLITE_MISUSE: case SQLITE_RANGE:
		return err_set(e, ERR_BUG, "%s: %s: %s", esc_s(path), what, text);
	default:
		err_set(e, ERR_PERMANENT, "%s: %s: %s%s%s", esc_s(path), what, text, sys ? ": " : "", sys ? strerror(sys) : "");
		e->sys = sys;
		return -1;
	}
}

static int number(sqlite3 *db, const char *sql, int64_t *v)
{
	sqlite3_stmt *st = NULL;
	int r = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (r == SQLITE_OK) {
		r = sqlite3_step(st);
		if (r == SQLITE_ROW)
			*v = sqlite3_column_int64(st, 0);
		r = r == SQLITE_ROW ? SQLITE_OK : r;
	}
	(void)sqlite3_finalize(st);
	return r;
}

enum verdict { GOOD, EMPTY, DAMAGED, FAILED };

/* Ours, empty (so made now), newer, or something that is no state.db. */
static enum verdict look(sqlite3 *db, const char *path, struct err *e)
{
	int64_t app = 0, version = 0, tables = 0;
	int r = number(db, "PRAGMA application_id", &app);

	if (r == SQLITE_OK)
		r = number(db, "PRAGMA user_version", &version);
	if (r == SQLITE_OK)
		r = number(db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (r != SQLITE_OK) {
		if (is_damage(r))
			return DAMAGED;
		state_file_error(db, path, "open", e);
		return FAILED;
	}
	if (app == APPLICATION_ID && version > USER_VERSION) {
		err_set(e, ERR_PERMANENT, "%s was made by a newer waybill (its version is %lld)", esc_s(path), (long long)version);
		return FAILED;
	}
	if (app == APPLICATION_ID && version == USER_VERSION && tables >= 2)
		return GOOD;
	return app == 0 && version == 0 && tables == 0 ? EMPTY : DAMAGED;
}

static enum verdict set_up(sqlite3 *db, const char *path, struct err *e)
{
	enum verdict v;

	if (sqlite3_busy_timeout(db, BUSY_MS) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON", NULL, NULL, NULL) != SQLITE_OK) {
		if (is_damage(sqlite3_errcode(db)))
			return DAMAGED;
		state_file_error(db, path, "open", e);
		return FAILED;
	}
	v = look(db, path, e);
	if (v != EMPTY)
		return v;
	/*
	 * WAL stays in the file once set; where it cannot be (network file systems) SQLite keeps its journal, and while
	 * another process is just setting it this one need not.
	 */
	(void)sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
	if (sqlite3_exec(db, schema, NULL, NULL, NULL) == SQLITE_OK)
		return GOOD;
	if (is_damage(sqlite3_errcode(db)))
		return DAMAGED;
	state_file_error(db, path, "prepare", e);
	return FAILED;
}

/*
 * SQLite would make the file readable for all.  One that is there is not opened here: closing any descriptor of a file ends all
 * POSIX locks that the process has on it (fcntl(2)), those of another handle of SQLite's included, and the next process to
 * leave would then remove the log as if it were the last.
 */
static int make_private(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno == EEXIST ? 0 : err_sys(e, "%s", esc_s(path));
	(void)close(fd);
	return 0;
}

static enum verdict try_open(sqlite3 **out, const char *path, struct err *e)
{
	OWN_FREE char *mark = beside(path, ".suspect");
	enum verdict v;

	*out = NULL;
	if (!mark) {
		err_set(e, ERR_TEMPORARY, "state: out of memory");
		return FAILED;
	}
	if (access(mark, F_OK) == 0)
		return DAMAGED;
	if (make_private(path, e) < 0)
		return FAILED;
	if (sqlite3_open_v2(path, out, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) != SQLITE_OK) {
		state_file_error(*out, path, "open", e);
		v = FAILED;
	} else {
		v = set_up(*out, path, e);
	}
	if (v != GOOD) {
		(void)sqlite3_close_v2(*out);
		*out = NULL;
	}
	return v;
}

static int rename_beside(const char *path, const char *suffix, const char *to, struct err *e)
{
	OWN_FREE char *a = beside(path, suffix), *b = beside(to, suffix);

	if (!a || !b)
		return err_set(e, ERR_TEMPORARY, "state: out of memory");
	if (rename(a, b) < 0 && errno != ENOENT)
		return err_sys(e, "move the damaged %s aside", esc_s(a));
	return 0;
}

static int move_aside(const char *path, struct err *e)
{
	OWN_FREE char *mark = beside(path, ".suspect");

	for (int n = 1; mark && n < 10000; n++) {
		char suffix[32];
		OWN_FREE char *to = NULL;

		(void)snprintf(suffix, sizeof(suffix), ".damaged-%d", n);
		to = beside(path, suffix);
		if (!to)
			break;
		if (access(to, F_OK) == 0)
			continue;
		/* The log first: without its file it would be taken for one of the fresh file. */
		if (rename_beside(path, "-wal", to, e) < 0 || rename_beside(path, "-shm", to, e) < 0 ||
		    rename_beside(path, "", to, e) < 0)
			return -1;
		(void)unlink(mark);
		log_warn("%s was damaged: moved to %s and made afresh (what it knew is found out again)", path, to);
		return 0;
	}
	return err_set(e, ERR_TEMPORARY, "%s is damaged and cannot be moved aside; move it away by hand", esc_s(path));
}

/* Under a lock, so that of two processes that see the damage only one moves a file. */
static int recover(sqlite3 **out, const char *path, struct err *e)
{
	OWN_FREE char *name = beside(path, ".lock");
	OWN_FD int fd = name ? open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return err_sys(e, "lock of %s", esc_s(path));
	switch (try_open(out, path, e)) {
	case GOOD: case EMPTY: return 0;
	case FAILED: return -1;
	case DAMAGED: break;
	}
	if (move_aside(path, e) < 0)
		return -1;
	if (try_open(out, path, e) == GOOD)
		return 0;
	if (e->class == ERR_NONE)
		err_set(e, ERR_TEMPORARY, "%s cannot be made afresh", esc_s(path));
	return -1;
}

int state_file_open(sqlite3 **out, const char *path, struct err *e)
{
	err_clear(e);
	switch (try_open(out, path, e)) {
	case GOOD: case EMPTY: return 0;
	case FAILED: return -1;
	case DAMAGED: break;
	}
	return recover(out, path, e);
}
