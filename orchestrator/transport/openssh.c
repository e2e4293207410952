#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "digest.h"
#include "esc.h"
#include "hostkey.h"
#include "io.h"
#include "openssh.h"

/*
 * The OpenSSH client as a way: one master connection a host, commands multiplexed over it.  The master's remote command reads
 * our pipe, so that it ends with us even when we are killed.  A pinned host key is enforced by a known_hosts file of our own.
 */
struct openssh {
	struct route base;
	const struct host_spec *spec;
	char *target, *user, *who;
	int port;
	char dir[64];			/* 0700: control socket, known_hosts, log */
	char *control, *known, *log, *scan;
	struct channel *master;
	bool single;			/* the master's connection takes no further session: each command makes its own */
	char *ciphers, *proxy;		/* options of every connection, or NULL */
	int timeout_s, keepalive_s;
	bool pinned;			/* known holds the only key that is right */
};

static void remove_dir(struct openssh *o)
{
	char *files[] = { o->control, o->known, o->log, o->scan };

	for (size_t i = 0; i < 4; i++) {
		if (files[i] && *o->dir)
			(void)unlink(files[i]);
		free(files[i]);
	}
	if (*o->dir)
		(void)rmdir(o->dir);
}

static void destroy(struct openssh *o)
{
	struct err ignored = ERR_INIT;
	int status;

	if (o->master) {
		/* Its input ends, so the far side's command ends, so the client ends: a clean good-bye, if that takes no longer than this. */
		o->master->ops->end_input(o->master);
		(void)!o->master->ops->wait(o->master, clock_mono_ns() + 2000000000LL, &status, NULL, &ignored);
		o->master->ops->drop(o->master);
	}
	remove_dir(o);
	free(o->target);
	free(o->user);
	free(o->who);
	free(o->ciphers);
	free(o->proxy);
	free(o);
}
static void destroyp(struct openssh **o) { if (*o) destroy(*o); }

static void words_add(struct words *w, const char *s)
{
	if (w->n < WORDS_MAX)
		w->v[w->n++] = s;
	w->v[w->n] = NULL;
}

static void words_option(struct words *w, const char *option)
{
	words_add(w, "-o");
	words_add(w, option);
}

/* What every call shares: whom to talk to, and that nobody is asked anything. */
static void common(const struct openssh *o, struct words *w)
{
	const char *file = getenv("WAYBILL_SSH_CONFIG");

	words_add(w, "ssh");
	if (file && *file) {
		words_add(w, "-F");
		words_add(w, file);
	}
	(void)snprintf(w->port, sizeof(w->port), "%d", o->port);
	words_add(w, "-p");
	words_add(w, w->port);
	words_add(w, "-l");
	words_add(w, o->user);
	words_add(w, "-T");
	words_option(w, "BatchMode=yes");
	words_option(w, "EscapeChar=none");
	words_option(w, "ForwardAgent=no");
	words_option(w, "ForwardX11=no");
	words_option(w, "ClearAllForwardings=yes");
	words_option(w, "PermitLocalCommand=no");
	words_option(w, "RemoteCommand=none");
	words_option(w, "UpdateHostKeys=no");
	words_option(w, "ControlPersist=no");
}

