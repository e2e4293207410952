/*
 * The gate of whole devices, before the first write of anything: each is free and as authorized, and all that is on it is archived.  Nobody may
 * have it mounted, so the agent mounts what is on it for itself alone, where the dataset was.
 */
#include "clearing_device.h"

#include <errno.h>
#include <string.h>

#include "esc.h"
#include "places.h"
#include "scope.h"

void clearing_devices_dispose(struct clearing *c)
{
	for (size_t i = 0; i < c->ndevices; i++) {
		msg_wipe_facts_dispose(&c->devices[i].facts);
		json_decref(c->devices[i].datasets);
	}
	free(c->devices);
}

/* ---- what is on it? ---- */

/* The identity that the dataset's root has in what was signed; NULL when it has none. */
static char *signed_identity(const struct clearing *c, const struct plan_place *at)
{
	OWN_SCOPE struct scope s = SCOPE_INIT;
	struct err ignored = ERR_INIT;

	if (scope_parse(&s, c->scope, &ignored) < 0)
		return NULL;
	for (size_t i = 0; i < s.n; i++)
		if (s.v[i].kind == SCOPE_ROOT && strcmp(s.v[i].host, at->host) == 0 && strcmp(s.v[i].path, at->path) == 0)
			return strdup(s.v[i].value);
	return NULL;
}

/* Is the file system on node the one that the dataset was read from, from its root on?  1 yes, 0 no (why says it), -1. */
static int holds(struct clearing *c, const char *node, struct clearing_dataset *v, struct err *why, struct err *e)
{
	const struct plan_place *from = &v->d->from;
	const char *args[] = { "facts", "--root", "/", "--root", from->path, "--mount", node, "--at", from->path, NULL };
	OWN_FREE char *want = signed_identity(c, from);
	json_t *facts = NULL;

	if (place_ask(c->r, from->host, args, &facts, e) < 0) {
		if (e->class != ERR_REFUSED)
			return -1;
		*why = *e;
		err_clear(e);
		return 0;
	}
	if (!want || strcmp(place_fact(facts, "identity"), want) != 0) {
		(void)err_set(why, ERR_REFUSED, "its root is not that of dataset %s", v->d->name);
		json_decref(facts);
		return 0;
	}
	json_decref(v->place);
	v->place = facts;
	free(v->mount);
	return (v->mount = strdup(node)) ? 1 : err_sys(e, "clear");
}

static int match_part(struct clearing *c, struct clearing_device *x, const char *node, struct err *e)
{
	struct err why = ERR_INIT;
	char place[PLACE_NAME];

	for (size_t i = 0; i < c->n; i++) {
		struct clearing_dataset *v = &c->v[i];
		int r;

		if (v->d->kind != DATASET_FILES || v->mount || strcmp(v->d->from.host, x->d.at.host) != 0)
			continue;
		if ((r = holds(c, node, v, &why, e)) < 0)
			return -1;
		if (r)
			return json_array_append_new(x->datasets, json_string(v->d->name)) < 0 ? err_sys(e, "clear") : 0;
	}
	err_set(e, ERR_REFUSED, "%s: nothing shows that what %s holds is archived: it is no dataset of this clearing from the root of its file system on%s%s%s",
	    place_name(x->d.at.host, x->d.at.path, place), esc_s(node), *why.text ? " (" : "", why.text, *why.text ? ")" : "");
	return err_hint(e, "name its files as a dataset, at the place where the file system belongs");
}

/* All that can hold a file system on it must be a dataset, and there must be one. */
static int match_parts(struct clearing *c, struct clearing_device *x, struct err *e)
{
	OWN_FREE char *list = strdup(x->facts.parts);
	char *save = NULL;

	for (char *line = list ? strtok_r(list, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		OWN_BUF struct buf node = BUF_INIT;

		if (!esc_undo(&node, line, strlen(line)) || !node.data)
			return err_set(e, ERR_INTEGRITY, "host %s: the wiper's answer is not as the protocol says", x->d.at.host);
		if (match_part(c, x, node.data, e) < 0)
			return -1;
	}
	return json_array_size(x->datasets) ? 0 : err_set(e, ERR_REFUSED, "%s: nothing shows that what it holds is archived", x->d.at.path);
}

static const struct plan_dataset *block_at(const struct clearing *c, const struct plan_place *at)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].d->kind == DATASET_BLOCK && strcmp(c->v[i].d->from.host, at->host) == 0 && strcmp(c->v[i].d->from.path, at->path) == 0)
			return c->v[i].d;
	return NULL;
}

/* ---- is it right? ---- */

static int check_method(const struct clearing *c, const struct clearing_device *x, struct err *e)
{
	enum plan_method method = c->r->plan->clear.method;
	char place[PLACE_NAME];

	(void)place_name(x->d.at.host, x->d.at.path, place);
	if (method == METHOD_CRYPTO && !x->facts.luks)
		return err_set(e, ERR_REFUSED, "%s holds no LUKS header: there are no keys on it to destroy", place);
	if (method == METHOD_SANITIZE && !(x->facts.flags & MSG_WIPE_SANITIZE))
		return err_set(e, ERR_REFUSED, "%s offers no sanitize command (or one that would strike other namespaces); clear.method: overwrite", place);
	return 0;
}

