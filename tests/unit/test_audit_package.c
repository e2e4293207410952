/* rooms: evidence */
#include "evidence_ledger.h"

#include "audit.h"

static struct house whole;
static char bag[PATH_MAX];

/* ---- a bag as packages are (waybill-evidence.5), written from the ledger ---- */

static void put(const char *name, const char *text, size_t n)
{
	char path[2 * PATH_MAX];
	char *slash;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", bag, name);
	slash = strrchr(path, '/');
	*slash = '\0';
	OK(io_mkdirs(AT_FDCWD, path, 0755, &e));
	*slash = '/';
	assert_non_null(f = fopen(path, "w"));
	assert_true(n == 0 || fwrite(text, n, 1, f) == 1);
	assert_int_equal(fclose(f), 0);
}

static void from_ledger(const char *path, const char *as)
{
	OWN_BUF struct buf b = BUF_INIT;

	OK(ledger_read(whole.ledger, PLAN, NULL, path, &b, &e));
	put(as, b.data, b.len);
}

struct lister { const char *dir; };

static int copy_one(void *ctx, const char *name, bool is_dir)
{
	struct lister *l = ctx;
	char from[300], as[400];

	assert_false(is_dir);
	(void)snprintf(from, sizeof(from), "%s/%s", l->dir, name);
	(void)snprintf(as, sizeof(as), "waybill/%s", from);
	from_ledger(from, as);
	return 0;
}

static int add_chunk(void *ctx, const uint8_t sha256[DIGEST_LEN], uint64_t entries, const char *name)
{
	char path[200];

	(void)sha256;
	(void)entries;
	(void)snprintf(path, sizeof(path), "datasets/www/manifest/%s", name);
	OK(ledger_read(whole.ledger, PLAN, NULL, path, ctx, &e));
	return 0;
}

static void shell(const char *script)
{
	const char *argv[] = { "sh", "-ec", script, "sh", bag, NULL };

	assert_int_equal(run_quiet(argv), 0);
}

/* Manifests are made by stock tools, so that reader and writer cannot be wrong together. */
static void seal(void)
{
	shell("cd \"$1\"; rm -f tagmanifest-sha256.txt manifest-sha256.txt; find data -type f -exec sha256sum {} + > manifest-sha256.txt;"
	    "find . -type f ! -path './data/*' ! -name 'tagmanifest-*' -printf '%P\\0' | xargs -0 sha256sum > /tmp/waybill-tag-$$;"
	    "mv /tmp/waybill-tag-$$ tagmanifest-sha256.txt");
}

