/*
 * dump_tree DIR - one line for everything that can be told apart in a tree, for the tests to compare two trees with.
 *
 * It shares no code with the program and reads in another way: names by getdents64, no path longer than one component, attributes by
 * statx, the ranges of a file by FIEMAP (what is allocated, written or not: SEEK_DATA depends on the page cache there), else by
 * SEEK_DATA and SEEK_HOLE.  Of times it prints the modification time; of the ctime, the inode number and the birth time nothing, for nobody can copy them.
 *
 *   PATH type mode uid gid mtime size nlink [device] [-> target] [= first name] {flags} [ranges] (content) <attributes>
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

struct names { char **v; size_t n; };
struct inode { uint64_t dev, ino; char *path; };

static struct inode *inodes;
static size_t inode_count;

static void die(const char *what, const char *path)
{
	fprintf(stderr, "dump_tree: %s: %s: %s\n", path, what, strerror(errno));
	exit(2);
}

static void put_escaped(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c > ' ' && c < 127 && c != '\\')
			putchar(c);
		else
			printf("\\%03o", c);
	}
}

static void put_hex(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%02x", p[i]);
}

/* ---- names ---- */

struct raw_name { uint64_t ino; int64_t off; unsigned short len; unsigned char type; char name[]; };

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void take_name(struct names *s, const char *name)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	if ((s->n & (s->n - 1)) == 0 && !(s->v = realloc(s->v, (s->n ? 2 * s->n : 1) * sizeof(*s->v))))
		die("memory", name);
	if (!(s->v[s->n++] = strdup(name)))
		die("memory", name);
}

static struct names list(int fd, const char *path)
{
	static _Alignas(8) char block[65536];
	struct names s = { NULL, 0 };
	long got;

	while ((got = syscall(SYS_getdents64, fd, block, sizeof(block))) > 0)
		for (long at = 0; at < got; ) {
			const struct raw_name *d = (const void *)(block + at);

			take_name(&s, d->name);
			at += d->len;
		}
	if (got < 0)
		die("getdents64", path);
	if (s.n)
		qsort(s.v, s.n, sizeof(*s.v), by_bytes);
	return s;
}

/* ---- one inode ---- */

static const char *first_name(const struct statx *st, const char *path)
{
	uint64_t dev = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;

	for (size_t i = 0; i < inode_count; i++)
		if (inodes[i].ino == st->stx_ino && inodes[i].dev == dev)
			return inodes[i].path;
	if ((inode_count & (inode_count - 1)) == 0 &&
	    !(inodes = realloc(inodes, (inode_count ? 2 * inode_count : 1) * sizeof(*inodes))))
		die("memory", path);
	inodes[inode_count++] = (struct inode){ dev, st->stx_ino, strdup(path) };
	return NULL;
}

static void put_xattrs(const char *proc, const char *path)
{
	static char list_of[65536];
	static unsigned char value[65536];
	ssize_t n = listxattr(proc, list_of, sizeof(list_of));
	struct names s = { NULL, 0 };

	if (n < 0 && errno == EOPNOTSUPP)
		return;
	if (n < 0)
		die("listxattr", path);
	for (const char *p = list_of; p < list_of + n; p += strlen(p) + 1)
		take_name(&s, p);
	if (s.n)
		qsort(s.v, s.n, sizeof(*s.v), by_bytes);
	for (size_t i = 0; i < s.n; i++) {
		ssize_t len = getxattr(proc, s.v[i], value, sizeof(value));

		if (len < 0)
			die(s.v[i], path);
		printf(" <");
		put_escaped(s.v[i], strlen(s.v[i]));
		putchar('=');
		put_hex(value, (size_t)len);
		putchar('>');
		free(s.v[i]);
	}
	free(s.v);
}

static void put_ranges(int fd, uint64_t size, const char *path)
{
	off_t at = 0;

	printf(" [");
	while ((uint64_t)at < size) {
		off_t data = lseek(fd, at, SEEK_DATA), hole = 0;

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0 || (hole = lseek(fd, data, SEEK_HOLE)) < 0)
			die("SEEK_DATA", path);
		printf("%s%jd-%jd", at ? " " : "", (intmax_t)data, (intmax_t)hole);
		at = hole;
	}
	putchar(']');
}

