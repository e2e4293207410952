/* rooms: manifest */
/* The manifest as others read it: bsdtar lists it, NetBSD mtree compares it with the tree without a word. */
#include "esc.h"
#include "manifest.h"
#include "path.h"
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

static char top[] = "/tmp/manifest-stock-XXXXXX";
static int tree = -1;

static void put_file(const char *name, const char *content, mode_t mode)
{
	OWN_FD int fd = openat(tree, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	assert_int_equal(fchmod(fd, mode), 0);
}

/* Bytes that some reader of lists stumbles over.  A glob must fit no sibling: mtree takes it for a pattern. */
static const char *const awkward[] = { "new\nline", "q\"uote's", "g*[l]o?b", "#hash", "a=b", "-dash", "\xff\xfe\x80raw",
	"\xe4\xb8\xad\xe6\x96\x87", "back\\slash", "\\040", "tab\t", " ", "...", "~", "$x", "%25", "\x01\x1b[31m", "\x7f", "end " };

static int make_tree(void **state)
{
	const struct timespec odd[2] = { { 0, UTIME_OMIT }, { -2, 500000001 } };
	char path[64];

	(void)state;
	umask(022);
	assert_non_null(mkdtemp(top));
	(void)snprintf(path, sizeof(path), "%s/tree", top);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_true((tree = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0);
	for (size_t i = 0; i < sizeof(awkward) / sizeof(awkward[0]); i++)
		put_file(awkward[i], awkward[i], 0640);
	put_file("empty", "", 04755);
	assert_int_equal(mkdirat(tree, "sticky", 0700), 0);
	assert_int_equal(fchmodat(tree, "sticky", 01777, 0), 0);
	assert_int_equal(mkdirat(tree, "setgid", 0700), 0);
	assert_int_equal(fchmodat(tree, "setgid", 02755, 0), 0);
	assert_int_equal(mkdirat(tree, "setgid/*", 0755), 0);
	put_file("setgid/*/#", "x", 0600);
	assert_int_equal(linkat(tree, "setgid/*/#", tree, "zz further name", 0), 0);
	assert_int_equal(symlinkat("to here\n#\xff*", tree, "symlink"), 0);
	assert_int_equal(mkfifoat(tree, "fifo", 0600), 0);
	assert_int_equal(utimensat(tree, "a=b", odd, 0), 0);
	assert_int_equal(utimensat(tree, "symlink", odd, AT_SYMLINK_NOFOLLOW), 0);
	if (geteuid() == 0) {
		assert_int_equal(mknodat(tree, "char", S_IFCHR | 0600, makedev(1, 3)), 0);
		assert_int_equal(mknodat(tree, "block", S_IFBLK | 0640, makedev(259, 70000)), 0);
		assert_int_equal(fchownat(tree, "symlink", 12345, 54321, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(fchownat(tree, "#hash", 4000000000u, 7, 0), 0);
	}
	return 0;
}

static int remove_tree(void **state)
{
	const char *const argv[] = { "rm", "-rf", top, NULL };
	const struct proc_options o = { .argv = argv };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct err e = ERR_INIT;

	(void)state;
	(void)close(tree);
	return proc_run(&o, &r, &e);
}

static enum entry_type type_of(mode_t m)
{
	return S_ISREG(m) ? ENTRY_FILE : S_ISDIR(m) ? ENTRY_DIR : S_ISLNK(m) ? ENTRY_SYMLINK : S_ISFIFO(m) ? ENTRY_FIFO :
	    S_ISCHR(m) ? ENTRY_CHAR : S_ISBLK(m) ? ENTRY_BLOCK : ENTRY_SOCKET;
}

static void describe(struct entry *en, const char *path)
{
	struct stat st;
	char target[256];
	struct err e = ERR_INIT;

	assert_int_equal(entry_set_path(en, path, strlen(path), &e), 0);
	assert_int_equal(fstatat(tree, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	en->type = type_of(st.st_mode);
	en->outcome = ENTRY_UNCHANGED;
	en->mode = st.st_mode & 07777;
	en->uid = st.st_uid;
	en->gid = st.st_gid;
	en->mtime_s = st.st_mtim.tv_sec;
	en->mtime_ns = (uint32_t)st.st_mtim.tv_nsec;
	en->nlink = (uint32_t)st.st_nlink;
	en->owner = strdup("some one");
	if (en->type == ENTRY_SYMLINK) {
		ssize_t n = readlinkat(tree, path, target, sizeof(target));

		assert_true(n > 0);
		en->target = strndup(target, (size_t)n);
	} else if (en->type == ENTRY_FILE) {
		OWN_FD int fd = openat(tree, path, O_RDONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		en->has |= ENTRY_HAS_SHA256 | ENTRY_HAS_LAYOUT;
		assert_int_equal(digest_fd(fd, en->sha256, &en->size, &e), 0);
	} else if (en->type == ENTRY_CHAR || en->type == ENTRY_BLOCK) {
		en->rdev_major = major(st.st_rdev);
		en->rdev_minor = minor(st.st_rdev);
	}
}

static int cmp_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_beneath(struct manifest_writer *w, const char *dir);

static void list_one(struct manifest_writer *w, const char *path)
{
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct err e = ERR_INIT;

	describe(&en, path);
	if (manifest_writer_add(w, &en, &e) < 0)
		fail_msg("%s", e.text);
	if (en.type == ENTRY_DIR)
		list_beneath(w, path);
}

static void list_beneath(struct manifest_writer *w, const char *dir)
{
	char *names[64];
	size_t n = 0;
	struct dirent *d;
	OWN_DIR DIR *handle = fdopendir(openat(tree, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	assert_non_null(handle);
	while ((d = readdir(handle))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		assert_true(n < 64);
		assert_true(asprintf(&names[n++], "%s%s%s", strcmp(dir, ".") ? dir : "", strcmp(dir, ".") ? "/" : "", d->d_name) > 0);
	}
	qsort(names, n, sizeof(names[0]), cmp_names);
	for (size_t i = 0; i < n; i++) {
		list_one(w, names[i]);
		free(names[i]);
	}
}

static int to_file(void *ctx, const char *name, const void *text, size_t n, struct err *e)
{
	(void)name;
	(void)e;
	return fwrite(text, 1, n, ctx) == n ? 0 : -1;
}

/* The manifest of the tree, as a file: "TOP/list". */
static void write_list(char path[64])
{
	OWN(manifest_writer_freep) struct manifest_writer *w = NULL;
	OWN_ENTRY struct entry skipped = ENTRY_INIT;
	OWN_BUF struct buf index = BUF_INIT;
	struct manifest_root root;
	struct err e = ERR_INIT;
	OWN_FILE FILE *f = NULL;

	(void)snprintf(path, 64, "%s/list", top);
	assert_non_null(f = fopen(path, "we"));
	assert_int_equal(manifest_writer_new(&w, to_file, f, &e), 0);
	list_one(w, ".");
	assert_int_equal(entry_set_path(&skipped, "\xff\xffskipped", 9, &e), 0);
	skipped.type = ENTRY_SOCKET;
	skipped.outcome = ENTRY_SKIPPED;
	skipped.note = strdup("socket");
	assert_int_equal(manifest_writer_add(w, &skipped, &e), 0);
	assert_int_equal(manifest_writer_finish(w, &index, &root, NULL, &e), 0);
	assert_int_equal(fflush(f), 0);
}

static void run(const char *const *argv, struct proc_result *r)
{
	static const char *const env[] = { "LC_ALL=C", NULL };
	const struct proc_options o = { .argv = argv, .env = env, .timeout_ms = 20000 };
	struct err e = ERR_INIT;

	if (proc_run(&o, r, &e) < 0)
		fail_msg("%s", e.text);
	if (r->status == 127) {
		print_message("skipped: %s is not installed\n", argv[0]);
		skip();
	}
}

static void mtree_compares_without_a_word(void **state)
{
	char list[64], root[64];
	const char *const argv[] = { "mtree", "-p", root, "-f", list, NULL };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;

	(void)state;
	write_list(list);
	(void)snprintf(root, sizeof(root), "%s/tree", top);
	run(argv, &r);
	if (r.status != 0 || r.out.len || r.err.len)
		fail_msg("mtree: status %d\n%s%s", r.status, r.out.len ? r.out.data : "", r.err.len ? r.err.data : "");
}

static void mtree_sees_a_change(void **state)
{
	char list[64], root[64];
	const char *const argv[] = { "mtree", "-p", root, "-f", list, NULL };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	const struct timespec before[2] = { { 0, UTIME_OMIT }, { 1, 0 } }, after[2] = { { 0, UTIME_OMIT }, { 1, 1000 } };	/* mtree counts in microseconds */

	(void)state;
	assert_int_equal(utimensat(tree, "new\nline", before, 0), 0);
	write_list(list);
	(void)snprintf(root, sizeof(root), "%s/tree", top);
	assert_int_equal(utimensat(tree, "new\nline", after, 0), 0);
	run(argv, &r);
	assert_int_equal(r.status, 2);
	assert_non_null(strstr(r.out.data, "line:"));
}

/* bsdtar prints one name a line, in its own escapes. */
static void bsdtar_lists_every_name(void **state)
{
	char list[64];
	const char *const argv[] = { "bsdtar", "-tf", list, NULL };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	size_t lines = 0, expected = sizeof(awkward) / sizeof(awkward[0]) + 1 + 1 + 2 + 2 + 3 + (geteuid() == 0 ? 2 : 0);

	(void)state;
	write_list(list);
	run(argv, &r);
	assert_int_equal(r.status, 0);
	assert_int_equal(r.err.len, 0);
	for (size_t i = 0; i < r.out.len; i++)
		lines += r.out.data[i] == '\n';
	assert_int_equal(lines, expected);
	assert_non_null(strstr(r.out.data, "\n./g*[l]o?b\n"));
	assert_non_null(strstr(r.out.data, "\n./new\\nline\n"));
	assert_non_null(strstr(r.out.data, "\n./\\\\040\n"));
	assert_non_null(strstr(r.out.data, "\n./\\377\\376\\200raw\n"));
	assert_non_null(strstr(r.out.data, "\n./-dash\n"));
	assert_non_null(strstr(r.out.data, "\n./setgid/*/#\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mtree_compares_without_a_word),
		cmocka_unit_test(mtree_sees_a_change),
		cmocka_unit_test(bsdtar_lists_every_name),
	};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
