/* The key of a clearing, and its witnesses. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "atomic_file.h"
#include "clearing.h"
#include "io.h"
#include "log.h"

#define KEY_NAME 200

static char *key_name(const struct clearing *c, char out[KEY_NAME])
{
	(void)snprintf(out, KEY_NAME, "%s.clear-key", c->r->plan->name);
	return out;
}

int clearing_key_new(struct clearing *c, struct err *e)
{
	OWN_ATOMIC_FILE struct atomic_file f = ATOMIC_FILE_INIT;
	char name[KEY_NAME];

	random_bytes(c->key, sizeof(c->key));
	if (atomic_file_open(&f, c->r->w->scanfd, key_name(c, name), 0600, e) < 0 ||
	    io_write_all("clear", f.fd, c->key, sizeof(c->key), name, e) < 0)
		return -1;
	return atomic_file_commit(&f, e);
}

int clearing_key_load(struct clearing *c, struct err *e)
{
	char name[KEY_NAME];
	OWN_FD int fd = openat(c->r->w->scanfd, key_name(c, name), O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && io_read_full("clear", fd, c->key, sizeof(c->key), name, e) == (ssize_t)sizeof(c->key))
		return 0;
	err_set(e, ERR_INTEGRITY, "%s is missing from the workspace's scan directory, or cut", name);
	return err_hint(e, "without it the canaries and random places of this clearing are not known: put it back from a backup of the workspace");
}

int clearing_seed(const struct clearing *c, uint8_t seed[DIGEST_LEN], uint8_t commitment[DIGEST_LEN], struct err *e)
{
	uint8_t in[WITNESS_KEY + 4];

	memcpy(in, c->key, WITNESS_KEY);
	memcpy(in + WITNESS_KEY, "seed", 4);
	return digest_sha256(in, sizeof(in), seed, e) < 0 ? -1 : digest_sha256(seed, DIGEST_LEN, commitment, e);
}

static int take_newest(struct clearing *c, struct err *e)
{
	for (size_t i = 0; i < c->n; i++) {
		OWN_VERIFY struct verify_result v = VERIFY_RESULT_INIT;
		const struct plan_dataset *d = c->v[i].d;

		if (witnesses_newest(c->w, d, 0, &v, e) < 0 || verify_record(c->r, "verify", &v, e) < 0)
			return -1;
		if (verify_exit_code(&v) == 0)
			continue;
		err_set(e, v.difference_total ? ERR_INTEGRITY : ERR_UNVERIFIED, "dataset %s: the archive copy is not whole: %s", d->name,
		    v.difference_count ? v.differences[0].path : v.unverified[0].path);
		return err_hint(e, "nothing is destroyed while this is the only copy; repair the archive, or copy again");
	}
	return 0;
}

static bool is_cleared(const struct clearing *c, const struct plan_dataset *d)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].d == d)
			return true;
	return false;
}

static bool clears_on(const struct clearing *c, const char *host)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->v[i].d->from.host, host) == 0)
			return true;
	return false;
}

/* What the plan leaves at a host where something is cleared is no leftover there. */
static int leave_out_what_stays(struct clearing *c, struct err *e)
{
	const struct plan *p = c->r->plan;

	for (size_t i = 0; i < p->ndatasets; i++)
		if (p->datasets[i].kind == DATASET_FILES && !is_cleared(c, &p->datasets[i]) && clears_on(c, p->datasets[i].from.host) &&
		    witnesses_exclude(c->w, &p->datasets[i], e) < 0)
			return -1;
	return 0;
}

static int add_canaries(struct clearing *c, struct err *e)
{
	const struct witness_file f = { .dataset = UINT32_MAX };
	uint8_t block[WITNESS_CANARY_BYTES];

	if (witness_set_file(c->w->set, &f, e) < 0)
		return -1;
	for (uint32_t i = 0; i < WITNESS_CANARIES * c->nmedia; i++)
		if (witness_canary(&c->w->set->key, i, block, e) < 0 || witness_set_sector(c->w->set, WITNESS_CANARY, block, e) < 0)
			return -1;
	return 0;
}

int clearing_witnesses(struct clearing *c, struct err *e)
{
	if (witnesses_new(&c->w, c->r, c->key, e) < 0 || take_newest(c, e) < 0)
		return -1;
	for (size_t i = 0; i < c->n; i++) {
		const struct standing_dataset *s = standing_dataset(&c->r->standing, c->v[i].d->name);

		if (witnesses_older(c->w, c->v[i].d, s->version, e) < 0)
			return -1;
	}
	if (leave_out_what_stays(c, e) < 0 || add_canaries(c, e) < 0)
		return -1;
	witnesses_close(c->w);
	log_info("%zu witnesses of the contents that are to be cleared", c->w->set->n);
	return 0;
}
