/* rooms: wire */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "pace.h"

#define SECOND 1000000000LL

/* Sends as fast as the pace lets it for so long; pieces vary.  Every window of two seconds must keep the rate within 5 %. */
static void run(struct pace *p, int64_t *now, int seconds, uint32_t most)
{
	static uint64_t sent[400];	/* by tenth of a second */
	int64_t begin = *now, t;
	uint64_t window;
	int n = seconds * 10;

	for (int i = 0; i < n; i++)
		sent[i] = 0;
	for (unsigned i = 0; (t = *now - begin) < seconds * SECOND; i++) {
		uint32_t piece = pace_piece(p, most);

		piece -= i % 3 * (piece / 4);
		*now += pace_wait(p, piece, *now);
		t = *now - begin;
		if (t < seconds * SECOND)
			sent[t / (SECOND / 10)] += piece;
		*now += 1000;	/* what sending takes */
	}
	for (int from = 0; from + 20 <= n; from += 5) {
		window = 0;
		for (int i = from; i < from + 20; i++)
			window += sent[i];
		if (window < p->rate * 2 * 95 / 100 || window > p->rate * 2 * 105 / 100)
			fail_msg("at %d.%d s: %llu bytes in two seconds at %llu a second", from / 10, from % 10,
			    (unsigned long long)window, (unsigned long long)p->rate);
	}
}

static void the_rate_is_kept_within_five_percent(void **state)
{
	static const uint64_t rates[] = { 50000, 1000000, 20000000, 900000000 };
	int64_t now = 77 * SECOND;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct pace p = { rates[i], 0 };

		run(&p, &now, 20, 1u << 20);
		now += 5 * SECOND;	/* a pause is not made up for */
		run(&p, &now, 10, 1u << 20);
	}
}

static void no_rate_never_waits(void **state)
{
	struct pace p = { 0, 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(pace_wait(&p, 1u << 20, 5), 0);
	assert_int_equal(pace_piece(&p, 1u << 20), 1u << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rate_is_kept_within_five_percent),
		cmocka_unit_test(no_rate_never_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
