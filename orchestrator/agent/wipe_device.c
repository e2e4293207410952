/* A device that sanitizes itself: NVMe Sanitize, ATA SANITIZE DEVICE.  Its word is a statement of the device, no proof of ours. */
#include "wipe.h"

#include <errno.h>
#include <linux/nvme_ioctl.h>
#include <scsi/sg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define WAIT_S (24 * 3600)
#define POLL_S 5

/* ---- NVMe (base specification: Identify Controller, Sanitize, log page 81h) ---- */

enum { NVME_IDENTIFY = 0x06, NVME_GET_LOG = 0x02, NVME_SANITIZE = 0x84, NVME_LOG_SANITIZE = 0x81 };
enum { SANICAP_CRYPTO = 1, SANICAP_BLOCK = 2, SANICAP_OVERWRITE = 4 };
enum { SANACT_BLOCK = 2, SANACT_OVERWRITE = 3, SANACT_CRYPTO = 4 };

static uint32_t le32(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

static int nvme(int fd, uint8_t opcode, uint32_t cdw10, void *data, uint32_t len)
{
	struct nvme_admin_cmd c = { .opcode = opcode, .cdw10 = cdw10, .addr = (uint64_t)(uintptr_t)data, .data_len = len, .timeout_ms = 60000 };

	if (opcode == NVME_GET_LOG)
		c.nsid = 0xffffffff;
	return ioctl(fd, NVME_IOCTL_ADMIN_CMD, &c);
}

/* The action to ask for, 0 = none.  A sanitize strikes every namespace of the controller: only where there is a single one. */
static uint32_t nvme_action(int fd)
{
	uint8_t id[4096] = { 0 };
	uint32_t can;

	if (nvme(fd, NVME_IDENTIFY, 1, id, sizeof(id)) != 0 || le32(id + 516) != 1)
		return 0;
	can = le32(id + 328);
	return can & SANICAP_BLOCK ? SANACT_BLOCK : can & SANICAP_CRYPTO ? SANACT_CRYPTO : can & SANICAP_OVERWRITE ? SANACT_OVERWRITE : 0;
}

/* 1 done, 0 under way, -1 failed or unknown. */
static int nvme_state(int fd)
{
	uint8_t log[512] = { 0 };

	if (nvme(fd, NVME_GET_LOG, NVME_LOG_SANITIZE | (sizeof(log) / 4 - 1) << 16, log, sizeof(log)) != 0)
		return -1;
	switch (log[2] & 7) {
	case 1: case 4: return 1;
	case 2: return 0;
	default: return -1;
	}
}

/* ---- ATA (ACS-3: SANITIZE DEVICE, through SAT's ATA PASS-THROUGH (16)) ---- */

enum { ATA_SANITIZE = 0xb4, ATA_IDENTIFY = 0xec };
enum { FEATURE_STATUS = 0x0000, FEATURE_CRYPTO = 0x0011, FEATURE_BLOCK = 0x0012 };

static int ata(int fd, uint8_t command, uint16_t feature, uint64_t lba, void *data, unsigned len, uint8_t sense[32])
{
	uint8_t cdb[16] = { 0x85, (uint8_t)(len ? 4 << 1 : 3 << 1) | 1, (uint8_t)(len ? 0x0e : 0x20), (uint8_t)(feature >> 8), (uint8_t)feature, 0,
		(uint8_t)(len / 512), (uint8_t)(lba >> 24), (uint8_t)lba, (uint8_t)(lba >> 32), (uint8_t)(lba >> 8), (uint8_t)(lba >> 40),
		(uint8_t)(lba >> 16), 0x40, command, 0 };
	struct sg_io_hdr io = { .interface_id = 'S', .cmd_len = sizeof(cdb), .mx_sb_len = 32, .cmdp = cdb, .sbp = sense,
		.dxfer_direction = len ? SG_DXFER_FROM_DEV : SG_DXFER_NONE, .dxfer_len = len, .dxferp = data, .timeout = 60000 };

	memset(sense, 0, 32);
	if (ioctl(fd, SG_IO, &io) < 0)
		return -1;
	/* Check condition with the descriptor of an ATA return: the command itself went well when ERR and DF are clear. */
	if (io.host_status || (io.driver_status & ~8u) || (io.status && io.status != 2))
		return -1;
	return sense[0] == 0x72 && sense[8] == 9 && (sense[21] & 0x21) ? -1 : 0;
}

static uint16_t ata_feature(int fd)
{
	uint8_t id[512] = { 0 }, sense[32];
	unsigned can;

	if (ata(fd, ATA_IDENTIFY, 0, 0, id, sizeof(id), sense) < 0)
		return 0;
	can = id[118] | (unsigned)id[119] << 8;		/* word 59: bit 12 supported, 13 crypto, 15 block erase */
	return !(can & 1u << 12) ? 0 : can & 1u << 15 ? FEATURE_BLOCK : can & 1u << 13 ? FEATURE_CRYPTO : 0;
}

static int ata_state(int fd)
{
	uint8_t sense[32];
	unsigned count;

	if (ata(fd, ATA_SANITIZE, FEATURE_STATUS, 0, NULL, 0, sense) < 0 || sense[0] != 0x72 || sense[8] != 9)
		return -1;
	count = (unsigned)sense[12] << 8 | sense[13];		/* bit 15 completed without error, 14 in progress */
	return count & 1u << 15 ? 1 : count & 1u << 14 ? 0 : -1;
}

/* ---- either ---- */

const char *wipe_device_method(int fd, const struct stat *st)
{
	if (!S_ISBLK(st->st_mode))
		return NULL;
	if (nvme_action(fd))
		return "NVMe Sanitize";
	return ata_feature(fd) ? "ATA SANITIZE DEVICE" : NULL;
}

static int say(struct msg_wipe_result *m, bool done, const char *text, struct err *e)
{
	m->done = done;
	free(m->text);
	return (m->text = strdup(text)) ? 0 : err_set(e, ERR_TEMPORARY, "out of memory");
}

static int wait_for(struct wiper *w, int (*state)(int fd), struct msg_wipe_result *m, struct err *e)
{
	const struct timespec pause = { POLL_S, 0 };

	for (unsigned waited = 0; waited < WAIT_S; waited += POLL_S) {
		int s = state(w->fd);

		if (s > 0)
			m->bytes = w->size;
		if (s != 0)
			return say(m, s > 0, s > 0 ? "the device reports that it is done" : "the device reports a failure", e);
		(void)nanosleep(&pause, NULL);
	}
	return say(m, false, "the device did not come to its end within a day", e);
}

int wipe_device(struct wiper *w, struct msg_wipe_result *m, struct err *e)
{
	uint32_t action = S_ISBLK(w->st.st_mode) ? nvme_action(w->fd) : 0;
	uint16_t feature;
	uint8_t sense[32];

	if (action)
		return nvme(w->fd, NVME_SANITIZE, action, NULL, 0) != 0 ? say(m, false, "the device refused NVMe Sanitize", e) : wait_for(w, nvme_state, m, e);
	feature = S_ISBLK(w->st.st_mode) ? ata_feature(w->fd) : 0;
	if (!feature)
		return say(m, false, "the device offers no sanitize command", e);
	if (ata(w->fd, ATA_SANITIZE, feature, feature == FEATURE_BLOCK ? 0x426b4572u : 0x43727970u, NULL, 0, sense) < 0)
		return say(m, false, "the device refused ATA SANITIZE DEVICE", e);
	return wait_for(w, ata_state, m, e);
}
