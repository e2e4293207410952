#include "verify.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "activation.h"
#include "answers.h"
#include "archive.h"
#include "atomic_file.h"
#include "challenge.h"
#include "clock.h"
#include "esc.h"
#include "foreign.h"
#include "log.h"
#include "made.h"
#include "loss_survey.h"
#include "owners.h"
#include "pack.h"
#include "places.h"
#include "persist.h"
#include "version.h"
#include "witnesses.h"

const char *verify_side_name(enum verify_side s)
{
	static const char *const names[] = { "target", "source", "archive" };

	return names[s];
}

bool verify_side_parse(const char *s, enum verify_side *side)
{
	for (int i = VERIFY_TARGET; i <= VERIFY_ARCHIVE; i++)
		if (strcmp(s, verify_side_name((enum verify_side)i)) == 0) {
			*side = (enum verify_side)i;
			return true;
		}
	return false;
}

void verify_result_dispose(struct verify_result *v)
{
	for (size_t i = 0; i < v->difference_count; i++) {
		free(v->differences[i].path);
		free(v->differences[i].what);
		free(v->differences[i].expected);
		free(v->differences[i].found);
	}
	for (size_t i = 0; i < v->loss_count; i++) {
		free(v->losses[i].path);
		free(v->losses[i].what);
		free(v->losses[i].expected);
		free(v->losses[i].found);
	}
	free(v->losses);
	loss_counts_dispose(&v->lost);
	for (size_t i = 0; i < v->unverified_count; i++) {
		free(v->unverified[i].path);
		free(v->unverified[i].reason);
	}
	for (size_t i = 0; i < v->foreign_count; i++)
		free(v->foreign[i]);
	free(v->differences);
	free(v->unverified);
	free(v->foreign);
	*v = (struct verify_result)VERIFY_RESULT_INIT;
}

static char *esc(const char *s) { return esc_dup(s, strlen(s)); }

/* Room for one more row, by powers of two; NULL when memory is short. */
static void *room(void *v, size_t count, size_t size)
{
	return count & (count - 1) ? v : realloc(v, (count ? count * 2 : 1) * size);
}

int verify_add_difference(struct verify_result *v, const char *path, const char *what, const char *expected, const char *found)
{
	struct verify_difference *d;

	v->difference_total++;
	if (v->difference_count == VERIFY_KEPT)
		return 0;
	if (!(d = room(v->differences, v->difference_count, sizeof(*d))))
		return -1;
	v->differences = d;
	d[v->difference_count++] = (struct verify_difference){ esc(path), esc(what), esc(expected), esc(found) };
	return 0;
}

int verify_add_unverified(struct verify_result *v, const char *path, const char *reason)
{
	struct verify_unverified *u;

	v->unverified_total++;
	if (v->unverified_count == VERIFY_KEPT)
		return 0;
	if (!(u = room(v->unverified, v->unverified_count, sizeof(*u))))
		return -1;
	v->unverified = u;
	u[v->unverified_count++] = (struct verify_unverified){ esc(path), esc(reason) };
	return 0;
}

static int add_loss(struct verify_result *v, enum loss k, const char *path, const char *what, const char *expected, const char *found)
{
	struct verify_difference *d;

	loss_count(&v->lost, 1u << k, path);
	v->loss_total++;
	if (v->loss_count == VERIFY_KEPT)
		return 0;
	if (!(d = room(v->losses, v->loss_count, sizeof(*d))))
		return -1;
	v->losses = d;
	d[v->loss_count++] = (struct verify_difference){ esc(path), esc(what), esc(expected), esc(found) };
	return 0;
}

static int add_foreign(struct verify_result *v, const char *path)
{
	char **f;

	v->foreign_total++;
	if (v->foreign_count == VERIFY_KEPT)
		return 0;
	if (!(f = room(v->foreign, v->foreign_count, sizeof(*f))))
		return -1;
	v->foreign = f;
	f[v->foreign_count++] = esc(path);
	return 0;
}

