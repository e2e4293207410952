/*
 * Role wipe: a whole device, or an image of one.
 *
 * It is looked at first, and nothing is written unless the signed scope names it, nobody uses it, and neither this agent, the root
 * file system nor the orchestrator stands on it.
 */
#include "wipe.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#include "backing.h"
#include "device.h"
#include "digest.h"
#include "esc.h"
#include "fence.h"
#include "medium.h"
#include "scope.h"
#include "storage.h"
#include "sys.h"

#define LUKS_JSON_MAX (4u << 20)
#define PARTITIONS_MAX 128

struct wipe {
	struct agent *a;
	struct wiper w;
	struct fence fence;
	struct msg_wipe_begin begin;
	char *serials;
};

static void wipe_dispose(struct wipe *x)
{
	own_closep(&x->w.fd);
	free(x->w.pattern);
	free(x->w.buffer);
	free(x->begin.keep);
	free(x->serials);
	extents_dispose(&x->w.map);
	fence_leave(&x->fence);
}

/* ---- may it at all? ---- */

static int stands_on_it(const struct wipe *x, const char *path, const char *what, struct err *e)
{
	OWN_BUF struct buf words = BUF_INIT;
	struct stat st;

	if (stat(path, &st) < 0)
		return 0;
	backing_of(&st, &words);
	if (words.failed)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	return backing_holds(words.data, &x->w.st) ? err_set(e, ERR_REFUSED, "%s: %s stands on it", esc_s(x->a->root_path), what) : 0;
}

static int check_free_of_us(const struct wipe *x, struct err *e)
{
	if (stands_on_it(x, "/", "the root file system of this host", e) < 0 || stands_on_it(x, "/proc/self/exe", "the agent", e) < 0 ||
	    stands_on_it(x, "/boot", "/boot", e) < 0)
		return -1;
	if (backing_holds(x->begin.keep, &x->w.st))
		return err_set(e, ERR_REFUSED, "%s: the archive, the ledger or the journal of waybill stands on it", esc_s(x->a->root_path));
	return 0;
}

static int check_scope(const struct wipe *x, struct err *e)
{
	OWN_SCOPE struct scope s = SCOPE_INIT;

	return scope_parse(&s, x->a->start.scope ? x->a->start.scope : "", e) < 0 ||
	    scope_covers_device(&s, NULL, x->a->root_path, x->serials, e) < 0 ? -1 : 0;
}

/* Looked at before anything is destroyed anywhere, and again before this is. */
static int check_use(const struct wipe *x, struct err *e)
{
	enum medium_use use = medium_use(&x->w.st);

	/* An encrypted volume can only be seen while it is open; it is closed before the first write. */
	if (use == MEDIUM_HELD && wipe_crypt_open(&x->w.st)) {
		if (!x->begin.write)
			return 0;
		if (wipe_crypt_close(&x->w.st, e) < 0)
			return err_at(e, "%s", esc_s(x->a->root_path));
		use = medium_use(&x->w.st);
	}
	if (use == MEDIUM_FREE)
		return 0;
	err_set(e, ERR_REFUSED, "%s is in use (%s): it is not wiped", esc_s(x->a->root_path), use == MEDIUM_HELD ?
	    "mounted elsewhere, attached as a loop device, or part of swap, RAID or LVM" : "it is mounted");
	return err_hint(e, "unmount it, then run the same command again; what it holds is looked at without mounting it for others");
}

static int open_for_writing(struct wipe *x, struct err *e)
{
	bool block = S_ISBLK(x->w.st.st_mode);
	void *p = NULL, *q = NULL;
	struct stat st;

	x->w.fd = open(x->a->root_path, O_RDWR | O_DIRECT | O_CLOEXEC | (block ? O_EXCL : 0));
	if (x->w.fd < 0 && errno == EBUSY)
		return err_set(e, ERR_REFUSED, "%s is in use by somebody else", esc_s(x->a->root_path));
	if (x->w.fd < 0)
		return err_sys(e, "open %s past the page cache", esc_s(x->a->root_path));
	if (fstat(x->w.fd, &st) < 0 || st.st_ino != x->w.st.st_ino || st.st_dev != x->w.st.st_dev || st.st_rdev != x->w.st.st_rdev)
		return err_set(e, ERR_REFUSED, "%s was replaced while it was opened", esc_s(x->a->root_path));
	if (posix_memalign(&p, WIPE_BLOCK, WIPE_CHUNK) != 0 || posix_memalign(&q, WIPE_BLOCK, WIPE_CHUNK) != 0) {
		free(p);
		return err_set(e, ERR_TEMPORARY, "out of memory");
	}
	x->w.pattern = p;
	x->w.buffer = q;
	memcpy(x->w.seed, x->begin.seed, sizeof(x->w.seed));
	return wiper_fill(&x->w, false, e);
}

