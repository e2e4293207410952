#include "storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "io.h"

#define DEPTH_MAX 8

/* First line of an attribute; "" when there is none. */
static const char *attribute(int dir, const char *name, struct buf *b)
{
	struct err ignored = ERR_INIT;

	buf_reset(b);
	if (io_read_file(dir, name, 4096, b, &ignored) < 0 || !b->data)
		return "";
	b->data[strcspn(b->data, "\n")] = '\0';
	return b->data;
}

static void add_word(struct buf *words, const char *word)
{
	const char *at = words->data;
	size_t n = strlen(word);

	for (; at && (at = strstr(at, word)); at += n)
		if ((at == words->data || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return;
	buf_printf(words, "%s%s", words->len ? " " : "", word);
}

static bool ends(const char *s, const char *tail)
{
	size_t n = strlen(s), k = strlen(tail);

	return n >= k && strcmp(s + n - k, tail) == 0;
}

/* LVM names its inner devices by the end of the uuid. */
static void dm_words(int dir, struct buf *words)
{
	OWN_BUF struct buf b = BUF_INIT;
	const char *uuid = attribute(dir, "dm/uuid", &b);

	if (strncmp(uuid, "CRYPT-", 6) == 0)
		add_word(words, "crypt");
	if (strncmp(uuid, "mpath-", 6) == 0)
		add_word(words, "multipath");
	if (ends(uuid, "-tpool") || ends(uuid, "_tdata"))
		add_word(words, "thin");
	if (ends(uuid, "-real") || ends(uuid, "-cow"))
		add_word(words, "snapshot");
	if (strstr(uuid, "_rimage") || strstr(uuid, "_mimage"))
		add_word(words, "mirror");
}

/* What a disk hangs on: virtio, Xen, or SCSI and NVMe as hypervisors offer them. */
static bool is_virtual(int dir)
{
	static const char *const makers[] = { "QEMU", "VMware", "Virtual", "VBOX", "Msft", "Xen", "Amazon Elastic", "Google", "Alibaba", NULL };
	static const char *const places[] = { "device/vendor", "device/model", "../device/vendor", "../device/model" };
	OWN_BUF struct buf b = BUF_INIT;
	char link[512] = "";
	ssize_t n = readlinkat(dir, "device/driver", link, sizeof(link) - 1);

	if (n < 0)
		n = readlinkat(dir, "../device/driver", link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	if (strstr(link, "virtio") || ends(link, "/vbd") || strstr(link, "xen"))
		return true;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const char *value = attribute(dir, places[i], &b);

		for (const char *const *m = makers; *m; m++)
			if (strstr(value, *m))
				return true;
	}
	return false;
}

static void disk_words(int dir, struct buf *words)
{
	OWN_BUF struct buf b = BUF_INIT;
	const char *rotational;

	if (faccessat(dir, "loop", F_OK, 0) == 0 || faccessat(dir, "../loop", F_OK, 0) == 0) {
		add_word(words, "loop");
		return;
	}
	if (is_virtual(dir)) {
		add_word(words, "virtual");
		return;
	}
	rotational = attribute(dir, "queue/rotational", &b);
	if (!*rotational)
		rotational = attribute(dir, "../queue/rotational", &b);
	if (*rotational == '0')
		add_word(words, "flash");
}

static void walk(int dir, unsigned depth, struct buf *words)
{
	OWN_FD int fd = openat(dir, "slaves", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN_DIR DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *de;
	size_t slaves = 0;

	fd = d ? -1 : fd;
	dm_words(dir, words);
	if (faccessat(dir, "md", F_OK, 0) == 0)
		add_word(words, "raid");
	while (d && depth < DEPTH_MAX && (de = readdir(d))) {
		OWN_FD int slave = de->d_name[0] == '.' ? -1 : openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (slave >= 0) {
			slaves++;
			walk(slave, depth + 1, words);
		}
	}
	if (!slaves)
		disk_words(dir, words);
}

void storage_traits(dev_t dev, struct buf *words)
{
	char path[64];
	OWN_FD int fd = -1;

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0)
		walk(fd, 0, words);
}

/* ---- snapshots of btrfs ---- */

/* One batch of root items: 1 = a snapshot of uuid among them, 0 = no more items, 2 = go on. */
static int look_at(const struct btrfs_ioctl_search_args *a, const uint8_t uuid[BTRFS_UUID_SIZE], struct btrfs_ioctl_search_key *next)
{
	size_t at = 0;

	for (uint32_t i = 0; i < a->key.nr_items; i++) {
		struct btrfs_ioctl_search_header h;
		const struct btrfs_root_item *item;

		if (at + sizeof(h) > sizeof(a->buf))
			return 0;
		memcpy(&h, a->buf + at, sizeof(h));
		at += sizeof(h);
		item = (const void *)(a->buf + at);
		at += h.len;
		if (at > sizeof(a->buf))
			return 0;
		/* Keys are compared as a whole, so that items of other types come too: without their type it would begin at them again. */
		next->min_objectid = h.objectid;
		next->min_type = h.type;
		next->min_offset = h.offset + 1;
		if (h.type == BTRFS_ROOT_ITEM_KEY && h.len >= sizeof(*item) && memcmp(item->parent_uuid, uuid, BTRFS_UUID_SIZE) == 0)
			return 1;
	}
	return a->key.nr_items ? 2 : 0;
}

int storage_snapshots(int fd)
{
	struct btrfs_ioctl_get_subvol_info_args info = { .treeid = 0 };
	OWN_FREE struct btrfs_ioctl_search_args *a = calloc(1, sizeof(*a));
	struct btrfs_ioctl_search_key next = { .tree_id = BTRFS_ROOT_TREE_OBJECTID, .min_objectid = BTRFS_FIRST_FREE_OBJECTID,
		.max_objectid = BTRFS_LAST_FREE_OBJECTID, .max_offset = UINT64_MAX, .max_transid = UINT64_MAX, .min_type = BTRFS_ROOT_ITEM_KEY,
		.max_type = BTRFS_ROOT_ITEM_KEY };
	static const uint8_t none[BTRFS_UUID_SIZE];
	struct statfs fs;
	int r;

	if (!a || fstatfs(fd, &fs) < 0 || fs.f_type != BTRFS_SUPER_MAGIC || ioctl(fd, BTRFS_IOC_GET_SUBVOL_INFO, &info) < 0)
		return -1;
	if (memcmp(info.parent_uuid, none, sizeof(none)) != 0)
		return 1;	/* it is one itself: its origin, or another, shares its blocks */
	do {
		a->key = next;
		a->key.nr_items = 4096;
		if (ioctl(fd, BTRFS_IOC_TREE_SEARCH, a) < 0)
			return -1;
		r = look_at(a, (const uint8_t *)info.uuid, &next);
	} while (r == 2);
	return r;
}
