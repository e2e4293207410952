#include "restore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "esc.h"
#include "feed.h"
#include "io.h"
#include "log.h"
#include "passfile.h"
#include "path.h"
#include "version.h"

struct group {			/* a hard-linked inode, by its first name */
	char *first;		/* in the version */
	char *as;		/* the first name that is restored, or NULL so far */
	struct location at;
};

struct job {
	struct run *r;
	const struct plan_dataset *d;
	const struct restore_options *o;
	struct restore_result *out;
	struct version_reader *version;
	struct target target;
	struct archive *archive;
	struct feed feed;
	struct passfile *done;		/* what was sent, for the final attributes */
	struct group *groups;
	size_t group_count;
	bool *matched;			/* by path of the options */
	struct run_progress progress;
};

static bool all(const struct restore_options *o) { return !o->paths || !o->paths[0]; }

/* Wanted itself, or (parent) only as a directory above something wanted. */
static bool wanted(struct job *j, const struct entry *en, bool *parent)
{
	bool hit = all(j->o);

	*parent = false;
	for (size_t i = 0; !all(j->o) && j->o->paths[i]; i++) {
		if (path_is_beneath(en->path, j->o->paths[i])) {
			hit = true;
			j->matched[i] = true;
		} else if (en->type == ENTRY_DIR && path_is_beneath(j->o->paths[i], en->path)) {
			*parent = true;
		}
	}
	return hit || *parent;
}

static struct group *find_group(struct job *j, const char *first)
{
	size_t lo = 0, hi = j->group_count, len = strlen(first);

