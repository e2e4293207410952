/* What a version holds, written from the pass's list: manifest, objects list, scan file.  Beside the target's last work. */
#include "pass_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "archive.h"
#include "clock.h"
#include "path.h"
#include "sys.h"

void pass_output_dispose(struct pass_output *o)
{
	ledger_txn_abandon(o->txn);
	manifest_writer_free(o->manifest);
	objects_writer_free(o->objects);
	scan_writer_free(o->scan);
	atomic_file_abandon(&o->scan_file);
}

static int put_chunk(void *ctx, const char *name, const void *text, size_t n, struct err *e)
{
	struct pass_output *o = ctx;
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/manifest/%s", o->dir, name);
	return ledger_txn_put(o->txn, path, text, n, e);
}

static int open_output(struct pass *p, struct pass_output *o, struct err *e)
{
	char path[128], name[VERSION_REV];

	(void)snprintf(o->dir, sizeof(o->dir), "datasets/%s", p->d->name);
	(void)snprintf(path, sizeof(path), "%s/manifest", o->dir);
	version_scan_name(p->r->plan->name, p->d->name, p->version, name);
	if (ledger_txn_begin(p->r->w->ledger, p->r->plan->name, &o->txn, e) < 0 ||
	    ledger_txn_delete(o->txn, path, e) < 0 ||
	    manifest_writer_new(&o->manifest, put_chunk, o, e) < 0 || objects_writer_new(&o->objects, e) < 0 ||
	    atomic_file_open(&o->scan_file, p->r->w->scanfd, name, 0600, e) < 0 ||
	    scan_writer_new(&o->scan, o->scan_file.fd, e) < 0)
		return -1;
	return 0;
}

static bool fault_known(const struct plan_dataset *d, const char *path)
{
	for (size_t i = 0; i < d->files.nknown_faults; i++) {
		const char *known = d->files.known_faults[i].path;

		while (*known == '/')
			known++;
		if (path_is_beneath(path, known))
			return true;
	}
	return false;
}

const struct loss_rights *pass_rights(const struct pass *p)
{
	static const struct loss_rights all = { .denied = 0 };
	const struct standing_dataset *s = standing_dataset(&p->r->standing, p->d->name);

	return s && p->d->to.host ? &s->rights : &all;
}

static int count_losses(struct pass *p, const struct entry *en, struct err *e)
{
	struct entry there = *en;	/* strings stay en's */
	unsigned kinds;

	if (!pass_rights(p)->denied || !entry_is_present(en) || (en->note && strncmp(en->note, "list_only", 9) == 0))
		return 0;
	if (loss_blob_kinds(p->r, &p->blobs, en, &kinds, e) < 0)
		return -1;
	owners_expect(p->d, &p->owners, en, &there.uid, &there.gid);
	loss_count(&p->lost, loss_of(pass_rights(p), &there, kinds), en->path);
	return 0;
}

static int write_entry(struct pass *p, struct pass_output *o, struct entry *en, uint64_t place, struct err *e)
{
	const struct location none = { .kind = LOCATION_NONE };

	if (en->type != ENTRY_DIR)
		en->nlink = names_count(&p->names, en->link_to ? en->link_to : en->path);
	if (en->outcome == ENTRY_FAILED && !fault_known(p->d, en->path))
		p->result.blocked++;
	if (count_losses(p, en, e) < 0 || manifest_writer_add(o->manifest, en, e) < 0 || scan_writer_add(o->scan, en, e) < 0)
		return -1;
	if (en->outcome == ENTRY_SKIPPED || en->outcome == ENTRY_FAILED)
		return 0;
	if (place && p->places[place - 1].at.kind == LOCATION_RECIPE && u64set_add(&p->contents, u64set_key(en->sha256, DIGEST_LEN)) < 0)
		return err_sys(e, "pass");
	if (objects_has_content(en) && objects_writer_add(o->objects, place ? &p->places[place - 1].at : &none, e) < 0)
		return -1;
	if (((en->has & ENTRY_HAS_XATTR) && objects_writer_attr(o->objects, en->xattr, e) < 0) ||
	    ((en->has & ENTRY_HAS_ACL) && objects_writer_attr(o->objects, en->acl, e) < 0))
		return -1;
	return 0;
}