const char *verify_verdict(const struct verify_result *v)
{
	return v->difference_total ? "mismatch" : v->unverified_total ? "unverified" : "match";
}

int verify_exit_code(const struct verify_result *v)
{
	return v->difference_total ? 4 : v->unverified_total ? 5 : 0;
}

/* ---- a place ---- */

struct compare {
	struct run *r;
	const struct plan_dataset *d;
	struct verify_result *v;
	struct version_reader *version;
	struct answers *answers;
	struct scan_writer *scan;	/* what was found, for the next time */
	struct foreign *foreign;
	struct run_progress progress;
	unsigned mask;
	bool keep_extra;
	const struct owners *owners;	/* NULL: none apply */
	struct loss_rights rights;	/* what the place cannot keep, as was announced */
	struct challenge *challenge;	/* NULL: none is made */
	struct loss_blobs blobs;
	uint32_t root_gid;		/* of the root of that place, once seen */
	bool root_known;
	struct location at;		/* of the entry that next_wanted gave last */
	const char *path;		/* of the entry being compared */
	int64_t shown;
};

static void on_difference(void *ctx, const char *what, const char *expected, const char *found)
{
	struct compare *c = ctx;

	if (verify_add_difference(c->v, c->path, what, expected, found) < 0)
		c->v->unverified_total++;	/* out of memory: never good */
}

static int extra(struct compare *c, const struct entry *got)
{
	if (got->outcome == ENTRY_SKIPPED)
		return 0;		/* a rule of the plan keeps it out */
	if (c->keep_extra || foreign_has(c->foreign, got->path, got->path_len))
		return add_foreign(c->v, got->path);
	return verify_add_difference(c->v, got->path, "extra", "absent", entry_type_name(got->type));
}

static bool not_copied(const struct entry *want)
{
	return want->outcome == ENTRY_SKIPPED || want->outcome == ENTRY_FAILED ||
	    (want->note && strncmp(want->note, "list_only", 9) == 0);
}

static void count(struct compare *c, const struct entry *got)
{
	c->v->checked++;
	if (got->type == ENTRY_FILE && got->outcome == ENTRY_COPIED) {
		c->v->read++;
		c->v->bytes += got->size;
	}
	c->progress.entries++;
	c->progress.bytes = c->v->bytes;
	if (clock_mono_ns() - c->shown > 200000000) {
		c->shown = clock_mono_ns();
		run_show_progress(c->r, &c->progress);
	}
}

/* entry_compare leaves out what one side lacks; here that would be a content that nobody has read. */
static bool lacks_digest(const struct entry *want, const struct entry *got)
{
	return want->type == ENTRY_FILE && got->type == ENTRY_FILE && (want->has & ENTRY_HAS_SHA256) && !(got->has & ENTRY_HAS_SHA256);
}

/* ext4 allows no more: apply made copies of the rest and said so (waybill-wire.7). */
static bool too_many_links(const struct compare *c, const struct entry *want)
{
	return want->nlink > 65000 && strcmp(answers_ready(c->answers)->fstype, "ext4") == 0;
}

/* NFS and the like tell of blocks that are sizes of transfer. */
#define GRAIN_MAX (1u << 20)

static unsigned mask_of(const struct compare *c, const struct entry *want, const struct entry *got)
{
	uint64_t grain = answers_ready(c->answers)->block;
	unsigned mask = c->mask | (too_many_links(c, want) ? ENTRY_CMP_NO_NLINK : 0);

	/* A hole smaller than the blocks of that place cannot be there; one of another size of block has other edges. */
	if (((want->has | got->has) & ENTRY_HAS_LAYOUT) && want->size == got->size &&
	    entry_layout_alike(want, got, grain < GRAIN_MAX ? grain : GRAIN_MAX))
		mask |= ENTRY_CMP_NO_LAYOUT;
	return mask;
}

/* ---- known losses: what is missing exactly as the rights there foretell ---- */

