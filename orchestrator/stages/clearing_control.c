/* Before anything is destroyed: is the content seen where it is known to be, and are canaries? */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "clearing.h"
#include "log.h"

/* ---- where the files lie ---- */

struct mapping {
	struct clearing *c;
	const struct clearing_medium *m;
	struct scan *scan;
	char *path[SCAN_MAP_MAX];	/* beneath / */
	uint32_t file[SCAN_MAP_MAX];
	size_t n;
	struct digest *digest;
};

static void forget(struct mapping *x)
{
	for (size_t i = 0; i < x->n; i++)
		free(x->path[i]);
	x->n = 0;
}

static void mapping_dispose(struct mapping *x)
{
	forget(x);
	digest_free(x->digest);
}

static void account(struct mapping *x, const char *path, const struct msg_mapped *m)
{
	digest_update(x->digest, path, strlen(path) + 1);
	digest_update(x->digest, m->v, m->n * sizeof(*m->v));
	x->c->extents += m->n;
}

static int ask(struct mapping *x, struct err *e)
{
	struct msg_mapped out[SCAN_MAP_MAX] = { { .v = NULL } };
	const char *paths[SCAN_MAP_MAX];
	int r;

	for (size_t i = 0; i < x->n; i++)
		paths[i] = x->path[i];
	r = x->n ? scan_map(x->scan, paths, x->n, out, e) : 0;
	for (size_t i = 0; i < x->n; i++) {
		if (r == 0) {
			x->c->w->set->files[x->file[i]].storage = (uint8_t)out[i].storage;
			account(x, x->path[i], &out[i]);
		}
		msg_mapped_dispose(&out[i]);
	}
	forget(x);
	return r;
}

static int on_path(void *ctx, uint32_t file, const char *path, struct err *e)
{
	struct mapping *x = ctx;
	const struct plan_dataset *d = x->c->w->datasets[x->c->w->set->files[file].dataset];

	if (run_check(x->c->r, e) < 0)
		return -1;
	if (strcmp(path, ".") == 0)
		return 0;
	if (asprintf(&x->path[x->n], "%s/%s", d->from.path + 1, path) < 0) {
		x->path[x->n] = NULL;
		return err_sys(e, "map");
	}
	x->file[x->n++] = file;
	return x->n == SCAN_MAP_MAX ? ask(x, e) : 0;
}

/* The dataset's number in c, or -1. */
static int index_in(const struct clearing *c, const struct plan_dataset *d)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].d == d)
			return (int)i;
	return -1;
}

static bool lies_on(const struct clearing *c, const struct clearing_medium *m, const struct witness_file *f)
{
	int i = f->dataset < c->w->n ? index_in(c, c->w->datasets[f->dataset]) : -1;

	return !f->old && i >= 0 && m->datasets[i] && c->v[i].d->kind == DATASET_FILES;
}

static int map_files(struct clearing *c, const struct clearing_medium *m, struct scan *s, struct digest *digest, struct err *e)
{
	OWN(mapping_dispose) struct mapping x = { .c = c, .m = m, .scan = s };
	OWN_FREE uint32_t *files = calloc(c->w->set->nfiles ? c->w->set->nfiles : 1, sizeof(*files));
	size_t n = 0;
	int r;

	if (!files)
		return err_sys(e, "map");
	for (uint32_t i = 0; i < c->w->set->nfiles; i++)
		if (lies_on(c, m, &c->w->set->files[i]))
			files[n++] = i;
	x.digest = digest;
	r = witnesses_paths(c->w, files, n, on_path, &x, e) < 0 || ask(&x, e) < 0 ? -1 : 0;
	x.digest = NULL;
	return r;
}

/* ---- is it seen? ---- */

/* Nobody has what is wiped as a whole mounted: the agent looks at it for itself. */
static const char *mount_of(const struct clearing *c, const struct clearing_medium *m, const char **at)
{
	for (size_t i = 0; m->covered && i < c->n; i++)
		if (m->datasets[i] && c->v[i].mount) {
			*at = c->v[i].d->from.path;
			return c->v[i].mount;
		}
	return NULL;
}

