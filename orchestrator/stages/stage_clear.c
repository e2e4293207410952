/*
 * clear: gate, inventory, `clear started`, the work, `clear done`.  certify: the certificate, from the ledger alone.
 *
 * `clear started` is recorded before the first write and ends the comparison with the source; from then on the frozen
 * inventory and the journal say what is left to do.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "access.h"
#include "certificate.h"
#include "clearing.h"
#include "clearing_device.h"
#include "clock.h"
#include "inventory.h"
#include "log.h"
#include "places.h"
#include "runner.h"
#include "sys.h"

void clearing_dispose(struct clearing *c)
{
	for (size_t i = 0; i < c->n; i++) {
		json_decref(c->v[i].place);
		json_decref(c->v[i].errors);
		free(c->v[i].mount);
	}
	for (size_t i = 0; i < c->nmedia; i++)
		clearing_medium_dispose(&c->media[i]);
	witnesses_free(c->w);
	free(c->media);
	free(c->v);
	clearing_devices_dispose(c);
	free(c->scope);
}

static int prepare(struct run *r, struct clearing *c, struct err *e)
{
	const struct plan_strings *names = &r->plan->clear.datasets;

	c->r = r;
	c->started = clock_now_ns() / 1000000000;
	c->gate_checked = clock_mono_ns();
	if (!(c->v = calloc(names->n ? names->n : 1, sizeof(*c->v))))
		return err_sys(e, "clear");
	for (size_t i = 0; i < names->n; i++) {
		struct clearing_dataset *d = &c->v[c->n];

		if (!(d->d = plan_dataset(r->plan, names->v[i])))
			return err_set(e, ERR_BUG, "clear names no dataset %s", names->v[i]);
		d->errors = json_array();
		c->n++;
		if (place_facts(r, d->d->from.host, d->d->from.path, &d->place, e) < 0)
			return -1;
	}
	return clearing_scope(r, &c->scope, e);
}

static int freeze_inventory(struct run *r, const struct clearing_dataset *d, struct err *e)
{
	OWN(passfile_freep) struct passfile *found = NULL;

	if (passfile_new(&found, r->w->scanfd, e) < 0 || inventory_take(r, d->d, d->mount, found, e) < 0)
		return -1;
	return inventory_write(r, d->d->name, found, e);
}

static int load_inventory(struct run *r, struct clearing_dataset *d, struct err *e)
{
	OWN_INVENTORY struct inventory v = INVENTORY_INIT;

	if (inventory_open(r, d->d->name, &v, e) < 0)
		return -1;
	d->objects = v.count;
	d->bytes = v.bytes;
	hex_of(v.sha256, DIGEST_LEN, d->inventory);
	return 0;
}

/* A journal of an earlier, given up inventory must not speak for this one. */
static void drop_journal(struct run *r, const struct clearing_dataset *d)
{
	char name[200];

	(void)snprintf(name, sizeof(name), "%s.%s.journal", r->plan->name, d->d->name);
	(void)unlinkat(r->w->scanfd, name, 0);
}

static int begin(struct run *r, struct clearing *c, struct err *e)
{
	char basis[DIGEST_HEX];
	json_t *facts;

	if (clearing_key_new(c, e) < 0 || clearing_devices_look(c, true, e) < 0 || clearing_media_find(c, e) < 0 || clearing_canaries_remove(c, e) < 0 ||
	    clearing_gate(c, e) < 0)
		return -1;
	for (size_t i = 0; i < c->n; i++) {
		if (freeze_inventory(r, &c->v[i], e) < 0 || load_inventory(r, &c->v[i], e) < 0)
			return -1;
		drop_journal(r, &c->v[i]);
	}
	if (clearing_may_begin(r, e) < 0 || clearing_basis(r, basis, e) < 0)
		return -1;
	if (clearing_searches(c) && clearing_control(c, e) < 0)
		return -1;
	if (!(facts = clearing_started(c, basis)))
		return err_set(e, ERR_BUG, "plan %s: the facts of the clearing cannot be written down; nothing was destroyed", r->plan->name);
	sys_point("clear-started");
	return run_event(r, NULL, "clear", "started", facts, e, "clearing begins: %zu datasets", c->n);
}

/* What `clear started` recorded binds the resumed work to the same inventories. */
static int same_inventories(struct run *r, struct clearing *c, const json_t *j, struct err *e)
{
	json_t *row;
	size_t k;

	for (size_t i = 0; i < c->n; i++) {
		const char *recorded = NULL;

		json_array_foreach(json_object_get(j, "datasets"), k, row)
			if (strcmp(place_fact(row, "dataset"), c->v[i].d->name) == 0)
				recorded = place_fact(row, "inventory_sha256");
		if (load_inventory(r, &c->v[i], e) < 0)
			return err_hint(e, "without it nobody knows what is left to destroy: put .waybill/scan back from a backup of the workspace");
		if (!recorded || strcmp(recorded, c->v[i].inventory) != 0)
			return err_set(e, ERR_INTEGRITY, "dataset %s: the inventory in the workspace is not the one recorded when clearing began", c->v[i].d->name);
	}
	return 0;
}

static bool has_devices(const struct clearing *c)
{
	bool any = c->r->plan->clear.ndevices > 0;

	for (size_t i = 0; i < c->n; i++)
		any |= c->v[i].d->kind == DATASET_BLOCK;
	return any;
}

