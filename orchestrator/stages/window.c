#include "window.h"

#include <time.h>

#include "clock.h"
#include "log.h"

#define DAY 1440

bool window_holds(int from, int to, int minute)
{
	return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}

static int minute_now(const struct plan *p)
{
	int64_t now = clock_now_ns() / 1000000000;
	int32_t east = 8 * 3600;

	(void)clock_zone_offset(p->timezone, now, &east);
	return (int)((now + east) / 60 % DAY);
}

int window_open(struct run *r, struct err *e)
{
	const struct plan_limits *l = &r->plan->limits;
	const struct timespec nap = { 1, 0 };
	bool said = false;

	while (l->has_window && !window_holds(l->window_from, l->window_to, minute_now(r->plan))) {
		if (!r->o->wait) {
			err_set(e, ERR_REFUSED, "plan %s: limits.window opens at %02d:%02d (%s)", r->plan->name, l->window_from / 60,
			    l->window_from % 60, r->plan->timezone);
			return err_hint(e, "run again then, or add --wait");
		}
		if (!said)
			log_warn("plan %s waits for its window, which opens at %02d:%02d", r->plan->name, l->window_from / 60, l->window_from % 60);
		said = true;
		if (run_check(r, e) < 0)
			return -1;
		(void)nanosleep(&nap, NULL);
	}
	return 0;
}