static int lose_number(struct compare *c, enum loss k, const char *what, uint32_t *expected, uint32_t found)
{
	char x[24], y[24];

	if (*expected == found)
		return 0;
	(void)snprintf(x, sizeof(x), k == LOSS_SETID ? "%04o" : "%u", *expected);
	(void)snprintf(y, sizeof(y), k == LOSS_SETID ? "%04o" : "%u", found);
	*expected = found;
	return add_loss(c->v, k, c->path, what, x, y);
}

static bool own_group(const struct compare *c, uint32_t gid)
{
	if (c->root_known && gid == c->root_gid)
		return true;	/* handed down by a set-group-id root */
	for (size_t i = 0; i < c->rights.ngroups; i++)
		if (c->rights.groups[i] == gid)
			return true;
	return false;
}

static int lose_xattrs(struct compare *c, unsigned kinds, struct entry *expected, const struct entry *got, struct err *e)
{
	uint8_t left[DIGEST_LEN];
	int some = loss_reduced(c->r, expected, kinds, left, e);

	if (some < 0)
		return -1;
	if ((got->has & ENTRY_HAS_XATTR) != (some ? ENTRY_HAS_XATTR : 0u) || (some && memcmp(left, got->xattr, DIGEST_LEN) != 0))
		return 0;	/* something else is missing too: an ordinary difference */
	expected->has = (expected->has & ~(uint32_t)ENTRY_HAS_XATTR) | (got->has & ENTRY_HAS_XATTR);
	memcpy(expected->xattr, got->xattr, DIGEST_LEN);
	for (unsigned k = LOSS_XATTR; k <= LOSS_CAPABILITY; k++)
		if ((kinds >> k & 1) && add_loss(c->v, (enum loss)k, c->path, "xattr", loss_name((enum loss)k), "none") < 0)
			return err_sys(e, "verify");
	return 0;
}

/* expected becomes what the rights allow, for as much as that is what was found. */
static int take_losses(struct compare *c, struct entry *expected, const struct entry *got, struct err *e)
{
	const uint32_t mode = loss_mode(&c->rights, expected);
	unsigned kinds, attrs;
	int r = 0;

	if (expected->type != got->type || loss_blob_kinds(c->r, &c->blobs, expected, &attrs, e) < 0)
		return expected->type != got->type ? 0 : -1;
	kinds = loss_of(&c->rights, expected, attrs);
	if ((kinds >> LOSS_SETID & 1) && got->mode == mode)
		r |= lose_number(c, LOSS_SETID, "mode", &expected->mode, mode);
	if ((kinds >> LOSS_OWNER & 1) && got->uid == c->rights.euid)
		r |= lose_number(c, LOSS_OWNER, "uid", &expected->uid, got->uid);
	if ((kinds >> LOSS_GROUP & 1) && own_group(c, got->gid))
		r |= lose_number(c, LOSS_GROUP, "gid", &expected->gid, got->gid);
	if ((kinds >> LOSS_FLAGS & 1) && (expected->flags & ~0x30u) == (got->has & ENTRY_HAS_FLAGS ? got->flags : 0)) {
		r |= lose_number(c, LOSS_FLAGS, "flags", &expected->flags, expected->flags & ~0x30u);
		if (!expected->flags)
			expected->has &= ~(uint32_t)ENTRY_HAS_FLAGS;
	}
	if (r < 0)
		return err_sys(e, "verify");
	if (kinds & (1u << LOSS_XATTR | 1u << LOSS_CAPABILITY) && (!(got->has & ENTRY_HAS_XATTR) || memcmp(expected->xattr, got->xattr, DIGEST_LEN) != 0))
		return lose_xattrs(c, kinds & (1u << LOSS_XATTR | 1u << LOSS_CAPABILITY), expected, got, e);
	return 0;
}

/* 1: it was, and is recorded; 0; -1. */
static int lost_whole(struct compare *c, const struct entry *want)
{
	if (!(loss_of(&c->rights, want, 0) >> LOSS_DEVICE & 1))
		return 0;
	return add_loss(c->v, LOSS_DEVICE, want->path, "missing", entry_type_name(want->type), "absent") < 0 ? -1 : 1;
}

