#include <errno.h>
#include <string.h>

#include "agent_client.h"
#include "clock.h"
#include "esc.h"
#include "key_file.h"
#include "ssh2.h"
#include "ssh_config.h"

/*
 * Log-in by public key: the plan's identity alone, or what ssh_config names, then what the agent holds.
 * Every attempt leaves a line in tried, so that a refused log-in says what was offered and why nothing worked.
 */
struct login {
	struct ssh2 *s;
	const struct route_request *q;
	int64_t deadline;
	struct agent agent;
	char *agent_fault;		/* why the agent could not be asked, or NULL */
	struct buf tried;
	struct buf offered;		/* fingerprints already offered, each followed by a space */
	struct buf *fallback;
	struct buf *text;
};

static void login_dispose(struct login *l)
{
	agent_close(&l->agent);
	free(l->agent_fault);
	buf_dispose(&l->tried);
	buf_dispose(&l->offered);
}

static void note(struct login *l, const char *what, const char *fate)
{
	buf_printf(&l->tried, "%s%s: %s", l->tried.len ? "; " : "", esc_s(what), fate);
}

/* What the signing callback needs; err tells more than libssh2's -22 does. */
struct signer {
	const struct agent *agent;
	const struct agent_key *key;
	const struct rsa_key *rsa;
	struct err e;
};

/* The algorithm asked for stands in the data to be signed: session id, type 50, user, service, method, TRUE, algorithm. */
static int algorithm_bits(const unsigned char *data, size_t n)
{
	struct view v = view_of(data, n);
	size_t len;
	const uint8_t *p;

	(void)ssh_get_string(&v, &len);
	(void)view_u8(&v);
	for (int i = 0; i < 3; i++)
		(void)ssh_get_string(&v, &len);
	(void)view_u8(&v);
	p = ssh_get_string(&v, &len);
	if (p && len == 12 && memcmp(p, "rsa-sha2-512", 12) == 0)
		return 512;
	if (p && len == 12 && memcmp(p, "rsa-sha2-256", 12) == 0)
		return 256;
	return 0;
}

static int on_sign(LIBSSH2_SESSION *session, unsigned char **sig, size_t *sig_len, const unsigned char *data, size_t n, void **abstract)
{
	struct signer *g = *abstract;
	OWN_BUF struct buf b = BUF_INIT;
	int bits = algorithm_bits(data, n), rc;

	(void)session;
	if (g->key)
		rc = agent_sign(g->agent, g->key, data, n, bits == 512 ? AGENT_RSA_SHA2_512 : bits == 256 ? AGENT_RSA_SHA2_256 : 0, &b, &g->e);
	else if (bits)
		rc = rsa_key_sign(g->rsa, bits, data, n, &b, &g->e);
	else
		rc = err_set(&g->e, ERR_PERMANENT, "the server wants SHA-1");
	if (rc < 0 || buf_finish(&b, &g->e) < 0)
		return -1;
	*sig_len = b.len;
	*sig = (unsigned char *)buf_take(&b);	/* libssh2 frees it; its allocator is malloc, as we gave none */
	return 0;
}

/*
 * libssh2 before 1.11 takes the method name from the blob: with the name changed it offers RSA with SHA-512, and servers
 * accept the blob under either name (libraries.md 1.3).
 */
static void public_blob(const struct buf *blob, bool rename, struct buf *out)
{
	struct view v = view_of(blob->data, blob->len);
	size_t n;

	if (!rename) {
		buf_put(out, blob->data, blob->len);
		return;
	}
	(void)ssh_get_string(&v, &n);
	ssh_put_string(out, "rsa-sha2-512", 12);
	buf_put(out, v.p, view_left(&v));
}

static bool is_rsa(const char *type) { return strcmp(type, "ssh-rsa") == 0; }
static bool old_library(void) { return libssh2_version(0x010b00) == NULL; }

/* 1 logged in, 0 refused (noted), -1 no use to go on. */
static int judge(struct login *l, int rc, const char *what, const char *type, const struct buf *blob, const struct signer *g, struct err *e)
{
	char fp[FINGERPRINT_MAX], fate[256];

	if (rc == 0) {
		buf_printf(l->text, "key %s %s", *type ? type : esc_s(what), blob->len ? key_fingerprint(blob->data, blob->len, fp) : "");
		return 1;
	}
	if (l->s->dead)
		return err_set(e, ERR_UNREACHABLE, "%s: the server closed the connection during the log-in (too many keys offered, or the user %s is "
		    "not allowed); name the right key as identity; tried: %.400s", l->q->who, esc_s(l->q->config->user), l->tried.data ? l->tried.data : esc_s(what));
	if (g && g->e.class != ERR_NONE)
		(void)snprintf(fate, sizeof(fate), "%.200s", g->e.text);
	else if (rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED || rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED)
		(void)snprintf(fate, sizeof(fate), "refused by the server");
	else
		(void)snprintf(fate, sizeof(fate), "%.200s", esc_s(ssh2_why(l->s)));
	note(l, what, fate);
	return 0;
}

