/*
 * plan - what a plan file says, read once, checked as a whole, never changed afterwards (waybill-plan(5)).
 *
 *   plan_load -> read the fields -> plan_free
 *
 * Everything that can be wrong with a plan is collected in one run as a list of faults, each with its place; a plan
 * that has one is not given out.  Defaults are filled in, so a reader never has to know them; a field that may be
 * absent says so.  All memory belongs to the plan and lives until plan_free.  A loaded plan may be read by any number
 * of threads.
 */
#ifndef PLAN_H
#define PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "buf.h"

#define PLAN_BYTES_MAX (1024 * 1024)	/* the largest plan file */
#define PLAN_NAME_MAX 64		/* names of plans, hosts, datasets, people, parties */

enum plan_kind { PLAN_MIGRATION, PLAN_HANDOVER, PLAN_RETIREMENT };

enum plan_stage {
	STAGE_PREFLIGHT, STAGE_COPY, STAGE_FREEZE, STAGE_FINAL, STAGE_VERIFY, STAGE_CUTOVER, STAGE_SMOKE,
	STAGE_PACKAGE, STAGE_ACCEPT, STAGE_RESTORE_TEST, STAGE_CLEAR, STAGE_CERTIFY
};
#define STAGE_COUNT 12

enum plan_point {
	POINT_BEFORE_COPY, POINT_AFTER_COPY, POINT_FREEZE, POINT_THAW, POINT_CUTOVER, POINT_ROLLBACK, POINT_SMOKE,
	POINT_DONE
};
#define POINT_COUNT 8

enum plan_role { ROLE_DEPARTMENT, ROLE_BUREAU, ROLE_PROVIDER, ROLE_RECEIVER, ROLE_CONTRACTOR, ROLE_SUPERVISOR };
enum plan_client { CLIENT_AUTO, CLIENT_LIBSSH2, CLIENT_OPENSSH };	/* same order as enum host_client */
enum plan_dataset_kind { DATASET_FILES, DATASET_COMMAND, DATASET_DATABASE, DATASET_BLOCK };
enum plan_activate { ACTIVATE_IN_PLACE, ACTIVATE_SWAP, ACTIVATE_MERGE };
enum plan_foreign { FOREIGN_KEEP, FOREIGN_DROP, FOREIGN_CARRY };
enum plan_scan { SCAN_FAST, SCAN_STRICT };
enum plan_when { WHEN_FINAL, WHEN_EVERY_PASS };
enum plan_driver { DRIVER_POSTGRESQL, DRIVER_MARIADB, DRIVER_SQLITE };
enum plan_method { METHOD_AUTO, METHOD_OVERWRITE, METHOD_SANITIZE, METHOD_CRYPTO };
/* Clearance verdicts, best first. */
enum plan_verdict {
	PLAN_VERDICT_CLEARED_FULL, PLAN_VERDICT_CLEARED_SAMPLED, PLAN_VERDICT_CLEARED_GUEST_LEVEL, PLAN_VERDICT_CRYPTO_ERASED,
	PLAN_VERDICT_PERFORMED_NOT_PROVABLE, PLAN_VERDICT_RESIDUE_FOUND, PLAN_VERDICT_BLIND, PLAN_VERDICT_UNKNOWN
};
#define PLAN_VERDICT_COUNT 8

/* Words of the enums as a plan writes them ("restore-test", "in-place"); never NULL for a valid value. */
const char *plan_kind_name(enum plan_kind k);
const char *plan_stage_name(enum plan_stage s);
const char *plan_point_name(enum plan_point p);
const char *plan_role_name(enum plan_role r);
const char *plan_dataset_kind_name(enum plan_dataset_kind k);
const char *plan_activate_name(enum plan_activate a);
const char *plan_verdict_name(enum plan_verdict v);
bool plan_kind_parse(const char *s, enum plan_kind *k);
bool plan_stage_parse(const char *s, enum plan_stage *stage);
bool plan_role_parse(const char *s, enum plan_role *r);
bool plan_verdict_parse(const char *s, enum plan_verdict *v);

struct plan_pos { int line, column; };		/* 1-based; 0 = not written in the file (a default) */

struct plan_strings { const char *const *v; size_t n; };
struct plan_pair { const char *name, *value; };
struct plan_pairs { const struct plan_pair *v; size_t n; };	/* in the order of the file */

