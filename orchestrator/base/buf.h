/*
 * buf - a byte string that grows, with a sticky error.
 *
 *   BUF_INIT -> buf_put* -> check buf_failed() or buf_finish() once -> buf_dispose
 *
 * Appending after a failed allocation does nothing; the failure is seen once, at the end.  The bytes are
 * always followed by a NUL that is not counted in len.
 */
#ifndef BUF_H
#define BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"

struct buf {
	char *data;		/* owned; NULL while empty */
	size_t len;		/* bytes used, without the NUL */
	size_t cap;
	bool failed;		/* out of memory, or over the limit of SIZE_MAX/2 */
};
#define BUF_INIT { NULL, 0, 0, false }
#define OWN_BUF OWN(buf_dispose)

void buf_dispose(struct buf *b);		/* frees the bytes; b is empty and usable afterwards */
void buf_reset(struct buf *b);			/* len = 0, keeps the memory, clears failed */
/* Room for n more bytes; NULL (and sticky failure) when memory is short. */
char *buf_reserve(struct buf *b, size_t n);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* n in decimal digits, at least `digits` of them (zeros in front; at most 20); quicker than buf_printf where a line has many. */
void buf_put_decimal(struct buf *b, uint64_t n, unsigned digits);
/* Little-endian integers, and LEB128 varints (at most 10 bytes). */
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_varint(struct buf *b, uint64_t v);
void buf_put_zigzag(struct buf *b, int64_t v);
/* varint length, then the bytes. */
void buf_put_bytes(struct buf *b, const void *p, size_t n);
/* Drop the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* 0, or -1 (temporary, ENOMEM) when an append failed. */
int buf_finish(const struct buf *b, struct err *e) MUST_CHECK;
/* Hand the NUL-terminated bytes over; b is empty afterwards.  Never NULL unless memory is exhausted. */
char *buf_take(struct buf *b);

/*
 * view - reading untrusted bytes.  Every getter checks the length first; the first failure sticks, getters
 * then return 0 / NULL.  Check view_done() at the end: trailing bytes are an error as well.
 */
struct view {
	const uint8_t *p, *end;	/* borrowed */
	bool failed;
};
struct view view_of(const void *p, size_t n);
uint8_t view_u8(struct view *v);
uint16_t view_u16(struct view *v);
uint32_t view_u32(struct view *v);
uint64_t view_u64(struct view *v);
uint64_t view_varint(struct view *v);
int64_t view_zigzag(struct view *v);
/* n raw bytes, borrowed from the source; NULL on shortage. */
const uint8_t *view_raw(struct view *v, size_t n);
/* varint length (at most max) then bytes, borrowed; *n is set; NULL on shortage or excess. */
const uint8_t *view_bytes(struct view *v, size_t max, size_t *n);
static inline size_t view_left(const struct view *v) { return v->failed ? 0 : (size_t)(v->end - v->p); }
/* True when nothing failed and nothing is left. */
static inline bool view_done(const struct view *v) { return !v->failed && v->p == v->end; }

#endif
