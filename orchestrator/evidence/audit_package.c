/* A package: the bag as BagIt has it, then the ledger excerpt that lies in it. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "audit_private.h"
#include "esc.h"
#include "io.h"
#include "path.h"

#define TAG_FILE_MAX (256u << 20)

/* Files by name: true = listed, and taken off when found. */
struct bag {
	struct audit *a;
	int dir;
	json_t *payload, *payload_sm3, *tags;	/* name -> hex digest */
	struct buf signers;
	uint64_t bytes;			/* of the payload */
	bool unread;			/* a file could not be read */
};

static void bag_dispose(struct bag *b)
{
	if (b->dir >= 0)
		(void)close(b->dir);
	json_decref(b->payload);
	json_decref(b->payload_sm3);
	json_decref(b->tags);
	buf_dispose(&b->signers);
}

static int read_tag(struct bag *b, const char *name, struct buf *out)
{
	struct err e = ERR_INIT;

	if (io_read_file(b->dir, name, TAG_FILE_MAX, out, &e) < 0) {
		if (e.sys == ENOENT)
			return 0;
		audit_say(b->a, AUDIT_UNVERIFIED, "package: %s", e.text);
		return -1;
	}
	buf_puts(out, "");
	return 1;
}

/* %0A, %0D and %25 are the only escapes of BagIt. */
static bool bag_name(const char *p, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (c == '%' && n - i >= 3 && (strncasecmp(p + i, "%0a", 3) == 0 || strncasecmp(p + i, "%0d", 3) == 0 || strncmp(p + i, "%25", 3) == 0)) {
			c = p[i + 1] == '2' ? '%' : p[i + 2] == 'a' || p[i + 2] == 'A' ? '\n' : '\r';
			i += 2;
		}
		buf_putc(out, c);
	}
	return !out->failed && out->len && path_is_safe(out->data, out->len) && strcmp(out->data, ".") != 0;
}

static bool manifest_line(struct bag *b, json_t *into, const char *p, size_t n, bool payload)
{
	OWN_BUF struct buf name = BUF_INIT;
	char hex[DIGEST_HEX];
	uint8_t d[DIGEST_LEN];
	size_t skip = DIGEST_HEX - 1;

	if (n <= skip || (p[skip] != ' ' && p[skip] != '\t'))
		return false;
	memcpy(hex, p, skip);
	hex[skip] = '\0';
	while (skip < n && (p[skip] == ' ' || p[skip] == '\t'))
		skip++;
	if (skip < n && p[skip] == '*')
		skip++;
	if (!hex_parse(hex, d, DIGEST_LEN) || !bag_name(p + skip, n - skip, &name))
		return false;
	if ((strncmp(name.data, "data/", 5) == 0) != payload || json_object_get(into, name.data))
		return false;
	if (json_object_set_new_nocheck(into, name.data, json_string(hex)) < 0)
		b->a->nomem = true;
	return true;
}

/* 1 when it is there and could be read. */
static int read_manifest(struct bag *b, const char *name, json_t *into, bool payload)
{
	OWN_BUF struct buf text = BUF_INIT;
	int r = read_tag(b, name, &text);
	size_t line = 0;

	for (const char *p = text.data; r == 1 && *p; ) {
		size_t n = strcspn(p, "\n"), len = n;

		line++;
		if (len && p[len - 1] == '\r')
			len--;
		if (len && !manifest_line(b, into, p, len, payload))
			audit_say(b->a, AUDIT_ALTERED, "package: %s: line %zu is none of a bag's manifest, or says something twice", name, line);
		p += n + (p[n] == '\n');
	}
	if (r == 1 && text.len && text.data[text.len - 1] != '\n')
		audit_say(b->a, AUDIT_ALTERED, "package: %s is cut off", name);
	return r;
}