static int compare_one(void *ctx, const struct entry *want, const struct entry *got, struct err *e)
{
	struct compare *c = ctx;
	int r = 0;

	if (run_check(c->r, e) < 0)
		return -1;
	if (got && got->outcome != ENTRY_SKIPPED && got->outcome != ENTRY_FAILED && scan_writer_add(c->scan, got, e) < 0)
		return -1;
	if (!want)
		r = extra(c, got);
	else if (not_copied(want))
		return 0;
	else if (!got)
		r = (r = lost_whole(c, want)) ? r : verify_add_difference(c->v, want->path, "missing", entry_type_name(want->type), "absent");
	else if (got->outcome == ENTRY_FAILED || got->outcome == ENTRY_UNSETTLED)
		r = verify_add_unverified(c->v, want->path, got->note ? got->note : "it could not be read");
	else if (lacks_digest(want, got))
		r = verify_add_unverified(c->v, want->path, "the agent gave no digest of its content");
	else {
		c->path = want->path;
		count(c, got);
		struct entry expected = *want;	/* strings stay want's */

		if (c->owners)
			owners_expect(c->d, c->owners, want, &expected.uid, &expected.gid);
		if (strcmp(got->path, ".") == 0) {
			c->root_gid = got->gid;
			c->root_known = true;
		}
		if (c->rights.denied && take_losses(c, &expected, got, e) < 0)
			return -1;
		if (entry_compare(&expected, got, mask_of(c, want, got), on_difference, c) == 0 && c->challenge)
			return challenge_offer(c->challenge, want, &c->at, e);
	}
	return r < 0 ? err_sys(e, "verify") : 0;
}

/* entry_merge asks for the next one only when it has done with this one. */
static int next_wanted(void *ctx, struct entry *en, struct err *e)
{
	struct compare *c = ctx;

	return version_next(c->version, en, &c->at, e);
}

static int next_found(void *ctx, struct entry *en, struct err *e) { return answers_next(ctx, en, e); }

static int compare_place(struct compare *c, const struct answers_options *o, struct err *e)
{
	if (answers_open(c->r, c->d, o, &c->answers, e) < 0)
		return -1;
	return entry_merge(next_wanted, c, next_found, c->answers, compare_one, c, e);
}

/* "PLAN.D.target": what the last good verification of this side saw. */
static void known_name(const struct run *r, const struct plan_dataset *d, enum verify_side side, char out[VERSION_REV])
{
	(void)snprintf(out, VERSION_REV, "%s.%s.%s", r->plan->name, d->name, verify_side_name(side));
}

/* At the target, what was announced before the copy; elsewhere (a restore test), what that place says of itself. */
static int rights_at(struct run *r, const struct plan_dataset *d, const struct verify_options *o, struct loss_rights *out, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);
	json_t *facts;

	if (!o->path) {
		if (s)
			*out = s->rights;
		return 0;
	}
	if (place_facts(r, o->host, o->path, &facts, e) < 0)
		return -1;
	loss_rights_from(facts, out);
	json_decref(facts);
	return 0;
}

/* A device may be larger than what was written to it. */
static int content_size(struct run *r, const struct plan_dataset *d, uint64_t version, uint64_t *size, struct err *e)
{
	OWN_SUMMARY struct version_summary s = VERSION_SUMMARY_INIT;
	int got = version_summary(r->w, r->plan->name, d->name, version, &s, e);

	if (got == 0)
		return err_set(e, ERR_INTEGRITY, "version %" PRIu64 " of dataset %s has no summary", version, d->name);
	*size = s.totals.bytes;
	return got < 0 ? -1 : 0;
}

