#include <errno.h>
#include <signal.h>
#include <string.h>

#include "esc.h"
#include "hostkey.h"
#include "log.h"
#include "route.h"
#include "ssh_config.h"

#define KEEPALIVE_S 15
#define CONNECT_TIMEOUT_S 20

struct opening {		/* what is needed only until the host is open */
	struct ssh_config config;
	struct hostkey_policy policy;
	struct buf who, text, fallback;
};

static void opening_dispose(struct opening *o)
{
	ssh_config_dispose(&o->config);
	hostkey_policy_dispose(&o->policy);
	buf_dispose(&o->who);
	buf_dispose(&o->text);
	buf_dispose(&o->fallback);
}

/* A far side that goes away is an EPIPE to be reported, not the end of this program. */
static void ignore_sigpipe(void)
{
	struct sigaction now;

	if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		(void)signal(SIGPIPE, SIG_IGN);
}

static int set_reason(struct host *h, const char *reason, struct err *e)
{
	if (!(h->reason = strdup(reason)))
		return err_sys(e, "host %s", esc_s(h->spec->name));
	log_info("host %s: using the OpenSSH client: %s", h->spec->name, reason);
	return 0;
}

static int open_by_libssh2(struct host *h, struct opening *o, const struct route_request *q, struct err *e)
{
	int rc = ssh2_open(&h->route, q, &o->text, &o->fallback, e);

	if (rc < 0 && o->fallback.len && h->spec->client == HOST_LIBSSH2)
		err_hint(e, "\"client: openssh\" may work: %.200s", o->fallback.data);
	return rc;
}

static int open_remote(struct host *h, struct opening *o, const struct route_request *q, struct err *e)
{
	const char *reason = q->spec->via && q->spec->via->route->ops->proxy_command ? "its bastion is reached with it" :
	    ssh_config_needs_openssh(&o->config, q->spec->via != NULL);
	enum host_client client = h->spec->client;
	struct err first = ERR_INIT;

	if (client == HOST_LIBSSH2 && reason)
		return err_set(e, ERR_UNREACHABLE, "%s: %s, which libssh2 cannot do; use \"client: openssh\"", q->who, reason);
	if (client == HOST_OPENSSH)
		return openssh_open(&h->route, q, &o->text, e);
	if (reason)
		return set_reason(h, reason, e) < 0 ? -1 : openssh_open(&h->route, q, &o->text, e);
	if (open_by_libssh2(h, o, q, &first) == 0)
		return 0;
	if (client == HOST_LIBSSH2 || !o->fallback.len || !o->config.have_ssh) {
		*e = first;
		return -1;
	}
	if (set_reason(h, o->fallback.data, e) < 0)
		return -1;
	return openssh_open(&h->route, q, &o->text, e);
}

static int prepare(struct host *h, struct opening *o, struct err *e)
{
	const struct host_spec *s = h->spec;

	if (!s->ssh)
		return err_set(e, ERR_USAGE, "host %s: ssh (its address) is missing", esc_s(s->name));
	if (ssh_config_load(&o->config, s->ssh, s->port, e) < 0 || hostkey_policy_load(&o->policy, s->host_key, &o->config, e) < 0)
		return err_at(e, "host %s", esc_s(s->name));
	buf_printf(&o->who, "host %s (%s@%s:%d)", esc_s(s->name), esc_s(o->config.user), esc_s(o->config.hostname), o->config.port);
	return buf_finish(&o->who, e);
}

static int open_it(struct host *h, struct err *e)
{
	OWN(opening_dispose) struct opening o = { .who = BUF_INIT };
	const struct host_spec *s = h->spec;
	struct route_request q = { .spec = s, .config = &o.config, .policy = &o.policy, .keepalive_s = s->keepalive_s ? s->keepalive_s : KEEPALIVE_S };

	if (strcmp(s->name, "local") == 0) {
		if (local_open(&h->route, &o.text, e) < 0)
			return -1;
	} else {
		if (prepare(h, &o, e) < 0)
			return -1;
		q.who = o.who.data;
		q.timeout_s = s->connect_timeout_s ? s->connect_timeout_s : o.config.connect_timeout_s ? o.config.connect_timeout_s : CONNECT_TIMEOUT_S;
		if (open_remote(h, &o, &q, e) < 0)
			return -1;
	}
	if (buf_finish(&o.text, e) < 0)
		return -1;
	h->text = buf_take(&o.text);
	return 0;
}

int host_open(struct host **out, const struct host_spec *spec, struct err *e)
{
	OWN(host_closep) struct host *h = calloc(1, sizeof(*h));

	if (!h)
		return err_sys(e, "host %s", esc_s(spec->name));
	h->spec = spec;
	(void)pthread_mutex_init(&h->lock, NULL);
	(void)pthread_mutex_init(&h->spare_lock, NULL);
	ignore_sigpipe();
	if (open_it(h, e) < 0)
		return -1;
	log_info("host %s: %s", spec->name, h->text);
	*out = take_ptr(&h);
	return 0;
}

void host_close(struct host *h)
{
	if (!h)
		return;
	host_close(h->spare);
	while (h->channels)
		channel_abandon(h->channels);
	if (h->route)
		h->route->ops->close(h->route);
	(void)pthread_mutex_destroy(&h->lock);
	(void)pthread_mutex_destroy(&h->spare_lock);
	free(h->text);
	free(h->reason);
	free(h->agent);
	free(h);
}

const struct host_spec *host_spec(const struct host *h) { return h->spec; }
const char *host_name(const struct host *h) { return h->spec->name; }
const char *host_route(const struct host *h) { return h->text; }
const char *host_client_reason(const struct host *h) { return h->reason ? h->reason : ""; }
const char *host_agent_path(const struct host *h) { return h->agent; }

bool host_login_refused(const struct err *e)
{
	return e->class == ERR_UNREACHABLE && strstr(e->text, ": log-in refused for user ") != NULL;
}
