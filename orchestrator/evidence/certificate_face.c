/* How a text and a page put lines, lists and values.  Everything foreign goes through put(). */
#include <string.h>

#include "certificate_private.h"

/* The paper is made of escaped text (esc.h); a page also needs its own five characters escaped. */
static void put(const struct face *f, const char *s)
{
	if (!f->html) {
		buf_puts(f->b, s);
		return;
	}
	for (; *s; s++) {
		const char *named = *s == '&' ? "&amp;" : *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '"' ? "&quot;" : *s == '\'' ? "&#39;" : NULL;

		if (named)
			buf_puts(f->b, named);
		else
			buf_putc(f->b, *s);
	}
}

static void tag(const struct face *f, const char *s)
{
	if (f->html)
		buf_puts(f->b, s);
}

/* A known word gets its Chinese before it. */
static void put_word(const struct face *f, const char *s)
{
	const char *zh = f->zh ? certificate_chinese(s) : NULL;

	if (zh) {
		put(f, zh);
		put(f, " ");
	}
	put(f, s);
}

static void put_key(const struct face *f, const char *key)
{
	const char *zh = f->zh ? certificate_key_chinese(key) : NULL;

	if (zh) {
		put(f, zh);
		put(f, " ");
	}
	put(f, key);
}

static void put_value(const struct face *f, const json_t *v)
{
	OWN_FREE char *dump = NULL;
	const char *key;
	json_t *m;
	size_t i, n = 0;

	if (json_is_string(v)) {
		put_word(f, *json_string_value(v) ? json_string_value(v) : "-");
	} else if (json_is_object(v)) {
		json_object_foreach((json_t *)(uintptr_t)v, key, m) {
			put(f, n++ ? ", " : "");
			put_key(f, key);
			put(f, " ");
			put_value(f, m);
		}
		if (!n)
			put_word(f, NOT_STATED);
	} else if (json_is_array(v)) {
		/* Several members stand below each other. */
		json_array_foreach(v, i, m) {
			tag(f, i ? "<br>" : "");
			put(f, f->html || json_array_size(v) < 2 ? "" : "\n    - ");
			put_value(f, m);
		}
		if (!json_array_size(v))
			put_word(f, "none");
	} else if (json_is_boolean(v)) {
		put_word(f, json_is_true(v) ? "true" : "false");
	} else if (v && !json_is_null(v)) {
		dump = json_dumps(v, JSON_ENCODE_ANY);
		put(f, dump ? dump : "?");
	} else {
		put(f, "-");
	}
}

static void label(const struct face *f, const char *zh, const char *en)
{
	if (f->zh) {
		put(f, zh);
		put(f, " ");
	}
	put(f, en);
}

static void close_table(struct face *f)
{
	if (f->table)
		tag(f, "</table>\n");
	f->table = false;
}

void face_heading(struct face *f, const char *zh, const char *en)
{
	close_table(f);
	put(f, f->html ? "" : "\n== ");
	tag(f, "<h2>");
	if (f->zh) {
		put(f, zh);
		put(f, " / ");
	}
	put(f, en);
	tag(f, "</h2>");
	put(f, f->html ? "\n" : " ==\n");
}

void face_line(struct face *f, const char *zh, const char *en, const json_t *v)
{
	if (f->html && !f->table)
		tag(f, "<table class=\"lines\">\n");
	f->table = f->html;
	tag(f, "<tr><th>");
	label(f, zh, en);
	put(f, f->html ? "" : ": ");
	tag(f, "</th><td>");
	put_value(f, v);
	tag(f, "</td></tr>");
	put(f, "\n");
}

void face_paragraph(struct face *f, const char *s)
{
	const char *zh = f->zh ? certificate_chinese(s) : NULL;

	close_table(f);
	for (int i = zh ? 0 : 1; i < 2; i++) {
		tag(f, "<p>");
		put(f, i ? s : zh);
		tag(f, "</p>");
		put(f, "\n");
	}
}

/* ---- lists ---- */

#define COLUMNS 16

static size_t columns_of(const json_t *list, const char *out[COLUMNS])
{
	const char *key;
	json_t *row, *v;
	size_t i, n = 0;

	json_array_foreach(list, i, row)
		json_object_foreach(row, key, v) {
			bool known = false;

			for (size_t k = 0; k < n; k++)
				known |= strcmp(out[k], key) == 0;
			if (!known && n < COLUMNS)
				out[n++] = key;
		}
	return n;
}

static bool all_small_objects(const json_t *list)
{
	json_t *row;
	size_t i;

	json_array_foreach(list, i, row)
		if (!json_is_object(row) || json_object_size(row) > COLUMNS)
			return false;
	return json_array_size(list) > 0;
}

