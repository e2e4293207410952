#include "attrs.h"
#include "base64.h"
#include "esc.h"

#include <errno.h>
#include <string.h>

void attr_set_dispose(struct attr_set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].name);
		free(s->v[i].value);
	}
	free(s->v);
	*s = (struct attr_set)ATTR_SET_INIT;
}

bool attr_is_acl(const char *name) { return strncmp(name, "system.posix_acl_", 17) == 0; }

/* Index of the first name that is not below name. */
static size_t place_of(const struct attr_set *s, const char *name)
{
	size_t i = 0;

	while (i < s->n && strcmp(s->v[i].name, name) < 0)
		i++;
	return i;
}

int attr_set_add(struct attr_set *s, const char *name, const void *value, size_t len, struct err *e)
{
	size_t at = place_of(s, name);
	OWN_FREE char *copy = NULL;
	OWN_FREE uint8_t *bytes = NULL;
	struct attr *grown;

	if (name[0] == '\0')
		return err_set(e, ERR_INTEGRITY, "extended attribute without a name");
	if (at < s->n && strcmp(s->v[at].name, name) == 0)
		return err_set(e, ERR_INTEGRITY, "extended attribute %s is given twice", esc_s(name));
	if (!(copy = strdup(name)) || !(bytes = malloc(len + 1)) || !(grown = reallocarray(s->v, s->n + 1, sizeof(*grown)))) {
		errno = ENOMEM;
		return err_sys(e, "extended attributes");
	}
	if (len)
		memcpy(bytes, value, len);
	s->v = grown;
	memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof(*s->v));
	s->v[at] = (struct attr){ take_ptr(&copy), take_ptr(&bytes), len };
	s->n++;
	return 0;
}

void attr_set_encode(const struct attr_set *s, bool acl, struct buf *b)
{
	for (size_t i = 0; i < s->n; i++) {
		if (attr_is_acl(s->v[i].name) != acl)
			continue;
		esc_put_mtree(b, s->v[i].name, strlen(s->v[i].name));
		buf_putc(b, '=');
		base64_put(b, s->v[i].value, s->v[i].len, true);
		buf_putc(b, '\n');
	}
}

/* One line without its newline; name and value go into s. */
static int decode_line(struct attr_set *s, const char *line, size_t n, struct buf *last, struct err *e)
{
	const char *eq = memchr(line, '=', n);
	OWN_BUF struct buf name = BUF_INIT;
	OWN_BUF struct buf value = BUF_INIT;
	OWN_BUF struct buf again = BUF_INIT;

	if (!eq || !esc_undo(&name, line, (size_t)(eq - line)) || !base64_get(&value, eq + 1, n - (size_t)(eq + 1 - line)) ||
	    name.len == 0 || memchr(name.data, '\0', name.len))
		return err_set(e, ERR_INTEGRITY, "attribute blob: malformed line");
	esc_put_mtree(&again, name.data, name.len);
	buf_putc(&again, '=');
	base64_put(&again, value.data, value.len, true);
	if (buf_finish(&again, e) < 0 || buf_finish(&name, e) < 0 || buf_finish(&value, e) < 0)
		return -1;
	if (again.len != n || memcmp(again.data, line, n) != 0 || (last->len && strcmp(last->data, name.data) >= 0))
		return err_set(e, ERR_INTEGRITY, "attribute blob: not in canonical form");
	buf_reset(last);
	buf_put(last, name.data, name.len);
	if (buf_finish(last, e) < 0)
		return -1;
	return attr_set_add(s, name.data, value.data, value.len, e);
}

int attr_set_decode(struct attr_set *s, const void *p, size_t n, struct err *e)
{
	const char *c = p, *end = c + n, *nl;
	OWN_BUF struct buf last = BUF_INIT;
	bool acl = false;

	if (n > ATTR_BLOB_MAX)
		return err_set(e, ERR_INTEGRITY, "attribute blob of %zu bytes is beyond the limit of %u", n, ATTR_BLOB_MAX);
	for (bool first = true; c < end; c = nl + 1, first = false) {
		if (!(nl = memchr(c, '\n', (size_t)(end - c))))
			return err_set(e, ERR_INTEGRITY, "attribute blob: cut short");
		if (decode_line(s, c, (size_t)(nl - c), &last, e) < 0)
			return -1;
		if (!first && attr_is_acl(last.data) != acl)
			return err_set(e, ERR_INTEGRITY, "attribute blob: ACLs and other attributes together");
		acl = attr_is_acl(last.data);
	}
	return 0;
}
