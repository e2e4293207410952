#include <string.h>

#include "scalar.h"
#include "tables.h"
#include "words.h"

/* ---- files ---- */

struct size_range { uint64_t min, max; };
struct age_range { int64_t min, max; };

static const struct field size_fields[] = {
	{ .key = "min", .type = F_SIZE, .at = FIELD(size_range, min), .max = INT64_MAX },
	{ .key = "max", .type = F_SIZE, .at = FIELD(size_range, max), .max = INT64_MAX },
};
static const struct schema size_schema = { "a size filter", FIELDS(size_fields), sizeof(struct size_range),
	NOWHERE, NOWHERE, NULL, NULL };
static const struct field age_fields[] = {
	{ .key = "min", .type = F_DURATION, .at = FIELD(age_range, min), .max = INT64_MAX },
	{ .key = "max", .type = F_DURATION, .at = FIELD(age_range, max), .max = INT64_MAX },
};
static const struct schema age_schema = { "an age filter", FIELDS(age_fields), sizeof(struct age_range),
	NOWHERE, NOWHERE, NULL, NULL };

static void read_size_filter(struct reader *r, void *obj, const struct ynode *n)
{
	struct plan_files *f = obj;
	struct size_range v = { 0, UINT64_MAX };

	schema_read(r, &size_schema, &v, n);
	if (v.min > v.max)
		key_fault(r, n, NULL, "the smallest size is above the largest; nothing would be copied");
	f->size_min = v.min;
	f->size_max = v.max;
}

static void read_age_filter(struct reader *r, void *obj, const struct ynode *n)
{
	struct plan_files *f = obj;
	struct age_range v = { 0, INT64_MAX };

	schema_read(r, &age_schema, &v, n);
	if (v.min > v.max)
		key_fault(r, n, NULL, "the least age is above the greatest; nothing would be copied");
	f->age_min_s = v.min;
	f->age_max_s = v.max;
}

static const struct field known_fault_fields[] = {
	{ .key = "path", .type = F_BENEATH, .at = FIELD(plan_known_fault, path), .required = true },
	{ .key = "reason", .type = F_TEXT, .at = FIELD(plan_known_fault, reason), .required = true },
};
static const struct schema known_fault_schema = { "a known fault", FIELDS(known_fault_fields),
	sizeof(struct plan_known_fault), NOWHERE, FIELD(plan_known_fault, pos), NULL, NULL };

/* The keys of `files` are spread over the dataset (from, to) and its files part: both are reached from the dataset. */
#define IN_FILES(member) (FIELD(plan_dataset, files) + FIELD(plan_files, member))

static void files_owners(struct reader *r, void *obj, const struct ynode *n)
{
	read_owners(r, &((struct plan_dataset *)obj)->files, n);
}

static void files_size(struct reader *r, void *obj, const struct ynode *n)
{
	read_size_filter(r, &((struct plan_dataset *)obj)->files, n);
}

static void files_age(struct reader *r, void *obj, const struct ynode *n)
{
	read_age_filter(r, &((struct plan_dataset *)obj)->files, n);
}

static void files_defaults(void *obj)
{
	struct plan_files *f = &((struct plan_dataset *)obj)->files;

	f->delete = f->one_file_system = f->flags = true;
	f->size_max = UINT64_MAX;
	f->age_max_s = INT64_MAX;
}

static void files_check(struct reader *r, void *obj, const struct ynode *node)
{
	const struct plan_dataset *d = obj;

	if (!yaml_get(node, "to") && d->files.activate != ACTIVATE_IN_PLACE)
		node_fault(r, yaml_get(node, "activate"), "add to: HOST:/PATH, or leave activate out",
		    "there is nothing to %s: the dataset has no \"to\"", plan_activate_name(d->files.activate));
	if (d->to.path && d->files.activate == ACTIVATE_SWAP && strcmp(d->to.path, "/") == 0)
		node_fault(r, yaml_get(node, "to"), NULL, "the root of a host cannot be swapped");
}

