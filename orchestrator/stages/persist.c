#include "persist.h"

#include <string.h>
#include <time.h>

#include "clock.h"
#include "log.h"

#define SECOND INT64_C(1000000000)
#define PATIENCE_S 60
#define HEALTHY_NS (60 * SECOND)	/* a connection that held so long begins a new count */
#define PAUSE_FIRST_NS (SECOND / 2)
#define PAUSE_MAX_NS (15 * SECOND)

struct tries {
	int n;			/* in a row, without anything achieved */
	int64_t since;		/* mono ns of the first failure of these */
	int64_t pause;
};

static int64_t patience(void)
{
	const char *s = getenv("WAYBILL_PATIENCE");
	long n = s ? strtol(s, NULL, 10) : 0;

	return (n > 0 && n < 86400 ? n : PATIENCE_S) * SECOND;
}

static int rest(struct run *r, int64_t ns, struct err *e)
{
	const struct timespec nap = { 0, 50000000 };
	int64_t end = clock_mono_ns() + ns;

	while (clock_mono_ns() < end) {
		if (run_check(r, e) < 0)
			return -1;
		(void)nanosleep(&nap, NULL);
	}
	return 0;
}

static bool may_pass(const struct err *e, bool lost, bool again)
{
	switch (e->class) {
	case ERR_TEMPORARY: return lost || again;
	case ERR_UNREACHABLE: return lost || again;	/* between two losses a log-in can fail as well */
	case ERR_INTEGRITY: return lost;		/* a damaged frame */
	default: return false;
	}
}

/* One more failure at now, of an act that began at began: 0 = the pause is over, try again; -1 = give up. */
static int pause_after(struct run *r, struct tries *t, bool achieved, int64_t began, struct err *e)
{
	int64_t now = clock_mono_ns(), wait;
	struct err why = *e;
	char *advice;

	if (achieved || now - began > HEALTHY_NS || t->n == 0)
		*t = (struct tries){ 0, now, PAUSE_FIRST_NS };
	t->n++;
	/* Runs that lost the same server do not come back in step. */
	wait = t->pause - t->pause / 4 + now % (t->pause / 2);
	if (now - t->since + wait > patience()) {
		err_hint(e, "given up after %d tries in %d s; the same command goes on from here", t->n, (int)((now - t->since) / SECOND));
		return -1;
	}
	if ((advice = strstr(why.text, "; run the same command again")))
		*advice = '\0';	/* that is what we do */
	log_warn("%s; trying again in %.1f s", why.text, (double)wait / SECOND);
	t->pause = t->pause * 2 > PAUSE_MAX_NS ? PAUSE_MAX_NS : t->pause * 2;
	return rest(r, wait, e);
}

int persist(struct run *r, int (*act)(void *ctx, struct err *e), void *ctx, struct err *e)
{
	struct tries t = { 0, 0, 0 };

	for (;;) {
		uint64_t losses = r->losses, acks = r->acks;
		int64_t began = clock_mono_ns();
		struct err stop = ERR_INIT;

		if (act(ctx, e) == 0)
			return 0;
		if (run_check(r, &stop) < 0 || !may_pass(e, r->losses != losses, t.n > 0))
			return -1;
		if (pause_after(r, &t, r->acks != acks, began, e) < 0)
			return -1;
		err_clear(e);
	}
}
