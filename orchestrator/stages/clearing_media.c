/* Which media the datasets of a clearing lie on, and what of them stands in the record. */
#include <errno.h>
#include <string.h>

#include "clearing_device.h"
#include "esc.h"

void clearing_medium_dispose(struct clearing_medium *m)
{
	for (size_t i = 0; i < m->ndevices; i++)
		free(m->device[i]);
	free(m->device);
	free(m->datasets);
	json_decref(m->rows);
	json_decref(m->control);
	json_decref(m->hits);
	json_decref(m->bad);
}

bool clearing_searches(const struct clearing *c)
{
	for (size_t i = 0; i < c->nmedia; i++)
		if (c->media[i].ndevices)
			return true;
	return false;
}

struct clearing_medium *clearing_medium_of(const struct clearing *c, size_t dataset)
{
	for (size_t i = 0; i < c->nmedia; i++)
		if (c->media[i].datasets[dataset])
			return &c->media[i];
	return NULL;
}

struct clearing_medium *clearing_medium_add(struct clearing *c, const char *host, struct err *e)
{
	struct clearing_medium *grown = realloc(c->media, (c->nmedia + 1) * sizeof(*grown)), *m;

	if (!grown) {
		(void)err_sys(e, "clear");
		return NULL;
	}
	c->media = grown;
	m = &c->media[c->nmedia];
	*m = (struct clearing_medium){ .host = host, .datasets = calloc(c->n, sizeof(bool)), .rows = json_array(), .control = json_null(),
		.hits = json_array(), .bad = json_array(), .known_again = true };
	if (!m->datasets) {
		(void)err_sys(e, "clear");
		return NULL;
	}
	c->nmedia++;
	return m;
}

/* Of random places only where a whole search takes very long, or less was asked for (waybill-clearance.5). */
static uint64_t reads_for(const struct run *r, uint64_t size)
{
	enum plan_verdict require = r->plan->clear.require;
	uint64_t limit, residue;

	if (require == PLAN_VERDICT_CLEARED_FULL)
		return 0;
	limit = require >= PLAN_VERDICT_PERFORMED_NOT_PROVABLE ? UINT64_C(8) << 30 : UINT64_C(1) << 40;
	residue = require >= PLAN_VERDICT_PERFORMED_NOT_PROVABLE ? 64 << 20 : CLEARING_RESIDUE;
	return size <= limit ? 0 : witness_reads_for(size, residue, 0.01);
}

static int add_device(struct clearing *c, struct clearing_medium *m, const struct msg_medium *f, struct err *e)
{
	char **grown = realloc(m->device, (m->ndevices + 1) * sizeof(*grown));
	OWN_FREE char *shown = esc_dup(f->path, strlen(f->path));

	if (!grown || !shown)
		return err_sys(e, "clear");
	m->device = grown;
	if (!(m->device[m->ndevices] = strdup(f->path)))
		return err_sys(e, "clear");
	m->ndevices++;
	m->size += f->size;
	m->guest |= (f->flags & MSG_MEDIUM_GUEST) != 0;
	m->flash |= (f->flags & MSG_MEDIUM_BLOCK) && !(f->flags & MSG_MEDIUM_ROTATIONAL);
	(void)snprintf(m->fstype, sizeof(m->fstype), "%s", f->fstype);
	(void)json_array_append_new(m->rows, json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:i,s:b,s:b,s:s}", "device", shown, "serial", f->serial, "uuid", f->uuid, "where", f->where, "size",
	    (json_int_t)f->size, "filesystem", f->fstype, "sector", (int)f->sector, "rotational", (f->flags & MSG_MEDIUM_ROTATIONAL) != 0,
	    "guest", (f->flags & MSG_MEDIUM_GUEST) != 0, "guest_by", f->note));
	m->reads = reads_for(c->r, m->size);
	return 0;
}

static bool same_devices(const struct clearing_medium *m, const struct scan *s)
{
	if (m->ndevices != s->n || s->n == 0)
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(m->device[i], s->media[i].medium.path) != 0)
			return false;
	return true;
}

struct clearing_medium *clearing_medium_like(const struct clearing *c, const char *host, const struct scan *s)
{
	for (size_t k = 0; k < c->nmedia; k++)
		if (!c->media[k].covered && strcmp(c->media[k].host, host) == 0 && same_devices(&c->media[k], s))
			return &c->media[k];
	return NULL;
}

int clearing_medium_take(struct clearing *c, struct clearing_medium *m, const struct scan *s, struct err *e)
{
	for (size_t k = 0; k < s->n; k++)
		if (add_device(c, m, &s->media[k].medium, e) < 0)
			return -1;
	(void)snprintf(m->why_none, sizeof(m->why_none), "%.290s", s->why_none);
	return 0;
}

static int find_one(struct clearing *c, size_t i, struct err *e)
{
	const struct plan_place *from = &c->v[i].d->from;
	bool block = c->v[i].d->kind == DATASET_BLOCK;
	OWN_SCAN struct scan s = { .mount = c->v[i].mount, .at = from->path };
	struct clearing_medium *m = NULL;

	if (scan_open(&s, c->r, from->host, from->path, block ? from->path : s.mount, false, e) < 0 || scan_look(&s, e) < 0)
		return -1;
	if (!clearing_device_of(c, i))
		m = clearing_medium_like(c, from->host, &s);
	if (!m) {
		if (!(m = clearing_medium_add(c, from->host, e)) || clearing_medium_take(c, m, &s, e) < 0)
			return -1;
		m->covered = clearing_device_of(c, i) != NULL;
	}
	m->datasets[i] = true;
	return 0;
}

