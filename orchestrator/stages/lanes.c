#include "lanes.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "digest.h"
#include "esc.h"
#include "log.h"

#define CONNECTIONS 4
#define LANES_MAX 64
#define WORTH_IT (8u << 20)		/* bytes after which a session gets its second connection */
#define STILL_MOVING (256u << 10)	/* bytes since the last look that show that it goes on */
#define LOOK_MS 250
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
	struct lane *v[LANES_MAX + 1];	/* owned */
	int count;
	atomic_bool stop;
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

/* False: not now. */
static bool add(struct session_lanes *v)
{
	struct lane *l = calloc(1, sizeof(*l));
	struct err e = ERR_INIT;

	if (!l || open_lane(v, l, &e) < 0) {
		log_info("host %s: no further connection now: %s", v->s->host_name, l ? e.text : "out of memory");
		/* Once it is the wire's, its fds are in use until wire_close. */
		if (l && l->wire)
			v->v[v->count++] = l;
		else if (l)
			hang_up(l);
		return false;
	}
	v->v[v->count++] = l;
	log_info("host %s: %d connections", v->s->host_name, v->count + 1);
	return true;
}

static int live(const struct session_lanes *v)
{
	int n = 0;

	for (int i = 0; i < v->count; i++)
		n += v->v[i]->wire && !wire_lane_retired(v->v[i]->wire);
	return n;
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
	const struct timespec nap = { 0, LOOK_MS * 1000000L };
	struct session_lanes *v = arg;
	uint64_t before = 0;
	int64_t not_before = 0, pause = 1000;

	while (!atomic_load(&v->stop)) {
		uint64_t now = moved(v);

		drop_over(v);
		relieve(v);
		if (now > WORTH_IT && now - before > STILL_MOVING && live(v) < v->wanted && v->count <= LANES_MAX && clock_mono_ns() >= not_before) {
			pause = add(v) ? 1000 : pause * 2;
			not_before = clock_mono_ns() + (pause > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause == 1000 ? 0 : pause) * 1000000LL;
		}
		before = now;
		(void)nanosleep(&nap, NULL);
	}
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
	atomic_init(&v->stop, false);
	(void)snprintf(v->token, sizeof(v->token), "%s", token);
	v->running = pthread_create(&v->thread, NULL, look_after, v) == 0;
	return v;
}

void lanes_stop(struct session_lanes *v)
{
	if (!v || !v->running)
		return;
	atomic_store(&v->stop, true);
	(void)pthread_join(v->thread, NULL);
	v->running = false;
}

void lanes_free(struct session_lanes *v)
{
	if (!v)
		return;
	for (int i = 0; i < v->count; i++)
		hang_up(v->v[i]);
	free(v);
}