static void check_bagit_txt(struct bag *b)
{
	OWN_BUF struct buf text = BUF_INIT;
	int r = read_tag(b, "bagit.txt", &text);

	if (r == 0)
		audit_say(b->a, AUDIT_UNVERIFIED, "package: bagit.txt is missing");
	else if (r == 1 && strcmp(text.data, "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n") != 0)
		audit_say(b->a, AUDIT_ALTERED, "package: bagit.txt does not declare BagIt 1.0 in UTF-8");
}

/* ---- every file against its digest ---- */

static int digest_file(int fd, enum digest_alg alg, uint8_t out[DIGEST_LEN], struct err *e)
{
	OWN(digest_freep) struct digest *d = digest_new(alg);
	OWN_FREE char *chunk = malloc(1 << 20);
	ssize_t n;

	if (!d || !chunk)
		return err_set(e, ERR_UNVERIFIED, "the digest cannot be computed here");
	while ((n = io_read_full("audit", fd, chunk, 1 << 20, "package", e)) > 0)
		digest_update(d, chunk, (size_t)n);
	digest_final(d, out);
	return n < 0 ? -1 : 0;
}

static void compare_file(struct bag *b, const char *name, const char *want, enum digest_alg alg)
{
	OWN_FD int fd = path_open_beneath(b->dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	uint8_t d[DIGEST_LEN];
	char hex[DIGEST_HEX];
	struct stat st;
	struct err e = ERR_INIT;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		audit_say(b->a, AUDIT_UNVERIFIED, "package: %s: %s", esc_s(name), fd < 0 ? strerror(errno) : "is no plain file");
		b->unread = true;
		return;
	}
	if (digest_file(fd, alg, d, &e) < 0) {
		audit_say(b->a, AUDIT_UNVERIFIED, "package: %s: %s", esc_s(name), e.text);
		return;
	}
	hex_of(d, DIGEST_LEN, hex);
	b->a->r->objects++;
	if (alg == DIGEST_SHA256 && strncmp(name, "data/", 5) == 0)
		b->bytes += (uint64_t)st.st_size;
	if (strcmp(hex, want) != 0)
		audit_say(b->a, AUDIT_ALTERED, "package: %s is not what its %s says", esc_s(name), alg == DIGEST_SM3 ? "SM3" : "SHA-256");
}

static void compare_all(struct bag *b, json_t *list, enum digest_alg alg)
{
	const char *name;
	json_t *hex;

	json_object_foreach(list, name, hex)
		compare_file(b, name, json_string_value(hex), alg);
}

/* Nothing may lie there that no manifest lists. */
static void check_extra(struct bag *b)
{
	char *const roots[] = { (char *)(uintptr_t)b->a->o->path, NULL };
	FTS *f = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	size_t skip = strlen(b->a->o->path);
	FTSENT *t;

	while (f && (t = fts_read(f))) {
		const char *name = t->fts_path + skip;

		while (*name == '/')
			name++;
		if (t->fts_info == FTS_D || t->fts_info == FTS_DP || !*name)
			continue;
		if (t->fts_info == FTS_DNR || t->fts_info == FTS_ERR || t->fts_info == FTS_NS)
			audit_say(b->a, AUDIT_UNVERIFIED, "package: %s: %s", esc_s(name), strerror(t->fts_errno));
		else if (t->fts_info != FTS_F)
			audit_say(b->a, AUDIT_ALTERED, "package: %s is no plain file", esc_s(name));
		else if (strncmp(name, "data/", 5) == 0 ? !json_object_get(b->payload, name) :
		    strcmp(name, "tagmanifest-sha256.txt") != 0 && !json_object_get(b->tags, name))
			audit_say(b->a, AUDIT_ALTERED, "package: %s is in no manifest", esc_s(name));
	}
	if (!f)
		audit_say(b->a, AUDIT_UNVERIFIED, "package: %s", strerror(errno));
	else
		(void)fts_close(f);
}

/* ---- the excerpt of the ledger ---- */

