/* The session around every role: START, root, READY, role, DONE. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "clock.h"
#include "esc.h"
#include "io.h"
#include "lanes.h"
#include "own_mount.h"
#include "path.h"

static const struct role {
	const char *name;
	int (*run)(struct agent *a, struct err *e);
	enum wire_stream answers;
	bool makes_root, needs_root;
	int (*open)(struct agent *a, struct err *e);	/* NULL: the root is a directory */
} roles[] = {
	{ "read", role_read, WIRE_DATA, false, true, NULL },
	{ "verify", role_read, WIRE_DATA, false, true, NULL },
	{ "apply", role_apply, WIRE_ACK, true, true, NULL },
	{ "erase", role_erase, WIRE_ACK, false, true, NULL },
	{ "challenge", role_challenge, WIRE_ACK, false, true, NULL },
	{ "scan", role_scan, WIRE_ACK, false, true, NULL },
	{ "facts", role_facts, WIRE_DATA, false, false, NULL },
	{ "exec", role_exec, WIRE_DATA, false, true, NULL },
	{ "place", role_place, WIRE_ACK, false, true, NULL },
	{ "survey", role_survey, WIRE_DATA, false, true, NULL },
	{ "readblock", role_readblock, WIRE_DATA, false, true, block_open_source },
	{ "verifyblock", role_readblock, WIRE_DATA, false, true, block_open_target },
	{ "wipe", role_wipe, WIRE_ACK, false, true, block_open_target },
	{ "applyblock", role_applyblock, WIRE_ACK, false, true, block_open_for_writing },
};

static const struct role *find_role(const char *name)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i].name, name) == 0)
			return &roles[i];
	return NULL;
}

int agent_send(struct agent *a, enum wire_stream s, enum msg_type t, struct buf *b, struct err *e)
{
	int r = buf_finish(b, e);

	if (r == 0)
		r = wire_send(a->wire, s, (uint8_t)t, b->data, b->len, e);
	buf_reset(b);
	return r;
}

int agent_problem(struct agent *a, const char *path, const struct err *why, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	msg_problem_encode(&b, why->class, path, why->text);
	return agent_send(a, a->answers, MSG_PROBLEM, &b, e);
}

const char *agent_name(const struct agent *a, const char *path, char out[AGENT_NAME])
{
	OWN_BUF struct buf b = BUF_INIT;

	buf_puts(&b, a->root_path);
	if (strcmp(path, ".") != 0) {
		if (b.len > 1)
			buf_putc(&b, '/');
		buf_puts(&b, path);
	}
	return esc_into(out, AGENT_NAME, b.data ? b.data : "", b.data ? b.len : 0);
}

char *agent_identity(int fd)
{
	struct statfs fs;
	struct stat st;
	uint64_t id = 0;
	char *s = NULL;

	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return NULL;
	memcpy(&id, &fs.f_fsid, sizeof(id) < sizeof(fs.f_fsid) ? sizeof(id) : sizeof(fs.f_fsid));
	if (id == 0)
		id = (uint64_t)st.st_dev;
	return asprintf(&s, "%016" PRIx64 ":%" PRIu64, id, (uint64_t)st.st_ino) < 0 ? NULL : s;
}

void agent_fstype(uint64_t magic, char out[AGENT_FSTYPE])
{
	static const struct { uint64_t magic; const char *name; } known[] = {
		{ 0xef53, "ext4" }, { 0x58465342, "xfs" }, { 0x9123683e, "btrfs" }, { 0x01021994, "tmpfs" },
		{ 0x794c7630, "overlay" }, { 0x6969, "nfs" }, { 0xf2f52010, "f2fs" }, { 0x2fc12fc1, "zfs" } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].magic == magic) {
			(void)snprintf(out, 24, "%s", known[i].name);
			return;
		}
	(void)snprintf(out, 24, "%" PRIx64, magic);
}

static const char *option(const struct agent *a, const char *name)
{
	for (int i = 0; i + 1 < a->argc; i++)
		if (strcmp(a->argv[i], name) == 0)
			return a->argv[i + 1];
	return NULL;
}

/* --mount DEVICE [--at ABSPATH, else the root]: the file system on it is looked at there, by this process alone. */
static int mount_for_us(const struct agent *a, struct err *e)
{
	const char *device = option(a, "--mount"), *at = option(a, "--at");

	if (!device)
		return 0;
	if (!path_is_clean_absolute(device) || (at && !path_is_clean_absolute(at)))
		return err_set(e, ERR_USAGE, "--mount and --at take clean absolute paths");
	return own_mount(device, at ? at : a->root_path, e);
}