struct plan_place {		/* "HOST:/PATH"; host NULL = not given */
	const char *host;
	const char *path;	/* clean absolute path; NULL where only a host is named (command, database) */
};

struct plan_party {
	const char *key;	/* as gates and people write it */
	const char *name;	/* for people to read; the key when not given */
	enum plan_role role;	/* the key itself when it is a role's name and none is given */
	struct plan_pos pos;
};

struct plan_person {
	const char *key;	/* "zhang" */
	const char *name;	/* "张三"; the key when not given */
	const char *party;	/* key of a party */
	const char *duty;	/* or NULL */
	const char *key_line;	/* "ssh-ed25519 AAAA..." without the comment */
	const char *key_type;	/* "ssh-ed25519" */
	const char *fingerprint;	/* "SHA256:..." */
	struct plan_pos pos;
};

struct plan_document { const char *role, *file; struct plan_pos pos; };	/* file as written: relative to the plan */

struct plan_host {
	const char *name;	/* "local" is always there, as the first one */
	const char *ssh;	/* "[user@]address-or-alias"; NULL only for local */
	int port;		/* 0 = ssh_config's, else 22 */
	const char *host_key;	/* key line, "SHA256:...", or NULL = known_hosts decides */
	const char *identity;	/* as written, or NULL; a leading "~/" is the user's home, else relative to the plan: see plan_file_path */
	enum plan_client client;
	int connections;	/* 0 = the program decides */
	int keepalive_s;	/* 0 = transport's default */
	bool become_sudo;
	const char *via;	/* name of a host, or NULL */
	const char *agent;	/* absolute path of an installed helper, or NULL */
	struct plan_pos pos;
};

struct plan_secret { const char *name, *file, *env; struct plan_pos pos; };	/* file or env, the other NULL */

struct plan_known_fault { const char *path, *reason; struct plan_pos pos; };	/* path relative to the dataset's root */

struct plan_owner { bool group; const char *from, *to; };	/* names or decimal ids */

struct plan_files {
	bool delete;			/* yes: what the manifest knew and the source no longer has */
	struct plan_strings include, exclude, list_only;	/* globs, relative to the root; empty include = everything */
	uint64_t size_min, size_max;	/* bytes, inclusive; 0 / UINT64_MAX = no limit */
	int64_t age_min_s, age_max_s;	/* seconds since mtime; 0 / INT64_MAX = no limit */
	bool one_file_system;		/* yes */
	const struct plan_owner *owners;	/* from the map in the plan or in the file it names */
	size_t nowners;
	const char *owners_file;	/* as written, or NULL */
	bool flags;			/* yes: inode flags are carried, set last */
	enum plan_activate activate;
	enum plan_foreign foreign;
	const struct plan_known_fault *known_faults;
	size_t nknown_faults;
	enum plan_scan scan;
};

struct plan_command {
	struct plan_strings run, feed, fingerprint;	/* argv; feed and fingerprint may be empty */
	const char *user;		/* or NULL */
	struct plan_pairs env;		/* values may be "secret:NAME" */
	enum plan_when when;
	bool stream;
};

struct plan_database {
	enum plan_driver driver;
	const char *name;		/* of the database; a path for sqlite */
	const char *to_name;		/* what it is called at the target, or NULL = name */
	const char *user;		/* or NULL */
	bool globals;
};

struct plan_block {
	bool mounted;			/* yes: reading it while mounted was agreed to */
	const char *serial_from, *serial_to;	/* or NULL */
};

struct plan_dataset {
	const char *name;
	enum plan_dataset_kind kind;
	struct plan_place from;		/* files, block: host and path; command, database: host only */
	struct plan_place to;		/* host NULL = archive only */
	/* The one that kind names is filled in; the others are zero. */
	struct plan_files files;
	struct plan_command command;
	struct plan_database database;
	struct plan_block block;
	struct plan_pos pos;
};

struct plan_hook {
	const char *run;		/* as written */
	const char *file;		/* where it was found: beside the plan, else among the installed ones; NULL: see plan_parse_recorded */
	struct plan_strings hosts;	/* names of hosts; {"local"} by default */
	const char *user;		/* or NULL */
	struct plan_pairs with;		/* values may be "secret:NAME" */
	int timeout_s;			/* 300 */
	int tries;			/* 1 */
	int every_s;			/* 5 */
	struct plan_pos pos;
};
struct plan_hooks { const struct plan_hook *v; size_t n; };

