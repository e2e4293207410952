/* What is asked of a file system before it is looked at. */
#include "scan.h"

#include <errno.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sys.h"

#ifndef EXT4_IOC_CHECKPOINT
#define EXT4_IOC_CHECKPOINT _IOW('f', 43, __u32)
#endif

/* Overwrites the journal's blocks: they hold names and metadata, with data=journal contents. */
static void settle_ext4(int fd, struct buf *text)
{
	__u32 zero = 2, discard = 1;

	if (ioctl(fd, EXT4_IOC_CHECKPOINT, &zero) == 0)
		buf_puts(text, "ext4: journal written back and overwritten with zeros");
	else if (ioctl(fd, EXT4_IOC_CHECKPOINT, &discard) == 0)
		buf_puts(text, "ext4: journal written back and discarded");
	else
		buf_printf(text, "ext4: the journal could not be emptied: %s", strerrordesc_np(errno));
}

/* Deleted blocks are let go by a commit; only then may they be trimmed. */
static void settle_btrfs(int fd, struct buf *text)
{
	struct fstrim_range all = { 0, UINT64_MAX, 0 };

	if (ioctl(fd, BTRFS_IOC_SYNC) < 0 || ioctl(fd, BTRFS_IOC_SYNC) < 0 || ioctl(fd, FITRIM, &all) < 0)
		buf_printf(text, "btrfs: free space could not be trimmed: %s", strerrordesc_np(errno));
	else
		buf_printf(text, "btrfs: free space trimmed, %llu bytes", (unsigned long long)all.len);
}

void medium_settle(struct medium *m, struct buf *text)
{
	if (m->mount < 0)
		return;
	(void)sys_syncfs(SCAN_SITE, m->mount);	/* medium_flush does it again, and looks */
	if (strcmp(m->facts.fstype, "ext4") == 0)
		settle_ext4(m->mount, text);
	else if (strcmp(m->facts.fstype, "btrfs") == 0)
		settle_btrfs(m->mount, text);
}
