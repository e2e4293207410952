/* One recorded version: chunks, INDEX, root, summary, objects. */
#include <inttypes.h>
#include <string.h>

#include "audit_private.h"
#include "esc.h"
#include "manifest.h"
#include "objects.h"

struct chunk { uint8_t sha256[DIGEST_LEN]; char name[MANIFEST_NAME]; };

struct checker {
	struct audit *a;
	const char *oid, *dataset, *where;
	struct digest *sha, *sm3;	/* owned; sm3 NULL where the library lacks it */
	struct chunk *chunks;		/* owned, in the order of INDEX */
	size_t chunk_count, next;
	uint64_t entries;		/* as INDEX counts them */
	uint64_t contents;		/* that objects must name; only when parsed */
	bool parsed;
	json_t *known;			/* names of the chunks in INDEX */
};

static int take_chunk(void *ctx, const uint8_t sha256[DIGEST_LEN], uint64_t entries, const char *name)
{
	struct checker *c = ctx;
	struct chunk *v = (c->chunk_count & (c->chunk_count - 1)) ? c->chunks :
	    realloc(c->chunks, (c->chunk_count ? c->chunk_count * 2 : 1) * sizeof(*v));
	char path[256];

	if (!v) {
		c->a->nomem = true;
		return 0;
	}
	c->chunks = v;
	v += c->chunk_count++;
	memcpy(v->sha256, sha256, DIGEST_LEN);
	(void)snprintf(v->name, sizeof(v->name), "%s", name);
	(void)snprintf(path, sizeof(path), "datasets/%s/manifest/%s", c->dataset, name);
	(void)json_object_set_new(c->known, path, json_true());
	c->entries += entries;
	return 0;
}

/* Reads the next chunk into b, held against its digest; b stays empty when it is not there.  False at the end. */
static bool next_chunk(struct checker *c, struct buf *b)
{
	const struct chunk *k = c->next < c->chunk_count ? &c->chunks[c->next++] : NULL;
	size_t before = b->len;
	char path[256];
	uint8_t d[DIGEST_LEN];
	struct err e = ERR_INIT;
	int r;

	if (!k)
		return false;
	(void)snprintf(path, sizeof(path), "datasets/%s/manifest/%s", c->dataset, k->name);
	r = history_read(c->a->h, c->oid, path, b, &e);
	if (r < 0)
		audit_err(c->a, c->where, &e);
	else if (r == 0)
		audit_say(c->a, AUDIT_ALTERED, "%s: chunk %s is in INDEX but not in the tree", c->where, k->name);
	if (r != 1) {
		c->parsed = false;
		return true;
	}
	if (digest_sha256(b->data + before, b->len - before, d, &e) < 0 || memcmp(d, k->sha256, DIGEST_LEN) != 0)
		audit_say(c->a, AUDIT_ALTERED, "%s: chunk %s is not what INDEX says", c->where, k->name);
	digest_update(c->sha, b->data + before, b->len - before);
	if (c->sm3)
		digest_update(c->sm3, b->data + before, b->len - before);
	return true;
}

static int chunk_source(void *ctx, struct buf *b, struct err *e)
{
	struct checker *c = ctx;
	size_t before = b->len;

	while (next_chunk(c, b))
		if (b->len > before)
			return buf_finish(b, e) < 0 ? -1 : 1;
	return 0;
}

/* Is it a manifest at all, and what does it hold?  A chunk that lacks or differs has been named already. */
static void read_entries(struct checker *c, struct manifest_totals *t)
{
	OWN(manifest_reader_freep) struct manifest_reader *r = NULL;
	OWN_ENTRY struct entry en = ENTRY_INIT;
	OWN_BUF struct buf rest = BUF_INIT;
	struct manifest_root root;
	struct err e = ERR_INIT;
	int got = manifest_reader_new(&r, chunk_source, c, &e);

	c->parsed = true;
	while (got >= 0 && (got = manifest_reader_next(r, &en, &e)) == 1) {
		c->contents += objects_has_content(&en);
		entry_dispose(&en);
		en = (struct entry)ENTRY_INIT;
	}
	if (got < 0 && c->parsed)
		audit_say(c->a, e.class == ERR_INTEGRITY ? AUDIT_ALTERED : AUDIT_UNVERIFIED, "%s: %s", c->where, e.text);
	c->parsed &= got == 0;
	if (c->parsed)
		manifest_reader_root(r, &root, t);
	while (next_chunk(c, &rest))	/* what follows a fault is held against its digests all the same */
		buf_reset(&rest);
}

static int check_known(void *ctx, const char *path)
{
	struct checker *c = ctx;
	size_t n = strlen(path);

	if (n > 6 && strcmp(path + n - 6, ".mtree") == 0 && !json_object_get(c->known, path))
		audit_say(c->a, AUDIT_ALTERED, "%s: %s is in no INDEX", c->where, esc_s(path));
	return 0;
}