static void check_dataset(struct bag *b, const char *name, const json_t *d, const struct audit_order *o)
{
	char path[160];
	const char *have;

	(void)snprintf(path, sizeof(path), "data/%s/tree.mtree", name);
	have = json_string_value(json_object_get(b->payload, path));
	if (!have)
		audit_say(b->a, AUDIT_ALTERED, "package: %s is missing", path);
	else if (strcmp(have, audit_text(d, "root")) != 0)
		audit_say(b->a, AUDIT_ALTERED, "package: %s has another SHA-256 than the root in waybill/package.json", path);
	for (size_t i = 0; i < o->version_count; i++) {
		const struct audit_version *v = &o->versions[i];

		if (strcmp(v->dataset, name) != 0 || v->version != audit_number(d, "version"))
			continue;
		if (strcmp(v->root, audit_text(d, "root")) != 0 || v->entries != audit_number(d, "entries") || v->bytes != audit_number(d, "bytes"))
			audit_say(b->a, AUDIT_ALTERED, "package: %s@%" PRIu64 " is not what its event says", name, v->version);
		return;
	}
	audit_say(b->a, AUDIT_ALTERED, "package: no event records %s@%" PRIu64, name, audit_number(d, "version"));
}

static bool is_name(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= 64 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static void check_package_json(struct bag *b, const struct audit_order *o, const char *digest, const char *plan)
{
	OWN_BUF struct buf text = BUF_INIT;
	json_error_t je;
	json_t *j, *sets, *d;
	const char *name;

	if (read_tag(b, "waybill/package.json", &text) != 1) {
		audit_say(b->a, AUDIT_UNVERIFIED, "package: waybill/package.json is missing: nothing ties the bag to a plan");
		return;
	}
	j = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &je);
	sets = json_object_get(j, "datasets");
	if (strcmp(audit_text(j, "format"), "waybill-package 1") != 0 || !json_is_object(sets) || json_object_size(sets) == 0)
		audit_say(b->a, AUDIT_ALTERED, "package: waybill/package.json is not understood");
	if (*digest && strcmp(audit_text(j, "plan_digest"), digest) != 0)
		audit_say(b->a, AUDIT_ALTERED, "package: waybill/package.json names another plan digest than its events");
	if (*plan && strcmp(audit_text(j, "plan"), plan) != 0)
		audit_say(b->a, AUDIT_ALTERED, "package: waybill/package.json names another plan than its events");
	json_object_foreach(sets, name, d) {
		b->a->r->versions++;
		if (is_name(name))
			check_dataset(b, name, d, o);
		else
			audit_say(b->a, AUDIT_ALTERED, "package: waybill/package.json names a dataset that is none");
	}
	if (!b->unread && (audit_number(j, "files") != json_object_size(b->payload) || audit_number(j, "bytes") != b->bytes))
		audit_say(b->a, AUDIT_ALTERED, "package: waybill/package.json counts %" PRIu64 " payload files of %" PRIu64 " bytes, there are %zu of %" PRIu64,
		    audit_number(j, "files"), audit_number(j, "bytes"), json_object_size(b->payload), b->bytes);
	audit_say(b->a, AUDIT_NOTE, "package: made from ledger commit %s", *audit_text(j, "commit") ? esc_s(audit_text(j, "commit")) : "unknown");
	if (b->a->o->expect && strncmp(b->a->o->expect, audit_text(j, "commit"), strlen(b->a->o->expect)) != 0)
		audit_say(b->a, AUDIT_UNVERIFIED, "package: --expect names another commit; only the ledger itself can show that one follows the other");
	json_decref(j);
}

