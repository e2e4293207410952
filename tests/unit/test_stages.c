/* rooms: stages */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>
#include <sys/stat.h>

#include "derived_name.h"
#include "esc.h"
#include "inventory.h"
#include "known.h"
#include "manifest.h"
#include "names.h"
#include "path.h"
#include "resend.h"
#include "standing.h"
#include "u64set.h"
#include "../lib/mem_stream.h"

#define OK(call) do { struct err e = ERR_INIT; if ((call) < 0) fail_msg("%s", e.text); } while (0)

static char *dir;
static struct workspace *w;

static int make(void **state)
{
	static const char *const folders[] = { "/.waybill", "/.waybill/scan", "/.waybill/log" };
	char path[PATH_MAX];
	struct state *db = NULL;

	(void)state;
	if (!(dir = temp_dir()))
		return -1;
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s%s", dir, folders[i]);
		if (mkdir(path, 0700) < 0)
			return -1;
	}
	(void)snprintf(path, sizeof(path), "%s/.waybill/ledger.git", dir);
	OK(ledger_create(path, &e));
	(void)snprintf(path, sizeof(path), "%s/.waybill/store", dir);
	OK(store_create(path, &e));
	(void)snprintf(path, sizeof(path), "%s/.waybill/state.db", dir);
	OK(state_open(&db, path, &e));
	state_close(db);
	OK(workspace_open(dir, &w, &e));
	return 0;
}

static int sweep(void **state)
{
	(void)state;
	workspace_close(take_ptr(&w));
	temp_dir_remove(take_ptr(&dir));
	return 0;
}

static void fill_id(uint8_t id[DIGEST_LEN], int n) { memset(id, n, DIGEST_LEN); }

/* ---- texts that are cut ---- */

