/* Sessions with agents: a role started at a place, its READY, its end record. */
#include "run.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "esc.h"
#include "lanes.h"
#include "limit.h"
#include "log.h"

char *place_name(const char *host, const char *path, char out[PLACE_NAME])
{
	OWN_BUF struct buf b = BUF_INIT;

	buf_puts(&b, host);
	if (path) {	/* a command or a database has a host only */
		buf_putc(&b, ':');
		esc_put(&b, path, strlen(path));
	}
	(void)snprintf(out, PLACE_NAME, "%s", b.data ? b.data : "");
	esc_trim(out);
	return out;
}

static void register_wire(struct run *r, struct wire *w)
{
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < RUN_WIRES; i++)
		if (!r->wires[i]) {
			r->wires[i] = w;
			break;
		}
	if (limit_now(r))
		wire_limit(w, limit_now(r));
	pthread_mutex_unlock(&r->lock);
	if (atomic_load(&r->cancelled) && !atomic_load(&r->shielded))
		wire_cancel(w);
}

static void forget_wire(struct run *r, const struct wire *w)
{
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < RUN_WIRES; i++)
		if (r->wires[i] == w)
			r->wires[i] = NULL;
	pthread_mutex_unlock(&r->lock);
}

void run_cancel(struct run *r)
{
	atomic_store(&r->cancelled, true);
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < RUN_WIRES; i++)
		if (r->wires[i] && !atomic_load(&r->shielded))
			wire_cancel(r->wires[i]);
	pthread_mutex_unlock(&r->lock);
}

void run_shield(struct run *r)
{
	pthread_mutex_lock(&r->lock);
	atomic_store(&r->shielded, true);
	pthread_mutex_unlock(&r->lock);
}

void run_unshield(struct run *r) { atomic_store(&r->shielded, false); }

int run_failed_too(const struct err *one, int failed, struct err *e)
{
	log_error("%s", one->text);
	if (failed == 0)
		*e = *one;
	return -1;
}

int run_check(struct run *r, struct err *e)
{
	if (!atomic_load(&r->cancelled) || atomic_load(&r->shielded))
		return 0;
	err_set(e, ERR_CANCELLED, "interrupted");
	return err_hint(e, "the same command goes on from here");
}

/*
 * One client must go the whole way: where a host behind this one asks for the OpenSSH client, its bastion is opened with it,
 * unless the plan says otherwise.
 */
static enum host_client client_of(const struct plan *p, const struct plan_host *h)
{
	for (size_t i = 0; h->client == (int)HOST_AUTO && i < p->nhosts; i++)
		if (p->hosts[i].via && strcmp(p->hosts[i].via, h->name) == 0 && client_of(p, &p->hosts[i]) == HOST_OPENSSH)
			return HOST_OPENSSH;
	return (enum host_client)h->client;
}

int run_host_spec(struct run *r, const struct plan_host *h, struct run_slot *slot, struct err *e)
{
	free(take_ptr(&slot->identity));
	if (h->identity && !(slot->identity = plan_file_path(r->plan, h->identity)))
		return err_sys(e, "host %s", h->name);
	slot->spec = (struct host_spec){ .name = h->name, .ssh = h->ssh, .port = h->port, .host_key = h->host_key,
		.identity = slot->identity, .client = client_of(r->plan, h), .keepalive_s = h->keepalive_s,
		.become_sudo = h->become_sudo, .agent = h->agent, .agent_binary = r->o->agent_binary };
	return 0;
}

int run_log_in(struct run *r, const char *name, struct host **out, struct err *e)
{
	const struct plan_host *h = plan_host(r->plan, name);
	struct run_slot *slot;

	if (!h)
		return err_set(e, ERR_BUG, "host %s is not in the plan", name);
	slot = &r->hosts[h - r->plan->hosts];
	if (slot->lost) {
		run_hang_up(r, slot);
		slot->lost = false;
		if (h->via)	/* it may be the bastion that died, which only shows here */
			r->hosts[plan_host(r->plan, h->via) - r->plan->hosts].lost = true;
	}
	if (!slot->host) {
		OWN(host_closep) struct host *opened = NULL;

		if (run_check(r, e) < 0 || run_host_spec(r, h, slot, e) < 0 || (h->via && run_log_in(r, h->via, &slot->spec.via, e) < 0) ||
		    host_open(&opened, &slot->spec, e) < 0)
			return -1;
		log_info("host %s: %s%s%s", name, host_route(opened), *host_client_reason(opened) ? "; " : "",
		    host_client_reason(opened));
		slot->host = take_ptr(&opened);
	}
	*out = slot->host;
	return 0;
}

