#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "esc.h"
#include "io.h"
#include "log.h"

#define SUMMARY_MAX (1u << 20)

char *version_rev(const char *plan, const char *dataset, uint64_t n, char out[VERSION_REV])
{
	(void)snprintf(out, VERSION_REV, "%s/%s/%" PRIu64, plan, dataset, n);
	return out;
}

char *version_scan_name(const char *plan, const char *dataset, uint64_t n, char out[VERSION_REV])
{
	(void)snprintf(out, VERSION_REV, "%s.%s@%" PRIu64, plan, dataset, n);
	return out;
}

void version_summary_dispose(struct version_summary *s)
{
	free(s->identity);
	free(s->at);
	*s = (struct version_summary)VERSION_SUMMARY_INIT;
}

static int summary_fields(json_t *j, struct version_summary *s, struct err *e)
{
	const char *root, *root_sm3, *identity, *at;
	json_int_t version, pass, entries, files, dirs, bytes, skipped, unsettled, failed;

	if (json_unpack(j, "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:s,s:s,s:s}", "version", &version, "pass", &pass,
	    "entries", &entries, "files", &files, "dirs", &dirs, "bytes", &bytes, "skipped", &skipped,
	    "unsettled", &unsettled, "failed", &failed, "root", &root, "root_sm3", &root_sm3,
	    "identity", &identity, "at", &at) != 0 ||
	    !hex_parse(root, s->root.sha256, DIGEST_LEN) || !hex_parse(root_sm3, s->root.sm3, DIGEST_LEN))
		return err_set(e, ERR_INTEGRITY, "summary.json is not understood");
	s->version = (uint64_t)version;
	s->pass = (uint64_t)pass;
	s->totals = (struct manifest_totals){ .entries = (uint64_t)entries, .files = (uint64_t)files,
		.dirs = (uint64_t)dirs, .bytes = (uint64_t)bytes, .skipped = (uint64_t)skipped,
		.unsettled = (uint64_t)unsettled, .failed = (uint64_t)failed };
	s->identity = strdup(identity);
	s->at = strdup(at);
	return s->identity && s->at ? 0 : err_sys(e, "summary");
}

int version_summary(const struct workspace *w, const char *plan, const char *dataset, uint64_t n,
    struct version_summary *s, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT;
	char rev[VERSION_REV], path[160];
	json_error_t je;
	json_t *j;
	int r;

	(void)snprintf(path, sizeof(path), "datasets/%s/summary.json", dataset);
	if (n) {
		r = ledger_tag(w->ledger, version_rev(plan, dataset, n, rev), s->commit, e);
		if (r <= 0)
			return r;
	}
	r = ledger_read(w->ledger, plan, n ? rev : NULL, path, &text, e);
	if (r <= 0)
		return r;
	if (text.len > SUMMARY_MAX || !(j = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &je)))
		return err_set(e, ERR_INTEGRITY, "ledger %s: %s is no JSON", plan, path);
	r = summary_fields(j, s, e);
	json_decref(j);
	if (r < 0)
		return err_at(e, "ledger %s: %s", plan, path);
	if (!n && ledger_tag(w->ledger, version_rev(plan, dataset, s->version, rev), s->commit, e) < 0)
		return -1;
	return 1;
}

/* ---- reader ---- */

struct chunk { char name[MANIFEST_NAME]; uint8_t sha256[DIGEST_LEN]; };

struct version_reader {
	const struct workspace *w;
	char plan[72], dataset[72], rev[VERSION_REV];
	uint64_t n;
	struct objects objects;
	struct objects_cursor cursor;
	struct scan_reader *scan;	/* either this */
	int scanfd;
	struct manifest_reader *manifest;	/* or this */
	struct chunk *chunks;		/* owned */
	size_t chunk_count, chunk_next;
	bool ended;
};

static int take_chunk(void *ctx, const uint8_t sha256[DIGEST_LEN], uint64_t entries, const char *name)
{
	struct version_reader *r = ctx;

	(void)entries;
	if ((r->chunk_count & (r->chunk_count - 1)) == 0) {
		struct chunk *p = realloc(r->chunks, (r->chunk_count ? r->chunk_count * 2 : 1) * sizeof(*p));

		if (!p)
			return -1;
		r->chunks = p;
	}
	(void)snprintf(r->chunks[r->chunk_count].name, MANIFEST_NAME, "%s", name);
	memcpy(r->chunks[r->chunk_count++].sha256, sha256, DIGEST_LEN);
	return 0;
}

