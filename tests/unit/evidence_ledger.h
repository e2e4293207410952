/* A whole retirement as a ledger with its archive, made through the real writer, for the tests of audit and certificate. */
#ifndef EVIDENCE_LEDGER_H
#define EVIDENCE_LEDGER_H

#include "evidence_keys.h"

#include "approval.h"
#include "certificate.h"
#include "ledger.h"
#include "manifest.h"

#define PLAN "wxzj-end"

struct house {
	char dir[PATH_MAX];		/* workspace; dir/.waybill/ledger.git and store */
	char repo[PATH_MAX], store[PATH_MAX];
	struct ledger *ledger;
	struct plan *plan;
	char plan_digest[DIGEST_HEX];
	struct manifest_root root;
	struct manifest_totals totals;
	char root_hex[DIGEST_HEX], sm3_hex[DIGEST_HEX], object_hex[DIGEST_HEX];
	struct ledger_txn *txn;		/* of the version being written */
	const char *commit_key;		/* signs commits when set */
	char head[LEDGER_OID], cleared[LEDGER_OID];
	char basis[DIGEST_HEX];		/* that was signed for last */
	const char *gate, *side;	/* what events say of the gate, and of the side that was verified; NULL: as it should be */
	unsigned hidden;		/* contents that the next versions do not name */
};

#define OK(call) do { struct err e = ERR_INIT; if ((call) < 0) fail_msg("%s", e.text); } while (0)

static inline void house_event(struct house *h, struct ledger_txn *t, const char *stage, const char *state, const char *by, const char *data)
{
	static int minute;
	char at[64];
	struct ledger_event ev = { .stage = stage, .state = state, .text = "so it is", .by = by, .at = at, .plan_digest = h->plan_digest, .data = data };

	(void)snprintf(at, sizeof(at), "2026-11-28T%02d:%02d:00+08:00", 10 + minute / 60 % 12, minute % 60);
	minute++;
	if (!t)
		OK(ledger_txn_begin(h->ledger, PLAN, &t, &e));
	OK(ledger_txn_commit(t, &ev, h->commit_key && *by ? sign_for_ledger : NULL, (void *)(uintptr_t)h->commit_key, &e));
	memcpy(h->head, ev.commit, sizeof(h->head));
}

/* more: lines at the end of the plan; listed: at the end of plan.sha256; li: whose key is li's in signers. */
static inline void house_plan_with(struct house *h, const char *more, const char *listed, const char *li_key)
{
	OWN_BUF struct buf yaml = BUF_INIT;
	OWN_BUF struct buf list = BUF_INIT;
	OWN_BUF struct buf signers = BUF_INIT;
	OWN_PLAN_FAULTS struct plan_faults faults = PLAN_FAULTS_INIT;
	OWN_FREE char *zhang = key_line("zhang"), *li = key_line("li"), *signer = key_line(li_key);
	struct ledger_txn *t = NULL;
	uint8_t d[DIGEST_LEN];
	char hex[DIGEST_HEX];

	buf_printf(&yaml, "waybill: 1\nname: %s\nkind: retirement\nsystem: {id: WX-7, level: 三级}\nparties:\n  department: {name: 住房和城乡建设局}\n"
	    "people:\n  zhang: {name: 张三, party: department, key: \"%s\"}\n  li: {name: 李四, party: department, key: \"%s\"}\n"
	    "hosts:\n  old: {ssh: deploy@192.0.2.1}\ndatasets:\n  www:\n    files: {from: \"old:/srv/www\"}\n"
	    "clear: {verifier: li}\ngates:\n  clear: {approve: [department, department]}\n%s", PLAN, zhang, li, more);
	plan_free(h->plan);
	if (plan_parse("plan.yaml", ".", yaml.data, yaml.len, &h->plan, &faults) < 0) {
		plan_faults_print(&faults, stderr, false);
		fail();
	}
	OK(digest_sha256(yaml.data, yaml.len, d, &e));
	hex_of(d, DIGEST_LEN, hex);
	buf_printf(&list, "%s%s  plan.yaml\n", listed, hex);
	OK(digest_sha256(list.data, list.len, d, &e));
	hex_of(d, DIGEST_LEN, h->plan_digest);
	sign_put_signer(&signers, "zhang", zhang);
	sign_put_signer(&signers, "li", signer);
	OK(ledger_txn_begin(h->ledger, PLAN, &t, &e));
	OK(ledger_txn_put(t, "plan.yaml", yaml.data, yaml.len, &e));
	OK(ledger_txn_put(t, "plan.sha256", list.data, list.len, &e));
	OK(ledger_txn_put(t, "signers", signers.data, signers.len, &e));
	house_event(h, t, "plan", "recorded", "zhang", "{\"version\":1}");
}

