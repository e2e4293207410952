/* rooms: manifest */
#include "esc.h"
#include "io.h"
#include "manifest.h"
#include "path.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* The chunks and INDEX of one manifest, kept in memory. */
struct made {
	struct buf text, index;
	struct buf chunk[64];
	char name[64][MANIFEST_NAME];
	size_t chunks;
	struct manifest_root root;
	struct manifest_totals totals;
	size_t given;		/* chunks already given to a reader */
};

static void made_dispose(struct made *m)
{
	buf_dispose(&m->text);
	buf_dispose(&m->index);
	for (size_t i = 0; i < m->chunks; i++)
		buf_dispose(&m->chunk[i]);
}
#define OWN_MADE OWN(made_dispose)

static int keep_chunk(void *ctx, const char *name, const void *text, size_t n, struct err *e)
{
	struct made *m = ctx;

	(void)e;
	assert_true(m->chunks < 64);
	buf_put(&m->text, text, n);
	buf_put(&m->chunk[m->chunks], text, n);
	(void)snprintf(m->name[m->chunks++], MANIFEST_NAME, "%s", name);
	return 0;
}

static void set_plain(struct entry *en, const char *path, enum entry_type type)
{
	struct err e = ERR_INIT;

	entry_dispose(en);
	assert_int_equal(entry_set_path(en, path, strlen(path), &e), 0);
	en->type = type;
	en->outcome = ENTRY_COPIED;
	en->mode = type == ENTRY_DIR ? 01777 : 0644;
	en->mtime_s = 1700000000;
	en->mtime_ns = 123;
	en->nlink = 1;
	if (type == ENTRY_FILE) {
		en->size = 5;
		en->has = ENTRY_HAS_SHA256;
		memset(en->sha256, 0x5a, DIGEST_LEN);
	}
}

/* A root and count files; without the file whose number is left_out. */
static void make_files(struct made *m, unsigned count, unsigned left_out)
{
	OWN(manifest_writer_freep) struct manifest_writer *w = NULL;
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(manifest_writer_new(&w, keep_chunk, m, &e), 0);
	set_plain(&en, ".", ENTRY_DIR);
	assert_int_equal(manifest_writer_add(w, &en, &e), 0);
	for (unsigned i = 0; i < count; i++) {
		char path[32];

		if (i == left_out)
			continue;
		(void)snprintf(path, sizeof(path), "file-%06u", i);
		set_plain(&en, path, ENTRY_FILE);
		assert_int_equal(manifest_writer_add(w, &en, &e), 0);
	}
	assert_int_equal(manifest_writer_finish(w, &m->index, &m->root, &m->totals, &e), 0);
}

static int give_chunk(void *ctx, struct buf *b, struct err *e)
{
	struct made *m = ctx;

	(void)e;
	if (m->given == m->chunks)
		return 0;
	buf_put(b, m->chunk[m->given].data, m->chunk[m->given].len);
	m->given++;
	return 1;
}

/* One entry with awkward values in each field that text can carry. */
static void set_full(struct entry *en, const char *path)
{
	struct err e = ERR_INIT;

	set_plain(en, path, ENTRY_FILE);
	en->outcome = ENTRY_UNSETTLED;
	en->mode = 06755;
	en->uid = UINT32_MAX;
	en->mtime_s = INT64_MIN;
	en->mtime_ns = 999999999;
	en->has |= ENTRY_HAS_SM3 | ENTRY_HAS_XATTR | ENTRY_HAS_ACL | ENTRY_HAS_BTIME | ENTRY_HAS_FLAGS;
	en->btime_s = -1;
	en->flags = 0xf0;
	en->size = INT64_MAX;
	en->owner = strdup("a b");
	en->group = strdup("#=*?[\\");
	en->note = strdup("grew\nwhile read");
	en->link_to = strdup("#first\xff");
	for (uint64_t i = 0; i < 150; i++)
		assert_int_equal(entry_layout_add(en, 1 + i * 8192, 4096, &e), 0);
}

