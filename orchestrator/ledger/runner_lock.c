#include "esc.h"
#include "io.h"
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

static int say_holder(int fd, const char *lockfile, struct err *e)
{
	char who[200], shown[256];
	ssize_t n = pread(fd, who, sizeof(who), 0);

	if (n <= 0)
		n = (ssize_t)strlen(strcpy(who, "an unknown process"));
	while (n && who[n - 1] == '\n')
		n--;
	return err_set(e, ERR_TEMPORARY, "another run of this plan is at work: %s (%s); wait for it or end it",
	    esc_into(shown, sizeof(shown), who, (size_t)n), esc_s(lockfile));
}

int runner_lock(const char *lockfile, const char *who, int *fd, struct err *e)
{
	OWN_FD int f = open(lockfile, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (f < 0)
		return err_sys(e, "lock %s", esc_s(lockfile));
	if (flock(f, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return say_holder(f, lockfile, e);
		return err_sys(e, "lock %s", esc_s(lockfile));
	}
	if (ftruncate(f, 0) < 0)
		return err_sys(e, "lock %s", esc_s(lockfile));
	if (io_write_all("lock", f, who, strlen(who), lockfile, e) < 0)
		return -1;
	*fd = take_fd(&f);
	return 0;
}