/* Offer with our own signature; blob as in the agent or the file. */
static int offer_signed(struct login *l, const char *what, const char *type, const struct buf *blob, struct signer *g, struct err *e)
{
	OWN_BUF struct buf pub = BUF_INIT;
	void *abstract = g;
	int rc;

	public_blob(blob, is_rsa(type) && old_library(), &pub);
	if (buf_finish(&pub, e) < 0)
		return -1;
	while ((rc = libssh2_userauth_publickey(l->s->session, l->q->config->user, (const unsigned char *)pub.data, pub.len, on_sign, &abstract)) ==
	    LIBSSH2_ERROR_EAGAIN)
		if (!ssh2_wait(l->s, l->deadline))
			return err_set(e, ERR_UNREACHABLE, "%s: the log-in did not end in %d s", l->q->who, l->q->timeout_s);
	return judge(l, rc, what, type, blob, g, e);
}

static int offer_file(struct login *l, const char *path, const struct key_file *k, struct err *e)
{
	const char *user = l->q->config->user;
	int rc;

	while ((rc = libssh2_userauth_publickey_fromfile_ex(l->s->session, user, (unsigned)strlen(user), NULL, path, NULL)) == LIBSSH2_ERROR_EAGAIN)
		if (!ssh2_wait(l->s, l->deadline))
			return err_set(e, ERR_UNREACHABLE, "%s: the log-in did not end in %d s", l->q->who, l->q->timeout_s);
	return judge(l, rc, path, k->type, &k->blob, NULL, e);
}

static int offer_rsa_file(struct login *l, const char *path, const struct key_file *k, struct err *e)
{
	OWN(rsa_key_freep) struct rsa_key *rsa = NULL;
	struct err why = ERR_INIT;
	struct signer g = { .e = ERR_INIT };

	if (key_file_rsa(path, &rsa, &why) < 0) {
		note(l, path, why.text);
		return 0;
	}
	g.rsa = rsa;
	return offer_signed(l, path, k->type, &k->blob, &g, e);
}

/* Types that only the OpenSSH client can use. */
static bool needs_openssh(const char *type)
{
	return strncmp(type, "sk-", 3) == 0 || strstr(type, "-cert-v0") != NULL;
}

static void want_openssh(struct login *l, const char *what, const char *type)
{
	note(l, what, "libssh2 cannot use this type of key");
	if (!l->fallback->len)
		buf_printf(l->fallback, "key %s is of type %s, which libssh2 cannot use", esc_s(what), type);
}

static int offer_agent_key(struct login *l, const struct agent_key *k, struct err *e)
{
	struct signer g = { .agent = &l->agent, .key = k, .e = ERR_INIT };
	char type[KEY_TYPE_MAX], fp[FINGERPRINT_MAX], what[256];

	(void)key_fingerprint(k->blob.data, k->blob.len, fp);
	if (strstr(l->offered.data ? l->offered.data : "", fp))
		return 0;
	buf_printf(&l->offered, "%s ", fp);
	if (!key_type_of(k->blob.data, k->blob.len, type))
		return 0;
	(void)snprintf(what, sizeof(what), "agent key %.100s (%s %s)", k->comment, type, fp);
	if (needs_openssh(type)) {
		want_openssh(l, what, type);
		return 0;
	}
	return offer_signed(l, what, type, &k->blob, &g, e);
}

/* A file whose private half is in the agent, or which only the agent can open. */
static int offer_through_agent(struct login *l, const char *path, const struct key_file *k, struct err *e)
{
	const struct agent_key *found = k->blob.len ? agent_find(&l->agent, k->blob.data, k->blob.len) : NULL;

	if (found)
		return offer_agent_key(l, found, e);
	if (k->is_public)
		note(l, path, l->agent.fd < 0 ? "a public key, and no ssh-agent answers (SSH_AUTH_SOCK)" : "a public key whose private half the ssh-agent does not hold");
	else
		note(l, path, "it has a passphrase; load it into an ssh-agent (ssh-add)");
	return 0;
}

