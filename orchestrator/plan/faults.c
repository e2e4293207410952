#include "faults.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "esc.h"

/* Columns one escaped character takes on a terminal; CJK takes two.  wcwidth needs a locale, this does not. */
static int columns_of(uint32_t c)
{
	static const struct { uint32_t from, to; } wide[] = {
		{ 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0xa4cf }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff },
		{ 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1faff }, { 0x20000, 0x3fffd } };

	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
		if (c >= wide[i].from && c <= wide[i].to)
			return 2;
	return (c >= 0x300 && c <= 0x36f) ? 0 : 1;
}

/* Terminal columns of valid UTF-8 text (the output of esc_put always is). */
static int text_columns(const char *s, size_t n)
{
	int cols = 0;

	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)s[i];
		size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		uint32_t cp = len == 1 ? c : c & (0x7fu >> len);

		for (size_t k = 1; k < len && i + k < n; k++)
			cp = cp << 6 | ((unsigned char)s[i + k] & 0x3f);
		cols += columns_of(cp);
		i += len;
	}
	return cols;
}

static size_t line_start(const struct fault_source *s, size_t off)
{
	while (off > 0 && s->text[off - 1] != '\n')
		off--;
	return off;
}

static size_t line_end(const struct fault_source *s, size_t off)
{
	while (off < s->len && s->text[off] != '\n' && s->text[off] != '\r')
		off++;
	return off;
}

struct plan_pos fault_pos(const struct fault_source *s, size_t off)
{
	struct plan_pos pos = { 1, 1 };
	size_t start;

	if (off == AT_FILE)
		return (struct plan_pos){ 0, 0 };
	if (off > s->len)
		off = s->len;
	for (size_t i = 0; i < off; i++)
		pos.line += s->text[i] == '\n';
	start = line_start(s, off);
	for (size_t i = start; i < off; i++)
		pos.column += ((unsigned char)s->text[i] & 0xc0) != 0x80;
	return pos;
}

/* Escaped, with tabs as one space so that the caret stands right. */
static void put_excerpt(struct buf *b, const char *p, size_t n)
{
	for (size_t i = 0, from = 0; i <= n; i++) {
		if (i < n && p[i] != '\t')
			continue;
		esc_put(b, p + from, i - from);
		if (i < n)
			buf_putc(b, ' ');
		from = i + 1;
	}
}

#define EXCERPT_BYTES 160	/* a longer line is cut around the fault */

static size_t char_boundary(const struct fault_source *s, size_t off)
{
	while (off < s->len && ((unsigned char)s->text[off] & 0xc0) == 0x80)
		off++;
	return off;
}

static void set_excerpt(const struct fault_source *s, struct plan_fault *f, size_t off)
{
	OWN_BUF struct buf b = BUF_INIT;
	size_t from = line_start(s, off), to = line_end(s, off), end;

	if (to - from > EXCERPT_BYTES) {
		if (off - from > EXCERPT_BYTES / 2)
			from = char_boundary(s, off - EXCERPT_BYTES / 2);
		if (to - from > EXCERPT_BYTES)
			to = char_boundary(s, from + EXCERPT_BYTES);
	}
	end = off + (size_t)f->width;
	if (end > to)
		end = to;
	put_excerpt(&b, s->text + from, off - from);
	f->caret = text_columns(b.data ? b.data : "", b.len);
	if (end > off) {
		size_t before = b.len;

		put_excerpt(&b, s->text + off, end - off);
		if (!b.failed)
			f->caret_width = text_columns(b.data + before, b.len - before);
		put_excerpt(&b, s->text + end, to - end);
	}
	if (f->caret_width < 1)
		f->caret_width = 1;
	f->excerpt = buf_take(&b);
}

static struct plan_fault *fault_slot(struct plan_faults *f)
{
	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 16;
		struct plan_fault *v = realloc(f->v, cap * sizeof(*v));

		if (!v)
			return NULL;
		f->v = v;
		f->cap = cap;
	}
	memset(&f->v[f->n], 0, sizeof(f->v[f->n]));
	return &f->v[f->n];
}