static inline void house_plan(struct house *h) { house_plan_with(h, "", "", "li"); }

static inline int house_chunk(void *ctx, const char *name, const void *text, size_t n, struct err *e)
{
	struct house *h = ctx;
	char path[200];

	(void)snprintf(path, sizeof(path), "datasets/www/manifest/%s", name);
	return ledger_txn_put(h->txn, path, text, n, e);
}

/* An object of the archive: its name is its digest. */
static inline void house_object(struct house *h)
{
	static const char bytes[] = "not a pack, but an object";
	uint8_t d[DIGEST_LEN];
	char path[2 * PATH_MAX];
	FILE *f;

	OK(digest_sha256(bytes, sizeof(bytes), d, &e));
	hex_of(d, DIGEST_LEN, h->object_hex);
	(void)snprintf(path, sizeof(path), "%s/objects/%.2s", h->store, h->object_hex);
	OK(io_mkdirs(AT_FDCWD, path, 0700, &e));
	(void)snprintf(path, sizeof(path), "%s/objects/%.2s/%s.tar.zst", h->store, h->object_hex, h->object_hex);
	assert_non_null(f = fopen(path, "w"));
	assert_int_equal(fwrite(bytes, sizeof(bytes), 1, f), 1);
	assert_int_equal(fclose(f), 0);
}

static inline void house_version(struct house *h, unsigned n)
{
	OWN(manifest_writer_freep) struct manifest_writer *w = NULL;
	OWN_BUF struct buf index = BUF_INIT;
	unsigned long long count = 40 + n;
	char data[900], text[300], tag[100];

	OK(ledger_txn_begin(h->ledger, PLAN, &h->txn, &e));
	OK(ledger_txn_delete(h->txn, "datasets/www", &e));
	OK(manifest_writer_new(&w, house_chunk, h, &e));
	for (unsigned i = 0; i < 40 + n; i++) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		char path[32];

		(void)snprintf(path, sizeof(path), i ? "file-%04u" : ".", i);
		OK(entry_set_path(&en, path, strlen(path), &e));
		en.type = i ? ENTRY_FILE : ENTRY_DIR;
		en.outcome = ENTRY_COPIED;
		en.mode = i ? 0644 : 0755;
		en.mtime_s = 1700000000;
		en.nlink = 1;
		en.size = i ? 7 : 0;
		en.has = i ? ENTRY_HAS_SHA256 : 0;
		memset(en.sha256, (int)i, DIGEST_LEN);
		OK(manifest_writer_add(w, &en, &e));
	}
	OK(manifest_writer_finish(w, &index, &h->root, &h->totals, &e));
	OK(ledger_txn_put(h->txn, "datasets/www/manifest/INDEX", index.data, index.len, &e));
	hex_of(h->root.sha256, DIGEST_LEN, h->root_hex);
	hex_of(h->root.sm3, DIGEST_LEN, h->sm3_hex);
	(void)snprintf(text, sizeof(text), "waybill-objects 1\npack %s %llu\n", h->object_hex, (unsigned long long)h->totals.files - h->hidden);
	OK(ledger_txn_put(h->txn, "datasets/www/objects", text, strlen(text), &e));
	(void)snprintf(data, sizeof(data), "{\"dataset\":\"www\",\"version\":%u,\"root\":\"%s\",\"root_sm3\":\"%s\",\"entries\":%llu,\"bytes\":%llu,"
	    "\"balance\":{\"scanned\":%llu,\"copied\":%llu,\"unchanged\":0,\"skipped\":0,\"unsettled\":0,\"failed\":0}}", n,
	    h->root_hex, h->sm3_hex, (unsigned long long)h->totals.entries, (unsigned long long)h->totals.bytes, count, count);
	OK(ledger_txn_put(h->txn, "datasets/www/summary.json", data, strlen(data), &e));
	(void)snprintf(tag, sizeof(tag), PLAN "/www/%u", n);
	OK(ledger_txn_tag(h->txn, tag, &e));
	house_event(h, take_ptr(&h->txn), "copy", "version", "zhang", data);
}

