/*
 * wipe - inside of the role that destroys whole devices; shared by wipe*.c only.
 *
 * wipe.c         may it at all, messages, what is there
 * wipe_range.c   overwriting, zeroing, discarding and reading back a range
 * wipe_device.c  the device's own sanitize: NVMe and ATA
 * wipe_crypt.c   an encrypted volume that is open
 */
#ifndef WIPE_H
#define WIPE_H

#include <sys/stat.h>

#include "agent.h"
#include "extents.h"
#include "messages_wipe.h"

#define WIPE_SITE "wipe"		/* of the fault seam */
#define WIPE_CHUNK (1u << 20)
#define WIPE_BLOCK 4096u

struct wiper {
	int fd;				/* owned: O_DIRECT, and O_EXCL on a block device */
	struct stat st;
	uint64_t size;
	uint32_t sector;
	uint8_t *pattern, *buffer;	/* owned, page-aligned, WIPE_CHUNK each; the pattern is one 4 KiB block over and over, without a zero byte */
	bool zeros;			/* pattern holds zeros meanwhile */
	uint8_t seed[MSG_WIPE_SEED];
	struct extents map;		/* of an image: where it has blocks */
	bool map_asked, map_known;
};

/* -1: memory or the seam.  The pattern of the seed, or zeros. */
int wiper_fill(struct wiper *w, bool zeros, struct err *e) MUST_CHECK;
/* Acts on a range (page-aligned but for the end).  0 also when the device refused: m->done is false then and text says why. */
int wipe_range(struct wiper *w, const struct msg_wipe_act *act, struct msg_wipe_result *m, struct err *e) MUST_CHECK;

/* Does the device say that it can sanitize itself?  NULL, or the name of what would be asked of it. */
const char *wipe_device_method(int fd, const struct stat *st);
/* Asks for it and waits for its end; as wipe_range. */
int wipe_device(struct wiper *w, struct msg_wipe_result *m, struct err *e) MUST_CHECK;

/* Is all that uses the device one dm-crypt volume on it, which itself is used by nobody? */
bool wipe_crypt_open(const struct stat *st);
/* Closes that: its key leaves the kernel.  ERR_REFUSED when that cannot be done. */
int wipe_crypt_close(const struct stat *st, struct err *e) MUST_CHECK;

#endif
