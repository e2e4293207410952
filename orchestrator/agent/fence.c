#include "fence.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "atomic_file.h"
#include "digest.h"
#include "esc.h"
#include "io.h"

#define RECORD_MAX 512

static bool private_to_us(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 077) == 0;
}

/* The directory of the running binary, if nobody but us can write or read there. */
static int beside_binary(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	OWN_FD int fd = -1;
	char *slash;

	if (n <= 0)
		return -1;
	path[n] = '\0';
	if (!(slash = strrchr(path, '/')) || slash == path)
		return -1;
	*slash = '\0';
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && private_to_us(fd) ? take_fd(&fd) : -1;
}

/* dir/sub, made when missing; only if it is ours alone. */
static int made_private(const char *dir, const char *sub)
{
	struct err ignored = ERR_INIT;
	OWN_FD int base = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct stat st;

	/* sudo may keep another user's HOME: not ours, not used. */
	if (base < 0 || fstat(base, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 002))
		return -1;
	if (io_mkdirs(base, sub, 0700, &ignored) < 0)
		return -1;
	fd = openat(base, sub, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && private_to_us(fd) ? take_fd(&fd) : -1;
}

static int private_dir(struct err *e)
{
	const char *home = getenv("HOME");
	int fd = beside_binary();

	if (fd < 0 && home && *home == '/')
		fd = made_private(home, ".cache/waybill");
	if (fd < 0 && geteuid() == 0)
		fd = made_private("/var/lib", "waybill");
	if (fd < 0)
		return err_set(e, ERR_PERMANENT, "no private directory for the agent's records: neither beside the agent nor "
		    "~/.cache/waybill is a directory of mode 0700 owned by uid %u; make one", (unsigned)geteuid());
	return fd;
}

static int root_identity(struct fence *f, int root, struct err *e)
{
	struct statx sx;

	if (statx(root, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &sx) < 0)
		return err_sys(e, "statx of the root");
	if (!(sx.stx_mask & STATX_BTIME))
		memset(&sx.stx_btime, 0, sizeof(sx.stx_btime));
	(void)snprintf(f->identity, sizeof(f->identity), "%" PRIu32 ":%" PRIu32 ":%" PRIu64 ":%" PRId64 ".%" PRIu32,
	    sx.stx_dev_major, sx.stx_dev_minor, (uint64_t)sx.stx_ino, (int64_t)sx.stx_btime.tv_sec, sx.stx_btime.tv_nsec);
	return 0;
}

/* The epoch recorded for this very directory; 0 when there is none. */
static int recorded(const struct fence *f, uint64_t *epoch, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	char identity[80] = "";
	struct err local = ERR_INIT;

	*epoch = 0;
	if (io_read_file(f->dir, f->name, RECORD_MAX, &b, &local) < 0) {
		if (local.sys == ENOENT)
			return 0;
		*e = local;
		return err_at(e, "fence record");
	}
	if (!b.data || sscanf(b.data, "waybill-fence 1 %" SCNu64 " %79s", epoch, identity) != 2)
		return err_set(e, ERR_REFUSED, "fence record %s is damaged; remove it once no other runner is at work", f->name);
	if (strcmp(identity, f->identity) != 0)
		*epoch = 0;
	return 0;
}

static int overtaken(uint64_t ours, uint64_t theirs, struct err *e)
{
	return err_set(e, ERR_REFUSED, "a later runner (epoch %" PRIu64 ") has taken over this root; this one (epoch %" PRIu64
	    ") must stop", theirs, ours);
}

static int record(const struct fence *f, const char *root_path, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	buf_printf(&b, "waybill-fence 1 %" PRIu64 " %s ", f->epoch, f->identity);
	esc_put(&b, root_path, strnlen(root_path, 200));
	buf_putc(&b, '\n');
	if (buf_finish(&b, e) < 0)
		return -1;
	return atomic_file_write(f->dir, f->name, 0600, b.data, b.len < RECORD_MAX ? b.len : RECORD_MAX, e);
}

static int compare_and_record(struct fence *f, const char *root_path, struct err *e)
{
	uint64_t seen;

	if (recorded(f, &seen, e) < 0)
		return -1;
	if (seen > f->epoch)
		return overtaken(f->epoch, seen, e);
	return seen == f->epoch && seen ? 0 : record(f, root_path, e);
}

/* Two agents never write below one root at a time: the overtaken one sees our record and leaves. */
static int take_root(struct fence *f, int root, struct err *e)
{
	const struct timespec nap = { 0, 100000000 };

	for (int i = 0; flock(root, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return errno == EOPNOTSUPP || errno == ENOLCK ? 0 : err_sys(e, "lock of the root");	/* a file system without locks */
		if (i == FENCE_WAIT_S * 10)
			return err_set(e, ERR_TEMPORARY, "an agent of an earlier run still works there after %d s; "
			    "run the same command again when it has ended", FENCE_WAIT_S);
		(void)nanosleep(&nap, NULL);
	}
	f->root = root;
	return fence_still(f, e);
}

int fence_enter(struct fence *f, int root, const char *root_path, uint64_t epoch, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX];
	int r;

	f->epoch = epoch;
	if (digest_sha256(root_path, strlen(root_path), digest, e) < 0 || root_identity(f, root, e) < 0)
		return -1;
	hex_of(digest, DIGEST_LEN, hex);
	(void)snprintf(f->name, sizeof(f->name), "fence-%s", hex);
	if ((f->dir = private_dir(e)) < 0)
		return -1;
	/* Reading and writing the record is one step towards other agents of this user. */
	if (flock(f->dir, LOCK_EX) < 0)
		return err_sys(e, "lock of the agent's directory");
	r = compare_and_record(f, root_path, e);
	(void)flock(f->dir, LOCK_UN);
	return r < 0 ? -1 : take_root(f, root, e);
}

int fence_still(const struct fence *f, struct err *e)
{
	uint64_t seen;

	if (recorded(f, &seen, e) < 0)
		return -1;
	return seen > f->epoch ? overtaken(f->epoch, seen, e) : 0;
}

void fence_leave(struct fence *f)
{
	if (f->root >= 0)
		(void)flock(f->root, LOCK_UN);
	f->root = -1;
	own_closep(&f->dir);
	f->dir = -1;
}
