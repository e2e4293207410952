#include "loss.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "esc.h"

/* Of linux/capability.h. */
enum { CAP_CHOWN_BIT = 0, CAP_LINUX_IMMUTABLE_BIT = 9, CAP_SYS_ADMIN_BIT = 21, CAP_MKNOD_BIT = 27, CAP_SETFCAP_BIT = 31 };
#define FLAGS_OF_ROOT 0x30u	/* append-only, immutable */

static const char *const names[LOSS_COUNT] = { "owner", "group", "device", "setid", "xattr", "capability", "flags" };

const char *loss_name(enum loss k) { return names[k]; }

static const char *text_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static void add_group(struct loss_rights *r, uint64_t id)
{
	if (id <= UINT32_MAX && r->ngroups < LOSS_GROUPS)
		r->groups[r->ngroups++] = (uint32_t)id;
}

static void add_ids(struct loss_ids *ids, uint64_t first, uint64_t count)
{
	if (first > UINT32_MAX || count > UINT32_MAX || ids->n == LOSS_RANGES)
		return;
	ids->range[ids->n].first = (uint32_t)first;
	ids->range[ids->n++].count = (uint32_t)count;
}

static bool has_id(const struct loss_ids *ids, uint32_t id)
{
	for (size_t i = 0; i < ids->n; i++)
		if (id >= ids->range[i].first && id - ids->range[i].first < ids->range[i].count)
			return true;
	return false;
}

static void ids_from(const char *pairs, struct loss_ids *ids)
{
	char *end;

	for (const char *s = pairs; *s; s = end) {
		uint64_t first = strtoull(s, &end, 10);

		if (end == s)
			return;
		s = end;
		add_ids(ids, first, strtoull(s, &end, 10));
	}
}

/* What a root can do only where no user namespace is around it, whatever capabilities it has in there. */
static void confine(const json_t *facts, bool gives, struct loss_rights *out)
{
	out->denied |= 1u << LOSS_OWNER | 1u << LOSS_GROUP | 1u << LOSS_DEVICE | 1u << LOSS_XATTR | 1u << LOSS_FLAGS;
	if (!gives)
		return;
	ids_from(text_of(facts, "uids"), &out->uids);
	ids_from(text_of(facts, "gids"), &out->gids);
}

void loss_rights_from(const json_t *facts, struct loss_rights *out)
{
	static const struct { int cap; unsigned kinds; } needs[] = {
		{ CAP_CHOWN_BIT, 1u << LOSS_OWNER | 1u << LOSS_GROUP }, { CAP_MKNOD_BIT, 1u << LOSS_DEVICE },
		{ CAP_SYS_ADMIN_BIT, 1u << LOSS_XATTR }, { CAP_SETFCAP_BIT, 1u << LOSS_CAPABILITY },
		{ CAP_LINUX_IMMUTABLE_BIT, 1u << LOSS_FLAGS } };
	const char *caps = text_of(facts, "caps"), *group = text_of(facts, "groups");
	uint64_t have;
	char *end;

	*out = (struct loss_rights){ .euid = (uint32_t)strtoull(text_of(facts, "euid"), NULL, 10) };
	have = *caps ? strtoull(caps, NULL, 16) : out->euid == 0 ? UINT64_MAX : 0;
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (!(have >> needs[i].cap & 1))
			out->denied |= needs[i].kinds;
	for (; *group; group = end) {
		uint64_t id = strtoull(group, &end, 10);

		if (end == group)
			break;
		add_group(out, id);
	}
	if (json_object_get(facts, "uids"))
		confine(facts, have >> CAP_CHOWN_BIT & 1, out);
}

static json_t *ids_json(const struct loss_ids *ids)
{
	json_t *a = json_array();

	for (size_t i = 0; i < ids->n; i++)
		(void)json_array_append_new(a, json_pack("[I,I]", (json_int_t)ids->range[i].first, (json_int_t)ids->range[i].count));
	return a;
}

static void ids_parse(const json_t *j, struct loss_ids *ids)
{
	const json_t *v;
	size_t i;

	json_array_foreach(j, i, v)
		add_ids(ids, (uint64_t)json_integer_value(json_array_get(v, 0)), (uint64_t)json_integer_value(json_array_get(v, 1)));
}

json_t *loss_rights_json(const struct loss_rights *r)
{
	json_t *denied = json_array(), *groups = json_array(), *o;

	for (int k = 0; k < LOSS_COUNT; k++)
		if (r->denied >> k & 1)
			(void)json_array_append_new(denied, json_string(names[k]));
	for (size_t i = 0; i < r->ngroups; i++)
		(void)json_array_append_new(groups, json_integer(r->groups[i]));
	o = json_pack("{s:o,s:I,s:o}", "denied", denied, "euid", (json_int_t)r->euid, "groups", groups);
	if (o && r->uids.n)
		(void)json_object_set_new(o, "uids", ids_json(&r->uids));
	if (o && r->gids.n)
		(void)json_object_set_new(o, "gids", ids_json(&r->gids));
	return o;
}