/* A manifest with every type, every extra and every outcome. */
static void make_varied(struct made *m)
{
	static const enum entry_type types[] = { ENTRY_FIFO, ENTRY_CHAR, ENTRY_BLOCK, ENTRY_SYMLINK, ENTRY_DIR };
	OWN(manifest_writer_freep) struct manifest_writer *w = NULL;
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(manifest_writer_new(&w, keep_chunk, m, &e), 0);
	set_plain(&en, ".", ENTRY_DIR);
	assert_int_equal(manifest_writer_add(w, &en, &e), 0);
	set_plain(&en, "#first\xff", ENTRY_FILE);
	assert_int_equal(manifest_writer_add(w, &en, &e), 0);
	for (size_t i = 0; i < 5; i++) {
		char path[16];

		(void)snprintf(path, sizeof(path), "-%zu\n", i);
		set_plain(&en, path, types[i]);
		en.rdev_major = types[i] == ENTRY_CHAR || types[i] == ENTRY_BLOCK ? 259 : 0;
		if (types[i] == ENTRY_SYMLINK)
			en.target = strdup("../to here");
		assert_int_equal(manifest_writer_add(w, &en, &e), 0);
	}
	set_full(&en, "-4\n/in it");
	assert_int_equal(manifest_writer_add(w, &en, &e), 0);
	set_plain(&en, "hole", ENTRY_FILE);
	en.has |= ENTRY_HAS_LAYOUT;
	assert_int_equal(manifest_writer_add(w, &en, &e), 0);
	set_plain(&en, "no", ENTRY_DIR);
	en.outcome = ENTRY_FAILED;
	en.note = strdup("Permission denied");
	assert_int_equal(manifest_writer_add(w, &en, &e), 0);
	set_plain(&en, "no/beneath", ENTRY_FILE);
	en.outcome = ENTRY_FAILED;
	assert_int_equal(manifest_writer_add(w, &en, &e), 0);
	set_plain(&en, "sock", ENTRY_SOCKET);
	en.outcome = ENTRY_SKIPPED;
	en.note = strdup("socket");
	assert_int_equal(manifest_writer_add(w, &en, &e), 0);
	assert_int_equal(manifest_writer_finish(w, &m->index, &m->root, &m->totals, &e), 0);
}

static void every_entry_reads_back_and_gives_the_same_root(void **state)
{
	OWN_MADE struct made m = { .chunks = 0 };
	OWN(manifest_reader_freep) struct manifest_reader *r = NULL;
	OWN_ENTRY struct entry en = ENTRY_INIT;
	OWN_ENTRY struct entry want = ENTRY_INIT;
	OWN_BUF struct buf again = BUF_INIT;
	struct manifest_root root;
	struct manifest_totals t;
	struct err e = ERR_INIT;
	uint8_t sum[DIGEST_LEN];
	int got;

	(void)state;
	make_varied(&m);
	set_full(&want, "-4\n/in it");
	buf_puts(&again, "#mtree\n");
	assert_int_equal(manifest_reader_new(&r, give_chunk, &m, &e), 0);
	while ((got = manifest_reader_next(r, &en, &e)) > 0) {
		manifest_format(&again, &en);
		if (strcmp(en.path, want.path) == 0) {
			assert_int_equal(entry_compare(&want, &en, 0, NULL, NULL), 0);
			assert_string_equal(en.note, want.note);
			assert_string_equal(en.owner, want.owner);
			assert_true(en.btime_s == -1 && en.outcome == ENTRY_UNSETTLED);
		}
	}
	assert_int_equal(got, 0);
	assert_int_equal(manifest_reader_next(r, &en, &e), 0);
	assert_string_equal(again.data, m.text.data);
	manifest_reader_root(r, &root, &t);
	assert_memory_equal(&root, &m.root, sizeof(root));
	assert_memory_equal(&t, &m.totals, sizeof(t));
	assert_int_equal(digest_sha256(m.text.data, m.text.len, sum, &e), 0);
	assert_memory_equal(sum, root.sha256, DIGEST_LEN);
	assert_int_equal(t.entries, 9);
	assert_int_equal(t.files, 3);
	assert_int_equal(t.dirs, 2);
	assert_int_equal(t.bytes, 10);
	assert_int_equal(t.skipped, 1);
	assert_int_equal(t.failed, 2);
	assert_int_equal(t.unsettled, 1);
}