static int verify_place(struct run *r, const struct plan_dataset *d, const struct verify_options *o, struct verify_result *v, struct err *e)
{
	OWN(version_closep) struct version_reader *version = NULL;
	OWN(scan_writer_freep) struct scan_writer *scan = NULL;
	OWN(foreign_freep) struct foreign *foreign = NULL;
	OWN_ATOMIC_FILE struct atomic_file file = ATOMIC_FILE_INIT;
	const struct plan_place *at = o->side == VERIFY_SOURCE ? &d->from : &d->to;
	char known[VERSION_REV];
	struct compare c = { .keep_extra = o->keep_extra, .r = r, .d = d, .v = v, .mask = d->files.flags ? 0 : ENTRY_CMP_NO_FLAGS };
	struct answers_options ao = { .host = o->host ? o->host : at->host, .path = o->path ? o->path : at->path,
		.flags = MSG_F_HASH_ONLY | (o->cached ? 0u : MSG_F_MEDIUM), .known = o->full || o->path ? NULL : known };
	int res;

	OWN_OWNERS struct owners owners = OWNERS_INIT;
	OWN_CHALLENGE struct challenge challenge = { .whole = { .n = 0 } };

	if (!ao.host)
		return err_set(e, ERR_USAGE, "dataset %s has no target; verify it with --side archive", d->name);
	known_name(r, d, o->side, known);
	if (version_open(r->w, r->plan->name, d->name, v->version, VERSION_MANIFEST, &version, e) < 0 ||
	    foreign_load(r, d, &foreign, e) < 0 ||
	    atomic_file_open(&file, r->w->scanfd, known, 0600, e) < 0 || scan_writer_new(&scan, file.fd, e) < 0)
		return -1;
	if (o->side == VERIFY_TARGET && !o->path) {
		if (owners_new(r, d, ao.host, &owners, e) < 0)
			return -1;
		c.owners = &owners;
	}
	if (o->side == VERIFY_TARGET && rights_at(r, d, o, &c.rights, e) < 0)
		return -1;
	ao.is_place = !o->path;
	ao.source = o->side == VERIFY_SOURCE;
	if (d->kind == DATASET_BLOCK && content_size(r, d, v->version, &ao.size, e) < 0)
		return -1;
	c.challenge = o->side == VERIFY_TARGET && d->kind == DATASET_FILES ? &challenge : NULL;
	c.version = version;
	c.scan = scan;
	c.foreign = o->side == VERIFY_TARGET && !o->path ? foreign : NULL;
	c.progress = (struct run_progress){ .stage = "verify", .dataset = d->name };
	res = compare_place(&c, &ao, e);
	answers_close(c.answers);
	loss_blobs_dispose(&c.blobs);
	if (res < 0)
		return -1;
	run_show_progress(r, &c.progress);
	if (c.challenge && challenge_run(r, &challenge, ao.host, ao.path, o->cached, v, e) < 0)
		return -1;
	/* Only what was read from the medium and found good may save reading next time. */
	if (o->cached || o->path || v->difference_total || v->unverified_total)
		return 0;
	return scan_writer_finish(scan, e) < 0 ? -1 : atomic_file_commit(&file, e);
}

/* ---- the archive ---- */

struct object_check {
	struct run *r;
	struct object_id last;
	bool have;
};

static int check_slices(struct run *r, const struct object_id *recipe, struct err *e)
{
	OWN_RECIPE struct recipe rc = RECIPE_INIT;
	OWN_BUF struct buf text = BUF_INIT;
	const struct recipe_part *last = NULL;

	if (store_get_bytes(r->w->store, STORE_RECIPE, recipe, RECIPE_BYTES_MAX, &text, e) < 0 || recipe_decode(&rc, text.data, text.len, e) < 0)
		return -1;
	for (size_t i = 0; i < rc.count; i++) {
		struct object_id id;

		if (rc.parts[i].hole || (last && memcmp(last->slice, rc.parts[i].slice, DIGEST_LEN) == 0))
			continue;
		last = &rc.parts[i];
		memcpy(id.sha256, last->slice, DIGEST_LEN);
		if (run_check(r, e) < 0 || store_check(r->w->store, STORE_SLICE, &id, e) < 0)
			return -1;
	}
	return 0;
}