/* A party that stands there twice means two different people with different keys.  n == 0: no gate. */
struct plan_gate { struct plan_strings approve; struct plan_pos pos; };

struct plan_passes {
	int max;			/* 3 */
	int64_t until_s;		/* 60 */
	bool verify;			/* yes */
};

struct plan_window { bool given; int64_t start, end; };	/* seconds since the epoch */

struct plan_cutover {
	struct plan_window window;
	int64_t give_up;		/* seconds since the epoch; 0 = none */
	bool require_rehearsal;
};

struct plan_rollback {
	bool on_failed_smoke;
	int64_t until;			/* seconds since the epoch; 0 = until finish */
	struct plan_strings save;	/* names of datasets */
};

struct plan_rehearsal_place { const char *dataset; struct plan_place to; };
struct plan_rehearsal {
	const struct plan_rehearsal_place *to;
	size_t nto;
	struct plan_hooks smoke;
};

struct plan_limits {			/* void while frozen */
	uint64_t bandwidth;		/* bytes a second; 0 = no limit */
	int connections;		/* 0 = no limit */
	bool has_window;
	int window_from, window_to;	/* minutes of the day in the plan's zone; may cross midnight */
	int deletes_percent;		/* 10 */
	uint64_t memory;		/* bytes; 256 MiB */
};

struct plan_archive {
	bool sm3;			/* beside sha256, which is always there */
	bool level_auto;
	int level;			/* zstd level when not auto */
	bool keep;			/* yes */
};

struct plan_package {
	const char *to;			/* directory as written, or NULL = .waybill/packages/PLAN */
	uint64_t part;			/* bytes; 1 GiB */
	struct plan_strings encrypt;	/* certificate files, as written */
};

struct plan_device { struct plan_place at; const char *serial; struct plan_pos pos; };	/* serial may be NULL */
struct plan_discard { const char *dataset, *path, *reason; struct plan_pos pos; };	/* path relative to the root, a directory stands for all beneath it */
struct plan_revoke { const char *host, *user; };
struct plan_copy { const char *what, *held_by, *statement; };	/* held_by, statement may be NULL */

struct plan_clear {
	bool given;			/* the plan has a clear: block (always true for a retirement) */
	struct plan_strings datasets;	/* names; all files and block datasets when the plan names none */
	const struct plan_device *devices;
	size_t ndevices;
	enum plan_method method;
	enum plan_verdict require;	/* cleared-sampled */
	struct plan_window valid;	/* not given: 30 days from signing */
	int64_t retain_until;		/* seconds since the epoch; 0 = not bound */
	const char *oper, *verifier;	/* `operator`, `verifier`: keys of people, or NULL */
	int64_t fresh_s;		/* 24 h */
	const struct plan_discard *discard;
	size_t ndiscard;
	const struct plan_revoke *revoke;
	size_t nrevoke;
	const struct plan_copy *copies;
	size_t ncopies;
};

struct plan {
	const char *file;		/* as it was opened */
	const char *dir;		/* its directory, "." at least */
	const char *text;		/* the bytes that were read (NUL follows) */
	size_t text_len;

	const char *name;
	enum plan_kind kind;
	const char *title;		/* the name when not given */
	const char *rules;		/* rule profile, or NULL */
	const char *rules_file;		/* where it was found, or NULL */
	const char *timezone;		/* "Asia/Shanghai" */
	struct { const char *id, *level, *filing; } system;	/* each may be NULL */
	struct { const char *number; int64_t ends; } contract;	/* number may be NULL; ends 0 = not given */

	const struct plan_party *parties;
	size_t nparties;
	const struct plan_person *people;
	size_t npeople;
	struct plan_strings operators;	/* n == 0 and !has_operators: anyone may run, nobody is barred */
	bool has_operators;
	const struct plan_document *documents;
	size_t ndocuments;
	const struct plan_host *hosts;	/* local first */
	size_t nhosts;
	const struct plan_secret *secrets;
	size_t nsecrets;
	const struct plan_dataset *datasets;	/* in the order of the file */
	size_t ndatasets;
	struct plan_hooks hooks[POINT_COUNT];
	struct plan_gate gates[STAGE_COUNT];
	struct plan_passes passes;
	struct plan_cutover cutover;
	struct plan_rollback rollback;
	struct plan_rehearsal rehearsal;
	struct plan_limits limits;
	struct plan_archive archive;
	struct plan_package package;
	struct plan_clear clear;

