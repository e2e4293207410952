/* Plans as text, the files they name, and how they are parsed, for the tests of plan/; include after cmocka.h. */
#ifndef PLAN_TEXT_H
#define PLAN_TEXT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan.h"

#define K1 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMbKqUQEy3d4u92r63VNN5i5C1+lCoq3xSvBpINMZNuP"
#define K2 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIIM/25jy6b8+EtuoC8IfIliXU0XbXkxFkbIelttuOs3"
#define K3 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILdQ8vLT2al8Vgt/ZFUgZOtJN3iiuLifYkiIka5zxbDh"

/* Three lines, so that what a case adds begins in line 4. */
#define HEAD "waybill: 1\nname: p\nkind: migration\n"
#define DATA "datasets: {d: {files: {from: \"local:/a\", to: \"local:/b\"}}}\n"
#define FILES(more) HEAD "datasets:\n  d:\n    files:\n      from: local:/a\n      " more "\n"
#define HOST(more) HEAD DATA "hosts:\n  h: {" more "}\n"
#define RETIRE "waybill: 1\nname: p\nkind: retirement\ndatasets: {d: {files: {from: \"local:/a\"}}}\n"
#define TWO "parties: {department: {}}\npeople:\n  a: {party: department, key: \"" K1 "\"}\n" \
	"  b: {party: department, key: \"" K2 "\"}\n"
#define CLEARGATE "gates: {clear: {approve: [department, department]}}\n"

static char dir[] = "/tmp/waybill-test-plan-XXXXXX";

static inline void put_file(const char *name, const char *text, unsigned mode)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, (mode_t)mode), 0);
}

static inline void remove_file(const char *name)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)unlink(path);
}

static inline int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	put_file("hook.sh", "#!/bin/sh\n", 0755);
	put_file("plain.txt", "text\n", 0644);
	put_file("owners.map", "# old new\nuser www nginx\ngroup 1001 2001\n", 0644);
	put_file("bad.map", "user www nginx\nuser www\n", 0644);
	return setenv("WAYBILL_SHARE", "/nonexistent", 1);
}

static inline int drop_dir(void **state)
{
	(void)state;
	remove_file("hook.sh");
	remove_file("plain.txt");
	remove_file("owners.map");
	remove_file("bad.map");
	return rmdir(dir);
}

static inline struct plan *parse(const char *text, struct plan_faults *f)
{
	struct plan *p = NULL;

	if (plan_parse("p.yaml", dir, text, strlen(text), &p, f) < 0)
		assert_null(p);
	return p;
}

static inline struct plan *must_parse(const char *text)
{
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	struct plan *p = parse(text, &f);

	if (!p)
		plan_faults_print(&f, stderr, false);
	assert_non_null(p);
	return p;
}

#endif
