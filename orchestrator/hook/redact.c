#include "redact.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base64.h"

struct form { char *name, *text; size_t len; };
struct redactor { struct form *v; size_t n; };

struct redactor *redactor_new(void) { return calloc(1, sizeof(struct redactor)); }

void redactor_free(struct redactor *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].name);
		free(r->v[i].text);
	}
	free(r->v);
	free(r);
}

static int add_form(struct redactor *r, const char *name, const char *text, size_t n, struct err *e)
{
	struct form *v;

	if (n < REDACT_LEAST)
		return 0;
	if (!(v = realloc(r->v, (r->n + 1) * sizeof(*v))))
		return err_sys(e, "secret");
	r->v = v;
	v[r->n] = (struct form){ strdup(name), strndup(text, n), n };
	if (!v[r->n].name || !v[r->n].text) {
		free(v[r->n].name);
		free(v[r->n].text);
		return err_sys(e, "secret");
	}
	r->n++;
	return 0;
}

static void as_json(const char *s, struct buf *b)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\' || *s == '/')
			buf_putc(b, '\\');
		buf_putc(b, *s);
	}
}

static void as_percent(const char *s, struct buf *b)
{
	for (; *s; s++) {
		if (isalnum((unsigned char)*s) || strchr("-._~", *s))
			buf_putc(b, *s);
		else
			buf_printf(b, "%%%02X", (unsigned char)*s);
	}
}

int redactor_add(struct redactor *r, const char *name, const char *value, struct err *e)
{
	OWN_BUF struct buf json = BUF_INIT, percent = BUF_INIT, b64 = BUF_INIT;

	if (strlen(value) < REDACT_LEAST)
		return err_set(e, ERR_USAGE, "the secret %s is shorter than %d bytes: it could not be struck out of what a program says", name, REDACT_LEAST);
	as_json(value, &json);
	as_percent(value, &percent);
	base64_put(&b64, value, strlen(value), false);
	if (buf_finish(&json, e) < 0 || buf_finish(&percent, e) < 0 || buf_finish(&b64, e) < 0)
		return -1;
	if (add_form(r, name, value, strlen(value), e) < 0 || add_form(r, name, json.data, json.len, e) < 0 ||
	    add_form(r, name, percent.data, percent.len, e) < 0 || add_form(r, name, b64.data, b64.len, e) < 0)
		return -1;
	/* A secret of several lines is repeated line by line. */
	for (const char *line = value; strchr(value, '\n') && *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (add_form(r, name, line, strcspn(line, "\n"), e) < 0)
			return -1;
	return 0;
}

/* The longest value that stands here; 0 = none. */
static size_t known_here(const struct redactor *r, const char *p, size_t n, const char **name)
{
	size_t best = 0;

	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].len <= n && r->v[i].len > best && memcmp(p, r->v[i].text, r->v[i].len) == 0) {
			best = r->v[i].len;
			*name = r->v[i].name;
		}
	return best;
}

static size_t private_key_here(const char *p, size_t n)
{
	static const char begin[] = "-----BEGIN ", end[] = "-----END ";
	const char *stop, *line = n > 11 && memcmp(p, begin, 11) == 0 ? memchr(p, '\n', n) : NULL;

	if (!line || !memmem(p, (size_t)(line - p), "PRIVATE KEY", 11))
		return 0;
	stop = memmem(p, n, end, sizeof(end) - 1);
	if (!stop)
		return n;
	line = memchr(stop, '\n', n - (size_t)(stop - p));
	return line ? (size_t)(line - p) : n;
}

/* Behind "://": user:password@ - what stands between ':' and '@'. */
static size_t address_password(const char *p, size_t n, size_t *from)
{
	size_t i = 3, colon = 0;

	if (n < 6 || memcmp(p, "://", 3) != 0)
		return 0;
	for (; i < n && i < 400 && !isspace((unsigned char)p[i]) && p[i] != '/' && p[i] != '"' && p[i] != '\''; i++) {
		if (p[i] == ':' && !colon)
			colon = i + 1;
		if (p[i] == '@' && colon) {
			*from = colon;
			return i - colon;
		}
	}
	return 0;
}

/* password=..., "passwd": "...", IDENTIFIED BY '...' */
static size_t worded_value(const char *p, size_t n, size_t *from)
{
	static const char *const words[] = { "password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "identified by" };

	for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
		size_t i = strlen(words[w]), start;
		bool sign = strchr(words[w], ' ') != NULL;

		if (i >= n || strncasecmp(p, words[w], i) != 0)
			continue;
		for (; i < n && strchr(" \t\"'=:", p[i]); i++)
			sign |= p[i] == '=' || p[i] == ':';
		for (start = i; i < n && !isspace((unsigned char)p[i]) && !strchr("\"',;&}", p[i]); i++)
			;
		if (!sign || i == start || p[start] == '[')
			continue;
		*from = start;
		return i - start;
	}
	return 0;
}

void redact(const struct redactor *r, const char *p, size_t n, struct buf *out)
{
	size_t last_word = 0;

	for (size_t i = 0; i < n;) {
		const char *name = NULL;
		size_t from = 0, len = known_here(r, p + i, n - i, &name);

		if (len) {
			buf_printf(out, "[secret %s]", name);
			i += len;
			continue;
		}
		if ((len = private_key_here(p + i, n - i))) {
			buf_puts(out, "[private key]");
			i += len;
			continue;
		}
		if (i >= last_word && ((len = address_password(p + i, n - i, &from)) || (len = worded_value(p + i, n - i, &from)))) {
			const char *known = NULL;

			/* A value that is known has a name, and is found above when its turn comes. */
			if (!known_here(r, p + i + from, n - i - from, &known)) {
				buf_put(out, p + i, from);
				buf_puts(out, "[struck out]");
				i += from + len;
				continue;
			}
			last_word = i + from;
		}
		buf_putc(out, p[i++]);
	}
}