struct piece { const char *p; size_t n, step; };

static int give_piece(void *ctx, struct buf *b, struct err *e)
{
	struct piece *s = ctx;
	size_t n = s->n < s->step ? s->n : s->step;

	(void)e;
	if (!n)
		return 0;
	buf_put(b, s->p, n);
	s->p += n;
	s->n -= n;
	return 1;
}

/* Reads it all: number of entries, or -1; what was accepted must be what was given. */
static int read_text(const char *p, size_t n, size_t step)
{
	OWN(manifest_reader_freep) struct manifest_reader *r = NULL;
	OWN_ENTRY struct entry en = ENTRY_INIT;
	OWN_BUF struct buf again = BUF_INIT;
	struct piece s = { p, n, step };
	struct err e = ERR_INIT;
	int got, count = 0;

	buf_puts(&again, "#mtree\n");
	assert_int_equal(manifest_reader_new(&r, give_piece, &s, &e), 0);
	while ((got = manifest_reader_next(r, &en, &e)) > 0) {
		manifest_format(&again, &en);
		count++;
	}
	if (got < 0) {
		assert_true(e.class == ERR_INTEGRITY);
		assert_int_equal(strncmp(e.text, "manifest, line ", 15), 0);
		return -1;
	}
	assert_int_equal(again.len, n);
	assert_memory_equal(again.data, p, n);
	return count;
}

static void the_cut_of_the_text_does_not_matter(void **state)
{
	OWN_MADE struct made m = { .chunks = 0 };

	(void)state;
	make_varied(&m);
	for (size_t step = 1; step < 300; step++)
		assert_int_equal(read_text(m.text.data, m.text.len, step), 12);
}

static void damaged_text_is_an_error_or_canonical(void **state)
{
	OWN_MADE struct made m = { .chunks = 0 };
	size_t taken = 0;

	(void)state;
	make_varied(&m);
	for (size_t i = 0; i < m.text.len * 8; i++) {
		m.text.data[i / 8] = (char)(m.text.data[i / 8] ^ 1 << i % 8);
		taken += read_text(m.text.data, m.text.len, 1 << 20) >= 0;
		m.text.data[i / 8] = (char)(m.text.data[i / 8] ^ 1 << i % 8);
	}
	/* Flips within a digest or a number are other valid lists, and only the root tells. */
	assert_true(taken > 0 && taken < m.text.len * 8 / 2);
}

static void text_cut_inside_a_line_is_never_taken(void **state)
{
	OWN_MADE struct made m = { .chunks = 0 };

	(void)state;
	make_varied(&m);
	for (size_t n = 0; n < m.text.len; n++) {
		int got = read_text(m.text.data, n, 1 << 20);

		if (n == 0 || m.text.data[n - 1] != '\n')
			assert_int_equal(got, -1);
	}
}