int clearing_media_find(struct clearing *c, struct err *e)
{
	for (size_t i = 0; i < c->n; i++)
		if (find_one(c, i, e) < 0)
			return -1;
	return clearing_devices_beneath(c, e);
}

/* ---- record ---- */

static json_t *dataset_names(const struct clearing *c, const struct clearing_medium *m)
{
	json_t *names = json_array();

	for (size_t i = 0; i < c->n; i++)
		if (m->datasets[i])
			(void)json_array_append_new(names, json_string(c->v[i].d->name));
	return names;
}

json_t *clearing_media_json(const struct clearing *c)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < c->nmedia; i++) {
		const struct clearing_medium *m = &c->media[i];

		(void)json_array_append_new(rows, json_pack("{s:s,s:o,s:O,s:I,s:s,s:s,s:b,s:b,s:b,s:b,s:b,s:b,s:s,s:I,s:O,s:{s:I,s:I,s:I}}", "host", m->host, "datasets",
		    dataset_names(c, m), "devices", m->rows, "size", (json_int_t)m->size, "filesystem", m->fstype, "no_raw_reading", m->why_none,
		    "guest", m->guest, "flash", m->flash, "wiped_whole", m->covered, "of_images", m->beneath, "blind", m->blind, "names_blind", m->names_blind, "reason", m->reason, "random_reads",
		    (json_int_t)m->reads, "control", m->control, "canaries", "planted", (json_int_t)m->planted, "seen", (json_int_t)m->seen,
		    "spread_bytes", (json_int_t)m->spread));
	}
	return rows;
}

static const char *word(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static uint64_t number(const json_t *o, const char *key) { return (uint64_t)json_integer_value(json_object_get(o, key)); }

static int load_datasets(struct clearing *c, struct clearing_medium *m, const json_t *names, struct err *e)
{
	json_t *name;
	size_t k;

	json_array_foreach(names, k, name)
		for (size_t i = 0; i < c->n; i++)
			if (json_is_string(name) && strcmp(json_string_value(name), c->v[i].d->name) == 0) {
				m->datasets[i] = true;
				m->host = c->v[i].d->from.host;
			}
	return m->host ? 0 : err_set(e, ERR_INTEGRITY, "clear started: a medium of no dataset");
}

static int load_devices(struct clearing_medium *m, json_t *rows, struct err *e)
{
	size_t n = json_array_size(rows);

	if (!(m->device = calloc(n ? n : 1, sizeof(*m->device))))
		return err_sys(e, "clear");
	for (size_t i = 0; i < n; i++) {
		OWN_BUF struct buf b = BUF_INIT;
		const char *s = word(json_array_get(rows, i), "device");

		if (!esc_undo(&b, s, strlen(s)) || !b.data || !(m->device[m->ndevices++] = buf_take(&b)))
			return err_set(e, ERR_INTEGRITY, "clear started: a device without a name");
	}
	json_decref(m->rows);
	m->rows = json_incref(rows);
	return 0;
}

static int load_medium(struct clearing *c, const json_t *row, struct err *e)
{
	struct clearing_medium *m = clearing_medium_add(c, NULL, e);
	json_t *canaries = json_object_get(row, "canaries"), *control = json_object_get(row, "control");

	if (!m || load_datasets(c, m, json_object_get(row, "datasets"), e) < 0 || load_devices(m, json_object_get(row, "devices"), e) < 0)
		return -1;
	m->size = number(row, "size");
	m->guest = json_is_true(json_object_get(row, "guest"));
	m->flash = json_is_true(json_object_get(row, "flash"));
	m->covered = json_is_true(json_object_get(row, "wiped_whole"));
	m->beneath = json_is_true(json_object_get(row, "of_images"));
	/* What does not say that it saw did not see. */
	m->blind = !json_is_false(json_object_get(row, "blind"));
	m->names_blind = !json_is_false(json_object_get(row, "names_blind"));
	m->reads = number(row, "random_reads");
	m->planted = number(canaries, "planted");
	m->seen = number(canaries, "seen");
	m->spread = number(canaries, "spread_bytes");
	(void)snprintf(m->fstype, sizeof(m->fstype), "%s", word(row, "filesystem"));
	(void)snprintf(m->reason, sizeof(m->reason), "%s", word(row, "reason"));
	(void)snprintf(m->why_none, sizeof(m->why_none), "%s", word(row, "no_raw_reading"));
	json_decref(m->control);
	m->control = control ? json_incref(control) : json_null();
	return 0;
}

int clearing_media_load(struct clearing *c, const json_t *started, struct err *e)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(started, "media"), i, row)
		if (load_medium(c, row, e) < 0)
			return -1;
	for (i = 0; i < c->n; i++)	/* one of before there were searches */
		if (!clearing_medium_of(c, i)) {
			struct clearing_medium *m = clearing_medium_add(c, c->v[i].d->from.host, e);

			if (!m)
				return -1;
			m->datasets[i] = true;
			(void)snprintf(m->why_none, sizeof(m->why_none), "the clearing began without a search");
		}
	return 0;
}