/* ---- what is there ---- */

static uint64_t be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* Least "offset" within the object "segments" of a LUKS2 header's JSON; 0 when there is none. */
static uint64_t least_segment(const char *json)
{
	static const char key[] = "\"offset\":\"";
	const char *at = strstr(json, "\"segments\":{");
	uint64_t least = 0;
	int depth = 0;

	for (at = at ? strchr(at, '{') : NULL; at && *at; at++) {
		uint64_t v;

		depth += (*at == '{') - (*at == '}');
		if (depth == 0)
			break;
		if (strncmp(at, key, sizeof(key) - 1) != 0)
			continue;
		v = strtoull(at + sizeof(key) - 1, NULL, 10);
		if (v && (!least || v < least))
			least = v;
	}
	return least;
}

static uint64_t luks2_data(int fd, uint64_t header)
{
	OWN_FREE char *text = header > 4096 && header <= LUKS_JSON_MAX ? calloc(1, header - 4096 + 1) : NULL;

	if (!text || sys_pread(WIPE_SITE, fd, text, header - 4096, 4096) != (ssize_t)(header - 4096))
		return 0;
	return least_segment(text);
}

/* Bytes before the data of a LUKS volume; 0 = none, or with a header elsewhere. */
static uint64_t luks_area(const struct wipe *x)
{
	uint8_t head[512];
	uint64_t at = 0;

	if (sys_pread(WIPE_SITE, x->a->root, head, sizeof(head), 0) != (ssize_t)sizeof(head) || memcmp(head, "LUKS\xba\xbe", 6) != 0)
		return 0;
	if (be(head + 6, 2) == 1)
		at = be(head + 104, 4) * 512;
	else if (be(head + 6, 2) == 2)
		at = luks2_data(x->a->root, be(head + 8, 8));
	return at <= x->w.size ? at : 0;
}

static char *model_of(const struct stat *st)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (S_ISBLK(st->st_mode))
		device_model(st->st_rdev, &b);
	return b.len ? buf_take(&b) : strdup("");
}

static bool add_head(const struct wipe *x, struct digest *d, uint8_t *p, uint64_t at)
{
	uint64_t left = at < x->w.size ? x->w.size - at : 0;
	size_t n = left < MSG_WIPE_HEAD ? (size_t)left : MSG_WIPE_HEAD;

	if (sys_pread(WIPE_SITE, x->a->root, p, n, (off_t)at) != (ssize_t)n)
		return false;
	digest_update(d, p, n);
	return true;
}

/* Whoever mounts a file system writes near its beginning; they begin with the device, or with its partitions. */
static char *head_of(const struct wipe *x)
{
	OWN(digest_freep) struct digest *sum = digest_new(DIGEST_SHA256);
	OWN_FREE uint8_t *p = malloc(MSG_WIPE_HEAD);
	uint64_t at[PARTITIONS_MAX];
	size_t n = medium_partitions(&x->w.st, at, PARTITIONS_MAX);
	uint8_t d[DIGEST_LEN];
	char hex[DIGEST_HEX];
	bool good;

	/* What stands in the cache may be older than the medium. */
	if (S_ISBLK(x->w.st.st_mode))
		(void)ioctl(x->a->root, BLKFLSBUF, 0);
	good = p && sum && add_head(x, sum, p, 0);
	for (size_t i = 0; good && i < n; i++)
		good = add_head(x, sum, p, at[i]);
	if (!good)
		return strdup("");
	digest_final(sum, d);
	hex_of(d, DIGEST_LEN, hex);
	return strdup(hex);
}

