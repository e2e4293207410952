/*
 * proc - run another program: argv, never a shell string; everything it says is kept within a limit.
 */
#ifndef PROC_H
#define PROC_H

#include "buf.h"

struct proc_options {
	const char *const *argv;	/* NULL-terminated; argv[0] looked up in PATH */
	const char *const *env;		/* extra "NAME=value" strings, NULL-terminated; may be NULL */
	const char *cwd;		/* NULL = unchanged */
	const void *input;		/* bytes for its stdin, or NULL for /dev/null */
	size_t input_len;
	int timeout_ms;			/* 0 = none; on expiry SIGTERM, 5 s later SIGKILL, to its process group */
	size_t limit;			/* most bytes kept of each of stdout and stderr (0 = 1 MiB); the rest is read and dropped */
};

struct proc_result {
	int status;			/* exit status, or 128+signal; 127 = not found, 126 = not executable */
	bool timed_out;
	struct buf out, err;		/* what it wrote; dispose with proc_result_dispose */
};
#define PROC_RESULT_INIT { -1, false, BUF_INIT, BUF_INIT }
void proc_result_dispose(struct proc_result *r);
#define OWN_PROC OWN(proc_result_dispose)

/* Run to its end.  0 when it ran (look at r->status), -1 when it could not be run or watched. */
int proc_run(const struct proc_options *o, struct proc_result *r, struct err *e) MUST_CHECK;

/* First line of b, escaped, for messages ("ssh-keygen: ..."). */
const char *proc_first_line(const struct buf *b, char out[256]);

/* The last line that says anything, escaped: after what a talking shell said, the reason for an end. */
const char *proc_last_line(const struct buf *b, char out[256]);

/*
 * Start a long-lived child with pipes.  Any of *in, *out, *err may be NULL (then: /dev/null, /dev/null, inherited).
 * Returns the pid, or -1.  The fds are the caller's; close-on-exec.  The child is reaped with waitpid by the caller.
 */
int proc_start(const char *const *argv, int *in, int *out, int *err_fd, struct err *e) MUST_CHECK;

#endif
