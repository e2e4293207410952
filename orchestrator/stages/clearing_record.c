/* What the ledger is told of a clearing: facts before the first write, measurements after the last. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "certificate.h"
#include "clearing.h"
#include "clearing_device.h"
#include "clock.h"
#include "esc.h"
#include "places.h"

static void set_text(json_t *o, const char *key, const char *text)
{
	OWN_FREE char *t = text ? esc_dup(text, strlen(text)) : NULL;

	if (t)
		(void)json_object_set_new(o, key, json_string(t));
}

static json_t *dataset_rows(const struct clearing *c)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < c->n; i++) {
		const struct standing_dataset *s = standing_dataset(&c->r->standing, c->v[i].d->name);

		(void)json_array_append_new(rows, json_pack("{s:s,s:I,s:s,s:s,s:I,s:I,s:s,s:I}", "dataset", s->name, "version", (json_int_t)s->version,
		    "root", s->root, "root_sm3", s->root_sm3, "entries", (json_int_t)s->entries, "bytes", (json_int_t)s->bytes,
		    "inventory_sha256", c->v[i].inventory, "objects", (json_int_t)c->v[i].objects));
	}
	return rows;
}

static void add_kept(json_t *rows, const char *what, const char *held_by)
{
	json_t *o = json_object();

	set_text(o, "what", what);
	set_text(o, "grade", "kept");
	set_text(o, "held_by", held_by);
	(void)json_array_append_new(rows, o);
}

/* What a migration of the same data left at its target, on purpose. */
static void add_targets(const struct clearing *c, json_t *rows)
{
	char what[PLACE_NAME], text[PLACE_NAME + 32];

	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].d->to.host) {
			(void)snprintf(text, sizeof(text), "target of dataset %s: %s", c->v[i].d->name, place_name(c->v[i].d->to.host, c->v[i].d->to.path, what));
			add_kept(rows, text, "department");
		}
}

/*
 * Copies that are known to be elsewhere.  Nobody has measured them: what the plan only names is E4, and becomes E3 in the certificate by a
 * recorded statement, for its digest is what the paper can show.
 */
static json_t *copy_rows(const struct clearing *c)
{
	const struct plan *p = c->r->plan;
	json_t *rows = json_array();

	add_kept(rows, "archive of waybill (store)", "department");
	if (c->r->standing.package_data)
		add_kept(rows, "hand-over package", "department and receiver");
	add_targets(c, rows);
	for (size_t i = 0; i < p->clear.ncopies; i++) {
		json_t *o = json_object();

		set_text(o, "what", p->clear.copies[i].what);
		set_text(o, "grade", "E4");
		set_text(o, "held_by", p->clear.copies[i].held_by);
		set_text(o, "statement", p->clear.copies[i].statement);
		(void)json_array_append_new(rows, o);
	}
	return rows;
}

/* What the plan says, so that the certificate needs nothing but the ledger; the operator is who really runs. */
static json_t *plan_facts(const struct clearing *c)
{
	OWN_BUF struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	json_t *f = certificate_facts(c->r->plan, &text, &e) < 0 ? NULL : json_loads(text.data, 0, NULL);

	if (f && !c->r->plan->clear.oper)
		set_text(f, "operator", c->r->o->as);
	return f;
}

static json_t *gate_parties(const struct plan *p)
{
	json_t *a = json_array();

	for (size_t i = 0; i < p->gates[STAGE_CLEAR].approve.n; i++)
		(void)json_array_append_new(a, json_string(p->gates[STAGE_CLEAR].approve.v[i]));
	return a;
}

static json_t *host_rows(const struct clearing *c)
{
	json_t *hosts = json_object();

	for (size_t i = 0; i < c->n; i++) {
		const char *host = c->v[i].d->from.host;
		json_t *places = json_object_get(hosts, host);

		if (!places) {
			places = json_object();
			(void)json_object_set_new(hosts, host, places);
		}
		(void)json_object_set(places, c->v[i].d->name, c->v[i].place);
	}
	return hosts;
}