static void a_cut_text_ends_with_a_whole_character(void **state)
{
	static const struct { const char *in, *out; } t[] = { { "", "" }, { "abc", "abc" }, { "维", "维" }, { "a\xe7\xbb", "a" }, { "a\xe7", "a" },
		{ "\xf0\x9f\x98", "" }, { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" }, { "维\xe4", "维" }, { "\xc3\xa9", "\xc3\xa9" } };
	struct err e = ERR_INIT;
	char s[16], small[9];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		(void)snprintf(s, sizeof(s), "%s", t[i].in);
		esc_trim(s);
		assert_string_equal(s, t[i].out);
	}
	/* What stands before a cut stays, also when it is all beyond ASCII; an escape is never halved. */
	assert_string_equal(esc_into(small, sizeof(small), "物业维修资金", strlen("物业维修资金")), "物业");
	assert_string_equal(esc_into(small, sizeof(small), "abcdef\n", 7), "abcdef");
	/* The longest texts of failures are JSON strings later. */
	err_set(&e, ERR_PERMANENT, "%.*s", 2000, "x物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金"
	    "物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金"
	    "物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金"
	    "物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金"
	    "物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金物业维修资金");
	err_at(&e, "物");
	for (const char *p = e.text; *p; p += esc_utf8_len(p, strlen(p)))
		if (esc_utf8_len(p, strlen(p)) == 0)
			fail_msg("half a character in the text of a failure");
	assert_true(strlen(e.text) > 400);
}

/* ---- u64set ---- */

static void a_set_knows_what_was_added_and_nothing_else(void **state)
{
	struct u64set s = U64SET_INIT;

	(void)state;
	assert_false(u64set_has(&s, 0));
	assert_false(u64set_has(&s, 7));
	for (uint64_t i = 0; i < 10000; i++)
		assert_int_equal(u64set_add(&s, i * UINT64_C(0x100000000)), 1);
	for (uint64_t i = 0; i < 10000; i++) {
		assert_int_equal(u64set_add(&s, i * UINT64_C(0x100000000)), 0);
		assert_true(u64set_has(&s, i * UINT64_C(0x100000000)));
		assert_false(u64set_has(&s, i * UINT64_C(0x100000000) + 1));
	}
	u64set_dispose(&s);
	assert_int_equal((int)(u64set_key("a", 1) == u64set_key("b", 1)), 0);
}

/* ---- the objects list ---- */

static void list_of(struct buf *out, const char *words)
{
	struct objects_writer *o = NULL;

	OK(objects_writer_new(&o, &e));
	for (; *words; words++) {
		struct location at = { .kind = *words == 'n' ? LOCATION_NONE : *words >= 'A' && *words <= 'Z' ? LOCATION_RECIPE : LOCATION_PACK };
		uint8_t id[DIGEST_LEN];

		fill_id(id, *words);
		if (*words >= '0' && *words <= '9') {
			OK(objects_writer_attr(o, id, &e));
			continue;
		}
		memcpy(at.id.sha256, id, DIGEST_LEN);
		OK(objects_writer_add(o, &at, &e));
	}
	OK(objects_writer_finish(o, out, &e));
	objects_writer_free(o);
}

static void contents_come_back_in_their_order(void **state)
{
	static const char words[] = "aaabnnAAcn";
	OWN_BUF struct buf b = BUF_INIT;
	OWN_OBJECTS struct objects o = OBJECTS_INIT;
	struct objects_cursor c = { &o, 0, 0 };
	struct location at;
	struct err end = ERR_INIT;

	(void)state;
	list_of(&b, words);
	OK(objects_parse(&o, b.data, b.len, &e));
	assert_int_equal(o.run_count, 7);
	for (const char *p = words; *p; p++) {
		OK(objects_cursor_next(&c, &at, &e));
		assert_int_equal(at.kind, *p == 'n' ? LOCATION_NONE : *p == 'A' ? LOCATION_RECIPE : LOCATION_PACK);
		assert_int_equal(at.id.sha256[5], *p == 'n' ? 0 : *p);
	}
	assert_true(objects_cursor_done(&c));
	assert_int_equal(objects_cursor_next(&c, &at, &end), -1);
	assert_int_equal(end.class, ERR_INTEGRITY);
}

static void every_blob_stands_once_in_order(void **state)
{
	OWN_BUF struct buf words = BUF_INIT, b = BUF_INIT;
	OWN_OBJECTS struct objects o = OBJECTS_INIT;

	(void)state;
	for (int i = 0; i < 2000; i++)
		buf_puts(&words, "9351");
	list_of(&b, words.data);
	OK(objects_parse(&o, b.data, b.len, &e));
	assert_int_equal(o.attr_count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(o.attrs[i].sha256[0], "1359"[i]);
}

#define H "waybill-objects 1\n"
#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define LATER "10112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void only_the_grammar_is_read(void **state)
{
	static const char *const good[] = { H, H "pack " ID " 1\n", H "none 18446744073709551600\n", H "recipe " ID "\nattr " ID "\nattr " LATER "\n" };
	static const char *const bad[] = { "", "waybill-objects 2\n", H "pack " ID " 1", H "pack " ID " 0\n", H "pack " ID " -1\n", H "pack " ID "  1\n",
		H "pack " ID " 01\n", H "pack " ID " 1 \n", H "pack " ID "\n", H "pack  " ID " 1\n", H " pack " ID " 1\n", H "pack 0" ID " 1\n",
		H "none -1\n", H "none  5\n", H "none +5\n", H "none 0\n", H "none\n", H "none 99999999999999999999999\n", H "recipe " ID " 1\n",
		H "recipe " ID "0\n", H "slice " ID "\n", H "attr " ID "\npack " ID " 1\n", H "attr " ID "\nattr " ID "\n", H "attr " LATER "\nattr " ID "\n",
		H "\n", H "recipe 0011\n", H "recipe " "AA112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" "\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		OWN_OBJECTS struct objects o = OBJECTS_INIT;

		OK(objects_parse(&o, good[i], strlen(good[i]), &e));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		OWN_OBJECTS struct objects o = OBJECTS_INIT;
		struct err e = ERR_INIT;

		if (objects_parse(&o, bad[i], strlen(bad[i]), &e) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.class, ERR_INTEGRITY);
	}
}

/* ---- entries on disk ---- */

static void set_entry(struct entry *en, const char *path, enum entry_type type)
{
	*en = (struct entry)ENTRY_INIT;
	OK(entry_set_path(en, path, strlen(path), &e));
	en->type = type;
	en->outcome = ENTRY_COPIED;
	en->mode = 0640;
	en->nlink = 1;
	if (type == ENTRY_FILE) {
		en->size = 5;
		en->has = ENTRY_HAS_SHA256;
		fill_id(en->sha256, path[0]);
	}
}

static void add(struct passfile *p, const char *path, enum entry_type type, uint32_t nlink, const char *link_to)
{
	OWN_ENTRY struct entry en = ENTRY_INIT;

	set_entry(&en, path, type);
	en.nlink = nlink;
	if (link_to)
		en.link_to = strdup(link_to);
	OK(passfile_add(p, &en, 3, &e));
}

static struct passfile *some_entries(void)
{
	struct passfile *p = NULL;

	OK(passfile_new(&p, w->scanfd, &e));
	add(p, ".", ENTRY_DIR, 4, NULL);
	add(p, "a", ENTRY_FILE, 5, NULL);
	add(p, "b", ENTRY_FILE, 2, NULL);	/* its other name is elsewhere */
	add(p, "d", ENTRY_DIR, 2, NULL);
	add(p, "d/a", ENTRY_FILE, 5, "a");
	add(p, "d/b", ENTRY_FILE, 1, NULL);
	add(p, "e", ENTRY_FILE, 5, "a");
	return p;
}

static void only_names_within_the_list_count(void **state)
{
	OWN(passfile_freep) struct passfile *p = some_entries();
	OWN(names_dispose) struct names n = NAMES_INIT;

	(void)state;
	OK(names_from(&n, p, &e));
	assert_int_equal(names_count(&n, "a"), 3);
	assert_int_equal(names_count(&n, "b"), 1);
	assert_int_equal(names_count(&n, "d/b"), 1);
}

static void expect_next(struct passfile *p, const char *path)
{
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct err e = ERR_INIT;
	uint64_t place;

	assert_int_equal(passfile_next(p, &en, &place, &e), path ? 1 : 0);
	if (path) {
		assert_string_equal(en.path, path);
		assert_int_equal(place, 3);
	}
}

/* Larger than what a stream holds at a time, so that both have to come back to the file. */
static void a_view_has_a_place_of_its_own(void **state)
{
	OWN(passfile_freep) struct passfile *view = NULL;
	OWN(passfile_freep) struct passfile *p = NULL;
	char name[64];

	(void)state;
	OK(passfile_new(&p, w->scanfd, &e));
	for (unsigned i = 0; i < 3000; i++) {
		(void)snprintf(name, sizeof(name), "%08u", i);
		add(p, name, ENTRY_FILE, 1, NULL);
	}
	OK(passfile_view(p, &view, &e));
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "%08u", i);
		expect_next(view, name);
	}
	OK(passfile_rewind(p, &e));
	for (unsigned i = 0; i < 3000; i++) {
		(void)snprintf(name, sizeof(name), "%08u", i);
		expect_next(p, name);
		if (i < 2000) {
			(void)snprintf(name, sizeof(name), "%08u", i + 1000);
			expect_next(view, name);
		}
	}
	expect_next(p, NULL);
	expect_next(view, NULL);
}