static void compare_root(struct checker *c, struct digest *d, const char *alg, const char *recorded)
{
	uint8_t got[DIGEST_LEN];
	char hex[DIGEST_HEX];

	digest_final(d, got);
	hex_of(got, DIGEST_LEN, hex);
	if (strcmp(hex, recorded) != 0)
		audit_say(c->a, AUDIT_ALTERED, "%s: the %s of the manifest is %s, the event says %s", c->where, alg, hex,
		    *recorded ? esc_s(recorded) : "nothing");
}

/* scanned = copied + unchanged + skipped + unsettled + failed, and each of them stands in the manifest. */
static void check_balance(struct checker *c, const struct audit_event *ev)
{
	static const char *const parts[] = { "copied", "unchanged", "skipped", "unsettled", "failed" };
	const json_t *balance = json_object_get(ev->data, "balance");
	uint64_t scanned = audit_number(balance, "scanned"), sum = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		sum += audit_number(balance, parts[i]);
	if (sum != scanned || scanned != c->entries)
		audit_say(c->a, AUDIT_ALTERED, "%s: does not add up: %" PRIu64 " scanned, %" PRIu64 " accounted for, %" PRIu64 " in the manifest", c->where,
		    scanned, sum, c->entries);
}

static void check_manifest(struct checker *c, const struct audit_event *ev)
{
	OWN_BUF struct buf index = BUF_INIT;
	struct manifest_totals t = { .entries = 0 };
	char path[160];
	struct err e = ERR_INIT;
	uint64_t said;
	int r;

	(void)snprintf(path, sizeof(path), "datasets/%s/manifest/INDEX", c->dataset);
	r = history_read(c->a->h, c->oid, path, &index, &e);
	if (r < 0) {
		audit_err(c->a, c->where, &e);
		return;
	}
	if (r == 0) {
		audit_say(c->a, AUDIT_ALTERED, "%s: %s is missing", c->where, path);
		return;
	}
	if (manifest_index_parse(index.data, index.len, take_chunk, c, &e) < 0) {
		audit_say(c->a, AUDIT_ALTERED, "%s: %s: %s", c->where, path, e.text);
		return;
	}
	read_entries(c, &t);
	compare_root(c, c->sha, "SHA-256", audit_text(ev->data, "root"));
	if (c->sm3 && *audit_text(ev->data, "root_sm3"))
		compare_root(c, c->sm3, "SM3", audit_text(ev->data, "root_sm3"));
	/* "entries" counts what was taken; the manifest also names what was skipped or could not be read. */
	said = audit_number(ev->data, "entries") + audit_number(ev->data, "skipped") + audit_number(ev->data, "failed");
	if (c->entries != said)
		audit_say(c->a, AUDIT_ALTERED, "%s: INDEX counts %" PRIu64 " entries, the event says %" PRIu64, c->where, c->entries, said);
	if (c->parsed && (t.entries != audit_number(ev->data, "entries") || t.bytes != audit_number(ev->data, "bytes")))
		audit_say(c->a, AUDIT_ALTERED, "%s: the manifest holds %" PRIu64 " entries and %" PRIu64 " bytes, the event says otherwise", c->where,
		    t.entries, t.bytes);
	check_balance(c, ev);
	(void)snprintf(path, sizeof(path), "datasets/%s/manifest", c->dataset);
	if (history_list(c->a->h, c->oid, path, check_known, c, &e) < 0)
		audit_err(c->a, c->where, &e);
}

/* summary.json says again what the event says; what only one of the two has is not compared. */
static void check_summary(struct checker *c, const struct audit_event *ev)
{
	static const char *const needed[] = { "dataset", "root", "version", "entries", "bytes", "balance" };
	OWN_BUF struct buf b = BUF_INIT;
	char path[160];
	struct err e = ERR_INIT;
	json_error_t je;
	json_t *j, *v;
	const char *key;
	int r;

	(void)snprintf(path, sizeof(path), "datasets/%s/summary.json", c->dataset);
	r = history_read(c->a->h, c->oid, path, &b, &e);
	if (r < 0)
		audit_err(c->a, c->where, &e);
	if (r == 0)
		audit_say(c->a, AUDIT_ALTERED, "%s: %s is missing", c->where, path);
	if (r != 1)
		return;
	j = json_loadb(b.data ? b.data : "", b.len, JSON_REJECT_DUPLICATES, &je);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!json_object_get(j, needed[i]))
			audit_say(c->a, AUDIT_ALTERED, "%s: %s has no %s", c->where, path, needed[i]);
	json_object_foreach(ev->data, key, v)
		if (json_object_get(j, key) && !json_equal(v, json_object_get(j, key)))
			audit_say(c->a, AUDIT_ALTERED, "%s: %s has another %s than the event", c->where, path, esc_s(key));
	json_decref(j);
}

void audit_objects_dispose(struct audit_objects *o)
{
	free(o->v);
	*o = (struct audit_objects){ NULL, 0, 0 };
}

