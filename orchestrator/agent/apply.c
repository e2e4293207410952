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
		ap->a->done.scanned++;
		ap->a->done.copied++;
		return 0;
	}
	if (fs_trouble(why->sys) || why->class == ERR_BUG || why->class == ERR_CANCELLED) {
		*e = *why;
		if (why->class != ERR_BUG && why->class != ERR_CANCELLED)
			e->class = ERR_TEMPORARY;
		return err_at(e, "%s", agent_name(ap->a, path, name));
	}
	ap->a->done.scanned++;
	ap->a->done.failed++;
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

static int dispatch(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	/* Not before there is something to write: a pass that is refused at its source leaves the target as it was. */
	if (ap->staging < 0 && f->type != MSG_FLUSH && !ap->block && tree_stage_open(ap, e) < 0)
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

		if (apply_sync_state(ap, e) < 0)	/* its own reason, not that it woke us */
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
	if (ap->staging < 0 && tree_stage_open(ap, e) < 0)	/* what a killed pass left there goes in any case */
		return -1;
	if (final_leave(ap, NULL, e) < 0 || tree_drop_asides(ap, e) < 0 || final_root_attrs(ap, e) < 0)
		return -1;
	/* The staging directory goes before the root gets its time. */
	if (tree_stage_close(ap, e) < 0 || final_root(ap, e) < 0)
		return -1;
	if (apply_sync_stop(ap, e) < 0)
		return -1;
	wire_set_state(ap->a->wire, "sync");
	return apply_durable(ap, e);
}

void apply_dispose(struct apply *ap)
{
	struct err known = ERR_INIT;

	inbox_stop(&ap->inbox);
	(void)!apply_sync_stop(ap, &known);	/* its failure is the role's already */
	free(ap->syncer.tokens);
	objects_dispose(ap);
	final_dispose(ap);
	tree_dispose(ap);
	for (size_t i = 0; i < ap->aside_count; i++)
		free(ap->asides[i]);
	free(ap->asides);
	own_closep(&ap->staging);
	fence_leave(&ap->fence);
	free(ap->copy);
}

int role_apply(struct agent *a, struct err *e)
{
	OWN(apply_dispose) struct apply ap = { .a = a, .fence = FENCE_INIT, .staging = -1, .parent_fd = -1,
		.fsync_each = kernel_before_5_8() };

	(void)umask(077);
	if (!(ap.copy = malloc(COPY_BYTES)))
		return err_set(e, ERR_TEMPORARY, "out of memory");
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
