#include "yaml.h"

#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

#include "esc.h"

#define DEPTH_MAX 16		/* a plan is five levels deep; a deeper text is no plan */

struct builder {
	struct arena *a;
	struct fault_source *src;
	struct fy_parser *fyp;
	size_t last;		/* end of the last token: the place of what is not there */
	bool broken;		/* syntax error or no memory: stop */
};

static struct ynode *node_new(struct builder *b, enum ykind kind, size_t off, size_t width)
{
	struct ynode *n = arena_alloc(b->a, sizeof(*n));

	if (!n) {
		b->src->out->out_of_memory = true;
		b->broken = true;
		return NULL;
	}
	n->kind = kind;
	n->text = "";
	n->off = off;
	n->width = width ? width : 1;
	return n;
}

static void token_range(struct builder *b, struct fy_token *t, size_t *off, size_t *width)
{
	const struct fy_mark *from = t ? fy_token_start_mark(t) : NULL, *to = t ? fy_token_end_mark(t) : NULL;

	*off = from ? from->input_pos : b->last;
	*width = from && to && to->input_pos > from->input_pos ? to->input_pos - from->input_pos : 0;
	if (from)
		b->last = to ? to->input_pos : from->input_pos;
}

/* Anchors and tags are refused where they stand; what they stand before is read all the same. */
static void refuse_decoration(struct builder *b, struct fy_token *anchor, struct fy_token *tag)
{
	size_t off, width, last = b->last;

	if (anchor) {
		token_range(b, anchor, &off, &width);
		fault_add(b->src, off, width, "write the value out where it is needed", "anchors are not allowed in a plan");
	}
	if (tag) {
		token_range(b, tag, &off, &width);
		fault_add(b->src, off, width, "leave the tag out; the key decides the type", "tags are not allowed in a plan");
	}
	b->last = last;
}

static struct ynode *build(struct builder *b, struct fy_event *ev, int depth);

static struct fy_event *next_event(struct builder *b)
{
	struct fy_event *ev = b->broken ? NULL : fy_parser_parse(b->fyp);

	if (!ev)
		b->broken = true;
	return ev;
}

static struct ynode *build_scalar(struct builder *b, struct fy_event *ev)
{
	struct fy_token *t = ev->scalar.value;
	size_t off, width, n = 0;
	const char *text;
	struct ynode *node;
	enum fy_scalar_style style = t ? fy_token_scalar_style(t) : FYSS_PLAIN;

	refuse_decoration(b, ev->scalar.anchor, ev->scalar.tag);
	token_range(b, t, &off, &width);
	text = t ? fy_token_get_text(t, &n) : NULL;
	/* The marks of a quoted scalar leave the quotes out; people look for them. */
	if ((style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) && off > 0) {
		off--;
		width += 2;
	}
	if (!(node = node_new(b, Y_SCALAR, off, width)))
		return NULL;
	node->plain = style == FYSS_PLAIN;
	node->null = node->plain && n == 0;
	if (text && memchr(text, '\0', n))
		fault_add(b->src, off, width, NULL, "a NUL byte is not allowed in a plan");
	if (text && !(node->text = arena_strndup(b->a, text, n))) {
		node->text = "";
		b->src->out->out_of_memory = b->broken = true;
	}
	return node;
}

static struct ynode *build_alias(struct builder *b, struct fy_event *ev)
{
	size_t off, width;
	struct ynode *node;

	token_range(b, ev->alias.anchor, &off, &width);
	if (off > 0) {		/* the mark leaves the '*' out */
		off--;
		width++;
	}
	fault_add(b->src, off, width, "write the value out where it is needed", "aliases are not allowed in a plan");
	if ((node = node_new(b, Y_SCALAR, off, width)))
		node->null = true;
	return node;
}

static void append(struct ynode *parent, struct ynode ***tail, struct ynode *child)
{
	**tail = child;
	*tail = &child->next;
	parent->count++;
}

/* The key of a map entry: a plain word, not "<<", not a list. */
static bool key_is_good(struct builder *b, const struct ynode *key)
{
	if (key->kind != Y_SCALAR || (key->null && key->width <= 1)) {
		fault_add(b->src, key->off, key->width, NULL, "a key must be a word");
		return false;
	}
	if (key->plain && strcmp(key->text, "<<") == 0) {
		fault_add(b->src, key->off, key->width, "write the keys out where they are needed",
		    "merge keys are not allowed in a plan");
		return false;
	}
	return true;
}

static void build_children(struct builder *b, struct ynode *parent, enum fy_event_type end, int depth)
{
	struct ynode **tail = &parent->first;

	while (!b->broken) {
		struct fy_event *ev = next_event(b);
		bool last = ev && ev->type == end;
		struct ynode *child, *key = NULL;

		if (!ev)
			return;
		child = last ? NULL : build(b, ev, depth);
		fy_parser_event_free(b->fyp, ev);
		if (!child)
			return;
		if (parent->kind == Y_MAP) {
			key = child;
			if (!(ev = next_event(b)))
				return;
			child = build(b, ev, depth);
			fy_parser_event_free(b->fyp, ev);
			if (!child)
				return;
			child->key = key;
			if (!key_is_good(b, key))
				continue;
		}
		append(parent, &tail, child);
	}
}

static struct ynode *build(struct builder *b, struct fy_event *ev, int depth)
{
	bool map = ev->type == FYET_MAPPING_START;
	struct ynode *n;
	size_t off, width;

