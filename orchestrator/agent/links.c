#include "links.h"

struct link_first {
	struct link_first *next;
	struct entry *first;	/* owned */
	uint32_t left;		/* names not yet seen */
};

static size_t place(const struct links *l, const struct entry_scan *s)
{
	uint64_t h = (s->ino ^ s->dev << 40) * 0x9e3779b97f4a7c15ull;

	return (size_t)(h >> 20) % l->bucket_count;
}

static struct link_first **find(const struct links *l, const struct entry *st)
{
	struct link_first **p;

	if (l->bucket_count == 0)
		return NULL;
	for (p = &l->buckets[place(l, &st->scan)]; *p; p = &(*p)->next)
		if ((*p)->first->scan.ino == st->scan.ino && (*p)->first->scan.dev == st->scan.dev)
			return p;
	return NULL;
}

const struct entry *links_find(const struct links *l, const struct entry *st)
{
	struct link_first **p = find(l, st);

	return p ? (*p)->first : NULL;
}

static int grow(struct links *l, struct err *e)
{
	struct links bigger = { NULL, l->bucket_count ? l->bucket_count * 4 : 256, l->n };

	if (!(bigger.buckets = calloc(bigger.bucket_count, sizeof(struct link_first *))))
		return err_sys(e, "table of hard links");
	for (size_t i = 0; i < l->bucket_count; i++)
		while (l->buckets[i]) {
			struct link_first *f = l->buckets[i];
			size_t to = place(&bigger, &f->first->scan);

			l->buckets[i] = f->next;
			f->next = bigger.buckets[to];
			bigger.buckets[to] = f;
		}
	free(l->buckets);
	*l = bigger;
	return 0;
}

int links_add(struct links *l, const struct entry *en, struct err *e)
{
	struct link_first *f;
	size_t at;

	if (l->n >= l->bucket_count && grow(l, e) < 0)
		return -1;
	if (!(f = calloc(1, sizeof(*f))) || !(f->first = entry_dup(en))) {
		free(f);
		return err_sys(e, "table of hard links");
	}
	f->left = en->nlink - 1;
	at = place(l, &en->scan);
	f->next = l->buckets[at];
	l->buckets[at] = f;
	l->n++;
	return 0;
}

static void drop(struct links *l, struct link_first **p)
{
	struct link_first *f = *p;

	*p = f->next;
	entry_freep(&f->first);
	free(f);
	l->n--;
}

void links_seen(struct links *l, const struct entry *st)
{
	struct link_first **p = find(l, st);

	if (p && (*p)->left-- <= 1)
		drop(l, p);
}

void links_forget(struct links *l, const struct entry *st)
{
	struct link_first **p = find(l, st);

	if (p)
		drop(l, p);
}

void links_dispose(struct links *l)
{
	for (size_t i = 0; i < l->bucket_count; i++)
		while (l->buckets[i])
			drop(l, &l->buckets[i]);
	free(l->buckets);
	*l = (struct links)LINKS_INIT;
}