static const char *print(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static const char *print(struct words *w, const char *fmt, ...)
{
	char *s = w->room[w->used];
	va_list ap;

	if (w->used + 1 < WORDS_ROOM)
		w->used++;
	va_start(ap, fmt);
	(void)vsnprintf(s, sizeof(w->room[0]), fmt, ap);
	va_end(ap);
	return s;
}

/*
 * Connect with one kind of host key and without any log-in, so that the client writes the key it was shown into a file of
 * ours: unlike ssh-keyscan this goes through ProxyJump and all.
 */
static int show_key(const struct openssh *o, const char *algorithms, int timeout_s, struct known_hosts *k, struct err *e)
{
	struct words w = { 0 };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;

	common(o, &w);
	if (o->proxy)
		words_option(&w, o->proxy);
	words_option(&w, print(&w, "HostKeyAlgorithms=%s", algorithms));
	words_option(&w, print(&w, "UserKnownHostsFile=%s", o->scan));
	words_option(&w, print(&w, "ConnectTimeout=%d", timeout_s));
	words_option(&w, "GlobalKnownHostsFile=/dev/null");
	words_option(&w, "HostKeyAlias=shown");
	words_option(&w, "StrictHostKeyChecking=accept-new");
	words_option(&w, "PreferredAuthentications=none");
	words_option(&w, "ControlMaster=no");
	words_option(&w, "ControlPath=none");
	words_add(&w, "--");
	words_add(&w, o->target);
	words_add(&w, "true");
	(void)unlink(o->scan);
	if (proc_run(&(struct proc_options){ .argv = w.v, .timeout_ms = timeout_s * 1000 + 1000 }, &r, e) < 0)
		return -1;
	return known_hosts_read(k, o->scan, "shown", e);
}

static int show_keys(const struct openssh *o, const struct route_request *q, int64_t deadline, struct known_hosts *k, struct err *e)
{
	static const char *const kinds[] = { "ssh-ed25519", "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521", "rsa-sha2-512,rsa-sha2-256" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int64_t left = (deadline - clock_mono_ns()) / 1000000000;

		if (left < 1)
			break;
		if (show_key(o, kinds[i], left < q->timeout_s ? (int)left : q->timeout_s, k, e) < 0)
			return -1;
	}
	return 0;
}

/* known_hosts for the client: this key under every name. */
static int write_pin(const struct openssh *o, const struct buf *blob, struct err *e)
{
	OWN_BUF struct buf line = BUF_INIT;
	OWN_FD int fd = open(o->known, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	buf_puts(&line, "* ");
	key_line(&line, blob->data, blob->len);
	buf_putc(&line, '\n');
	if (fd < 0)
		return err_sys(e, "%s", o->known);
	if (buf_finish(&line, e) < 0)
		return -1;
	return io_write_all("openssh", fd, line.data, line.len, o->known, e);
}

/* A fingerprint says no key: it is fetched, and counts only if it has that fingerprint.  *found: a pin file was written. */
static int pin_fingerprint(const struct openssh *o, const struct route_request *q, int64_t deadline, bool *found, struct err *e)
{
	OWN(known_hosts_dispose) struct known_hosts shown = KNOWN_HOSTS_INIT;

	if (show_keys(o, q, deadline, &shown, e) < 0)
		return -1;
	for (size_t i = 0; i < shown.n && !*found; i++)
		if (hostkey_is_right(q->policy, shown.keys[i].blob.data, shown.keys[i].blob.len)) {
			*found = true;
			return write_pin(o, &shown.keys[i].blob, e);
		}
	/* Nothing shown: the host was not reached; the master's own attempt will say why. */
	return shown.n ? hostkey_judge(q->policy, q->who, shown.keys[0].blob.data, shown.keys[0].blob.len, e) : 0;
}

static int pin(const struct openssh *o, const struct route_request *q, int64_t deadline, struct err *e)
{
	OWN_BUF struct buf none = BUF_INIT;
	bool found = false;

	if (!hostkey_is_pinned(q->policy))
		return 0;
	if (q->policy->pin.len) {
		if (hostkey_judge(q->policy, q->who, q->policy->pin.data, q->policy->pin.len, e) < 0)
			return -1;	/* revoked */
		return write_pin(o, &q->policy->pin, e);
	}
	if (pin_fingerprint(o, q, deadline, &found, e) < 0)
		return -1;
	return found ? 0 : write_pin(o, &none, e);
}

/*
 * The same ciphers as configured, AES-GCM first: with the processor's help it costs half of what ChaCha20 does, which clients
 * before 10.0 put first.  Nothing is added: who has configured a set has it.
 */
static void prefer_gcm(const struct route_request *q, struct buf *option)
{
	const char *all = q->config->ciphers, *comma = "";

	if (!all || strncmp(all, "chacha20-poly1305@openssh.com,", 30) != 0 || !strstr(all, "-gcm@openssh.com"))
		return;
	buf_puts(option, "Ciphers=");
	for (int gcm = 1; gcm >= 0; gcm--) {
		for (const char *s = all; *s; ) {
			size_t n = strcspn(s, ",");
			bool is_gcm = n > 16 && memcmp(s + n - 16, "-gcm@openssh.com", 16) == 0;

			if (is_gcm == (gcm == 1)) {
				buf_printf(option, "%s%.*s", comma, (int)n, s);
				comma = ",";
			}
			s += n + (s[n] == ',');
		}
	}
}

/* What each connection of its own is told beside common(): how to get there, which host is right, as whom. */
static void connecting(const struct openssh *o, struct words *w)
{
	common(o, w);
	if (o->proxy)
		words_option(w, o->proxy);
	if (o->ciphers)
		words_option(w, o->ciphers);
	words_option(w, "StrictHostKeyChecking=yes");
	words_option(w, print(w, "ConnectTimeout=%d", o->timeout_s));
	words_option(w, print(w, "ServerAliveInterval=%d", o->keepalive_s));
	words_option(w, "ServerAliveCountMax=4");
	if (o->pinned) {
		words_option(w, print(w, "UserKnownHostsFile=%s", o->known));
		words_option(w, "GlobalKnownHostsFile=/dev/null");
		words_option(w, "KnownHostsCommand=none");
		words_option(w, "VerifyHostKeyDNS=no");
	}
	if (o->spec->identity) {	/* comes first; the client cannot be kept from those its configuration names as well */
		words_add(w, "-i");
		words_add(w, o->spec->identity);
		words_option(w, "IdentitiesOnly=yes");
	}
}

static int start_master(struct openssh *o, const char *mark, struct err *e)
{
	struct words w = { 0 };

	connecting(o, &w);
	words_add(&w, "-v");
	words_add(&w, "-E");
	words_add(&w, o->log);
	words_add(&w, "-M");
	words_add(&w, "-S");
	words_add(&w, o->control);
	words_add(&w, "--");
	words_add(&w, o->target);
	words_add(&w, print(&w, "echo %s; exec cat >/dev/null", mark));
	return child_channel(w.v, false, &o->master, e);
}

/* Reads the master's output until the mark (a noisy shell may say other things first).  False: it ended, or time is up. */
static bool await_mark(const struct channel *c, const char *mark, int64_t deadline, bool *late)
{
	OWN_BUF struct buf seen = BUF_INIT;

	*late = false;
	for (;;) {
		struct pollfd f = { c->out, POLLIN, 0 };
		int64_t left = (deadline - clock_mono_ns()) / 1000000;
		char t[4096];
		ssize_t n;

		if (left <= 0) {
			*late = true;
			return false;
		}
		if (poll(&f, 1, left > 1000 ? 1000 : (int)left) <= 0)
			continue;
		n = read(c->out, t, sizeof(t));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		buf_put(&seen, t, (size_t)n);
		if (seen.data && memmem(seen.data, seen.len, mark, strlen(mark)))
			return true;
		keep_tail(&seen, 256);
	}
}

/* The rest of the first line that begins with prefix, or of the last one; false when there is none. */
static bool find_line(const struct buf *log, const char *prefix, struct buf *out)
{
	const char *s = log->data ? strstr(log->data, prefix) : NULL;

	if (!s)
		return false;
	s += strlen(prefix);
	esc_put(out, s, strcspn(s, "\r\n"));
	return true;
}

/* The last line that is no debug output: what the client died of. */
static void last_words(const struct buf *log, struct buf *out)
{
	for (const char *s = log->data; s && *s; s += strcspn(s, "\n"), s += *s == '\n') {
		size_t n = strcspn(s, "\r\n");

		if (n == 0 || strncmp(s, "debug", 5) == 0 || strncmp(s, "OpenSSH_", 8) == 0 || strncmp(s, "@@@", 3) == 0)
			continue;
		buf_reset(out);
		esc_put(out, s, n);
	}
}

static void offered_keys(const struct buf *log, struct buf *out)
{
	static const char prefix[] = "debug1: Offering public key: ";

	for (const char *s = log->data; s && (s = strstr(s, prefix)); ) {
		s += sizeof(prefix) - 1;
		if (out->len)
			buf_puts(out, "; ");
		esc_put(out, s, strcspn(s, "\r\n"));
	}
	if (!out->len)
		buf_puts(out, "no key at all");
}

/* Which key the host shows, for the message. */
static int explain_hostkey(const struct openssh *o, const struct route_request *q, const char *words, struct err *e)
{
	OWN(known_hosts_dispose) struct known_hosts shown = KNOWN_HOSTS_INIT;
	OWN_BUF struct buf types = BUF_INIT;
	const struct known_key *best = NULL;

	if (show_keys(o, q, clock_mono_ns() + q->timeout_s * 1000000000LL, &shown, e) < 0)
		return -1;
	hostkey_types(q->policy, &types);
	for (size_t i = 0; i < shown.n; i++)
		if (!best || (types.data && strstr(types.data, shown.keys[i].type) && !strstr(types.data, best->type)))
			best = &shown.keys[i];
	if (best && hostkey_judge(q->policy, q->who, best->blob.data, best->blob.len, e) < 0)
		return -1;
	return err_set(e, ERR_UNREACHABLE, "%s: the OpenSSH client refuses its host key: %s", q->who, words);
}

static int explain(const struct openssh *o, const struct route_request *q, bool late, struct err *e)
{
	OWN_BUF struct buf log = BUF_INIT;
	OWN_BUF struct buf words = BUF_INIT;
	OWN_BUF struct buf tried = BUF_INIT;
	struct err ignored = ERR_INIT;	/* no log: the message is then the general one */

	if (io_read_file(AT_FDCWD, o->log, 1 << 20, &log, &ignored) < 0)
		buf_reset(&log);
	last_words(&log, &words);
	if (!words.data || late)
		return err_set(e, ERR_UNREACHABLE, "%s: the OpenSSH client %s%s%s", q->who, late ? "was not logged in in time" : "ended",
		    words.data ? ": " : "", words.data ? words.data : "");
	if (o->spec->via && strstr(words.data, "Connection closed by UNKNOWN")) {
		err_set(e, ERR_UNREACHABLE, "%s: via %s: no connection from there", q->who, esc_s(o->spec->via->spec->name));
		(void)err_hint(e, "the host must be reachable from there");
		return route_hint_no_forwarding(o->spec->via, e);
	}
	if (strstr(log.data, "Host key verification failed") || strstr(log.data, "no matching host key type"))
		return explain_hostkey(o, q, words.data, e);
	if (strstr(words.data, "Permission denied")) {
		offered_keys(&log, &tried);
		return err_set(e, ERR_UNREACHABLE, "%s: log-in refused for user %s (OpenSSH client: %.200s); tried: %.400s; put one of these public keys into "
		    "that user's authorized_keys, or name another key (identity) or user", q->who, esc_s(o->user), words.data, tried.data ? tried.data : "");
	}
	return err_set(e, ERR_UNREACHABLE, "%s: OpenSSH client: %.600s", q->who, words.data);
}

static void describe(const struct openssh *o, struct buf *text)
{
	OWN_BUF struct buf log = BUF_INIT;
	OWN_BUF struct buf one = BUF_INIT;
	struct err ignored = ERR_INIT;	/* only the description is shorter then */

	if (io_read_file(AT_FDCWD, o->log, 1 << 20, &log, &ignored) < 0)
		buf_reset(&log);
	if (find_line(&log, "OpenSSH_", &one) && one.data)
		buf_printf(text, "OpenSSH client %.*s", (int)strcspn(one.data, ", "), one.data);
	else
		buf_puts(text, "OpenSSH client");
	if (o->spec->via)
		buf_printf(text, ", via %s", esc_s(o->spec->via->spec->name));
	buf_printf(text, ", %s@%s:%d", esc_s(o->user), esc_s(o->target), o->port);
	buf_reset(&one);
	if (find_line(&log, "debug1: Server accepts key: ", &one) && one.data)
		buf_printf(text, ", key %s", one.data);
	buf_reset(&one);
	if (find_line(&log, "debug1: Server host key: ", &one) && one.data)
		buf_printf(text, ", host key %s", one.data);
	buf_reset(&one);
	if (find_line(&log, "debug1: kex: client->server cipher: ", &one) && one.data)
		buf_printf(text, ", %.*s", (int)strcspn(one.data, " "), one.data);
}

static void asked(const struct openssh *o, struct words *w, const char *line, bool subsystem)
{
	if (subsystem)
		words_add(w, "-s");
	words_add(w, "--");
	words_add(w, o->target);
	words_add(w, line);
}

/* A command over the master's connection. */
static void shared(const struct openssh *o, struct words *w, const char *line, bool subsystem)
{
	common(o, w);
	words_add(w, "-S");
	words_add(w, o->control);
	words_option(w, "ControlMaster=no");
	words_option(w, "LogLevel=ERROR");
	/* Without its master the client would connect anew, by rules of its own: it must fail instead. */
	words_option(w, "ProxyCommand=false");
	asked(o, w, line, subsystem);
}

/* A command over a connection of its own. */
static void fresh(const struct openssh *o, struct words *w, const char *line, bool subsystem)
{
	connecting(o, w);
	words_option(w, "ControlMaster=no");
	words_option(w, "ControlPath=none");
	words_option(w, "LogLevel=ERROR");
	asked(o, w, line, subsystem);
}

static int begin(const struct openssh *o, const char *line, bool subsystem, struct channel **out, struct err *e)
{
	struct words w = { 0 };

	if (o->single)
		fresh(o, &w, line, subsystem);
	else
		shared(o, &w, line, subsystem);
	return child_channel(w.v, true, out, e);
}

static int on_start(struct route *r, const char *const *argv, const char *line, struct channel **out, struct err *e)
{
	(void)argv;
	return begin((struct openssh *)r, line, false, out, e);
}

static int on_subsystem(struct route *r, const char *name, struct channel **out, struct err *e)
{
	return begin((struct openssh *)r, name, true, out, e);
}

/* The master's own session may be the only one that the host allows on a connection (MaxSessions 1). */
static int try_second_session(struct openssh *o, struct err *e)
{
	OWN_PROC struct proc_result p = PROC_RESULT_INIT;
	struct words w = { 0 };

	shared(o, &w, "true", false);
	if (proc_run(&(struct proc_options){ .argv = w.v, .timeout_ms = o->timeout_s * 1000 }, &p, e) < 0)
		return -1;
	o->single = p.status == 255 && p.err.data && strstr(p.err.data, "refused by peer");
	return 0;
}

/* Words of a shell, for an option in which ssh expands %. */
static void put_words(struct buf *b, const char *const *argv)
{
	OWN_BUF struct buf quoted = BUF_INIT;

	shell_quote(&quoted, argv);
	for (const char *p = quoted.data; p && *p; p++) {
		if (*p == '%')
			buf_putc(b, '%');
		buf_putc(b, *p);
	}
	b->failed |= quoted.failed;
}

/* The client's own way for ProxyJump: a stream of the bastion's connection on stdin and stdout. */
static void on_proxy_command(const struct route *r, struct buf *b)
{
	const struct openssh *o = (const struct openssh *)r;
	struct words w = { 0 };

	common(o, &w);
	words_add(&w, "-S");
	words_add(&w, o->control);
	words_option(&w, "ControlMaster=no");
	words_option(&w, "LogLevel=ERROR");
	words_option(&w, "ProxyCommand=false");	/* without its master it must fail, not connect anew by rules of its own */
	put_words(b, w.v);
	buf_puts(b, " -W '[%h]:%p' -- ");
	put_words(b, (const char *const []){ o->target, NULL });
}

static void on_close(struct route *r)
{
	destroy((struct openssh *)r);
}

static const struct route_ops ops = { .shell = true, .start = on_start, .close = on_close, .subsystem = on_subsystem,
	.proxy_command = on_proxy_command };

static int make_dir(struct openssh *o, struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	/* The control socket's path, and what the client appends to it while binding, must fit into 107 bytes. */
	(void)snprintf(o->dir, sizeof(o->dir), "%s/waybill-ssh-XXXXXX", tmp && *tmp == '/' && strlen(tmp) < 40 ? tmp : "/tmp");
	if (!mkdtemp(o->dir)) {
		err_sys(e, "%s", o->dir);
		*o->dir = '\0';
		return -1;
	}
	if (asprintf(&o->control, "%s/c", o->dir) < 0)
		o->control = NULL;
	if (asprintf(&o->known, "%s/known_hosts", o->dir) < 0)
		o->known = NULL;
	if (asprintf(&o->log, "%s/log", o->dir) < 0)
		o->log = NULL;
	if (asprintf(&o->scan, "%s/shown", o->dir) < 0)
		o->scan = NULL;
	return o->control && o->known && o->log && o->scan ? 0 : err_sys(e, "%s", o->dir);
}

static int connection_options(struct openssh *o, const struct route_request *q, struct err *e)
{
	OWN_BUF struct buf ciphers = BUF_INIT, proxy = BUF_INIT;
	struct host *via = q->spec->via;

	prefer_gcm(q, &ciphers);
	if (via) {	/* through the bastion's connection, whatever the configuration says */
		buf_puts(&proxy, "ProxyCommand=");
		via->route->ops->proxy_command(via->route, &proxy);
	}
	if (buf_finish(&ciphers, e) < 0 || buf_finish(&proxy, e) < 0)
		return -1;
	o->ciphers = ciphers.len ? buf_take(&ciphers) : NULL;
	o->proxy = proxy.len ? buf_take(&proxy) : NULL;
	return 0;
}

static struct openssh *openssh_new(const struct route_request *q, struct err *e)
{
	struct openssh *o = calloc(1, sizeof(*o));

	if (!o) {
		err_sys(e, "%s", q->who);
		return NULL;
	}
	o->base.ops = &ops;
	o->spec = q->spec;
	o->port = q->config->port;
	o->target = strdup(q->config->target);
	o->user = strdup(q->config->user);
	o->who = strdup(q->who);
	o->timeout_s = q->timeout_s;
	o->keepalive_s = q->keepalive_s;
	o->pinned = hostkey_is_pinned(q->policy);
	if (!o->target || !o->user || !o->who || connection_options(o, q, e) < 0 || make_dir(o, e) < 0) {
		if (e->class == ERR_NONE)
			err_sys(e, "%s", q->who);
		destroy(o);
		return NULL;
	}
	return o;
}

int openssh_open(struct route **out, const struct route_request *q, struct buf *text, struct err *e)
{
	int64_t deadline = clock_mono_ns() + q->timeout_s * 1000000000LL;
	OWN(destroyp) struct openssh *o = NULL;
	uint8_t random[8];
	char mark[32] = "waybill-";
	bool late;

	if (!q->config->have_ssh)
		return err_set(e, ERR_UNREACHABLE, "%s: no OpenSSH client (ssh) is installed here", q->who);
	if (q->spec->via && !q->spec->via->route->ops->proxy_command)
		return err_set(e, ERR_UNREACHABLE, "%s: its bastion %s is reached with libssh2, and the OpenSSH client cannot go on from there; "
		    "use \"client: openssh\" for both, or \"client: libssh2\" for both", q->who, esc_s(q->spec->via->spec->name));
	if (!(o = openssh_new(q, e)) || pin(o, q, deadline, e) < 0)
		return -1;
	if (q->spec->sftp_only) {	/* no command could hold a master open; what goes wrong is told when the subsystem does not answer */
		o->single = true;
		describe(o, text);
		*out = &take_ptr(&o)->base;
		return 0;
	}
	random_bytes(random, sizeof(random));
	hex_of(random, sizeof(random), mark + strlen(mark));
	if (start_master(o, mark, e) < 0)
		return -1;
	if (!await_mark(o->master, mark, clock_mono_ns() + q->timeout_s * 1000000000LL, &late))
		return explain(o, q, late, e);
	if (try_second_session(o, e) < 0)
		return -1;
	describe(o, text);
	*out = &take_ptr(&o)->base;
	return 0;
}
