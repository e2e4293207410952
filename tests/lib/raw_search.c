/*
 * raw_search DEVICE DIR - the judge of the clearing tests: how much of the files beneath DIR can be read on DEVICE?
 *
 * Shares nothing with waybill: it compares bytes.  Prints "SECTORS STRINGS": how many of the files' whole 512-byte sectors stand at
 * some multiple of 512 of the device, and how many of their first and last 32 bytes stand anywhere on it.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR 512
#define STRING 32

static unsigned char *device;
static size_t size;

struct item { unsigned char bytes[SECTOR]; size_t len; int seen; struct item *next; };
static struct item *sectors[65536], *strings[65536];
static unsigned long nsectors, nstrings;

static unsigned two(const unsigned char *p) { return p[0] | (unsigned)p[1] << 8; }

static void add(struct item **table, const unsigned char *p, size_t n)
{
	struct item *i = calloc(1, sizeof(*i));

	if (!i)
		exit(2);
	memcpy(i->bytes, p, n);
	i->len = n;
	i->next = table[two(p)];
	table[two(p)] = i;
}

static int file(const char *path, const struct stat *st, int type, struct FTW *f)
{
	size_t n = (size_t)st->st_size;
	unsigned char *p;
	int fd;

	(void)f;
	if (type != FTW_F || !S_ISREG(st->st_mode) || n < STRING)
		return 0;
	if ((fd = open(path, O_RDONLY)) < 0 || !(p = malloc(n)) || read(fd, p, n) != (ssize_t)n)
		exit(2);
	for (size_t at = 0; at + SECTOR <= n; at += SECTOR)
		add(sectors, p + at, SECTOR);
	add(strings, p, STRING);
	add(strings, p + n - STRING, STRING);
	free(p);
	close(fd);
	return 0;
}

static unsigned long look(struct item *list, const unsigned char *p, size_t left)
{
	unsigned long n = 0;

	for (; list; list = list->next)
		if (!list->seen && list->len <= left && memcmp(list->bytes, p, list->len) == 0)
			n += (unsigned long)(list->seen = 1);
	return n;
}

int main(int argc, char **argv)
{
	void *p;
	int fd;

	if (argc != 3 || (fd = open(argv[1], O_RDONLY | O_DIRECT)) < 0)
		return 2;
	size = (size_t)lseek(fd, 0, SEEK_END);
	if (posix_memalign(&p, 4096, size + 4096))
		return 2;
	device = p;
	for (size_t at = 0; at < size;) {
		ssize_t n = pread(fd, device + at, size - at < 1 << 20 ? size - at : 1 << 20, (off_t)at);

		if (n <= 0)
			return 2;
		at += (size_t)n;
	}
	if (nftw(argv[2], file, 16, FTW_PHYS) != 0)
		return 2;
	for (size_t at = 0; at + STRING <= size; at++) {
		if (at % SECTOR == 0 && at + SECTOR <= size)
			nsectors += look(sectors[two(device + at)], device + at, size - at);
		if (strings[two(device + at)])
			nstrings += look(strings[two(device + at)], device + at, size - at);
	}
	printf("%lu %lu\n", nsectors, nstrings);
	return 0;
}