static int tell(struct wipe *x, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT, storage = BUF_INIT, parts = BUF_INIT;
	OWN(msg_wipe_facts_dispose) struct msg_wipe_facts m = { .size = x->w.size, .sector = x->w.sector };
	char why[DEVICE_WHY];
	bool block = S_ISBLK(x->w.st.st_mode);

	if (block)
		storage_traits(x->w.st.st_rdev, &storage);
	medium_parts(&x->w.st, x->a->root_path, &parts);
	m.flags = (block ? MSG_WIPE_BLOCK : 0u) | (device_guest(why) ? MSG_WIPE_GUEST : 0u) |
	    (storage.data && strstr(storage.data, "flash") ? MSG_WIPE_FLASH : 0u) | (wipe_device_method(x->a->root, &x->w.st) ? MSG_WIPE_SANITIZE : 0u);
	m.luks = luks_area(x);
	m.serial = strdup(x->serials);
	m.model = model_of(&x->w.st);
	m.parts = parts.len ? buf_take(&parts) : strdup("");
	m.where = device_where(&x->w.st);
	m.head = head_of(x);
	m.storage = storage.len ? buf_take(&storage) : strdup("");
	if (!m.serial || !m.model || !m.parts || !m.where || !m.head || !m.storage)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	msg_wipe_facts_encode(&b, &m);
	return agent_send(x->a, WIRE_ACK, (enum msg_type)MSG_WIPE_FACTS, &b, e);
}

static int measure(struct wipe *x, struct err *e)
{
	OWN_BUF struct buf serials = BUF_INIT;
	int sector = 512;

	if (fstat(x->a->root, &x->w.st) < 0)
		return err_sys(e, "stat of %s", esc_s(x->a->root_path));
	x->w.size = medium_size(&x->w.st);
	if (S_ISBLK(x->w.st.st_mode)) {
		(void)ioctl(x->a->root, BLKSSZGET, &sector);
		device_serials(x->w.st.st_rdev, &serials);
	}
	x->w.sector = (uint32_t)sector;
	if (!(x->serials = serials.len ? buf_take(&serials) : strdup("")))
		return err_set(e, ERR_TEMPORARY, "out of memory");
	return x->w.size ? 0 : err_set(e, ERR_REFUSED, "%s has no size", esc_s(x->a->root_path));
}

/* ---- the work ---- */

static int begin(struct wipe *x, const struct wire_frame *f, struct err *e)
{
	if (f->type != MSG_WIPE_BEGIN || x->begin.keep)
		return err_set(e, ERR_INTEGRITY, "wipe: message type %u does not belong here", f->type);
	if (msg_wipe_begin_decode(f->data, f->len, &x->begin, e) < 0 || measure(x, e) < 0 || check_scope(x, e) < 0 || check_free_of_us(x, e) < 0 ||
	    check_use(x, e) < 0)
		return -1;
	if (x->begin.write && (fence_enter(&x->fence, x->a->root, x->a->root_path, x->a->start.epoch, e) < 0 ||
	    open_for_writing(x, e) < 0))
		return -1;
	return tell(x, e);
}

static int act(struct wipe *x, const struct wire_frame *f, struct err *e)
{
	OWN(msg_wipe_result_dispose) struct msg_wipe_result m = { .text = NULL };
	OWN_BUF struct buf b = BUF_INIT;
	struct msg_wipe_act a;

	if (f->type != MSG_WIPE_ACT || x->w.fd < 0)
		return err_set(e, ERR_INTEGRITY, "wipe: message type %u does not belong here", f->type);
	if (msg_wipe_act_decode(f->data, f->len, &a, e) < 0 || fence_still(&x->fence, e) < 0)
		return -1;
	sys_point("wipe");
	if (wipe_range(&x->w, &a, &m, e) < 0)
		return -1;
	x->a->done.bytes += m.bytes;
	msg_wipe_result_encode(&b, &m);
	return agent_send(x->a, WIRE_ACK, (enum msg_type)MSG_WIPE_RESULT, &b, e);
}

int role_wipe(struct agent *a, struct err *e)
{
	OWN(wipe_dispose) struct wipe x = { .a = a, .fence = FENCE_INIT, .w = { .fd = -1 } };

	wire_set_state(a->wire, "wipe");
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		int r = wire_recv(a->wire, WIRE_DATA, &f, e);

		if (r <= 0)
			return r;
		if ((x.begin.keep ? act(&x, &f, e) : begin(&x, &f, e)) < 0)
			return -1;
	}
}
