/*
 * command - the one table of all commands, and what they share.
 *
 * Help, the manual's synopsis and option parsing all come from the table in commands.c.  A command is a function in a
 * file of its own, cmd_NAME.c; where the table has NULL the command is known but not built yet (exit 1).
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct cli_context;

struct cli_option {
	const char *name;	/* long name without "--" */
	char letter;		/* short form, or 0 */
	const char *arg;	/* what it takes ("FILE"); NULL = a flag */
	const char *help;	/* one line, small first letter */
};
#define CLI_OPTIONS_MAX 16	/* a command */

/* argc/argv: the positional arguments only, as many as the table allows.  Options: cli_flag, cli_value, cli_values. */
typedef int (*command_fn)(struct cli_context *c, int argc, char **argv, struct err *e);

struct command {
	const char *name;
	const char *synopsis;	/* what follows the name: "PLAN [--until STAGE]" */
	const char *summary;	/* one line */
	const char *help;	/* paragraphs; NULL = the summary says it all */
	const struct cli_option *options;	/* ends with name NULL; may be NULL */
	int min_args, max_args;	/* positional; max -1 = any number */
	command_fn run;		/* NULL = not built yet */
};

extern const struct command commands[];	/* ends with name NULL; in the order of `help` */
const struct command *command_find(const char *name);
extern const struct cli_option cli_global_options[];	/* ends with name NULL */

/* ---- what a command gets ---- */

struct cli_found { const char *option; const char *value; };	/* as given, in order */

struct cli_context {
	/* global options as given; NULL = not given */
	const char *dir;		/* -C */
	bool json, quiet;
	int verbose;
	const char *lang;		/* "en" or "zh"; never NULL */
	const char *as_given, *key_given;

	const struct command *command;	/* the one that runs */
	struct cli_found *found;	/* options of the command */
	size_t nfound;
	char last_words[40];		/* last line on standard error, or "" */
	bool printed_json;		/* an object went to stdout already */

	char *root;			/* the folder that holds .waybill, once cli_workspace found it */
	char *as, *key;			/* who acts, once cli_who was asked; owned */
};

bool cli_flag(const struct cli_context *c, const char *option);
/* The last value given, or NULL. */
const char *cli_value(const struct cli_context *c, const char *option);
/* How many times it was given; *i-th value with cli_value_at. */
size_t cli_count(const struct cli_context *c, const char *option);
const char *cli_value_at(const struct cli_context *c, const char *option, size_t i);

/*
 * The folder that holds .waybill: -C, else the nearest above the working directory, else above plan (a file; may be
 * NULL).  ERR_USAGE with `waybill init` as the next step when there is none.  Borrowed from c.
 */
int cli_workspace(struct cli_context *c, const char *plan, const char **root, struct err *e) MUST_CHECK;

struct workspace;
/* The same, opened, with the log going to the workspace's file as well. */
int cli_workspace_open(struct cli_context *c, const char *plan, struct workspace **out, struct err *e) MUST_CHECK;

/*
 * Who acts: --as and --key, else WAYBILL_AS and WAYBILL_KEY, else as and key of .waybill/config.yaml (a relative key
 * there is relative to the folder that holds .waybill).  c->as, c->key are NULL when nobody said.  w may be NULL.
 */
int cli_who(struct cli_context *c, struct err *e) MUST_CHECK;

struct plan;
/*
 * PLAN of the command line: a plan file, or (w given) the name of a plan in the ledger, whose files are looked for where
 * its file was last used with this workspace.  Faults are printed in full on
 * stderr and make an ERR_USAGE.  *from_ledger (may be NULL) says which it was.
 */
int cli_plan(struct cli_context *c, struct workspace *w, const char *arg, struct plan **out, bool *from_ledger,
    struct err *e) MUST_CHECK;
/* Has the ledger this plan?  ERR_USAGE when not. */
int cli_plan_there(struct workspace *w, const char *name, struct err *e) MUST_CHECK;
/* The plan of that name as the ledger has it (ERR_USAGE when it has none). */
int cli_plan_recorded(struct workspace *w, const char *name, struct plan **out, struct err *e) MUST_CHECK;
/* The plan's name for the ledger, when only that is wanted: of a plan file its `name`, else arg itself.  Owned. */
int cli_plan_name(struct cli_context *c, struct workspace *w, const char *arg, char **name, struct err *e) MUST_CHECK;

/* Our own waybill-agent: WAYBILL_AGENT, else beside this program, else ../libexec/waybill.  Owned. */
int cli_agent_binary(char **path, struct err *e) MUST_CHECK;

/* "DATASET[@N]" taken apart: *dataset owned, *version 0 = not given.  ERR_USAGE. */
int cli_dataset_version(const char *arg, char **dataset, uint64_t *version, struct err *e) MUST_CHECK;

/* ---- running ---- */

/* The whole command line; the exit code.  What main returns. */
int cli_main(int argc, char **argv);

/* options.c: reads options of opts and globals into c from argv[1..]; *rest = index of the first positional in argv
 * (which is permuted unless stop, then reading ends at the first positional). */
int cli_parse(struct cli_context *c, const struct cli_option *opts, int argc, char **argv, bool stop, int *rest,
    bool *help, bool *version, struct err *e) MUST_CHECK;

/* help.c: the pages.  Print to stdout. */
void help_overview(void);
void help_command(const struct command *cmd);

int cmd_init(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_new(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_check(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_help(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
/* To be added beside their cmd_NAME.c, and to the table in commands.c: */
int cmd_preview(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_run(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_status(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_approve(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_log(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_show(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_diff(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_verify(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_survey(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_restore(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_package(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_accept(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_residue(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_certificate(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_limit(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_record(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_abandon(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_rollback(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_rehearse(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_finish(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;
int cmd_audit(struct cli_context *c, int argc, char **argv, struct err *e) MUST_CHECK;

#endif
