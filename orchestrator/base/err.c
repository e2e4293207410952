#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "esc.h"

static enum err_class class_of_errno(int n)
{
	switch (n) {
	case ENOSPC: case EDQUOT: case EINTR: case EAGAIN: case ENOMEM: case ETIMEDOUT: case ECONNRESET:
	case ECONNABORTED: case EPIPE: case ENETDOWN: case ENETRESET: case ENETUNREACH: case EHOSTUNREACH:
	case EBUSY: case ENFILE: case EMFILE: case EIO: case ESTALE:
		return ERR_TEMPORARY;
	default:
		return ERR_PERMANENT;
	}
}

int err_set(struct err *e, enum err_class c, const char *fmt, ...)
{
	va_list ap;

	e->class = c;
	e->sys = 0;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	esc_trim(e->text);
	return -1;
}

int err_sys(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	int n;

	e->class = class_of_errno(saved);
	e->sys = saved;
	va_start(ap, fmt);
	n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(e->text)) {
		char tmp[128];
		(void)snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s",
		    strerror_r(saved, tmp, sizeof(tmp)));
	}
	esc_trim(e->text);
	return -1;
}

int err_at(struct err *e, const char *fmt, ...)
{
	char old[ERR_TEXT_MAX / 2 + 1];	/* the context is what is new: a long text loses its tail */
	va_list ap;
	int n;

	(void)snprintf(old, sizeof(old), "%.*s", (int)sizeof(old) - 1, e->text);
	esc_trim(old);
	va_start(ap, fmt);
	n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(e->text))
		(void)snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %.*s",
		    (int)sizeof(old) - 1, old);
	esc_trim(e->text);
	return -1;
}

int err_hint(struct err *e, const char *fmt, ...)
{
	size_t n = strlen(e->text);
	va_list ap;

	if (n + 3 >= sizeof(e->text))
		return -1;
	memcpy(e->text + n, "; ", 3);
	va_start(ap, fmt);
	(void)vsnprintf(e->text + n + 2, sizeof(e->text) - n - 2, fmt, ap);
	va_end(ap);
	esc_trim(e->text);
	return -1;
}

void err_clear(struct err *e)
{
	e->class = ERR_NONE;
	e->sys = 0;
	e->text[0] = '\0';
}

int err_exit_code(enum err_class c)
{
	switch (c) {
	case ERR_NONE: return 0;
	case ERR_USAGE: return 2;
	case ERR_WAITING: return 3;
	case ERR_INTEGRITY: return 4;
	case ERR_UNVERIFIED: return 5;
	case ERR_REFUSED: return 6;
	case ERR_UNREACHABLE: return 7;
	case ERR_TEMPORARY: case ERR_CANCELLED: return 8;
	case ERR_DOWN: return 9;
	case ERR_PERMANENT: case ERR_BUG: break;
	}
	return 1;
}

int err_worse_exit(int a, int b)
{
	static const int order[] = { 9, 4, 5, 6, 7, 8, 1, 2, 3, 0 };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return a;
}

const char *err_class_name(enum err_class c)
{
	static const char *const names[] = { "none", "usage", "temporary", "permanent", "integrity",
		"unverified", "refused", "unreachable", "waiting", "cancelled", "down", "bug" };

	return (size_t)c < sizeof(names) / sizeof(names[0]) ? names[c] : "bug";
}