static const struct field files_fields[] = {
	{ .key = "from", .type = F_PLACE, .at = FIELD(plan_dataset, from), .required = true },
	{ .key = "to", .type = F_PLACE, .at = FIELD(plan_dataset, to) },
	{ .key = "delete", .type = F_BOOL, .at = IN_FILES(delete) },
	{ .key = "include", .type = F_GLOBS, .at = IN_FILES(include), .min = 1 },
	{ .key = "exclude", .type = F_GLOBS, .at = IN_FILES(exclude) },
	{ .key = "list_only", .type = F_GLOBS, .at = IN_FILES(list_only) },
	{ .key = "size", .type = F_CUSTOM, .custom = files_size },
	{ .key = "age", .type = F_CUSTOM, .custom = files_age },
	{ .key = "one_file_system", .type = F_BOOL, .at = IN_FILES(one_file_system) },
	{ .key = "owners", .type = F_CUSTOM, .custom = files_owners },
	{ .key = "flags", .type = F_BOOL, .at = IN_FILES(flags) },
	{ .key = "activate", .type = F_WORD, .at = IN_FILES(activate), .arg = activate_words },
	{ .key = "foreign", .type = F_WORD, .at = IN_FILES(foreign), .arg = foreign_words },
	{ .key = "known_faults", .type = F_LIST, .at = IN_FILES(known_faults), .arg = &known_fault_schema },
	{ .key = "scan", .type = F_WORD, .at = IN_FILES(scan), .arg = scan_words },
};
static const struct schema files_schema = { "files", FIELDS(files_fields), sizeof(struct plan_dataset),
	NOWHERE, NOWHERE, files_defaults, files_check };

/* ---- command ---- */

#define IN_COMMAND(member) (FIELD(plan_dataset, command) + FIELD(plan_command, member))

static void command_check(struct reader *r, void *obj, const struct ynode *node)
{
	(void)obj;
	if (yaml_get(node, "feed") && !yaml_get(node, "to"))
		key_fault(r, yaml_get(node, "feed"), "add to: HOST", "\"feed\" has no host to run on");
}

static const struct field command_fields[] = {
	{ .key = "from", .type = F_HOSTPLACE, .at = FIELD(plan_dataset, from), .required = true },
	{ .key = "to", .type = F_HOSTPLACE, .at = FIELD(plan_dataset, to) },
	{ .key = "run", .type = F_ARGV, .at = IN_COMMAND(run), .required = true, .min = 1 },
	{ .key = "user", .type = F_TEXT, .at = IN_COMMAND(user) },
	{ .key = "env", .type = F_PAIRS, .at = IN_COMMAND(env), .arg2 = 1 },
	{ .key = "feed", .type = F_ARGV, .at = IN_COMMAND(feed), .min = 1 },
	{ .key = "fingerprint", .type = F_ARGV, .at = IN_COMMAND(fingerprint), .min = 1 },
	{ .key = "when", .type = F_WORD, .at = IN_COMMAND(when), .arg = when_words },
	{ .key = "stream", .type = F_BOOL, .at = IN_COMMAND(stream) },
};
static const struct schema command_schema = { "a command", FIELDS(command_fields), sizeof(struct plan_dataset),
	NOWHERE, NOWHERE, NULL, command_check };

/* ---- database ---- */

#define IN_DATABASE(member) (FIELD(plan_dataset, database) + FIELD(plan_database, member))

static const char *database_text(struct reader *r, const struct ynode *n)
{
	if (!node_scalar(r, n, "the database's name") || !node_no_password(r, n))
		return NULL;
	if (*n->text && n->text[0] != '-' && !scalar_has_control(n->text))
		return reader_strndup(r, n->text, strlen(n->text));
	node_fault(r, n, NULL, "\"%s\" cannot be the name of a database", n->text);
	return NULL;
}

static void database_name(struct reader *r, void *obj, const struct ynode *n)
{
	((struct plan_dataset *)obj)->database.name = database_text(r, n);
}

static void database_to_name(struct reader *r, void *obj, const struct ynode *n)
{
	((struct plan_dataset *)obj)->database.to_name = database_text(r, n);
}

