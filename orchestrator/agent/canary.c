#include "canary.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "digest.h"
#include "io.h"
#include "path.h"
#include "sys.h"
#include "witness.h"

#define SITE "canary"
#define SPREAD_MAX (UINT64_C(64) << 30)

#ifndef EXT4_IOC_CHECKPOINT
#define EXT4_IOC_CHECKPOINT _IOW('f', 43, __u32)
#endif

/* Half of the free space at most: others may need some meanwhile. */
static uint64_t room_for(int root, uint64_t count)
{
	uint64_t least = count * WITNESS_CANARY_BYTES, half = 0;
	struct statvfs v;

	if (fstatvfs(root, &v) == 0)
		half = (uint64_t)v.f_bavail * v.f_frsize / 2;
	if (half > SPREAD_MAX)
		half = SPREAD_MAX;
	return half < least ? least : half / least * least;
}

/* Blocks apart by step. */
static int put_blocks(int fd, uint64_t step, const struct msg_canary *m, struct err *e)
{
	uint8_t block[WITNESS_CANARY_BYTES];
	struct witness_key k;

	if (witness_key_init(&k, m->key, e) < 0)
		return -1;
	for (uint32_t i = 0; i < m->count; i++)
		if (witness_canary(&k, (uint32_t)m->spread + i, block, e) < 0 ||
		    io_pwrite_all(SITE, fd, block, sizeof(block), (uint64_t)i * step, "canary", e) < 0)
			return -1;
	return 0;
}

/* The file was taken as a whole, so that the blocks lie all over the free space; what is between them goes back. */
static void give_back(int fd, uint64_t step, uint64_t count)
{
	for (uint64_t i = 0; i < count && step > WITNESS_CANARY_BYTES; i++)
		(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(i * step + WITNESS_CANARY_BYTES), (off_t)(step - WITNESS_CANARY_BYTES));
}

int canary_plant(int root, struct msg_canary *m, struct err *e)
{
	uint64_t room = room_for(root, m->count), step;
	uint32_t flags = 0;
	OWN_FD int fd = -1;

	if (canary_remove(root, e) < 0)
		return -1;
	fd = openat(root, MSG_CANARY_FILE, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "canaries");
	if (fallocate(fd, 0, 0, (off_t)room) < 0)
		room = m->count * WITNESS_CANARY_BYTES;
	step = m->count ? room / m->count / WITNESS_CANARY_BYTES * WITNESS_CANARY_BYTES : 0;
	if (put_blocks(fd, step, m, e) < 0)
		return -1;
	give_back(fd, step, m->count);
	if (sys_fsync(SITE, fd) < 0 || sys_fsync(SITE, root) < 0)
		return err_sys(e, "sync of the canaries");
	/* With data=journal they are in their places only when the journal is written back; elsewhere this means nothing. */
	(void)ioctl(fd, EXT4_IOC_CHECKPOINT, &flags);
	m->spread = room;
	return 0;
}

/* Only what was written: the rest of the file is holes. */
static int overwrite(int fd, off_t size, struct err *e)
{
	uint8_t block[WITNESS_CANARY_BYTES];
	off_t at = 0, from;

	memset(block, 0xa5, sizeof(block));
	while (at < size && (from = lseek(fd, at, SEEK_DATA)) >= 0) {
		off_t to = lseek(fd, from, SEEK_HOLE);

		from -= from % (off_t)sizeof(block);
		for (at = from; at < to; at += (off_t)sizeof(block))
			if (io_pwrite_all(SITE, fd, block, sizeof(block), (uint64_t)at, "canary", e) < 0)
				return -1;
		if (to <= from)
			break;
	}
	return sys_fdatasync(SITE, fd) < 0 ? err_sys(e, "sync of the canaries") : 0;
}

int canary_remove(int root, struct err *e)
{
	OWN_FD int fd = openat(root, MSG_CANARY_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "canaries");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return err_set(e, ERR_REFUSED, "%s is not of waybill's making", MSG_CANARY_FILE);
	if (overwrite(fd, st.st_size, e) < 0)
		return -1;
	if (sys_unlinkat(SITE, root, MSG_CANARY_FILE, 0) < 0 || sys_fsync(SITE, root) < 0)
		return err_sys(e, "canaries");
	return 0;
}