static void frozen_inventory(struct run *r, const struct plan *plan)
{
	OWN(passfile_freep) struct passfile *p = some_entries();

	memset(r, 0, sizeof(*r));
	r->w = w;
	r->plan = plan;
	OK(inventory_write(r, "www", p, &e));
}

static void an_inventory_gives_contents_before_their_directory(void **state)
{
	static const char *const order[] = { "e", "d/b", "d/a", "d", "b", "a", "." };
	char name[] = "end";
	struct plan plan = { .name = name };
	OWN_INVENTORY struct inventory v = INVENTORY_INIT;
	struct run r;

	(void)state;
	frozen_inventory(&r, &plan);
	OK(inventory_open(&r, "www", &v, &e));
	assert_int_equal(v.count, 7);
	assert_int_equal(v.bytes, 15);		/* a, b, d/b: further names hold nothing of their own */
	for (size_t i = 0; i < 7; i++) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		struct err e = ERR_INIT;

		assert_int_equal(inventory_next(&v, &en, &e), 1);
		assert_string_equal(en.path, order[i]);
		if (strcmp(en.path, "a") == 0 || en.link_to)
			assert_int_equal(en.nlink, 3);
	}
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct err e = ERR_INIT;
	assert_int_equal(inventory_next(&v, &en, &e), 0);
}

static void a_damaged_inventory_is_no_inventory(void **state)
{
	char name[] = "end", path[PATH_MAX];
	struct plan plan = { .name = name };
	struct run r;
	struct stat st;

	(void)state;
	frozen_inventory(&r, &plan);
	(void)snprintf(path, sizeof(path), "%s/.waybill/scan/end.www.inventory", dir);
	assert_int_equal(stat(path, &st), 0);
	for (off_t cut = 0; cut < st.st_size; cut++) {
		OWN_INVENTORY struct inventory v = INVENTORY_INIT;
		struct err e = ERR_INIT;

		frozen_inventory(&r, &plan);
		assert_int_equal(truncate(path, cut), 0);
		/* Cut exactly between two records it is shorter, and its digest is another: `clear started` names that. */
		if (inventory_open(&r, "www", &v, &e) == 0)
			assert_true(v.count < 7);
		else
			assert_int_equal(e.class, ERR_INTEGRITY);
	}
}