/* Each object once past the page cache, whole, against its id; with a recipe the slices that it names. */
static int check_object(struct object_check *c, const struct location *at, struct err *e)
{
	if (c->have && memcmp(&c->last, &at->id, sizeof(at->id)) == 0)
		return 0;
	c->last = at->id;
	c->have = true;
	if (at->kind == LOCATION_PACK)
		return store_check(c->r->w->store, STORE_PACK, &at->id, e);
	return store_check(c->r->w->store, STORE_RECIPE, &at->id, e) < 0 ? -1 : check_slices(c->r, &at->id, e);
}

static int check_blob(struct run *r, const uint8_t id[DIGEST_LEN], struct err *e)
{
	struct object_id o;

	memcpy(o.sha256, id, DIGEST_LEN);
	return store_check(r->w->store, STORE_ATTR, &o, e);
}

/* A damaged object is a difference; anything else that hinders reading leaves the entry unverified. */
static int judge(struct verify_result *v, const struct entry *en, struct err *e)
{
	int r;

	if (e->class == ERR_CANCELLED)
		return -1;
	r = e->class == ERR_INTEGRITY ? verify_add_difference(v, en->path, "archive", "sound", e->text) :
	    verify_add_unverified(v, en->path, e->text);
	err_clear(e);
	return r < 0 ? err_sys(e, "verify") : 0;
}

static int check_entry(struct run *r, struct archive *a, struct object_check *oc, const struct verify_options *o, const struct entry *en,
    const struct location *at, struct err *e)
{
	if (((en->has & ENTRY_HAS_XATTR) && check_blob(r, en->xattr, e) < 0) ||
	    ((en->has & ENTRY_HAS_ACL) && check_blob(r, en->acl, e) < 0))
		return -1;
	if (at->kind == LOCATION_NONE)
		return o->witnesses ? witnesses_entry(o->witnesses, NULL, en, at, e) : 0;
	if (!o->cached && check_object(oc, at, e) < 0)
		return -1;
	return o->witnesses ? witnesses_entry(o->witnesses, a, en, at, e) : archive_content(a, en, at, NULL, NULL, e);
}

static int verify_archive(struct run *r, const struct plan_dataset *d, const struct verify_options *o, struct verify_result *v, struct err *e)
{
	OWN(version_closep) struct version_reader *version = NULL;
	OWN(archive_closep) struct archive *a = NULL;
	struct object_check oc = { .r = r };
	struct run_progress progress = { .stage = "verify", .dataset = d->name };
	int got;

	if (version_open(r->w, r->plan->name, d->name, v->version, VERSION_MANIFEST, &version, e) < 0 || archive_open(r->w, &a, e) < 0)
		return -1;
	for (;;) {
		OWN_ENTRY struct entry en = ENTRY_INIT;
		struct location at;

		if ((got = version_next(version, &en, &at, e)) != 1)
			break;
		if (run_check(r, e) < 0)
			return -1;
		if (o->witnesses)
			witnesses_next(o->witnesses);
		if (not_copied(&en))
			continue;
		if (check_entry(r, a, &oc, o, &en, &at, e) < 0 && judge(v, &en, e) < 0)
			return -1;
		v->checked++;
		if (at.kind != LOCATION_NONE)
			v->read++;
		progress.entries = v->checked;
		progress.bytes = v->bytes = archive_bytes(a);
		if (v->checked % 4096 == 0)
			run_show_progress(r, &progress);
	}
	run_show_progress(r, &progress);
	return got;
}

struct attempt { struct run *r; const struct plan_dataset *d; const struct verify_options *o; struct verify_result *v; };

static int attempt(void *ctx, struct err *e)
{
	struct attempt *a = ctx;
	struct verify_result *v = a->v, fresh = { .dataset = v->dataset, .version = v->version, .side = v->side, .cached = v->cached, .full = v->full };

	verify_result_dispose(v);	/* of an attempt whose connection was lost */
	*v = fresh;
	if (made_is(a->d) && a->o->side != VERIFY_ARCHIVE && !a->o->path)
		return made_verify(a->r, a->d, a->o, v, e);
	return a->o->side == VERIFY_ARCHIVE ? verify_archive(a->r, a->d, a->o, v, e) : verify_place(a->r, a->d, a->o, v, e);
}

