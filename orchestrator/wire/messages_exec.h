/*
 * messages_exec - what the exec role and its orchestrator say to each other (waybill-wire.7, Exec).
 *
 * -> EXEC, then EXEC_IN* on WIRE_DATA; EXEC_KILL on WIRE_KNOWN.   <- EXEC_OUT*, EXEC_END on WIRE_DATA.
 * EXEC_IN and EXEC_OUT are bare bytes: the whole payload, at least one.
 */
#ifndef MESSAGES_EXEC_H
#define MESSAGES_EXEC_H

#include "messages.h"

enum msg_exec_type {
	MSG_EXEC = 110,		/* orchestrator -> exec: struct msg_exec */
	MSG_EXEC_IN = 111,	/* orchestrator -> exec: bytes for its standard input */
	MSG_EXEC_OUT = 112,	/* exec -> orchestrator: bytes of its standard output */
	MSG_EXEC_KILL = 113,	/* orchestrator -> exec: empty: end it now */
	MSG_EXEC_END = 114	/* exec -> orchestrator: struct msg_exec_end */
};

#define MSG_EXEC_WORDS 1024u		/* arguments, and variables */
#define MSG_EXEC_WORD_MAX 131000u	/* bytes of one: what Linux takes (MAX_ARG_STRLEN) */
#define MSG_EXEC_PROGRAM_MAX (24u << 20)
#define MSG_EXEC_TAIL (64u << 10)	/* bytes of standard error that are kept */

enum msg_exec_flag {
	MSG_EXEC_TO_EOF = 1	/* its output ends with the last process that holds it open, however long that takes; without it 2 s
				   after its own end */
};

struct msg_exec {
	uint64_t flags;		/* enum msg_exec_flag */
	char *user;		/* run as; "" = as the agent is */
	uint64_t timeout_ms;	/* 0 = none; on expiry SIGTERM, 5 s later SIGKILL, to its process group */
	char **argv, **env;	/* NULL-terminated; argv at least one word; env "NAME=value", beside what the agent has */
	uint8_t *program;	/* the file to run; NULL: argv[0] looked up in PATH */
	size_t program_len;
};
void msg_exec_dispose(struct msg_exec *m);
/* Encoding borrows everything. */
void msg_exec_encode(struct buf *b, const struct msg_exec *m);
int msg_exec_decode(const void *p, size_t n, struct msg_exec *m, struct err *e) MUST_CHECK;

enum msg_exec_how {
	MSG_EXEC_EXITED = 1,	/* code = exit status */
	MSG_EXEC_SIGNAL = 2,	/* code = signal */
	MSG_EXEC_NOT_RUN = 3	/* code = errno: it could not be started */
};
struct msg_exec_end {
	enum msg_exec_how how;
	uint32_t code;
	bool timed_out;		/* its time was up, or it was told to end: whatever its status says, it is not done */
	uint64_t out_bytes, err_bytes;	/* written in all */
	char *tail;		/* last MSG_EXEC_TAIL bytes of standard error; owned; raw: not clean for output */
	size_t tail_len;
};
void msg_exec_end_dispose(struct msg_exec_end *m);
void msg_exec_end_encode(struct buf *b, const struct msg_exec_end *m);
int msg_exec_end_decode(const void *p, size_t n, struct msg_exec_end *m, struct err *e) MUST_CHECK;

#endif
