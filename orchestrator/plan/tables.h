/* tables - the schemas of a plan's parts, one table a map of keys (waybill-plan.5 in code). */
#ifndef PLAN_TABLES_H
#define PLAN_TABLES_H

#include "schema.h"

#define FIELD(struct_, member) offsetof(struct struct_, member)
#define FIELDS(table) (table), sizeof(table) / sizeof((table)[0])

extern const struct schema party_schema, person_schema, document_schema, host_schema, secret_schema;	/* table_who.c */
extern const struct schema dataset_schema;							/* table_data.c */
extern const struct schema passes_schema, cutover_schema, rollback_schema, rehearsal_schema, limits_schema,
    archive_schema, package_schema;								/* table_run.c */
extern const struct schema clear_schema;							/* table_clear.c */
extern const struct schema plan_schema;								/* table_plan.c */

/* table_run.c: the hooks of one point. */
void read_hook_list(struct reader *r, struct plan_hooks *out, const struct ynode *list);
void read_hooks(struct reader *r, void *plan, const struct ynode *map);
void read_gates(struct reader *r, void *plan, const struct ynode *map);
void read_stages(struct reader *r, void *plan, const struct ynode *list);

/* owners.c: the map in the plan, or the file it names. */
void read_owners(struct reader *r, void *files, const struct ynode *value);

#endif
