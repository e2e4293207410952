#include <string.h>

#include "route.h"

static void quote_word(struct buf *b, const char *s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:,+@%=";

	if (*s && !s[strspn(s, plain)] && !strchr(s, '=')) {
		buf_puts(b, s);
		return;
	}
	buf_putc(b, '\'');
	for (; *s; s++) {
		if (*s == '\'')
			buf_puts(b, "'\\''");
		else
			buf_putc(b, *s);
	}
	buf_putc(b, '\'');
}

void shell_quote(struct buf *b, const char *const *argv)
{
	for (size_t i = 0; argv[i]; i++) {
		if (i)
			buf_putc(b, ' ');
		quote_word(b, argv[i]);
	}
}

void keep_tail(struct buf *b, size_t limit)
{
	if (b->len > limit)
		buf_consume(b, b->len - limit);
}