static json_t *counts(const uint64_t v[WITNESS_CLASSES])
{
	json_t *o = json_object();

	for (int i = 0; i < WITNESS_CLASSES; i++)
		(void)json_object_set_new(o, witness_class_name((enum witness_class)i), json_integer((json_int_t)v[i]));
	return o;
}

/* What will be looked for, and a seal on the random places; NULL when no medium can be searched. */
static json_t *search_facts(const struct clearing *c)
{
	const struct witness_set *s = c->w ? c->w->set : NULL;
	uint8_t seed[DIGEST_LEN], commitment[DIGEST_LEN];
	struct err e = ERR_INIT;
	char hex[DIGEST_HEX];

	if (!s || clearing_seed(c, seed, commitment, &e) < 0)
		return NULL;
	hex_of(commitment, DIGEST_LEN, hex);
	return json_pack("{s:s,s:I,s:s,s:I,s:I,s:I,s:i,s:o,s:o,s:o,s:o}", "seed_commitment", hex, "extents", (json_int_t)c->extents, "extents_sha256",
	    c->extents_sha256, "witnesses", (json_int_t)s->n, "contents", (json_int_t)s->contents, "too_short", (json_int_t)s->too_short,
	    "one_kept_in_2_to_the", (int)s->shift, "taken", counts(s->taken), "weak", counts(s->weak), "common", counts(s->common), "stays",
	    counts(s->stays));
}

/* Of the program that is running and of the agent that it sends; NULL when one cannot be read. */
static json_t *tool_digests(const struct clearing *c)
{
	const char *const files[2] = { "/proc/self/exe", c->r->o->agent_binary };
	char hex[2][DIGEST_HEX];
	struct err e = ERR_INIT;

	for (int i = 0; i < 2; i++) {
		OWN_FD int fd = files[i] ? open(files[i], O_RDONLY | O_CLOEXEC) : -1;
		uint8_t d[DIGEST_LEN];
		uint64_t size;

		if (fd < 0 || digest_fd(fd, d, &size, &e) < 0)
			return NULL;
		hex_of(d, DIGEST_LEN, hex[i]);
	}
	return json_pack("{s:s,s:s}", "waybill", hex[0], "waybill-agent", hex[1]);
}

json_t *clearing_started(const struct clearing *c, const char *basis)
{
	json_int_t objects = 0, bytes = 0;
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX] = "";
	struct err e = ERR_INIT;

	for (size_t i = 0; i < c->n; i++) {
		objects += (json_int_t)c->v[i].objects;
		bytes += (json_int_t)c->v[i].bytes;
	}
	if (digest_sha256(c->scope, strlen(c->scope), digest, &e) == 0)
		hex_of(digest, DIGEST_LEN, hex);
	return json_pack("{s:s,s:s,s:o,s:o,s:o,s:I,s:I,s:s,s:s,s:o,s:o,s:o,s:o*,s:o*}", "basis", basis, "scope_sha256", hex, "gate", gate_parties(c->r->plan),
	    "datasets", dataset_rows(c), "facts", plan_facts(c), "objects", objects, "bytes", bytes,
	    "tool", "waybill " WAYBILL_VERSION, "kernel", c->n ? place_fact(c->v[0].place, "kernel") : "", "hosts", host_rows(c),
	    "media", clearing_media_json(c), "devices", clearing_devices_json(c), "search", search_facts(c),
	    "tool_sha256", tool_digests(c));
}

/* ---- after the work ---- */

/* By what the search of its medium showed; without one by what was done to its objects. */
static enum verdict dataset_verdict(const struct clearing *c, const struct clearing_dataset *d, const char **why)
{
	const struct clearing_medium *m = clearing_medium_of(c, (size_t)(d - c->v));
	struct clear_measure measure;

	const struct clearing_device *x = clearing_device_of(c, (size_t)(d - c->v));

	*why = "no raw medium was searched";
	if (x) {
		*why = "its whole device was wiped and read back";
		return clearing_device_verdict(c, x);
	}
	if (!m || !m->ndevices)
		return clear_tally_verdict(&d->tally, d->objects);
	measure = m->measure;
	measure.gone = clear_tally_gone(&d->tally, d->objects);
	measure.vanished = d->tally.vanished > 0;
	return clear_measure_verdict(&measure, why);
}

