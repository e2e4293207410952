/* Throw-away keys, and a plan text with people who have them, for the tests of evidence/. */
#ifndef EVIDENCE_KEYS_H
#define EVIDENCE_KEYS_H

#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "io.h"
#include "proc.h"
#include "sign.h"

static char keys_dir[64];

static inline int run_quiet(const char *const *argv)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct proc_options o = { .argv = argv };
	struct err e = ERR_INIT;

	if (proc_run(&o, &r, &e) < 0)
		return -1;
	if (r.status != 0)
		fprintf(stderr, "%s: %s%s\n", argv[0], r.out.data ? r.out.data : "", r.err.data ? r.err.data : "");
	return r.status;
}

static inline void key_path(char out[PATH_MAX], const char *name) { (void)snprintf(out, PATH_MAX, "%s/%s", keys_dir, name); }

static inline void make_key(const char *name, const char *type, const char *passphrase)
{
	char path[PATH_MAX];
	const char *argv[] = { "ssh-keygen", "-q", "-t", type, "-N", passphrase, "-C", "somebody@somewhere", "-f", path, NULL };

	key_path(path, name);
	assert_int_equal(run_quiet(argv), 0);
}

/* The public line of a key made before; owned by the caller. */
static inline char *key_line(const char *name)
{
	char path[PATH_MAX];
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	key_path(path, name);
	if (sign_public_key(path, &b, &e) < 0)
		fail_msg("%s", e.text);
	return buf_take(&b);
}

static inline int make_keys_dir(void **state)
{
	(void)state;
	strcpy(keys_dir, "/tmp/waybill-test-XXXXXX");
	return mkdtemp(keys_dir) ? 0 : -1;
}

static inline int drop_keys_dir(void **state)
{
	const char *argv[] = { "rm", "-rf", keys_dir, NULL };

	(void)state;
	return run_quiet(argv);
}

#endif
