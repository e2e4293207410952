#include "carry.h"

#include <inttypes.h>
#include <string.h>

#include "activation.h"
#include "esc.h"
#include "exec.h"
#include "foreign.h"
#include "log.h"
#include "path.h"
#include "version.h"

/*
 * $1 old tree, $2 new one; names on standard input, each with its line end as NUL.  Both statuses count, so both are printed.
 * -k: what the dataset brought stays as it is.
 */
static const char script[] =
	"s=$( { { tar -C \"$1\" --null --no-recursion --verbatim-files-from -T - --acls --xattrs -cf -; echo $? >&3; } | "
	"{ tar -C \"$2\" --acls --xattrs -xpkf -; echo $? >&3; }; } 3>&1 )\n"
	"for n in $s; do [ \"$n\" = 0 ] || exit 1; done\n";

/* Pairs of time and path: directories that were given an entry get their own times back. */
static const char times_script[] = "cd \"$1\" && exec xargs -0 -r -n 2 sh -c 'exec touch -c -h -m -d \"$1\" -- \"$2\"' sh";

struct dir { char *path; int64_t s; uint32_t ns; bool told; };

struct walk {
	const struct foreign *f;
	size_t at;
	struct version_reader *v;
	struct entry head;
	bool have_head;
	struct dir *dirs;	/* of the version, from the root to where the walk is */
	size_t ndirs;
};

static void pop(struct walk *w) { free(w->dirs[--w->ndirs].path); }

static void walk_dispose(struct walk *w)
{
	while (w->ndirs)
		pop(w);
	free(w->dirs);
	entry_dispose(&w->head);
	version_close(w->v);
}

static int push(struct walk *w, struct err *e)
{
	struct dir *v;

	while (w->ndirs && !path_is_beneath(w->head.path, w->dirs[w->ndirs - 1].path))
		pop(w);
	if (w->head.type != ENTRY_DIR)
		return 0;
	if (!(v = realloc(w->dirs, (w->ndirs + 1) * sizeof(*v))))
		return err_sys(e, "carry");
	w->dirs = v;
	v[w->ndirs] = (struct dir){ strdup(w->head.path), w->head.mtime_s, w->head.mtime_ns, false };
	return v[w->ndirs].path ? (w->ndirs++, 0) : err_sys(e, "carry");
}

static int advance(struct walk *w, struct err *e)
{
	int got;

	if (w->have_head && push(w, e) < 0)
		return -1;
	entry_dispose(&w->head);
	w->head = (struct entry)ENTRY_INIT;
	got = version_next(w->v, &w->head, NULL, e);
	w->have_head = got == 1;
	return got < 0 ? -1 : 0;
}

/* Is the path an entry of the version?  Asked in walk order. */
static int in_version(struct walk *w, const char *path, bool *in, struct err *e)
{
	int c = -1;

	while (w->have_head && (c = path_cmp(w->head.path, w->head.path_len, path, strlen(path))) < 0)
		if (advance(w, e) < 0)
			return -1;
	*in = w->have_head && c == 0;
	return 0;
}

/* The directory that it goes into, if that is the dataset's: once. */
static void note_parent(struct walk *w, const char *path, struct buf *times)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 1;

	for (size_t i = w->ndirs; i-- > 0;) {
		struct dir *d = &w->dirs[i];

		if (strlen(d->path) != n || strncmp(d->path, slash ? path : ".", n) != 0 || d->told)
			continue;
		d->told = true;
		buf_printf(times, "@%lld.%09u", (long long)d->s, d->ns);
		buf_putc(times, '\0');
		buf_puts(times, "./");
		buf_put(times, d->path, n + 1);
	}
}

static int names_to_carry(struct walk *w, struct buf *names, struct buf *times, uint64_t *count, struct err *e)
{
	const char *path;
	bool in;

	while ((path = foreign_path(w->f, w->at++))) {
		if (in_version(w, path, &in, e) < 0)
			return -1;
		if (in)
			continue;
		buf_puts(names, "./");
		buf_put(names, path, strlen(path) + 1);
		note_parent(w, path, times);
		++*count;
	}
	return buf_finish(times, e) < 0 ? -1 : buf_finish(names, e);
}

static int run_it(struct run *r, const struct plan_dataset *d, const char *const *argv, const struct buf *input, struct err *e)
{
	OWN(exec_closep) struct exec *x = NULL;
	OWN(msg_exec_end_dispose) struct msg_exec_end end = { 0 };
	struct exec_command c = { .host = d->to.host, .argv = argv };
	char how[EXEC_TOLD];

	if (exec_start(r, &c, &x, e) < 0 || exec_write(x, input->data, input->len, e) < 0 || exec_end_input(x, e) < 0 || exec_finish(x, &end, e) < 0)
		return -1;
	if (exec_good(&end))
		return 0;
	return err_set(e, ERR_PERMANENT, "dataset %s: its foreign entries could not be carried over: it %s: %.300s", d->name, exec_told(&end, 0, how),
	    esc_s(end.tail ? end.tail : ""));
}

int carry_foreign(struct run *r, const struct plan_dataset *d, struct err *e)
{
	OWN(foreign_freep) struct foreign *f = NULL;
	OWN(walk_dispose) struct walk w = { .head = ENTRY_INIT };
	OWN_BUF struct buf names = BUF_INIT, times = BUF_INIT;
	OWN_FREE char *staged = NULL;
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);
	uint64_t count = 0;

	if (foreign_load(r, d, &f, e) < 0 || !f)
		return e->class == ERR_NONE ? 0 : -1;
	w.f = f;
	if (!s || version_open(r->w, r->plan->name, d->name, s->version, VERSION_MANIFEST, &w.v, e) < 0 || advance(&w, e) < 0 ||
	    names_to_carry(&w, &names, &times, &count, e) < 0)
		return s ? -1 : err_set(e, ERR_BUG, "dataset %s has no version", d->name);
	if (!count)
		return 0;
	if (!(staged = activation_staged_path(r, d)))
		return err_sys(e, "carry");
	log_info("%s: %" PRIu64 " foreign entries are carried over", d->name, count);
	{
		const char *tar[] = { "sh", "-c", script, "sh", d->to.path, staged, NULL }, *touch[] = { "sh", "-c", times_script, "sh", staged, NULL };

		return run_it(r, d, tar, &names, e) < 0 || run_it(r, d, touch, &times, e) < 0 ? -1 : 0;
	}
}