/* All devices, or of a medium that will only be sampled the files' own places; found is added to. */
static int look_for(struct clearing *c, struct clearing_medium *m, bool contents, const struct witness_set *set, const char *canary,
    uint8_t *found, struct digest *digest, struct err *e)
{
	bool places = m->ndevices == 1 && strcmp(m->fstype, "btrfs") != 0 && (canary || m->reads);
	struct scan_request q = { .set = set, .found = found, .flags = MSG_SCAN_WANT_FOUND | (places ? (unsigned)MSG_SCAN_MAPPED_ONLY : 0u),
		.dataset = c->v[0].d->name };

	for (size_t i = 0; i < m->ndevices; i++) {
		OWN_SCAN struct scan s = { .mount = mount_of(c, m, &s.at) };
		struct msg_mapped mapped = { .v = NULL };

		if (scan_open(&s, c->r, m->host, NULL, m->device[i], false, e) < 0)
			return -1;
		if (contents && i == 0 && map_files(c, m, &s, digest, e) < 0)
			return -1;
		if (canary && i == 0) {
			int r = scan_map(&s, &canary, 1, &mapped, e);

			msg_mapped_dispose(&mapped);
			if (r < 0)
				return -1;
		}
		if (scan_search(&s, &q, e) < 0)
			return -1;
		if (s.n != 1 || !(s.media[0].medium.flags & MSG_MEDIUM_DIRECT))
			return err_set(e, ERR_UNVERIFIED, "host %s: %s cannot be read past the page cache", m->host, m->device[i]);
	}
	return 0;
}

static void set_blind(struct clearing_medium *m, const char *why)
{
	if (!m->blind)
		(void)snprintf(m->reason, sizeof(m->reason), "%.290s", why);
	m->blind = true;
}

/* A search that cannot be made leaves the medium blind; only an interruption ends the run. */
static int or_blind(struct clearing_medium *m, int r, struct err *e)
{
	if (r == 0)
		return 0;
	if (e->class != ERR_UNVERIFIED)
		return -1;
	set_blind(m, e->text);
	err_clear(e);
	return 0;
}

static int control_one(struct clearing *c, struct clearing_medium *m, struct digest *digest, struct err *e)
{
	OWN_FREE uint8_t *found = calloc(c->w->set->n / 8 + 1, 1);
	OWN_FREE bool *datasets = calloc(c->w->n + 1, sizeof(bool));
	struct control k;

	if (!found || !datasets)
		return err_sys(e, "control");
	for (size_t i = 0; i < c->w->n; i++) {
		int at = index_in(c, c->w->datasets[i]);

		datasets[i] = at >= 0 && m->datasets[at];
	}
	if (or_blind(m, look_for(c, m, true, c->w->set, NULL, found, digest, e), e) < 0)
		return -1;
	control_judge(c->w->set, found, datasets, &k);
	if (k.blind)
		set_blind(m, k.reason);
	m->names_blind = k.names_blind;
	json_decref(m->control);
	m->control = control_json(&k);
	log_info("control on %s:%s: %" PRIu64 " of %" PRIu64 " witnesses seen%s%s", m->host, m->device[0], k.found, k.expected,
	    m->blind ? "; blind: " : "", m->blind ? m->reason : "");
	return 0;
}

/* ---- canaries ---- */

static size_t number_of(const struct clearing *c, const struct clearing_medium *m) { return (size_t)(m - c->media); }

static const struct plan_place *place_of(const struct clearing *c, const struct clearing_medium *m)
{
	size_t i = 0;

	while (!m->datasets[i])
		i++;
	return &c->v[i].d->from;
}

static int plant(struct clearing *c, struct clearing_medium *m, uint64_t count, struct err *e)
{
	const struct plan_place *at = place_of(c, m);
	struct msg_start start = { .identity = "", .scope = c->scope };
	struct msg_canary ask = { .count = count, .spread = WITNESS_CANARIES * number_of(c, m) }, said;
	OWN(session_closep) struct session *s = NULL;
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	OWN_BUF struct buf b = BUF_INIT;
	int got;

	memcpy(ask.key, c->key, sizeof(ask.key));
	msg_canary_encode(&b, &ask);
	if (session_open(c->r, at->host, "erase", at->path, &start, &s, e) < 0 || buf_finish(&b, e) < 0 ||
	    wire_send(s->wire, WIRE_DATA, MSG_CANARY, b.data, b.len, e) < 0 || (got = wire_recv(s->wire, WIRE_ACK, &f, e)) < 0)
		return -1;
	if (got == 0 || f.type != MSG_CANARY || msg_canary_decode(f.data, f.len, &said, e) < 0)
		return err_set(e, ERR_INTEGRITY, "host %s: the eraser's answer is not as the protocol says", at->host);
	m->planted = said.count;
	m->spread = count ? said.spread : 0;
	return wire_end(s->wire, WIRE_DATA, e) < 0 ? -1 : session_finish(s, NULL, e);
}