static inline void house_checked(struct house *h, const char *stage, unsigned version)
{
	char data[300];

	(void)snprintf(data, sizeof(data), "{\"dataset\":\"www\",\"version\":%u,\"side\":\"%s\",\"read\":\"medium\",\"verdict\":\"match\",\"checked\":41}", version,
	    h->side ? h->side : "archive");
	house_event(h, NULL, stage, "checked", "zhang", data);
}

/* facts of clear as they are now */
static inline void house_facts(struct house *h, struct facts *f, unsigned version)
{
	static const struct statement_discard skipped = { "www", "run/sock et", "socket" };

	OK(facts_from_plan(f, h->plan, "clear", h->plan_digest, 1, &e));
	f->datasets[0].version = version;
	f->datasets[0].root = h->root_hex;
	f->datasets[0].root_sm3 = h->sm3_hex;
	f->datasets[0].entries = h->totals.entries;
	f->datasets[0].bytes = h->totals.bytes;
	f->f.skipped = &skipped;
	f->f.skipped_count = 1;
}

static inline void house_approve(struct house *h, const char *person, const char *key, unsigned version)
{
	OWN_FACTS struct facts f = FACTS_INIT;
	OWN_BUF struct buf txt = BUF_INIT;
	OWN_BUF struct buf sig = BUF_INIT;
	OWN_BUF struct buf data = BUF_INIT;
	OWN_STATEMENT struct statement s = STATEMENT_INIT;
	struct statement_head head;
	struct ledger_txn *t = NULL;
	char path[PATH_MAX];

	house_facts(h, &f, version);
	OK(approval_head(h->plan, person, "clear", SAYS_APPROVE, 1795831200, &head, &e));
	OK(statement_build(&head, &f.f, &txt, &e));
	key_path(path, key);
	OK(sign_bytes(path, SIGN_NS_CLEARANCE, txt.data, txt.len, &sig, &e));
	OK(statement_parse(txt.data, txt.len, &s, &e));
	hex_of(s.basis_digest, DIGEST_LEN, h->basis);
	OK(ledger_txn_begin(h->ledger, PLAN, &t, &e));
	OK(approval_put(h->ledger, t, PLAN, &s, txt.data, txt.len, sig.data, sig.len, &data, &e));
	house_event(h, t, "approval", "recorded", person, data.data);
}

static inline void house_clear_started(struct house *h)
{
	OWN_BUF struct buf data = BUF_INIT;
	OWN_BUF struct buf facts = BUF_INIT;

	OK(certificate_facts(h->plan, &facts, &e));
	buf_printf(&data, "{\"basis\":\"%s\",\"gate\":%s,\"hosts\":[\"old\"],\"facts\":%s}", h->basis,
	    h->gate ? h->gate : "[\"department\",\"department\"]", facts.data);
	house_event(h, NULL, "clear", "started", "zhang", data.data);
}