	if (ev->type == FYET_SCALAR)
		return build_scalar(b, ev);
	if (ev->type == FYET_ALIAS)
		return build_alias(b, ev);
	if (!map && ev->type != FYET_SEQUENCE_START) {
		b->broken = true;
		return NULL;
	}
	if (map)
		refuse_decoration(b, ev->mapping_start.anchor, ev->mapping_start.tag);
	else
		refuse_decoration(b, ev->sequence_start.anchor, ev->sequence_start.tag);
	token_range(b, map ? ev->mapping_start.mapping_start : ev->sequence_start.sequence_start, &off, &width);
	if (depth >= DEPTH_MAX) {
		fault_add(b->src, off, 1, NULL, "nested more than %d levels deep", DEPTH_MAX);
		b->broken = true;
		return NULL;
	}
	if (!(n = node_new(b, map ? Y_MAP : Y_LIST, off, width)))
		return NULL;
	build_children(b, n, map ? FYET_MAPPING_END : FYET_SEQUENCE_END, depth + 1);
	return n;
}

static int by_key(const void *pa, const void *pb)
{
	const struct ynode *a = *(struct ynode *const *)pa, *b = *(struct ynode *const *)pb;
	int c = strcmp(a->key->text, b->key->text);

	return c ? c : (a->key->off > b->key->off) - (a->key->off < b->key->off);
}

/* Sorted, because a hostile file may hold a hundred thousand keys in one map. */
static void refuse_duplicates(struct builder *b, const struct ynode *map)
{
	OWN_FREE struct ynode **v = NULL;
	size_t n = 0;

	if (map->count > 1 && map->kind == Y_MAP) {
		if (!(v = calloc(map->count, sizeof(*v)))) {
			b->src->out->out_of_memory = true;
			return;
		}
		for (struct ynode *c = map->first; c; c = c->next)
			v[n++] = c;
		qsort(v, n, sizeof(struct ynode *), by_key);
		for (size_t i = 1; i < n; i++)
			if (strcmp(v[i]->key->text, v[i - 1]->key->text) == 0)
				fault_add(b->src, v[i]->key->off, v[i]->key->width, NULL,
				    "the key \"%s\" stands twice here; it was first used in line %d", v[i]->key->text,
				    fault_pos(b->src, v[i - 1]->key->off).line);
	}
	for (const struct ynode *c = map->first; c; c = c->next)
		if (c->kind != Y_SCALAR)
			refuse_duplicates(b, c);
}

/* Invalid UTF-8 and control bytes, before the parser sees them. */
static bool bytes_are_text(struct fault_source *src)
{
	for (size_t i = 0; i < src->len;) {
		unsigned char c = (unsigned char)src->text[i];
		size_t len = esc_utf8_len(src->text + i, src->len - i);

		if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f) {
			fault_add(src, i, 1, NULL, "the control byte 0x%02x is not allowed in a plan", c);
			return false;
		}
		if (len == 0) {
			fault_add(src, i, 1, "save the file as UTF-8", "this is not UTF-8 text");
			return false;
		}
		i += len;
	}
	return true;
}

/* What the parser collected instead of printing it. */
static void take_diagnostics(struct fault_source *src, struct fy_diag *diag)
{
	struct fy_diag_error *de;
	void *it = NULL;
	bool any = false;

	while ((de = fy_diag_errors_iterate(diag, &it))) {
		fault_add_at(src, de->line, de->column, NULL, "%s", de->msg ? de->msg : "this is not YAML");
		any = true;
	}
	if (!any)
		fault_add(src, AT_FILE, 0, NULL, "this is not YAML");
}

/* The events of one stream; NULL when there is no document. */
static struct ynode *read_stream(struct builder *b)
{
	struct ynode *root = NULL;
	int documents = 0;
	struct fy_event *ev;

	while (!b->broken && (ev = fy_parser_parse(b->fyp))) {
		enum fy_event_type type = ev->type;

		if (type == FYET_DOCUMENT_START && ++documents == 2)
			fault_add(b->src, AT_FILE, 0, NULL, "more than one YAML document; a plan is exactly one");
		if (documents == 1 && (type == FYET_MAPPING_START || type == FYET_SEQUENCE_START ||
		    type == FYET_SCALAR || type == FYET_ALIAS))
			root = build(b, ev, 0);
		fy_parser_event_free(b->fyp, ev);
		if (documents > 1)
			break;
	}
	return root;
}

struct ynode *yaml_parse(struct arena *a, struct fault_source *src, bool *whole)
{
	struct builder b = { .a = a, .src = src };
	struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET };
	struct fy_diag *diag = NULL;
	struct ynode *root = NULL;

	*whole = false;
	if (!bytes_are_text(src))
		return NULL;
	if (!(diag = fy_diag_create(NULL))) {
		src->out->out_of_memory = true;
		return NULL;
	}
	fy_diag_set_collect_errors(diag, true);
	cfg.diag = diag;
	b.fyp = fy_parser_create(&cfg);
	if (!b.fyp || fy_parser_set_string(b.fyp, src->text, src->len) != 0) {
		src->out->out_of_memory = true;
	} else {
		root = read_stream(&b);
		if (fy_parser_get_stream_error(b.fyp))
			take_diagnostics(src, diag);
		if (root)
			refuse_duplicates(&b, root);
		*whole = !b.broken && !fy_parser_get_stream_error(b.fyp);
	}
	if (b.fyp)
		fy_parser_destroy(b.fyp);
	fy_diag_destroy(diag);
	return root;
}

const struct ynode *yaml_get(const struct ynode *map, const char *key)
{
	for (const struct ynode *c = map && map->kind == Y_MAP ? map->first : NULL; c; c = c->next)
		if (strcmp(c->key->text, key) == 0)
			return c;
	return NULL;
}
