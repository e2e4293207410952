#include "residue.h"

#include <errno.h>
#include <string.h>

#include "digest.h"
#include "esc.h"
#include "control.h"

void residue_hits_dispose(struct residue_hits *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->v[i].path);
	free(h->v);
	*h = (struct residue_hits){ NULL, 0 };
}

static int by_place(const void *a, const void *b)
{
	const struct residue_hit *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int by_file(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Witnesses stand 4 KiB apart: hits of one file that are no further than two blocks are one piece of it. */
static void join(struct residue_hits *h)
{
	size_t n = 0;

	if (h->n)
		qsort(h->v, h->n, sizeof(*h->v), by_place);
	for (size_t i = 0; i < h->n; i++) {
		struct residue_hit *last = n ? &h->v[n - 1] : NULL, *x = &h->v[i];

		if (last && last->file == x->file && strcmp(last->owner, x->owner) == 0 && x->offset <= last->offset + last->length + 8192) {
			if (x->offset + x->length > last->offset + last->length)
				last->length = x->offset + x->length - last->offset;
		} else {
			h->v[n++] = *x;
		}
	}
	h->n = n;
}

static int set_path(void *ctx, uint32_t file, const char *path, struct err *e)
{
	struct residue_hits *h = ctx;

	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].file == file && !(h->v[i].path = esc_dup(path, strlen(path))))
			return err_sys(e, "hits");
	return 0;
}

static int find_paths(struct witnesses *w, struct residue_hits *h, struct err *e)
{
	OWN_FREE uint32_t *files = calloc(h->n ? h->n : 1, sizeof(*files));
	size_t n = 0;

	if (!files)
		return err_sys(e, "hits");
	for (size_t i = 0; i < h->n; i++)
		files[i] = h->v[i].file;
	if (h->n)
		qsort(files, h->n, sizeof(*files), by_file);
	for (size_t i = 0; i < h->n; i++)
		if (n == 0 || files[n - 1] != files[i])
			files[n++] = files[i];
	return witnesses_paths(w, files, n, set_path, h, e);
}

int residue_hits(struct witnesses *w, const struct scan_result *x, struct residue_hits *out, struct err *e)
{
	if (!(out->v = calloc(x->nhits ? x->nhits : 1, sizeof(*out->v))))
		return err_sys(e, "hits");
	for (size_t i = 0; i < x->nhits; i++) {
		const struct witness *s = &w->set->v[x->hits[i].witness];

		if (s->cls == WITNESS_SECTOR || s->cls == WITNESS_STRING)
			out->v[out->n++] = (struct residue_hit){ x->hits[i].offset, x->hits[i].length, s->file, NULL, x->hits[i].owner };
	}
	join(out);
	return find_paths(w, out, e);
}

/* ---- the command ---- */

static int take_source(struct witnesses *w, const struct residue_source *s, struct err *e)
{
	OWN_VERIFY struct verify_result v = VERIFY_RESULT_INIT;

	if (witnesses_newest(w, s->d, s->version, &v, e) < 0)
		return -1;
	if (verify_exit_code(&v) != 0) {
		err_set(e, v.difference_total ? ERR_INTEGRITY : ERR_UNVERIFIED, "dataset %s: the archive copy is not whole: %s", s->d->name,
		    v.difference_count ? v.differences[0].path : v.unverified[0].path);
		return err_hint(e, "what is damaged there cannot be looked for");
	}
	return 0;
}

static int take_sources(struct witnesses *w, const struct residue_source *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (take_source(w, &v[i], e) < 0)
			return -1;
	for (size_t i = 0; i < n; i++) {
		const struct standing_dataset *s = standing_dataset(&w->r->standing, v[i].d->name);

		if (!v[i].version && s && witnesses_older(w, v[i].d, s->version, e) < 0)
			return -1;
	}
	witnesses_close(w);
	return w->set->n ? 0 : err_set(e, ERR_UNVERIFIED, "these versions hold nothing that could be looked for");
}

