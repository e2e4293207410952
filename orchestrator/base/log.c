#include "log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "esc.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum log_level max_level = LOG_WARN;
static int log_fd = -1;
static void (*before_line)(void *);
static void *before_ctx;

void log_setup(enum log_level level, int file_fd)
{
	pthread_mutex_lock(&lock);
	max_level = level;
	log_fd = file_fd;
	pthread_mutex_unlock(&lock);
}

void log_set_hook(void (*before)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&lock);
	before_line = before;
	before_ctx = ctx;
	pthread_mutex_unlock(&lock);
}

/* A log that cannot be written must not stop a migration: the result is deliberately unused. */
static void put(int fd, const struct buf *b)
{
	ssize_t r = b->failed ? 0 : write(fd, b->data, b->len);
	(void)r;
}

/* Like esc_put, but our own messages may hold several lines and already escaped names (backslashes stay). */
static void put_safe(struct buf *b, const char *s)
{
	while (*s) {
		size_t n = strcspn(s, "\\\n");

		esc_put(b, s, n);
		s += n;
		if (*s)
			buf_putc(b, *s++);
	}
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const words[] = { "error", "warning", "info", "debug" };
	OWN_BUF struct buf text = BUF_INIT, line = BUF_INIT;
	char raw[4096], at[CLOCK_TEXT];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	put_safe(&text, raw);
	buf_putc(&text, '\n');
	pthread_mutex_lock(&lock);
	if (level <= max_level) {
		if (before_line)
			before_line(before_ctx);
		if (level <= LOG_WARN)
			buf_printf(&line, "waybill: %s%s", level == LOG_WARN ? "warning: " : "", text.data);
		else
			buf_puts(&line, text.data);
		put(STDERR_FILENO, &line);
	}
	if (log_fd >= 0) {
		buf_reset(&line);
		buf_printf(&line, "%s %s %s", clock_text_utc(clock_now_ns() / 1000000000, at), words[level], text.data);
		put(log_fd, &line);
	}
	pthread_mutex_unlock(&lock);
}