	while (lo < hi) {	/* first names come in walk order */
		size_t mid = lo + (hi - lo) / 2;
		int c = path_cmp(j->groups[mid].first, strlen(j->groups[mid].first), first, len);

		if (c == 0)
			return &j->groups[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static int add_group(struct job *j, const struct entry *en, const struct location *at, bool taken, struct err *e)
{
	struct group *g;

	if ((j->group_count & (j->group_count - 1)) == 0) {
		if (!(g = realloc(j->groups, (j->group_count ? j->group_count * 2 : 1) * sizeof(*g))))
			return err_sys(e, "restore");
		j->groups = g;
	}
	g = &j->groups[j->group_count++];
	*g = (struct group){ strdup(en->path), taken ? strdup(en->path) : NULL, *at };
	return g->first && (g->as || !taken) ? 0 : err_sys(e, "restore");
}

/* The first restored name of an inode carries its content, whichever name that was in the version. */
static int regroup(struct job *j, struct entry *en, struct location *at, struct err *e)
{
	struct group *g = find_group(j, en->link_to);

	if (!g)
		return err_set(e, ERR_INTEGRITY, "%s is a link to %s, which is not in the version", esc_s(en->path), esc_s(en->link_to));
	free(take_ptr(&en->link_to));
	if (!g->as) {
		*at = g->at;
		g->as = strdup(en->path);
		return g->as ? 0 : err_sys(e, "restore");
	}
	return (en->link_to = strdup(g->as)) ? 0 : err_sys(e, "restore");
}

static bool never_archived(const struct entry *en)
{
	return en->outcome == ENTRY_SKIPPED || en->outcome == ENTRY_FAILED ||
	    (en->note && strncmp(en->note, "list_only", 9) == 0);
}

/* One whose archive is damaged is named and left out; the rest goes on. */
static int leave_out(struct job *j, struct err *e)
{
	if (e->class != ERR_INTEGRITY)
		return -1;
	log_error("not restored: %s", e->text);
	j->out->damaged++;
	err_clear(e);
	return 0;
}

/*
 * 1: go on, 0: left out.  Without its ACL an entry might be open to more people than it was, so it does not come; a directory has
 * to, for the sake of what is in it, and stays shut to all but its owner.
 */
static int attributes_sound(struct job *j, struct entry *en, struct err *e)
{
	if (target_attrs(&j->target, en, e) == 0)
		return 1;
	(void)err_at(e, "attributes of %s", esc_s(en->path));
	if (leave_out(j, e) < 0)
		return -1;
	if (en->type != ENTRY_DIR)
		return 0;
	en->has &= ~(uint32_t)(ENTRY_HAS_XATTR | ENTRY_HAS_ACL);
	en->mode &= 0700;
	return 1;
}

static int one(struct job *j, struct entry *en, struct location *at, struct err *e)
{
	bool parent, take = wanted(j, en, &parent);
	int sound;

	if (never_archived(en)) {
		j->out->left_out += take && !parent;
		return 0;
	}
	if (en->type != ENTRY_DIR && en->nlink > 1 && !en->link_to && add_group(j, en, at, take, e) < 0)
		return -1;
	if (!take)
		return 0;
	if (en->link_to && regroup(j, en, at, e) < 0)
		return -1;
	if ((sound = attributes_sound(j, en, e)) != 1)
		return sound;
	if (feed_entry(&j->feed, en, at, e) < 0)
		return leave_out(j, e);
	j->out->entries++;
	j->out->files += en->type == ENTRY_FILE;
	j->out->bytes += en->type == ENTRY_FILE && !en->link_to ? en->size : 0;
	j->progress.entries = j->out->entries;
	j->progress.bytes = j->out->bytes;
	if (j->out->entries % 512 == 0)
		run_show_progress(j->r, &j->progress);
	return passfile_add(j->done, en, 0, e);
}

static int contents(struct job *j, struct err *e)
{
	int got;

	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		struct location at;

		if ((got = version_next(j->version, &en, &at, e)) < 0)
			return -1;
		if (got == 0)
			return feed_end(&j->feed, e);
		if (run_check(j->r, e) < 0 || one(j, &en, &at, e) < 0)
			return -1;
	}
}

static int attributes(struct job *j, struct err *e)
{
	uint64_t place;
	int got;

	if (passfile_rewind(j->done, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = passfile_next(j->done, &en, &place, e)) < 0)
			return -1;
		if (got == 0)
			return target_finish(&j->target, e);
		if (target_final(&j->target, &en, e) < 0)
			return -1;
	}
}

static int check_matched(struct job *j, struct err *e)
{
	for (size_t i = 0; !all(j->o) && j->o->paths[i]; i++)
		if (!j->matched[i])
			return err_set(e, ERR_USAGE, "%s is not in version %" PRIu64 " of dataset %s", esc_s(j->o->paths[i]),
			    j->out->version, j->d->name);
	return 0;
}

/* Fails before anything is written when a path is unknown. */
static int check_paths(struct job *j, struct err *e)
{
	OWN(version_closep) struct version_reader *v = NULL;
	bool parent;
	int got = 1;

	if (all(j->o))
		return 0;
	if (version_open(j->r->w, j->r->plan->name, j->d->name, j->out->version, VERSION_MANIFEST, &v, e) < 0)
		return -1;
	while (got == 1) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = version_next(v, &en, NULL, e)) == 1)
			(void)wanted(j, &en, &parent);
	}
	return got < 0 ? -1 : check_matched(j, e);
}

static int check_directory(const struct restore_options *o, struct err *e)
{
	OWN_DIR DIR *dir = opendir(o->to);
	struct dirent *de;

	if (!dir && errno == ENOENT)
		return io_mkdirs(AT_FDCWD, o->to, 0700, e);
	if (!dir)
		return err_sys(e, "open %s", esc_s(o->to));
	while (!o->overwrite && (de = readdir(dir)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0) {
			err_set(e, ERR_REFUSED, "%s is not empty", esc_s(o->to));
			return err_hint(e, "name an empty directory, or add --overwrite");
		}
	return 0;
}

static void job_free(struct job *j)
{
	feed_free(&j->feed);
	target_free(&j->target);
	archive_close(j->archive);
	version_close(j->version);
	passfile_free(j->done);
	for (size_t i = 0; i < j->group_count; i++) {
		free(j->groups[i].first);
		free(j->groups[i].as);
	}
	free(j->groups);
	free(j->matched);
}

static int pick_version(struct run *r, const struct plan_dataset *d, uint64_t asked, uint64_t *n, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);

	*n = asked ? asked : s ? s->version : 0;
	if (!s || !s->version)
		return err_set(e, ERR_USAGE, "dataset %s of plan %s has no version yet", d->name, r->plan->name);
	if (*n > s->version)
		return err_set(e, ERR_USAGE, "dataset %s has no version %" PRIu64 "; the newest is %" PRIu64, d->name, *n, s->version);
	return 0;
}