static void make_bag(void)
{
	static struct lister events = { "events" }, approvals = { "approvals" };
	OWN_BUF struct buf index = BUF_INIT;
	OWN_BUF struct buf tree = BUF_INIT;
	char json[900];
	const char *clean[] = { "rm", "-rf", bag, NULL };

	assert_int_equal(run_quiet(clean), 0);
	OK(ledger_read(whole.ledger, PLAN, NULL, "datasets/www/manifest/INDEX", &index, &e));
	OK(manifest_index_parse(index.data, index.len, add_chunk, &tree, &e));
	put("data/www/tree.mtree", tree.data, tree.len);
	put("data/www/part-0001.tar.zst", "payload", 7);
	put("bagit.txt", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n", 55);
	put("VERIFY.sh", "#!/bin/sh\n", 10);
	from_ledger("plan.yaml", "waybill/plan.yaml");
	from_ledger("plan.sha256", "waybill/plan.sha256");
	from_ledger("signers", "waybill/signers");
	OK(ledger_list(whole.ledger, PLAN, NULL, "events", copy_one, &events, &e));
	OK(ledger_list(whole.ledger, PLAN, NULL, "approvals", copy_one, &approvals, &e));
	(void)snprintf(json, sizeof(json), "{\"format\":\"waybill-package 1\",\"plan\":\"%s\",\"plan_digest\":\"%s\",\"commit\":\"%s\",\"files\":2,\"bytes\":%zu,\"datasets\":{\"www\":{\"version\":2,"
	    "\"root\":\"%s\",\"root_sm3\":\"%s\",\"entries\":%llu,\"bytes\":%llu}}}\n", PLAN, whole.plan_digest, whole.head, tree.len + 7, whole.root_hex, whole.sm3_hex,
	    (unsigned long long)whole.totals.entries, (unsigned long long)whole.totals.bytes);
	put("waybill/package.json", json, strlen(json));
	seal();
}

static int make_whole(void **state)
{
	if (make_keys_dir(state) < 0)
		return -1;
	make_key("zhang", "ed25519", "");
	make_key("li", "ed25519", "");
	house_whole(&whole, "whole");
	key_path(bag, "bag");
	return 0;
}

static int drop_whole(void **state)
{
	house_close(&whole);
	return drop_keys_dir(state);
}

/* ---- the table: what is done to the bag, and what must come of it ---- */

struct row { const char *script; bool sealed; const char *verdict, *what; };

static void expect(const struct row *row)
{
	OWN_AUDIT_REPORT struct audit_report r = AUDIT_REPORT_INIT;
	bool found = row->what == NULL;

	make_bag();
	shell(row->script);
	if (row->sealed)
		seal();
	OK(audit_run(&(struct audit_options){ .path = bag }, &r, &e));
	for (size_t i = 0; i < r.finding_count; i++)
		found |= row->what && r.findings[i].severity == r.worst && strstr(r.findings[i].what, row->what);
	if (strcmp(audit_verdict(&r), row->verdict) == 0 && found)
		return;
	for (size_t i = 0; i < r.finding_count; i++)
		print_message("%s: %s\n", audit_severity_name(r.findings[i].severity), r.findings[i].what);
	fail_msg("%s: expected %s (%s), got %s", row->script, row->verdict, row->what ? row->what : "-", audit_verdict(&r));
}

static void a_package_is_intact_until_anything_in_it_is_touched(void **state)
{
	static const struct row rows[] = {
		{ "true", false, "intact", NULL },
		{ "printf x >> \"$1/data/www/part-0001.tar.zst\"", false, "altered", "part-0001.tar.zst is not what its SHA-256 says" },
		{ "rm \"$1/data/www/part-0001.tar.zst\"", false, "unverified", "part-0001.tar.zst" },
		{ "touch \"$1/data/www/more\"", false, "altered", "data/www/more is in no manifest" },
		{ "touch \"$1/more\"", false, "altered", "more is in no manifest" },
		{ "ln -s /etc/passwd \"$1/data/www/link\"", false, "altered", "is no plain file" },
		{ "echo >> \"$1/VERIFY.sh\"", false, "altered", "VERIFY.sh is not what its SHA-256 says" },
		{ "rm \"$1/VERIFY.sh\"", true, "unverified", "VERIFY.sh is missing" },
		{ "rm \"$1/bagit.txt\"", true, "unverified", "bagit.txt is missing" },
		{ "echo 'BagIt-Version: 0.97' > \"$1/bagit.txt\"", true, "altered", "bagit.txt" },
		{ "rm \"$1/manifest-sha256.txt\"", false, "altered", "is in no manifest" },
		{ "truncate -s -1 \"$1/tagmanifest-sha256.txt\"", false, "altered", "tagmanifest-sha256.txt is cut off" },
		{ "touch \"$1/tagmanifest-more\"", false, "altered", "tagmanifest-more is in no manifest" },
		{ "sed -i '$p' \"$1/manifest-sha256.txt\"", false, "altered", "says something twice" },
		{ "sed -i '1s,data/,data/../,' \"$1/manifest-sha256.txt\"", false, "altered", "line 1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i]);
}

/* Whoever can write the bag can seal it anew: then the chain, the signatures and the roots must tell. */
static void a_package_sealed_anew_is_told_by_chain_signatures_and_roots(void **state)
{
	static const struct row rows[] = {
		{ "true", true, "intact", NULL },
		{ "sed -i 's/\"checked\": 41/\"checked\": 42/' \"$1\"/waybill/events/000004-*", true, "altered", "prev is not the digest" },
		{ "rm \"$1\"/waybill/events/000004-*", true, "altered", "sequence number 5 follows 3" },
		{ "mv \"$1\"/waybill/events/000004-* \"$1/waybill/events/000004-verify-done.json\"", true, "altered", "its name does not agree" },
		{ "sed -i 's/李四/李五/' \"$1\"/waybill/approvals/0002-*.txt", true, "altered", "signature of li" },
		{ "cp \"$1\"/waybill/approvals/0001-*.sig \"$1/waybill/approvals/0002-clear-li.sig\"", true, "altered", "signature of li" },
		{ "rm \"$1\"/waybill/approvals/0002-*.sig", true, "unverified", "there is no signature" },
		{ "sed -i 's/file-0007/file-0070/' \"$1/data/www/tree.mtree\"", true, "altered", "another SHA-256 than the root" },
		{ "sed -i 's/\"entries\":42/\"entries\":43/' \"$1/waybill/package.json\"", true, "altered", "is not what its event says" },
		{ "sed -i 's/\"version\":2/\"version\":7/' \"$1/waybill/package.json\"", true, "altered", "no event records www@7" },
		{ "echo >> \"$1/waybill/plan.sha256\"", true, "altered", "plan.sha256 is not the plan digest" },
		{ "sed -i '1s,^[0-9a-f]*,ca1f33d9590683b1e2154c2ff8e23763e507f9f805f185196bc912b606460245,' \"$1/waybill/plan.sha256\"", true, "altered",
		  "does not list waybill/plan.yaml" },
		{ "echo '# more' >> \"$1/waybill/plan.yaml\"", true, "altered", "does not list waybill/plan.yaml" },
		{ "sed -i 's/^li /li-2 /' \"$1/waybill/signers\"", true, "altered", "signers has no key for li" },
		{ "rm \"$1/data/www/part-0001.tar.zst\"", true, "altered", "counts 2 payload files" },
		{ "printf x >> \"$1/data/www/part-0001.tar.zst\"", true, "altered", "counts 2 payload files" },
		{ "rm \"$1/waybill/package.json\"", true, "unverified", "package.json is missing" },
		{ "rm \"$1/waybill/signers\"", true, "unverified", "signers" },
		{ "rm -r \"$1/waybill/events\"", true, "altered", "no event records" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_package_is_intact_until_anything_in_it_is_touched),
		cmocka_unit_test(a_package_sealed_anew_is_told_by_chain_signatures_and_roots),
	};

	return cmocka_run_group_tests(tests, make_whole, drop_whole);
}