/* Statement and signature of an approval event, from waybill/approvals/. */
static void take_approval(struct bag *b, struct audit_order *o, const struct audit_event *ev)
{
	OWN_STATEMENT struct statement s = STATEMENT_INIT;
	OWN_BUF struct buf txt = BUF_INIT;
	OWN_BUF struct buf sig = BUF_INIT;
	char where[160], path[300];
	const char *file = audit_text(ev->data, "file");
	bool good;

	(void)snprintf(where, sizeof(where), "package: event %06" PRIu64, ev->seq);
	if (strncmp(file, "approvals/", 10) != 0 || strlen(file) > 200 || !path_is_safe(file, strlen(file))) {
		audit_say(b->a, AUDIT_ALTERED, "%s: names no statement", where);
		return;
	}
	(void)snprintf(path, sizeof(path), "waybill/%s.txt", file);
	if (read_tag(b, path, &txt) != 1) {
		audit_say(b->a, AUDIT_UNVERIFIED, "%s: %s is missing", where, esc_s(path));
		return;
	}
	(void)snprintf(path, sizeof(path), "waybill/%s.sig", file);
	(void)read_tag(b, path, &sig);
	good = audit_statement(b->a, where, &txt, &sig, b->signers.data ? b->signers.data : "", &s) != SIGN_BAD;
	if (s.plan)
		audit_order_voice(b->a, o, ev, &s, good, b->signers.data ? b->signers.data : "");
}

