/*
 * err - one failure, described where it was seen.
 *
 * Functions return 0, or -1 with *e filled in.  The class says what the caller may do about it and which exit
 * code it becomes; the text names host, path, cause and, where there is one, the next step.  Nothing here
 * allocates, so running out of memory can be reported too.  e is never NULL.
 */
#ifndef ERR_H
#define ERR_H

#include "own.h"

enum err_class {
	ERR_NONE,
	ERR_USAGE,		/* command line or plan wrong: exit 2 */
	ERR_TEMPORARY,		/* passing fault: the same command again may work: exit 8 */
	ERR_PERMANENT,		/* none of the others: exit 1 */
	ERR_INTEGRITY,		/* checked and different: exit 4 */
	ERR_UNVERIFIED,		/* a check could not be made: exit 5 */
	ERR_REFUSED,		/* refused for safety: exit 6 */
	ERR_UNREACHABLE,	/* host, host key or log-in: exit 7 */
	ERR_WAITING,		/* a person must act first: exit 3 */
	ERR_CANCELLED,		/* interrupted by signal: exit 8 */
	ERR_DOWN,		/* production may be down: exit 9 */
	ERR_BUG			/* our own fault: exit 1 */
};

#define ERR_TEXT_MAX 1024

struct err {
	enum err_class class;
	int sys;			/* errno at detection, or 0 */
	char text[ERR_TEXT_MAX];	/* escaped by the caller where it quotes foreign bytes (esc.h) */
};
#define ERR_INIT { ERR_NONE, 0, "" }

/* Record a failure where it is seen; always -1. */
int err_set(struct err *e, enum err_class c, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * The same from errno, whose text is appended (": No space left on device").  The class follows from it:
 * ENOSPC EDQUOT EINTR EAGAIN ETIMEDOUT ECONNRESET EPIPE ENETDOWN ... are temporary, ENOMEM too, the rest permanent.
 */
int err_sys(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prefix context on the way up ("context: text"); keeps class and sys; always -1. */
int err_at(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Append a next step ("text; hint"); always -1. */
int err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Forget the failure. */
void err_clear(struct err *e);

/* Exit code of a class (contract section 2); ERR_NONE is 0. */
int err_exit_code(enum err_class c);

/* Of two exit codes the one that is reported: 9, 4, 5, 6, 7, 8, 1 in that order, then 2 and 3, then 0. */
int err_worse_exit(int a, int b);

/* Stable lower-case word for a class ("temporary"), for JSON and the wire. */
const char *err_class_name(enum err_class c);

#endif
