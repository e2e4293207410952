#include "ssh_config.h"

#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

#include "esc.h"
#include "proc.h"

#define CONFIG_TIMEOUT_MS 10000

int strings_add(struct strings *l, const char *s, struct err *e)
{
	char **more = realloc(l->s, (l->n + 1) * sizeof(*more));

	if (!more)
		return err_sys(e, "list");
	l->s = more;
	if (!(l->s[l->n] = strdup(s)))
		return err_sys(e, "list");
	l->n++;
	return 0;
}

void strings_dispose(struct strings *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->s[i]);
	free(l->s);
	*l = (struct strings){ NULL, 0 };
}

void ssh_config_dispose(struct ssh_config *c)
{
	char *all[] = { c->target, c->user, c->hostname, c->hostkeyalias, c->proxyjump, c->proxycommand, c->identityagent,
		c->pkcs11, c->certificate, c->ciphers };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		free(all[i]);
	strings_dispose(&c->identities);
	strings_dispose(&c->known_hosts);
	*c = (struct ssh_config){ 0 };
}

struct me { char *name, *home; };
static void me_dispose(struct me *m)
{
	free(m->name);
	free(m->home);
}

/* As OpenSSH: the home of the password database, not $HOME. */
static int me_load(struct me *m, struct err *e)
{
	char room[16384];
	struct passwd pw, *found = NULL;

	if (getpwuid_r(getuid(), &pw, room, sizeof(room), &found) || !found)
		return err_set(e, ERR_PERMANENT, "no account in the password database for uid %u", (unsigned)getuid());
	m->name = strdup(pw.pw_name);
	m->home = strdup(pw.pw_dir);
	return m->name && m->home ? 0 : err_sys(e, "account");
}

static const char *token(const struct ssh_config *c, const struct me *me, char t, char number[24])
{
	switch (t) {
	case '%': return "%";
	case 'd': return me->home;
	case 'h': return c->hostname;
	case 'n': return c->target;
	case 'k': return c->hostkeyalias ? c->hostkeyalias : c->target;
	case 'r': return c->user;
	case 'u': return me->name;
	case 'p': (void)snprintf(number, 24, "%d", c->port); return number;
	case 'i': (void)snprintf(number, 24, "%u", (unsigned)getuid()); return number;
	default: return NULL;
	}
}

/* ~ and % tokens; an unknown token stays as it is, which names no file. */
static int add_path(struct strings *l, const struct ssh_config *c, const struct me *me, const char *s, size_t n, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	char number[24];

	if (n && s[0] == '~' && (n == 1 || s[1] == '/')) {
		buf_puts(&b, me->home);
		s++;
		n--;
	}
	for (size_t i = 0; i < n; i++) {
		const char *t = s[i] == '%' && i + 1 < n ? token(c, me, s[i + 1], number) : NULL;

		if (!t) {
			buf_putc(&b, s[i]);
			continue;
		}
		buf_puts(&b, t);
		i++;
	}
	if (buf_finish(&b, e) < 0)
		return -1;
	return strings_add(l, b.data ? b.data : "", e);
}

static int add_paths(struct strings *l, const struct ssh_config *c, const struct me *me, const char *s, struct err *e)
{
	while (*s) {
		size_t n = strcspn(s, " ");

		if (n && !(n == 4 && strncasecmp(s, "none", 4) == 0) && add_path(l, c, me, s, n, e) < 0)
			return -1;
		s += n + (s[n] == ' ');
	}
	return 0;
}

static int set_text(char **field, const char *value, struct err *e)
{
	if (strcasecmp(value, "none") == 0)
		return 0;
	free(*field);
	return (*field = strdup(value)) ? 0 : err_sys(e, "ssh configuration");
}

/* First pass: what tokens stand for. */
static int take_basic(struct ssh_config *c, const char *key, const char *value, struct err *e)
{
	if (!strcmp(key, "hostname"))
		return set_text(&c->hostname, value, e);
	if (!strcmp(key, "user"))
		return set_text(&c->user, value, e);
	if (!strcmp(key, "hostkeyalias"))
		return set_text(&c->hostkeyalias, value, e);
	if (!strcmp(key, "proxyjump"))
		return set_text(&c->proxyjump, value, e);
	if (!strcmp(key, "proxycommand"))
		return set_text(&c->proxycommand, value, e);
	if (!strcmp(key, "pkcs11provider"))
		return set_text(&c->pkcs11, value, e);
	if (!strcmp(key, "ciphers"))
		return set_text(&c->ciphers, value, e);
	if (!strcmp(key, "port"))
		c->port = atoi(value);
	else if (!strcmp(key, "identitiesonly"))
		c->identities_only = !strcmp(value, "yes");
	else if (!strcmp(key, "gssapiauthentication"))
		c->gssapi = !strcmp(value, "yes");
	else if (!strcmp(key, "hostbasedauthentication"))
		c->hostbased = !strcmp(value, "yes");
	else if (!strcmp(key, "connecttimeout"))
		c->connect_timeout_s = atoi(value);	/* "none" is 0 */
	return 0;
}

static int take_path(struct ssh_config *c, const struct me *me, const char *key, const char *value, struct err *e)
{
	struct strings one = { NULL, 0 };
	int rc = 0;

	if (!strcmp(key, "identityfile"))
		return strcasecmp(value, "none") ? add_path(&c->identities, c, me, value, strlen(value), e) : 0;
	if (!strcmp(key, "userknownhostsfile") || !strcmp(key, "globalknownhostsfile"))
		return add_paths(&c->known_hosts, c, me, value, e);
	if (!strcmp(key, "certificatefile"))
		return set_text(&c->certificate, value, e);
	if (!strcmp(key, "identityagent") && *value) {
		if (strcasecmp(value, "none") == 0)	/* means: no agent at all, not "not set" */
			return (c->identityagent = strdup("none")) ? 0 : err_sys(e, "ssh configuration");
		rc = add_path(&one, c, me, value, strlen(value), e);
		if (rc == 0)
			rc = set_text(&c->identityagent, one.s[0], e);
		strings_dispose(&one);
	}
	return rc;
}

