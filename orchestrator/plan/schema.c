#include "schema.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "scalar.h"
#include "suggest.h"

#define STRUCTS_MAX 4096	/* entries of one map or list; later checks compare them pairwise */

static void place_fault(struct reader *r, const struct ynode *n, const char *hint, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));
static void place_fault(struct reader *r, const struct ynode *n, const char *hint, const char *fmt, va_list ap)
{
	OWN_FREE char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		r->src.out->out_of_memory = true;
		return;
	}
	fault_add(&r->src, n->off, n->width, hint, "%s", text);
}

void node_fault(struct reader *r, const struct ynode *n, const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	place_fault(r, n, hint, fmt, ap);
	va_end(ap);
}

void key_fault(struct reader *r, const struct ynode *n, const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	place_fault(r, n->key ? n->key : n, hint, fmt, ap);
	va_end(ap);
}

void *reader_alloc(struct reader *r, size_t n)
{
	void *p = arena_alloc(r->arena, n ? n : 1);

	if (!p)
		r->src.out->out_of_memory = true;
	return p;
}

const char *reader_strndup(struct reader *r, const char *s, size_t n)
{
	const char *p = arena_strndup(r->arena, s, n);

	if (!p)
		r->src.out->out_of_memory = true;
	return p ? p : "";
}

/* Room for one more in an array of the reader. */
static bool grow(struct reader *r, void **v, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 32;
	void *p;

	if (n < *cap)
		return true;
	if (!(p = realloc(*v, more * size))) {
		r->src.out->out_of_memory = true;
		return false;
	}
	*v = p;
	*cap = more;
	return true;
}

void reader_ref(struct reader *r, enum ref_kind kind, const char *name, const struct ynode *node)
{
	void *v = r->refs;

	if (!grow(r, &v, r->nrefs, &r->refs_cap, sizeof(*r->refs)))
		return;
	r->refs = v;
	r->refs[r->nrefs++] = (struct ref){ kind, name, node };
}

void reader_mark(struct reader *r, const void *field, const struct ynode *node)
{
	void *v = r->marks;

	if (!grow(r, &v, r->nmarks, &r->marks_cap, sizeof(*r->marks)))
		return;
	r->marks = v;
	r->marks[r->nmarks++] = (struct mark){ field, node };
}

const struct ynode *reader_mark_of(const struct reader *r, const void *field)
{
	for (size_t i = 0; i < r->nmarks; i++)
		if (r->marks[i].field == field)
			return r->marks[i].node;
	return NULL;
}

struct plan_pos node_pos(struct reader *r, const struct ynode *n) { return fault_pos(&r->src, n->off); }

const char *node_found(const struct ynode *n)
{
	if (n->kind == Y_MAP)
		return "a map of keys";
	if (n->kind == Y_LIST)
		return "a list";
	return n->null ? "nothing" : "a single value";
}

bool node_scalar(struct reader *r, const struct ynode *n, const char *expected)
{
	if (n->kind == Y_SCALAR && !n->null)
		return true;
	node_fault(r, n, NULL, "expected %s, found %s", expected, node_found(n));
	return false;
}

bool node_map(struct reader *r, const struct ynode *n, const char *expected)
{
	if (n->kind == Y_MAP)
		return true;
	node_fault(r, n, NULL, "expected %s, found %s", expected, node_found(n));
	return false;
}

const char *hint_for_word(const char *word, const char *const *words, char out[128])
{
	struct suggest s = SUGGEST_INIT(word);

	for (; *words; words++)
		suggest_try(&s, *words);
	if (!s.best)
		return NULL;
	(void)snprintf(out, 128, "did you mean \"%s\"?", s.best);
	return out;
}

static const struct field *field_of(const struct schema *s, const char *key)
{
	for (size_t i = 0; i < s->nfields; i++)
		if (strcmp(s->fields[i].key, key) == 0)
			return &s->fields[i];
	return NULL;
}

/* Every allowed key, for a hint when no one is near: "it may have: a, b, c". */
static void list_keys(const struct schema *s, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "%s may have:", s->what);

	for (size_t i = 0; i < s->nfields && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s %s", i ? "," : "", s->fields[i].key);
}

