/* owners - the map of users and groups: in the plan as {users: {old: new}, groups: {old: new}}, or in a file. */
#include <fcntl.h>
#include <string.h>

#include "io.h"
#include "scalar.h"
#include "tables.h"

#define OWNERS_MAX (1024 * 1024)

static bool owner_word(const char *s) { return *s && !scalar_has_control(s) && !strpbrk(s, " :/"); }

struct owner_list {		/* filled in place; cap is known before */
	struct plan_owner *v;
	size_t n;
};

static void owner_add(struct owner_list *l, bool group, const char *from, const char *to)
{
	l->v[l->n++] = (struct plan_owner){ group, from, to };
}

static void read_side(struct reader *r, const struct ynode *map, bool group, struct owner_list *l)
{
	if (!map || !node_map(r, map, "a map of OLD: new"))
		return;
	for (const struct ynode *c = map->first; c; c = c->next) {
		if (!node_scalar(r, c, "a name or a number"))
			continue;
		if (!owner_word(c->key->text) || !owner_word(c->text)) {
			node_fault(r, c, NULL, "\"%s: %s\" is not a pair of names or numbers", c->key->text, c->text);
			continue;
		}
		owner_add(l, group, reader_strndup(r, c->key->text, strlen(c->key->text)),
		    reader_strndup(r, c->text, strlen(c->text)));
	}
}

static void read_inline(struct reader *r, struct plan_files *f, const struct ynode *n)
{
	const struct ynode *users = yaml_get(n, "users"), *groups = yaml_get(n, "groups");
	static const char *const words[] = { "users", "groups", NULL };
	struct owner_list l = { NULL, 0 };
	char h[128];

	for (const struct ynode *c = n->first; c; c = c->next)
		if (c != users && c != groups)
			node_fault(r, c->key, hint_for_word(c->key->text, words, h), "unknown key \"%s\" in owners",
			    c->key->text);
	if (!(l.v = reader_alloc(r, ((users ? users->count : 0) + (groups ? groups->count : 0)) * sizeof(*l.v))))
		return;
	read_side(r, users, false, &l);
	read_side(r, groups, true, &l);
	f->owners = l.v;
	f->nowners = l.n;
}

/* One line "user OLD NEW" or "group OLD NEW"; empty lines and # comments are fine. */
static bool read_line(struct reader *r, char *line, struct owner_list *l)
{
	char *rest = NULL, *what = strtok_r(line, " \t\r", &rest), *from, *to;
	bool group;

	if (!what || *what == '#')
		return true;
	from = strtok_r(NULL, " \t\r", &rest);
	to = from ? strtok_r(NULL, " \t\r", &rest) : NULL;
	group = strcmp(what, "group") == 0;
	if (!to || strtok_r(NULL, " \t\r", &rest) || (!group && strcmp(what, "user") != 0) || !owner_word(from) ||
	    !owner_word(to))
		return false;
	owner_add(l, group, reader_strndup(r, from, strlen(from)), reader_strndup(r, to, strlen(to)));
	return true;
}

static void read_lines(struct reader *r, struct plan_files *f, const struct ynode *n, struct buf *b)
{
	struct owner_list l = { NULL, 0 };
	size_t lines = 1, at = 0;
	char *line = b->data, *end;

	for (size_t i = 0; i < b->len; i++)
		lines += b->data[i] == '\n';
	if (!(l.v = reader_alloc(r, lines * sizeof(*l.v))))
		return;
	for (; line; line = end) {
		at++;
		if ((end = strchr(line, '\n')))
			*end++ = '\0';
		if (!read_line(r, line, &l)) {
			node_fault(r, n, "each line is: user OLD NEW, or group OLD NEW", "%s: line %zu is no such mapping",
			    f->owners_file, at);
			return;
		}
	}
	f->owners = l.v;
	f->nowners = l.n;
}

void read_owners(struct reader *r, void *files, const struct ynode *n)
{
	const struct field named = { .key = "owners", .type = F_FILE };
	struct plan_files *f = files;
	OWN_BUF struct buf b = BUF_INIT;
	OWN_FREE char *path = NULL;
	struct err e = ERR_INIT;

	if (n->kind == Y_MAP) {
		read_inline(r, f, n);
		return;
	}
	value_read(r, &named, &f->owners_file, n);
	if (!f->owners_file || r->alone)
		return;
	if (!(path = plan_file_path(r->plan, f->owners_file))) {
		r->src.out->out_of_memory = true;
		return;
	}
	if (io_read_file(AT_FDCWD, path, OWNERS_MAX, &b, &e) < 0) {
		if (!r->recorded)
			node_fault(r, n, NULL, "%s", e.text);
	} else if (b.data && memchr(b.data, '\0', b.len))
		node_fault(r, n, NULL, "%s is not a text file", f->owners_file);
	else if (b.data)
		read_lines(r, f, n, &b);
}
