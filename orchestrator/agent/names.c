#include "names.h"

#include <inttypes.h>
#include <string.h>

#include "proc.h"

#define ASK_MAX 4096	/* children at most: a tree with more owners than that goes by number */

struct name_entry { uint32_t id; bool group; char *name; };

void names_dispose(struct names *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].name);
	free(s->v);
	*s = (struct names)NAMES_INIT;
}

/* First field of "name:x:id:..." if the line is of that shape; owned. */
static char *first_field(const struct buf *b)
{
	size_t n = b->data ? strcspn(b->data, ":\n") : 0;

	return n && n < 256 && b->data[n] == ':' && !memchr(b->data, '\0', n) ? strndup(b->data, n) : NULL;
}

static char *ask(struct names *s, bool group, uint32_t id)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	char number[16];
	const char *const argv[] = { "getent", group ? "group" : "passwd", number, NULL };
	struct proc_options o = { .argv = argv, .timeout_ms = 5000, .limit = 65536 };
	struct err e = ERR_INIT;

	(void)snprintf(number, sizeof(number), "%" PRIu32, id);
	if (s->off || s->asked++ >= ASK_MAX)
		return NULL;
	/* Names are a courtesy: whoever cannot tell them in time is not asked again. */
	if (proc_run(&o, &r, &e) < 0 || r.timed_out || r.status >= 126) {
		s->off = true;
		return NULL;
	}
	return r.status == 0 ? first_field(&r.out) : NULL;
}

const char *names_get(struct names *s, bool group, uint32_t id)
{
	size_t i;

	for (i = s->n; i-- > 0;)
		if (s->v[i].id == id && s->v[i].group == group)
			break;
	if (i < s->n) {
		struct name_entry hit = s->v[i];	/* recently used ones stay near the end */

		s->v[i] = s->v[s->n - 1];
		s->v[s->n - 1] = hit;
		return hit.name;
	}
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 16;
		struct name_entry *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v)
			return NULL;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n] = (struct name_entry){ id, group, ask(s, group, id) };
	return s->v[s->n++].name;
}
