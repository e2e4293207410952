/*
 * Owners of places on btrfs: the chunk tree leads from the device to the file system's own account of places, and that knows
 * which inodes of which subvolumes (snapshots too) refer to it.
 */
#include "scan.h"

#include <endian.h>
#include <errno.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define TREE_BYTES 65536u
#define REFS_BYTES 4096u
#define STRIPED (BTRFS_BLOCK_GROUP_RAID0 | BTRFS_BLOCK_GROUP_RAID10 | BTRFS_BLOCK_GROUP_RAID5 | BTRFS_BLOCK_GROUP_RAID6)

struct chunk { uint64_t at, length, logical, type; };
struct chunks { struct chunk *v; size_t n; };	/* of one device */

static bool device_id(const struct medium *m, uint64_t *id)
{
	struct btrfs_ioctl_fs_info_args fs = { 0 };
	struct stat st;

	if (ioctl(m->mount, BTRFS_IOC_FS_INFO, &fs) < 0)
		return false;
	for (*id = 0; *id <= fs.max_id; ++*id) {
		struct btrfs_ioctl_dev_info_args d = { .devid = *id };

		if (ioctl(m->mount, BTRFS_IOC_DEV_INFO, &d) == 0 && stat((const char *)d.path, &st) == 0 && st.st_rdev == m->dev)
			return true;
	}
	return false;
}

/* One item of the chunk tree: its copies on that device. */
static int add_chunk(struct chunks *c, uint64_t device, uint64_t logical, const uint8_t *p, size_t n, struct err *e)
{
	struct btrfs_chunk k;
	struct btrfs_stripe s;
	size_t first = offsetof(struct btrfs_chunk, stripe);

	if (n < sizeof(k))
		return 0;
	memcpy(&k, p, sizeof(k));
	for (size_t i = 0; i < le16toh(k.num_stripes) && first + (i + 1) * sizeof(s) <= n; i++) {
		struct chunk *grown;

		memcpy(&s, p + first + i * sizeof(s), sizeof(s));
		if (le64toh(s.devid) != device || (le64toh(k.type) & STRIPED))
			continue;
		if (!(grown = realloc(c->v, (c->n + 1) * sizeof(*grown))))
			return err_sys(e, "chunks of the file system");
		c->v = grown;
		c->v[c->n++] = (struct chunk){ le64toh(s.offset), le64toh(k.length), logical, le64toh(k.type) };
	}
	return 0;
}

static int take_items(struct chunks *c, uint64_t device, struct btrfs_ioctl_search_args_v2 *q, struct err *e)
{
	const uint8_t *p = (const uint8_t *)q->buf, *end = p + TREE_BYTES;

	for (uint32_t i = 0; i < q->key.nr_items && (size_t)(end - p) >= sizeof(struct btrfs_ioctl_search_header); i++) {
		struct btrfs_ioctl_search_header h;

		memcpy(&h, p, sizeof(h));
		p += sizeof(h);
		if (h.len > (size_t)(end - p))
			break;
		if (h.type == BTRFS_CHUNK_ITEM_KEY && add_chunk(c, device, h.offset, p, h.len, e) < 0)
			return -1;
		q->key.min_offset = h.offset + 1;
		p += h.len;
	}
	return 0;
}

static int read_chunks(const struct medium *m, uint64_t device, struct chunks *c, struct err *e)
{
	OWN_FREE struct btrfs_ioctl_search_args_v2 *q = calloc(1, sizeof(*q) + TREE_BYTES);

	if (!q)
		return err_sys(e, "chunks of the file system");
	q->key = (struct btrfs_ioctl_search_key){ .tree_id = BTRFS_CHUNK_TREE_OBJECTID, .min_objectid = BTRFS_FIRST_CHUNK_TREE_OBJECTID,
		.max_objectid = BTRFS_FIRST_CHUNK_TREE_OBJECTID, .min_type = BTRFS_CHUNK_ITEM_KEY, .max_type = BTRFS_CHUNK_ITEM_KEY,
		.max_offset = UINT64_MAX, .max_transid = UINT64_MAX };
	do {
		q->key.nr_items = 1000;
		q->buf_size = TREE_BYTES;
		if (ioctl(m->mount, BTRFS_IOC_TREE_SEARCH_V2, q) < 0)
			return 0;	/* not told */
		if (take_items(c, device, q, e) < 0)
			return -1;
	} while (q->key.nr_items > 0);
	return 0;
}

static const struct chunk *chunk_at(const struct chunks *c, uint64_t at)
{
	for (size_t i = 0; i < c->n; i++)
		if (at >= c->v[i].at && at - c->v[i].at < c->v[i].length)
			return &c->v[i];
	return NULL;
}

/* "file PATH of subvolume N", by the first inode that refers to the place; "free" when none does. */
static char *who_refers(const struct medium *m, uint64_t logical)
{
	union { struct btrfs_data_container c; uint8_t room[REFS_BYTES]; } refs = { .room = { 0 } };
	struct btrfs_ioctl_logical_ino_args q = { .logical = logical, .size = sizeof(refs), .flags = BTRFS_LOGICAL_INO_ARGS_IGNORE_OFFSET,
		.inodes = (uint64_t)(uintptr_t)&refs };
	struct btrfs_ioctl_ino_lookup_args path = { 0 };
	char *text = NULL;
	size_t n;

	if (ioctl(m->mount, BTRFS_IOC_LOGICAL_INO_V2, &q) < 0)
		return errno == ENOENT ? strdup("free") : NULL;
	if (refs.c.elem_cnt < 3)
		return strdup("free");
	path.objectid = refs.c.val[0];
	path.treeid = refs.c.val[2];
	if (ioctl(m->mount, BTRFS_IOC_INO_LOOKUP, &path) < 0)
		return NULL;
	n = strnlen(path.name, sizeof(path.name));
	if (n && path.name[n - 1] == '/')
		n--;
	return asprintf(&text, "file %.*s of subvolume %llu", (int)n, path.name, (unsigned long long)refs.c.val[2]) < 0 ? NULL : text;
}

int search_owners_btrfs(struct search *s, const struct medium *m, struct err *e)
{
	struct chunks c = { NULL, 0 };
	uint64_t device;
	int r = device_id(m, &device) ? read_chunks(m, device, &c, e) : 0;

	for (size_t i = 0; r == 0 && i < s->n; i++) {
		const struct chunk *k = chunk_at(&c, s->hits[i].at);

		if (k && !(k->type & BTRFS_BLOCK_GROUP_DATA))
			s->hits[i].owner = strdup("metadata");
		else if (k)
			s->hits[i].owner = who_refers(m, k->logical + (s->hits[i].at - k->at));
	}
	free(c.v);
	return r;
}
