/* sftp_wire - requests and answers of SFTP version 3; inside sftp*.c only. */
#ifndef SFTP_WIRE_H
#define SFTP_WIRE_H

#include "sftp.h"

enum { FXP_INIT = 1, FXP_VERSION = 2, FXP_OPEN = 3, FXP_CLOSE = 4, FXP_READ = 5, FXP_WRITE = 6, FXP_LSTAT = 7, FXP_REMOVE = 13,
	FXP_MKDIR = 14, FXP_RMDIR = 15, FXP_RENAME = 18, FXP_STATUS = 101, FXP_HANDLE = 102, FXP_DATA = 103, FXP_ATTRS = 105,
	FXP_EXTENDED = 200 };
enum { FX_OK = 0, FX_EOF = 1, FX_NO_SUCH_FILE = 2, FX_PERMISSION_DENIED = 3 };
enum { FXF_READ = 1, FXF_WRITE = 2, FXF_CREAT = 8, FXF_TRUNC = 16 };

#define SFTP_PIECE 32768u	/* every server takes this much (draft 02, section 3) */
#define SFTP_IN_FLIGHT 64u	/* 2 MiB: what the window of a channel holds */
#define SFTP_HANDLE_MAX 256

struct sftp {
	struct host *host;
	struct channel *channel;
	struct sftp_watch watch;
	bool fsync;
	uint32_t next_id;
	struct buf out, in;	/* the request that is put together; the body of the last answer, id and all */
};

struct sftp_reply { int type; uint32_t id; struct view rest; };	/* rest points into in, until the next answer */

/* Numbers are big-endian here. */
void sftp_put32(struct buf *b, uint32_t v);
void sftp_put64(struct buf *b, uint64_t v);
void sftp_put_string(struct buf *b, const void *p, size_t n);
uint32_t sftp_get32(struct view *v);
uint64_t sftp_get64(struct view *v);
const uint8_t *sftp_get_string(struct view *v, size_t *n);

/* begin (id unless INIT), put the rest into s->out, then submit. */
uint32_t sftp_begin(struct sftp *s, int type);
int sftp_submit(struct sftp *s, struct err *e) MUST_CHECK;
int sftp_answer(struct sftp *s, struct sftp_reply *r, struct err *e) MUST_CHECK;
/* The answer to id: 0 when it is of type want or an OK where FXP_STATUS is wanted; doing and path are for the message. */
int sftp_expect(struct sftp *s, uint32_t id, int want, struct sftp_reply *r, const char *doing, const char *path, struct err *e) MUST_CHECK;
int sftp_tick(struct sftp *s, uint64_t moved, struct err *e) MUST_CHECK;

#endif
