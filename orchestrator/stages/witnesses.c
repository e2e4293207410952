#include "witnesses.h"

#include <errno.h>
#include <string.h>

#include "version.h"

int witnesses_new(struct witnesses **out, struct run *r, const uint8_t key[WITNESS_KEY], struct err *e)
{
	OWN_WITNESSES struct witnesses *w = calloc(1, sizeof(*w));

	if (!w)
		return err_sys(e, "witnesses");
	w->r = r;
	if (witness_set_new(&w->set, key, r->plan->limits.memory, e) < 0)
		return -1;
	*out = take_ptr(&w);
	return 0;
}

void witnesses_free(struct witnesses *w)
{
	if (!w)
		return;
	witness_set_free(w->set);
	u64set_dispose(&w->seen);
	free(w->datasets);
	free(w);
}

static int begin_dataset(struct witnesses *w, const struct plan_dataset *d, uint64_t version, bool old, struct err *e)
{
	size_t i = 0;

	while (i < w->n && w->datasets[i] != d)
		i++;
	if (i == w->n) {
		const struct plan_dataset **grown = realloc(w->datasets, (w->n + 1) * sizeof(*grown));

		if (!grown)
			return err_sys(e, "witnesses");
		w->datasets = grown;
		w->datasets[w->n++] = d;
	}
	w->at = (struct witness_file){ .dataset = (uint32_t)i, .version = (uint32_t)version, .old = old, .entry = UINT32_MAX };
	return 0;
}

void witnesses_next(struct witnesses *w) { w->at.entry++; }

static uint64_t number_of(const uint8_t sha256[DIGEST_LEN])
{
	uint64_t x;

	memcpy(&x, sha256, sizeof(x));
	return x;
}

static int take_bytes(void *ctx, uint64_t offset, const void *p, size_t n, struct err *e)
{
	return witness_take_data(ctx, offset, p, n, e);
}

int witnesses_entry(struct witnesses *w, struct archive *a, const struct entry *en, const struct location *at, struct err *e)
{
	struct witness_taker t;

	if (witness_set_file(w->set, &w->at, e) < 0 || (strcmp(en->path, ".") != 0 && witness_set_name(w->set, en->path, en->path_len, e) < 0))
		return -1;
	if (!a)
		return 0;
	witness_take_begin(&t, w->set, en->sha256, en->size);
	if (archive_content(a, en, at, take_bytes, &t, e) < 0)
		return -1;
	if (u64set_add(&w->seen, number_of(en->sha256)) < 0)
		return err_sys(e, "witnesses");
	return witness_take_end(&t, e);
}

int witnesses_newest(struct witnesses *w, const struct plan_dataset *d, uint64_t n, struct verify_result *v, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&w->r->standing, d->name);
	struct verify_options o = { .side = VERIFY_ARCHIVE, .full = true, .version = n, .witnesses = w };

	return begin_dataset(w, d, n || !s ? n : s->version, false, e) < 0 ? -1 : verify_run(w->r, d, &o, v, e);
}

static bool has_content(const struct entry *en, const struct location *at)
{
	return at->kind != LOCATION_NONE && en->type == ENTRY_FILE && (en->has & ENTRY_HAS_SHA256);
}

static int take_version(struct witnesses *w, const struct plan_dataset *d, uint64_t n, struct err *e)
{
	OWN(version_closep) struct version_reader *version = NULL;
	OWN(archive_closep) struct archive *a = NULL;
	int got;

	if (begin_dataset(w, d, n, true, e) < 0 || version_open(w->r->w, w->r->plan->name, d->name, n, VERSION_MANIFEST, &version, e) < 0 ||
	    archive_open(w->r->w, &a, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		struct location at;
		bool fresh;

		if ((got = version_next(version, &en, &at, e)) != 1)
			return got;
		witnesses_next(w);
		if (run_check(w->r, e) < 0)
			return -1;
		if (en.outcome == ENTRY_SKIPPED || en.outcome == ENTRY_FAILED)
			continue;
		fresh = has_content(&en, &at) && !u64set_has(&w->seen, number_of(en.sha256));
		if (witnesses_entry(w, fresh ? a : NULL, &en, &at, e) < 0)
			return -1;
	}
}

int witnesses_older(struct witnesses *w, const struct plan_dataset *d, uint64_t before, struct err *e)
{
	for (uint64_t n = before; n-- > 1;)
		if (take_version(w, d, n, e) < 0)
			return err_at(e, "version %llu of %s", (unsigned long long)n, d->name);
	return 0;
}

int witnesses_exclude(struct witnesses *w, const struct plan_dataset *d, struct err *e)
{
	OWN_WITNESSES struct witnesses *stays = NULL;
	const struct standing_dataset *s = standing_dataset(&w->r->standing, d->name);

	if (!s || !s->version)
		return 0;
	if (witnesses_new(&stays, w->r, w->set->key.bytes, e) < 0 || take_version(stays, d, s->version, e) < 0)
		return -1;
	witness_set_exclude(w->set, stays->set);
	return 0;
}

/* ---- back to the file ---- */

/* The files from number[i] on that are of the same version; their count goes into *done. */
static int paths_of_version(struct witnesses *w, const uint32_t *number, size_t n, size_t *done, witnesses_path fn, void *ctx, struct err *e)
{
	OWN(version_closep) struct version_reader *version = NULL;
	const struct witness_file *first = &w->set->files[number[0]], *f = first;
	const char *dataset = w->datasets[first->dataset]->name;
	uint32_t entry = 0;
	size_t i = 0;

	if (version_open(w->r->w, w->r->plan->name, dataset, first->version, VERSION_MANIFEST, &version, e) < 0)
		return -1;
	for (;; entry++) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		int got = version_next(version, &en, NULL, e);

		if (got < 0)
			return -1;
		if (got == 0)
			return err_set(e, ERR_INTEGRITY, "version %u of %s has fewer entries than before", first->version, dataset);
		if (entry != f->entry)
			continue;
		if ((got = fn(ctx, number[i], en.path, e)) != 0)
			return got;
		*done = ++i;
		f = i < n ? &w->set->files[number[i]] : NULL;
		if (!f || f->dataset != first->dataset || f->version != first->version || f->entry <= entry)
			return 0;
	}
}

int witnesses_paths(struct witnesses *w, const uint32_t *number, size_t n, witnesses_path fn, void *ctx, struct err *e)
{
	for (size_t i = 0; i < n;) {
		size_t done = 0;
		int r = paths_of_version(w, number + i, n - i, &done, fn, ctx, e);

		if (r != 0)
			return r;
		i += done;
	}
	return 0;
}
