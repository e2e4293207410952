/* A root in a throw-away directory and an agent that erases it, object by object; include after cmocka.h. */
#ifndef ERASE_CHILD_H
#define ERASE_CHILD_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../lib/agent_child.h"

static char top[64], root[80], scope[256];
static int rootfd;
static struct child child;
static uint64_t next_index;

static inline int setup(void **state)
{
	(void)state;
	strcpy(top, "/tmp/test-erase-XXXXXX");
	if (!mkdtemp(top) || setenv("HOME", top, 1) < 0)
		return -1;
	(void)snprintf(root, sizeof(root), "%s/root", top);
	(void)snprintf(scope, sizeof(scope), "I agree.\npath: old:%s\n", root);
	next_index = 0;
	return mkdir(root, 0755) == 0 && (rootfd = open(root, O_RDONLY | O_DIRECTORY)) >= 0 ? 0 : -1;
}

static inline int teardown(void **state)
{
	char cmd[256];

	(void)state;
	(void)close(rootfd);
	(void)snprintf(cmd, sizeof(cmd), "chattr -R -i %s 2>/dev/null; rm -rf %s", top, top);
	return system(cmd);
}

static inline void put_file(const char *path, const char *text, size_t times)
{
	OWN_FD int fd = openat(rootfd, path, O_WRONLY | O_CREAT | O_EXCL, 0400);

	assert_true(fd >= 0);
	for (size_t i = 0; i < times; i++)
		assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fsync(fd), 0);
}

/* The entry as an inventory holds it. */
static inline struct entry inventoried(const char *path)
{
	struct entry en = { .path = (char *)(uintptr_t)path, .path_len = strlen(path), .outcome = ENTRY_UNCHANGED, .has = ENTRY_HAS_SCAN };
	struct stat st;

	assert_int_equal(fstatat(rootfd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	en.type = S_ISDIR(st.st_mode) ? ENTRY_DIR : S_ISLNK(st.st_mode) ? ENTRY_SYMLINK : S_ISFIFO(st.st_mode) ? ENTRY_FIFO : ENTRY_FILE;
	en.mode = st.st_mode & 07777;
	en.size = en.type == ENTRY_FILE ? (uint64_t)st.st_size : 0;
	en.mtime_s = st.st_mtim.tv_sec;
	en.mtime_ns = (uint32_t)st.st_mtim.tv_nsec;
	en.nlink = (uint32_t)st.st_nlink;
	en.scan = (struct entry_scan){ .dev = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev), .ino = st.st_ino };
	if (en.type == ENTRY_SYMLINK)
		en.target = (char *)(uintptr_t)"x";
	return en;
}

static inline void begin(uint64_t flags) { child_start(&child, "erase", root, 1, scope, flags); }

static inline void ask(const struct entry *en)
{
	struct buf b = BUF_INIT;

	msg_numbered_encode(&b, next_index++, en);
	child_send(&child, MSG_INVENTORY, &b);
}

/* The next message about an object; its text is kept in reason. */
static char reason[2048];
static inline struct msg_erased next_answer(void)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	struct msg_erased r = { .text = NULL };
	struct err e = ERR_INIT;

	if (wire_recv(child.wire, WIRE_ACK, &f, &e) != 1)
		fail_msg("no result: %s", e.text);
	assert_int_equal(f.type, MSG_ERASED);
	assert_int_equal(msg_erased_decode(f.data, f.len, &r, &e), 0);
	(void)snprintf(reason, sizeof(reason), "%s", r.text);
	free(take_ptr(&r.text));
	return r;
}

static inline void let_unlink(uint64_t index)
{
	struct buf b = BUF_INIT;

	msg_number_encode(&b, index);
	child_send(&child, MSG_ERASE_UNLINK, &b);
}

/* The end of an object; whatever wants to be unlinked may be. */
static inline struct msg_erased answer(uint64_t index)
{
	static struct msg_erased ended[64];	/* that came before their turn: what is not unlinked ends earlier */

	memset(ended, 0, index == 0 ? sizeof(ended) : 0);
	while (!ended[index].state) {
		struct msg_erased r = next_answer();

		assert_true(r.index < 64);
		if (r.state == MSG_ERASE_INTENDED)
			let_unlink(r.index);
		else
			ended[r.index] = r;
	}
	return ended[index];
}

static inline struct msg_erased ask_one(const struct entry *en)
{
	ask(en);
	return answer(next_index - 1);
}

static inline int finish(struct err *e)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

	if (wire_end(child.wire, WIRE_DATA, e) < 0)
		err_clear(e);
	while (wire_recv(child.wire, WIRE_CONTROL, &f, e) > 0)
		wire_frame_dispose(&f);
	/* Its last word is the end of this stream. */
	while (e->class == ERR_NONE && wire_recv(child.wire, WIRE_ACK, &f, e) > 0)
		wire_frame_dispose(&f);
	return child_reap(&child);
}

static inline void finish_clean(void)
{
	struct err e = ERR_INIT;

	assert_int_equal(finish(&e), 0);
}

static inline bool there(const char *path) { return faccessat(rootfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

#endif