static void unknown_key(struct reader *r, const struct schema *s, const struct ynode *child)
{
	struct suggest near = SUGGEST_INIT(child->key->text);
	char hint[512];

	for (size_t i = 0; i < s->nfields; i++)
		suggest_try(&near, s->fields[i].key);
	if (near.best)
		(void)snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near.best);
	else
		list_keys(s, hint, sizeof(hint));
	node_fault(r, child->key, hint, "unknown key \"%s\" in %s", child->key->text, s->what);
}

void schema_read(struct reader *r, const struct schema *s, void *obj, const struct ynode *map)
{
	if (s->defaults)
		s->defaults(obj);
	if (s->pos_at != NOWHERE) {
		struct plan_pos pos = node_pos(r, map->key ? map->key : map);

		memcpy((char *)obj + s->pos_at, &pos, sizeof(pos));
	}
	if (!node_map(r, map, s->what))
		return;
	for (const struct ynode *c = map->first; c; c = c->next) {
		const struct field *f = field_of(s, c->key->text);

		if (f)
			schema_read_value(r, f, obj, c);
		else
			unknown_key(r, s, c);
	}
	if (r->partial)
		return;
	for (size_t i = 0; i < s->nfields; i++)
		if (s->fields[i].required && !yaml_get(map, s->fields[i].key))
			key_fault(r, map, NULL, "%s needs the key \"%s\"", s->what, s->fields[i].key);
	if (s->check)
		s->check(r, obj, map);
}

static void store_array(void *obj, size_t at, const void *v, size_t n)
{
	memcpy((char *)obj + at, &v, sizeof(v));
	memcpy((char *)obj + at + sizeof(v), &n, sizeof(n));
}

static bool few_enough(struct reader *r, const struct ynode *n)
{
	if (n->count <= STRUCTS_MAX)
		return true;
	key_fault(r, n, "split the plan", "%zu entries; at most %d are allowed here", n->count, STRUCTS_MAX);
	return false;
}

static void name_fault(struct reader *r, const struct ynode *key)
{
	node_fault(r, key, "small letters, digits and '-', at most 64, not beginning with '-'",
	    "\"%s\" cannot be a name", key->text);
}

static void read_map(struct reader *r, const struct field *f, void *obj, const struct ynode *map)
{
	const struct schema *s = f->arg;
	size_t i = 0;
	char *v;

	if (map->kind != Y_MAP) {
		node_fault(r, map, NULL, "expected NAME: {...}, each %s; found %s", s->what, node_found(map));
		return;
	}
	if (!few_enough(r, map) || !(v = reader_alloc(r, map->count * s->size)))
		return;
	for (const struct ynode *c = map->first; c; c = c->next, i++) {
		const char *name = reader_strndup(r, c->key->text, strlen(c->key->text));

		if (s->name_at != NOWHERE)
			memcpy(v + i * s->size + s->name_at, &name, sizeof(name));
		if (!scalar_is_name(name))
			name_fault(r, c->key);
		schema_read(r, s, v + i * s->size, c);
	}
	store_array(obj, f->at, v, i);
}

static void read_list(struct reader *r, const struct field *f, void *obj, const struct ynode *list)
{
	const struct schema *s = f->arg;
	size_t i = 0;
	char *v;

	if (list->kind != Y_LIST) {
		node_fault(r, list, NULL, "expected a list, each %s; found %s", s->what, node_found(list));
		return;
	}
	if (!few_enough(r, list) || !(v = reader_alloc(r, list->count * s->size)))
		return;
	for (const struct ynode *c = list->first; c; c = c->next, i++)
		schema_read(r, s, v + i * s->size, c);
	store_array(obj, f->at, v, i);
}

void schema_read_value(struct reader *r, const struct field *f, void *obj, const struct ynode *value)
{
	reader_mark(r, (char *)obj + f->at, value);
	switch (f->type) {
	case F_STRUCT:
		schema_read(r, f->arg, (char *)obj + f->at, value);
		break;
	case F_MAP:
		read_map(r, f, obj, value);
		break;
	case F_LIST:
		read_list(r, f, obj, value);
		break;
	case F_CUSTOM:
		f->custom(r, obj, value);
		break;
	default:
		value_read(r, f, (char *)obj + f->at, value);
	}
}
