/*
 * agent - what the roles of waybill-agent share.
 *
 *   main: argv -> wire_open on stdin/stdout -> MSG_START -> root opened, MSG_READY -> role_X -> MSG_DONE
 *
 * A role is called once, on the main thread, with everything in struct agent set.  It returns 0 when it has done all it
 * could (single failures reported with agent_problem, counted in done), or -1 with *e when it cannot go on; main then
 * tells the peer with wire_fail and exits with err_exit_code.  A role neither sends MSG_READY or MSG_DONE nor closes
 * anything in struct agent; it ends (wire_end) none of its streams: main does, before MSG_DONE.
 */
#ifndef AGENT_H
#define AGENT_H

#include "buf.h"
#include "messages.h"
#include "wire.h"

struct agent {
	const char *role;		/* "read", "verify", "apply", "erase", "facts", "survey" */
	struct wire *wire;		/* owned by main; any thread may send and receive */
	int root;			/* O_RDONLY|O_DIRECTORY fd of --root: everything happens beneath it; -1 only for
					   facts, when it does not exist */
	const char *root_path;		/* --root as given: absolute and clean; for messages and for what lies beside it */
	uint64_t root_dev, root_ino;	/* as stat says */
	uint64_t root_mnt;		/* STATX_MNT_ID, 0 = the kernel does not tell */
	struct msg_start start;		/* decoded MSG_START; owned by main */
	char *identity;			/* "fsid:inode" of the root, as told in MSG_READY; owned by main */
	int argc;			/* what followed --root ABSPATH in argv, for roles with options of their own */
	char *const *argv;
	enum wire_stream answers;	/* where MSG_PROBLEM goes: WIRE_DATA for read, verify, facts, survey; WIRE_ACK for apply, erase */
	struct msg_done done;		/* the role counts here; sent by main as it stands when the role returns 0 */
};

/* Entry points; one file each (read.c is verify too: MSG_F_HASH_ONLY). */
int role_read(struct agent *a, struct err *e) MUST_CHECK;
int role_apply(struct agent *a, struct err *e) MUST_CHECK;
int role_erase(struct agent *a, struct err *e) MUST_CHECK;
int role_challenge(struct agent *a, struct err *e) MUST_CHECK;
int role_facts(struct agent *a, struct err *e) MUST_CHECK;
int role_scan(struct agent *a, struct err *e) MUST_CHECK;
int role_exec(struct agent *a, struct err *e) MUST_CHECK;
int role_place(struct agent *a, struct err *e) MUST_CHECK;
int role_survey(struct agent *a, struct err *e) MUST_CHECK;
/* block.h: the root is a device or an image, and a->root is open on that. */
int role_wipe(struct agent *a, struct err *e) MUST_CHECK;
int role_readblock(struct agent *a, struct err *e) MUST_CHECK;
int role_applyblock(struct agent *a, struct err *e) MUST_CHECK;
int block_open_source(struct agent *a, struct err *e) MUST_CHECK;
int block_open_target(struct agent *a, struct err *e) MUST_CHECK;
int block_open_for_writing(struct agent *a, struct err *e) MUST_CHECK;

/* ---- helpers (session.c) ---- */

static inline bool agent_flag(const struct agent *a, enum msg_flag f) { return (a->start.flags & (uint64_t)f) != 0; }

/*
 * One entry failed and the role goes on: MSG_PROBLEM with the class, the path (raw bytes) and the text of why.  0, or -1
 * with *e when it could not be sent (then the session is over).
 */
int agent_problem(struct agent *a, const char *path, const struct err *why, struct err *e) MUST_CHECK;

/* Send what b holds as one message and empty b; checks buf_finish. */
int agent_send(struct agent *a, enum wire_stream s, enum msg_type t, struct buf *b, struct err *e) MUST_CHECK;

/* "/root/path: " escaped, for messages; out is returned. */
#define AGENT_NAME 600
const char *agent_name(const struct agent *a, const char *path, char out[AGENT_NAME]);

/*
 * "fsid:inode" of an open directory: f_fsid as 16 hex digits (of statfs; st_dev where the file system has none), ':',
 * inode in decimal.  Owned by the caller; NULL with errno.
 */
char *agent_identity(int fd);

/* "ext4", "xfs", "btrfs", "tmpfs", ... of statfs' f_type, else its hex. */
#define AGENT_FSTYPE 24
void agent_fstype(uint64_t magic, char out[AGENT_FSTYPE]);

/*
 * Serve one session on in/out (borrowed): everything from the magic line to MSG_DONE.  root_path is opened here, for apply
 * created (mode 0700) when missing.  Returns the exit code.  Tests call it from a thread.
 */
int agent_serve(const char *role, const char *root_path, int argc, char *const *argv, int in, int out);

#endif