void loss_rights_parse(const json_t *j, struct loss_rights *out)
{
	const json_t *v;
	size_t i;

	*out = (struct loss_rights){ .euid = (uint32_t)json_integer_value(json_object_get(j, "euid")) };
	json_array_foreach(json_object_get(j, "denied"), i, v)
		for (int k = 0; k < LOSS_COUNT; k++)
			if (json_is_string(v) && strcmp(json_string_value(v), names[k]) == 0)
				out->denied |= 1u << k;
	json_array_foreach(json_object_get(j, "groups"), i, v)
		add_group(out, (uint64_t)json_integer_value(v));
	ids_parse(json_object_get(j, "uids"), &out->uids);
	ids_parse(json_object_get(j, "gids"), &out->gids);
}

bool loss_takes_attr(unsigned kinds, const char *name)
{
	if (strcmp(name, "security.capability") == 0)
		return kinds >> LOSS_CAPABILITY & 1;
	return (kinds >> LOSS_XATTR & 1) && (strncmp(name, "trusted.", 8) == 0 || strncmp(name, "security.", 9) == 0);
}

unsigned loss_of_attrs(const struct attr_set *s)
{
	unsigned kinds = 0;

	for (size_t i = 0; i < s->n; i++)
		for (unsigned k = LOSS_XATTR; k <= LOSS_CAPABILITY; k++)
			if (loss_takes_attr(1u << k, s->v[i].name))
				kinds |= 1u << k;
	return kinds;
}

static bool owner_lost(const struct loss_rights *r, const struct entry *en)
{
	return (r->denied >> LOSS_OWNER & 1) && en->uid != r->euid && !has_id(&r->uids, en->uid);
}

static bool group_lost(const struct loss_rights *r, const struct entry *en)
{
	if (!(r->denied >> LOSS_GROUP & 1) || has_id(&r->gids, en->gid))
		return false;
	for (size_t i = 0; i < r->ngroups; i++)
		if (r->groups[i] == en->gid)
			return false;
	return true;
}

uint32_t loss_mode(const struct loss_rights *r, const struct entry *en)
{
	uint32_t mode = en->mode;

	if (en->type == ENTRY_SYMLINK)
		return mode;
	if (owner_lost(r, en) && en->type != ENTRY_DIR)
		mode &= ~(uint32_t)S_ISUID;
	if (group_lost(r, en))
		mode &= ~(uint32_t)S_ISGID;
	return mode;
}

unsigned loss_of(const struct loss_rights *r, const struct entry *en, unsigned attrs)
{
	unsigned kinds = attrs & r->denied;

	if (!r->denied || !entry_is_present(en))
		return 0;
	if ((en->type == ENTRY_CHAR || en->type == ENTRY_BLOCK) && (r->denied >> LOSS_DEVICE & 1))
		return 1u << LOSS_DEVICE;	/* all of it */
	if (owner_lost(r, en))
		kinds |= 1u << LOSS_OWNER;
	if (group_lost(r, en))
		kinds |= 1u << LOSS_GROUP;
	if (loss_mode(r, en) != en->mode)
		kinds |= 1u << LOSS_SETID;
	if ((en->has & ENTRY_HAS_FLAGS) && (en->flags & FLAGS_OF_ROOT))
		kinds |= r->denied & 1u << LOSS_FLAGS;
	return kinds;
}

void loss_counts_dispose(struct loss_counts *c)
{
	for (int k = 0; k < LOSS_COUNT; k++)
		free(c->first[k]);
	*c = (struct loss_counts){ .n = { 0 } };
}

void loss_count(struct loss_counts *c, unsigned kinds, const char *path)
{
	for (int k = 0; k < LOSS_COUNT; k++)
		if ((kinds >> k & 1) && c->n[k]++ == 0)
			c->first[k] = esc_dup(path, strlen(path));
}

uint64_t loss_total(const struct loss_counts *c)
{
	uint64_t sum = 0;

	for (int k = 0; k < LOSS_COUNT; k++)
		sum += c->n[k];
	return sum;
}

json_t *loss_counts_json(const struct loss_counts *c)
{
	json_t *o = json_object();

	for (int k = 0; k < LOSS_COUNT; k++)
		if (c->n[k])
			(void)json_object_set_new(o, names[k], json_pack("{s:I,s:s}", "entries", (json_int_t)c->n[k], "first", c->first[k] ? c->first[k] : "?"));
	return o;
}

void loss_counts_text(const json_t *counts, char *out, size_t n)
{
	size_t at = 0;

	out[0] = '\0';
	for (int k = 0; k < LOSS_COUNT; k++) {
		const json_t *row = json_object_get(counts, names[k]);
		int w;

		if (!row || at >= n)
			continue;
		w = snprintf(out + at, n - at, "%s%s of %" PRIu64 " entries (first %s)", at ? ", " : "", names[k],
		    (uint64_t)json_integer_value(json_object_get(row, "entries")), text_of(row, "first"));
		at += w > 0 ? (size_t)w : 0;
	}
	esc_trim(out);
}