static char *escaped_format(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
static char *escaped_format(const char *fmt, va_list ap)
{
	OWN_FREE char *raw = NULL;

	if (vasprintf(&raw, fmt, ap) < 0) {
		raw = NULL;
		return NULL;
	}
	return esc_dup(raw, strlen(raw));
}

static void add(struct fault_source *s, size_t off, size_t width, const char *hint, const char *fmt, va_list ap)
    __attribute__((format(printf, 5, 0)));
static void add(struct fault_source *s, size_t off, size_t width, const char *hint, const char *fmt, va_list ap)
{
	struct plan_faults *out = s->out;
	struct plan_pos pos = fault_pos(s, off);
	struct plan_fault *f;

	if (out->n >= PLAN_FAULT_CAP)
		return;
	if (!(f = fault_slot(out))) {
		out->out_of_memory = true;
		return;
	}
	f->line = pos.line;
	f->column = pos.column;
	f->width = width > 0 && width < 4096 ? (int)width : 1;
	f->message = escaped_format(fmt, ap);
	if (hint)
		f->hint = esc_dup(hint, strlen(hint));
	if (off != AT_FILE)
		set_excerpt(s, f, off > s->len ? s->len : off);
	if (!f->message || (hint && !f->hint) || (off != AT_FILE && !f->excerpt))
		out->out_of_memory = true;
	out->n++;
}

void fault_add(struct fault_source *s, size_t off, size_t width, const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(s, off, width, hint, fmt, ap);
	va_end(ap);
}

void fault_add_at(struct fault_source *s, int line, int column, const char *hint, const char *fmt, ...)
{
	size_t off = 0;
	va_list ap;

	for (int i = 1; i < line && off < s->len; off++)
		i += s->text[off] == '\n';
	while (--column > 0 && off < s->len && s->text[off] != '\n')
		off = char_boundary(s, off + 1);
	/* A parser that met the end of the text reports the line after it: point at the last one. */
	if (off == s->len && off > 0 && s->text[off - 1] == '\n')
		off--;
	va_start(ap, fmt);
	add(s, off, 1, hint, fmt, ap);
	va_end(ap);
}

static int by_place(const void *pa, const void *pb)
{
	const struct plan_fault *a = pa, *b = pb;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return (a->column > b->column) - (a->column < b->column);
}

void fault_sort(struct plan_faults *f)
{
	if (f->n > 1)
		qsort(f->v, f->n, sizeof(*f->v), by_place);
}

void plan_faults_dispose(struct plan_faults *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].message);
		free(f->v[i].hint);
		free(f->v[i].excerpt);
	}
	free(f->v);
	free(f->file);
	*f = (struct plan_faults)PLAN_FAULTS_INIT;
}

static void print_one(const char *file, const struct plan_fault *f, FILE *to, bool colour)
{
	const char *bold = colour ? "\033[1m" : "", *red = colour ? "\033[1;31m" : "", *off = colour ? "\033[0m" : "";

	if (f->line == 0) {
		fprintf(to, "%s%s:%s %s\n", bold, file, off, f->message);
	} else {
		fprintf(to, "%s%s:%d:%d:%s %s\n", bold, file, f->line, f->column, off, f->message);
		fprintf(to, "%5d | %s\n", f->line, f->excerpt);
		fprintf(to, "      | %*s%s^", f->caret, "", red);
		for (int i = 1; i < f->caret_width; i++)
			fputc('~', to);
		fprintf(to, "%s\n", off);
	}
	if (f->hint)
		fprintf(to, "hint: %s\n", f->hint);
}

void plan_faults_print(const struct plan_faults *f, FILE *to, bool colour)
{
	const char *file = f->file ? f->file : "plan";

	if (f->out_of_memory) {
		fprintf(to, "%s: out of memory while the plan was checked\n", file);
		return;
	}
	for (size_t i = 0; i < f->n; i++)
		print_one(file, &f->v[i], to, colour);
	if (f->n >= PLAN_FAULT_CAP)
		fprintf(to, "%s: more than %d faults; the rest is not listed\n", file, PLAN_FAULT_CAP);
}

int plan_faults_err(const struct plan_faults *f, struct err *e)
{
	const char *file = f->file ? f->file : "plan";
	const struct plan_fault *one = f->v;

	if (f->out_of_memory || f->n == 0)
		return err_set(e, ERR_TEMPORARY, "%s: out of memory while the plan was checked", file);
	if (one->line == 0)
		err_set(e, ERR_USAGE, "%s: %s", file, one->message);
	else
		err_set(e, ERR_USAGE, "%s:%d:%d: %s", file, one->line, one->column, one->message);
	if (f->n > 1)
		err_hint(e, "%zu more fault%s, all shown by `waybill check`", f->n - 1, f->n == 2 ? "" : "s");
	return -1;
}
