#include "witness_set.h"

#include <errno.h>

#define BYTES_A_WITNESS 64u	/* here and, with its table, at the scanner; growth by doubling included */

int witness_set_new(struct witness_set **out, const uint8_t key[WITNESS_KEY], uint64_t memory, struct err *e)
{
	OWN_WITNESS_SET struct witness_set *s = calloc(1, sizeof(*s));

	if (!s)
		return err_sys(e, "witnesses");
	if (witness_key_init(&s->key, key, e) < 0)
		return -1;
	s->max = (size_t)((memory < 1u << 20 ? 1u << 20 : memory) / BYTES_A_WITNESS);
	if (s->max > UINT32_MAX / 2)
		s->max = UINT32_MAX / 2;
	*out = take_ptr(&s);
	return 0;
}

void witness_set_free(struct witness_set *s)
{
	if (!s)
		return;
	free(s->v);
	free(s->files);
	free(s);
}

int witness_set_file(struct witness_set *s, const struct witness_file *f, struct err *e)
{
	/* A file that left no witness needs no place. */
	if (s->nfiles && (s->n == 0 || s->v[s->n - 1].file < s->nfiles - 1)) {
		s->files[s->nfiles - 1] = *f;
		return 0;
	}
	if (s->nfiles == s->files_cap) {
		size_t cap = s->files_cap ? 2 * s->files_cap : 1024;
		struct witness_file *grown = cap < UINT32_MAX ? realloc(s->files, cap * sizeof(*grown)) : NULL;

		if (!grown) {
			errno = ENOMEM;
			return err_sys(e, "witnesses");
		}
		s->files = grown;
		s->files_cap = cap;
	}
	s->files[s->nfiles++] = *f;
	return 0;
}

static bool kept(const struct witness_set *s, uint64_t hash, uint8_t cls)
{
	return cls == WITNESS_CANARY || (hash & ((UINT64_C(1) << s->shift) - 1)) == 0;
}

/* Every second one goes, by the next bit of its hash. */
static void halve(struct witness_set *s)
{
	size_t n = 0;

	s->shift++;
	for (size_t i = 0; i < s->n; i++)
		if (kept(s, s->v[i].hash, s->v[i].cls))
			s->v[n++] = s->v[i];
	s->n = n;
}

static int add(struct witness_set *s, const struct witness *w, struct err *e)
{
	s->taken[w->cls]++;
	if (!kept(s, w->hash, w->cls))
		return 0;
	if (s->n >= s->max && s->shift < 40) {
		halve(s);
		if (!kept(s, w->hash, w->cls))
			return 0;
	}
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 4096;
		struct witness *grown = realloc(s->v, cap * sizeof(*grown));

		if (!grown)
			return err_sys(e, "witnesses");
		s->v = grown;
		s->cap = cap;
	}
	s->v[s->n] = *w;
	s->v[s->n++].file = (uint32_t)(s->nfiles - 1);
	return 0;
}

int witness_set_sector(struct witness_set *s, enum witness_class c, const void *p, struct err *e)
{
	struct witness w = { .hash = witness_sector_hash(&s->key, p), .cls = (uint8_t)c };

	return add(s, &w, e);
}

int witness_set_text(struct witness_set *s, enum witness_class c, const void *p, size_t n, unsigned form, struct err *e)
{
	struct witness w = { .cls = (uint8_t)c, .form = (uint8_t)form };
	int off;

	if (n > WITNESS_TEXT_MAX)
		n = WITNESS_TEXT_MAX;
	if (n < WITNESS_NAME_MIN)
		return 0;
	off = witness_find_anchor(&s->key, p, n);
	if (off < 0 || !witness_probative(p, n)) {
		s->weak[c]++;
		return 0;
	}
	w.len = (uint8_t)n;
	w.off = (uint8_t)off;
	w.tag = witness_tag(witness_prefix(&s->key, (const uint8_t *)p + off));
	w.hash = witness_text_hash(&s->key, p, n);
	return add(s, &w, e);
}

/* ---- order ---- */

static int by_hash(const void *a, const void *b)
{
	const struct witness *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->file < y->file ? -1 : x->file > y->file;
}

static int by_file(const void *a, const void *b)
{
	const struct witness *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->cls != y->cls)
		return x->cls < y->cls ? -1 : 1;
	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

void witness_set_exclude(struct witness_set *s, struct witness_set *stays)
{
	size_t n = 0, k = 0;

	if (s->n == 0 || stays->n == 0)
		return;
	qsort(s->v, s->n, sizeof(*s->v), by_hash);
	qsort(stays->v, stays->n, sizeof(*stays->v), by_hash);
	for (size_t i = 0; i < s->n; i++) {
		while (k < stays->n && stays->v[k].hash < s->v[i].hash)
			k++;
		if (k < stays->n && stays->v[k].hash == s->v[i].hash)
			s->stays[s->v[i].cls]++;
		else
			s->v[n++] = s->v[i];
	}
	s->n = n;
}

void witness_set_finish(struct witness_set *s)
{
	size_t n = 0;

	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_hash);
	for (size_t i = 0, end; i < s->n; i = end) {
		const struct witness_file *first = &s->files[s->v[i].file];
		uint32_t last = s->v[i].file;
		unsigned files = 1;

		/* That the versions before held it too makes it no commoner. */
		for (end = i + 1; end < s->n && s->v[end].hash == s->v[i].hash; end++) {
			const struct witness_file *f = &s->files[s->v[end].file];

			files += s->v[end].file != last && f->old == first->old && (!f->old || f->version == first->version);
			last = s->v[end].file;
		}
		if (files > WITNESS_COMMON)
			s->common[s->v[i].cls]++;
		else
			s->v[n++] = s->v[i];
	}
	s->n = n;
	if (n)
		qsort(s->v, n, sizeof(*s->v), by_file);
	s->finished = true;
}

uint64_t witness_set_count(const struct witness_set *s, enum witness_class c, bool old)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->v[i].cls == (uint8_t)c && witness_old(s, &s->v[i]) == old;
	return n;
}