static const struct field database_fields[] = {
	{ .key = "driver", .type = F_WORD, .at = IN_DATABASE(driver), .required = true, .arg = driver_words },
	{ .key = "from", .type = F_HOSTPLACE, .at = FIELD(plan_dataset, from), .required = true },
	{ .key = "to", .type = F_HOSTPLACE, .at = FIELD(plan_dataset, to) },
	{ .key = "name", .type = F_CUSTOM, .at = IN_DATABASE(name), .required = true, .custom = database_name },
	{ .key = "name_to", .type = F_CUSTOM, .at = IN_DATABASE(to_name), .custom = database_to_name },
	{ .key = "user", .type = F_TEXT, .at = IN_DATABASE(user) },
	{ .key = "globals", .type = F_BOOL, .at = IN_DATABASE(globals) },
};
static const struct schema database_schema = { "a database", FIELDS(database_fields), sizeof(struct plan_dataset),
	NOWHERE, NOWHERE, NULL, NULL };

/* ---- block ---- */

#define IN_BLOCK(member) (FIELD(plan_dataset, block) + FIELD(plan_block, member))

static const struct field serial_fields[] = {
	{ .key = "from", .type = F_TEXT, .at = IN_BLOCK(serial_from) },
	{ .key = "to", .type = F_TEXT, .at = IN_BLOCK(serial_to) },
};
static const struct schema serial_schema = { "serial", FIELDS(serial_fields), sizeof(struct plan_dataset),
	NOWHERE, NOWHERE, NULL, NULL };

static void block_serial(struct reader *r, void *obj, const struct ynode *n)
{
	schema_read(r, &serial_schema, obj, n);
}

static const struct field block_fields[] = {
	{ .key = "from", .type = F_PLACE, .at = FIELD(plan_dataset, from), .required = true },
	{ .key = "to", .type = F_PLACE, .at = FIELD(plan_dataset, to) },
	{ .key = "mounted", .type = F_BOOL, .at = IN_BLOCK(mounted) },
	{ .key = "serial", .type = F_CUSTOM, .custom = block_serial },
};
static const struct schema block_schema = { "a block device", FIELDS(block_fields), sizeof(struct plan_dataset),
	NOWHERE, NOWHERE, NULL, NULL };

/* ---- a dataset is exactly one of the four ---- */

static const struct schema *const kinds[] = { &files_schema, &command_schema, &database_schema, &block_schema };

static void read_kind(struct reader *r, void *obj, const struct ynode *n)
{
	struct plan_dataset *d = obj;
	int i = word_index(dataset_words, n->key->text);

	d->kind = (enum plan_dataset_kind)i;
	schema_read(r, kinds[i], d, n);
}

static void dataset_check(struct reader *r, void *obj, const struct ynode *node)
{
	const struct plan_dataset *d = obj;
	const struct ynode *seen = NULL;

	for (const struct ynode *c = node->first; c; c = c->next) {
		if (word_index(dataset_words, c->key->text) < 0)
			continue;
		if (seen)
			node_fault(r, c->key, "make it two datasets", "the dataset \"%s\" is already %s", d->name,
			    seen->key->text);
		seen = c;
	}
	if (!seen)
		key_fault(r, node, "such as files: {from: \"old:/srv/www\", to: \"new:/srv/www\"}",
		    "the dataset \"%s\" needs one of files, command, database, block", d->name);
}

static const struct field dataset_fields[] = {
	{ .key = "files", .type = F_CUSTOM, .custom = read_kind },
	{ .key = "command", .type = F_CUSTOM, .custom = read_kind },
	{ .key = "database", .type = F_CUSTOM, .custom = read_kind },
	{ .key = "block", .type = F_CUSTOM, .custom = read_kind },
};
const struct schema dataset_schema = { "a dataset", FIELDS(dataset_fields), sizeof(struct plan_dataset),
	FIELD(plan_dataset, name), FIELD(plan_dataset, pos), NULL, dataset_check };
