/* The last phase of a pass at its target: attributes, links, deletions. */
#include "pass_internal.h"

#include <string.h>

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

/* Reverse walk order: contents before their directory. */
static int send_removals(struct pass *p, struct err *e)
{
	struct removal *v = NULL;
	size_t n = 0, i;
	int r = load_removals(p, &v, &n, e);

	for (i = n; r == 0 && i-- > 0; ) {
		OWN_BUF struct buf b = BUF_INIT;

		buf_put_bytes(&b, v[i].path, strlen(v[i].path));
		buf_put_u8(&b, v[i].type);
		r = buf_finish(&b, e) < 0 ? -1 : target_send(&p->target, MSG_REMOVE, b.data, b.len, e);
		if (r == 0)
			p->result.removed++;
	}
	for (i = 0; i < n; i++)
		free(v[i].path);
	free(v);
	return r;
}

int pass_finish_target(struct pass *p, struct err *e)
{
	if (!p->target.session)
		return 0;
	if (pass_send_whole(p, e) < 0 || (p->d->files.delete && send_removals(p, e) < 0) || send_finals(p, e) < 0 || target_finish(&p->target, e) < 0)
		return -1;
	p->result.problems = p->target.problem_total;
	return 0;
}