enum verdict clearing_verdict(const struct clearing *c)
{
	enum verdict worst = VERDICT_CLEARED_FULL;
	const char *why;

	for (size_t i = 0; i < c->n; i++)
		worst = verdict_worst(worst, dataset_verdict(c, &c->v[i], &why));
	for (size_t i = 0; i < c->ndevices; i++)
		worst = verdict_worst(worst, clearing_device_verdict(c, &c->devices[i]));
	return c->n ? worst : VERDICT_UNKNOWN;
}

static json_t *item_of(const struct clearing *c, const struct clearing_dataset *d)
{
	const struct clear_tally *t = &d->tally;
	char what[PLACE_NAME];
	const char *why;
	enum verdict verdict = dataset_verdict(c, d, &why);
	const struct clearing_device *x = clearing_device_of(c, (size_t)(d - c->v));

	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:i,s:s,s:{s:I,s:I},s:{s:I,s:I,s:I,s:I,s:I},s:{s:I,s:I,s:I,s:I,s:I},s:O,s:I,s:o}",
	    "what", place_name(d->d->from.host, d->d->from.path, what), "dataset", d->d->name, "host", d->d->from.host,
	    "path", d->d->from.path, "filesystem", place_fact(d->place, "fstype"), "mount_options", place_fact(d->place, "options"), "device",
	    place_fact(d->place, "device"), "serial", place_fact(d->place, "serial"), "serial_source", "sysfs of the host", "storage",
	    place_fact(d->place, "storage"), "class", x ? clearing_device_class(x) : "Clear (overwriting through the block interface)",
	    "method", x ? x->method : "overwrite of the allocated blocks, then unlink",
	    "verdict", verdict_name(verdict), "decided_by", why, "objects", (json_int_t)d->objects, "bytes", (json_int_t)t->bytes, "passes", 1,
	    "pattern", x ? "as its device" : "4 KiB random block of the run, never zero",
	    "read_back", "raw", (json_int_t)t->read_raw, "through_file", (json_int_t)t->read_file,
	    "extents", "moved", (json_int_t)t->moved, "shared", (json_int_t)t->shared, "encoded", (json_int_t)t->encoded,
	    "inline", (json_int_t)t->inlined, "unmapped", (json_int_t)t->unmapped,
	    "results", "done", (json_int_t)t->done, "absent_at_resume", (json_int_t)t->absent, "changed", (json_int_t)t->changed,
	    "refused", (json_int_t)t->refused, "failed", (json_int_t)t->failed,
	    "errors", d->errors, "error_count", (json_int_t)d->error_count, "limits", clearing_limits(c, d));
}

json_t *clearing_done(const struct clearing *c, enum verdict verdict)
{
	json_t *items = json_array(), *done;
	json_int_t objects = 0, bytes = 0, errors = 0;
	char started[CLOCK_TEXT], finished[CLOCK_TEXT];

	for (size_t i = 0; i < c->n; i++) {
		(void)json_array_append_new(items, item_of(c, &c->v[i]));
		objects += (json_int_t)c->v[i].objects;
		bytes += (json_int_t)c->v[i].tally.bytes;
		errors += (json_int_t)c->v[i].error_count;
	}
	for (size_t i = 0; i < c->ndevices; i++)
		bytes += (json_int_t)c->devices[i].written;
	clearing_devices_items(c, items);
	done = json_pack("{s:s,s:o,s:o,s:s,s:s,s:I,s:I,s:I}", "verdict", verdict_name(verdict), "items", items, "copies", copy_rows(c),
	    "started", clock_text(c->started, c->r->plan->timezone, started),
	    "finished", clock_text(clock_now_ns() / 1000000000, c->r->plan->timezone, finished),
	    "objects", objects, "bytes", bytes, "errors", errors);
	if (done)
		clearing_search_record(c, done);
	return done;
}
