/* What is opened is looked at first: the right device, and nobody else at it. */
#include "block.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device.h"
#include "medium.h"
#include "esc.h"

const char *block_option(const struct agent *a, const char *name)
{
	for (int i = 0; i < a->argc; i++)
		if (strcmp(a->argv[i], name) == 0)
			return strcmp(name, "--mounted") == 0 ? "" : i + 1 < a->argc ? a->argv[i + 1] : NULL;
	return NULL;
}

uint64_t block_size(const struct agent *a)
{
	uint64_t n = 0;
	struct stat st;

	if (fstat(a->root, &st) < 0)
		return 0;
	if (S_ISBLK(st.st_mode))
		return ioctl(a->root, BLKGETSIZE64, &n) == 0 ? n : 0;
	return (uint64_t)st.st_size;
}

static bool word_in(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; n && at && (at = strstr(at, word)); at += n)
		if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return true;
	return false;
}

static int check_serial(const struct agent *a, const struct stat *st, struct err *e)
{
	OWN_BUF struct buf list = BUF_INIT;
	const char *want = block_option(a, "--serial");

	if (!want)
		return 0;
	if (S_ISBLK(st->st_mode))
		device_serials(st->st_rdev, &list);
	if (word_in(list.data, want))
		return 0;
	err_set(e, ERR_REFUSED, "%s is not the device of the plan: its serial number is %s, not %s", esc_s(a->root_path),
	    list.len ? esc_s(list.data) : "not known", esc_s(want));
	return err_hint(e, "is the right disk there? else correct serial in the plan");
}

static int check_type(const struct agent *a, const struct stat *st, struct err *e)
{
	if (S_ISBLK(st->st_mode) || S_ISREG(st->st_mode))
		return 0;
	return err_set(e, ERR_REFUSED, "%s is neither a block device nor an image file", esc_s(a->root_path));
}

/* By the identity a source is known again: a device by its serial numbers, or by what it is called. */
static int identify(struct agent *a, const struct stat *st, struct err *e)
{
	OWN_BUF struct buf list = BUF_INIT;

	a->root_dev = (uint64_t)major(st->st_dev) << 32 | minor(st->st_dev);
	a->root_ino = st->st_ino;
	if (!S_ISBLK(st->st_mode))
		return (a->identity = agent_identity(a->root)) ? 0 : err_sys(e, "identity of %s", esc_s(a->root_path));
	device_serials(st->st_rdev, &list);
	if (asprintf(&a->identity, "device:%.90s", list.len ? list.data : strrchr(a->root_path, '/') + 1) < 0) {
		a->identity = NULL;
		return err_sys(e, "identity");
	}
	return 0;
}

static int open_it(struct agent *a, int flags, const struct stat *st, struct err *e)
{
	struct stat now;

	a->root = open(a->root_path, flags | O_CLOEXEC | O_NONBLOCK);
	if (a->root < 0 && errno == EBUSY)
		return err_set(e, ERR_REFUSED, "%s is in use: mounted, or part of swap, RAID or LVM", esc_s(a->root_path));
	if (a->root < 0 || fstat(a->root, &now) < 0)
		return err_sys(e, "open %s", esc_s(a->root_path));
	if (now.st_dev != st->st_dev || now.st_ino != st->st_ino || now.st_rdev != st->st_rdev)
		return err_set(e, ERR_TEMPORARY, "%s was replaced while it was opened", esc_s(a->root_path));
	return identify(a, st, e);
}

static int look(struct agent *a, struct stat *st, struct err *e)
{
	if (stat(a->root_path, st) < 0) {
		(void)err_sys(e, "%s", esc_s(a->root_path));
		if (e->sys == ENOENT)
			e->class = ERR_REFUSED;
		return -1;
	}
	return check_type(a, st, e) < 0 ? -1 : check_serial(a, st, e);
}

int block_open_source(struct agent *a, struct err *e)
{
	struct stat st;
	enum medium_use use;

	if (look(a, &st, e) < 0)
		return -1;
	use = medium_use(&st);
	if (use >= MEDIUM_HELD && !block_option(a, "--mounted")) {
		err_set(e, ERR_REFUSED, use == MEDIUM_HELD ? "%s is in use: mounted elsewhere, or part of swap, RAID or LVM" :
		    "%s is mounted read-write: what is read there would be of no one moment", esc_s(a->root_path));
		return err_hint(e, "unmount it or mount it read-only, or agree to it with mounted: yes");
	}
	return open_it(a, O_RDONLY, &st, e);
}

int block_open_target(struct agent *a, struct err *e)
{
	struct stat st;

	return look(a, &st, e) < 0 ? -1 : open_it(a, O_RDONLY, &st, e);
}

static int make_image(struct agent *a, struct err *e)
{
	OWN_FD int fd = -1;

	/* A name there that does not exist is a disk that is missing, and a file in its place would only fill the memory. */
	if (strncmp(a->root_path, "/dev/", 5) == 0) {
		err_set(e, ERR_REFUSED, "%s does not exist", esc_s(a->root_path));
		return err_hint(e, "is the disk there? Nothing is made beneath /dev");
	}
	fd = open(a->root_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(e, "create %s", esc_s(a->root_path)) : 0;
}

int block_open_for_writing(struct agent *a, struct err *e)
{
	enum medium_use use;
	struct stat st;

	if (stat(a->root_path, &st) < 0 && errno == ENOENT && make_image(a, e) < 0)
		return -1;
	if (look(a, &st, e) < 0)
		return -1;
	if ((use = medium_use(&st)) != MEDIUM_FREE) {
		err_set(e, ERR_REFUSED, "%s is in use (%s): it is not written to", esc_s(a->root_path),
		    use == MEDIUM_HELD ? "mounted elsewhere, or part of swap, RAID or LVM" : "it is mounted");
		return err_hint(e, "unmount it, if it is the right one");
	}
	return open_it(a, O_RDWR | (S_ISBLK(st.st_mode) ? O_EXCL : 0), &st, e);
}
