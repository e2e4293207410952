#include <errno.h>
#include <poll.h>
#include <string.h>

#include "clock.h"
#include "esc.h"
#include "route.h"

static void keep(struct host *h, struct channel *c)
{
	c->host = h;
	(void)pthread_mutex_lock(&h->lock);
	c->next = h->channels;
	h->channels = c;
	(void)pthread_mutex_unlock(&h->lock);
}

/* A host that allows one session on a connection (MaxSessions 1) still allows connections. */
static int start_on_spare(struct host *h, const char *const *argv, const char *line, struct channel **out, struct err *e)
{
	int r = 0;

	err_clear(e);
	(void)pthread_mutex_lock(&h->spare_lock);
	if (!h->spare)
		r = host_open(&h->spare, h->spec, e);
	(void)pthread_mutex_unlock(&h->spare_lock);
	return r < 0 ? -1 : route_start(h->spare, argv, line, out, e);
}

int route_start(struct host *h, const char *const *argv, const char *line, struct channel **out, struct err *e)
{
	OWN_BUF struct buf quoted = BUF_INIT;

	if (h->route->ops->shell && !line) {
		shell_quote(&quoted, argv);
		if (buf_finish(&quoted, e) < 0)
			return -1;
		line = quoted.data;
	}
	if (h->route->ops->start(h->route, argv, line, out, e) == 0) {
		keep(h, *out);
		return 0;
	}
	return e->sys == EUSERS ? start_on_spare(h, argv, line, out, e) : -1;
}

int route_subsystem(struct host *h, const char *name, struct channel **out, struct err *e)
{
	if (!h->route->ops->subsystem)
		return err_set(e, ERR_USAGE, "host %s is no host that is logged in to", esc_s(h->spec->name));
	if (h->route->ops->subsystem(h->route, name, out, e) < 0)
		return -1;
	keep(h, *out);
	return 0;
}

int route_hint_no_forwarding(const struct host *via, struct err *e)
{
	const char *name = esc_s(via->spec->name);

	return err_hint(e, "its sshd must allow this (AllowTcpForwarding, PermitOpen); else an ssh_config alias with ProxyCommand goes through a program "
	    "there, or a package through its SFTP: `waybill package PLAN --to %s:DIR` here, `waybill accept PACKAGE --fetch [USER@]%s:DIR --as PERSON "
	    "--key FILE --to OUT` behind it; or run waybill on the bastion itself", name, name);
}

int route_forward(struct host *via, const char *hostname, int port, const char *who, struct channel **out, struct err *e)
{
	struct err why = ERR_INIT;

	if (!via->route->ops->forward)
		return err_set(e, ERR_UNREACHABLE, "%s: its bastion %s is reached with the OpenSSH client, and libssh2 cannot go on from there; "
		    "use \"client: openssh\" for both, or \"client: libssh2\" for both", who, esc_s(via->spec->name));
	if (via->route->ops->forward(via->route, hostname, port, out, &why) == 0) {
		keep(via, *out);
		return 0;
	}
	err_set(e, why.class, "%s: via %s: %.600s", who, esc_s(via->spec->name), why.text);
	if (strstr(why.text, "prohibited"))
		return route_hint_no_forwarding(via, e);
	return err_hint(e, "can %s reach %s:%d?", esc_s(via->spec->name), esc_s(hostname), port);
}

static void unlist(struct channel *c)
{
	(void)pthread_mutex_lock(&c->host->lock);
	for (struct channel **p = &c->host->channels; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	(void)pthread_mutex_unlock(&c->host->lock);
}

int channel_exec(struct host *h, const char *const *argv, struct channel **out, struct err *e)
{
	return route_start(h, argv, NULL, out, e);
}

int channel_agent(struct host *h, const char *const *args, struct channel **out, struct err *e)
{
	OWN_FREE const char **argv = NULL;
	size_t n = 0, k = 0;

	if (!h->agent)
		return err_set(e, ERR_BUG, "host %s: its agent was not looked for yet", esc_s(h->spec->name));
	while (args[n])
		n++;
	if (!(argv = calloc(n + 5, sizeof(*argv))))
		return err_sys(e, "host %s", esc_s(h->spec->name));
	if (h->spec->become_sudo) {
		argv[k++] = "sudo";
		argv[k++] = "-n";
		argv[k++] = "--";
	}
	argv[k++] = h->agent;
	memcpy(argv + k, args, n * sizeof(*args));
	return route_start(h, argv, NULL, out, e);
}

int channel_in(const struct channel *c) { return c->in; }
int channel_out(const struct channel *c) { return c->out; }

/* What the caller did not read: nobody wants it, but the command must be able to finish.  False when it falls silent. */
static bool drain_output(const struct channel *c)
{
	char t[65536];

	for (;;) {
		struct pollfd f = { c->out, POLLIN, 0 };
		int rc = poll(&f, 1, SILENCE_LIMIT_S * 1000);
		ssize_t n;

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return false;
		n = read(c->out, t, sizeof(t));
		if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
			return true;
	}
}

int channel_close(struct channel *c, int *status, struct buf *stderr_tail, struct err *e)
{
	int rc;

	*status = -1;
	c->ops->end_input(c);
	if (!drain_output(c))
		rc = err_set(e, ERR_TEMPORARY, "no byte and no end for %d s after our input ended", SILENCE_LIMIT_S);
	else
		rc = c->ops->wait(c, clock_mono_ns() + SILENCE_LIMIT_S * 1000000000LL, status, stderr_tail, e);
	if (rc < 0)
		err_at(e, "host %s", esc_s(c->host->spec->name));
	channel_abandon(c);
	return rc;
}

void channel_abandon(struct channel *c)
{
	if (!c)
		return;
	unlist(c);
	c->ops->drop(c);
}