static void page_table(struct face *f, const json_t *list)
{
	const char *column[COLUMNS];
	size_t n = columns_of(list, column), i;
	json_t *row;

	tag(f, "<table class=\"rows\"><tr>");
	for (size_t k = 0; k < n; k++) {
		tag(f, "<th>");
		put_key(f, column[k]);
		tag(f, "</th>");
	}
	tag(f, "</tr>\n");
	json_array_foreach(list, i, row) {
		tag(f, "<tr>");
		for (size_t k = 0; k < n; k++) {
			tag(f, "<td>");
			put_value(f, json_object_get(row, column[k]));
			tag(f, "</td>");
		}
		tag(f, "</tr>\n");
	}
	tag(f, "</table>\n");
}

static void rows(struct face *f, const json_t *list)
{
	json_t *v;
	size_t i;

	if (f->html && all_small_objects(list)) {
		page_table(f, list);
		return;
	}
	tag(f, "<ul>\n");
	json_array_foreach(list, i, v) {
		put(f, f->html ? "" : "- ");
		tag(f, "<li>");
		put_value(f, v);
		tag(f, "</li>");
		put(f, "\n");
	}
	tag(f, "</ul>\n");
}

void face_list(struct face *f, const char *zh, const char *en, const json_t *list)
{
	face_heading(f, zh, en);
	if (json_array_size(list)) {
		rows(f, list);
		return;
	}
	tag(f, "<p>");
	put_value(f, json_is_array(list) ? list : NULL);
	tag(f, "</p>");
	put(f, "\n");
}

/* ---- the page ---- */

static const char style[] =
	"@page{size:A4;margin:18mm 16mm;@bottom-center{content:counter(page) \" / \" counter(pages)}}\n"
	"body{font:10.5pt/1.5 \"Noto Serif CJK SC\",\"Source Han Serif SC\",SimSun,serif;max-width:178mm;margin:8mm auto;color:#000;background:#fff}\n"
	"h1{font-size:20pt;text-align:center;margin:0 0 2mm}h1+h1{font-size:13pt}h2{font-size:12pt;margin:5mm 0 1mm;border-bottom:.3mm solid #000;break-after:avoid}\n"
	"table{border-collapse:collapse;width:100%}th,td{border:.2mm solid #666;padding:.8mm 1.6mm;text-align:left;vertical-align:top;"
	"overflow-wrap:anywhere;white-space:pre-wrap}\n"
	".lines th{width:34%;font-weight:normal;background:#f2f2f2}.rows{font-size:8.5pt}.rows th{font-weight:normal;background:#f2f2f2}\n"
	"tr{break-inside:avoid}li{overflow-wrap:anywhere;white-space:pre-wrap}.form{text-align:right;font-size:8.5pt}.sign td{height:14mm}\n"
	"@media print{body{margin:0;max-width:none}a{color:inherit;text-decoration:none}}\n";

void face_begin(struct face *f, const json_t *p)
{
	const char *title = json_string_value(json_object_get(p, "title")), *zh = json_string_value(json_object_get(p, "title_zh"));

	tag(f, "<!DOCTYPE html>\n<html lang=\"");
	tag(f, f->zh ? "zh-CN" : "en");
	tag(f, "\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
	if (f->html) {
		put(f, f->zh ? zh : title);
		put(f, " ");
		put(f, json_string_value(json_object_get(p, "id")));
	}
	tag(f, "</title>\n<style>\n");
	tag(f, style);
	tag(f, "</style>\n</head>\n<body>\n<p class=\"form\">");
	put(f, json_string_value(json_object_get(p, "form")));
	tag(f, "</p>");
	put(f, f->html ? "\n" : "\n\n");
	for (int i = f->zh ? 0 : 1; i < 2; i++) {
		tag(f, "<h1>");
		put(f, i ? title : zh);
		tag(f, "</h1>");
		put(f, "\n");
	}
	put(f, f->html ? "" : "\n");
}

void face_end(struct face *f)
{
	close_table(f);
	tag(f, "</body>\n</html>\n");
}

void face_signatures(struct face *f)
{
	static const struct { const char *zh, *en; } who[] = { { "提供方", "Provider" }, { "使用部门", "Department" }, { "主管部门(见证)", "Bureau (witness)" } };
	static const struct { const char *zh, *en; } what[] = { { "单位(盖章)", "Seal" }, { "经办人", "Handled by" }, { "复核人", "Checked by" },
		{ "负责人", "Responsible" }, { "日期", "Date" } };

	face_heading(f, "签署", "Signatures by hand");
	tag(f, "<table class=\"rows sign\"><tr><th></th>");
	for (size_t k = 0; f->html && k < 5; k++) {
		tag(f, "<th>");
		label(f, what[k].zh, what[k].en);
		tag(f, "</th>");
	}
	tag(f, "</tr>\n");
	for (size_t i = 0; i < 3; i++) {
		tag(f, "<tr><th>");
		label(f, who[i].zh, who[i].en);
		tag(f, "</th>");
		for (size_t k = 0; k < 5; k++) {
			tag(f, "<td></td>");
			if (f->html)
				continue;
			put(f, "  ");
			label(f, what[k].zh, what[k].en);
			put(f, " ________");
		}
		tag(f, "</tr>");
		put(f, "\n");
	}
	tag(f, "</table>\n");
}