int run_host(struct run *r, const char *name, struct host **out, struct err *e)
{
	if (run_log_in(r, name, out, e) < 0)
		return -1;
	if (host_agent_path(*out) || host_agent(*out, e) == 0)
		return 0;
	if (e->class == ERR_TEMPORARY) {	/* cut in the middle of it */
		r->hosts[plan_host(r->plan, name) - r->plan->hosts].lost = true;
		r->losses++;
	}
	return -1;
}

/* The connection is of no use any more: whoever tries again gets a new one. */
static void note_loss(const struct session *s, const struct err *e)
{
	const struct plan_host *h = plan_host(s->run->plan, s->host_name);
	/* A channel that did not open died with its connection; an agent that said nothing is a fault to be told, unless after a loss. */
	bool lost = s->wire ? wire_lost(s->wire) : e && s->host &&
	    (e->class == ERR_TEMPORARY || (e->class == ERR_UNREACHABLE && s->run->losses));

	if (!lost || !h)
		return;
	s->run->hosts[h - s->run->plan->hosts].lost = true;
	s->run->losses++;
}

/* Seconds of silence that count as death; 0 = the usual. */
static int stall_limit(void)
{
	const char *s = getenv("WAYBILL_STALL");
	long n = s ? strtol(s, NULL, 10) : 0;

	return n > 0 && n < 3600 ? (int)n : 0;
}

/* An agent that ended before it said anything: what was said on its standard error (by sudo, by a shell) is the reason. */
static int open_wire(struct session *s, const struct wire_options *o, const struct wire_first *first, struct err *e)
{
	OWN_BUF struct buf tail = BUF_INIT;
	struct err ignored = ERR_INIT;
	char line[256];
	int status;

	if (wire_open_with(&s->wire, o, first, e) == 0)
		return 0;
	if (e->sys != ECONNRESET)
		return -1;
	if (channel_close(take_ptr(&s->channel), &status, &tail, &ignored) == 0 && tail.len)
		err_hint(e, "on its standard error: %s", proc_last_line(&tail, line));
	return -1;
}

void run_host_drop(struct run *r, const char *name)
{
	const struct plan_host *h = plan_host(r->plan, name);

	if (h)
		r->hosts[h - r->plan->hosts].lost = true;
}

static int start_role(struct session *s, const char *role, struct msg_start *start, struct err *e)
{
	OWN(wire_frame_dispose) struct wire_frame f = WIRE_FRAME_INIT;
	OWN_BUF struct buf b = BUF_INIT;
	struct wire_options o = { .side = WIRE_ORCHESTRATOR, .in = channel_out(s->channel), .out = channel_in(s->channel),
		.peer = s->peer, .build = wire_build_id(), .stall_s = stall_limit() };
	char token[LANES_TOKEN] = "";
	bool early;
	int got;

	if (strcmp(role, "read") == 0 || strcmp(role, "apply") == 0 || strcmp(role, "readblock") == 0 || strcmp(role, "applyblock") == 0)
		lanes_token(s->run, s->host_name, token);
	start->epoch = s->run->epoch;
	start->lanes = token;
	msg_start_encode(&b, start);
	start->lanes = NULL;
	if (buf_finish(&b, e) < 0)
		return -1;
	/* At once, but for whoever destroys: that hears nothing before it is known to be the agent of this build. */
	early = b.len <= WIRE_FIRST_MAX && strcmp(role, "erase") != 0;
	if (open_wire(s, &o, early ? &(struct wire_first){ MSG_START, b.data, b.len } : NULL, e) < 0)
		return -1;
	register_wire(s->run, s->wire);
	if (!early && wire_send(s->wire, WIRE_CONTROL, MSG_START, b.data, b.len, e) < 0)
		return -1;
	got = wire_recv(s->wire, WIRE_CONTROL, &f, e);
	if (got < 0)
		return -1;
	if (got == 0 || f.type != MSG_READY)
		return err_set(e, ERR_PERMANENT, "the %s agent did not report ready", role);
	if (msg_ready_decode(f.data, f.len, &s->ready, e) < 0)
		return -1;
	s->lanes = lanes_start(s, token);
	return 0;
}

