/*
 * exec - one command at a host of the plan, through the exec agent: as a whole, or as a stream.
 *
 *   exec_run                                                              input in, output captured, the end told
 *   exec_start -> exec_write*, exec_end_input, exec_read* -> exec_finish   a stream in either direction
 *                        any state -> exec_close                          abandons: the command is killed
 *
 * Reading and writing may be done by two threads; a command that does both needs them.  Only exec_finish tells whether the
 * command did its work: the end of its output does not.  Secrets go into env, program or input, never into argv.  What it says is
 * raw: it goes through hook's redactor and esc before anybody sees it.
 */
#ifndef EXEC_H
#define EXEC_H

#include "messages_exec.h"
#include "run.h"

struct exec_command {		/* all borrowed until the command has started */
	const char *host;
	const char *user;		/* NULL or "" = as the agent there is (root with become: sudo) */
	const char *const *argv;	/* NULL-terminated */
	const char *const *env;		/* "NAME=value", NULL-terminated; may be NULL */
	const void *program;		/* bytes of the file to run, argv[0] being its name only; NULL: argv[0] looked up in PATH there */
	size_t program_len;
	int timeout_s;			/* 0 = none */
	bool to_eof;			/* its output is data: wait for its end, whoever holds it open */
};

struct exec;
/* 0: the host was reached and took the command; whether it could be executed shows in the end. */
int exec_start(struct run *r, const struct exec_command *c, struct exec **out, struct err *e) MUST_CHECK;
/* Bytes for its standard input; blocks for room.  A command that does not read them is no error here. */
int exec_write(struct exec *x, const void *p, size_t n, struct err *e) MUST_CHECK;
/* The end of its input: what came is all there is.  Not called when what feeds it failed: close x then. */
int exec_end_input(struct exec *x, struct err *e) MUST_CHECK;
/* Next piece of its output (dispose it): 1, 0 = no more, -1. */
int exec_read(struct exec *x, struct wire_frame *f, struct err *e) MUST_CHECK;
/* Drops output that is left, waits for its end.  0: *end tells it (dispose it); the agent's end record was good. */
int exec_finish(struct exec *x, struct msg_exec_end *end, struct err *e) MUST_CHECK;
/* Wakes whoever reads or writes, with ERR_CANCELLED; the command is killed when the agent notices.  Any thread. */
void exec_cancel(struct exec *x);
void exec_close(struct exec *x);	/* NULL is fine */
static inline void exec_closep(struct exec **x) { exec_close(*x); }

/* At most EXEC_INPUT_MAX bytes of input; of its output the first limit bytes are kept. */
#define EXEC_INPUT_MAX (1u << 20)
int exec_run(struct run *r, const struct exec_command *c, const void *input, size_t n, size_t limit, struct buf *out,
    struct msg_exec_end *end, struct err *e) MUST_CHECK;

/* Exited with status 0, in time. */
static inline bool exec_good(const struct msg_exec_end *end)
{
	return end->how == MSG_EXEC_EXITED && end->code == 0 && !end->timed_out;
}
/* "ended with status 3", "was killed by signal 9", "could not be executed: Permission denied", "took longer than 30 s" */
#define EXEC_TOLD 160
const char *exec_told(const struct msg_exec_end *end, int timeout_s, char out[EXEC_TOLD]);

#endif
