#include "hostkey.h"

#include <string.h>

#include "esc.h"
#include "log.h"
#include "sshkey_blob.h"

void hostkey_policy_dispose(struct hostkey_policy *p)
{
	free(p->pin_text);
	buf_dispose(&p->pin);
	buf_dispose(&p->name);
	known_hosts_dispose(&p->known);
	*p = (struct hostkey_policy){ 0 };
}

static bool is_fingerprint(const char *s)
{
	return strncmp(s, "SHA256:", 7) == 0 && strlen(s) == 7 + 43;
}

static int read_files(struct hostkey_policy *p, const struct ssh_config *c, const char *name, struct err *e)
{
	for (size_t i = 0; i < c->known_hosts.n; i++) {
		size_t bad = p->known.bad;

		if (known_hosts_read(&p->known, c->known_hosts.s[i], name, e) < 0)
			return -1;
		if (p->known.bad > bad)
			log_debug("%s: %zu lines that are no known_hosts lines were skipped", esc_s(c->known_hosts.s[i]), p->known.bad - bad);
	}
	return 0;
}

int hostkey_policy_load(struct hostkey_policy *p, const char *plan_key, const struct ssh_config *c, struct err *e)
{
	*p = (struct hostkey_policy){ 0 };
	if (plan_key) {
		if (!(p->pin_text = strdup(plan_key)))
			return err_sys(e, "host key");
		if (!is_fingerprint(plan_key) && !key_line_parse(plan_key, strlen(plan_key), &p->pin))
			return err_set(e, ERR_USAGE, "host_key: \"%s\" is neither a key line (\"ssh-ed25519 AAAA...\") nor SHA256:...", esc_s(plan_key));
	}
	ssh_config_known_name(c, &p->name);
	if (buf_finish(&p->name, e) < 0)
		return -1;
	(void)snprintf(p->first_file, sizeof(p->first_file), "%s", c->known_hosts.n ? c->known_hosts.s[0] : "~/.ssh/known_hosts");
	if (read_files(p, c, p->name.data, e) < 0)
		return -1;
	/* As OpenSSH: an entry without port speaks for other ports too when there is no entry of its own. */
	if (p->known.n == 0 && !c->hostkeyalias && c->port != 22)
		return read_files(p, c, c->hostname, e);
	return 0;
}

static void add_type(struct buf *b, const char *type)
{
	size_t n = strlen(type);

	for (const char *s = b->data; s && *s; s += strcspn(s, ","), s += *s == ',')
		if (strcspn(s, ",") == n && memcmp(s, type, n) == 0)
			return;
	if (b->len)
		buf_putc(b, ',');
	buf_puts(b, type);
}

void hostkey_types(const struct hostkey_policy *p, struct buf *b)
{
	char type[KEY_TYPE_MAX];

	if (p->pin.len && key_type_of(p->pin.data, p->pin.len, type))
		add_type(b, type);
	if (p->pin_text)
		return;
	for (size_t i = 0; i < p->known.n; i++)
		if (!p->known.keys[i].revoked)
			add_type(b, p->known.keys[i].type);
}

static bool equal(const struct buf *a, const void *blob, size_t n)
{
	return a->len == n && memcmp(a->data, blob, n) == 0;
}

static const struct known_key *revoked(const struct hostkey_policy *p, const void *blob, size_t n)
{
	for (size_t i = 0; i < p->known.n; i++)
		if (p->known.keys[i].revoked && equal(&p->known.keys[i].blob, blob, n))
			return &p->known.keys[i];
	return NULL;
}

bool hostkey_is_right(const struct hostkey_policy *p, const void *blob, size_t n)
{
	char fp[FINGERPRINT_MAX];

	if (revoked(p, blob, n))
		return false;
	if (p->pin.len)
		return equal(&p->pin, blob, n);
	if (p->pin_text)
		return strcmp(p->pin_text, key_fingerprint(blob, n, fp)) == 0;
	for (size_t i = 0; i < p->known.n; i++)
		if (!p->known.keys[i].revoked && equal(&p->known.keys[i].blob, blob, n))
			return true;
	return false;
}

static int say_unknown(const struct hostkey_policy *p, const char *who, const char *type, const char *fp, const char *line, struct err *e)
{
	return err_set(e, ERR_UNREACHABLE, "%s: host key unknown: %s %s; compare it with the host's own (ssh-keygen -l), then put "
	    "host_key: \"%s\" into the plan, or this line into %s: %s %s", who, type, fp, fp, esc_s(p->first_file), esc_s(p->name.data), line);
}

static int say_different(const struct hostkey_policy *p, const char *who, const char *type, const char *fp, struct err *e)
{
	OWN_BUF struct buf expected = BUF_INIT;
	char t[FINGERPRINT_MAX];

	if (p->pin.len)
		buf_printf(&expected, "%s (plan)", key_fingerprint(p->pin.data, p->pin.len, t));
	else if (p->pin_text)
		buf_printf(&expected, "%s (plan)", p->pin_text);
	for (size_t i = 0; !p->pin_text && i < p->known.n; i++)
		if (!p->known.keys[i].revoked)
			buf_printf(&expected, "%s%s %s (%s)", expected.len ? ", " : "", p->known.keys[i].type,
			    key_fingerprint(p->known.keys[i].blob.data, p->known.keys[i].blob.len, t),
			    p->known.keys[i].where ? esc_s(p->known.keys[i].where) : "known_hosts");
	return err_set(e, ERR_UNREACHABLE, "%s: wrong host key: expected %.400s, found %s %s; someone may be in between, or the host was "
	    "re-installed: find out; if it was, put host_key: \"%s\" into the plan", who, expected.data ? expected.data : "?", type, fp, fp);
}

int hostkey_judge(const struct hostkey_policy *p, const char *who, const void *blob, size_t n, struct err *e)
{
	OWN_BUF struct buf line = BUF_INIT;
	const struct known_key *bad = revoked(p, blob, n);
	char type[KEY_TYPE_MAX], fp[FINGERPRINT_MAX];
	bool any = false;

	if (!bad && hostkey_is_right(p, blob, n))
		return 0;
	if (!key_type_of(blob, n, type))
		return err_set(e, ERR_UNREACHABLE, "%s: what it sent is no host key", who);
	(void)key_fingerprint(blob, n, fp);
	if (bad)
		return err_set(e, ERR_UNREACHABLE, "%s: its host key %s %s is revoked by %s; do not use this host until it has a new key",
		    who, type, fp, bad->where ? esc_s(bad->where) : "known_hosts");
	for (size_t i = 0; i < p->known.n; i++)
		any |= !p->known.keys[i].revoked;
	if (p->pin_text || any)
		return say_different(p, who, type, fp, e);
	key_line(&line, blob, n);
	if (buf_finish(&line, e) < 0)
		return -1;
	return say_unknown(p, who, type, fp, line.data, e);
}