/* Where all is read back byte by byte there is no need of any; beneath an image there is no place for them. */
static bool has_canaries(const struct clearing_medium *m) { return m->ndevices && !m->covered && !m->beneath; }

int clearing_canaries_remove(struct clearing *c, struct err *e)
{
	for (size_t i = 0; i < c->nmedia; i++)
		if (has_canaries(&c->media[i]) && plant(c, &c->media[i], 0, e) < 0)
			return -1;
	return 0;
}

static int see_canaries(struct clearing *c, struct clearing_medium *m, struct err *e)
{
	const struct witness_file f = { .dataset = UINT32_MAX };
	OWN_WITNESS_SET struct witness_set *set = NULL;
	uint8_t found[WITNESS_CANARIES / 8 + 1] = { 0 }, block[WITNESS_CANARY_BYTES];
	uint32_t first = (uint32_t)(WITNESS_CANARIES * number_of(c, m));
	OWN_FREE char *path = NULL;

	if (witness_set_new(&set, c->key, 0, e) < 0 || witness_set_file(set, &f, e) < 0)
		return -1;
	for (uint32_t i = 0; i < WITNESS_CANARIES; i++)
		if (witness_canary(&set->key, first + i, block, e) < 0 || witness_set_sector(set, WITNESS_CANARY, block, e) < 0)
			return -1;
	witness_set_finish(set);
	if (asprintf(&path, "%s/" MSG_CANARY_FILE, place_of(c, m)->path + 1) < 0)
		return err_sys(e, "canaries");
	if (or_blind(m, look_for(c, m, false, set, path, found, NULL, e), e) < 0)
		return -1;
	m->seen = control_count(set, found);
	if (m->seen < m->planted || !m->planted)
		set_blind(m, "not every canary was seen where it had just been planted");
	return 0;
}

/* The canaries by their SHA-256, so that nobody can choose them afterwards. */
static json_t *canary_list(const struct clearing *c, struct err *e)
{
	json_t *rows = json_array();
	uint8_t block[WITNESS_CANARY_BYTES], digest[DIGEST_LEN];
	char hex[DIGEST_HEX];

	for (uint32_t i = 0; i < WITNESS_CANARIES * c->nmedia; i++) {
		if (!has_canaries(&c->media[i / WITNESS_CANARIES]))
			continue;
		if (witness_canary(&c->w->set->key, i, block, e) < 0 || digest_sha256(block, sizeof(block), digest, e) < 0) {
			json_decref(rows);
			return NULL;
		}
		hex_of(digest, DIGEST_LEN, hex);
		(void)json_array_append_new(rows, json_string(hex));
	}
	return rows;
}

int clearing_control(struct clearing *c, struct err *e)
{
	OWN(digest_freep) struct digest *digest = digest_new(DIGEST_SHA256);
	uint8_t sum[DIGEST_LEN];
	json_t *list;

	if (!digest)
		return err_sys(e, "control");
	for (size_t i = 0; i < c->nmedia; i++)
		if (c->media[i].ndevices && control_one(c, &c->media[i], digest, e) < 0)
			return -1;
	digest_final(digest, sum);
	hex_of(sum, DIGEST_LEN, c->extents_sha256);
	if (!(list = canary_list(c, e)) ||
	    run_event(c->r, NULL, "clear", "probing", json_pack("{s:o,s:o}", "media", clearing_media_json(c), "canaries", list), e,
	    "the contents were looked for on the raw media; canaries are planted next") < 0)
		return -1;
	for (size_t i = 0; i < c->nmedia; i++) {
		struct clearing_medium *m = &c->media[i];

		if (has_canaries(m) && (plant(c, m, WITNESS_CANARIES, e) < 0 || see_canaries(c, m, e) < 0))
			return -1;
	}
	return 0;
}
