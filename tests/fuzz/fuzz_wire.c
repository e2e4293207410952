/* rooms: wire
 * Every decoder of the wire: the first byte is the message's type as on the wire, the rest its payload. */
#include <stdlib.h>
#include <string.h>

#include "messages_exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define TRY(type, name) do { struct type m; if (name##_decode(p, n, &m, &e) == 0) name##_dispose(&m); } while (0)
#define PLAIN(type, name) do { struct type m; (void)!name##_decode(p, n, &m, &e); } while (0)

static void entry_message(const uint8_t *p, size_t n, struct err *e)
{
	struct msg_entry m, again;
	struct buf b = BUF_INIT;

	if (msg_entry_decode(p, n, &m, "a/b", e) < 0)
		return;
	/* What was taken can be said again, and means the same. */
	msg_entry_encode(&b, &m, "a/b");
	if (buf_finish(&b, e) < 0 || msg_entry_decode(b.data, b.len, &again, "a/b", e) < 0 ||
	    entry_compare(&m.entry, &again.entry, 0, NULL, NULL) != 0)
		abort();
	msg_entry_dispose(&again);
	msg_entry_dispose(&m);
	buf_dispose(&b);
}

static void known(const uint8_t *p, size_t n, struct err *e)
{
	struct view v = view_of(p, n);
	struct entry en = ENTRY_INIT;
	char *prev = NULL;

	while (msg_known_next(&v, &en, prev, e) == 1) {
		free(prev);
		prev = en.path;
		en.path = NULL;
		entry_dispose(&en);
	}
	entry_dispose(&en);
	free(prev);
}

static void numbered(const uint8_t *p, size_t n, struct err *e)
{
	struct entry en = ENTRY_INIT;
	uint64_t v;

	(void)!msg_numbered_decode(p, n, &v, &en, e);
	entry_dispose(&en);
	(void)!msg_final_decode(p, n, &en, e);
	entry_dispose(&en);
}

static void data(const uint8_t *p, size_t n, struct err *e)
{
	const uint8_t *d;
	uint64_t v;
	size_t len;

	if (msg_obj_data_decode(p, n, &v, &d, &len, e) == 0 && (len == 0 || d < p || d + len > p + n))
		abort();
}

static void attributes(const uint8_t *p, size_t n, struct err *e)
{
	struct attr_set s = ATTR_SET_INIT;

	(void)!attr_set_decode(&s, p, n, e);
	attr_set_dispose(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct err e = ERR_INIT;
	uint8_t type;
	uint64_t v;

	if (n == 0)
		return 0;
	type = *p++;
	n--;
	switch (type) {
	case MSG_START: TRY(msg_start, msg_start); break;
	case MSG_READY: TRY(msg_ready, msg_ready); break;
	case MSG_DONE: PLAIN(msg_done, msg_done); break;
	case MSG_OBJ_BEGIN: PLAIN(msg_obj_begin, msg_obj_begin); break;
	case MSG_OBJ_DATA: data(p, n, &e); break;
	case MSG_OBJ_END: PLAIN(msg_obj_end, msg_obj_end); break;
	case MSG_ENTRY: entry_message(p, n, &e); break;
	case MSG_EXEC: TRY(msg_exec, msg_exec); break;
	case MSG_EXEC_END: TRY(msg_exec_end, msg_exec_end); break;
	case MSG_SAME: (void)!msg_number_decode(p, n, &v, &e); break;
	case MSG_LARGE_BEGIN: TRY(msg_large_begin, msg_large_begin); break;
	case MSG_ATTR: attributes(p, n, &e); break;
	case MSG_KNOWN: known(p, n, &e); break;
	case MSG_FINAL: numbered(p, n, &e); break;
	case MSG_REMOVE: TRY(msg_remove, msg_remove); break;
	case MSG_PROBLEM: TRY(msg_problem, msg_problem); break;
	case MSG_ERASED: TRY(msg_erased, msg_erased); break;
	case MSG_FACT: TRY(msg_fact, msg_fact); break;
	case MSG_CHALLENGE: TRY(msg_challenge, msg_challenge); break;
	case MSG_ANSWER: PLAIN(msg_answer, msg_answer); break;
	default: break;
	}
	return 0;
}