static int offer_path(struct login *l, const char *path, bool named, struct err *e)
{
	OWN(key_file_dispose) struct key_file k = { 0 };
	struct err why = ERR_INIT;
	char fp[FINGERPRINT_MAX];

	if (key_file_read(&k, path, &why) < 0) {
		if (named || why.sys != ENOENT)
			note(l, path, why.sys == ENOENT ? "no such file" : why.text);
		return 0;
	}
	if (needs_openssh(k.type)) {
		want_openssh(l, path, k.type);
		return 0;
	}
	if (k.is_public || k.encrypted)
		return offer_through_agent(l, path, &k, e);
	if (k.blob.len) {
		(void)key_fingerprint(k.blob.data, k.blob.len, fp);
		if (strstr(l->offered.data ? l->offered.data : "", fp))
			return 0;
		buf_printf(&l->offered, "%s ", fp);
	}
	if (is_rsa(k.type) && old_library())
		return offer_rsa_file(l, path, &k, e);
	return offer_file(l, path, &k, e);
}

static void open_agent(struct login *l)
{
	struct err e = ERR_INIT;

	if (agent_open(&l->agent, l->q->config->identityagent, &e) == 0)
		return;
	agent_close(&l->agent);
	l->agent_fault = strdup(e.text);
}

static int offer_named(struct login *l, struct err *e)
{
	OWN(strings_dispose) struct strings path = { NULL, 0 };

	if (ssh_config_path(&path, l->q->config, l->q->spec->identity, e) < 0)
		return -1;
	return offer_path(l, path.s[0], true, e);
}

static int offer_all(struct login *l, struct err *e)
{
	const struct ssh_config *c = l->q->config;
	int rc = 0;

	open_agent(l);
	if (l->q->spec->identity)
		return offer_named(l, e);
	for (size_t i = 0; rc == 0 && i < c->identities.n; i++)
		rc = offer_path(l, c->identities.s[i], false, e);
	for (size_t i = 0; rc == 0 && !c->identities_only && i < l->agent.n; i++)
		rc = offer_agent_key(l, &l->agent.keys[i], e);
	return rc;
}

/* The methods the server takes, or NULL when the user is in already. */
static int ask_methods(struct login *l, const char **methods, struct err *e)
{
	const char *user = l->q->config->user;

	while (!(*methods = libssh2_userauth_list(l->s->session, user, (unsigned)strlen(user)))) {
		if (libssh2_userauth_authenticated(l->s->session))
			return 0;
		if (libssh2_session_last_errno(l->s->session) != LIBSSH2_ERROR_EAGAIN)
			return err_set(e, ERR_UNREACHABLE, "%s: the server ended the log-in: %s", l->q->who,
			    l->s->dead ? "connection closed" : esc_s(ssh2_why(l->s)));
		if (!ssh2_wait(l->s, l->deadline))
			return err_set(e, ERR_UNREACHABLE, "%s: the log-in did not begin in %d s", l->q->who, l->q->timeout_s);
	}
	return 0;
}

static int refuse(struct login *l, const char *methods, struct err *e)
{
	const struct ssh_config *c = l->q->config;

	if (!l->fallback->len && c->gssapi && strstr(methods, "gssapi"))
		buf_puts(l->fallback, "no key was accepted, and the ssh configuration allows GSSAPI");
	if (!l->fallback->len && c->hostbased && strstr(methods, "hostbased"))
		buf_puts(l->fallback, "no key was accepted, and the ssh configuration allows host-based log-in");
	if (l->agent_fault)
		note(l, "ssh-agent", l->agent_fault);
	return err_set(e, ERR_UNREACHABLE, "%s: log-in refused for user %s; tried: %.600s; put one of these public keys into that user's "
	    "authorized_keys, or name another key (identity) or user", l->q->who, esc_s(c->user), l->tried.len ? l->tried.data : "nothing, as there is no key");
}

int ssh2_login(struct ssh2 *s, const struct route_request *q, int64_t deadline, struct buf *text, struct buf *fallback, struct err *e)
{
	OWN(login_dispose) struct login l = { .s = s, .q = q, .deadline = deadline, .agent = AGENT_INIT, .tried = BUF_INIT,
		.offered = BUF_INIT, .fallback = fallback, .text = text };
	const char *answer;
	OWN_FREE char *methods = NULL;
	int rc;

	if (ask_methods(&l, &answer, e) < 0)
		return -1;
	if (!answer) {
		buf_puts(text, "no key (the server asks for none)");
		return 0;
	}
	if (!(methods = strdup(answer)))
		return err_sys(e, "%s", q->who);
	if (!strstr(methods, "publickey"))
		note(&l, "every key", "the server does not take public keys at all");
	rc = strstr(methods, "publickey") ? offer_all(&l, e) : 0;
	if (rc > 0) {
		buf_reset(fallback);
		return 0;
	}
	return rc < 0 ? -1 : refuse(&l, methods, e);
}