/* ---- known state ---- */

struct made { struct ledger_txn *t; };

static int put_chunk(void *ctx, const char *name, const void *text, size_t n, struct err *e)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "datasets/www/manifest/%s", name);
	return ledger_txn_put(((struct made *)ctx)->t, path, text, n, e);
}

static void append(struct ledger_txn *t, const char *stage, const char *st, const char *data)
{
	static const char digest[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	struct ledger_event ev = { .stage = stage, .state = st, .text = "so it is", .by = "", .at = "2026-11-28T10:00:00+08:00", .plan_digest = digest, .data = data };

	if (!t)
		OK(ledger_txn_begin(w->ledger, "p", &t, &e));
	OK(ledger_txn_commit(t, &ev, NULL, NULL, &e));
}

/* Version 1: ".", copied "a" and "c", failed "f", skipped "s". */
static void make_version(void)
{
	static const struct { const char *path; enum entry_type type; enum entry_outcome outcome; } v[] = { { ".", ENTRY_DIR, ENTRY_COPIED },
		{ "a", ENTRY_FILE, ENTRY_COPIED }, { "c", ENTRY_FILE, ENTRY_COPIED }, { "f", ENTRY_FILE, ENTRY_FAILED }, { "s", ENTRY_FILE, ENTRY_SKIPPED } };
	OWN_BUF struct buf index = BUF_INIT, objects = BUF_INIT;
	struct manifest_writer *m = NULL;
	struct manifest_root root;
	struct manifest_totals totals;
	struct made made = { NULL };

	OK(ledger_txn_begin(w->ledger, "p", &made.t, &e));
	OK(manifest_writer_new(&m, put_chunk, &made, &e));
	for (size_t i = 0; i < 5; i++) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		set_entry(&en, v[i].path, v[i].type);
		en.outcome = v[i].outcome;
		if (!entry_is_present(&en)) {
			en.has = 0;
			en.note = strdup("why");
		}
		OK(manifest_writer_add(m, &en, &e));
	}
	OK(manifest_writer_finish(m, &index, &root, &totals, &e));
	manifest_writer_free(m);
	list_of(&objects, "xx");
	OK(ledger_txn_put(made.t, "datasets/www/manifest/INDEX", index.data, index.len, &e));
	OK(ledger_txn_put(made.t, "datasets/www/objects", objects.data, objects.len, &e));
	OK(ledger_txn_tag(made.t, "p/www/1", &e));
	append(made.t, "copy", "version", "{\"dataset\":\"www\",\"version\":1,\"entries\":5}");
}

static void acknowledge(const char *path, uint64_t pass, int content)
{
	OWN_BUF struct buf key = BUF_INIT, row = BUF_INIT;
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct location at = { .kind = LOCATION_PACK };

	set_entry(&en, path, ENTRY_FILE);
	fill_id(en.sha256, content);
	fill_id(at.id.sha256, 'y');
	path_sort_key(&key, path, strlen(path));
	known_row_encode(&row, &en, &at);
	OK(state_ack_put(w->state, "p", "www", pass, key.data, key.len, row.data, row.len, &e));
}

/* "path[!][+][-] ...": ! acknowledged, + in the last version, - without digest. */
static void known_text(struct buf *out)
{
	struct known *k = NULL;
	int got = 1;

	OK(known_open(w, "p", "www", 1, 2, &k, &e));
	while (got == 1) {
		OWN_ITEM struct known_item it = { .acked = false };
		struct err e = ERR_INIT;

		if ((got = known_next(k, &it, &e)) < 0)
			fail_msg("%s", e.text);
		if (got == 1)
			buf_printf(out, "%s%s%s%s ", it.entry.path, it.acked ? "!" : "", it.in_version ? "+" : "",
			    it.entry.type == ENTRY_FILE && !(it.entry.has & ENTRY_HAS_SHA256) ? "-" : "");
	}
	known_close(k);
}

static void what_was_acknowledged_lies_over_the_last_version(void **state)
{
	OWN_BUF struct buf b = BUF_INIT;

	(void)state;
	make_version();
	acknowledge("a", 2, 'n');
	acknowledge("b", 2, 'n');
	acknowledge("z", 2, 'n');
	acknowledge("old", 1, 'n');	/* of the pass that became version 1 */
	known_text(&b);
	/* f could not be read, but may lie at the target from before; s was left out by a rule. */
	assert_string_equal(b.data, ".+ a!+ b! c+ f+- z! ");
}

