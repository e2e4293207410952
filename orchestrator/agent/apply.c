#include "apply.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "finalise.h"
#include "sys.h"

int apply_settle(struct apply *ap, const char *path, int rc, const struct err *why, struct err *e)
{
	char name[AGENT_NAME];

	if (rc == 0) {
		count_to(&ap->a->done.scanned, 1);
		count_to(&ap->a->done.copied, 1);
		return 0;
	}
	if (fs_trouble(why->sys) || why->class == ERR_BUG || why->class == ERR_CANCELLED) {
		*e = *why;
		if (why->class != ERR_BUG && why->class != ERR_CANCELLED)
			e->class = ERR_TEMPORARY;
		return err_at(e, "%s", agent_name(ap->a, path, name));
	}
	count_to(&ap->a->done.scanned, 1);
	count_to(&ap->a->done.failed, 1);
	return agent_problem(ap->a, path, why, e);
}

static bool kernel_before_5_8(void)
{
	struct utsname u;
	unsigned major = 0, minor = 0;

	return uname(&u) != 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2 || major < 5 || (major == 5 && minor < 8);
}

static int flush(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	uint64_t token;

	return msg_number_decode(f->data, f->len, &token, e) < 0 ? -1 : apply_sync_ask(ap, token, e);
}

static int remove_one(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	OWN(msg_remove_dispose) struct msg_remove m = { .path = NULL };
	struct err why = ERR_INIT;

	if (msg_remove_decode(f->data, f->len, &m, e) < 0)
		return -1;
	if (tree_remove(ap, m.path, m.type, &why) == 0)
		return 0;
	return apply_settle(ap, m.path, -1, &why, e);
}

/* These change names that a pack still to be written may hold. */
static bool needs_all_before(uint8_t type) { return type == MSG_FINAL || type == MSG_REMOVE; }

static int dispatch(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	/* Not before there is something to write: a pass that is refused at its source leaves the target as it was. */
	if (ap->staging < 0 && f->type != MSG_FLUSH && !ap->block && (tree_stage_open(ap, e) < 0 || pool_start(ap, e) < 0))
		return -1;
	if (needs_all_before(f->type) && pool_drain(ap, e) < 0)
		return -1;
	if (ap->block && (f->type == MSG_ATTR || f->type == MSG_FINAL))
		return 0;	/* it has no attributes but its bytes */
	switch ((enum msg_type)f->type) {
	case MSG_OBJ_BEGIN: return object_begin(ap, f, e);
	case MSG_OBJ_DATA: return object_data(ap, f, e);
	case MSG_OBJ_END: return object_end(ap, f, e);
	case MSG_LARGE_BEGIN: return large_begin(ap, f, e);
	case MSG_LARGE_ABORT: return large_abort(ap, f, e);
	case MSG_PATCH_BEGIN: return patch_begin(ap, f, e);
	case MSG_RANGES: return patch_ranges(ap, f, e);
	case MSG_HOLE: return patch_hole(ap, f, e);
	case MSG_LARGE_END: return large_end(ap, f, e);
	case MSG_ATTR: return attr_keep(ap, f->data, f->len, e);
	case MSG_FLUSH: return flush(ap, f, e);
	case MSG_FINAL: return final_entry(ap, f, e);
	case MSG_REMOVE: return remove_one(ap, f, e);
	default: return err_set(e, ERR_INTEGRITY, "apply: message type %u does not belong here", f->type);
	}
}

int apply_receive(struct apply *ap, struct err *e)
{
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		int r = inbox_next(&ap->inbox, &f, e);

		if (pool_state(ap, e) < 0 || apply_sync_state(ap, e) < 0)	/* its own reason, not that it woke us */
			return -1;
		if (r <= 0)
			return r;
		if (dispatch(ap, &f, e) < 0)
			return -1;
	}
}

static int finish(struct apply *ap, struct err *e)
{
	if (ap->object_count || ap->large_count)
		return err_set(e, ERR_INTEGRITY, "the stream ended inside an object");
	if (pool_drain(ap, e) < 0)
		return -1;
	if (ap->staging < 0 && tree_stage_open(ap, e) < 0)	/* what a killed pass left there goes in any case */
		return -1;
	if (final_leave(ap, NULL, e) < 0 || tree_drop_asides(ap, e) < 0 || final_root_attrs(ap, e) < 0)
		return -1;
	if (ap->torn.class != ERR_NONE) {
		*e = ap->torn;
		return -1;
	}
	/* Whoever answers a FLUSH still uses the staging directory, and forgets the same. */
	if (apply_sync_stop(ap, e) < 0)
		return -1;
	if (undo_count(ap) && (apply_durable(ap, e) < 0 || undo_forget(ap, undo_count(ap), e) < 0))
		return -1;
	/* The staging directory goes before the root gets its time. */
	if (tree_stage_close(ap, e) < 0 || final_root(ap, e) < 0)
		return -1;
	wire_set_state(ap->a->wire, "sync");
	return apply_durable(ap, e);
}

static void common_dispose(struct common *c)
{
	split_dispose(c);
	for (size_t i = 0; i < c->aside_count; i++)
		free(c->asides[i]);
	free(c->asides);
	free(c->undone);
	free(c->fresh.v);
}

void apply_dispose(struct apply *ap)
{
	struct err known = ERR_INIT;

	inbox_stop(&ap->inbox);
	pool_stop(ap);
	(void)!apply_sync_stop(ap, &known);	/* its failure is the role's already */
	free(ap->syncer.tokens);
	objects_dispose(ap);
	final_dispose(ap);
	tree_dispose(ap);
	own_closep(&ap->staging);
	fence_leave(&ap->fence);
	common_dispose(&ap->shared);
}

int apply_prepare(struct apply *ap, struct err *e)
{
	ap->common = &ap->shared;
	ap->shared.euid = geteuid();
	ap->shared.egid = getegid();
	return (ap->copy = out_memory(COPY_BYTES)) ? 0 : err_set(e, ERR_TEMPORARY, "out of memory");
}

int role_apply(struct agent *a, struct err *e)
{
	OWN(apply_dispose) struct apply ap = APPLY_INIT(a);

	(void)umask(077);
	ap.fsync_each = kernel_before_5_8();
	if (apply_prepare(&ap, e) < 0)
		return -1;
	if (fence_enter(&ap.fence, a->root, a->root_path, a->start.epoch, e) < 0)
		return -1;
	/* From here on every mode is given in full. */
	(void)umask(0);
	if (apply_sync_start(&ap, e) < 0 || inbox_start(&ap.inbox, a->wire, e) < 0)
		return -1;
	wire_set_state(a->wire, "write");
	if (apply_receive(&ap, e) < 0)
		return -1;
	return finish(&ap, e);
}
