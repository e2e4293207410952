#include "buf.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

void buf_dispose(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_INIT;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

char *buf_reserve(struct buf *b, size_t n)
{
	size_t need, cap;
	char *p;

	if (b->failed || n >= SIZE_MAX / 2 - b->len - 1) {
		b->failed = true;
		return NULL;
	}
	need = b->len + n + 1;
	if (need > b->cap) {
		cap = b->cap ? b->cap : 64;
		while (cap < need)
			cap *= 2;
		if (!(p = realloc(b->data, cap))) {
			b->failed = true;
			return NULL;
		}
		b->data = p;
		b->cap = cap;
	}
	return b->data + b->len;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	char *d = buf_reserve(b, n);

	if (!d)
		return;
	if (n)
		memcpy(d, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *s) { buf_put(b, s, strlen(s)); }
void buf_putc(struct buf *b, char c) { buf_put(b, &c, 1); }

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;
	char *d;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !(d = buf_reserve(b, (size_t)n))) {
		b->failed = true;
	} else {
		(void)vsnprintf(d, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void buf_put_decimal(struct buf *b, uint64_t n, unsigned digits)
{
	char t[20];
	size_t at = sizeof(t);

	do
		t[--at] = (char)('0' + n % 10);
	while ((n /= 10));
	while (sizeof(t) - at < digits && at)
		t[--at] = '0';
	buf_put(b, t + at, sizeof(t) - at);
}

static void put_le(struct buf *b, uint64_t v, size_t n)
{
	uint8_t t[8];

	for (size_t i = 0; i < n; i++, v >>= 8)
		t[i] = (uint8_t)v;
	buf_put(b, t, n);
}

void buf_put_u8(struct buf *b, uint8_t v) { put_le(b, v, 1); }
void buf_put_u16(struct buf *b, uint16_t v) { put_le(b, v, 2); }
void buf_put_u32(struct buf *b, uint32_t v) { put_le(b, v, 4); }
void buf_put_u64(struct buf *b, uint64_t v) { put_le(b, v, 8); }

void buf_put_varint(struct buf *b, uint64_t v)
{
	uint8_t t[10];
	size_t n = 0;

	do {
		t[n] = (uint8_t)(v & 0x7f);
		v >>= 7;
		if (v)
			t[n] |= 0x80;
		n++;
	} while (v);
	buf_put(b, t, n);
}

void buf_put_zigzag(struct buf *b, int64_t v)
{
	buf_put_varint(b, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

void buf_put_bytes(struct buf *b, const void *p, size_t n)
{
	buf_put_varint(b, n);
	buf_put(b, p, n);
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
	} else if (n) {
		memmove(b->data, b->data + n, b->len - n);
		b->len -= n;
	}
	if (b->data)
		b->data[b->len] = '\0';
}

int buf_finish(const struct buf *b, struct err *e)
{
	if (!b->failed)
		return 0;
	errno = ENOMEM;
	return err_sys(e, "building a message");
}

char *buf_take(struct buf *b)
{
	char *p;

	if (!b->data)
		buf_put(b, "", 0);
	p = b->failed ? NULL : b->data;
	if (b->failed)
		free(b->data);
	*b = (struct buf)BUF_INIT;
	return p;
}

struct view view_of(const void *p, size_t n)
{
	struct view v = { p, p, false };

	if (p)
		v.end = v.p + n;
	return v;
}

const uint8_t *view_raw(struct view *v, size_t n)
{
	const uint8_t *p = v->p;

	if (v->failed || (size_t)(v->end - v->p) < n) {
		v->failed = true;
		return NULL;
	}
	v->p += n;
	return p;
}

static uint64_t get_le(struct view *v, size_t n)
{
	const uint8_t *p = view_raw(v, n);
	uint64_t r = 0;

	if (!p)
		return 0;
	while (n--)
		r = r << 8 | p[n];
	return r;
}

uint8_t view_u8(struct view *v) { return (uint8_t)get_le(v, 1); }
uint16_t view_u16(struct view *v) { return (uint16_t)get_le(v, 2); }
uint32_t view_u32(struct view *v) { return (uint32_t)get_le(v, 4); }
uint64_t view_u64(struct view *v) { return get_le(v, 8); }

uint64_t view_varint(struct view *v)
{
	uint64_t r = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t c = view_u8(v);

		if (v->failed)
			return 0;
		if (shift == 63 && c > 1)
			break;
		r |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return r;
	}
	v->failed = true;
	return 0;
}

int64_t view_zigzag(struct view *v)
{
	uint64_t u = view_varint(v);

	return (int64_t)(u >> 1 ^ (u & 1 ? UINT64_MAX : 0));
}

const uint8_t *view_bytes(struct view *v, size_t max, size_t *n)
{
	uint64_t len = view_varint(v);

	*n = 0;
	if (v->failed || len > max) {
		v->failed = true;
		return NULL;
	}
	*n = (size_t)len;
	return view_raw(v, (size_t)len);
}
