#include "verdict.h"

#include <string.h>

static const char *const names[] = {
	[VERDICT_CLEARED_FULL] = "cleared-full",
	[VERDICT_CLEARED_SAMPLED] = "cleared-sampled",
	[VERDICT_CLEARED_GUEST_LEVEL] = "cleared-guest-level",
	[VERDICT_CRYPTO_ERASED] = "crypto-erased",
	[VERDICT_PERFORMED_NOT_PROVABLE] = "performed-not-provable",
	[VERDICT_RESIDUE_FOUND] = "residue-found",
	[VERDICT_BLIND] = "blind",
	[VERDICT_UNKNOWN] = "unknown",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

const char *verdict_name(enum verdict v)
{
	return (size_t)v < NAMES ? names[v] : names[VERDICT_UNKNOWN];
}

bool verdict_parse(const char *name, enum verdict *v)
{
	for (size_t i = 0; i < NAMES; i++)
		if (strcmp(names[i], name) == 0) {
			*v = (enum verdict)i;
			return true;
		}
	return false;
}

enum verdict verdict_worst(enum verdict a, enum verdict b) { return a > b ? a : b; }

int verdict_exit(enum verdict got, enum verdict require)
{
	if (got <= require)
		return 0;
	return got == VERDICT_RESIDUE_FOUND ? 4 : 5;
}

static bool incomplete(const char **why, const char *text)
{
	if (why)
		*why = text;
	return false;
}

static bool file_complete(uint64_t size, const struct msg_erased *r, const char **why)
{
	/* An empty file has no blocks: nothing to overwrite, nothing to read back. */
	if (size == 0 && r->bytes == 0)
		return true;
	if (r->how & (MSG_EH_MOVED | MSG_EH_SHARED))
		return incomplete(why, "the file system wrote elsewhere: the old blocks were not overwritten");
	if (!(r->how & MSG_EH_OVERWRITTEN))
		return incomplete(why, "not overwritten");
	if (!(r->how & (MSG_EH_SAME_EXTENTS | MSG_EH_NO_MAP | MSG_EH_INLINE)))
		return incomplete(why, "not shown that the same blocks were written");
	if (!(r->how & (MSG_EH_READ_RAW | MSG_EH_READ_FILE)))
		return incomplete(why, "not read back");
	return true;
}

bool clear_result_complete(enum entry_type type, uint64_t size, const struct msg_erased *r, const char **why)
{
	/* What holds no content may be gone already; a file that vanished was overwritten by nobody we know. */
	if (r->state == MSG_ERASE_ABSENT)
		return type != ENTRY_FILE || size == 0 || incomplete(why, "was gone before its overwriting was recorded");
	if (r->state == MSG_ERASE_CHANGED)
		return incomplete(why, "changed since the inventory: untouched");
	if (r->state == MSG_ERASE_REFUSED)
		return incomplete(why, "refused: untouched");
	if (r->state != MSG_ERASE_DONE)
		return incomplete(why, "failed");
	if (type == ENTRY_DIR)
		return true;	/* empty: gone, or a mount point that stays */
	if (!(r->how & MSG_EH_UNLINKED))
		return incomplete(why, "not unlinked");
	return type != ENTRY_FILE || file_complete(size, r, why);
}

static void count_states(struct clear_tally *t, const struct msg_erased *r)
{
	t->done += r->state == MSG_ERASE_DONE;
	t->absent += r->state == MSG_ERASE_ABSENT;
	t->changed += r->state == MSG_ERASE_CHANGED;
	t->refused += r->state == MSG_ERASE_REFUSED;
	t->failed += r->state == MSG_ERASE_FAILED;
}

void clear_tally_add(struct clear_tally *t, enum entry_type type, uint64_t size, const struct msg_erased *r)
{
	t->objects++;
	t->bytes += r->bytes;
	count_states(t, r);
	t->read_raw += (r->how & MSG_EH_READ_RAW) != 0;
	t->read_file += (r->how & (MSG_EH_READ_RAW | MSG_EH_READ_FILE)) == MSG_EH_READ_FILE;
	t->moved += (r->how & MSG_EH_MOVED) != 0;
	t->shared += (r->how & MSG_EH_SHARED) != 0;
	t->encoded += (r->how & MSG_EH_ENCODED) != 0;
	t->inlined += (r->how & MSG_EH_INLINE) != 0;
	t->unmapped += (r->how & MSG_EH_NO_MAP) != 0;
	t->vanished += r->state == MSG_ERASE_ABSENT && type == ENTRY_FILE && size > 0;
	t->short_of += !clear_result_complete(type, size, r, NULL);
}

enum verdict clear_tally_verdict(const struct clear_tally *t, uint64_t expected)
{
	if (expected == 0 || t->objects != expected || t->short_of > 0)
		return VERDICT_UNKNOWN;
	return VERDICT_PERFORMED_NOT_PROVABLE;
}

bool clear_tally_gone(const struct clear_tally *t, uint64_t expected)
{
	return expected > 0 && t->objects == expected && t->done + t->absent == expected;
}

static enum verdict say(const char **why, const char *text, enum verdict v)
{
	*why = text;
	return v;
}

enum verdict clear_measure_verdict(const struct clear_measure *m, const char **why)
{
	if (m->hits)
		return say(why, "known content is still readable", VERDICT_RESIDUE_FOUND);
	if (!m->raw)
		return say(why, "the medium was not searched to its end", VERDICT_UNKNOWN);
	if (!m->gone)
		return say(why, "not every object is gone", VERDICT_UNKNOWN);
	if (m->vanished)
		return say(why, "content was gone before this clearing reached it: where it is now is not known", VERDICT_UNKNOWN);
	if (!m->direct)
		return say(why, "the medium could not be read past the page cache", VERDICT_UNKNOWN);
	if (m->bad)
		return say(why, "parts of the medium could not be read", VERDICT_UNKNOWN);
	if (m->blind)
		return say(why, "nothing shows that the content would be seen on this medium if it were there", VERDICT_BLIND);
	if (m->guest)
		return say(why, "nothing was found; the medium is that of a virtual machine", VERDICT_CLEARED_GUEST_LEVEL);
	if (!m->full)
		return say(why, "nothing was found in random places", VERDICT_CLEARED_SAMPLED);
	return say(why, "nothing was found", VERDICT_CLEARED_FULL);
}
