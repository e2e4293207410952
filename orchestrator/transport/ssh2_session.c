#include <fcntl.h>
#include <string.h>

#include "clock.h"
#include "esc.h"
#include "hostkey.h"
#include "kexinit.h"
#include "ssh2.h"
#include "sshkey_blob.h"
#include "tcp.h"

/* Everything but certificates, which every version up to 1.11.1 advertises and cannot verify (libraries.md 1.3). */
#define ALL_TYPES "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,ssh-rsa"
#define RETRY_PAUSE_MS 500

static bool has_rsa_sha2(void)
{
	return libssh2_version(0x010b00) != NULL;
}

/* Key types as in blobs -> method names for the key exchange; those that no version knows are left out. */
static void methods_of(const char *types, struct buf *b)
{
	for (const char *s = types; s && *s; s += strcspn(s, ","), s += *s == ',') {
		size_t n = strcspn(s, ",");

		if (!list_has(ALL_TYPES, s, n))
			continue;
		if (b->len)
			buf_putc(b, ',');
		if (n == 7 && has_rsa_sha2())
			buf_puts(b, "rsa-sha2-512,rsa-sha2-256,");
		buf_put(b, s, n);
	}
}

/* Those of wanted that this libssh2 has, or all it has when wanted is NULL. */
static void supported(LIBSSH2_SESSION *session, int method, const char *wanted, struct buf *b)
{
	OWN_BUF struct buf have = BUF_INIT;
	const char **algs = NULL;
	int n = libssh2_session_supported_algs(session, method, &algs);

	for (int i = 0; i < n; i++)
		buf_printf(&have, "%s%s", i ? "," : "", algs[i]);
	if (n > 0)
		libssh2_free(session, algs);
	for (const char *s = wanted ? wanted : have.data; s && *s; s += strcspn(s, ","), s += *s == ',') {
		size_t len = strcspn(s, ",");

		if (!list_has(have.data, s, len))
			continue;
		if (b->len)
			buf_putc(b, ',');
		buf_put(b, s, len);
	}
}

/* Only names it has are handed over: stripping the others itself, 1.10.0 copies overlapping memory. */
static void prefer(LIBSSH2_SESSION *session, int method, const char *wanted)
{
	OWN_BUF struct buf names = BUF_INIT;

	supported(session, method, wanted, &names);
	if (names.len && !names.failed)
		(void)libssh2_session_method_pref(session, method, names.data);
}

static void prefer_all(LIBSSH2_SESSION *session, const char *hostkeys)
{
	const char *ciphers = "aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes128-ctr,aes192-ctr,chacha20-poly1305@openssh.com";

	prefer(session, LIBSSH2_METHOD_HOSTKEY, hostkeys);
	prefer(session, LIBSSH2_METHOD_CRYPT_CS, ciphers);
	prefer(session, LIBSSH2_METHOD_CRYPT_SC, ciphers);
}

enum shake { SHAKE_DONE, SHAKE_FAILED, SHAKE_CLOSED, SHAKE_NO_HOSTKEY, SHAKE_NO_COMMON };

/* What ours and theirs have not in common, as words; false when all lists meet. */
static bool mismatch(struct ssh2 *s, const struct kexinit *k, const char *methods, struct buf *why, bool *only_hostkey)
{
	static const struct { int method, list; const char *name; } rows[] = {
		{ LIBSSH2_METHOD_KEX, KEX_KEX, "key exchange" },
		{ LIBSSH2_METHOD_HOSTKEY, KEX_HOSTKEY, "host key" },
		{ LIBSSH2_METHOD_CRYPT_CS, KEX_CIPHER_CS, "cipher" },
		{ LIBSSH2_METHOD_MAC_CS, KEX_MAC_CS, "MAC" },
	};
	size_t found = 0;

	*only_hostkey = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		OWN_BUF struct buf ours = BUF_INIT;

		supported(s->session, rows[i].method, rows[i].list == KEX_HOSTKEY ? methods : NULL, &ours);
		if (!ours.data || lists_meet(ours.data, k->list[rows[i].list]))
			continue;
		*only_hostkey &= rows[i].list == KEX_HOSTKEY;
		buf_printf(why, "%sno common %s algorithm (host: %.200s; libssh2 %s: %.200s)", found++ ? ", " : "", rows[i].name,
		    k->list[rows[i].list], libssh2_version(0), ours.data);
	}
	return found > 0;
}

static enum shake diagnose(struct ssh2 *s, const char *methods, struct buf *why)
{
	OWN(kexinit_dispose) struct kexinit k = { { NULL } };
	bool only_hostkey;