int verify_run(struct run *r, const struct plan_dataset *d, const struct verify_options *o, struct verify_result *v, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);
	int64_t began = clock_mono_ns();

	if (!(d = activation_dataset(r, d)))
		return err_sys(e, "verify");
	if (!s || !s->version) {
		err_set(e, ERR_USAGE, "dataset %s of plan %s has no version yet", d->name, r->plan->name);
		return err_hint(e, "make one with: waybill run %s", r->plan->name);
	}
	v->dataset = d->name;
	v->version = o->version ? o->version : s->version;
	v->side = o->side;
	v->cached = o->cached;
	v->full = o->full || o->side == VERIFY_ARCHIVE || o->path != NULL;
	if (v->version > s->version)
		return err_set(e, ERR_USAGE, "dataset %s has no version %" PRIu64 "; the newest is %" PRIu64, d->name, v->version, s->version);
	if (persist(r, attempt, &(struct attempt){ r, d, o, v }, e) < 0)
		return -1;
	v->seconds = (double)(clock_mono_ns() - began) / 1e9;
	return 0;
}

json_t *verify_json(const struct verify_result *v, size_t limit)
{
	json_t *diff = json_array(), *unv = json_array(), *foreign = json_array(), *lost = json_array();

	for (size_t i = 0; i < v->difference_count && i < limit; i++)
		(void)json_array_append_new(diff, json_pack("{s:s,s:s,s:s,s:s}", "path", v->differences[i].path, "what",
		    v->differences[i].what, "expected", v->differences[i].expected, "found", v->differences[i].found));
	for (size_t i = 0; i < v->unverified_count && i < limit; i++)
		(void)json_array_append_new(unv, json_pack("{s:s,s:s}", "path", v->unverified[i].path, "reason", v->unverified[i].reason));
	for (size_t i = 0; i < v->loss_count && i < limit; i++)
		(void)json_array_append_new(lost, json_pack("{s:s,s:s,s:s,s:s}", "path", v->losses[i].path, "what",
		    v->losses[i].what, "expected", v->losses[i].expected, "found", v->losses[i].found));
	for (size_t i = 0; i < v->foreign_count && i < limit; i++)
		(void)json_array_append_new(foreign, json_string(v->foreign[i]));
	return json_pack("{s:s,s:I,s:s,s:s,s:b,s:s,s:I,s:I,s:I,s:I,s:o,s:I,s:o,s:I,s:o,s:I,s:o,s:o,s:I,s:f}", "dataset", v->dataset, "version",
	    (json_int_t)v->version, "side", verify_side_name(v->side), "read", v->cached ? "cached" : "medium",
	    "full", v->full, "verdict", verify_verdict(v), "checked", (json_int_t)v->checked, "reread", (json_int_t)v->read, "challenged", (json_int_t)v->challenged,
	    "bytes", (json_int_t)v->bytes, "differences", diff, "difference_count", (json_int_t)v->difference_total,
	    "unverified", unv, "unverified_count", (json_int_t)v->unverified_total, "foreign", foreign,
	    "foreign_count", (json_int_t)v->foreign_total, "losses", loss_counts_json(&v->lost), "loss_list", lost, "loss_count", (json_int_t)v->loss_total,
	    "seconds", v->seconds);
}

int verify_record(struct run *r, const char *stage, const struct verify_result *v, struct err *e)
{
	json_t *j = verify_json(v, 1000);

	if (!j)
		return err_set(e, ERR_BUG, "facts of a verification");
	return run_event(r, NULL, stage, "checked", j, e, "%s version %" PRIu64 " at the %s: %s, %" PRIu64 " checked, %" PRIu64 " differences, %" PRIu64 " unverified",
	    v->dataset, v->version, verify_side_name(v->side), verify_verdict(v), v->checked, v->difference_total, v->unverified_total);
}
