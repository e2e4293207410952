#include "pack.h"

#include <string.h>

#define NUMBER_MAX ((uint64_t)INT64_MAX)

void recipe_dispose(struct recipe *r)
{
	free(r->parts);
	*r = (struct recipe)RECIPE_INIT;
}

static bool continues(const struct recipe_part *a, const struct recipe_part *b)
{
	if (a->hole || b->hole)
		return a->hole && b->hole;
	return memcmp(a->slice, b->slice, DIGEST_LEN) == 0 && a->offset + a->length == b->offset;
}

static int grow(struct recipe *r, struct err *e)
{
	size_t cap = r->cap ? r->cap * 2 : 16;
	struct recipe_part *p;

	if (r->count < r->cap)
		return 0;
	p = reallocarray(r->parts, cap, sizeof(*p));
	if (!p)
		return err_set(e, ERR_TEMPORARY, "recipe: out of memory");
	r->parts = p;
	r->cap = cap;
	return 0;
}

int recipe_add(struct recipe *r, const struct recipe_part *p, struct err *e)
{
	struct recipe_part *last = r->count ? &r->parts[r->count - 1] : NULL;

	if (p->length == 0)
		return err_set(e, ERR_BUG, "recipe: a part of no bytes");
	if (p->length > NUMBER_MAX - r->size || (!p->hole && (p->offset > NUMBER_MAX || p->length > NUMBER_MAX - p->offset)))
		return err_set(e, ERR_INTEGRITY, "recipe: the content would be larger than any file");
	if (last && continues(last, p)) {
		last->length += p->length;
		r->size += p->length;
		return 0;
	}
	if (grow(r, e) < 0)
		return -1;
	r->parts[r->count] = *p;
	if (p->hole) {
		memset(r->parts[r->count].slice, 0, DIGEST_LEN);
		r->parts[r->count].offset = 0;
	}
	r->count++;
	r->size += p->length;
	return 0;
}

void recipe_encode(const struct recipe *r, struct buf *b)
{
	char hex[DIGEST_HEX];

	hex_of(r->sha256, DIGEST_LEN, hex);
	buf_printf(b, "waybill-recipe 1\nsize %llu\nsha256 %s\n", (unsigned long long)r->size, hex);
	for (size_t i = 0; i < r->count; i++) {
		const struct recipe_part *p = &r->parts[i];

		if (p->hole) {
			buf_printf(b, "hole %llu\n", (unsigned long long)p->length);
			continue;
		}
		hex_of(p->slice, DIGEST_LEN, hex);
		buf_printf(b, "slice %s %llu %llu\n", hex, (unsigned long long)p->offset, (unsigned long long)p->length);
	}
}

/* ---- strict reading: each step eats exactly what the grammar says ---- */

struct text { const char *p, *end; };

static bool eat(struct text *t, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(t->end - t->p) < n || memcmp(t->p, word, n) != 0)
		return false;
	t->p += n;
	return true;
}

static bool eat_number(struct text *t, uint64_t *v)
{
	const char *start = t->p;

	*v = 0;
	while (t->p < t->end && *t->p >= '0' && *t->p <= '9') {
		uint64_t digit = (uint64_t)(*t->p++ - '0');

		if (*v > (NUMBER_MAX - digit) / 10)
			return false;
		*v = *v * 10 + digit;
	}
	return t->p > start && (*start != '0' || t->p == start + 1);
}

static bool eat_digest(struct text *t, uint8_t out[DIGEST_LEN])
{
	char hex[DIGEST_HEX];

	if (t->end - t->p < DIGEST_HEX - 1)
		return false;
	memcpy(hex, t->p, DIGEST_HEX - 1);
	hex[DIGEST_HEX - 1] = '\0';
	t->p += DIGEST_HEX - 1;
	return hex_parse(hex, out, DIGEST_LEN);
}

static bool eat_part(struct text *t, struct recipe_part *p)
{
	*p = (struct recipe_part){ .hole = eat(t, "hole ") };
	if (!p->hole && !(eat(t, "slice ") && eat_digest(t, p->slice) && eat(t, " ") && eat_number(t, &p->offset) && eat(t, " ")))
		return false;
	return eat_number(t, &p->length) && p->length > 0 && eat(t, "\n");
}

static int decode(struct recipe *r, struct text *t, struct err *e)
{
	uint64_t size;

	if (!eat(t, "waybill-recipe 1\n"))
		return err_set(e, ERR_INTEGRITY, "not a recipe of version 1");
	if (!(eat(t, "size ") && eat_number(t, &size) && eat(t, "\nsha256 ") && eat_digest(t, r->sha256) && eat(t, "\n")))
		return err_set(e, ERR_INTEGRITY, "recipe: line 2 or 3 is malformed");
	while (t->p < t->end) {
		size_t before = r->count;
		struct recipe_part p;

		if (!eat_part(t, &p))
			return err_set(e, ERR_INTEGRITY, "recipe: line %zu is malformed", before + 4);
		if (recipe_add(r, &p, e) < 0)
			return -1;
		if (r->count == before)
			return err_set(e, ERR_INTEGRITY, "recipe: line %zu continues the one before it", before + 4);
	}
	if (r->size != size)
		return err_set(e, ERR_INTEGRITY, "recipe: its parts are %llu bytes, its size line says %llu",
		    (unsigned long long)r->size, (unsigned long long)size);
	return 0;
}

int recipe_decode(struct recipe *r, const void *p, size_t n, struct err *e)
{
	struct text t = { p, (const char *)p + n };

	recipe_dispose(r);
	if (n > RECIPE_BYTES_MAX)
		return err_set(e, ERR_INTEGRITY, "recipe: more than %u bytes", RECIPE_BYTES_MAX);
	if (decode(r, &t, e) < 0) {
		recipe_dispose(r);
		return -1;
	}
	return 0;
}
