/* The last phase of a pass: attributes, links, deletions at its target, while the version is written. */
#include "pass_internal.h"

#include <string.h>

#include "foreign.h"
#include "path.h"

/* Changed entries that are not there whole already, and directories in which something was made or removed: their times must be set again. */
static int send_finals(struct pass *p, struct err *e)
{
	uint64_t place;
	int got;

	if (passfile_rewind(p->found, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = passfile_next(p->found, &en, &place, e)) != 1)
			return got;
		if (en.outcome == ENTRY_SKIPPED || en.outcome == ENTRY_FAILED || (en.note && strncmp(en.note, "list_only", 9) == 0))
			continue;
		if (place & FOUND_WHOLE)
			continue;
		if (!(place & FOUND_CHANGED) && !(en.type == ENTRY_DIR && u64set_has(&p->touched, u64set_key(en.path, en.path_len))))
			continue;
		if (target_final(&p->target, &en, e) < 0)
			return -1;
	}
}

struct removal { char *path; uint8_t type; };

static int by_path(const void *a, const void *b)
{
	const char *x = ((const struct removal *)a)->path, *y = ((const struct removal *)b)->path;

	return path_cmp(x, strlen(x), y, strlen(y));
}

/* The same name from two passes: once is enough. */
static void drop_twins(struct removal *v, size_t *n)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		if (kept && strcmp(v[kept - 1].path, v[i].path) == 0)
			free(v[i].path);
		else
			v[kept++] = v[i];
	}
	*n = kept;
}

/* v without what this pass found. */
static int drop_found(struct pass *p, struct removal *v, size_t *n, struct err *e)
{
	uint64_t place;
	size_t kept = 0;
	int got;

	if (passfile_rewind(p->found, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		struct removal key, *hit;

		if ((got = passfile_next(p->found, &en, &place, e)) != 1)
			break;
		key.path = en.path;
		if ((hit = bsearch(&key, v, *n, sizeof(*v), by_path)))
			hit->type = 0;
	}
	for (size_t i = 0; i < *n; i++) {
		if (v[i].type)
			v[kept++] = v[i];
		else
			free(v[i].path);
	}
	*n = kept;
	return got;
}

/* What earlier passes sent, were cut, and the source has no more; nothing that lay there before the first copy. */
static int load_left(struct pass *p, struct removal **out, size_t *n, struct err *e)
{
	OWN(foreign_freep) struct foreign *foreign = NULL;
	size_t count = 0;
	const struct sent_name *left = p->sent ? sent_left(p->sent, &count) : NULL;

	*n = 0;
	if (!count)
		return 0;
	if (foreign_load(p->r, p->d, &foreign, e) < 0)
		return -1;
	if (!(*out = calloc(count, sizeof(**out))))
		return err_sys(e, "pass");
	for (size_t i = 0; i < count; i++) {
		if (foreign_has(foreign, left[i].path, strlen(left[i].path)))
			continue;
		(*out)[*n].type = (uint8_t)left[i].type;
		if (!((*out)[(*n)++].path = strdup(left[i].path)))
			return err_sys(e, "pass");
	}
	qsort(*out, *n, sizeof(**out), by_path);
	drop_twins(*out, n);
	return drop_found(p, *out, n, e);
}

static int load_removals(struct pass *p, struct removal **out, size_t *n, struct err *e)
{
	uint64_t place;
	int got;

	*n = 0;
	if (!(*out = calloc(p->gone_count ? p->gone_count : 1, sizeof(**out))) || passfile_rewind(p->gone, e) < 0)
		return err_sys(e, "pass");
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = passfile_next(p->gone, &en, &place, e)) != 1)
			return got;
		(*out)[*n].type = (uint8_t)en.type;
		(*out)[(*n)++].path = take_ptr(&en.path);
	}
}

/* The directory that loses a name gets its times again. */
static int touch(struct pass *p, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	uint64_t key = slash ? u64set_key(path, (size_t)(slash - path)) : u64set_key(".", 1);

	return u64set_add(&p->touched, key) < 0 ? err_sys(e, "pass") : 0;
}

/* Reverse walk order: contents before their directory. */
static int send_removals(struct pass *p, int (*load)(struct pass *, struct removal **, size_t *, struct err *), struct err *e)
{
	struct removal *v = NULL;
	size_t n = 0, i;
	int r = load(p, &v, &n, e);

	for (i = n; r == 0 && i-- > 0; ) {
		OWN_BUF struct buf b = BUF_INIT;

		buf_put_bytes(&b, v[i].path, strlen(v[i].path));
		buf_put_u8(&b, v[i].type);
		r = buf_finish(&b, e) < 0 ? -1 : target_send(&p->target, MSG_REMOVE, b.data, b.len, e);
		if (r == 0 && (r = touch(p, v[i].path, e)) == 0)
			p->result.removed++;
	}
	for (i = 0; i < n; i++)
		free(v[i].path);
	free(v);
	return r;
}

static int send_last(struct pass *p, struct err *e)
{
	if (p->sent && sent_flush(p->sent, e) < 0)
		return -1;
	if (p->d->files.delete && (send_removals(p, load_left, e) < 0 || send_removals(p, load_removals, e) < 0))
		return -1;
	return send_finals(p, e);
}

/* Names that an earlier pass left make us look into the ledger, which is the builder's while it is at work. */
static bool looks_back(const struct pass *p)
{
	size_t n = 0;

	return p->sent && sent_left(p->sent, &n) && n;
}

int pass_finish_target(struct pass *p, struct err *e)
{
	if (!looks_back(p) && pass_version_start(p, e) < 0)
		return -1;
	if (pass_flush(p, true, p->patched, e) < 0)
		return -1;
	if (!p->target.session)
		return pass_flush(p, false, true, e);
	if (pass_send_whole(p, e) < 0)
		return -1;
	/* What is sent now the target does while it makes durable what it was sent before. */
	if (send_last(p, e) < 0 || pass_flush(p, false, true, e) < 0 || target_finish(&p->target, e) < 0)
		return -1;
	p->result.problems = p->target.problem_total;
	return 0;
}