static void any_other_spelling_is_refused(void **state)
{
#define ROOT "#mtree\n. type=dir mode=0755 uid=0 gid=0 time=1.000000000\n"
#define FILE_A "./a type=file mode=0644 uid=0 gid=0 time=1.000000000 nlink=1 size=0\n"
	static const char *const wrong[] = {
		"", "#mtree\n", ". type=dir mode=0755 uid=0 gid=0 time=1.000000000\n", "#mtree \n. type=dir\n",
		"#mtree\n" FILE_A,						/* no root */
		&(ROOT ROOT)[7],							/* twice */
		ROOT FILE_A FILE_A,
		ROOT "./b/c type=file mode=0644 uid=0 gid=0 time=1.000000000 nlink=1 size=0\n",	/* no parent */
		ROOT FILE_A "./a/c type=file mode=0644 uid=0 gid=0 time=1.000000000 nlink=1 size=0\n",	/* beneath a file */
		ROOT "./a type=file mode=644 uid=0 gid=0 time=1.000000000 nlink=1 size=0\n",
		ROOT "./a type=file mode=0644 uid=00 gid=0 time=1.000000000 nlink=1 size=0\n",
		ROOT "./a type=file mode=0644 gid=0 uid=0 time=1.000000000 nlink=1 size=0\n",
		ROOT "./a type=file mode=0644 uid=0 gid=0 time=1.0 nlink=1 size=0\n",
		ROOT "./a type=file mode=0644 uid=0 gid=0 time=-0.000000000 nlink=1 size=0\n",
		ROOT "./a type=file mode=0644 uid=4294967296 gid=0 time=1.000000000 nlink=1 size=0\n",
		ROOT "./a type=file mode=0644 uid=0 gid=0 time=1.000000000 nlink=1 size=0 \n",
		ROOT "./a type=file mode=0644 uid=0 gid=0 time=1.000000000 nlink=1 size=0 flags=none\n",
		ROOT "./a type=file mode=0644 uid=0 gid=0 time=1.000000000 nlink=1\n",
		ROOT "./\\141 type=file mode=0644 uid=0 gid=0 time=1.000000000 nlink=1 size=0\n",
		ROOT "a type=file mode=0644 uid=0 gid=0 time=1.000000000 nlink=1 size=0\n",
		ROOT "./../a type=file mode=0644 uid=0 gid=0 time=1.000000000 nlink=1 size=0\n",
		ROOT ".//a type=file mode=0644 uid=0 gid=0 time=1.000000000 nlink=1 size=0\n",
		ROOT FILE_A "\n", ROOT FILE_A "# comment\n", ROOT FILE_A "#+\n", ROOT FILE_A "#+ \n",
		ROOT FILE_A "#+ owner=\n", ROOT FILE_A "#+ owner=x owner=x\n", ROOT FILE_A "#+ group=x owner=x\n",
		ROOT FILE_A "#+ owner=x\n#+ group=x\n", ROOT FILE_A "#+ colour=x\n", ROOT FILE_A "#+ note=x\n",
		ROOT FILE_A "#+ data=0+1\n", ROOT FILE_A "#+ data=-\n#+ data=-\n", ROOT FILE_A "#+ data=\n",
		ROOT FILE_A "#+ flags=nodump,append\n", ROOT FILE_A "#+ flags=\n", ROOT FILE_A "#+ first=./b\n",
		ROOT "#+ skipped ./s type=pipe\n", ROOT "#+ skipped ./s\n", ROOT "#+ skipped ./s type=socket mode=0644\n",
		ROOT "#+ lost ./s type=socket\n", ROOT "#+ owner=x\n#+ owner=y\n",
		ROOT "/set uid=0\n", ROOT FILE_A "..\n",
	};

	(void)state;
	assert_int_equal(read_text(ROOT FILE_A, strlen(ROOT FILE_A), 1 << 20), 2);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (read_text(wrong[i], strlen(wrong[i]), 1 << 20) != -1)
			fail_msg("taken: %s", wrong[i]);
}

static void the_writer_refuses_a_list_out_of_order(void **state)
{
	static const char *const lists[][3] = { { "a" }, { ".", "." }, { ".", "b", "a" }, { ".", "a/b" }, { ".", "a", "a" } };

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		OWN_MADE struct made m = { .chunks = 0 };
		OWN(manifest_writer_freep) struct manifest_writer *w = NULL;
		OWN_ENTRY struct entry en = ENTRY_INIT;
		struct err e = ERR_INIT;
		int rc = 0;

		assert_int_equal(manifest_writer_new(&w, keep_chunk, &m, &e), 0);
		for (size_t k = 0; k < 3 && lists[i][k] && rc == 0; k++) {
			set_plain(&en, lists[i][k], ENTRY_DIR);
			rc = manifest_writer_add(w, &en, &e);
		}
		assert_int_equal(rc, -1);
		assert_true(e.class == ERR_BUG);
	}
}

struct index_check { struct made *m; size_t at; uint64_t entries; };

static int check_index_line(void *ctx, const uint8_t sha256[DIGEST_LEN], uint64_t entries, const char *name)
{
	struct index_check *c = ctx;
	uint8_t d[DIGEST_LEN];
	struct err e = ERR_INIT;

	assert_true(c->at < c->m->chunks);
	assert_int_equal(digest_sha256(c->m->chunk[c->at].data, c->m->chunk[c->at].len, d, &e), 0);
	assert_memory_equal(d, sha256, DIGEST_LEN);
	assert_string_equal(name, c->m->name[c->at]);
	c->entries += entries;
	c->at++;
	return 0;
}

