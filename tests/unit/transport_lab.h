/* Hosts of the ssh lab opened through transport/, and a stand-in for the helper; include after cmocka.h. */
#ifndef TRANSPORT_LAB_H
#define TRANSPORT_LAB_H

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include "clock.h"
#include "io.h"
#include "ssh_lab.h"
#include "transport.h"

#ifdef __SANITIZE_ADDRESS__
/* libssh2's own leaks (ssh2_io.c names them) are told apart only by whole stacks. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "fast_unwind_on_malloc=0"; }
#endif

static char agent_file[96];		/* a script that stands in for waybill-agent */
static char client_key[96];

/* Starts once per name; later calls find it running. */
static inline void need(const char *name, const char *options)
{
	lab_do("[ -n \"${SSHD_PID[%s]:-}\" ] || { sshd_start %s %s && sshd_known %s; }", name, name, options, name);
}

struct target { struct host_spec spec; char ssh[128]; };

static inline struct target *to(const char *name)
{
	static struct target t;

	memset(&t, 0, sizeof(t));
	snprintf(t.ssh, sizeof(t.ssh), "%s", lab_do("echo ${SSHD_LOGIN[%s]}@127.0.0.1", name));
	t.spec = (struct host_spec){ .name = name, .ssh = t.ssh, .port = atoi(lab_do("echo ${SSHD_PORT[%s]}", name)), .client = HOST_LIBSSH2,
		.agent_binary = agent_file, .connect_timeout_s = 60 };
	return &t;
}

static inline struct host *must_open(const struct host_spec *s)
{
	struct host *h = NULL;
	struct err e = ERR_INIT;

	if (host_open(&h, s, &e) < 0)
		fail_msg("%s", e.text);
	return h;
}

/* Refused with exit code 7, and the text says all of these. */
static inline void must_refuse(const struct host_spec *s, const char *a, const char *b)
{
	struct host *h = NULL;
	struct err e = ERR_INIT;

	if (host_open(&h, s, &e) == 0) {
		host_close(h);
		fail_msg("%s was opened", s->name);
	}
	if (e.class != ERR_UNREACHABLE || !strstr(e.text, a) || !strstr(e.text, b))
		fail_msg("class %s, wanted \"%s\" and \"%s\" in: %s", err_class_name(e.class), a, b, e.text);
}

static inline char *run_text(struct host *h, const char *shell, int want_status)
{
	static char text[4096];
	const char *argv[] = { "sh", "-c", shell, NULL };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct err e = ERR_INIT;

	if (host_run(h, argv, NULL, 0, 20000, &r, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(r.status, want_status);
	snprintf(text, sizeof(text), "%s", r.out.data ? r.out.data : "");
	return text;
}

static inline struct channel *start_shell(struct host *h, const char *shell)
{
	const char *argv[] = { "sh", "-c", shell, NULL };
	struct channel *c = NULL;
	struct err e = ERR_INIT;

	if (channel_exec(h, argv, &c, &e) < 0)
		fail_msg("%s", e.text);
	return c;
}

/* A stream of numbers through `cat` and back: writer thread and reader check that every byte comes, in order, once. */
struct stream { struct channel *c; uint64_t bytes; bool good; };

static inline void *write_numbers(void *arg)
{
	struct stream *s = arg;
	struct err e = ERR_INIT;
	uint64_t block[8192], next = 0;

	s->good = true;
	for (uint64_t done = 0; s->good && done < s->bytes; done += sizeof(block)) {
		for (size_t i = 0; i < 8192; i++)
			block[i] = next++ * 0x9e3779b97f4a7c15u;
		s->good = io_write_all("test", channel_in(s->c), block, sizeof(block), "channel", &e) == 0;
	}
	return NULL;
}

static inline bool read_numbers(struct channel *c, uint64_t bytes, uint64_t *next)
{
	uint64_t block[8192];
	struct err e = ERR_INIT;

	for (uint64_t done = 0; done < bytes; done += sizeof(block)) {
		if (io_read_full("test", channel_out(c), block, sizeof(block), "channel", &e) != sizeof(block))
			return false;
		for (size_t i = 0; i < 8192; i++)
			if (block[i] != (*next)++ * 0x9e3779b97f4a7c15u)
				return false;
	}
	return true;
}

static inline void echo_through(struct host *h, const char *shell, uint64_t bytes, bool slow_reader)
{
	struct stream s = { .c = start_shell(h, shell), .bytes = bytes };
	struct err e = ERR_INIT;
	uint64_t next = 0;
	pthread_t t;
	bool got;
	int status;

	assert_int_equal(pthread_create(&t, NULL, write_numbers, &s), 0);
	if (slow_reader)
		usleep(700000);		/* both directions are full by now */
	got = read_numbers(s.c, bytes, &next);
	if (!got)
		(void)shutdown(channel_in(s.c), SHUT_RDWR);	/* so that the writer ends */
	pthread_join(t, NULL);
	if (channel_close(s.c, &status, NULL, &e) < 0 || !got || !s.good || status != 0)
		fail_msg("after %llu of %llu bytes, status %d: %s", (unsigned long long)next * 8, (unsigned long long)bytes, status, e.text);
}

static inline int setup(void **state)
{
	(void)state;
	if (lab_start() < 0)
		return -1;
	snprintf(agent_file, sizeof(agent_file), "%s/agent", lab.dir);
	snprintf(client_key, sizeof(client_key), "%s", lab_do("echo $SSHD_KEY"));
	lab_do("printf '#!/bin/sh\\nif [ \"$1\" = --version ]; then echo waybill-agent build-1; exit 0; fi\\nprintf \"%%%%s/%%%%s/\" \"$1\" \"$2\"\\nexec cat\\n' "
	    "> %s; chmod 755 %s", agent_file, agent_file);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	return lab_stop();
}

#endif