int restore_run(struct run *r, const struct plan_dataset *d, const struct restore_options *o, struct restore_result *out, struct err *e)
{
	OWN(job_free) struct job j = { .r = r, .d = d, .o = o, .out = out };
	size_t n = 0;

	memset(out, 0, sizeof(*out));
	while (o->paths && o->paths[n])
		n++;
	if (!(j.matched = calloc(n + 1, sizeof(bool))))
		return err_sys(e, "restore");
	j.progress = (struct run_progress){ .stage = "restore", .dataset = d->name };
	if (pick_version(r, d, o->version, &out->version, e) < 0 || check_paths(&j, e) < 0 || check_directory(o, e) < 0 ||
	    version_open(r->w, r->plan->name, d->name, out->version, VERSION_MANIFEST, &j.version, e) < 0 ||
	    archive_open(r->w, &j.archive, e) < 0 || passfile_new(&j.done, r->w->scanfd, e) < 0 ||
	    target_open(&j.target, r, NULL, "local", o->to, d->files.flags ? MSG_F_FLAGS : 0, NULL, e) < 0)
		return -1;
	feed_begin(&j.feed, &j.target, j.archive);
	if (contents(&j, e) < 0 || attributes(&j, e) < 0)
		return err_at(e, "restore to %s", esc_s(o->to));
	run_show_progress(r, &j.progress);
	out->problems = j.target.problem_total;
	if (out->damaged) {
		err_set(e, ERR_INTEGRITY, "dataset %s: %" PRIu64 " entries were not restored because the archive is damaged", d->name, out->damaged);
		return err_hint(e, "name them with: waybill verify %s %s --side archive", r->plan->name, d->name);
	}
	return 0;
}

static int to_fd(void *ctx, uint64_t offset, const void *p, size_t n, struct err *e)
{
	int *fd = ctx;

	(void)offset;
	return io_write_all("restore", *fd, p, n, "standard output", e);
}

/* Holes have to be written out on a pipe: the sink only sees data. */
struct pipe_out { int fd; uint64_t at; };

static int to_pipe(void *ctx, uint64_t offset, const void *p, size_t n, struct err *e)
{
	struct pipe_out *o = ctx;
	static const char zeros[65536];

	while (o->at < offset) {
		size_t k = offset - o->at < sizeof(zeros) ? (size_t)(offset - o->at) : sizeof(zeros);

		if (to_fd(&o->fd, 0, zeros, k, e) < 0)
			return -1;
		o->at += k;
	}
	o->at += n;
	return to_fd(&o->fd, 0, p, n, e);
}

static int stream(struct run *r, const struct entry *en, const struct location *at, int fd, struct err *e)
{
	OWN(archive_closep) struct archive *a = NULL;
	struct pipe_out o = { fd, 0 };

	if (en->type != ENTRY_FILE || en->link_to || never_archived(en))
		return err_set(e, ERR_USAGE, "%s is not a regular file with a content of its own in the archive; restore it to a directory", esc_s(en->path));
	if (at->kind == LOCATION_NONE)
		return 0;
	if (archive_open(r->w, &a, e) < 0)
		return -1;
	/* Checked before the first byte goes out, for nobody can take back what is in a pipe. */
	if (archive_content(a, en, at, NULL, NULL, e) < 0 || archive_content(a, en, at, to_pipe, &o, e) < 0)
		return -1;
	return to_pipe(&o, en->size, "", 0, e);
}

int restore_content(struct run *r, const struct plan_dataset *d, uint64_t version, const char *path, int fd, struct err *e)
{
	OWN(version_closep) struct version_reader *v = NULL;
	uint64_t n;
	int got;

	if (pick_version(r, d, version, &n, e) < 0 ||
	    version_open(r->w, r->plan->name, d->name, n, VERSION_MANIFEST, &v, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		struct location at;

		if ((got = version_next(v, &en, &at, e)) < 0)
			return -1;
		if (got == 0)
			return err_set(e, ERR_USAGE, "%s is not in version %" PRIu64 " of dataset %s", esc_s(path), n, d->name);
		if (strcmp(en.path, path) == 0)
			return stream(r, &en, &at, fd, e);
	}
}