/* Allocated is what FIEMAP lists up to the end of the file, written or not, neighbours merged. */
static void put_allocated(int fd, uint64_t size, const char *path)
{
	enum { BATCH = 128 };
	union { struct fiemap f; char room[sizeof(struct fiemap) + BATCH * sizeof(struct fiemap_extent)]; } q;
	uint64_t next = 0, from = 0, to = 0;
	bool last = size == 0;

	printf(" [");
	while (!last && next < size) {
		memset(&q, 0, sizeof(q));
		q.f.fm_start = next;
		q.f.fm_length = size - next;
		q.f.fm_flags = FIEMAP_FLAG_SYNC;
		q.f.fm_extent_count = BATCH;
		if (ioctl(fd, FS_IOC_FIEMAP, &q) < 0) {
			if (errno != EOPNOTSUPP && errno != ENOTTY)
				die("FIEMAP", path);
			put_ranges(fd, size, path);
			break;
		}
		if (q.f.fm_mapped_extents == 0)
			break;
		for (uint32_t i = 0; i < q.f.fm_mapped_extents; i++) {
			uint64_t a = q.f.fm_extents[i].fe_logical, b = a + q.f.fm_extents[i].fe_length;

			if (a != to && to > from)
				printf("%" PRIu64 "-%" PRIu64 " ", from, to);
			from = a != to ? a : from;
			to = next = b;
			last = last || (q.f.fm_extents[i].fe_flags & FIEMAP_EXTENT_LAST);
		}
	}
	if (to > from)
		printf("%" PRIu64 "-%" PRIu64, from, to < size ? to : size);
	putchar(']');
}

static void put_content(int fd, const char *path)
{
	static unsigned char block[1 << 20];
	uint64_t h = 0xcbf29ce484222325u, words = 0;
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, block, sizeof(block), at)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			h = (h ^ block[i]) * 0x100000001b3u;
		words += (uint64_t)n;
		at += n;
	}
	if (n < 0)
		die("read", path);
	printf(" (%016" PRIx64 " %" PRIu64 ")", h, words);
}

static const char *type_name(unsigned mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return "file";
	case S_IFDIR: return "dir";
	case S_IFLNK: return "link";
	case S_IFIFO: return "fifo";
	case S_IFCHR: return "char";
	case S_IFBLK: return "block";
	case S_IFSOCK: return "socket";
	default: return "?";
	}
}

static void put_file(int opath, const struct statx *st, const char *path)
{
	char proc[40];
	int flags = 0, fd;

	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", opath);
	if ((fd = open(proc, O_RDONLY | O_CLOEXEC | O_NOATIME)) < 0 && (fd = open(proc, O_RDONLY | O_CLOEXEC)) < 0)
		die("open", path);
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0)
		printf(" {%x}", (unsigned)flags & (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL));
	if (S_ISREG(st->stx_mode)) {
		put_allocated(fd, st->stx_size, path);
		put_content(fd, path);
	}
	(void)close(fd);
}

static void put_target(int opath, const char *path)
{
	static char target[65536];
	ssize_t n = readlinkat(opath, "", target, sizeof(target));

	if (n < 0)
		die("readlink", path);
	printf(" -> ");
	put_escaped(target, (size_t)n);
}

static struct statx put_inode(int opath, const char *path)
{
	struct statx st;
	const char *first;
	char proc[40];

	if (statx(opath, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st) < 0)
		die("statx", path);
	put_escaped(path, strlen(path));
	printf(" %s %04o %u %u %lld.%09u %llu", type_name(st.stx_mode), st.stx_mode & 07777u, st.stx_uid, st.stx_gid,
	    (long long)st.stx_mtime.tv_sec, st.stx_mtime.tv_nsec, S_ISDIR(st.stx_mode) ? 0ull : (unsigned long long)st.stx_size);
	if (!S_ISDIR(st.stx_mode)) {
		printf(" %u", st.stx_nlink);
		if (st.stx_nlink > 1 && (first = first_name(&st, path))) {
			printf(" = ");
			put_escaped(first, strlen(first));
		}
	}
	if (S_ISCHR(st.stx_mode) || S_ISBLK(st.stx_mode))
		printf(" %u:%u", st.stx_rdev_major, st.stx_rdev_minor);
	if (S_ISLNK(st.stx_mode))
		put_target(opath, path);
	if (S_ISREG(st.stx_mode) || S_ISDIR(st.stx_mode))
		put_file(opath, &st, path);
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", opath);
	put_xattrs(proc, path);
	putchar('\n');
	return st;
}

static void dump(int opath, const char *path)
{
	struct statx st = put_inode(opath, path);
	struct names s;
	int fd;

	if (!S_ISDIR(st.stx_mode))
		return;
	if ((fd = openat(opath, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		die("open", path);
	s = list(fd, path);
	for (size_t i = 0; i < s.n; i++) {
		int child = openat(fd, s.v[i], O_PATH | O_NOFOLLOW | O_CLOEXEC);
		char *full = NULL;

		if (child < 0 || asprintf(&full, "%s/%s", path, s.v[i]) < 0)
			die("open", s.v[i]);
		dump(child, full);
		(void)close(child);
		free(full);
		free(s.v[i]);
	}
	free(s.v);
	(void)close(fd);
}

int main(int argc, char **argv)
{
	int root = argc == 2 ? open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (root < 0) {
		fprintf(stderr, "usage: dump_tree DIR\n");
		return 2;
	}
	dump(root, ".");
	return fflush(stdout) == 0 ? 0 : 2;
}