static void what_differs_at_the_target_is_sent_again(void **state)
{
	OWN_BUF struct buf some = BUF_INIT, all = BUF_INIT;
	char name[] = "p";
	struct plan plan = { .name = name };
	struct run r = { .w = w, .plan = &plan };
	OWN_VERIFY struct verify_result v = VERIFY_RESULT_INIT;

	(void)state;
	make_version();
	acknowledge("a", 2, 'n');
	v.dataset = "www";
	assert_int_equal(verify_add_difference(&v, "c", "sha256", "1", "2"), 0);
	assert_int_equal(verify_add_difference(&v, "a", "sha256", "1", "2"), 0);
	OK(resend_note(&r, &v, &e));
	known_text(&some);
	assert_string_equal(some.data, ".+ a!+ c+- f+- ");
	v.difference_total = 2000000;	/* more than are kept by name */
	OK(resend_note(&r, &v, &e));
	known_text(&all);
	assert_string_equal(all.data, "a!+ c+- f+- ");
}

/* ---- standing ---- */

static struct standing replayed(void)
{
	struct standing s = STANDING_INIT;

	OK(standing_load(w->ledger, "p", &s, &e));
	return s;
}

static void events_say_where_a_plan_stands(void **state)
{
	OWN(standing_dispose) struct standing s = STANDING_INIT, t = STANDING_INIT;
	const struct standing_dataset *d;

	(void)state;
	append(NULL, "plan", "recorded", "{\"version\":1}");
	append(NULL, "preflight", "done", "{\"datasets\":{\"www\":{\"foreign_count\":2,\"foreign_sha256\":\"" ID "\"},\"db\":{}}}");
	append(NULL, "copy", "started", NULL);
	append(NULL, "copy", "version", "{\"dataset\":\"www\",\"version\":1,\"entries\":5,\"balance\":{\"failed\":1}}");
	append(NULL, "copy", "failed", "{\"exit\":1}");
	s = replayed();
	assert_int_equal(s.stages[STAGE_PREFLIGHT], STAGE_DONE);
	assert_int_equal(s.stages[STAGE_COPY], STAGE_FAILED);
	assert_int_equal(s.count, 5);
	assert_non_null(d = standing_dataset(&s, "www"));
	assert_int_equal(d->version, 1);
	assert_int_equal(d->failed, 1);
	assert_true(d->foreign_known);
	assert_string_equal(d->foreign, ID);
	assert_null(standing_dataset(&s, "db"));
	append(NULL, "copy", "started", NULL);
	append(NULL, "copy", "version", "{\"dataset\":\"www\",\"version\":2,\"foreign_count\":0}");
	append(NULL, "copy", "done", NULL);
	append(NULL, "verify", "checked", "{\"dataset\":\"www\",\"version\":2,\"side\":\"target\",\"verdict\":\"match\",\"read\":\"medium\"}");
	append(NULL, "verify", "done", NULL);
	append(NULL, "copy", "started", NULL);
	t = replayed();
	assert_int_equal(t.stages[STAGE_VERIFY], STAGE_OPEN);	/* a new pass: what came after copy is to be done again */
	assert_int_equal(t.stages[STAGE_COPY], STAGE_STARTED);
	assert_non_null(d = standing_dataset(&t, "www"));
	assert_string_equal(d->target.verdict, "match");
	assert_string_equal(d->foreign, ID);			/* what lay there before the first copy does not change */
}

static void a_clearing_is_open_until_it_is_done(void **state)
{
	OWN(standing_dispose) struct standing s = STANDING_INIT, t = STANDING_INIT, u = STANDING_INIT;

	(void)state;
	append(NULL, "plan", "recorded", "{\"version\":1}");
	append(NULL, "clear", "waiting", NULL);
	append(NULL, "clear", "started", "{\"datasets\":[]}");
	append(NULL, "clear", "failed", NULL);
	s = replayed();
	assert_true(s.clearing);
	assert_false(s.cleared);
	assert_true(s.clear_started_at > 0);
	assert_non_null(s.clear_data);
	append(NULL, "clear", "done", "{\"verdict\":\"unknown\"}");
	t = replayed();
	assert_false(t.clearing);
	assert_true(t.cleared);
	append(NULL, "plan", "abandoned", NULL);
	u = replayed();
	assert_true(u.abandoned);
}

