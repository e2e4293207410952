#include "attrs_read.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "esc.h"

/* The kernel's limits for a list and for a value. */
#define LIST_BYTES 65536
#define VALUE_BYTES 65536

/* fgetxattr refuses O_PATH fds; the magic link leads to the inode itself, a symlink included, and no further. */
struct source { int fd; char proc[40]; };

static ssize_t list_names(const struct source *s, char *p, size_t n)
{
	ssize_t r = flistxattr(s->fd, p, n);

	return r < 0 && errno == EBADF ? listxattr(s->proc, p, n) : r;
}

static ssize_t get_value(const struct source *s, const char *name, void *p, size_t n)
{
	ssize_t r = fgetxattr(s->fd, name, p, n);

	return r < 0 && errno == EBADF ? getxattr(s->proc, name, p, n) : r;
}

static int read_one(const struct source *s, const char *name, void *value, struct attr_set *set, size_t *total, struct err *e)
{
	ssize_t n = get_value(s, name, value, VALUE_BYTES);

	if (n < 0 && (errno == ENODATA || errno == EOPNOTSUPP))
		return 0;
	if (n < 0)
		return err_sys(e, "extended attribute %s", esc_s(name));
	/* As the blob will hold it: an escaped name, base64. */
	*total += strlen(name) * 4 + (size_t)n / 3 * 4 + 8;
	if (*total > ATTR_BLOB_MAX)
		return err_set(e, ERR_PERMANENT, "more than %u bytes of extended attributes", ATTR_BLOB_MAX);
	return attr_set_add(set, name, value, (size_t)n, e);
}

int attrs_read(int fd, struct attr_set *set, struct err *e)
{
	struct source s = { fd, "" };
	OWN_FREE char *names = NULL;
	OWN_FREE uint8_t *value = NULL;
	size_t total = 0;
	char few[512];
	char *list = few;
	ssize_t n;

	(void)snprintf(s.proc, sizeof(s.proc), "/proc/self/fd/%d", fd);
	n = list_names(&s, few, sizeof(few));
	if (n < 0 && errno == ERANGE) {
		if (!(names = malloc(LIST_BYTES)))
			return err_sys(e, "extended attributes");
		list = names;
		n = list_names(&s, list, LIST_BYTES);
	}
	if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
		return 0;
	if (n < 0)
		return err_sys(e, "extended attributes");
	if (n && !(value = malloc(VALUE_BYTES)))
		return err_sys(e, "extended attributes");
	for (const char *p = list; p < list + n; p += strlen(p) + 1)
		if (read_one(&s, p, value, set, &total, e) < 0)
			return -1;
	return 0;
}
