/*
 * exec - inside of the role that runs a command; shared by exec*.c only.
 *
 * exec.c        messages, watching, the command's end
 * exec_child.c  the program as a file, the user, the environment, fork
 */
#ifndef AGENT_EXEC_H
#define AGENT_EXEC_H

#include <sys/types.h>

#include "messages_exec.h"

struct exec_pipes { int in, out, err; };	/* our ends: in to write, out and err to read; owned */

/*
 * Starts it in a session of its own.  0 with *pid and pipes; else -1 (ERR_REFUSED: another user than may be; ERR_PERMANENT).
 * That the program cannot be executed shows in *failed: the errno of execve, 0 when it runs.
 */
int exec_child(const struct msg_exec *m, struct exec_pipes *p, pid_t *pid, int *failed, struct err *e) MUST_CHECK;

#endif
