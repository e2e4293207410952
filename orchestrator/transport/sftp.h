/*
 * sftp - files at a host that offers the SFTP subsystem and nothing else: no command, no helper of ours.
 *
 * A client of SFTP version 3 (draft-ietf-secsh-filexfer-02) over a channel of our own, so that every way to a host has it and one
 * connection loss is told like another; requests are kept in flight.  Paths are absolute.  One thread a connection.
 *
 *   sftp_open -> sftp_stat | sftp_send | sftp_receive | ... -> sftp_close
 *
 * ERR_TEMPORARY: the connection ended, or was silent for 300 s.  A refusal of the host is ERR_PERMANENT with its words; e->sys is
 * ENOENT or EACCES where it said so.
 */
#ifndef SFTP_H
#define SFTP_H

#include "transport.h"

/* Called once a second while waiting (moved 0) and after each piece of a file; -1 with e filled in ends the transfer. */
struct sftp_watch {
	int (*tick)(void *arg, uint64_t moved, struct err *e);	/* may be NULL */
	void *arg;
};

struct sftp;
/* ERR_UNREACHABLE: the host does not offer it.  h is borrowed; opened with sftp_only or not. */
int sftp_open(struct host *h, struct sftp_watch watch, struct sftp **out, struct err *e) MUST_CHECK;
void sftp_close(struct sftp *s);		/* NULL is fine */
static inline void sftp_closep(struct sftp **s) { sftp_close(*s); }
/* Has the server fsync@openssh.com?  Without it a file's bytes are durable when the server sees fit. */
bool sftp_has_fsync(const struct sftp *s);

enum sftp_kind { SFTP_NONE, SFTP_FILE, SFTP_DIR, SFTP_OTHER };
struct sftp_stat { enum sftp_kind kind; uint64_t size; };
/* Of the name itself, not of what a symlink points to; nothing there is SFTP_NONE and 0. */
int sftp_stat(struct sftp *s, const char *path, struct sftp_stat *st, struct err *e) MUST_CHECK;
int sftp_mkdir(struct sftp *s, const char *path, struct err *e) MUST_CHECK;
int sftp_rmdir(struct sftp *s, const char *path, struct err *e) MUST_CHECK;
int sftp_remove(struct sftp *s, const char *path, struct err *e) MUST_CHECK;
int sftp_rename(struct sftp *s, const char *from, const char *to, struct err *e) MUST_CHECK;	/* never over an existing file */

/* Bytes from..size of fd to the same place of path, which is made or cut to from; synced where the server can. */
int sftp_send(struct sftp *s, const char *path, int fd, uint64_t from, uint64_t size, struct err *e) MUST_CHECK;
/* Bytes from..size of path, ascending, to sink; fewer than asked for is ERR_TEMPORARY: it changed meanwhile. */
typedef int (*sftp_sink)(void *arg, const void *p, size_t n, struct err *e);
int sftp_receive(struct sftp *s, const char *path, uint64_t from, uint64_t size, sftp_sink sink, void *arg, struct err *e) MUST_CHECK;

#endif