static int resume(struct run *r, struct clearing *c, struct err *e)
{
	json_t *j;
	int res;

	if (clearing_people(r, e) < 0)
		return -1;
	j = json_loads(r->standing.clear_data ? r->standing.clear_data : "", 0, NULL);
	c->started = r->standing.clear_started_at;
	res = same_inventories(r, c, j, e) < 0 ? -1 : clearing_media_load(c, j, e);
	json_decref(j);
	/* The witnesses are taken again, by the key of the beginning. */
	if (res < 0 || clearing_media_again(c, e) < 0 || ((clearing_searches(c) || has_devices(c)) && clearing_key_load(c, e) < 0) ||
	    (clearing_searches(c) && clearing_witnesses(c, e) < 0) || clearing_devices_look(c, false, e) < 0)
		return -1;
	log_info("clearing was interrupted; it goes on with what is left");
	return 0;
}

int stage_clear(struct run *r, struct err *e)
{
	OWN_CLEARING struct clearing c = { .n = 0 };
	enum verdict verdict;
	json_t *facts;

	if (prepare(r, &c, e) < 0 || (r->standing.clearing ? resume(r, &c, e) : begin(r, &c, e)) < 0)
		return -1;
	for (size_t i = 0; i < c.n; i++)
		if (!clearing_device_of(&c, i) && clearing_erase(&c, i, e) < 0)
			return -1;
	if (clearing_devices_wipe(&c, e) < 0)
		return -1;
	sys_point("clear-search");
	if (clearing_search(&c, e) < 0)
		return -1;
	verdict = clearing_verdict(&c);
	if (!(facts = clearing_done(&c, verdict)))
		return err_set(e, ERR_BUG, "plan %s: the outcome of the clearing cannot be written down", r->plan->name);
	sys_point("clear-record");
	return run_event(r, NULL, "clear", "done", facts, e, "cleared: %s", verdict_name(verdict));
}

/* ---- certify ---- */

static int put_certificate(struct run *r, struct ledger_txn *t, const char *name, const struct certificate_options *o, json_t *files, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT, sig = BUF_INIT;
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX], path[200];

	if (certificate_build(r->w->ledger, r->plan->name, o, &text, e) < 0 || digest_sha256(text.data, text.len, digest, e) < 0)
		return -1;
	hex_of(digest, DIGEST_LEN, hex);
	(void)json_object_set_new(files, name, json_string(hex));
	(void)snprintf(path, sizeof(path), "certificates/%s", name);
	if (ledger_txn_put(t, path, text.data, text.len, e) < 0)
		return -1;
	if (!r->o->key)
		return 0;
	(void)snprintf(path, sizeof(path), "certificates/%s.sig", name);
	return certificate_sign(r->o->key, text.data, text.len, &sig, e) < 0 ? -1 : ledger_txn_put(t, path, sig.data, sig.len, e);
}

/* What is certified already stays as it is: nothing that it knows of has changed. */
static int is_there(struct run *r, const char *id, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	char path[200];

	(void)snprintf(path, sizeof(path), "certificates/%s.json", id);
	return ledger_read(r->w->ledger, r->plan->name, NULL, path, &b, e);
}

static int put_all(struct run *r, struct ledger_txn *t, const char *id, json_t *files, struct err *e)
{
	static const struct { const char *suffix; struct certificate_options o; } forms[] = {
		{ "zh.txt", { CERTIFICATE_TXT, true } }, { "en.txt", { CERTIFICATE_TXT, false } }, { "json", { CERTIFICATE_JSON, false } },
		{ "zh.html", { CERTIFICATE_HTML, true } }, { "en.html", { CERTIFICATE_HTML, false } } };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		char name[160];

		(void)snprintf(name, sizeof(name), "%s.%s", id, forms[i].suffix);
		if (put_certificate(r, t, name, &forms[i].o, files, e) < 0)
			return -1;
	}
	return 0;
}

int stage_certify(struct run *r, struct err *e)
{
	struct ledger_txn *t;
	unsigned open = 0, unknown = 0;
	json_t *files;
	struct certificate_summary paper;
	const char *word = paper.verdict;
	enum verdict got, require;
	int there;

	if (access_test(r, &open, &unknown, e) < 0)
		return -1;
	if (certificate_about(r->w->ledger, r->plan->name, &paper, e) != 1 || !verdict_parse(word, &got) ||
	    !verdict_parse(plan_verdict_name(r->plan->clear.require), &require))
		return e->class ? -1 : err_set(e, ERR_BUG, "plan %s: nothing was cleared", r->plan->name);
	if (ledger_txn_begin(r->w->ledger, r->plan->name, &t, e) < 0)
		return -1;
	files = json_object();
	if ((there = is_there(r, paper.id, e)) < 0 || (!there && put_all(r, t, paper.id, files, e) < 0)) {
		ledger_txn_abandon(t);
		json_decref(files);
		return -1;
	}
	if (run_event(r, t, "certify", "done", json_pack("{s:s,s:o,s:s}", "commit", r->standing.clear_done, "files", files, "verdict", word), e,
	    "certificate made: %s", word) < 0)
		return -1;
	if (open)
		return err_set(e, ERR_INTEGRITY, "plan %s: %u of the log-ins that clear.revoke names still work; have them revoked and run again", r->plan->name, open);
	if (verdict_exit(got, require) == 0 && unknown)
		return err_set(e, ERR_UNVERIFIED, "plan %s: %u of the log-ins that clear.revoke names could not be tested; run again", r->plan->name, unknown);
	if (verdict_exit(got, require) == 0)
		return 0;
	err_set(e, verdict_exit(got, require) == 4 ? ERR_INTEGRITY : ERR_UNVERIFIED,
	    "plan %s is cleared with the verdict %s, clear.require asks for %s; the certificate says so", r->plan->name, word, plan_verdict_name(r->plan->clear.require));
	return err_hint(e, "print it with: waybill certificate %s", r->plan->name);
}