/*
 * Without a target nothing has decoded the new objects yet: every new content is read back out of the archive and
 * compared with the digest taken at the source, before the version counts (design.md 3).  And so is one whose recipe mixes
 * slices of two versions, wherever it goes: no target has decoded that.
 */
static int check_content(struct pass *p, struct archive *a, const struct entry *en, uint64_t place, uint64_t marks, struct err *e)
{
	if ((p->d->to.host && (!(marks & FOUND_PATCH) || p->patches_checked)) || !(marks & FOUND_CHANGED) || !place || !objects_has_content(en))
		return 0;
	return archive_content(a, en, &p->places[place - 1].at, NULL, NULL, e);
}

static int write_entries(struct pass *p, struct pass_output *o, const atomic_bool *stop, struct err *e)
{
	OWN(passfile_freep) struct passfile *found = NULL;
	OWN(archive_closep) struct archive *a = NULL;
	uint64_t place;
	int got;

	if (p->d->to.host && pass_rights(p)->denied && owners_new(p->r, p->d, p->d->to.host, &p->owners, e) < 0)
		return -1;
	if (archive_open(p->r->w, &a, e) < 0 || passfile_view(p->found, &found, e) < 0)
		return -1;
	while (!atomic_load(stop)) {
		OWN_ENTRY struct entry en = ENTRY_INIT;

		if ((got = passfile_next(found, &en, &place, e)) != 1)
			return got;
		if (check_content(p, a, &en, place >> FOUND_MARKS, place, e) < 0 || run_check(p->r, e) < 0 ||
		    write_entry(p, o, &en, place >> FOUND_MARKS, e) < 0)
			return -1;
	}
	return err_set(e, ERR_CANCELLED, "the pass ended before its version was written");
}

static int build(struct pass *p, struct pass_output *o, const atomic_bool *stop, struct err *e)
{
	OWN_BUF struct buf index = BUF_INIT;
	int64_t began = clock_mono_ns();
	char path[PASS_DIR + 20];

	if (open_output(p, o, e) < 0 || write_entries(p, o, stop, e) < 0 ||
	    manifest_writer_finish(o->manifest, &index, &o->root, &o->totals, e) < 0 || scan_writer_finish(o->scan, e) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/manifest/INDEX", o->dir);
	if (ledger_txn_put(o->txn, path, index.data, index.len, e) < 0)
		return -1;
	/* The bulk; what names it comes with the commit. */
	(void)snprintf(path, sizeof(path), "%s/manifest", o->dir);
	if (ledger_txn_store(o->txn, path, e) < 0)
		return -1;
	o->took = clock_mono_ns() - began;
	return 0;
}

/* ---- on a thread of its own ---- */

struct pass_builder {
	struct pass *p;
	pthread_t thread;
	atomic_bool stop;
	struct pass_output o;
	int result;
	struct err e;
};

static void *builder_main(void *arg)
{
	struct pass_builder *b = arg;

	b->result = build(b->p, &b->o, &b->stop, &b->e);
	return NULL;
}

int pass_version_start(struct pass *p, struct err *e)
{
	struct pass_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return err_sys(e, "pass");
	*b = (struct pass_builder){ .p = p, .o = PASS_OUTPUT_INIT, .e = ERR_INIT };
	atomic_init(&b->stop, false);
	if ((errno = pthread_create(&b->thread, NULL, builder_main, b)) != 0) {
		free(b);
		return err_sys(e, "thread");
	}
	p->builder = b;
	return 0;
}

int pass_version_take(struct pass *p, struct pass_output *o, struct err *e)
{
	static const atomic_bool never;
	struct pass_builder *b = take_ptr(&p->builder);
	int r;

	if (!b)
		return build(p, o, &never, e);
	(void)pthread_join(b->thread, NULL);
	*o = b->o;
	*e = b->e;
	r = b->result;
	free(b);
	return r;
}

void pass_version_abandon(struct pass *p)
{
	struct pass_output o = PASS_OUTPUT_INIT;
	struct err ignored = ERR_INIT;

	if (!p->builder)
		return;
	atomic_store(&p->builder->stop, true);
	if (pass_version_take(p, &o, &ignored) < 0)
		err_clear(&ignored);	/* the pass has failed already, for a reason of its own */
	pass_output_dispose(&o);
}
