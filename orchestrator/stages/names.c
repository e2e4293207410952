#include "names.h"

#include <string.h>

#include "path.h"

void names_dispose(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].first);
	free(l->v);
}

/* First names arrive in walk order, so the list is sorted. */
static struct names_group *find(const struct names *l, const char *path)
{
	size_t lo = 0, hi = l->n, len = strlen(path);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = path_cmp(l->v[mid].first, strlen(l->v[mid].first), path, len);

		if (c == 0)
			return &l->v[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static int add(struct names *l, const struct entry *en, struct err *e)
{
	struct names_group *g;
	char *first;

	if ((l->n & (l->n - 1)) == 0) {
		if (!(g = realloc(l->v, (l->n ? l->n * 2 : 1) * sizeof(*g))))
			return err_sys(e, "hard links");
		l->v = g;
	}
	if (!(first = strdup(en->path)))
		return err_sys(e, "hard links");
	l->v[l->n++] = (struct names_group){ first, 1 };
	return 0;
}

int names_add(struct names *l, const struct entry *en, struct err *e)
{
	struct names_group *g;

	if (en->link_to) {
		if ((g = find(l, en->link_to)))
			g->names++;
		return 0;
	}
	return en->type != ENTRY_DIR && en->nlink > 1 ? add(l, en, e) : 0;
}

int names_from(struct names *l, struct passfile *found, struct err *e)
{
	uint64_t place;
	int got;

	if (passfile_rewind(found, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = passfile_next(found, &en, &place, e)) != 1)
			return got;
		if (names_add(l, &en, e) < 0)
			return -1;
	}
}

uint32_t names_count(const struct names *l, const char *first)
{
	const struct names_group *g = find(l, first);

	return g ? g->names : 1;
}
