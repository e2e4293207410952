#include "lanes.h"

#include <pthread.h>
#include <string.h>

#include "clock.h"
#include "digest.h"
#include "esc.h"
#include "log.h"
#include "nap.h"

#define CONNECTIONS 4
#define LANES_MAX 64
#define WORTH_IT (8u << 20)		/* bytes after which a session gets its second connection */
#define STILL_MOVING (256u << 10)	/* bytes since the last look that show that it goes on */
#define LOOK_MS 250
#define FAR_NS 150000000		/* a connection that took longer than that to make: the others are made side by side */
#define RENEW_BYTES (UINT64_C(32) << 30)
#define PAUSE_MAX_MS 60000
#define CONNECT_S 10			/* the end of a session waits for it at most */

struct lane { struct host_spec spec; struct host *host; struct channel *channel; struct wire_lane *wire; };

struct session_lanes {
	struct session *s;
	char token[LANES_TOKEN];
	int wanted;			/* beside the leader */
	uint64_t renew;
	bool leader_retired;
	bool far;			/* making one took long */
	struct lane *v[LANES_MAX + 1];	/* owned */
	int count;
	struct nap nap;
	pthread_t thread;
	bool running;
};

static int connections(const struct run *r, const struct plan_host *h)
{
	int of_host = h->connections, of_plan = r->plan->limits.connections;

	if (!of_host || (of_plan && of_plan < of_host))
		of_host = of_plan;
	return of_host ? of_host : CONNECTIONS;
}

void lanes_token(const struct run *r, const char *host, char out[LANES_TOKEN])
{
	const struct plan_host *h = plan_host(r->plan, host);
	uint8_t b[(LANES_TOKEN - 1) / 2];

	*out = '\0';
	if (!h || !h->ssh)
		return;
	random_bytes(b, sizeof(b));
	hex_of(b, sizeof(b), out);
}

static uint64_t renew_after(void)
{
	const char *s = getenv("WAYBILL_RENEW");
	long mib = s ? strtol(s, NULL, 10) : 0;

	return mib > 0 ? (uint64_t)mib << 20 : RENEW_BYTES;
}

static void hang_up(struct lane *l)
{
	channel_abandon(l->channel);
	host_close(l->host);
	free(l);
}

static int open_lane(struct session_lanes *v, struct lane *l, struct err *e)
{
	const char *args[] = { "lane", v->token, NULL };
	struct wire_lane_options o = { .build = wire_build_id() };

	l->spec = *host_spec(v->s->host);
	l->spec.connect_timeout_s = CONNECT_S;
	if (host_open(&l->host, &l->spec, e) < 0 || host_agent_as(l->host, v->s->host, e) < 0 ||
	    channel_agent(l->host, args, &l->channel, e) < 0)
		return -1;
	o.in = channel_out(l->channel);
	o.out = channel_in(l->channel);
	return wire_lane_add(v->s->wire, &o, &l->wire, e);
}

static int live(const struct session_lanes *v)
{
	int n = 0;

	for (int i = 0; i < v->count; i++)
		n += v->v[i]->wire && !wire_lane_retired(v->v[i]->wire);
	return n;
}

struct opening { struct session_lanes *v; struct lane *l; bool good, runs; pthread_t thread; struct err e; };

static void *open_main(void *arg)
{
	struct opening *o = arg;

	o->good = open_lane(o->v, o->l, &o->e) == 0;
	return NULL;
}

static bool settle(struct opening *o)
{
	struct session_lanes *v = o->v;

	/* Once it is the wire's, its fds are in use until wire_close. */
	if (o->l && (o->good || o->l->wire))
		v->v[v->count++] = o->l;
	else if (o->l)
		hang_up(o->l);
	if (o->good)
		log_info("host %s: %d connections", v->s->host_name, v->count + 1);
	else
		log_info("host %s: no further connection now: %s", v->s->host_name, o->l ? o->e.text : "out of memory");
	return o->good;
}

