/* rooms: clear */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "verdict.h"

static struct msg_erased good(void)
{
	return (struct msg_erased){ .state = MSG_ERASE_DONE, .bytes = 4096,
		.how = MSG_EH_OVERWRITTEN | MSG_EH_SAME_EXTENTS | MSG_EH_READ_RAW | MSG_EH_UNLINKED };
}

static void names_are_those_of_the_contract_best_first(void **state)
{
	static const char *const ladder[] = { "cleared-full", "cleared-sampled", "cleared-guest-level", "crypto-erased",
		"performed-not-provable", "residue-found", "blind", "unknown" };
	enum verdict v;

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		assert_true(verdict_parse(ladder[i], &v));
		assert_int_equal(v, i);
		assert_string_equal(verdict_name(v), ladder[i]);
	}
	assert_false(verdict_parse("cleared", &v));
	assert_int_equal(verdict_worst(VERDICT_BLIND, VERDICT_CLEARED_FULL), VERDICT_BLIND);
	assert_int_equal(verdict_worst(VERDICT_CLEARED_FULL, VERDICT_UNKNOWN), VERDICT_UNKNOWN);
}

static void exit_code_follows_what_was_required(void **state)
{
	(void)state;
	assert_int_equal(verdict_exit(VERDICT_CLEARED_FULL, VERDICT_CLEARED_SAMPLED), 0);
	assert_int_equal(verdict_exit(VERDICT_CLEARED_SAMPLED, VERDICT_CLEARED_SAMPLED), 0);
	assert_int_equal(verdict_exit(VERDICT_PERFORMED_NOT_PROVABLE, VERDICT_CLEARED_SAMPLED), 5);
	assert_int_equal(verdict_exit(VERDICT_RESIDUE_FOUND, VERDICT_CLEARED_SAMPLED), 4);
	assert_int_equal(verdict_exit(VERDICT_UNKNOWN, VERDICT_CLEARED_SAMPLED), 5);
}

static enum verdict of_two(struct msg_erased second, enum entry_type type, uint64_t size)
{
	struct clear_tally t = TALLY_INIT;
	struct msg_erased first = good();

	clear_tally_add(&t, ENTRY_FILE, 4096, &first);
	clear_tally_add(&t, type, size, &second);
	return clear_tally_verdict(&t, 2);
}

static void one_incomplete_object_makes_it_unknown(void **state)
{
	struct msg_erased r = good();

	(void)state;
	assert_int_equal(of_two(r, ENTRY_FILE, 4096), VERDICT_PERFORMED_NOT_PROVABLE);
	for (int s = MSG_ERASE_ABSENT; s <= MSG_ERASE_FAILED; s++) {
		r = good();
		r.state = (enum msg_erase_state)s;
		assert_int_equal(of_two(r, ENTRY_FILE, 4096), VERDICT_UNKNOWN);
	}
	static const uint32_t needed[] = { MSG_EH_OVERWRITTEN, MSG_EH_SAME_EXTENTS, MSG_EH_READ_RAW, MSG_EH_UNLINKED };

	for (size_t i = 0; i < 4; i++) {
		r = good();
		r.how &= ~needed[i];
		assert_int_equal(of_two(r, ENTRY_FILE, 4096), VERDICT_UNKNOWN);
	}
	r = good();
	r.how |= MSG_EH_MOVED;
	assert_int_equal(of_two(r, ENTRY_FILE, 4096), VERDICT_UNKNOWN);
	r = good();
	r.how |= MSG_EH_SHARED;
	assert_int_equal(of_two(r, ENTRY_FILE, 4096), VERDICT_UNKNOWN);
}

static void without_rights_reading_through_the_file_counts(void **state)
{
	struct msg_erased r = good();

	(void)state;
	r.how = MSG_EH_OVERWRITTEN | MSG_EH_NO_MAP | MSG_EH_READ_FILE | MSG_EH_UNLINKED;
	assert_int_equal(of_two(r, ENTRY_FILE, 4096), VERDICT_PERFORMED_NOT_PROVABLE);
}

