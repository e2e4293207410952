/* Role place: trees beside each other change their names. */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "digest.h"
#include "esc.h"
#include "fence.h"
#include "proc.h"
#include "sys.h"

#define ID_TEXT 64

struct found {
	char id[ID_TEXT];	/* "" = absent */
	mode_t mode;
	bool mount, other_device;
};

static int look(int parent, const char *name, struct found *f, struct err *e)
{
	struct statx st, up;

	*f = (struct found){ .mode = 0 };
	if (!*name)
		return 0;
	if (statx(parent, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", esc_s(name));
	if (statx(parent, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &up) < 0)
		return err_sys(e, "the directory of %s", esc_s(name));
	(void)snprintf(f->id, sizeof(f->id), "%x:%x:%" PRIu64, st.stx_dev_major, st.stx_dev_minor, (uint64_t)st.stx_ino);
	f->mode = st.stx_mode;
	f->mount = (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
	f->other_device = st.stx_dev_major != up.stx_dev_major || st.stx_dev_minor != up.stx_dev_minor;
	return 0;
}

/* mountinfo writes space, tab, line end and backslash as \ooo. */
static bool mounted_beneath(const char *path)
{
	OWN_FILE FILE *f = fopen("/proc/self/mountinfo", "re");
	OWN_FREE char *line = NULL;
	size_t cap = 0, n = strlen(path);

	while (f && getline(&line, &cap, f) > 0) {
		OWN_BUF struct buf at = BUF_INIT;
		char *field = line;

		for (int i = 0; field && i < 4; i++)
			field = (field = strchr(field, ' ')) ? field + 1 : NULL;
		if (!field || !esc_undo(&at, field, strcspn(field, " ")) || !at.data)
			continue;
		if (at.len > n && strncmp(at.data, path, n) == 0 && at.data[n] == '/')
			return true;
	}
	return false;
}

static const char *what_is(struct agent *a, const char *name, const struct found *f)
{
	char real[4096], link[40];
	OWN_FREE char *path = NULL;
	ssize_t n;

	if (!f->id[0])
		return "absent";
	if (S_ISLNK(f->mode))
		return "symlink";
	if (!S_ISDIR(f->mode))
		return "other";
	if (f->mount)
		return "mount";
	if (f->other_device)
		return "other device";
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", a->root);
	if ((n = readlink(link, real, sizeof(real) - 1)) < 0)
		n = 0;
	real[n] = '\0';
	if (asprintf(&path, "%s/%s", strcmp(real, "/") == 0 ? "" : real, name) >= 0 && mounted_beneath(path))
		return "mounts beneath";
	return "dir";
}

static int durable(struct agent *a, struct err *e)
{
	return sys_fsync(PLACE_SITE, a->root) < 0 ? err_sys(e, "fsync %s", esc_s(a->root_path)) : 0;
}

/* ---- acts ---- */

static int exchange_names(int parent, const char *x, const char *y, struct err *e)
{
	if (renameat2(parent, x, parent, y, RENAME_EXCHANGE) < 0)
		return err_sys(e, "exchange %s and %s", esc_s(x), esc_s(y));
	return 0;
}

static int trial_of(int parent, const char *x, const char *y, struct err *e)
{
	struct found before, after;

	if (mkdirat(parent, x, 0700) < 0 || mkdirat(parent, y, 0700) < 0)
		return err_sys(e, "trial directories");
	if (look(parent, x, &before, e) < 0 || exchange_names(parent, x, y, e) < 0 || look(parent, y, &after, e) < 0)
		return -1;
	return strcmp(before.id, after.id) == 0 ? 0 : err_set(e, ERR_PERMANENT, "an exchange of two directories changed nothing");
}

static int trial(struct agent *a, struct err *e)
{
	uint8_t random[8];
	char hex[17], x[40], y[40];
	int r;

	random_bytes(random, sizeof(random));
	hex_of(random, sizeof(random), hex);
	(void)snprintf(x, sizeof(x), ".waybill-try-%s-a", hex);
	(void)snprintf(y, sizeof(y), ".waybill-try-%s-b", hex);
	r = trial_of(a->root, x, y, e);
	(void)unlinkat(a->root, x, AT_REMOVEDIR);
	(void)unlinkat(a->root, y, AT_REMOVEDIR);
	if (r < 0) {
		e->class = ERR_REFUSED;
		return err_at(e, "%s: directories cannot be exchanged there", esc_s(a->root_path));
	}
	return 0;
}

static int moved_away(const struct msg_place *m, const struct found *n, const struct found *o, struct err *e)
{
	return err_set(e, ERR_REFUSED, "%s and %s are not what they were (expected %s and %s, found %s and %s)", esc_s(m->name), esc_s(m->other),
	    *m->name_id ? m->name_id : "nothing", *m->other_id ? m->other_id : "nothing", n->id[0] ? n->id : "nothing", o->id[0] ? o->id : "nothing");
}

static bool stands(const struct found *n, const char *name_id, const struct found *o, const char *other_id)
{
	return strcmp(n->id, name_id) == 0 && strcmp(o->id, other_id) == 0;
}

/* Which inode stands under which name tells whether it was done already; the exchange is its own inverse. */
static int exchange(struct agent *a, const struct msg_place *m, bool back, bool *acted, struct err *e)
{
	struct found n, o;
	int r;

	if (look(a->root, m->name, &n, e) < 0 || look(a->root, m->other, &o, e) < 0)
		return -1;
	if (back ? stands(&n, m->name_id, &o, m->other_id) : stands(&n, m->other_id, &o, m->name_id))
		return 0;
	if (back ? !stands(&n, m->other_id, &o, m->name_id) : !stands(&n, m->name_id, &o, m->other_id))
		return moved_away(m, &n, &o, e);
	sys_point(PLACE_SITE);
	if (*m->name_id)
		r = exchange_names(a->root, m->name, m->other, e);
	else if ((r = back ? renameat2(a->root, m->name, a->root, m->other, RENAME_NOREPLACE) :
	    renameat2(a->root, m->other, a->root, m->name, RENAME_NOREPLACE)) < 0)
		err_sys(e, "rename %s and %s", esc_s(m->other), esc_s(m->name));
	*acted = r == 0;
	sys_point(PLACE_SITE);
	return r < 0 ? -1 : durable(a, e);
}

static int rename_it(struct agent *a, const struct msg_place *m, bool *acted, struct err *e)
{
	struct found n, o;

	if (look(a->root, m->name, &n, e) < 0 || look(a->root, m->other, &o, e) < 0)
		return -1;
	if (!n.id[0])
		return 0;
	if (*m->name_id && strcmp(n.id, m->name_id) != 0)
		return moved_away(m, &n, &o, e);
	if (renameat2(a->root, m->name, a->root, m->other, RENAME_NOREPLACE) < 0)
		return err_sys(e, "rename %s to %s", esc_s(m->name), esc_s(m->other));
	*acted = true;
	return durable(a, e);
}

static int run_tool(const char *const *argv, bool *good, struct err *e)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct proc_options o = { .argv = argv, .limit = 4096 };
	char line[256];

	if (proc_run(&o, &r, e) < 0)
		return -1;
	*good = r.status == 0;
	return *good ? 0 : err_set(e, ERR_PERMANENT, "%s: %s", argv[0], proc_first_line(&r.err, line));
}

/* By rm, which goes as deep as any tree; immutable entries are ours too. */
static int remove_it(struct agent *a, const struct msg_place *m, bool *acted, struct err *e)
{
	OWN_FREE char *path = NULL;
	struct err ignored = ERR_INIT;
	struct found n;

	if (look(a->root, m->name, &n, e) < 0)
		return -1;
	if (!n.id[0])
		return 0;
	if (*m->name_id && strcmp(n.id, m->name_id) != 0)
		return err_set(e, ERR_REFUSED, "%s is not what it was: it stays", esc_s(m->name));
	if (n.mount || n.other_device)
		return err_set(e, ERR_REFUSED, "%s is a mount point or another device: it stays", esc_s(m->name));
	if (asprintf(&path, "/proc/%d/fd/%d/%s", (int)getpid(), a->root, m->name) < 0)
		return err_sys(e, "remove");
	{
		const char *rm[] = { "rm", "-rf", "--one-file-system", "--", path, NULL };
		const char *chattr[] = { "chattr", "-R", "-f", "-i", "-a", path, NULL };

		if (run_tool(rm, acted, e) == 0 || (run_tool(chattr, acted, &ignored), err_clear(e), run_tool(rm, acted, e) == 0))
			return durable(a, e);
	}
	return -1;
}

static int act(struct agent *a, const struct msg_place *m, struct msg_placed *out, struct err *e)
{
	switch (m->act) {
	case MSG_PLACE_LOOK: return 0;
	case MSG_PLACE_TRIAL: return trial(a, e);
	case MSG_PLACE_EXCHANGE: return exchange(a, m, false, &out->acted, e);
	case MSG_PLACE_BACK: return exchange(a, m, true, &out->acted, e);
	case MSG_PLACE_RENAME: return rename_it(a, m, &out->acted, e);
	case MSG_PLACE_REMOVE: return remove_it(a, m, &out->acted, e);
	case MSG_PLACE_MERGE: out->acted = true; return merge_in(a->root, m, &out->count, e);
	case MSG_PLACE_UNMERGE: out->acted = true; return merge_back(a->root, m, &out->count, &out->made, e);
	}
	return err_set(e, ERR_BUG, "place");
}

static int answer(struct agent *a, const struct wire_frame *f, struct err *e)
{
	OWN(msg_place_dispose) struct msg_place m = { .name = NULL };
	struct msg_placed out = { .acted = false };
	OWN_BUF struct buf b = BUF_INIT;
	struct found n, o;

	if (f->type != MSG_PLACE)
		return err_set(e, ERR_INTEGRITY, "place: message type %u does not belong here", f->type);
	if (msg_place_decode(f->data, f->len, &m, e) < 0 || act(a, &m, &out, e) < 0)
		return -1;
	if (look(a->root, m.name, &n, e) < 0 || look(a->root, m.other, &o, e) < 0)
		return -1;
	out.name_id = n.id;
	out.other_id = o.id;
	out.what = (char *)(uintptr_t)what_is(a, m.name, &n);
	msg_placed_encode(&b, &out);
	return agent_send(a, WIRE_ACK, (enum msg_type)MSG_PLACED, &b, e);
}

int role_place(struct agent *a, struct err *e)
{
	OWN_FENCE struct fence fence = FENCE_INIT;
	int got;

	wire_set_state(a->wire, "place");
	if (fence_enter(&fence, a->root, a->root_path, a->start.epoch, e) < 0)
		return -1;
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		if ((got = wire_recv(a->wire, WIRE_DATA, &f, e)) <= 0)
			return got;
		if (fence_still(&fence, e) < 0 || answer(a, &f, e) < 0)
			return -1;
	}
}