/* Symlinks on the way to the root and the root itself are resolved this once; from here on only the fd counts. */
static int open_root(struct agent *a, const struct role *role, struct err *e)
{
	struct statx st;

	if (mount_for_us(a, e) < 0)
		return -1;
	if (role->open)
		return role->open(a, e);
	if (role->makes_root && io_mkdirs(AT_FDCWD, a->root_path, 0700, e) < 0)
		return -1;
	a->root = open(a->root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	if (a->root < 0 && !role->needs_root && errno == ENOENT)
		return 0;
	if (a->root < 0) {
		int missing = errno == ENOENT || errno == ENOTDIR;

		(void)err_sys(e, "%s", esc_s(a->root_path));
		if (missing) {	/* a source that is not there is no passing fault: nothing may be concluded from it */
			e->class = ERR_REFUSED;
			err_hint(e, "is the path right and its file system mounted?");
		}
		return -1;
	}
	if (statx(a->root, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &st) < 0)
		return err_sys(e, "%s", esc_s(a->root_path));
	a->root_dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
	a->root_ino = st.stx_ino;
	a->root_mnt = st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0;
	if (!(a->identity = agent_identity(a->root)))
		return err_sys(e, "identity of %s", esc_s(a->root_path));
	if (a->start.identity[0] && strcmp(a->start.identity, a->identity) != 0) {
		err_set(e, ERR_REFUSED, "%s is not the directory it was: file system and inode are %s, last time %s",
		    esc_s(a->root_path), a->identity, esc_s(a->start.identity));
		return err_hint(e, "mount the right file system there");
	}
	return 0;
}

static int send_ready(struct agent *a, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct msg_ready r = { .identity = a->identity ? a->identity : (char[]){ "" }, .euid = geteuid(),
		.now_s = clock_now_ns() / 1000000000 };
	char type[24] = "none";
	struct statfs fs;

	if (a->root >= 0) {
		if (fstatfs(a->root, &fs) < 0)
			return err_sys(e, "%s", esc_s(a->root_path));
		agent_fstype((uint64_t)(unsigned long)fs.f_type, type);
		r.free_bytes = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
		r.free_inodes = (uint64_t)fs.f_ffree;
		r.block = fs.f_bsize > 0 && fs.f_bsize <= READY_BLOCK_MAX ? (uint32_t)fs.f_bsize : 0;
	}
	r.fstype = type;
	msg_ready_encode(&b, &r);
	return agent_send(a, WIRE_CONTROL, MSG_READY, &b, e);
}

static int get_start(struct agent *a, struct err *e)
{
	OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
	int r = wire_recv(a->wire, WIRE_CONTROL, &f, e);

	if (r < 0)
		return -1;
	if (r == 0 || f.type != MSG_START)
		return err_set(e, ERR_INTEGRITY, "the orchestrator did not begin with START");
	return msg_start_decode(f.data, f.len, &a->start, e);
}

/* DONE comes last, so that whoever has read it may hang up at once. */
static int send_done(struct agent *a, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct err late = ERR_INIT;

	for (int s = WIRE_DATA; s <= WIRE_ACK; s++)
		if (wire_end(a->wire, (enum wire_stream)s, e) < 0)
			return -1;
	msg_done_encode(&b, &a->done);
	if (agent_send(a, WIRE_CONTROL, MSG_DONE, &b, e) < 0)
		return -1;
	/* All has been said; that the peer no longer listens is no failure of ours. */
	if (wire_end(a->wire, WIRE_CONTROL, &late) < 0)
		err_clear(&late);
	return 0;
}

static int converse(struct agent *a, const struct role *role, struct agent_lanes **lanes, struct err *e)
{
	const struct msg_done *d = &a->done;

	if (get_start(a, e) < 0 || open_root(a, role, e) < 0 || lanes_listen(a->wire, a->start.lanes, lanes, e) < 0 ||
	    send_ready(a, e) < 0 || role->run(a, e) < 0)
		return -1;
	if (d->scanned != d->copied + d->unchanged + d->skipped + d->unsettled + d->failed)
		return err_set(e, ERR_BUG, "the %s role's balance does not close", role->name);
	return send_done(a, e);
}

int agent_serve(const char *role_name, const char *root_path, int argc, char *const *argv, int in, int out)
{
	const struct role *role = find_role(role_name);
	struct agent a = { .role = role_name, .root = -1, .root_path = root_path, .argc = argc, .argv = argv };
	struct wire_options o = { WIRE_AGENT, in, out, "orchestrator", wire_build_id(), 0 };
	struct agent_lanes *lanes = NULL;
	struct err e = ERR_INIT;

	if (!role) {
		(void)fprintf(stderr, "waybill-agent: no role \"%s\"\n", esc_s(role_name));
		return err_exit_code(ERR_USAGE);
	}
	a.answers = role->answers;
	if (wire_open(&a.wire, &o, &e) < 0) {
		(void)fprintf(stderr, "waybill-agent: %s\n", e.text);
		return err_exit_code(e.class);
	}
	if (converse(&a, role, &lanes, &e) < 0) {
		wire_fail(a.wire, &e);
		(void)fprintf(stderr, "waybill-agent: %s\n", e.text);
	}
	lanes_stop(lanes);
	wire_close(a.wire);
	if (a.root >= 0)
		(void)close(a.root);
	msg_start_dispose(&a.start);
	free(a.identity);
	return err_exit_code(e.class);
}
