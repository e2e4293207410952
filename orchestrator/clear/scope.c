#include "scope.h"

#include <errno.h>
#include <string.h>

#include "esc.h"
#include "path.h"

static const struct { const char *key; bool value; } kinds[] = {
	[SCOPE_PATH] = { "path: ", false }, [SCOPE_ROOT] = { "root: ", true },
	[SCOPE_DEVICE] = { "device: ", false }, [SCOPE_SERIAL] = { "serial: ", true },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void item_dispose(struct scope_item *i)
{
	free(i->host);
	free(i->path);
	free(i->value);
}

void scope_dispose(struct scope *s)
{
	for (size_t i = 0; i < s->n; i++)
		item_dispose(&s->v[i]);
	free(s->v);
	*s = (struct scope)SCOPE_INIT;
}

static bool is_host(const char *s)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	size_t n = strlen(s);

	return n >= 1 && n <= 64 && strchr(first, s[0]) && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static const struct scope_item *find(const struct scope *s, enum scope_kind k, const char *host, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].kind == k && strcmp(s->v[i].path, path) == 0 && (!host || strcmp(s->v[i].host, host) == 0))
			return &s->v[i];
	return NULL;
}

static int check_item(const struct scope *s, enum scope_kind k, const char *host, const char *path, const char *value,
    struct err *e)
{
	if (!is_host(host))
		return err_set(e, ERR_USAGE, "scope: %s is no host name of a plan", esc_s(host));
	if (!path_is_clean_absolute(path) || path[1] == '\0')
		return err_set(e, ERR_USAGE, "scope: %s:%s is no clean absolute path below /", host, esc_s(path));
	if (kinds[k].value != (value != NULL) || (value && (*value == '\0' || strpbrk(value, " \n"))))
		return err_set(e, ERR_USAGE, "scope: %s%s:%s lacks its value, or has none to take", kinds[k].key, host, esc_s(path));
	if (find(s, k, host, path))
		return err_set(e, ERR_USAGE, "scope: %s%s:%s is listed twice", kinds[k].key, host, esc_s(path));
	if (s->n >= SCOPE_ITEMS_MAX)
		return err_set(e, ERR_USAGE, "scope: more than %d items", SCOPE_ITEMS_MAX);
	return 0;
}

int scope_add(struct scope *s, enum scope_kind k, const char *host, const char *path, const char *value, struct err *e)
{
	struct scope_item item = { .kind = k }, *grown;

	if (check_item(s, k, host, path, value, e) < 0)
		return -1;
	item.host = strdup(host);
	item.path = strdup(path);
	item.value = value ? strdup(value) : NULL;
	grown = item.host && item.path && (item.value || !value) ? realloc(s->v, (s->n + 1) * sizeof(*s->v)) : NULL;
	if (!grown) {
		item_dispose(&item);
		errno = ENOMEM;
		return err_sys(e, "scope");
	}
	s->v = grown;
	s->v[s->n++] = item;
	return 0;
}

void scope_format(const struct scope *s, struct buf *b)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct scope_item *t = &s->v[i];

		buf_puts(b, kinds[t->kind].key);
		if (t->value) {
			esc_put(b, t->value, strlen(t->value));
			buf_putc(b, ' ');
		}
		buf_printf(b, "%s:", t->host);
		esc_put(b, t->path, strlen(t->path));
		buf_putc(b, '\n');
	}
}

/* Undoes the escapes of n bytes; NULL when malformed or with a NUL inside. */
static char *unescape(const char *p, size_t n)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (!esc_undo(&b, p, n) || b.failed || (b.len && memchr(b.data, '\0', b.len)))
		return NULL;
	buf_puts(&b, "");
	return b.data ? buf_take(&b) : strdup("");
}

/* rest: what follows the key, n bytes without the newline. */
static int parse_item(struct scope *s, enum scope_kind k, const char *rest, size_t n, struct err *e)
{
	OWN_FREE char *value = NULL, *host = NULL, *path = NULL;
	const char *end = rest + n, *sep;

	if (kinds[k].value) {
		if (!(sep = memchr(rest, ' ', n)) || !(value = unescape(rest, (size_t)(sep - rest))))
			return err_set(e, ERR_REFUSED, "no value");
		rest = sep + 1;
	}
	if (!(sep = memchr(rest, ':', (size_t)(end - rest))))
		return err_set(e, ERR_REFUSED, "no HOST:/PATH");
	host = strndup(rest, (size_t)(sep - rest));
	path = unescape(sep + 1, (size_t)(end - sep - 1));
	if (!host || !path)
		return err_set(e, ERR_REFUSED, "malformed escape");
	if (scope_add(s, k, host, path, value, e) < 0) {
		e->class = e->class == ERR_USAGE ? ERR_REFUSED : e->class;
		return -1;
	}
	return 0;
}

static int parse_line(struct scope *s, const char *line, size_t n, struct err *e)
{
	for (size_t k = 0; k < KINDS; k++) {
		size_t klen = strlen(kinds[k].key);

		/* "path:" without its blank is a damaged line of ours, not someone else's. */
		if (n < klen - 1 || memcmp(line, kinds[k].key, klen - 1) != 0)
			continue;
		if (n <= klen || line[klen - 1] != ' ')
			return err_set(e, ERR_REFUSED, "empty");
		return parse_item(s, (enum scope_kind)k, line + klen, n - klen, e);
	}
	return 0;
}

static bool names_anything(const struct scope *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].kind == SCOPE_PATH || s->v[i].kind == SCOPE_DEVICE)
			return true;
	return false;
}

int scope_parse(struct scope *s, const char *text, struct err *e)
{
	unsigned number = 0;

	while (*text) {
		size_t n = strcspn(text, "\n");

		number++;
		if (parse_line(s, text, n, e) < 0)
			return err_at(e, "authorization, line %u", number);
		text += n + (text[n] == '\n');
	}
	if (!names_anything(s))
		return err_set(e, ERR_REFUSED, "the authorization lists no path and no device");
	return 0;
}

int scope_covers_root(const struct scope *s, const char *host, const char *root, const char *identity, struct err *e)
{
	const struct scope_item *t = find(s, SCOPE_PATH, host, root);

	if (!t)
		return err_set(e, ERR_REFUSED, "%s is not in the signed scope; clearing it needs an authorization that lists it",
		    esc_s(root));
	t = find(s, SCOPE_ROOT, host, root);
	if (t && identity && !same(t->value, identity))
		return err_set(e, ERR_REFUSED, "%s is another directory than the one authorized (identity %s, signed %s)",
		    esc_s(root), esc_s(identity), esc_s(t->value));
	return 0;
}

int scope_covers_device(const struct scope *s, const char *host, const char *path, const char *serials, struct err *e)
{
	const struct scope_item *t = find(s, SCOPE_DEVICE, host, path);
	size_t n;

	if (!t)
		return err_set(e, ERR_REFUSED, "the device %s is not in the signed scope; clearing it needs an authorization that lists it", esc_s(path));
	if (!(t = find(s, SCOPE_SERIAL, host, path)))
		return 0;
	n = strlen(t->value);
	for (const char *at = serials; (at = strstr(at, t->value)); at += n)
		if ((at == serials || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return 0;
	return err_set(e, ERR_REFUSED, "%s is another device than the one authorized (serial number %s, signed %s)", esc_s(path),
	    *serials ? esc_s(serials) : "not known", esc_s(t->value));
}