static void the_index_names_every_chunk(void **state)
{
	OWN_MADE struct made m = { .chunks = 0 };
	struct index_check c = { &m, 0, 0 };
	struct err e = ERR_INIT;
	char hex[DIGEST_HEX];
	uint8_t d[DIGEST_LEN];

	(void)state;
	make_files(&m, 20000, UINT32_MAX);
	assert_int_equal(manifest_index_parse(m.index.data, m.index.len, check_index_line, &c, &e), 0);
	assert_int_equal(c.at, m.chunks);
	assert_int_equal(c.entries, 20001);
	assert_int_equal(digest_sha256(".", 1, d, &e), 0);
	hex_of(d, DIGEST_LEN, hex);
	assert_int_equal(strncmp(m.name[0], hex, 2), 0);
	assert_int_equal(strncmp(m.name[0] + 3, hex, 16), 0);
	for (size_t n = 0; n < m.index.len; n++)
		if (n == 0 || m.index.data[n - 1] != '\n')
			assert_int_equal(manifest_index_parse(m.index.data, n, check_index_line, &(struct index_check){ &m, 0, 0 }, &e), -1);
}

static bool has_chunk(const struct made *m, const struct buf *c, const char *name)
{
	for (size_t i = 0; i < m->chunks; i++)
		if (strcmp(m->name[i], name) == 0 && m->chunk[i].len == c->len && memcmp(m->chunk[i].data, c->data, c->len) == 0)
			return true;
	return false;
}

static void one_more_entry_changes_few_chunks(void **state)
{
	OWN_MADE struct made all = { .chunks = 0 };

	(void)state;
	make_files(&all, 20000, UINT32_MAX);
	assert_true(all.chunks >= 8);
	for (unsigned gone = 0; gone < 20000; gone += 1999) {
		OWN_MADE struct made less = { .chunks = 0 };
		size_t changed = 0;

		make_files(&less, 20000, gone);
		for (size_t i = 0; i < less.chunks; i++)
			changed += !has_chunk(&all, &less.chunk[i], less.name[i]);
		assert_in_range(changed, 1, 3);
	}
}

static void chunks_keep_to_their_bounds(void **state)
{
	OWN_MADE struct made m = { .chunks = 0 };
	struct err e = ERR_INIT;

	(void)state;
	make_files(&m, 20000, UINT32_MAX);
	for (size_t i = 0; i < m.chunks; i++) {
		uint64_t lines = 0;

		for (size_t k = 0; k < m.chunk[i].len; k++)
			lines += m.chunk[i].data[k] == '\n';
		assert_in_range(lines, i + 1 < m.chunks ? MANIFEST_CHUNK_MIN : 1, MANIFEST_CHUNK_MAX + 1);
	}
	assert_int_equal(manifest_index_parse("x", 1, check_index_line, NULL, &e), -1);
}

static FILE *make_scan(unsigned count)
{
	OWN(scan_writer_freep) struct scan_writer *w = NULL;
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct err e = ERR_INIT;
	FILE *f = tmpfile();

	assert_non_null(f);
	assert_int_equal(scan_writer_new(&w, fileno(f), &e), 0);
	for (unsigned i = 0; i < count; i++) {
		char path[32];

		(void)snprintf(path, sizeof(path), "file-%06u", i);
		set_plain(&en, path, ENTRY_FILE);
		en.has |= ENTRY_HAS_SCAN;
		en.scan.ino = i;
		assert_int_equal(scan_writer_add(w, &en, &e), 0);
	}
	assert_int_equal(scan_writer_finish(w, &e), 0);
	return f;
}

static void a_scan_file_reads_back(void **state)
{
	OWN_FILE FILE *f = make_scan(20000);
	OWN(scan_reader_freep) struct scan_reader *r = NULL;
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct err e = ERR_INIT;
	uint64_t n = 0;
	int got;

	(void)state;
	assert_int_equal(scan_reader_new(&r, fileno(f), &e), 0);
	while ((got = scan_reader_next(r, &en, &e)) > 0)
		assert_true(en.scan.ino == n++);
	assert_int_equal(got, 0);
	assert_int_equal(n, 20000);
	assert_int_equal(scan_reader_next(r, &en, &e), 0);
}

