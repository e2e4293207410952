#include "made_postgresql.h"

#define THIS "(SELECT oid FROM pg_database WHERE datname = current_database())"
#define OWN_DATABASE "pg_database d WHERE d.datname = current_database()"
#define SETTINGS "pg_db_role_setting s, unnest(s.setconfig) WITH ORDINALITY c (line, n), LATERAL (SELECT split_part(line, '=', 1) AS name, " \
	"substr(line, strpos(line, '=') + 1) AS value) v WHERE s.setdatabase = " THIS \
	" AND NOT (s.setrole = 0 AND v.name = 'default_transaction_read_only')"

/*
 * Parameters that are lists of names are stored as one ("$user", public), and have to be written as a literal for each: an empty name
 * cannot be written otherwise (pg_dump does the same, and has the same list of them).
 */
#define VALUE "CASE WHEN v.name IN ('local_preload_libraries', 'search_path', 'session_preload_libraries', 'shared_preload_libraries', " \
	"'temp_tablespaces', 'unix_socket_directories') THEN (SELECT coalesce(string_agg(quote_literal(CASE WHEN left(x[1], 1) = '\"' THEN " \
	"replace(substr(x[1], 2, length(x[1]) - 2), '\"\"', '\"') ELSE rtrim(x[1]) END), ', ' ORDER BY k), '''''') FROM " \
	"regexp_matches(v.value, '\"(?:[^\"]|\"\")*\"|[^\",[:space:]][^,]*', 'g') WITH ORDINALITY m (x, k)) ELSE quote_literal(v.value) END"

const char postgresql_whole[] =
    "SET client_min_messages = error; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET search_path = pg_catalog;\n"
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n"
    "SELECT 'SET client_encoding = ''UTF8''; SET standard_conforming_strings = on;';\n"
    "SELECT E'SELECT current_database() AS this_database \\\\gset';\n"
    "SELECT format('ALTER DATABASE :\"this_database\" OWNER TO %I;', pg_get_userbyid(datdba)) FROM " OWN_DATABASE ";\n"
    "SELECT format('ALTER DATABASE :\"this_database\" CONNECTION LIMIT %s;', datconnlimit) FROM " OWN_DATABASE ";\n"
    "SELECT format('COMMENT ON DATABASE :\"this_database\" IS %L;', shobj_description(d.oid, 'pg_database')) FROM " OWN_DATABASE
    " AND shobj_description(d.oid, 'pg_database') IS NOT NULL;\n"
    "SELECT format('REVOKE ALL ON DATABASE :\"this_database\" FROM PUBLIC, %I;', pg_get_userbyid(datdba)) FROM " OWN_DATABASE
    " AND datacl IS NOT NULL;\n"
    /* The owner's grants first, then in their order: who grants further has got it before. */
    "SELECT CASE WHEN a.grantor <> d.datdba THEN format('SET SESSION AUTHORIZATION %I; ', pg_get_userbyid(a.grantor)) ELSE '' END || "
    "format('GRANT %s ON DATABASE :\"this_database\" TO %s%s;', a.privilege, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE "
    "quote_ident(pg_get_userbyid(a.grantee)) END, CASE WHEN a.further THEN ' WITH GRANT OPTION' ELSE '' END) || "
    "CASE WHEN a.grantor <> d.datdba THEN ' RESET SESSION AUTHORIZATION;' ELSE '' END FROM pg_database d, "
    "aclexplode(d.datacl) WITH ORDINALITY a (grantor, grantee, privilege, further, n) WHERE d.datname = current_database() ORDER BY "
    "a.grantor <> d.datdba, a.n;\n"
    "SELECT CASE WHEN s.setrole = 0 THEN 'ALTER DATABASE :\"this_database\"' ELSE format('ALTER ROLE %I IN DATABASE :\"this_database\"', "
    "pg_get_userbyid(s.setrole)) END || format(' SET %I TO ', v.name) || " VALUE " || ';' FROM " SETTINGS
    " ORDER BY s.setrole <> 0, pg_get_userbyid(s.setrole), c.n;\n"
    "SELECT '" POSTGRESQL_WHOLE_LAST "';\n";

const char postgresql_whole_fingerprint[] =
    "SELECT E'database grants\\t' || " POSTGRESQL_ACL("datacl", "'d'", "datdba") " FROM " OWN_DATABASE ";\n"
    "SELECT E'database connection limit\\t' || datconnlimit FROM " OWN_DATABASE ";\n"
    "SELECT E'database comment\\t' || coalesce(md5(shobj_description(d.oid, 'pg_database')), 'none') FROM " OWN_DATABASE ";\n"
    "SELECT 'database setting ' || v.name || CASE WHEN s.setrole = 0 THEN '' ELSE ' of role ' || pg_get_userbyid(s.setrole) END || E'\\t' || "
    "md5(v.value) FROM " SETTINGS " ORDER BY 1;\n";

/* pg_shdepend has who owns and is granted something, but not the role that initdb made. */
#define ROLES "(SELECT array_agg(rolname ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_' AND oid IN (SELECT refobjid FROM pg_shdepend WHERE " \
	"refclassid = 'pg_authid'::regclass AND (dbid = d.oid OR (classid = 'pg_database'::regclass AND objid = d.oid)) UNION ALL SELECT d.datdba " \
	"UNION ALL SELECT setrole FROM pg_db_role_setting WHERE setdatabase = d.oid UNION ALL SELECT grantee FROM aclexplode(d.datacl) UNION ALL " \
	"SELECT c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE " POSTGRESQL_OWN_SCHEMAS " UNION ALL SELECT p.proowner " \
	"FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE " POSTGRESQL_OWN_SCHEMAS " UNION ALL SELECT n.nspowner FROM pg_namespace n " \
	"WHERE " POSTGRESQL_OWN_SCHEMAS "))"

/* A parameter with a dot is an extension's or an application's own, which a server takes without knowing it. */
const char postgresql_needs[] =
    "SELECT format('SELECT ''role '' || quote_ident(x) FROM unnest(%L::text[]) x WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = x) "
    "ORDER BY 1;', " ROLES ") FROM " OWN_DATABASE ";\n"
    "SELECT format('SELECT ''setting '' || x FROM unnest(%L::text[]) x WHERE strpos(x, ''.'') = 0 AND NOT EXISTS (SELECT 1 FROM pg_settings "
    "WHERE name = x) ORDER BY 1;', (SELECT array_agg(DISTINCT v.name) FROM " SETTINGS "));\n";