	if (s->hello.len == 0 && s->dead)
		return SHAKE_CLOSED;
	if (kexinit_parse(&k, s->hello.data, s->hello.len) && mismatch(s, &k, methods, why, &only_hostkey))
		return only_hostkey ? SHAKE_NO_HOSTKEY : SHAKE_NO_COMMON;
	return SHAKE_FAILED;
}

/* A stream socket to the host: over TCP, or as a channel of its bastion, which *tunnel then holds. */
static int dial(const struct route_request *q, int64_t deadline, struct channel **tunnel, int *fd, struct err *e)
{
	const struct ssh_config *c = q->config;

	if (!q->spec->via)
		return tcp_connect(c->hostname, c->port, deadline, q->keepalive_s * 4 > 60 ? q->keepalive_s * 4 : 60, q->who, fd, e);
	if (route_forward(q->spec->via, c->hostname, c->port, q->who, tunnel, e) < 0)
		return -1;
	*fd = fcntl((*tunnel)->in, F_DUPFD_CLOEXEC, 0);
	return *fd < 0 ? err_sys(e, "%s", q->who) : 0;
}

/* Connect and exchange keys.  why: the difference of the proposals, for the two SHAKE_NO_*. */
static enum shake shake(struct ssh2 **out, const struct route_request *q, const char *methods, int64_t deadline,
    struct buf *why, struct err *e)
{
	OWN(channel_abandonp) struct channel *tunnel = NULL;
	OWN(ssh2_freep) struct ssh2 *s = NULL;
	enum shake found;
	int fd = -1, rc;

	if (dial(q, deadline, &tunnel, &fd, e) < 0 || !(s = ssh2_new(fd, q->who, e)))
		return SHAKE_FAILED;
	s->tunnel = take_ptr(&tunnel);
	prefer_all(s->session, methods);
	while ((rc = libssh2_session_handshake(s->session, fd)) == LIBSSH2_ERROR_EAGAIN)
		if (!ssh2_wait(s, deadline)) {
			err_set(e, ERR_UNREACHABLE, "%s: it accepted the connection, but the SSH handshake did not end in %d s", q->who, q->timeout_s);
			return SHAKE_FAILED;
		}
	if (rc == 0) {
		*out = take_ptr(&s);
		return SHAKE_DONE;
	}
	found = diagnose(s, methods, why);
	if (found == SHAKE_CLOSED)
		err_set(e, ERR_UNREACHABLE, "%s: the far side closes new connections at once (MaxStartups, a firewall, or no sshd)", q->who);
	else
		err_set(e, ERR_UNREACHABLE, "%s: SSH handshake failed: %s", q->who, why->data ? why->data : esc_s(ssh2_why(s)));
	return found;
}

/* Servers under load (MaxStartups) drop connections before their banner: that passes. */
static enum shake shake_patiently(struct ssh2 **out, const struct route_request *q, const char *methods, int64_t deadline,
    struct buf *why, struct err *e)
{
	int64_t pause = RETRY_PAUSE_MS * 1000000LL;

	for (;;) {
		enum shake r = shake(out, q, methods, deadline, why, e);

		if (r != SHAKE_CLOSED || clock_mono_ns() + pause >= deadline)
			return r;
		(void)nanosleep(&(struct timespec){ pause / 1000000000, pause % 1000000000 }, NULL);
		pause *= 2;
		err_clear(e);
	}
}

struct search {			/* going through the key types of a host until the right key is shown */
	const struct route_request *q;
	int64_t deadline;
	struct buf why;		/* difference of proposals met last */
	bool unusable_type;	/* a type that could be right is beyond this libssh2 */
	bool judged;		/* some key was seen and was not the right one: e holds the verdict */
	enum shake last;
};
static void search_dispose(struct search *f) { buf_dispose(&f->why); }

/* One round.  0: *out is connected to the right host.  -1: not; e says why. */
static int round_with(struct search *f, const char *types, struct ssh2 **out, struct err *e)
{
	OWN(ssh2_freep) struct ssh2 *s = NULL;
	OWN_BUF struct buf methods = BUF_INIT;
	struct err tmp = ERR_INIT;
	const char *blob;
	size_t n = 0;
	int type;

	methods_of(types, &methods);
	buf_reset(&f->why);
	if (buf_finish(&methods, e) < 0)
		return -1;
	f->last = shake_patiently(&s, f->q, methods.data, f->deadline, &f->why, &tmp);
	if (f->last != SHAKE_DONE) {
		if (f->last == SHAKE_NO_HOSTKEY && !has_rsa_sha2() && list_has(types, "ssh-rsa", 7) && strstr(f->why.data, "rsa-sha2"))
			f->unusable_type = true;
		if (!f->judged)
			*e = tmp;
		return -1;
	}
	blob = libssh2_session_hostkey(s->session, &n, &type);
	if (!blob)
		return err_set(e, ERR_UNREACHABLE, "%s: no host key was shown", f->q->who);
	if (hostkey_judge(f->q->policy, f->q->who, blob, n, e) < 0) {
		f->judged = true;
		return -1;
	}
	*out = take_ptr(&s);
	return 0;
}

