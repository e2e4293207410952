#include "known_hosts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base64.h"
#include "digest.h"
#include "io.h"
#include "sshkey_blob.h"

#define FILE_LIMIT (64u << 20)

void known_hosts_dispose(struct known_hosts *k)
{
	for (size_t i = 0; i < k->n; i++) {
		buf_dispose(&k->keys[i].blob);
		free(k->keys[i].where);
	}
	free(k->keys);
	*k = (struct known_hosts)KNOWN_HOSTS_INIT;
}

/* A word of a line: from *s to the next blank; *s moves behind the blanks that follow. */
static size_t word(const char **s, const char *end)
{
	const char *start = *s;
	size_t n;

	while (*s < end && **s != ' ' && **s != '\t')
		(*s)++;
	n = (size_t)(*s - start);
	while (*s < end && (**s == ' ' || **s == '\t'))
		(*s)++;
	return n;
}

/* Glob with * and ? only.  Iterative: a hostile line must not cost exponential time. */
static bool glob(const char *p, size_t pn, const char *s)
{
	size_t i = 0, star = SIZE_MAX, mark = 0, j = 0, sn = strlen(s);

	while (j < sn) {
		if (i < pn && p[i] == '*') {
			star = i++;
			mark = j;
		} else if (i < pn && (p[i] == '?' || tolower((unsigned char)p[i]) == s[j])) {
			i++;
			j++;
		} else if (star != SIZE_MAX) {
			i = star + 1;
			j = ++mark;
		} else {
			return false;
		}
	}
	while (i < pn && p[i] == '*')
		i++;
	return i == pn;
}

static bool match_hashed(const char *p, size_t n, const char *name)
{
	OWN_BUF struct buf salt = BUF_INIT;
	OWN_BUF struct buf want = BUF_INIT;
	const char *bar = memchr(p + 3, '|', n - 3);
	uint8_t mac[20];

	if (!bar || !base64_get(&salt, p + 3, (size_t)(bar - p - 3)) ||
	    !base64_get(&want, bar + 1, (size_t)(p + n - bar - 1)) || salt.failed || want.failed || want.len != sizeof(mac))
		return false;
	return digest_hmac_sha1(salt.data, salt.len, name, strlen(name), mac) && memcmp(mac, want.data, sizeof(mac)) == 0;
}

/* A negated pattern that matches forbids the line, whatever else matches. */
static bool match_names(const char *p, size_t n, const char *name)
{
	const char *end = p + n;
	bool found = false;

	if (n > 3 && memcmp(p, "|1|", 3) == 0)
		return match_hashed(p, n, name);
	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		size_t len = (size_t)((comma ? comma : end) - p);
		bool negated = len && *p == '!';

		if (len > (size_t)negated && glob(p + negated, len - negated, name)) {
			if (negated)
				return false;
			found = true;
		}
		p += len + 1;
	}
	return found;
}

static int add(struct known_hosts *k, bool revoked, struct buf *blob, const char *file, size_t line, struct err *e)
{
	struct known_key *more = realloc(k->keys, (k->n + 1) * sizeof(*more)), *key;

	if (!more)
		return err_sys(e, "%s", file);
	k->keys = more;
	key = &k->keys[k->n];
	*key = (struct known_key){ .revoked = revoked, .blob = *blob };
	*blob = (struct buf)BUF_INIT;
	(void)key_type_of(key->blob.data, key->blob.len, key->type);
	if (asprintf(&key->where, "%s:%zu", file, line) < 0)
		key->where = NULL;
	k->n++;
	return 0;
}

static int read_line(struct known_hosts *k, const char *s, const char *end, const char *name, const char *file,
    size_t line, struct err *e)
{
	OWN_BUF struct buf blob = BUF_INIT;
	const char *names;
	size_t n;
	bool revoked = false, authority = false;

	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	if (s == end || *s == '#')
		return 0;
	names = s;
	n = word(&s, end);
	if (*names == '@') {
		revoked = n == 8 && memcmp(names, "@revoked", 8) == 0;
		authority = n == 15 && memcmp(names, "@cert-authority", 15) == 0;
		if (!revoked && !authority) {
			k->bad++;
			return 0;
		}
		names = s;
		n = word(&s, end);
	}
	if (!key_line_parse(s, (size_t)(end - s), &blob)) {
		k->bad++;
		return buf_finish(&blob, e);
	}
	if (authority || !match_names(names, n, name))
		return 0;
	return add(k, revoked, &blob, file, line, e);
}

int known_hosts_read(struct known_hosts *k, const char *file, const char *name, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT;
	OWN_FREE char *lower = strdup(name);
	size_t line = 0;
	const char *s, *end;

	if (!lower)
		return err_sys(e, "%s", file);
	for (char *c = lower; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (io_read_file(AT_FDCWD, file, FILE_LIMIT, &text, e) < 0) {
		if (e->sys != ENOENT && e->sys != ENOTDIR)
			return -1;
		err_clear(e);
		return 0;
	}
	for (s = text.data, end = text.data + text.len; s && s < end; ) {
		const char *nl = memchr(s, '\n', (size_t)(end - s)), *stop = nl ? nl : end;

		if (stop > s && stop[-1] == '\r')
			stop--;
		if (read_line(k, s, stop, lower, file, ++line, e) < 0)
			return -1;
		s = nl ? nl + 1 : end;
	}
	return 0;
}
