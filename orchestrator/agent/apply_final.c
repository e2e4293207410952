#include "apply.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "finalise.h"
#include "owner_map.h"

static unsigned what(const struct apply *ap)
{
	return (agent_flag(ap->a, MSG_F_FLAGS) ? FINALISE_FLAGS : 0u) | (agent_flag(ap->a, MSG_F_ANNOUNCED) ? FINALISE_ANNOUNCED : 0u);
}

/* Inode flags need a real fd; all else does with O_PATH, which needs no right to read. */
static int open_for(struct apply *ap, const struct entry *en)
{
	int fd = -1;

	if ((what(ap) & FINALISE_FLAGS) && (en->type == ENTRY_FILE || en->type == ENTRY_DIR))
		fd = path_open_beneath(ap->a->root, en->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
	return fd >= 0 ? fd : path_open_beneath(ap->a->root, en->path, O_PATH | O_NOFOLLOW, 0);
}

static int finalise_with(struct apply *ap, const struct entry *en, const struct attr_set *attrs, int fd, struct err *e)
{
	OWN_BUF struct buf missed = BUF_INIT;
	int r = finalise(fd, what(ap), en, attrs, &missed, e);

	return r == 1 ? err_set(e, ERR_PERMANENT, "not as it was: %s", missed.data) : r;
}

static int finalise_at(struct apply *ap, const struct entry *en, int fd, struct err *e)
{
	OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;

	if (attr_load(ap, en, &attrs, e) < 0)
		return -1;
	return finalise_with(ap, en, &attrs, fd, e);
}

static bool same_special(int fd, const struct entry *en, const struct stat *st)
{
	char target[4096];
	ssize_t n;

	if (tree_type(st->st_mode) != en->type)
		return false;
	if (en->type == ENTRY_CHAR || en->type == ENTRY_BLOCK)
		return major(st->st_rdev) == en->rdev_major && minor(st->st_rdev) == en->rdev_minor;
	if (en->type != ENTRY_SYMLINK)
		return true;
	n = readlinkat(fd, "", target, sizeof(target));
	return n >= 0 && en->target && strlen(en->target) == (size_t)n && memcmp(target, en->target, (size_t)n) == 0;
}

static int final_special(struct apply *ap, const struct entry *en, struct err *e)
{
	OWN_FD int fd = open_for(ap, en);
	OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && same_special(fd, en, &st))
		return finalise_at(ap, en, fd, e);
	if (attr_load(ap, en, &attrs, e) < 0)
		return -1;
	return tree_special(ap, en, &attrs, e);
}

static int final_file(struct apply *ap, const struct entry *en, struct err *e)
{
	OWN_FD int fd = open_for(ap, en);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "its content is not there");
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != en->size)
		return err_set(e, ERR_PERMANENT, "its content is not there: found a %s of %jd bytes",
		    entry_type_name(tree_type(st.st_mode)), (intmax_t)st.st_size);
	return finalise_at(ap, en, fd, e);
}

static int push(struct apply *ap, const struct entry *en, struct err *e)
{
	struct entry **grown = realloc(ap->stack, (ap->depth + 1) * sizeof(*grown));

	if (!grown || (ap->stack = grown, !(grown[ap->depth] = entry_dup(en))))
		return err_set(e, ERR_TEMPORARY, "out of memory");
	ap->depth++;
	return 0;
}

static bool dir_is_there(struct apply *ap, const struct entry *en)
{
	struct stat st;
	OWN_FD int fd = path_open_beneath(ap->a->root, en->path, O_PATH | O_NOFOLLOW, 0);

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static int final_other(struct apply *ap, const struct entry *en, struct err *e)
{
	if (en->link_to)
		return tree_link(ap, en, e);
	return en->type == ENTRY_FILE ? final_file(ap, en, e) : final_special(ap, en, e);
}

int final_entry(struct apply *ap, const struct wire_frame *f, struct err *e)
{
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct err why = ERR_INIT;
	int rc;

	if (msg_final_decode(f->data, f->len, &en, e) < 0)
		return -1;
	owner_map(ap->a, &en);
	/* All removals came before: what was set aside goes before the directories around it get their times. */
	if (tree_drop_asides(ap, e) < 0 || final_leave(ap, en.path, e) < 0)
		return -1;
	/* Nothing of these was to arrive; a directory that could not be read still holds what came before. */
	if (en.outcome == ENTRY_SKIPPED || en.type == ENTRY_SOCKET || (en.outcome == ENTRY_FAILED && en.type != ENTRY_DIR))
		return 0;
	if (en.type != ENTRY_DIR) {
		rc = final_other(ap, &en, &why);
		return apply_settle(ap, en.path, rc, &why, e);
	}
	if (!dir_is_there(ap, &en) && tree_dir(ap, en.path, &why) < 0)
		return apply_settle(ap, en.path, -1, &why, e);
	return push(ap, &en, e);
}

static int pop(struct apply *ap, struct err *e)
{
	struct entry *en = ap->stack[--ap->depth];
	struct err why = ERR_INIT;
	OWN_FD int fd = open_for(ap, en);
	int rc = fd < 0 ? err_sys(&why, "open") : finalise_at(ap, en, fd, &why);

	rc = apply_settle(ap, en->path, rc, &why, e);
	entry_freep(&en);
	return rc;
}

int final_leave(struct apply *ap, const char *path, struct err *e)
{
	while (ap->depth) {
		const char *top = ap->stack[ap->depth - 1]->path;

		if (path ? path_is_beneath(path, top) : strcmp(top, ".") == 0)
			return 0;
		if (pop(ap, e) < 0)
			return -1;
	}
	return 0;
}

int final_root_attrs(struct apply *ap, struct err *e)
{
	struct err why = ERR_INIT;

	if (ap->depth == 0 || attr_load(ap, ap->stack[0], &ap->root_attrs, &why) == 0)
		return 0;
	entry_freep(&ap->stack[--ap->depth]);
	return apply_settle(ap, ".", -1, &why, e);
}

int final_root(struct apply *ap, struct err *e)
{
	struct err why = ERR_INIT;
	int rc;

	if (ap->depth == 0)
		return 0;
	OWN_FD int fd = open_for(ap, ap->stack[0]);

	rc = fd < 0 ? err_sys(&why, "open") : finalise_with(ap, ap->stack[0], &ap->root_attrs, fd, &why);
	return apply_settle(ap, ".", rc, &why, e);
}

void final_dispose(struct apply *ap)
{
	while (ap->depth)
		entry_freep(&ap->stack[--ap->depth]);
	free(ap->stack);
	attr_set_dispose(&ap->root_attrs);
}