static void a_damaged_scan_file_is_not_used(void **state)
{
	OWN_FILE FILE *f = make_scan(3);
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	off_t size = lseek(fileno(f), 0, SEEK_END);
	char *p = buf_reserve(&b, (size_t)size);

	(void)state;
	assert_int_equal(pread(fileno(f), p, (size_t)size, 0), size);
	for (off_t i = 0; i < size; i++) {
		OWN(scan_reader_freep) struct scan_reader *r = NULL;
		char c = (char)(p[i] ^ 4);

		assert_int_equal(pwrite(fileno(f), &c, 1, i), 1);
		assert_int_equal(scan_reader_new(&r, fileno(f), &e), -1);
		assert_true(e.class == ERR_INTEGRITY);
		assert_int_equal(pwrite(fileno(f), p + i, 1, i), 1);
	}
	while (size-- > 0) {
		OWN(scan_reader_freep) struct scan_reader *r = NULL;

		assert_int_equal(ftruncate(fileno(f), size), 0);
		assert_int_equal(scan_reader_new(&r, fileno(f), &e), -1);
		assert_true(e.class == ERR_INTEGRITY);
	}
}

struct list { const char *const *p; };

static int list_next(void *ctx, struct entry *en, struct err *e)
{
	struct list *l = ctx;

	(void)e;
	if (!*l->p)
		return 0;
	set_plain(en, *l->p++, ENTRY_DIR);
	return 1;
}

static int note_merge(void *ctx, const struct entry *a, const struct entry *b, struct err *e)
{
	if (strcmp((a ? a : b)->path, "stop") == 0)
		return err_set(e, ERR_CANCELLED, "stop");
	buf_printf(ctx, "%s%s%s ", a ? "A" : "", b ? "B" : "", (a ? a : b)->path);
	return 0;
}

static void a_merge_meets_each_path_once(void **state)
{
	struct list a = { (const char *const[]){ ".", "a", "a/x", "a.b", "c", NULL } };
	struct list b = { (const char *const[]){ ".", "a/x", "a/y", "b", NULL } };
	struct list none = { (const char *const[]){ NULL } };
	OWN_BUF struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(entry_merge(list_next, &a, list_next, &b, note_merge, &out, &e), 0);
	assert_string_equal(out.data, "AB. Aa ABa/x Ba/y Aa.b Bb Ac ");
	a.p = (const char *const[]){ "x", NULL };
	buf_reset(&out);
	assert_int_equal(entry_merge(list_next, &a, list_next, &none, note_merge, &out, &e), 0);
	assert_string_equal(out.data, "Ax ");
	a.p = (const char *const[]){ "x", "stop", NULL };
	assert_int_equal(entry_merge(list_next, &none, list_next, &a, note_merge, &out, &e), -1);
	b.p = (const char *const[]){ "stop", NULL };
	assert_int_equal(entry_merge(list_next, &none, list_next, &b, note_merge, &out, &e), -1);
	assert_true(e.class == ERR_CANCELLED);
	a.p = (const char *const[]){ "b", "a", NULL };
	assert_int_equal(entry_merge(list_next, &none, list_next, &a, note_merge, &out, &e), -1);
	assert_true(e.class == ERR_INTEGRITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_entry_reads_back_and_gives_the_same_root),
		cmocka_unit_test(the_cut_of_the_text_does_not_matter),
		cmocka_unit_test(damaged_text_is_an_error_or_canonical),
		cmocka_unit_test(text_cut_inside_a_line_is_never_taken),
		cmocka_unit_test(any_other_spelling_is_refused),
		cmocka_unit_test(the_writer_refuses_a_list_out_of_order),
		cmocka_unit_test(the_index_names_every_chunk),
		cmocka_unit_test(one_more_entry_changes_few_chunks),
		cmocka_unit_test(chunks_keep_to_their_bounds),
		cmocka_unit_test(a_scan_file_reads_back),
		cmocka_unit_test(a_damaged_scan_file_is_not_used),
		cmocka_unit_test(a_merge_meets_each_path_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
