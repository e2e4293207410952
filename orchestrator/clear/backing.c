#include "backing.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io.h"

#define DEPTH_MAX 12

static bool first_line(int dir, const char *name, struct buf *b)
{
	struct err ignored = ERR_INIT;

	buf_reset(b);
	if (io_read_file(dir, name, 8192, b, &ignored) < 0 || !b->data)
		return false;
	b->len = strcspn(b->data, "\n");
	b->data[b->len] = '\0';
	return b->len > 0;
}

static bool has(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = words; at && (at = strstr(at, word)); at += n)
		if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return true;
	return false;
}

/* True when it is new. */
static bool add(struct buf *words, const char *word)
{
	if (has(words->data, word))
		return false;
	buf_printf(words, " %s", word);
	return !words->failed;
}

static void of_device(dev_t dev, unsigned depth, struct buf *words);

static void of_file(const struct stat *st, unsigned depth, struct buf *words)
{
	char word[80];

	(void)snprintf(word, sizeof(word), "file:%u:%u:%ju", major(st->st_dev), minor(st->st_dev), (uintmax_t)st->st_ino);
	if (add(words, word))
		of_device(st->st_dev, depth + 1, words);
}

static void of_slaves(int dir, unsigned depth, struct buf *words)
{
	OWN_FD int fd = openat(dir, "slaves", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN_DIR DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *de;

	fd = d ? -1 : fd;
	while (d && (de = readdir(d))) {
		OWN_BUF struct buf b = BUF_INIT;
		char name[300];
		unsigned maj, min;

		(void)snprintf(name, sizeof(name), "%s/dev", de->d_name);
		if (de->d_name[0] != '.' && first_line(dirfd(d), name, &b) && sscanf(b.data, "%u:%u", &maj, &min) == 2)
			of_device(makedev(maj, min), depth + 1, words);
	}
}

static void of_device(dev_t dev, unsigned depth, struct buf *words)
{
	OWN_BUF struct buf b = BUF_INIT;
	OWN_FD int dir = -1;
	char text[80];
	unsigned maj, min;
	struct stat st;

	(void)snprintf(text, sizeof(text), "dev:%u:%u", major(dev), minor(dev));
	if (depth > DEPTH_MAX || !add(words, text))
		return;
	(void)snprintf(text, sizeof(text), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	if ((dir = open(text, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return;
	of_slaves(dir, depth, words);
	if (faccessat(dir, "partition", F_OK, 0) == 0 && first_line(dir, "../dev", &b) && sscanf(b.data, "%u:%u", &maj, &min) == 2)
		of_device(makedev(maj, min), depth + 1, words);
	if (first_line(dir, "loop/backing_file", &b) && stat(b.data, &st) == 0)
		of_file(&st, depth, words);
}

/* Which running kernel these numbers are of. */
static void put_boot(struct buf *words)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (!words->len && first_line(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &b))
		buf_printf(words, "boot:%s", b.data);
}

/* btrfs and the like show a number of their own; what they are mounted from is in mountinfo: "ID PARENT 0:NN ... - TYPE SOURCE ...". */
static dev_t mounted_from(dev_t dev)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;
	char *save = NULL;

	if (major(dev) != 0 || io_read_file(AT_FDCWD, "/proc/self/mountinfo", 4u << 20, &b, &ignored) < 0 || !b.data)
		return dev;
	for (char *line = strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *dash = strstr(line, " - ");
		char source[512];
		unsigned maj, min;
		struct stat st;

		if (dash && sscanf(line, "%*u %*u %u:%u", &maj, &min) == 2 && makedev(maj, min) == dev && sscanf(dash, " - %*s %511s", source) == 1 &&
		    source[0] == '/' && stat(source, &st) == 0 && S_ISBLK(st.st_mode))
			return st.st_rdev;
	}
	return dev;
}

void backing_of(const struct stat *st, struct buf *words)
{
	put_boot(words);
	of_device(S_ISBLK(st->st_mode) ? st->st_rdev : mounted_from(st->st_dev), 0, words);
}

bool backing_holds(const char *words, const struct stat *st)
{
	OWN_BUF struct buf here = BUF_INIT;
	char word[80];

	put_boot(&here);
	if (!words || !here.data || !has(words, here.data))
		return false;
	if (S_ISBLK(st->st_mode))
		(void)snprintf(word, sizeof(word), "dev:%u:%u", major(st->st_rdev), minor(st->st_rdev));
	else
		(void)snprintf(word, sizeof(word), "file:%u:%u:%ju", major(st->st_dev), minor(st->st_dev), (uintmax_t)st->st_ino);
	return has(words, word);
}
