/* agent_child - a role of the agent in a forked child, spoken to over a socketpair, for unit tests. */
#ifndef AGENT_CHILD_H
#define AGENT_CHILD_H

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "sys.h"
#include "agent.h"

struct child {
	pid_t pid;
	int fd;
	struct wire *wire;
	struct msg_ready ready;
};

/* Starts the role and sends START; fails the test when that does not work. */
static inline void child_start(struct child *c, const char *role, const char *root, uint64_t epoch, const char *scope, uint64_t flags)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	char *none[1] = { NULL };
	struct msg_start start = { .epoch = epoch, .flags = flags, .identity = (char[]){ "" }, .include = none, .exclude = none,
		.list_only = none, .scope = (char *)(uintptr_t)scope };
	struct wire_options o = { .side = WIRE_ORCHESTRATOR, .peer = "test" };
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	(void)fflush(NULL);
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0) {
		(void)signal(SIGPIPE, SIG_IGN);
		(void)close(sv[0]);
		sys_rules_again();
		_exit(agent_serve(role, root, 0, NULL, sv[1], sv[1]));
	}
	(void)close(sv[1]);
	c->fd = o.in = o.out = sv[0];
	if (wire_open(&c->wire, &o, &e) < 0)
		fail_msg("%s", e.text);
	msg_start_encode(&b, &start);
	if (wire_send(c->wire, WIRE_CONTROL, MSG_START, b.data, b.len, &e) < 0)
		fail_msg("%s", e.text);
}

static inline void child_send(struct child *c, enum msg_type t, struct buf *b)
{
	struct err e = ERR_INIT;

	if (wire_send(c->wire, WIRE_DATA, (uint8_t)t, b->data, b->len, &e) < 0)
		fail_msg("send: %s", e.text);
	buf_dispose(b);
}

/* Waits for the child; its exit code. */
static inline int child_reap(struct child *c)
{
	int status;

	wire_close(c->wire);
	(void)close(c->fd);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