static int next_chunk(void *ctx, struct buf *b, struct err *e)
{
	struct version_reader *r = ctx;
	uint8_t digest[DIGEST_LEN];
	char path[200];
	size_t start = b->len;

	if (r->chunk_next == r->chunk_count)
		return 0;
	(void)snprintf(path, sizeof(path), "datasets/%s/manifest/%s", r->dataset, r->chunks[r->chunk_next].name);
	if (ledger_read(r->w->ledger, r->plan, r->rev, path, b, e) != 1)
		return err_set(e, ERR_INTEGRITY, "ledger %s: chunk %s of the manifest is missing", r->rev, path);
	if (digest_sha256(b->data + start, b->len - start, digest, e) < 0)
		return -1;
	if (memcmp(digest, r->chunks[r->chunk_next].sha256, DIGEST_LEN) != 0)
		return err_set(e, ERR_INTEGRITY, "ledger %s: chunk %s is not what INDEX says", r->rev, path);
	r->chunk_next++;
	return 1;
}

static int open_manifest(struct version_reader *r, struct err *e)
{
	OWN_BUF struct buf index = BUF_INIT;
	char path[160];

	(void)snprintf(path, sizeof(path), "datasets/%s/manifest/INDEX", r->dataset);
	if (ledger_read(r->w->ledger, r->plan, r->rev, path, &index, e) != 1)
		return err_set(e, ERR_INTEGRITY, "ledger %s: %s is missing", r->rev, path);
	if (manifest_index_parse(index.data, index.len, take_chunk, r, e) < 0)
		return err_at(e, "ledger %s: %s", r->rev, path);
	return manifest_reader_new(&r->manifest, next_chunk, r, e);
}

/* 1 = the scan file is there and whole; 0 = read the manifest instead. */
static int open_scan(struct version_reader *r)
{
	struct err e = ERR_INIT;
	char name[VERSION_REV];

	r->scanfd = openat(r->w->scanfd, version_scan_name(r->plan, r->dataset, r->n, name), O_RDONLY | O_CLOEXEC);
	if (r->scanfd < 0)
		return 0;
	if (scan_reader_new(&r->scan, r->scanfd, &e) == 0)
		return 1;
	log_warn("scan state %s cannot be used (%s): contents are read again, only differences are sent", name, e.text);
	return 0;
}

static int open_objects(struct version_reader *r, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT;
	char path[160];

	(void)snprintf(path, sizeof(path), "datasets/%s/objects", r->dataset);
	if (ledger_read(r->w->ledger, r->plan, r->rev, path, &text, e) != 1)
		return err_set(e, ERR_INTEGRITY, "ledger %s: %s is missing", r->rev, path);
	r->cursor = (struct objects_cursor){ &r->objects, 0, 0 };
	return objects_parse(&r->objects, text.data, text.len, e);
}

int version_open(const struct workspace *w, const char *plan, const char *dataset, uint64_t n, enum version_want want,
    struct version_reader **out, struct err *e)
{
	OWN(version_closep) struct version_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return err_sys(e, "version");
	r->w = w;
	r->n = n;
	r->scanfd = -1;
	(void)snprintf(r->plan, sizeof(r->plan), "%s", plan);
	(void)snprintf(r->dataset, sizeof(r->dataset), "%s", dataset);
	version_rev(plan, dataset, n, r->rev);
	if (n == 0)
		r->ended = true;
	else if (open_objects(r, e) < 0 || ((want != VERSION_SCAN || !open_scan(r)) && open_manifest(r, e) < 0))
		return -1;
	*out = take_ptr(&r);
	return 0;
}

int version_next(struct version_reader *r, struct entry *en, struct location *at, struct err *e)
{
	struct location place = { .kind = LOCATION_NONE };
	int got;

	if (r->ended)
		return 0;
	got = r->scan ? scan_reader_next(r->scan, en, e) : manifest_reader_next(r->manifest, en, e);
	if (got < 0)
		return err_at(e, "version %s", r->rev);
	if (got == 0) {
		r->ended = true;
		if (!objects_cursor_done(&r->cursor))
			return err_set(e, ERR_INTEGRITY, "version %s: the objects list has more contents than the manifest", r->rev);
		return 0;
	}
	if (objects_has_content(en) && objects_cursor_next(&r->cursor, &place, e) < 0)
		return err_at(e, "version %s", r->rev);
	if (at)
		*at = place;
	return 1;
}

int version_next_entry(void *ctx, struct entry *en, struct err *e) { return version_next(ctx, en, NULL, e); }
const struct objects *version_objects(const struct version_reader *r) { return &r->objects; }

void version_close(struct version_reader *r)
{
	if (!r)
		return;
	scan_reader_free(r->scan);
	manifest_reader_free(r->manifest);
	if (r->scanfd >= 0)
		(void)close(r->scanfd);
	objects_dispose(&r->objects);
	free(r->chunks);
	free(r);
}