static void what_holds_no_content_only_has_to_be_gone(void **state)
{
	struct msg_erased gone = { .state = MSG_ERASE_ABSENT }, unlinked = { .state = MSG_ERASE_DONE, .how = MSG_EH_UNLINKED };
	struct msg_erased kept = { .state = MSG_ERASE_DONE };

	(void)state;
	assert_int_equal(of_two(gone, ENTRY_DIR, 0), VERDICT_PERFORMED_NOT_PROVABLE);
	assert_int_equal(of_two(unlinked, ENTRY_SYMLINK, 0), VERDICT_PERFORMED_NOT_PROVABLE);
	assert_int_equal(of_two(unlinked, ENTRY_FILE, 0), VERDICT_PERFORMED_NOT_PROVABLE);
	assert_int_equal(of_two(kept, ENTRY_DIR, 0), VERDICT_PERFORMED_NOT_PROVABLE);
	assert_int_equal(of_two(kept, ENTRY_SYMLINK, 0), VERDICT_UNKNOWN);
}

static void missing_results_and_an_empty_inventory_are_unknown(void **state)
{
	struct clear_tally t = TALLY_INIT;
	struct msg_erased r = good();

	(void)state;
	assert_int_equal(clear_tally_verdict(&t, 0), VERDICT_UNKNOWN);
	clear_tally_add(&t, ENTRY_FILE, 4096, &r);
	assert_int_equal(clear_tally_verdict(&t, 2), VERDICT_UNKNOWN);
	assert_int_equal(clear_tally_verdict(&t, 1), VERDICT_PERFORMED_NOT_PROVABLE);
	assert_int_equal(t.bytes, 4096);
}

static enum verdict measured(const struct clear_measure *m)
{
	const char *why = NULL;
	enum verdict v = clear_measure_verdict(m, &why);

	assert_non_null(why);
	return v;
}

static void only_a_whole_good_search_clears(void **state)
{
	const struct clear_measure good = { .raw = true, .direct = true, .full = true, .gone = true };
	struct clear_measure m = good;

	(void)state;
	assert_int_equal(measured(&m), VERDICT_CLEARED_FULL);
	m.full = false;
	assert_int_equal(measured(&m), VERDICT_CLEARED_SAMPLED);
	m.guest = true;
	assert_int_equal(measured(&m), VERDICT_CLEARED_GUEST_LEVEL);
	m.blind = true;
	assert_int_equal(measured(&m), VERDICT_BLIND);
	/* Each of these alone takes every cleared-* away. */
	for (int i = 0; i < 6; i++) {
		m = good;
		m.raw = i != 0;
		m.direct = i != 1;
		m.gone = i != 2;
		m.bad = i == 3 ? 512 : 0;
		m.blind = i == 4;
		m.hits = i == 5;
		assert_int_equal(measured(&m), i == 4 ? VERDICT_BLIND : i == 5 ? VERDICT_RESIDUE_FOUND : VERDICT_UNKNOWN);
	}
	/* What was found is found, whatever else failed. */
	m = (struct clear_measure){ .hits = 1, .blind = true, .bad = 512 };
	assert_int_equal(measured(&m), VERDICT_RESIDUE_FOUND);
	assert_int_equal(measured(&(struct clear_measure){ .raw = false }), VERDICT_UNKNOWN);
}

static void gone_is_every_object(void **state)
{
	struct clear_tally t = TALLY_INIT;
	struct msg_erased r = good();

	(void)state;
	assert_false(clear_tally_gone(&t, 0));
	clear_tally_add(&t, ENTRY_FILE, 4096, &r);
	assert_true(clear_tally_gone(&t, 1));
	assert_false(clear_tally_gone(&t, 2));
	r.state = MSG_ERASE_ABSENT;
	clear_tally_add(&t, ENTRY_FILE, 4096, &r);
	assert_true(clear_tally_gone(&t, 2));
	for (int s = MSG_ERASE_CHANGED; s <= MSG_ERASE_FAILED; s++) {
		struct clear_tally one = TALLY_INIT;

		r.state = (enum msg_erase_state)s;
		clear_tally_add(&one, ENTRY_FILE, 4096, &r);
		assert_false(clear_tally_gone(&one, 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_the_contract_best_first),
		cmocka_unit_test(exit_code_follows_what_was_required),
		cmocka_unit_test(only_a_whole_good_search_clears),
		cmocka_unit_test(gone_is_every_object),
		cmocka_unit_test(one_incomplete_object_makes_it_unknown),
		cmocka_unit_test(without_rights_reading_through_the_file_counts),
		cmocka_unit_test(what_holds_no_content_only_has_to_be_gone),
		cmocka_unit_test(missing_results_and_an_empty_inventory_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