static void a_stages_text_is_never_cut_inside_a_character(void **state)
{
	OWN(standing_dispose) struct standing s = STANDING_INIT;
	OWN_BUF struct buf long_text = BUF_INIT;
	struct ledger_event ev = { .seq = 1, .stage = "copy", .state = "failed", .at = "2026-11-28T10:00:00+08:00", .plan_digest = "", .data = "{}" };

	(void)state;
	for (int i = 0; i < 200; i++)
		buf_puts(&long_text, "维");
	for (int shift = 0; shift < 3; shift++) {
		const char *t;

		ev.text = long_text.data;
		OK(standing_apply(&s, &ev, &e));
		t = s.stage_text[STAGE_COPY];
		assert_true(strlen(t) > 240);
		for (; *t; t += esc_utf8_len(t, strlen(t)))
			assert_int_not_equal(esc_utf8_len(t, strlen(t)), 0);
		buf_puts(&long_text, "维");
		memmove(long_text.data + 1, long_text.data, long_text.len - 1);
		long_text.data[0] = 'x';
		long_text.data[long_text.len - 1] = '\0';
	}
}

static void long_names_that_begin_alike_derive_two(void **state)
{
	char a[PLAN_NAME_MAX + 1], b[PLAN_NAME_MAX + 1], da[DERIVED_NAME], db[DERIVED_NAME];
	struct plan_dataset v[] = { { .name = "www" }, { .name = a }, { .name = b } };
	const struct plan p = { .datasets = v, .ndatasets = 3 };
	static const char *const suffixes[] = { "-rehearsal", "-saved-1", "-saved-4294967295" };

	(void)state;
	memset(a, 'n', PLAN_NAME_MAX);
	a[PLAN_NAME_MAX] = '\0';
	memcpy(b, a, sizeof(b));
	b[PLAN_NAME_MAX - 1] = 'm';
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		const struct plan_dataset *d;

		OK(derived_name(a, suffixes[i], da, &e));
		OK(derived_name(b, suffixes[i], db, &e));
		assert_string_not_equal(da, db);
		assert_int_equal(strlen(da), PLAN_NAME_MAX);
		assert_string_equal(da + strlen(da) - strlen(suffixes[i]), suffixes[i]);
		OK(derived_from(&p, da, &d, &e));
		assert_ptr_equal(d, &v[1]);
		OK(derived_from(&p, db, &d, &e));
		assert_ptr_equal(d, &v[2]);
	}
	OK(derived_name("www", "-saved-12", da, &e));
	assert_string_equal(da, "www-saved-12");
	for (const char *const *s = (const char *const []){ "www-saved-12", "www-rehearsal", "www", "www-saved-", "www-saved-1x", "-rehearsal", "x-saved-1", NULL }; *s; s++) {
		const struct plan_dataset *d;

		OK(derived_from(&p, *s, &d, &e));
		if (strcmp(*s, "www-saved-12") == 0 || strcmp(*s, "www-rehearsal") == 0)
			assert_ptr_equal(d, &v[0]);
		else
			assert_null(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_text_ends_with_a_whole_character),
		cmocka_unit_test(a_set_knows_what_was_added_and_nothing_else),
		cmocka_unit_test(contents_come_back_in_their_order),
		cmocka_unit_test(every_blob_stands_once_in_order),
		cmocka_unit_test(only_the_grammar_is_read),
		cmocka_unit_test_setup_teardown(only_names_within_the_list_count, make, sweep),
		cmocka_unit_test_setup_teardown(a_view_has_a_place_of_its_own, make, sweep),
		cmocka_unit_test_setup_teardown(an_inventory_gives_contents_before_their_directory, make, sweep),
		cmocka_unit_test_setup_teardown(a_damaged_inventory_is_no_inventory, make, sweep),
		cmocka_unit_test_setup_teardown(what_was_acknowledged_lies_over_the_last_version, make, sweep),
		cmocka_unit_test_setup_teardown(what_differs_at_the_target_is_sent_again, make, sweep),
		cmocka_unit_test_setup_teardown(events_say_where_a_plan_stands, make, sweep),
		cmocka_unit_test_setup_teardown(a_clearing_is_open_until_it_is_done, make, sweep),
		cmocka_unit_test(long_names_that_begin_alike_derive_two),
		cmocka_unit_test(a_stages_text_is_never_cut_inside_a_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