/* Of a clearing that goes on: the datasets that went with it, and the medium of an image, as they were found. */
static int load(struct clearing *c, size_t i, struct err *e)
{
	json_t *j = json_loads(c->r->standing.clear_data ? c->r->standing.clear_data : "", 0, NULL);
	const json_t *row = json_array_get(json_object_get(j, "devices"), i);
	int r = json_is_object(row) ? 0 : err_set(e, ERR_INTEGRITY, "clear started tells nothing of device %zu", i + 1);

	(void)json_array_extend(c->devices[i].datasets, json_object_get(row, "datasets"));
	c->devices[i].beneath = (size_t)json_integer_value(json_object_get(row, "lies_on_medium"));
	if (r == 0 && c->devices[i].beneath > c->nmedia)
		r = err_set(e, ERR_INTEGRITY, "clear started: device %zu lies on no medium", i + 1);
	json_decref(j);
	return r;
}

static int look(struct clearing *c, size_t i, bool begin, struct err *e)
{
	struct clearing_device *x = &c->devices[i];
	OWN(wiping_dispose) struct wiping w = { .c = c, .x = x };
	const struct plan_dataset *block = block_at(c, &x->d.at);

	if (wiping_open(&w, false, e) < 0 || wiping_finish(&w, e) < 0)
		return -1;
	if (!(x->datasets = json_array()))
		return err_sys(e, "clear");
	x->crypto = c->r->plan->clear.method == METHOD_CRYPTO;
	x->sanitized = c->r->plan->clear.method == METHOD_SANITIZE;
	x->method = x->crypto ? "overwrite of the LUKS headers and key slots" : x->sanitized ? "sanitize command of the device" :
	    "overwrite of all blocks of the device";
	/* Of a clearing that goes on, the headers may be gone by now. */
	if (!begin)
		return load(c, i, e);
	if (check_method(c, x, e) < 0)
		return -1;
	if (!block)
		return match_parts(c, x, e);
	return json_array_append_new(x->datasets, json_string(block->name)) < 0 ? err_sys(e, "clear") : 0;
}

static void list_devices(struct clearing *c)
{
	const struct plan_clear *p = &c->r->plan->clear;

	for (size_t i = 0; i < p->ndevices; i++)
		c->devices[c->ndevices++].d = p->devices[i];
	for (size_t i = 0; i < c->n; i++) {
		const struct plan_dataset *d = c->v[i].d;
		bool named = d->kind != DATASET_BLOCK;

		for (size_t k = 0; k < p->ndevices; k++)
			named |= strcmp(p->devices[k].at.host, d->from.host) == 0 && strcmp(p->devices[k].at.path, d->from.path) == 0;
		if (!named)
			c->devices[c->ndevices++].d = (struct plan_device){ .at = d->from, .serial = d->block.serial_from, .pos = d->pos };
	}
}

int clearing_devices_look(struct clearing *c, bool begin, struct err *e)
{
	if (!(c->devices = calloc(c->r->plan->clear.ndevices + c->n + 1, sizeof(*c->devices))))
		return err_sys(e, "clear");
	list_devices(c);
	for (size_t i = 0; i < c->ndevices; i++)
		if (look(c, i, begin, e) < 0)
			return -1;
	return 0;
}

/* ---- images ---- */

static int find_beneath(struct clearing *c, struct clearing_device *x, struct err *e)
{
	char dir[4096];
	OWN_SCAN struct scan s = SCAN_INIT;
	struct clearing_medium *m;
	const char *slash = strrchr(x->d.at.path, '/');

	(void)snprintf(dir, sizeof(dir), "%.*s", slash == x->d.at.path ? 1 : (int)(slash - x->d.at.path), x->d.at.path);
	if (scan_open(&s, c->r, x->d.at.host, dir, NULL, false, e) < 0 || scan_look(&s, e) < 0)
		return -1;
	if (!(m = clearing_medium_like(c, x->d.at.host, &s))) {
		if (!(m = clearing_medium_add(c, x->d.at.host, e)) || clearing_medium_take(c, m, &s, e) < 0)
			return -1;
		m->beneath = true;
	}
	for (size_t i = 0; i < c->n; i++)
		m->datasets[i] |= clearing_device_of(c, i) == x;
	x->beneath = 1 + (size_t)(m - c->media);
	return 0;
}

int clearing_devices_beneath(struct clearing *c, struct err *e)
{
	for (size_t i = 0; i < c->ndevices; i++)
		if (!(c->devices[i].facts.flags & MSG_WIPE_BLOCK) && find_beneath(c, &c->devices[i], e) < 0)
			return -1;
	return 0;
}