bool audit_objects_add(struct audit_objects *o, char kind, const uint8_t id[DIGEST_LEN])
{
	if (o->n == o->cap) {
		size_t cap = o->cap ? o->cap * 2 : 64;
		struct audit_object *v = realloc(o->v, cap * sizeof(*v));

		if (!v)
			return false;
		o->v = v;
		o->cap = cap;
	}
	memcpy(o->v[o->n].id, id, DIGEST_LEN);
	o->v[o->n++].kind = kind;
	return true;
}

/* " N" at the end of a line; 0 when it is none. */
static uint64_t run_length(const char *p, const char *end)
{
	uint64_t v = 0;

	if (p == end || *p++ != ' ' || p == end || *p == '0')
		return 0;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9' || v > UINT64_MAX / 100)
			return 0;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	return v;
}

/* "pack HEX N", "recipe HEX", "attr HEX", "none N" (waybill-objects.5); contents: how many it names is added. */
static bool object_line(struct audit_objects *o, const char *line, const char *end, uint64_t *contents, bool *nomem)
{
	static const struct { const char *word; char kind; } kinds[] = { { "pack ", 'p' }, { "recipe ", 'r' }, { "attr ", 'a' } };
	char hex[DIGEST_HEX];
	uint8_t id[DIGEST_LEN];
	uint64_t n;

	if (end - line > 5 && memcmp(line, "none ", 5) == 0) {
		*contents += n = run_length(line + 4, end);
		return n > 0;
	}
	for (size_t i = 0; i < 3; i++) {
		size_t w = strlen(kinds[i].word);
		const char *after = line + w + DIGEST_HEX - 1;

		if (end - line < (ptrdiff_t)(w + DIGEST_HEX - 1) || memcmp(line, kinds[i].word, w) != 0)
			continue;
		memcpy(hex, line + w, DIGEST_HEX - 1);
		hex[DIGEST_HEX - 1] = '\0';
		n = kinds[i].kind == 'p' ? run_length(after, end) : after == end;
		if (!n || !hex_parse(hex, id, DIGEST_LEN))
			return false;
		*contents += kinds[i].kind == 'a' ? 0 : n;
		*nomem |= !audit_objects_add(o, kinds[i].kind, id);
		return true;
	}
	return false;
}

static void check_objects(struct checker *c, struct audit_objects *o)
{
	static const char first[] = "waybill-objects 1\n";
	OWN_BUF struct buf b = BUF_INIT;
	char path[160];
	struct err e = ERR_INIT;
	uint64_t contents = 0;
	size_t line = 1;
	int r;

	(void)snprintf(path, sizeof(path), "datasets/%s/objects", c->dataset);
	r = history_read(c->a->h, c->oid, path, &b, &e);
	if (r < 0)
		audit_err(c->a, c->where, &e);
	if (r == 0 || (r == 1 && (b.len < sizeof(first) - 1 || memcmp(b.data, first, sizeof(first) - 1) != 0)))
		audit_say(c->a, AUDIT_ALTERED, "%s: %s is missing or no list of objects", c->where, path);
	else if (r == 1)
		for (const char *p = b.data + sizeof(first) - 1, *end = b.data + b.len; p < end; ) {
			const char *nl = memchr(p, '\n', (size_t)(end - p));

			line++;
			if (!nl || !object_line(o, p, nl, &contents, &c->a->nomem)) {
				audit_say(c->a, AUDIT_ALTERED, "%s: %s: line %zu is none of a list of objects", c->where, path, line);
				return;
			}
			p = nl + 1;
		}
	if (r == 1 && c->parsed && contents != c->contents)
		audit_say(c->a, AUDIT_ALTERED, "%s: %s names %" PRIu64 " contents, the manifest has %" PRIu64, c->where, path, contents, c->contents);
}

void audit_version_check(struct audit *a, const char *plan, const char *oid, const struct audit_event *ev, struct audit_objects *o)
{
	char where[256];
	struct checker c = { .a = a, .oid = oid, .dataset = audit_text(ev->data, "dataset"), .where = where, .known = json_object(),
		.sha = digest_new(DIGEST_SHA256), .sm3 = digest_new(DIGEST_SM3) };

	(void)snprintf(where, sizeof(where), "plan %s, version %s@%" PRIu64, plan, esc_s(c.dataset), audit_number(ev->data, "version"));
	a->r->versions++;
	if (!c.sha || !c.known) {
		a->nomem = true;
	} else {
		check_manifest(&c, ev);
		check_summary(&c, ev);
		check_objects(&c, o);
	}
	if (!c.sm3 && *audit_text(ev->data, "root_sm3"))
		audit_say(a, AUDIT_NOTE, "%s: SM3 cannot be computed here", where);
	free(c.chunks);
	digest_free(c.sha);
	digest_free(c.sm3);
	json_decref(c.known);
}
