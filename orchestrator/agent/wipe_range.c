#include "wipe.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#include "digest.h"
#include "sys.h"

int wiper_fill(struct wiper *w, bool zeros, struct err *e)
{
	uint8_t block[WIPE_BLOCK], d[DIGEST_LEN], in[MSG_WIPE_SEED + 1];

	memset(block, 0, sizeof(block));
	memcpy(in, w->seed, MSG_WIPE_SEED);
	for (size_t i = 0; !zeros && i < WIPE_BLOCK; i += DIGEST_LEN) {
		in[MSG_WIPE_SEED] = (uint8_t)(i / DIGEST_LEN);
		if (digest_sha256(in, sizeof(in), d, e) < 0)
			return -1;
		memcpy(block + i, d, DIGEST_LEN);
	}
	/* No zeros: what was never written cannot pass for it. */
	for (size_t i = 0; !zeros && i < WIPE_BLOCK; i++)
		block[i] = block[i] ? block[i] : 0xa5;
	for (size_t at = 0; at < WIPE_CHUNK; at += WIPE_BLOCK)
		memcpy(w->pattern + at, block, WIPE_BLOCK);
	w->zeros = zeros;
	return 0;
}

static int out_of_memory(struct err *e) { return err_set(e, ERR_TEMPORARY, "out of memory"); }

static int refuse(struct msg_wipe_result *m, const char *what, int why, struct err *e)
{
	m->done = false;
	free(m->text);
	return asprintf(&m->text, "%s: %s", what, strerrordesc_np(why)) < 0 ? (m->text = NULL, out_of_memory(e)) : 0;
}

static void note_bad(struct msg_wipe_result *m, uint64_t at, uint64_t n)
{
	if (!m->bad)
		m->bad_at = at;
	m->bad += n;
}

static ssize_t put(struct wiper *w, uint64_t at, size_t n)
{
	return sys_pwrite(WIPE_SITE, w->fd, w->pattern, n, (off_t)at);
}

/* Block by block where a whole chunk does not go. */
static void put_slowly(struct wiper *w, uint64_t at, size_t n, struct msg_wipe_result *m)
{
	for (size_t k = 0; k < n; k += WIPE_BLOCK) {
		size_t len = n - k < WIPE_BLOCK ? n - k : WIPE_BLOCK;

		if (put(w, at + k, len) == (ssize_t)len)
			m->bytes += len;
		else
			note_bad(m, at + k, len);
	}
}

/*
 * A hole of an image is none of its blocks: writing there would only fill the file system beneath it.  What is allocated and was never
 * written is written.
 */
static bool is_hole(struct wiper *w, uint64_t at, size_t n)
{
	for (size_t i = 0; i < w->map.n; i++)
		if (w->map.v[i].logical < at + n && at < w->map.v[i].logical + w->map.v[i].length)
			return false;
	return w->map_known;
}

static void map_image(struct wiper *w)
{
	struct err ignored = ERR_INIT;

	if (w->map_asked || S_ISBLK(w->st.st_mode))
		return;
	w->map_asked = true;
	w->map_known = extents_read(w->fd, &w->map, &ignored) == 1;
}

static int write_all(struct wiper *w, const struct msg_wipe_act *act, bool zeros, struct msg_wipe_result *m, struct err *e)
{
	if (w->zeros != zeros && wiper_fill(w, zeros, e) < 0)
		return -1;
	map_image(w);
	for (uint64_t at = act->offset, end = act->offset + act->length; at < end; ) {
		size_t n = end - at < WIPE_CHUNK ? (size_t)(end - at) : WIPE_CHUNK;
		bool hole = is_hole(w, at, n);
		ssize_t done = hole ? (ssize_t)n : put(w, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done != (ssize_t)n)
			put_slowly(w, at, n, m);
		else if (!hole)
			m->bytes += n;
		at += n;
	}
	if (sys_fdatasync(WIPE_SITE, w->fd) < 0)
		return err_sys(e, "sync after overwriting");
	m->done = m->bad == 0;
	return 0;
}