static bool next_type_may_help(const struct search *f)
{
	return f->last == SHAKE_NO_HOSTKEY || f->last == SHAKE_DONE;
}

/* Known types first.  Where none is offered, the key that is shown instead makes the message. */
static int find_known(struct search *f, const char *types, struct ssh2 **out, struct err *e)
{
	OWN_BUF struct buf usable = BUF_INIT;

	methods_of(types, &usable);
	if (usable.len == 0) {
		f->unusable_type = true;
		return err_set(e, ERR_UNREACHABLE, "%s: libssh2 %s cannot use host keys of type %s", f->q->who, libssh2_version(0), esc_s(types));
	}
	if (round_with(f, types, out, e) == 0)
		return 0;
	if (f->last == SHAKE_NO_HOSTKEY && !f->unusable_type)
		return round_with(f, ALL_TYPES, out, e);
	return -1;
}

/* A fingerprint does not say its type: one connection for each until it is shown. */
static int find_fingerprint(struct search *f, struct ssh2 **out, struct err *e)
{
	static const char *const types[] = { "ssh-ed25519", "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521", "ssh-rsa" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (round_with(f, types[i], out, e) == 0)
			return 0;
		if (!next_type_may_help(f))
			return -1;
	}
	return -1;
}

static int find_host(struct search *f, struct ssh2 **out, struct buf *fallback, struct err *e)
{
	OWN_BUF struct buf types = BUF_INIT;
	int rc;

	hostkey_types(f->q->policy, &types);
	if (buf_finish(&types, e) < 0)
		return -1;
	if (types.len)
		rc = find_known(f, types.data, out, e);
	else if (hostkey_is_pinned(f->q->policy))
		rc = find_fingerprint(f, out, e);
	else
		rc = round_with(f, ALL_TYPES, out, e);
	if (rc == 0)
		return 0;
	if (f->unusable_type)
		buf_printf(fallback, "libssh2 %s cannot use this host's RSA key (rsa-sha2) or a key of the type that is known", libssh2_version(0));
	else if (f->last == SHAKE_NO_COMMON || (f->last == SHAKE_NO_HOSTKEY && !f->judged))
		buf_printf(fallback, "%s", f->why.data ? f->why.data : "algorithms do not meet");
	return -1;
}

static void describe(struct ssh2 *s, const struct route_request *q, const char *key, struct buf *text)
{
	const char *cipher = libssh2_session_methods(s->session, LIBSSH2_METHOD_CRYPT_CS), *blob;
	char fp[FINGERPRINT_MAX], type[KEY_TYPE_MAX];
	size_t n = 0;
	int t;

	blob = libssh2_session_hostkey(s->session, &n, &t);
	(void)key_type_of(blob, n, type);
	buf_printf(text, "libssh2 %s, ", libssh2_version(0));
	if (q->spec->via)
		buf_printf(text, "via %s, ", esc_s(q->spec->via->spec->name));
	buf_printf(text, "%s@%s:%d, %s, host key %s %s, %s", esc_s(q->config->user), esc_s(q->config->hostname),
	    q->config->port, key, type, key_fingerprint(blob, n, fp), cipher ? cipher : "?");
}

int ssh2_open(struct route **out, const struct route_request *q, struct buf *text, struct buf *fallback, struct err *e)
{
	OWN(ssh2_freep) struct ssh2 *s = NULL;
	OWN(search_dispose) struct search f = { .q = q, .deadline = clock_mono_ns() + q->timeout_s * 1000000000LL, .why = BUF_INIT };
	OWN_BUF struct buf key = BUF_INIT;

	ssh2_library_init();
	if (find_host(&f, &s, fallback, e) < 0)
		return -1;
	if (ssh2_login(s, q, f.deadline, &key, fallback, e) < 0 || buf_finish(&key, e) < 0)
		return -1;
	describe(s, q, key.data ? key.data : "?", text);
	if (ssh2_pump_start(s, q->keepalive_s, e) < 0)
		return -1;
	*out = &take_ptr(&s)->base;
	return 0;
}
