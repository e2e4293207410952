/* Verification of what commands made: the fingerprint that was taken with the version against what the same command says now. */
#include "made.h"

#include <inttypes.h>
#include <string.h>

#include "archive.h"
#include "esc.h"
#include "version.h"

/* ---- the text of a version ---- */

static int append(void *ctx, uint64_t offset, const void *p, size_t n, struct err *e)
{
	(void)offset;
	buf_put(ctx, p, n);
	return buf_finish(ctx, e);
}

/* 1: into b; 0: the version has none; -1. */
static int recorded(struct run *r, const struct plan_dataset *d, uint64_t version, struct buf *b, struct err *e)
{
	OWN(version_closep) struct version_reader *v = NULL;
	OWN(archive_closep) struct archive *a = NULL;
	int got;

	if (version_open(r->w, r->plan->name, d->name, version, VERSION_MANIFEST, &v, e) < 0 || archive_open(r->w, &a, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		struct location at;

		if ((got = version_next(v, &en, &at, e)) != 1)
			return got;
		if (strcmp(en.path, MADE_FINGERPRINT) != 0)
			continue;
		if (en.size > MADE_FINGERPRINT_MAX)
			return err_set(e, ERR_PERMANENT, "the fingerprint of dataset %s has more than %u MiB", d->name, MADE_FINGERPRINT_MAX >> 20);
		return at.kind != LOCATION_NONE && archive_content(a, &en, &at, append, b, e) < 0 ? -1 : 1;
	}
}

/* ---- comparison: lines "key TAB value" by their key, other texts line by line ---- */

struct line { char *key; const char *value; };
struct lines { struct line *v; size_t n; };

static void lines_dispose(struct lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].key);
	free(l->v);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->key, ((const struct line *)b)->key);
}

/* Cuts text up; values point into it. */
static int lines_of(char *text, bool keyed, struct lines *l, struct err *e)
{
	size_t cap = 1, number = 0;
	char *save = NULL;

	for (const char *c = text; *c; c++)
		cap += *c == '\n';
	if (!(l->v = calloc(cap, sizeof(*l->v))))
		return err_sys(e, "fingerprint");
	for (char *s = strtok_r(text, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		char *tab = keyed ? strchr(s, '\t') : NULL, *key = NULL;

		number++;
		if (tab ? !(key = strndup(s, (size_t)(tab - s))) : asprintf(&key, "line %08zu", number) < 0)
			return err_sys(e, "fingerprint");
		l->v[l->n++] = (struct line){ key, tab ? tab + 1 : s };
	}
	qsort(l->v, l->n, sizeof(*l->v), by_key);
	return 0;
}

static bool all_keyed(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (n && !memchr(text, '\t', n))
			return false;
		text += n + (text[n] == '\n');
	}
	return true;
}

static int compare(struct verify_result *v, char *want, char *got, struct err *e)
{
	OWN(lines_dispose) struct lines a = { NULL, 0 };
	OWN(lines_dispose) struct lines b = { NULL, 0 };
	bool keyed = all_keyed(want) && all_keyed(got);
	size_t i = 0, k = 0;
	int r = 0;

	if (lines_of(want, keyed, &a, e) < 0 || lines_of(got, keyed, &b, e) < 0)
		return -1;
	v->checked = a.n;
	while (r == 0 && (i < a.n || k < b.n)) {
		int order = i == a.n ? 1 : k == b.n ? -1 : strcmp(a.v[i].key, b.v[k].key);

		if (order < 0)
			r = verify_add_difference(v, a.v[i].key, "missing", a.v[i].value, "absent");
		else if (order > 0)
			r = verify_add_difference(v, b.v[k].key, "extra", "absent", b.v[k].value);
		else if (strcmp(a.v[i].value, b.v[k].value) != 0)
			r = verify_add_difference(v, a.v[i].key, "fingerprint", a.v[i].value, b.v[k].value);
		i += order <= 0;
		k += order >= 0;
	}
	return r < 0 ? err_sys(e, "verify") : 0;
}

/* ---- asking ---- */

struct made_asked { struct made m; struct made_later later; const struct made_command *command; };

static const struct made_command *question(const struct made_part *part, enum verify_side side)
{
	return side == VERIFY_TARGET && part->again.argv ? &part->again : &part->run;
}

void made_asked_free(struct made_asked *a)
{
	if (!a)
		return;
	made_later_close(&a->later);
	made_dispose(&a->m);
	free(a);
}