static int parse(struct ssh_config *c, const struct me *me, char *text, bool paths, struct err *e)
{
	for (char *line = text; *line; ) {
		size_t n = strcspn(line, "\n");
		char *next = line + n + (line[n] == '\n'), *value = memchr(line, ' ', n);
		char saved = line[n];
		int rc = 0;

		line[n] = '\0';
		if (value) {
			*value = '\0';
			rc = paths ? take_path(c, me, line, value + 1, e) : take_basic(c, line, value + 1, e);
			*value = ' ';
		}
		line[n] = saved;
		if (rc < 0)
			return -1;
		line = next;
	}
	return 0;
}

/* What ssh -G would print on a machine without any configuration. */
static int builtin_defaults(struct ssh_config *c, const struct me *me, struct err *e)
{
	char text[] = "identityfile ~/.ssh/id_ed25519\nidentityfile ~/.ssh/id_ecdsa\nidentityfile ~/.ssh/id_rsa\n"
	    "userknownhostsfile ~/.ssh/known_hosts ~/.ssh/known_hosts2\n"
	    "globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2\n";

	return parse(c, me, text, true, e);
}

static int ask_ssh(struct ssh_config *c, const struct me *me, const char *user, int port, struct err *e)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	const char *argv[12] = { "ssh", "-G" }, *file = getenv("WAYBILL_SSH_CONFIG");
	char number[16], first[256];
	size_t n = 2;

	if (file && *file) {
		argv[n++] = "-F";
		argv[n++] = file;
	}
	if (port) {
		(void)snprintf(number, sizeof(number), "%d", port);
		argv[n++] = "-p";
		argv[n++] = number;
	}
	if (user) {
		argv[n++] = "-l";
		argv[n++] = user;
	}
	argv[n++] = "--";
	argv[n++] = c->target;
	if (proc_run(&(struct proc_options){ .argv = argv, .timeout_ms = CONFIG_TIMEOUT_MS }, &r, e) < 0)
		return -1;
	if (r.status == 127)
		return builtin_defaults(c, me, e);
	c->have_ssh = true;
	if (r.timed_out)
		return err_set(e, ERR_UNREACHABLE, "`ssh -G %s` gave no answer in %d s; look for a \"Match exec\" command in the ssh configuration",
		    esc_s(c->target), CONFIG_TIMEOUT_MS / 1000);
	if (r.status != 0 || !r.out.data)
		return err_set(e, ERR_UNREACHABLE, "the ssh configuration for %s cannot be used: %s", esc_s(c->target), proc_first_line(&r.err, first));
	if (parse(c, me, r.out.data, false, e) < 0)
		return -1;
	return parse(c, me, r.out.data, true, e);
}

int ssh_config_load(struct ssh_config *c, const char *ssh, int port, struct err *e)
{
	OWN(me_dispose) struct me me = { NULL, NULL };
	const char *at = strrchr(ssh, '@'), *address = at ? at + 1 : ssh;
	OWN_FREE char *user = at ? strndup(ssh, (size_t)(at - ssh)) : NULL;
	size_t n = strlen(address);

	*c = (struct ssh_config){ .port = 22 };
	if (n > 2 && address[0] == '[' && address[n - 1] == ']') {
		address++;
		n -= 2;
	}
	if (n == 0 || address[0] == '-' || (user && (!*user || *user == '-')))
		return err_set(e, ERR_USAGE, "ssh: %s is not [user@]address", esc_s(ssh));
	if (me_load(&me, e) < 0)
		return -1;
	c->target = strndup(address, n);
	c->hostname = strndup(address, n);
	c->user = strdup(user ? user : me.name);
	if (!c->target || !c->hostname || !c->user)
		return err_sys(e, "ssh configuration");
	if (ask_ssh(c, &me, user, port, e) < 0)
		return -1;
	if (port)
		c->port = port;
	if (c->port < 1 || c->port > 65535)
		return err_set(e, ERR_USAGE, "port %d of %s is not between 1 and 65535", c->port, esc_s(c->target));
	return 0;
}

int ssh_config_path(struct strings *l, const struct ssh_config *c, const char *path, struct err *e)
{
	OWN(me_dispose) struct me me = { NULL, NULL };

	return me_load(&me, e) < 0 ? -1 : add_path(l, c, &me, path, strlen(path), e);
}

const char *ssh_config_needs_openssh(const struct ssh_config *c, bool via)
{
	if (c->proxyjump && !via)
		return "the ssh configuration reaches it through ProxyJump";
	if (c->proxycommand && !via)
		return "the ssh configuration reaches it through ProxyCommand";
	if (c->pkcs11)
		return "the ssh configuration names a PKCS#11 provider (smart card)";
	if (c->certificate)
		return "the ssh configuration names a user certificate";
	return NULL;
}

void ssh_config_known_name(const struct ssh_config *c, struct buf *b)
{
	if (c->hostkeyalias)
		buf_puts(b, c->hostkeyalias);
	else if (c->port == 22)
		buf_puts(b, c->hostname);
	else
		buf_printf(b, "[%s]:%d", c->hostname, c->port);
}