static inline void house_clear_done(struct house *h)
{
	house_event(h, NULL, "clear", "done", "zhang", "{\"verdict\":\"performed-not-provable\",\"objects\":40,\"bytes\":163840,"
	    "\"items\":[{\"what\":\"www\",\"host\":\"old\",\"path\":\"/srv/www\",\"method\":\"overwrite\",\"verdict\":\"performed-not-provable\","
	    "\"limits\":[\"Not read back from the device: no right to.\"]}],\"copies\":[{\"what\":\"archive of the department\",\"grade\":\"kept\"}]}");
	memcpy(h->cleared, h->head, sizeof(h->cleared));
}

/* {"commit":C,"files":{...}}: what an event says of the papers that its commit adds; name without "certificates/". */
static inline void house_paper(struct buf *files, const char *name, const struct buf *paper)
{
	uint8_t d[DIGEST_LEN];
	char hex[DIGEST_HEX];

	OK(digest_sha256(paper->data, paper->len, d, &e));
	hex_of(d, DIGEST_LEN, hex);
	buf_printf(files, "%s\"%s\":\"%s\"", files->len ? "," : "", name, hex);
}

static inline void house_certified(struct house *h, struct ledger_txn *t, const struct buf *files)
{
	OWN_BUF struct buf data = BUF_INIT;

	buf_printf(&data, "{\"commit\":\"%s\",\"files\":{%s}}", h->cleared, files->data ? files->data : "");
	house_event(h, t, "certify", "done", "zhang", data.data);
}

static inline void house_certify(struct house *h, const char *key)
{
	static const struct { const char *name; struct certificate_options o; } forms[] = {
		{ "certificates/paper.txt", { CERTIFICATE_TXT, true } }, { "certificates/paper.json", { CERTIFICATE_JSON, false } } };
	OWN_BUF struct buf files = BUF_INIT;
	struct ledger_txn *t = NULL;
	char path[PATH_MAX], name[100];

	OK(ledger_txn_begin(h->ledger, PLAN, &t, &e));
	key_path(path, key);
	for (size_t i = 0; i < 2; i++) {
		OWN_BUF struct buf paper = BUF_INIT;
		OWN_BUF struct buf sig = BUF_INIT;

		OK(certificate_build(h->ledger, PLAN, &forms[i].o, &paper, &e));
		OK(certificate_sign(path, paper.data, paper.len, &sig, &e));
		OK(ledger_txn_put(t, forms[i].name, paper.data, paper.len, &e));
		house_paper(&files, forms[i].name + strlen("certificates/"), &paper);
		(void)snprintf(name, sizeof(name), "%s.sig", forms[i].name);
		OK(ledger_txn_put(t, name, sig.data, sig.len, &e));
	}
	house_certified(h, t, &files);
}

static inline void house_open(struct house *h, const char *name)
{
	memset(h, 0, sizeof(*h));
	(void)snprintf(h->dir, sizeof(h->dir), "%s/%s", keys_dir, name);
	(void)snprintf(h->repo, sizeof(h->repo), "%.3900s/.waybill/ledger.git", h->dir);
	(void)snprintf(h->store, sizeof(h->store), "%.3900s/.waybill/store", h->dir);
	OK(io_mkdirs(AT_FDCWD, h->store, 0700, &e));
	OK(ledger_create(h->repo, &e));
	OK(ledger_open(&h->ledger, h->repo, &e));
	house_plan(h);
	house_object(h);
}

static inline void house_close(struct house *h)
{
	ledger_close(h->ledger);
	plan_free(h->plan);
}

/* The whole story, as it should be. */
static inline void house_whole(struct house *h, const char *name)
{
	house_open(h, name);
	house_version(h, 1);
	house_version(h, 2);
	house_checked(h, "verify", 2);
	house_checked(h, "restore-test", 2);
	house_approve(h, "zhang", "zhang", 2);
	house_approve(h, "li", "li", 2);
	house_clear_started(h);
	house_clear_done(h);
	house_certify(h, "zhang");
}

#endif
