/*
 * Role applyblock: a device or an image in the place of a tree.  Contents are written where they belong, there is no second place
 * to stage them in; the orchestrator remembers that a pass began, and one that was cut is followed by a whole copy.
 */
#include "apply.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block.h"
#include "esc.h"

int block_begin(struct apply *ap, struct large *l, uint64_t size, struct err *e)
{
	uint64_t room = block_size(ap->a);
	struct stat st;

	if (strcmp(l->path, BLOCK_CONTENT) != 0)
		return err_set(e, ERR_INTEGRITY, "a content named %s is none of a block dataset", esc_s(l->path));
	if (fstat(ap->a->root, &st) < 0)
		return err_sys(e, "stat");
	if (S_ISBLK(st.st_mode) && size > room)
		return err_set(e, ERR_REFUSED, "%s is too small: it has %" PRIu64 " bytes, the source %" PRIu64, esc_s(ap->a->root_path), room, size);
	l->fd = fcntl(ap->a->root, F_DUPFD_CLOEXEC, 0);
	return l->fd < 0 ? err_sys(e, "%s", esc_s(ap->a->root_path)) : 0;
}

/* A device keeps what it has beyond the content; an image ends where the content ends. */
int block_end(struct apply *ap, const struct large *l, const struct entry *en, struct err *e)
{
	struct stat st;

	if (fstat(l->fd, &st) < 0 || (S_ISREG(st.st_mode) && (uint64_t)st.st_size != en->size && ftruncate(l->fd, (off_t)en->size) < 0))
		return err_sys(e, "length of %s", esc_s(ap->a->root_path));
	return 0;
}

int role_applyblock(struct agent *a, struct err *e)
{
	OWN(apply_dispose) struct apply ap = APPLY_INIT(a);

	(void)umask(077);
	ap.block = true;
	if (apply_prepare(&ap, e) < 0)
		return -1;
	if (fence_enter(&ap.fence, a->root, a->root_path, a->start.epoch, e) < 0)
		return -1;
	if (apply_sync_start(&ap, e) < 0 || pool_start(&ap, e) < 0 || inbox_start(&ap.inbox, a->wire, e) < 0)
		return -1;
	wire_set_state(a->wire, "write");
	if (apply_receive(&ap, e) < 0)
		return -1;
	if (ap.object_count || ap.large_count)
		return err_set(e, ERR_INTEGRITY, "the stream ended inside an object");
	if (pool_drain(&ap, e) < 0)
		return -1;
	wire_set_state(a->wire, "sync");
	return apply_sync_stop(&ap, e) < 0 ? -1 : apply_durable(&ap, e);
}