/* n more, side by side.  False: not all of them, now. */
static bool add_some(struct session_lanes *v, int n)
{
	struct opening o[LANES_MAX];
	bool all = true;

	for (int i = 0; i < n; i++) {
		o[i] = (struct opening){ .v = v, .l = calloc(1, sizeof(struct lane)), .e = ERR_INIT };
		if (i < n - 1 && o[i].l)
			o[i].runs = pthread_create(&o[i].thread, NULL, open_main, &o[i]) == 0;
		if (!o[i].runs && o[i].l)
			(void)open_main(&o[i]);
	}
	for (int i = 0; i < n; i++) {
		if (o[i].runs)
			(void)pthread_join(o[i].thread, NULL);
		all &= settle(&o[i]);
	}
	return all;
}

/* False: not now. */
static bool add(struct session_lanes *v)
{
	int64_t start = clock_mono_ns();
	bool good = add_some(v, 1);

	v->far = good && clock_mono_ns() - start > FAR_NS;
	return good;
}

/* As many as are wanted where making one takes its time, else one. */
static bool add_wanted(struct session_lanes *v)
{
	int n = v->wanted - live(v), room = LANES_MAX - v->count;

	n = n < room ? n : room;
	return v->far && n > 1 && !nap_stopped(&v->nap) ? add_some(v, n) : add(v);
}

static void drop_over(struct session_lanes *v)
{
	for (int i = 0; i < v->count; )
		if (v->v[i]->wire && wire_lane_over(v->v[i]->wire)) {
			hang_up(v->v[i]);
			v->v[i] = v->v[--v->count];
		} else {
			i++;
		}
}

/* Whichever has carried enough goes once another is there. */
static void relieve(struct session_lanes *v)
{
	if (!v->leader_retired && wire_lane_bytes(v->s->wire, NULL) > v->renew) {
		if (live(v) || add(v)) {
			wire_lane_retire(v->s->wire, NULL);
			v->leader_retired = true;
			v->wanted += v->wanted == 0;	/* it carries no more of the bulk: another does */
			log_info("host %s: the first connection is relieved", v->s->host_name);
		}
		return;
	}
	for (int i = 0; i < v->count; i++) {
		struct wire_lane *old = v->v[i]->wire;

		if (!old || wire_lane_retired(old) || wire_lane_bytes(v->s->wire, old) <= v->renew)
			continue;
		if (v->count <= LANES_MAX && add(v)) {
			wire_lane_retire(v->s->wire, old);
			log_info("host %s: a connection is replaced", v->s->host_name);
		}
		return;
	}
}

static uint64_t moved(const struct session_lanes *v)
{
	uint64_t sent, received;

	wire_counts(v->s->wire, &sent, &received);
	return sent + received;
}

static void *look_after(void *arg)
{
	struct session_lanes *v = arg;
	uint64_t before = 0;
	int64_t not_before = 0, pause = 1000;

	do {
		uint64_t now = moved(v);

		drop_over(v);
		relieve(v);
		if (now > WORTH_IT && now - before > STILL_MOVING && live(v) < v->wanted && v->count <= LANES_MAX && clock_mono_ns() >= not_before) {
			pause = add_wanted(v) ? 1000 : pause * 2;
			not_before = clock_mono_ns() + (pause > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause == 1000 ? 0 : pause) * 1000000LL;
		}
		before = now;
	} while (nap_take(&v->nap, LOOK_MS));
	return NULL;
}

struct session_lanes *lanes_start(struct session *s, const char *token)
{
	const struct plan_host *h = plan_host(s->run->plan, s->host_name);
	struct session_lanes *v = *token && h ? calloc(1, sizeof(*v)) : NULL;

	if (!v)
		return NULL;
	v->s = s;
	v->wanted = connections(s->run, h) - 1;
	v->renew = renew_after();
	nap_init(&v->nap);
	(void)snprintf(v->token, sizeof(v->token), "%s", token);
	v->running = pthread_create(&v->thread, NULL, look_after, v) == 0;
	return v;
}

void lanes_stop(struct session_lanes *v)
{
	if (!v || !v->running)
		return;
	nap_stop(&v->nap);
	(void)pthread_join(v->thread, NULL);
	v->running = false;
}

void lanes_free(struct session_lanes *v)
{
	if (!v)
		return;
	for (int i = 0; i < v->count; i++)
		hang_up(v->v[i]);
	nap_dispose(&v->nap);
	free(v);
}