static int zero_out(struct wiper *w, const struct msg_wipe_act *act, struct msg_wipe_result *m, struct err *e)
{
	uint64_t range[2] = { act->offset, act->length };

	if (!S_ISBLK(w->st.st_mode))
		return write_all(w, act, true, m, e);
	if (ioctl(w->fd, BLKZEROOUT, range) < 0)
		return refuse(m, "BLKZEROOUT, so zeros are written", errno, e) < 0 ? -1 : write_all(w, act, true, m, e);
	m->bytes = act->length;
	m->done = true;
	return sys_fdatasync(WIPE_SITE, w->fd) < 0 ? err_sys(e, "sync after zeroing") : 0;
}

static int discard(struct wiper *w, const struct msg_wipe_act *act, struct msg_wipe_result *m, struct err *e)
{
	uint64_t range[2] = { act->offset, act->length };
	int r = S_ISBLK(w->st.st_mode) ? ioctl(w->fd, BLKDISCARD, range) :
	    fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)act->offset, (off_t)act->length);

	if (r < 0)
		return refuse(m, "discard", errno, e);
	m->bytes = act->length;
	m->done = true;
	return 0;
}

/* ---- reading back ---- */

static void classify(const struct wiper *w, size_t n, struct msg_wipe_result *m)
{
	static const uint8_t zero[512];

	for (size_t i = 0; i < n; i += sizeof(zero)) {
		size_t len = n - i < sizeof(zero) ? n - i : sizeof(zero);

		m->bytes += len;
		if (memcmp(w->buffer + i, w->pattern + i % WIPE_BLOCK, len) == 0)
			m->pattern += len;
		else if (memcmp(w->buffer + i, zero, len) == 0)
			m->zero += len;
		else
			m->other += len;
	}
}

static void read_slowly(struct wiper *w, uint64_t at, size_t n, struct msg_wipe_result *m)
{
	for (size_t k = 0; k < n; k += WIPE_BLOCK) {
		size_t len = n - k < WIPE_BLOCK ? n - k : WIPE_BLOCK;

		if (sys_pread(WIPE_SITE, w->fd, w->buffer, len, (off_t)(at + k)) == (ssize_t)len)
			classify(w, len, m);
		else
			note_bad(m, at + k, len);
	}
}

static int read_all(struct wiper *w, const struct msg_wipe_act *act, struct msg_wipe_result *m, struct err *e)
{
	if (w->zeros && wiper_fill(w, false, e) < 0)
		return -1;
	if (S_ISBLK(w->st.st_mode))
		(void)ioctl(w->fd, BLKFLSBUF, 0);	/* the reads go past the cache anyhow */
	for (uint64_t at = act->offset, end = act->offset + act->length; at < end; ) {
		size_t n = end - at < WIPE_CHUNK ? (size_t)(end - at) : WIPE_CHUNK;
		ssize_t got = sys_pread(WIPE_SITE, w->fd, w->buffer, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == (ssize_t)n)
			classify(w, n, m);
		else
			read_slowly(w, at, n, m);
		at += n;
	}
	m->done = true;
	return 0;
}

int wipe_range(struct wiper *w, const struct msg_wipe_act *act, struct msg_wipe_result *m, struct err *e)
{
	if (act->offset % WIPE_BLOCK || act->offset + act->length > w->size)
		return err_set(e, ERR_INTEGRITY, "wipe: %" PRIu64 " bytes at %" PRIu64 " are no range of a medium of %" PRIu64, act->length, act->offset, w->size);
	switch ((enum msg_wipe_how)act->how) {
	case MSG_WIPE_OVERWRITE: return write_all(w, act, false, m, e);
	case MSG_WIPE_ZEROOUT: return zero_out(w, act, m, e);
	case MSG_WIPE_DISCARD: return discard(w, act, m, e);
	case MSG_WIPE_READ: return read_all(w, act, m, e);
	case MSG_WIPE_DEVICE: break;
	}
	return wipe_device(w, m, e);
}
