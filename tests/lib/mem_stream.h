/* mem_stream - bytes in memory as sink and source of packs, and a throw-away directory; for unit tests. */
#ifndef MEM_STREAM_H
#define MEM_STREAM_H

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "io.h"
#include "proc.h"

static inline int mem_sink(void *ctx, const void *p, size_t n, struct err *e)
{
	buf_put(ctx, p, n);
	return buf_finish(ctx, e);
}

struct mem_source { const char *p; size_t left, step; };

/* At most step bytes a call (0 = all), so that every split is met. */
static inline ssize_t mem_source(void *ctx, void *p, size_t n, struct err *e)
{
	struct mem_source *s = ctx;

	(void)e;
	if (n > s->left)
		n = s->left;
	if (s->step && n > s->step)
		n = s->step;
	if (n)
		memcpy(p, s->p, n);
	s->p += n;
	s->left -= n;
	return (ssize_t)n;
}

/* Deterministic bytes that do not compress. */
static inline void mem_noise(void *p, size_t n, uint64_t seed)
{
	uint8_t *d = p;

	for (size_t i = 0; i < n; i++) {
		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		d[i] = (uint8_t)(seed >> 56);
	}
}

static inline char *temp_dir(void)
{
	const char *base = getenv("TMPDIR");
	char *s = NULL;

	if (asprintf(&s, "%s/wbtest-XXXXXX", base && *base ? base : "/tmp") < 0)
		return NULL;
	return mkdtemp(s);
}

static inline void temp_dir_remove(char *dir)
{
	struct err e = ERR_INIT;
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	const char *const argv[] = { "rm", "-rf", "--", dir, NULL };

	if (proc_run(&(struct proc_options){ .argv = argv }, &r, &e) < 0)
		(void)fprintf(stderr, "%s\n", e.text);
	free(dir);
}

/* Runs sh -c with $1 = arg; the exit status, what it said on stderr shown when it is not 0. */
static inline int shell(const char *cwd, const char *script, const char *arg, struct buf *out)
{
	struct err e = ERR_INIT;
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	const char *const argv[] = { "sh", "-c", script, "sh", arg ? arg : "", NULL };

	if (proc_run(&(struct proc_options){ .argv = argv, .cwd = cwd, .timeout_ms = 120000 }, &r, &e) < 0) {
		(void)fprintf(stderr, "%s\n", e.text);
		return -1;
	}
	if (r.status != 0)
		(void)fprintf(stderr, "sh -c '%s': %d\n%s%s", script, r.status, r.out.data ? r.out.data : "",
		    r.err.data ? r.err.data : "");
	if (out && r.out.len)
		buf_put(out, r.out.data, r.out.len);
	return r.status;
}

#endif
