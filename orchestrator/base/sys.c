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
enum { FAULT_KILL = 0, FAULT_SHORT = -1, FAULT_STOP = -2, FAULT_MUTE = -3, FAULT_COUNT = -4 };

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
		{ "EROFS", EROFS }, { "EINVAL", EINVAL }, { "ENOENT", ENOENT }, { "kill", FAULT_KILL }, { "short", FAULT_SHORT },
		{ "stop", FAULT_STOP }, { "mute", FAULT_MUTE }, { "count", FAULT_COUNT } };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(name, table[i].name) == 0)
			return table[i].value;
	return EIO;
}

/* How many calls each rule with "count" has seen: where the moments of a run lie. */
static void tell_counts(void)
{
	for (int i = 0; i < rule_count; i++)
		if (rules[i].err == FAULT_COUNT)
			(void)fprintf(stderr, "fault: %ld of %s\n", -atomic_load(&rules[i].left), rules[i].call);
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
			if (r->err == FAULT_COUNT) {
				atomic_store(&r->left, 0);
				(void)atexit(tell_counts);
			}
			rule_count++;
		}
		s = strchr(s, ',');
		s = s ? s + 1 : NULL;
	}
}

/* What a rule whose turn has come does; the errno, or 0: the call goes on. */
static int act(const struct rule *r, size_t *n)
{
	switch (r->err) {
	case FAULT_KILL:
		(void)kill(getpid(), SIGKILL);
		return 0;
	case FAULT_STOP:
		(void)kill(getpid(), SIGSTOP);
		return 0;
	case FAULT_SHORT:
		if (n && *n > 1)
			*n /= 2;
		return 0;
	case FAULT_MUTE: case FAULT_COUNT:
		return 0;
	default:
		return r->err;
	}
}

static bool meant(const struct rule *r, const char *call, const char *site)
{
	return (strcmp(r->call, call) == 0 || strcmp(r->call, "any") == 0) && strncmp(site, r->site, strlen(r->site)) == 0;
}

/*
 * True (errno set) when a rule says that this call fails now.  n (or NULL): bytes the call is to move, which a rule may make fewer:
 * then it goes on.
 */
static bool strikes_bytes(const char *call, const char *site, size_t *n)
{
	pthread_once(&once, load_rules);
	for (int i = 0; i < rule_count; i++) {
		int err;

		if (!meant(&rules[i], call, site) || atomic_fetch_sub(&rules[i].left, 1) != 1 || (err = act(&rules[i], n)) == 0)
			continue;
		errno = err;
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

/* A disk that lies: syncs from a rule's turn on do nothing. */
static bool muted(const char *site)
{
	for (int i = 0; i < rule_count; i++)
		if (rules[i].err == FAULT_MUTE && meant(&rules[i], "fsync", site) && atomic_load(&rules[i].left) <= 0)
			return true;
	return false;
}

static int sync_by(int (*call)(int), const char *site, int fd)
{
	int r;

	if (strikes("fsync", site))
		return -1;
	r = muted(site) ? 0 : call(fd);
	if (r == 0)
		atomic_fetch_add(&syncs, 1);
	return r;
}

int sys_fsync(const char *site, int fd) { return sync_by(fsync, site, fd); }
int sys_fdatasync(const char *site, int fd) { return sync_by(fdatasync, site, fd); }
int sys_syncfs(const char *site, int fd) { return sync_by(syncfs, site, fd); }

int sys_renameat(const char *site, int olddir, const char *old, int newdir, const char *newname)
{
	return strikes("rename", site) ? -1 : renameat(olddir, old, newdir, newname);
}

int sys_unlinkat(const char *site, int dir, const char *name, int flags)
{
	return strikes("unlink", site) ? -1 : unlinkat(dir, name, flags);
}

void sys_rules_again(void)
{
	pthread_once(&once, load_rules);
	rule_count = 0;
	load_rules();
}

void sys_point(const char *site) { (void)strikes("point", site); }
uint64_t sys_sync_count(void) { return atomic_load(&syncs); }