int session_open(struct run *r, const char *host, const char *role, const char *root, struct msg_start *start,
    struct session **out, struct err *e)
{
	const char *args[] = { role, "--root", root, NULL };

	return session_open_args(r, host, args, start, out, e);
}

static bool is_open(const struct run *r, const char *name)
{
	const struct plan_host *h = plan_host(r->plan, name);

	return h && r->hosts[h - r->plan->hosts].host && !r->hosts[h - r->plan->hosts].lost;
}

/* A connection that died while nobody used it is made anew at once. */
static int start_agent(struct session *s, const char *const *args, struct err *e)
{
	bool old = is_open(s->run, s->host_name);

	if (run_host(s->run, s->host_name, &s->host, e) < 0)
		return -1;
	if (channel_agent(s->host, args, &s->channel, e) == 0)
		return 0;
	if (!old || e->class != ERR_TEMPORARY)
		return -1;
	log_info("%s; connecting again", e->text);
	err_clear(e);
	s->run->hosts[plan_host(s->run->plan, s->host_name) - s->run->plan->hosts].lost = true;
	return run_host(s->run, s->host_name, &s->host, e) < 0 ? -1 : channel_agent(s->host, args, &s->channel, e);
}

int session_open_args(struct run *r, const char *host, const char *const *args, struct msg_start *start,
    struct session **out, struct err *e)
{
	OWN(session_closep) struct session *s = calloc(1, sizeof(*s));
	const char *role = args[0], *root = args[2];
	int64_t began = clock_mono_ns();
	char place[PLACE_NAME];

	if (!s)
		return err_sys(e, "session");
	s->run = r;
	s->host_name = host;
	(void)snprintf(s->peer, sizeof(s->peer), "host %s", host);
	if (start_agent(s, args, e) < 0 || start_role(s, role, start, e) < 0) {
		if (!s->wire)
			note_loss(s, e);
		return s->host ? err_at(e, "%s: %s", place_name(host, root, place), role) : -1;
	}
	r->cost.session_s += (double)(clock_mono_ns() - began) / 1e9;
	r->cost.sessions++;
	*out = take_ptr(&s);
	return 0;
}

static void close_wire(struct session *s)
{
	lanes_stop(s->lanes);
	forget_wire(s->run, s->wire);
	wire_close(take_ptr(&s->wire));
	lanes_free(take_ptr(&s->lanes));
}

int session_finish(struct session *s, struct msg_done *done, struct err *e)
{
	OWN(wire_frame_dispose) struct wire_frame f = WIRE_FRAME_INIT;
	OWN_BUF struct buf tail = BUF_INIT;
	struct msg_done balance = { 0 };
	int got = wire_recv(s->wire, WIRE_CONTROL, &f, e), status = -1;
	char line[256];

	if (got < 0)
		return -1;
	if (got == 0 || f.type != MSG_DONE || msg_done_decode(f.data, f.len, &balance, e) < 0)
		return err_set(e, ERR_TEMPORARY, "host %s: the agent ended without its end record; run the same command again",
		    s->host_name);
	close_wire(s);
	if (channel_close(take_ptr(&s->channel), &status, &tail, e) < 0) {
		note_loss(s, e);	/* between the end record and the end of the channel */
		return -1;
	}
	if (status != 0)
		return err_set(e, ERR_PERMANENT, "host %s: the agent ended with status %d: %s", s->host_name, status,
		    proc_first_line(&tail, line));
	if (done)
		*done = balance;
	return 0;
}

void session_close(struct session *s)
{
	if (!s)
		return;
	if (s->wire) {
		note_loss(s, NULL);
		close_wire(s);
	}
	if (s->channel)
		channel_abandon(s->channel);
	msg_ready_dispose(&s->ready);
	free(s);
}
