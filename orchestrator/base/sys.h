/*
 * sys - the seam for injected faults.
 *
 * Calls whose failure decides about somebody's data go through here.  WAYBILL_FAULT="fsync:3:EIO" in the environment
 * makes the 3rd fsync of the process fail with EIO; several rules are separated by commas.  Calls are write, fsync, rename, read,
 * unlink, point, or any.  Instead of an errno: "kill" ends the process with SIGKILL before the call, "stop" stops it there until
 * SIGCONT, "short" lets a read or write move only half of its bytes, "mute" lets this fsync and all that follow do nothing and
 * succeed, "count" says at the end on standard error how many such calls there were.  A rule may name a prefix of call sites:
 * "write@store:2:ENOSPC".
 * Without the variable each wrapper costs one predictable branch.
 */
#ifndef SYS_H
#define SYS_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* site names the caller's module ("store", "apply"), for rules with '@'. */
ssize_t sys_write(const char *site, int fd, const void *p, size_t n);
ssize_t sys_pwrite(const char *site, int fd, const void *p, size_t n, off_t at);
ssize_t sys_read(const char *site, int fd, void *p, size_t n);
ssize_t sys_pread(const char *site, int fd, void *p, size_t n, off_t at);
int sys_fsync(const char *site, int fd);
int sys_fdatasync(const char *site, int fd);
int sys_syncfs(const char *site, int fd);
int sys_renameat(const char *site, int olddir, const char *old, int newdir, const char *newname);
int sys_unlinkat(const char *site, int dir, const char *name, int flags);
/* A named point between two calls, where a kill rule ("point@clear:2:kill") may strike. */
void sys_point(const char *site);
/* The rules are read once a process; one that was forked after that, with others in its environment, reads them again.  Before any thread. */
void sys_rules_again(void);
/* Number of successful fsync, fdatasync and syncfs calls so far, so that tests can assert durability. */
uint64_t sys_sync_count(void);

#endif
