#include "package.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "esc.h"
#include "io.h"
#include "log.h"
#include "package_internal.h"
#include "proc.h"
#include "runner.h"
#include "sys.h"

void package_result_dispose(struct package_result *p) { free(take_ptr(&p->path)); }

json_t *package_json(struct run *r, const struct package_result *p)
{
	json_t *datasets = json_object(), *j;

	for (size_t i = 0; i < r->plan->ndatasets; i++) {
		const struct standing_dataset *s = standing_dataset(&r->standing, r->plan->datasets[i].name);

		if (s && s->version)
			(void)json_object_set_new(datasets, s->name, json_pack("{s:I,s:s,s:s,s:I,s:I}", "version", (json_int_t)s->version,
			    "root", s->root, "root_sm3", s->root_sm3, "entries", (json_int_t)s->entries, "bytes", (json_int_t)s->bytes));
	}
	j = json_pack("{s:s,s:o,s:I,s:I}", "package", p->digest, "datasets", datasets, "files", (json_int_t)p->files, "bytes", (json_int_t)p->bytes);
	if (p->path) {
		OWN_FREE char *path = esc_dup(p->path, strlen(p->path));

		(void)json_object_set_new(j, "path", json_string(path ? path : ""));
	}
	return j;
}

int package_check_place(const char *dir, struct err *e)
{
	if (rmdir(dir) == 0 || errno == ENOENT)
		return 0;
	if (errno == ENOTEMPTY || errno == EEXIST) {
		err_set(e, ERR_REFUSED, "%s is not empty", esc_s(dir));
		return err_hint(e, "a package is never written over another; name another directory");
	}
	return err_sys(e, "%s", esc_s(dir));
}

static int fill(struct bag *b, struct package_result *out, struct err *e)
{
	for (size_t i = 0; i < b->r->plan->ndatasets; i++) {
		const struct standing_dataset *s = standing_dataset(&b->r->standing, b->r->plan->datasets[i].name);

		if (!s || !s->version)
			return err_set(e, ERR_USAGE, "dataset %s has no version to package", b->r->plan->datasets[i].name);
		if (package_dataset(b, &b->r->plan->datasets[i], e) < 0)
			return err_at(e, "package of dataset %s", s->name);
	}
	return bag_tags(b, out, e);
}

static void bag_dispose(struct bag *b)
{
	if (b->dirfd >= 0)
		(void)close(b->dirfd);
	archive_close(b->archive);
	buf_dispose(&b->manifest_sha256);
	buf_dispose(&b->manifest_sm3);
	buf_dispose(&b->tag_sha256);
}

/* Beside the package, under a name that nobody else gives a directory: what stands there is a package that was cut. */
static char *part_name(const char *dir)
{
	const char *slash = strrchr(dir, '/');
	char *out = NULL;

	return asprintf(&out, "%.*s/.%s.waybill-part", slash ? (int)(slash - dir) : 1, slash ? dir : ".", slash ? slash + 1 : dir) < 0 ? NULL : out;
}

void package_remove(const char *path)
{
	const char *argv[] = { "rm", "-rf", "--", path, NULL };
	struct proc_options o = { .argv = argv };
	OWN_PROC struct proc_result res = PROC_RESULT_INIT;
	struct err e = ERR_INIT;

	if (proc_run(&o, &res, &e) < 0 || res.status != 0)
		log_warn("the package %s, which nobody needs, could not be removed", esc_s(path));
}

/* The temporary directory becomes the package: durable contents first, then its name. */
static int publish(struct bag *b, const char *tmp, const char *dir, struct err *e)
{
	OWN_FREE char *parent = strdup(dir);
	OWN_FD int fd = -1;

	if (syncfs(b->dirfd) < 0)
		return err_sys(e, "sync of the package");
	if (rename(tmp, dir) < 0)
		return err_sys(e, "put the package at %s", esc_s(dir));
	*strrchr(parent, '/') = '\0';
	fd = open(*parent ? parent : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? err_sys(e, "sync of the directory of %s", esc_s(dir)) : 0;
}

int package_write(struct run *r, const char *dir, struct package_result *out, struct err *e)
{
	OWN(bag_dispose) struct bag b = { .r = r, .dirfd = -1 };
	OWN_FREE char *tmp = NULL;

	memset(out, 0, sizeof(*out));
	if (r->plan->package.encrypt.n)
		return err_set(e, ERR_PERMANENT, "plan %s: encrypted packages are not built yet", r->plan->name);
	if (package_check_place(dir, e) < 0)
		return -1;
	if (!(tmp = part_name(dir)))
		return err_sys(e, "package");
	package_remove(tmp);
	if (io_mkdirs(AT_FDCWD, tmp, 0755, e) < 0)
		return -1;
	b.dirfd = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b.dirfd < 0)
		return err_sys(e, "open %s", esc_s(tmp));
	if (archive_open(r->w, &b.archive, e) < 0 || fill(&b, out, e) < 0 || publish(&b, tmp, dir, e) < 0) {
		package_remove(tmp);
		return -1;
	}
	out->path = strdup(dir);
	return out->path ? 0 : err_sys(e, "package");
}

/* Where the plan wants it: beside the plan, or in the workspace. */
char *package_place(struct run *r)
{
	OWN_FREE char *written = NULL, *cwd = NULL;
	char *path = NULL;
	size_t n;

	if (!r->plan->package.to) {
		if (asprintf(&path, "%s/packages/%s", r->w->dir, r->plan->name) < 0)
			return NULL;
	} else if (!(written = plan_file_path(r->plan, r->plan->package.to))) {
		return NULL;
	} else if (written[0] == '/') {
		path = take_ptr(&written);
	} else if (!(cwd = realpath(".", NULL)) || asprintf(&path, "%s/%s", cwd, written) < 0) {
		return NULL;
	}
	for (n = strlen(path); n > 1 && path[n - 1] == '/'; )
		path[--n] = '\0';
	return path;
}

static int package_event(struct run *r, const struct package_result *p, struct err *e)
{
	json_t *facts = package_json(r, p);

	if (!facts)
		return err_set(e, ERR_BUG, "plan %s: the facts of the package cannot be written down", r->plan->name);
	sys_point("package-written");
	return run_event(r, NULL, "package", "done", facts, e, "package %s: %" PRIu64 " files, %" PRIu64 " bytes", p->digest, p->files, p->bytes);
}

int stage_package(struct run *r, struct err *e)
{
	OWN_PACKAGE struct package_result p = { .path = NULL };
	OWN_FREE char *dir = package_place(r);
	int found;

	if (!dir)
		return err_sys(e, "package");
	if ((found = package_adopt(r, dir, &p, e)) < 0)
		return -1;
	if (found)
		log_info("%s was written by a run that was cut before it could say so; every byte of it was checked", esc_s(dir));
	else if (package_write(r, dir, &p, e) < 0)
		return -1;
	return package_event(r, &p, e);
}

/* The gate before this stage is the receiver's signature; here it has been given. */
int stage_accept(struct run *r, struct err *e)
{
	return run_event(r, NULL, "accept", "done", json_pack("{s:s}", "verdict", "accepted"), e, "the package is accepted");
}