static const char *word(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* The same medium: path, serial number, file system and size; and something of it must tell it from another at that path. */
static bool has_device(const json_t *devices, const struct msg_medium *m)
{
	OWN_FREE char *path = esc_dup(m->path, strlen(m->path));
	json_t *x;
	size_t i;

	json_array_foreach(devices, i, x)
		if (path && strcmp(word(x, "device"), path) == 0 && strcmp(word(x, "serial"), m->serial) == 0 && strcmp(word(x, "uuid"), m->uuid) == 0 &&
		    (uint64_t)json_integer_value(json_object_get(x, "size")) == m->size && (*m->serial || *m->uuid))
			return true;
	return false;
}

/* Was it shown, before the clearing, that this content is seen on this medium? */
static bool proven(const struct run *r, const char *host, const struct msg_medium *m)
{
	json_t *started = json_loads(r->standing.clear_data ? r->standing.clear_data : "", 0, NULL), *media, *x;
	bool yes = false;
	size_t i;

	media = json_object_get(started, "media");
	json_array_foreach(media, i, x) {
		yes |= strcmp(word(x, "host"), host) == 0 && json_is_false(json_object_get(x, "blind")) && has_device(json_object_get(x, "devices"), m);
	}
	json_decref(started);
	return yes;
}

static json_t *hit_rows(const struct witnesses *w, const struct residue_hits *h)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < h->n; i++) {
		const struct residue_hit *x = &h->v[i];
		const struct witness_file *f = &w->set->files[x->file];

		(void)json_array_append_new(rows, json_pack("{s:I,s:I,s:s,s:i,s:s,s:s}", "offset", (json_int_t)x->offset, "length", (json_int_t)x->length,
		    "dataset", w->datasets[f->dataset]->name, "version", (int)f->version, "path", x->path ? x->path : "", "owner",
		    *x->owner ? x->owner : "unknown"));
	}
	return rows;
}

static json_t *bad_rows(const struct scan_result *x)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < x->nbad && i < 10000; i++)
		(void)json_array_append_new(rows, json_pack("{s:I,s:I}", "offset", (json_int_t)x->bad[i].offset, "length", (json_int_t)x->bad[i].length));
	return rows;
}

static enum verdict judge(const struct run *r, const char *host, const struct scan_result *x, const char **why)
{
	struct clear_measure m = { .raw = x->complete, .direct = x->medium.flags & MSG_MEDIUM_DIRECT, .full = true, .bad = x->sum.bad,
		.hits = x->sum.hits[WITNESS_SECTOR] + x->sum.hits[WITNESS_STRING], .guest = x->medium.flags & MSG_MEDIUM_GUEST,
		.gone = true };

	m.blind = !proven(r, host, &x->medium);
	return clear_measure_verdict(&m, why);
}

static int describe(struct run *r, struct witnesses *w, const struct scan *s, const char *host, const uint8_t *found, enum verdict *verdict,
    json_t **out, struct err *e)
{
	OWN(residue_hits_dispose) struct residue_hits h = { NULL, 0 };
	const struct scan_result *x = &s->media[0];
	const char *why = "";
	uint64_t seen = control_count(w->set, found);
	OWN_FREE char *device = esc_dup(x->medium.path, strlen(x->medium.path));

	if (residue_hits(w, x, &h, e) < 0)
		return -1;
	*verdict = judge(r, host, x, &why);
	*out = json_pack("{s:s,s:s,s:I,s:I,s:{s:I,s:I},s:I,s:I,s:o,s:o,s:I,s:s,s:s,s:f,s:I,s:f}", "device", device ? device : "?", "host", host,
	    "bytes_read", (json_int_t)x->sum.bytes, "probes", (json_int_t)w->set->n, "control", "found", (json_int_t)seen, "expected",
	    (json_int_t)w->set->n, "hits", (json_int_t)(x->sum.hits[WITNESS_SECTOR] + x->sum.hits[WITNESS_STRING]), "names",
	    (json_int_t)x->sum.hits[WITNESS_NAME], "hit_list", hit_rows(w, &h), "unreadable", bad_rows(x), "unreadable_bytes",
	    (json_int_t)x->sum.bad, "verdict", verdict_name(*verdict), "reason", why, "p_miss", witness_miss_kept(w->set->shift, 1 << 20), "own_copies",
	    (json_int_t)x->sum.own, "seconds", (double)x->sum.ns / 1e9);
	return *out ? 0 : err_set(e, ERR_BUG, "the outcome of the scan cannot be written down");
}

int residue_run(struct run *r, const struct residue_source *v, size_t n, const char *host, const char *on, enum verdict *verdict,
    json_t **out, struct err *e)
{
	OWN_WITNESSES struct witnesses *w = NULL;
	OWN_SCAN struct scan s = SCAN_INIT;
	OWN_FREE uint8_t *found = NULL;
	uint8_t key[WITNESS_KEY];
	struct scan_request q = { .flags = MSG_SCAN_WANT_FOUND | MSG_SCAN_WANT_OWNERS, .hits_max = RESIDUE_HITS,
		.dataset = n == 1 ? v[0].d->name : NULL };

	random_bytes(key, sizeof(key));
	if (witnesses_new(&w, r, key, e) < 0 || take_sources(w, v, n, e) < 0)
		return -1;
	q.set = w->set;
	if (!(q.found = found = calloc(w->set->n / 8 + 1, 1)))
		return err_sys(e, "residue");
	if (scan_open(&s, r, host, "/", on, false, e) < 0 || scan_search(&s, &q, e) < 0)
		return -1;
	if (s.n != 1)
		return err_set(e, ERR_UNVERIFIED, "host %s: %s", host, *s.why_none ? s.why_none : "no medium");
	return describe(r, w, &s, host, found, verdict, out, e);
}
