#include "inventory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "atomic_file.h"
#include "io.h"
#include "names.h"
#include "version.h"

static const char magic[] = "WBINV1\n";
#define MAGIC_LEN (sizeof(magic) - 1)
#define RECORD_MAX (8u << 20)

static char *file_name(const struct run *r, const char *dataset, char out[VERSION_REV])
{
	(void)snprintf(out, VERSION_REV, "%s.%s.inventory", r->plan->name, dataset);
	return out;
}

void inventory_close(struct inventory *v)
{
	if (v->fd >= 0)
		(void)close(take_fd(&v->fd));
}

static int write_records(struct passfile *found, const struct names *names, int fd, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	uint64_t place;
	int got;

	if (passfile_rewind(found, e) < 0 || io_write_all("clear", fd, magic, MAGIC_LEN, "inventory", e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		size_t start = b.len;

		if ((got = passfile_next(found, &en, &place, e)) < 0)
			return -1;
		if (b.len >= 1 << 20 || got == 0) {
			if (io_write_all("clear", fd, b.data ? b.data : "", b.len, "inventory", e) < 0)
				return -1;
			buf_reset(&b);
			start = 0;
		}
		if (got == 0)
			return 0;
		if (en.type != ENTRY_DIR)
			en.nlink = names_count(names, en.link_to ? en.link_to : en.path);
		entry_encode(&b, &en, NULL);
		buf_put_u32(&b, (uint32_t)(b.len - start));
		if (buf_finish(&b, e) < 0)
			return -1;
	}
}

int inventory_write(struct run *r, const char *dataset, struct passfile *found, struct err *e)
{
	OWN_ATOMIC_FILE struct atomic_file f = ATOMIC_FILE_INIT;
	OWN(names_dispose) struct names names = NAMES_INIT;
	char name[VERSION_REV];

	if (names_from(&names, found, e) < 0 ||
	    atomic_file_open(&f, r->w->scanfd, file_name(r, dataset, name), 0600, e) < 0 ||
	    write_records(found, &names, f.fd, e) < 0)
		return -1;
	return atomic_file_commit(&f, e);
}

/* Reads the record that ends at v->at; moves v->at before it. */
static int read_back(struct inventory *v, struct entry *en, struct err *e)
{
	OWN_FREE char *b = NULL;
	unsigned char tail[4];
	struct view view;
	uint32_t len;

	if (v->at < MAGIC_LEN + 4 || io_pread_full("clear", v->fd, tail, 4, v->at - 4, "inventory", e) != 4)
		return err_set(e, ERR_INTEGRITY, "the inventory of the clearing is damaged");
	view = view_of(tail, 4);
	len = view_u32(&view);
	if (len > RECORD_MAX || v->at - MAGIC_LEN - 4 < len || !(b = malloc(len ? len : 1)))
		return err_set(e, ERR_INTEGRITY, "the inventory of the clearing is damaged");
	v->at -= 4 + (uint64_t)len;
	if (io_pread_full("clear", v->fd, b, len, v->at, "inventory", e) != (ssize_t)len)
		return err_set(e, ERR_INTEGRITY, "the inventory of the clearing is damaged");
	view = view_of(b, len);
	if (entry_decode(&view, en, NULL, e) < 0 || !view_done(&view))
		return err_set(e, ERR_INTEGRITY, "the inventory of the clearing is damaged");
	return 1;
}

int inventory_next(struct inventory *v, struct entry *en, struct err *e)
{
	return v->at == MAGIC_LEN ? 0 : read_back(v, en, e);
}

static int count_objects(struct inventory *v, uint64_t size, struct err *e)
{
	int got;

	v->at = size;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = inventory_next(v, &en, e)) <= 0)
			break;
		v->count++;
		v->bytes += en.type == ENTRY_FILE && !en.link_to ? en.size : 0;
	}
	v->at = size;
	return got;
}

int inventory_open(struct run *r, const char *dataset, struct inventory *v, struct err *e)
{
	char name[VERSION_REV], head[MAGIC_LEN];
	uint64_t size;

	v->fd = openat(r->w->scanfd, file_name(r, dataset, name), O_RDONLY | O_CLOEXEC);
	if (v->fd < 0)
		return err_sys(e, "inventory of the clearing, %s in the workspace's scan directory", name);
	if (io_read_full("clear", v->fd, head, MAGIC_LEN, name, e) != (ssize_t)MAGIC_LEN || memcmp(head, magic, MAGIC_LEN) != 0)
		return err_set(e, ERR_INTEGRITY, "%s is no inventory", name);
	if (lseek(v->fd, 0, SEEK_SET) < 0 || digest_fd(v->fd, v->sha256, &size, e) < 0)
		return err_sys(e, "read %s", name);
	return count_objects(v, size, e);
}