	const enum plan_stage *stages;	/* in order: the plan's own list, or the default of its kind */
	size_t nstages;
	bool own_stages;		/* the plan has a stages: list */
};

/* NULL when there is none of that name. */
const struct plan_host *plan_host(const struct plan *p, const char *name);
const struct plan_dataset *plan_dataset(const struct plan *p, const char *name);
const struct plan_person *plan_person(const struct plan *p, const char *key);
const struct plan_party *plan_party(const struct plan *p, const char *key);
const struct plan_secret *plan_secret(const struct plan *p, const char *name);
/* The stage's place in p->stages, or -1. */
int plan_stage_index(const struct plan *p, enum plan_stage s);
bool plan_is_operator(const struct plan *p, const char *person);
/* Freeze or cutover hooks, swap or merge: such a plan has a serving side and asks before it acts (contract section 4). */
bool plan_takes_over(const struct plan *p);
/* A file that the plan names, as a path from the working directory ("~/" is the home); owned by the caller, NULL = no memory. */
char *plan_file_path(const struct plan *p, const char *written);

/* ---- faults ---- */

struct plan_fault {
	int line, column;	/* 1-based; line 0: about the file as a whole */
	int width;		/* bytes to underline, at least 1 */
	char *message;		/* escaped */
	char *hint;		/* escaped; NULL if there is none */
	char *excerpt;		/* the source line, escaped (tabs kept as one space); NULL for line 0 */
	int caret;		/* display columns before the caret in excerpt */
	int caret_width;
};

struct plan_faults {
	char *file;		/* escaped */
	struct plan_fault *v;	/* sorted by line, then column */
	size_t n, cap;
	bool out_of_memory;	/* the list is not complete */
};
#define PLAN_FAULTS_INIT { NULL, NULL, 0, 0, false }
#define OWN_PLAN_FAULTS OWN(plan_faults_dispose)
void plan_faults_dispose(struct plan_faults *f);
/* "file:line:column: message", the line, a caret, "hint: ..." for each; colour: with terminal colours. */
void plan_faults_print(const struct plan_faults *f, FILE *to, bool colour);
/* The first one as a single line for err (ERR_USAGE), with how many more there are; always -1. */
int plan_faults_err(const struct plan_faults *f, struct err *e);

/*
 * Reads and checks the plan.  0: *out is the plan, no faults.  -1: *out is NULL and faults holds at least one entry,
 * or out_of_memory is set.  An unreadable file is a fault with line 0.  Exit code 2 in every case.
 */
int plan_load(const char *file, struct plan **out, struct plan_faults *faults) MUST_CHECK;
/* The same from bytes; file names it in messages, dir is where its files are. */
int plan_parse(const char *file, const char *dir, const void *text, size_t n, struct plan **out,
    struct plan_faults *faults) MUST_CHECK;
/*
 * The same for a plan that was checked when it was recorded in the ledger: files it names that are not (or no longer) in dir are
 * no faults; such hooks have file NULL, such owners are empty, and plan_sum_make then names them.  dir NULL: no file is looked at,
 * for a plan that others have written.
 */
int plan_parse_recorded(const char *file, const char *dir, const void *text, size_t n, struct plan **out,
    struct plan_faults *faults) MUST_CHECK;
void plan_free(struct plan *p);		/* NULL is fine */
static inline void plan_freep(struct plan **p) { plan_free(*p); }
#define OWN_PLAN OWN(plan_freep)

/* 0, or ERR_PERMANENT naming the first thing this plan uses that this build of waybill cannot do yet. */
int plan_not_built(const struct plan *p, struct err *e) MUST_CHECK;

/*
 * The people as allowed_signers(5): `zhang namespaces="approval@waybill,..." ssh-ed25519 AAAA...`, one a line in the
 * order of the plan.
 */
void plan_signers(const struct plan *p, struct buf *out);

#endif
