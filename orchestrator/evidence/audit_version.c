/* One recorded version: chunks, INDEX, root, summary, objects. */
#include <inttypes.h>
#include <string.h>

#include "audit_private.h"
#include "esc.h"
#include "manifest.h"

struct checker {
	struct audit *a;
	const char *oid, *dataset, *where;
	struct digest *sha, *sm3;	/* owned; sm3 NULL where the library lacks it */
	uint64_t entries, chunks;
	json_t *known;			/* names of the chunks in INDEX */
};

static int check_chunk(void *ctx, const uint8_t sha256[DIGEST_LEN], uint64_t entries, const char *name)
{
	struct checker *c = ctx;
	OWN_BUF struct buf text = BUF_INIT;
	char path[256];
	uint8_t d[DIGEST_LEN];
	struct err e = ERR_INIT;
	int r;

	(void)snprintf(path, sizeof(path), "datasets/%s/manifest/%s", c->dataset, name);
	c->entries += entries;
	c->chunks++;
	(void)json_object_set_new(c->known, path, json_true());
	r = history_read(c->a->h, c->oid, path, &text, &e);
	if (r < 0)
		audit_err(c->a, c->where, &e);
	else if (r == 0)
		audit_say(c->a, AUDIT_ALTERED, "%s: chunk %s is in INDEX but not in the tree", c->where, name);
	if (r != 1)
		return 0;
	if (digest_sha256(text.data, text.len, d, &e) < 0 || memcmp(d, sha256, DIGEST_LEN) != 0)
		audit_say(c->a, AUDIT_ALTERED, "%s: chunk %s is not what INDEX says", c->where, name);
	digest_update(c->sha, text.data, text.len);
	if (c->sm3)
		digest_update(c->sm3, text.data, text.len);
	return 0;
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

static void check_manifest(struct checker *c, const struct audit_event *ev)
{
	OWN_BUF struct buf index = BUF_INIT;
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
	if (manifest_index_parse(index.data, index.len, check_chunk, c, &e) < 0) {
		audit_say(c->a, AUDIT_ALTERED, "%s: %s: %s", c->where, path, e.text);
		return;
	}
	compare_root(c, c->sha, "SHA-256", audit_text(ev->data, "root"));
	if (c->sm3 && *audit_text(ev->data, "root_sm3"))
		compare_root(c, c->sm3, "SM3", audit_text(ev->data, "root_sm3"));
	/* "entries" counts what was taken; the manifest also names what was skipped or could not be read. */
	said = audit_number(ev->data, "entries") + audit_number(ev->data, "skipped") + audit_number(ev->data, "failed");
	if (c->entries != said)
		audit_say(c->a, AUDIT_ALTERED, "%s: INDEX counts %" PRIu64 " entries, the event says %" PRIu64, c->where, c->entries, said);
	(void)snprintf(path, sizeof(path), "datasets/%s/manifest", c->dataset);
	if (history_list(c->a->h, c->oid, path, check_known, c, &e) < 0)
		audit_err(c->a, c->where, &e);
}

/* summary.json says again what the event says. */
static void check_summary(struct checker *c, const struct audit_event *ev)
{
	static const char *const texts[] = { "root", "root_sm3" }, *const numbers[] = { "version", "entries", "bytes" };
	OWN_BUF struct buf b = BUF_INIT;
	char path[160];
	struct err e = ERR_INIT;
	json_error_t je;
	json_t *j;
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
	for (size_t i = 0; i < 2; i++)
		if (*audit_text(ev->data, texts[i]) && strcmp(audit_text(j, texts[i]), audit_text(ev->data, texts[i])) != 0)
			audit_say(c->a, AUDIT_ALTERED, "%s: %s has another %s than the event", c->where, path, texts[i]);
	for (size_t i = 0; i < 3; i++)
		if (audit_number(j, numbers[i]) != audit_number(ev->data, numbers[i]))
			audit_say(c->a, AUDIT_ALTERED, "%s: %s has another %s than the event", c->where, path, numbers[i]);
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

/* "pack HEX N", "recipe HEX", "attr HEX", "none N". */
static bool object_line(struct audit_objects *o, const char *line, size_t n, bool *nomem)
{
	static const struct { const char *word; char kind; } kinds[] = { { "pack ", 'p' }, { "recipe ", 'r' }, { "attr ", 'a' } };
	char hex[DIGEST_HEX];
	uint8_t id[DIGEST_LEN];

	if (n > 5 && memcmp(line, "none ", 5) == 0)
		return true;
	for (size_t i = 0; i < 3; i++) {
		size_t w = strlen(kinds[i].word);

		if (n < w + DIGEST_HEX - 1 || memcmp(line, kinds[i].word, w) != 0)
			continue;
		memcpy(hex, line + w, DIGEST_HEX - 1);
		hex[DIGEST_HEX - 1] = '\0';
		if (!hex_parse(hex, id, DIGEST_LEN))
			return false;
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
			if (!nl || !object_line(o, p, (size_t)(nl - p), &c->a->nomem)) {
				audit_say(c->a, AUDIT_ALTERED, "%s: %s: line %zu is none of a list of objects", c->where, path, line);
				return;
			}
			p = nl + 1;
		}
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
	digest_free(c.sha);
	digest_free(c.sm3);
	json_decref(c.known);
}
