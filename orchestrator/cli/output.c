#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "clock.h"
#include "esc.h"

json_t *out_json_bytes(const void *p, size_t n)
{
	OWN_FREE char *s = esc_dup(p, n);

	return s ? json_string(s) : NULL;
}

json_t *out_json_text(const char *s) { return s ? out_json_bytes(s, strlen(s)) : json_null(); }

json_t *out_json_time(int64_t epoch_s, const char *zone)
{
	char text[CLOCK_TEXT];

	return epoch_s ? json_string(clock_text(epoch_s, zone, text)) : json_null();
}

int out_json_set(json_t *obj, const char *key, json_t *value, struct err *e)
{
	if (!obj || !value || json_object_set_new(obj, key, value) < 0) {
		if (!obj)
			json_decref(value);
		return err_set(e, ERR_TEMPORARY, "out of memory");
	}
	return 0;
}

int out_json(struct cli_context *c, json_t *obj, struct err *e)
{
	char *text = obj ? json_dumps(obj, JSON_COMPACT) : NULL;

	json_decref(obj);
	if (!text)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	c->printed_json = true;
	(void)puts(text);	/* checked by out_finish */
	(void)fflush(stdout);
	free(text);
	return out_finish(e);
}

void out_text(const struct cli_context *c, const char *fmt, ...)
{
	va_list ap;

	if (c->json || c->quiet)
		return;
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);		/* checked by out_finish */
	va_end(ap);
}

void out_raw(const void *p, size_t n)
{
	(void)fwrite(p, 1, n, stdout);	/* checked by out_finish */
}

int out_finish(struct err *e)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	if (errno)
		return err_sys(e, "standard output");
	return err_set(e, ERR_PERMANENT, "standard output could not take everything");
}

void out_error(const struct err *e)
{
	char line[ERR_TEXT_MAX + 16];
	size_t n = (size_t)snprintf(line, sizeof(line), "waybill: %s", e->text);

	/* The texts are escaped where they quote foreign bytes; this only keeps the promise of one line. */
	for (size_t i = 0; i < n && i < sizeof(line) - 1; i++)
		if ((unsigned char)line[i] < 0x20)
			line[i] = ' ';
	(void)fflush(stdout);
	fprintf(stderr, "%s\n", line);
}

/* ---- tables ---- */

static void put_cell(struct out_table *t, const char *text)
{
	if (t->nstarts == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		size_t *v = realloc(t->starts, cap * sizeof(*v));

		if (!v) {
			t->failed = true;
			return;
		}
		t->starts = v;
		t->cap = cap;
	}
	t->starts[t->nstarts++] = t->cells.len;
	buf_put(&t->cells, text, strlen(text) + 1);
	t->in_row++;
}

void out_cell(struct out_table *t, const char *fmt, ...)
{
	OWN_FREE char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		t->failed = true;
		return;
	}
	put_cell(t, text);
}

void out_row(struct out_table *t)
{
	while (t->in_row < t->columns && !t->failed)
		put_cell(t, "");
	t->in_row = 0;
	t->rows++;
}

int out_columns(const char *s)
{
	int cols = 0;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c & 0xc0) == 0x80)
			continue;
		/* Lead bytes e2..ef hold CJK from U+2E80 on, f0 the rest of it: near enough for a table. */
		cols += c >= 0xf0 || (c >= 0xe3 && c <= 0xed) || c == 0xef ? 2 : 1;
	}
	return cols;
}

static int table_width(const struct out_table *t, size_t column)
{
	int width = 0;

	for (size_t i = column; i < t->nstarts; i += t->columns) {
		int w = out_columns(t->cells.data + t->starts[i]);

		width = w > width ? w : width;
	}
	return width;
}

int out_table_print(const struct out_table *t, struct err *e)
{
	OWN_FREE int *width = calloc(t->columns + 1, sizeof(*width));

	if (!width || t->failed || t->cells.failed)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	for (size_t k = 0; k < t->columns; k++)
		width[k] = table_width(t, k);
	for (size_t i = 0; i < t->nstarts; i++) {
		const char *cell = t->cells.data + t->starts[i];
		size_t k = i % t->columns;

		if (k + 1 == t->columns)
			printf("%s\n", cell);
		else
			printf("%s%*s", cell, width[k] - out_columns(cell) + 2, "");
	}
	return out_finish(e);
}

void out_table_dispose(struct out_table *t)
{
	buf_dispose(&t->cells);
	free(t->starts);
	t->starts = NULL;
}

/* ---- numbers ---- */

char *out_size(uint64_t bytes, char out[OUT_SIZE])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1023.95 && u < 6) {
		v /= 1024;
		u++;
	}
	(void)snprintf(out, OUT_SIZE, u ? "%.1f %s" : "%.0f %s", v, units[u]);
	return out;
}

char *out_duration(double seconds, char out[OUT_SIZE])
{
	unsigned s = seconds < 0 ? 0 : seconds > 3e8 ? 300000000u : (unsigned)(seconds + 0.5);

	if (s < 100)
		(void)snprintf(out, OUT_SIZE, "%u s", s);
	else if (s < 100 * 60)
		(void)snprintf(out, OUT_SIZE, "%u min", (s + 30) / 60);
	else
		(void)snprintf(out, OUT_SIZE, "%u h %u min", s / 3600 % 100000, s / 60 % 60);
	return out;
}

enum log_level cli_log_level(const struct cli_context *c)
{
	if (c->quiet)
		return LOG_ERROR;
	return c->verbose >= 2 ? LOG_DEBUG : c->verbose == 1 ? LOG_INFO : LOG_WARN;
}
