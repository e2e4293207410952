/* made_postgresql - what the PostgreSQL driver asks a server about a database as a whole: SQL for psql, made_postgresql_whole.c. */
#ifndef MADE_POSTGRESQL_H
#define MADE_POSTGRESQL_H

#define POSTGRESQL_OWN_SCHEMAS "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
/* A column of grants as a text: what stands there, or what nothing there means. */
#define POSTGRESQL_ACL(acl, kind, owner) "coalesce((SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(coalesce(" acl ", acldefault(" kind \
	", " owner "))) a), 'nobody')"

/*
 * Writes a script for psql in any database: owner, grants, connection limit, comment and settings of the one that is asked.  Not its
 * default_transaction_read_only: that is how a freeze keeps writers out, and the target is to be written.
 */
extern const char postgresql_whole[];
#define POSTGRESQL_WHOLE_LAST "-- end of what belongs to the database as a whole"

/* Lines of the fingerprint about the same things; of a setting's value the sum, as it may be a secret of an application. */
extern const char postgresql_whole_fingerprint[];

/* Writes statements for the target's server, which answer "role NAME" and "setting NAME" for each that is needed and not there. */
extern const char postgresql_needs[];

#endif