struct made_asked *made_ask_ahead(struct run *r, const struct plan_dataset *d)
{
	OWN(made_asked_freep) struct made_asked *a = NULL;
	const struct made_part *part;
	struct err ignored = ERR_INIT;	/* whatever it is: the verification meets it again and says it */

	if (d->kind != DATASET_DATABASE || !d->to.host || !(a = calloc(1, sizeof(*a))))
		return NULL;
	if (made_open(r, d, &a->m, &ignored) < 0 || !(part = made_part(&a->m, MADE_FINGERPRINT)))
		return NULL;
	a->command = question(part, VERIFY_TARGET);
	if (made_later(&a->m, d->to.host, a->command, MADE_FINGERPRINT_MAX, &a->later, &ignored) < 0)
		return NULL;
	return take_ptr(&a);
}

/* What was asked before, if that went well; a connection that was lost since is no answer. */
static bool take_asked(struct made_asked *a, struct buf *out)
{
	OWN(msg_exec_end_dispose) struct msg_exec_end end = { .how = 0 };
	struct err ignored = ERR_INIT;

	if (!a || !a->later.x)
		return false;
	if (made_later_end(&a->later, &end, &ignored) == 0 && exec_good(&end)) {
		buf_dispose(out);
		*out = a->later.out;
		a->later.out = (struct buf)BUF_INIT;
		made_later_close(&a->later);
		return true;
	}
	made_later_close(&a->later);
	return false;
}

/* A fingerprint of nothing is a text as well. */
static int compare_texts(struct verify_result *v, struct buf *want, struct buf *got, struct err *e)
{
	buf_puts(want, "");
	buf_puts(got, "");
	if (buf_finish(want, e) < 0 || buf_finish(got, e) < 0)
		return -1;
	return compare(v, want->data ? want->data : (char[]){ "" }, got->data ? got->data : (char[]){ "" }, e);
}

int made_same(struct made *m, const struct entry *en, const struct location *at, bool *same, struct err *e)
{
	OWN(archive_closep) struct archive *a = NULL;
	OWN_VERIFY struct verify_result v = VERIFY_RESULT_INIT;
	OWN_BUF struct buf want = BUF_INIT, got = BUF_INIT;
	const struct made_part *part = made_part(m, MADE_FINGERPRINT);

	*same = false;
	if (!part || at->kind == LOCATION_NONE || en->size > MADE_FINGERPRINT_MAX)
		return 0;
	if (archive_open(m->r->w, &a, e) < 0 || archive_content(a, en, at, append, &want, e) < 0 ||
	    made_ask(m, m->d->to.host, part->again.argv ? &part->again : &part->run, MADE_FINGERPRINT_MAX, &got, e) < 0 ||
	    compare_texts(&v, &want, &got, e) < 0)
		return -1;
	*same = v.checked && !v.difference_total;
	return 0;
}

int made_verify(struct run *r, const struct plan_dataset *d, const struct verify_options *o, struct verify_result *v, struct err *e)
{
	const char *host = o->side == VERIFY_SOURCE ? d->from.host : d->to.host;
	OWN_BUF struct buf want = BUF_INIT, got = BUF_INIT;
	OWN_MADE struct made m = { .r = NULL };
	const struct made_part *part;
	struct err why = ERR_INIT;
	int has;

	if (!host)
		return err_set(e, ERR_USAGE, "dataset %s has no target; verify it with --side archive", d->name);
	if (made_open(r, d, &m, e) < 0 || (has = recorded(r, d, v->version, &want, e)) < 0)
		return -1;
	part = made_part(&m, MADE_FINGERPRINT);
	if (!has || !part)
		return verify_add_unverified(v, MADE_FINGERPRINT, "the plan names no fingerprint: nobody can tell what was made of it") < 0 ?
		    err_sys(e, "verify") : 0;
	if (!(o->side == VERIFY_TARGET && take_asked(o->asked, &got)) &&
	    made_ask(&m, host, question(part, o->side), MADE_FINGERPRINT_MAX, &got, &why) < 0) {
		if (why.class != ERR_PERMANENT) {
			*e = why;
			return -1;
		}
		return verify_add_unverified(v, MADE_FINGERPRINT, why.text) < 0 ? err_sys(e, "verify") : 0;
	}
	v->bytes = got.len;
	v->read = 1;
	return compare_texts(v, &want, &got, e);
}
