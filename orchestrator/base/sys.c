#include "sys.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RULES_MAX 16
enum { FAULT_KILL = 0, FAULT_SHORT = -1 };

struct rule {
	char call[16], site[16];	/* site empty: any */
	atomic_long left;		/* fires when it reaches 0 */
	int err;			/* errno, or one of */
};

static struct rule rules[RULES_MAX];
static int rule_count;
static atomic_uint_fast64_t syncs;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int errno_of(const char *name)
{
	static const struct { const char *name; int value; } table[] = {
		{ "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EDQUOT", EDQUOT }, { "EACCES", EACCES }, { "EPERM", EPERM },
		{ "EROFS", EROFS }, { "EINVAL", EINVAL }, { "ENOENT", ENOENT }, { "kill", FAULT_KILL }, { "short", FAULT_SHORT } };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(name, table[i].name) == 0)
			return table[i].value;
	return EIO;
}

static void load_rules(void)
{
	const char *s = getenv("WAYBILL_FAULT");

	while (s && *s && rule_count < RULES_MAX) {
		struct rule *r = &rules[rule_count];
		char where[32] = "", what[16] = "";
		long n = 0;

		if (sscanf(s, "%31[^:,]:%ld:%15[A-Za-z]", where, &n, what) == 3) {
			char *at = strchr(where, '@');
			if (at)
				*at++ = '\0';
			(void)snprintf(r->call, sizeof(r->call), "%.15s", where);
			(void)snprintf(r->site, sizeof(r->site), "%.15s", at ? at : "");
			atomic_store(&r->left, n);
			r->err = errno_of(what);
			rule_count++;
		}
		s = strchr(s, ',');
		s = s ? s + 1 : NULL;
	}
}

/*
 * True (errno set) when a rule says that this call fails now.  n (or NULL): bytes the call is to move, which a rule may make fewer:
 * then it goes on.
 */
static bool strikes_bytes(const char *call, const char *site, size_t *n)
{
	pthread_once(&once, load_rules);
	for (int i = 0; i < rule_count; i++) {
		struct rule *r = &rules[i];

		if (strcmp(r->call, call) != 0 || strncmp(site, r->site, strlen(r->site)) != 0)
			continue;
		if (atomic_fetch_sub(&r->left, 1) != 1)
			continue;
		if (r->err == FAULT_KILL)
			(void)kill(getpid(), SIGKILL);
		if (r->err == FAULT_SHORT) {
			if (n && *n > 1)
				*n /= 2;
			continue;
		}
		errno = r->err;
		return true;
	}
	return false;
}

static bool strikes(const char *call, const char *site) { return strikes_bytes(call, site, NULL); }

ssize_t sys_write(const char *site, int fd, const void *p, size_t n)
{
	return strikes_bytes("write", site, &n) ? -1 : write(fd, p, n);
}

ssize_t sys_pwrite(const char *site, int fd, const void *p, size_t n, off_t at)
{
	return strikes_bytes("write", site, &n) ? -1 : pwrite(fd, p, n, at);
}

ssize_t sys_read(const char *site, int fd, void *p, size_t n)
{
	return strikes_bytes("read", site, &n) ? -1 : read(fd, p, n);
}

ssize_t sys_pread(const char *site, int fd, void *p, size_t n, off_t at)
{
	return strikes_bytes("read", site, &n) ? -1 : pread(fd, p, n, at);
}

static int counted(int r)
{
	if (r == 0)
		atomic_fetch_add(&syncs, 1);
	return r;
}

int sys_fsync(const char *site, int fd) { return strikes("fsync", site) ? -1 : counted(fsync(fd)); }
int sys_fdatasync(const char *site, int fd) { return strikes("fsync", site) ? -1 : counted(fdatasync(fd)); }
int sys_syncfs(const char *site, int fd) { return strikes("fsync", site) ? -1 : counted(syncfs(fd)); }

int sys_renameat(const char *site, int olddir, const char *old, int newdir, const char *newname)
{
	return strikes("rename", site) ? -1 : renameat(olddir, old, newdir, newname);
}

int sys_unlinkat(const char *site, int dir, const char *name, int flags)
{
	return strikes("unlink", site) ? -1 : unlinkat(dir, name, flags);
}

void sys_point(const char *site) { (void)strikes("point", site); }
uint64_t sys_sync_count(void) { return atomic_load(&syncs); }
