#include "foreign.h"

#include <errno.h>
#include <string.h>

#include "answers.h"
#include "esc.h"
#include "path.h"

#define LIST_MAX (1u << 30)
#define NOTHING "-"	/* in state.db: looked at, and empty */

struct foreign {
	struct buf text;	/* unescaped paths, NUL-separated */
	const char **paths;	/* into text */
	size_t count;
};

static void state_name(const struct run *r, const struct plan_dataset *d, char out[200])
{
	(void)snprintf(out, 200, "foreign/%s/%s", r->plan->name, d->name);
}

/* Escaped lines into NUL-separated raw paths. */
static int split(struct foreign *f, const struct buf *doc, struct err *e)
{
	const char *line = doc->data ? doc->data : "", *end;

	for (; (end = strchr(line, '\n')); line = end + 1) {
		if (!esc_undo(&f->text, line, (size_t)(end - line)))
			return err_set(e, ERR_INTEGRITY, "the list of foreign entries is not understood");
		buf_putc(&f->text, '\0');
		f->count++;
	}
	if (buf_finish(&f->text, e) < 0 || !(f->paths = calloc(f->count ? f->count : 1, sizeof(*f->paths))))
		return err_sys(e, "foreign entries");
	line = f->text.data;
	for (size_t i = 0; i < f->count; i++) {
		f->paths[i] = line;
		line += strlen(line) + 1;
	}
	return 0;
}

/* Digest of the recorded list: 1, 0 = never looked at; hex is "" when there was nothing. */
static int recorded_list(struct run *r, const struct plan_dataset *d, char hex[DIGEST_HEX], struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);
	OWN_BUF struct buf b = BUF_INIT;
	char name[200];
	int got;

	hex[0] = '\0';
	if (s && s->foreign_known) {
		(void)snprintf(hex, DIGEST_HEX, "%s", s->foreign);
		return 1;
	}
	state_name(r, d, name);
	if ((got = state_get(r->w->state, name, &b, e)) <= 0 || !b.len)
		return got < 0 ? -1 : 0;
	(void)snprintf(hex, DIGEST_HEX, "%.*s", b.data && strcmp(b.data, NOTHING) != 0 ? (int)b.len : 0, b.data ? b.data : "");
	return 1;
}

int foreign_forget(struct run *r, const struct plan_dataset *d, struct err *e)
{
	char name[200];

	state_name(r, d, name);
	return state_set(r->w->state, name, "", 0, e);
}

int foreign_load(struct run *r, const struct plan_dataset *d, struct foreign **out, struct err *e)
{
	OWN(foreign_freep) struct foreign *f = calloc(1, sizeof(*f));
	OWN_BUF struct buf doc = BUF_INIT;
	struct object_id id;
	char hex[DIGEST_HEX];
	int got;

	*out = NULL;
	if (!f)
		return err_sys(e, "foreign entries");
	if ((got = recorded_list(r, d, hex, e)) <= 0 || !hex[0])
		return got < 0 ? -1 : 0;
	if (!hex_parse(hex, id.sha256, DIGEST_LEN))
		return err_set(e, ERR_INTEGRITY, "dataset %s: the digest of its list of foreign entries is none", d->name);
	if (store_get_bytes(r->w->store, STORE_DOC, &id, LIST_MAX, &doc, e) < 0 || split(f, &doc, e) < 0)
		return err_at(e, "list of foreign entries of dataset %s", d->name);
	*out = take_ptr(&f);
	return 0;
}

bool foreign_has(const struct foreign *f, const char *path, size_t n)
{
	size_t lo = 0, hi = f ? f->count : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = path_cmp(f->paths[mid], strlen(f->paths[mid]), path, n);

		if (c == 0)
			return true;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

const char *foreign_path(const struct foreign *f, size_t i) { return f && i < f->count ? f->paths[i] : NULL; }

void foreign_free(struct foreign *f)
{
	if (!f)
		return;
	buf_dispose(&f->text);
	free(f->paths);
	free(f);
}

static int list_target(struct run *r, const struct plan_dataset *d, struct buf *doc, uint64_t *count, struct err *e)
{
	OWN(answers_closep) struct answers *a = NULL;
	struct answers_options o = { .host = d->to.host, .path = d->to.path, .flags = MSG_F_HASH_ONLY | MSG_F_NO_HASH };
	int got;

	if (answers_open(r, d, &o, &a, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = answers_next(a, &en, e)) != 1)
			return got;
		if (strcmp(en.path, ".") == 0)
			continue;
		esc_put(doc, en.path, en.path_len);
		buf_putc(doc, '\n');
		(*count)++;
	}
}

static int set_facts(json_t *facts, const char *hex, uint64_t count)
{
	(void)json_object_set_new(facts, "foreign_count", json_integer((json_int_t)count));
	return hex[0] ? json_object_set_new(facts, "foreign_sha256", json_string(hex)) : 0;
}

int foreign_facts(struct run *r, const struct plan_dataset *d, json_t *facts, struct err *e)
{
	OWN(foreign_freep) struct foreign *f = NULL;
	char hex[DIGEST_HEX];
	int got = recorded_list(r, d, hex, e);

	if (got <= 0)
		return got;
	if (foreign_load(r, d, &f, e) < 0)
		return -1;
	return set_facts(facts, hex, f ? f->count : 0) < 0 ? err_set(e, ERR_TEMPORARY, "out of memory") : 0;
}

int foreign_record(struct run *r, const struct plan_dataset *d, bool exists, json_t *facts, struct err *e)
{
	OWN_BUF struct buf doc = BUF_INIT;
	struct object_id id;
	char name[200], hex[DIGEST_HEX] = "";
	uint64_t count = 0;
	int got = recorded_list(r, d, hex, e);

	if (got != 0)
		return got < 0 ? -1 : foreign_facts(r, d, facts, e);
	if ((exists && list_target(r, d, &doc, &count, e) < 0) || buf_finish(&doc, e) < 0)
		return -1;
	if (count) {
		if (store_put_bytes(r->w->store, STORE_DOC, doc.data, doc.len, &id, e) < 0)
			return -1;
		hex_of(id.sha256, DIGEST_LEN, hex);
	}
	state_name(r, d, name);
	if (set_facts(facts, hex, count) < 0)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	return state_set(r->w->state, name, hex[0] ? hex : NOTHING, strlen(hex[0] ? hex : NOTHING), e);
}
