#include "block_place.h"

#include <inttypes.h>
#include <string.h>

#include "esc.h"
#include "places.h"
#include "store.h"

int place_session(struct run *r, const struct plan_dataset *d, enum place_side side, const char *host, const char *path, uint64_t size,
    struct msg_start *start, struct session **out, struct err *e)
{
	static const char *const roles[][2] = { { "read", "readblock" }, { "apply", "applyblock" }, { "verify", "verifyblock" },
		{ "verify", "verifyblock" } };
	const char *args[10] = { roles[side][d->kind == DATASET_BLOCK], "--root", path }, *serial;
	char number[24];
	size_t n = 3;

	if (d->kind != DATASET_BLOCK)
		return session_open_args(r, host, args, start, out, e);
	serial = side == SIDE_SOURCE || side == SIDE_SOURCE_CHECK ? d->block.serial_from : d->block.serial_to;
	if (serial) {
		args[n++] = "--serial";
		args[n++] = serial;
	}
	if (d->block.mounted)
		args[n++] = "--mounted";
	if (size) {
		(void)snprintf(number, sizeof(number), "%" PRIu64, size);
		args[n++] = "--size";
		args[n++] = number;
	}
	return session_open_args(r, host, args, start, out, e);
}

/* ---- preflight ---- */

static int check_serial(const char *place, const json_t *facts, const char *want, struct err *e)
{
	const char *have = place_fact(facts, "serial");
	size_t n = want ? strlen(want) : 0;

	if (!want)
		return 0;
	if (strcmp(place_fact(facts, "type"), "block") == 0)
		for (const char *at = have; (at = strstr(at, want)); at += n)
			if ((at == have || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
				return 0;
	err_set(e, ERR_REFUSED, "%s is not the device of the plan: its serial number is %s, not %s", place,
	    strcmp(place_fact(facts, "type"), "block") == 0 && *have ? have : "not known", esc_s(want));
	return err_hint(e, "is the right disk there? else correct serial in the plan");
}

static bool is_medium(const json_t *facts)
{
	return strcmp(place_fact(facts, "type"), "block") == 0 || strcmp(place_fact(facts, "type"), "file") == 0;
}

static int check_source(const struct plan_dataset *d, const json_t *facts, struct err *e)
{
	const char *mounted = place_fact(facts, "mounted");
	char place[PLACE_NAME];

	place_name(d->from.host, d->from.path, place);
	if (strcmp(place_fact(facts, "exists"), "yes") != 0)
		return err_set(e, ERR_REFUSED, "%s does not exist, or cannot be reached as this user", place);
	if (!is_medium(facts))
		return err_set(e, ERR_REFUSED, "%s is neither a block device nor an image but a %s", place, place_fact(facts, "type"));
	if (!d->block.mounted && (strcmp(mounted, "read-write") == 0 || strcmp(mounted, "held") == 0)) {
		err_set(e, ERR_REFUSED, "%s is in use (%s): what is read there would be of no one moment", place, mounted);
		return err_hint(e, "unmount it or mount it read-only, or agree to it with mounted: yes");
	}
	return check_serial(place, facts, d->block.serial_from, e);
}

/* The parent of an image that is to be made has to be there. */
static int check_absent(const struct plan_dataset *d, const json_t *facts, const char *place, struct err *e)
{
	const char *nearest = place_fact(facts, "nearest"), *slash = strrchr(d->to.path, '/');

	if (strncmp(d->to.path, "/dev/", 5) == 0) {
		err_set(e, ERR_REFUSED, "%s does not exist", place);
		return err_hint(e, "is the disk there? Nothing is made beneath /dev");
	}
	if (strcmp(place_fact(facts, "exists"), "no") != 0)
		return err_set(e, ERR_REFUSED, "%s cannot be reached as this user", place);
	if (d->block.serial_to)
		return check_serial(place, facts, d->block.serial_to, e);
	if (strncmp(nearest, d->to.path, (size_t)(slash - d->to.path)) != 0 || (size_t)(slash - d->to.path) > strlen(nearest))
		return err_set(e, ERR_REFUSED, "%s: its parent directory does not exist (the nearest that does is %s)", place, nearest);
	return 0;
}

static int check_target(const struct plan_dataset *d, const json_t *facts, uint64_t size, struct err *e)
{
	char place[PLACE_NAME];

	place_name(d->to.host, d->to.path, place);
	if (strcmp(place_fact(facts, "exists"), "yes") != 0)
		return check_absent(d, facts, place, e);
	if (!is_medium(facts))
		return err_set(e, ERR_REFUSED, "%s is neither a block device nor an image but a %s", place, place_fact(facts, "type"));
	if (strcmp(place_fact(facts, "mounted"), "no") != 0) {
		err_set(e, ERR_REFUSED, "%s is in use (%s): it is not written to", place, place_fact(facts, "mounted"));
		return err_hint(e, "unmount it, if it is the right one");
	}
	if (strcmp(place_fact(facts, "type"), "block") == 0 && place_number(facts, "size") < size)
		return err_set(e, ERR_REFUSED, "%s is too small: it has %" PRIu64 " bytes, the source %" PRIu64, place, place_number(facts, "size"), size);
	return check_serial(place, facts, d->block.serial_to, e);
}

int block_preflight(struct run *r, const struct plan_dataset *d, json_t *entry, struct err *e)
{
	json_t *from, *to;

	if (place_facts(r, d->from.host, d->from.path, &from, e) < 0)
		return -1;
	(void)json_object_set_new(entry, "from", from);
	if (check_source(d, from, e) < 0)
		return -1;
	if (!d->to.host)
		return 0;
	if (place_facts(r, d->to.host, d->to.path, &to, e) < 0)
		return -1;
	(void)json_object_set_new(entry, "to", to);
	return check_target(d, to, place_number(from, "size"), e);
}

/* ---- passes that were cut ---- */

static void cut_name(const struct run *r, const struct plan_dataset *d, char out[200])
{
	(void)snprintf(out, 200, "writing/%s/%s", r->plan->name, d->name);
}

int block_pass_cut(struct run *r, const struct plan_dataset *d, bool *cut, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	char name[200];

	cut_name(r, d, name);
	*cut = false;
	if (d->kind != DATASET_BLOCK || !d->to.host)
		return 0;
	if (state_get(r->w->state, name, &b, e) < 0)
		return -1;
	*cut = b.len > 0;
	return 0;
}

static int set_mark(struct run *r, const struct plan_dataset *d, const char *mark, struct err *e)
{
	char name[200];

	cut_name(r, d, name);
	return d->kind != DATASET_BLOCK || !d->to.host ? 0 : state_set(r->w->state, name, mark, strlen(mark), e);
}

int block_pass_writing(struct run *r, const struct plan_dataset *d, struct err *e) { return set_mark(r, d, "1", e); }

int block_pass_done(struct run *r, const struct plan_dataset *d, struct err *e) { return set_mark(r, d, "", e); }