static void one_event(struct bag *b, struct audit_chain *chain, struct audit_order *o, const char *name, char digest[DIGEST_HEX], char plan[80])
{
	OWN_AUDIT_EVENT struct audit_event ev = { .seq = 0 };
	OWN_BUF struct buf text = BUF_INIT;
	char where[200], own[256];
	struct err e = ERR_INIT;

	(void)snprintf(where, sizeof(where), "package: %s", esc_s(name));
	if (io_read_file(b->dir, name, TAG_FILE_MAX, &text, &e) < 0) {
		audit_say(b->a, AUDIT_UNVERIFIED, "%s: %s", where, e.text);
		return;
	}
	if (audit_event_parse(text.data, text.len, &ev, &e) < 0) {
		audit_say(b->a, AUDIT_ALTERED, "%s: %s", where, e.text);
		return;
	}
	b->a->r->commits++;
	audit_event_name(&ev, own);
	if (strcmp(name + strlen("waybill/"), own) != 0)
		audit_say(b->a, AUDIT_ALTERED, "%s: its name does not agree with its content", where);
	audit_chain_step(b->a, chain, &ev, where);
	(void)snprintf(digest, DIGEST_HEX, "%s", ev.plan_digest);
	(void)snprintf(plan, 80, "%s", ev.plan ? ev.plan : "");
	if (strcmp(ev.stage, "approval") == 0)
		take_approval(b, o, &ev);
	audit_order_event(b->a, o, &ev);
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Events in the order of their numbers: names are zero-padded, longer ones come later. */
static int by_number(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	size_t skip = strlen("waybill/events/");
	long long m = atoll(x + skip), n = atoll(y + skip);

	return m != n ? (m < n ? -1 : 1) : by_name(a, b);
}

/* The plan beside the events: they carry the digest of plan.sha256, which lists plan.yaml, whose people sign. */
static void check_plan(struct bag *b, struct audit_order *o, const char *digest, const char *plan)
{
	OWN_BUF struct buf list = BUF_INIT;
	OWN_BUF struct buf yaml = BUF_INIT;
	uint8_t d[DIGEST_LEN];
	char hex[DIGEST_HEX];
	struct err e = ERR_INIT;

	if (read_tag(b, "waybill/plan.sha256", &list) != 1) {
		audit_say(b->a, AUDIT_UNVERIFIED, "package: waybill/plan.sha256 is missing");
		return;
	}
	if (digest_sha256(list.data, list.len, d, &e) < 0)
		return;
	hex_of(d, DIGEST_LEN, hex);
	if (strcmp(hex, digest) != 0)
		audit_say(b->a, AUDIT_ALTERED, "package: waybill/plan.sha256 is not the plan digest of the last event");
	if (read_tag(b, "waybill/plan.yaml", &yaml) != 1) {
		audit_say(b->a, AUDIT_UNVERIFIED, "package: waybill/plan.yaml is missing");
		return;
	}
	if (digest_sha256(yaml.data, yaml.len, d, &e) < 0)
		return;
	if (!audit_plan_lists(list.data, "plan.yaml", d))
		audit_say(b->a, AUDIT_ALTERED, "package: waybill/plan.sha256 does not list waybill/plan.yaml with its digest");
	audit_plan(b->a, o, "package", plan, &yaml, b->signers.data);
}

static void check_excerpt(struct bag *b)
{
	OWN(audit_order_dispose) struct audit_order order = { .versions = NULL };
	OWN_FREE const char **names = calloc(json_object_size(b->tags) + 1, sizeof(*names));
	struct audit_chain chain = { .seq = 0 };
	char digest[DIGEST_HEX] = "", plan[80] = "";
	const char *name;
	json_t *hex;
	size_t n = 0;

	if (read_tag(b, "waybill/signers", &b->signers) != 1)
		audit_say(b->a, AUDIT_UNVERIFIED, "package: waybill/signers is missing: no signature can be checked");
	else
		audit_signers_agree(b->a, "package", b->signers.data);
	json_object_foreach(b->tags, name, hex)
		if (names && strncmp(name, "waybill/events/", 15) == 0)
			names[n++] = name;
	if (n)
		qsort(names, n, sizeof(*names), by_number);
	else
		audit_say(b->a, AUDIT_UNVERIFIED, "package: there are no events in it");
	for (size_t i = 0; i < n; i++)
		one_event(b, &chain, &order, names[i], digest, plan);
	if (n)
		check_plan(b, &order, digest, plan);
	check_package_json(b, &order, digest, plan);
}

/* Two manifests of the payload must list the same files. */
static void compare_lists(struct bag *b)
{
	const char *name;
	json_t *hex;

	json_object_foreach(b->payload, name, hex)
		if (!json_object_get(b->payload_sm3, name))
			audit_say(b->a, AUDIT_ALTERED, "package: %s is not in manifest-sm3.txt", esc_s(name));
	json_object_foreach(b->payload_sm3, name, hex)
		if (!json_object_get(b->payload, name))
			audit_say(b->a, AUDIT_ALTERED, "package: %s is not in manifest-sha256.txt", esc_s(name));
}

void audit_package(struct audit *a)
{
	OWN(bag_dispose) struct bag b = { .a = a, .dir = open(a->o->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .payload = json_object(),
		.payload_sm3 = json_object(), .tags = json_object(), .signers = BUF_INIT };

	if (b.dir < 0) {
		audit_say(a, AUDIT_UNVERIFIED, "package %s: %s", esc_s(a->o->path), strerror(errno));
		return;
	}
	check_bagit_txt(&b);
	if (read_manifest(&b, "manifest-sha256.txt", b.payload, true) == 0)
		audit_say(a, AUDIT_UNVERIFIED, "package: manifest-sha256.txt is missing");
	if (read_manifest(&b, "tagmanifest-sha256.txt", b.tags, false) == 0)
		audit_say(a, AUDIT_UNVERIFIED, "package: tagmanifest-sha256.txt is missing");
	if (read_manifest(&b, "manifest-sm3.txt", b.payload_sm3, true) == 1) {
		compare_lists(&b);
		compare_all(&b, b.payload_sm3, DIGEST_SM3);
	}
	compare_all(&b, b.payload, DIGEST_SHA256);
	compare_all(&b, b.tags, DIGEST_SHA256);
	check_extra(&b);
	if (!json_object_get(b.tags, "VERIFY.sh"))
		audit_say(a, AUDIT_UNVERIFIED, "package: VERIFY.sh is missing");
	if (!json_object_get(b.tags, "manifest-sha256.txt"))
		audit_say(a, AUDIT_ALTERED, "package: tagmanifest-sha256.txt does not list manifest-sha256.txt");
	check_excerpt(&b);
}
