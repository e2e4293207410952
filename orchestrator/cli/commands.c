/* The table of all commands.  Whoever builds one puts its function here, and nowhere else. */
#include "command.h"

#include <string.h>

#define END { NULL, 0, NULL, NULL }

const struct cli_option cli_global_options[] = {
	{ NULL, 'C', "DIR", "the workspace; else the nearest .waybill above the working directory, then above PLAN" },
	{ "json", 0, NULL, "answers as JSON on standard output, one object (run: one a line)" },
	{ "quiet", 'q', NULL, "failures only" },
	{ "verbose", 'v', NULL, "tell more; twice: everything" },
	{ "lang", 0, "en|zh", "language of papers" },
	{ "as", 0, "PERSON", "who acts, a key of `people` (also WAYBILL_AS)" },
	{ "key", 0, "FILE", "his private key, or a public key whose private half an ssh-agent holds (also WAYBILL_KEY)" },
	END
};

static const struct cli_option init_options[] = {
	{ "store", 0, "DIR", "keep the archive there instead of .waybill/store" }, END
};
static const struct cli_option new_options[] = {
	{ "from", 0, "H:/P", "where the data is" },
	{ "to", 0, "H:/P", "where it goes; without it: into the archive only" },
	{ "person", 0, "NAME:PARTY:PUBKEYFILE", "somebody who signs; as often as needed" }, END
};
static const struct cli_option check_options[] = {
	{ "connect", 0, NULL, "log in everywhere and look, changing nothing but uploading the agent" }, END
};
static const struct cli_option preview_options[] = {
	{ "until", 0, "STAGE", "look no further than this stage" },
	{ "only", 0, "DATASET", "this dataset only; may be repeated" }, END
};
static const struct cli_option run_options[] = {
	{ "dry-run", 'n', NULL, "the same as preview" },
	{ "until", 0, "STAGE", "stop after this stage" },
	{ "stay-frozen", 0, NULL, "with --until freeze, final or verify: leave the source frozen" },
	{ "only", 0, "DATASET", "preflight, copy and verify of this dataset only; may be repeated" },
	{ "yes", 'y', NULL, "answer the one confirmation (never that of clear)" },
	{ "amend", 0, "REASON", "go on with an edited plan; approvals of the old one fall" },
	{ "wait", 0, NULL, "sleep until a window opens instead of exit 6" }, END
};
static const struct cli_option status_options[] = {
	{ "watch", 0, NULL, "again and again until it is done" }, END
};
static const struct cli_option approve_options[] = {
	{ "request", 0, "FILE", "write the text to sign there; it is signed anywhere with ssh-keygen -Y sign" },
	{ "signature", 0, "FILE.sig", "bring the signature of such a text back" },
	{ "refuse", 0, NULL, "say no" },
	{ "withdraw", 0, NULL, "take an earlier approval back" },
	{ "reason", 0, "TEXT", "why" },
	{ "attach", 0, "FILE", "a document that belongs to it; may be repeated" }, END
};
static const struct cli_option rollback_options[] = { { "yes", 'y', NULL, "answer the confirmation" }, END };
static const struct cli_option rehearse_options[] = { { "keep", 0, NULL, "leave the rehearsal places as they are" }, END };
static const struct cli_option show_options[] = {
	{ "skipped", 0, NULL, "what was skipped or failed, and why" }, END
};
static const struct cli_option verify_options[] = {
	{ "side", 0, "target|source|archive", "what to read (target, else archive)" },
	{ "full", 0, NULL, "everything, not only what changed since the last good verification" },
	{ "cached", 0, NULL, "may read from memory; never satisfies a gate" }, END
};
static const struct cli_option restore_options[] = {
	{ "to", 0, "DIR|-", "where to; - is standard output, for one file" },
	{ "overwrite", 0, NULL, "into a folder that is not empty" }, END
};
static const struct cli_option package_options[] = {
	{ "to", 0, "[HOST:]DIR", "where the package is written; at a host of the plan over SFTP alone, and then it goes on where it was cut" }, END
};
static const struct cli_option accept_options[] = {
	{ "request", 0, "FILE", "write the text to sign there" },
	{ "signature", 0, "FILE.sig", "bring its signature back" },
	{ "except", 0, "FILE", "accept with the exceptions listed there" },
	{ "refuse", 0, NULL, "refuse the package" },
	{ "reason", 0, "TEXT", "why" },
	{ "to", 0, "OUT", "write the answer there" },
	{ "import", 0, "OUT", "bring such an answer back into the ledger" },
	{ "fetch", 0, "[USER@]HOST[:PORT]:DIR", "first fetch the package from there over SFTP; PACKAGE is where it is put" },
	{ "empty-drop", 0, NULL, "then remove the package's files there; without --to and --request nothing else is done" }, END
};
static const struct cli_option residue_options[] = {
	{ "on", 0, "[HOST:]DEVICE_OR_FILE", "what to read raw" }, END
};
static const struct cli_option certificate_options[] = {
	{ "format", 0, "txt|json|html", "form of the paper (txt)" }, END
};
static const struct cli_option record_options[] = {
	{ "at", 0, "TIME", "when it happened (now)" },
	{ "note", 0, "TEXT", "what happened" },
	{ "attach", 0, "FILE", "a document that shows it; may be repeated" },
	{ "copy", 0, "WHAT", "statement: the copy of the plan that it is about" },
	{ "opinion", 0, "agree|amend|refuse", "opinion: what it says" }, END
};
static const struct cli_option audit_options[] = {
	{ "signers", 0, "ALLOWED_SIGNERS", "the keys to trust, instead of those in the ledger" },
	{ "expect", 0, "COMMIT", "a head that was written down elsewhere" }, END
};
static const struct cli_option abandon_options[] = { { "reason", 0, "TEXT", "why; it goes into the ledger" }, END };
static const struct cli_option report_options[] = { { "to", 0, "FILE.html", "where to" }, END };

const struct command commands[] = {
	{ "init", "[DIR] [--store DIR]", "make a workspace: ledger, archive, logs",
	  "Makes DIR/.waybill (mode 0700) with ledger.git, store/, scan/, log/ and state.db. A workspace that is there stays as it is.",
	  init_options, 0, 1, cmd_init },
	{ "new", "KIND --from H:/P [--to H:/P] [--person NAME:PARTY:PUBKEYFILE]...", "print a commented plan",
	  "KIND is migration, handover or retirement. With the people that the kind needs (handover: one of party receiver; "
	  "retirement: two of party department) the plan passes `waybill check`; else each line to fill in is marked and check "
	  "names it.",
	  new_options, 1, 1, cmd_new },
	{ "check", "PLAN [--connect]", "name every fault of a plan at once, each with its place",
	  "Reads the plan and everything it names; changes nothing. With --connect it also logs in to every host.",
	  check_options, 1, 1, cmd_check },
	{ "preview", "PLAN [--until STAGE] [--only DATASET]...", "say what run would do, without doing it",
	  "Entries, bytes, deletions, foreign entries at the target, hooks, gates and predicted times of each stage. Changes nothing "
	  "but uploads the agent.",
	  preview_options, 1, 1, cmd_preview },
	{ "run", "PLAN [-n] [--until STAGE [--stay-frozen]] [--only DATASET]... [--yes] [--amend REASON] [--wait]",
	  "go on with a plan from where it stands",
	  "Goes on until the end, a gate, --until (inclusive) or a failure. After whatever happened the same command goes on.",
	  run_options, 1, 1, cmd_run },
	{ "status", "[PLAN] [--watch]", "where it stands, and who must do what next", NULL, status_options, 0, 1, cmd_status },
	{ "approve", "PLAN STAGE [--request FILE | --signature FILE.sig] [--refuse | --withdraw] [--reason TEXT] [--attach FILE]...",
	  "sign, refuse or withdraw at a gate",
	  "--as says who. With --key the text is made and signed at once; --request writes the text to sign, which is signed "
	  "anywhere with `ssh-keygen -Y sign`, and --signature brings it back.",
	  approve_options, 2, 2, cmd_approve },
	{ "rollback", "PLAN [--yes]", "undo what began with freeze",
	  "Runs the rollback hooks, puts swapped places back and runs the thaw hooks. Works from freeze on until rollback.until or finish; may "
	  "be repeated. Exit 9: it could not be done, production may be down.", rollback_options, 1, 1, cmd_rollback },
	{ "rehearse", "PLAN [--keep]", "run onto the plan's rehearsal places, production untouched",
	  "Two passes with their verification, and the rehearsal's smoke hooks; the second pass feeds the prediction of the freeze. The places are "
	  "removed again without --keep.", rehearse_options, 1, 1, cmd_rehearse },
	{ "finish", "PLAN", "point of no return: drop what roll-back would need", NULL, NULL, 1, 1,
	  cmd_finish },
	{ "log", "PLAN [DATASET]", "the events of a plan, or the versions of a dataset", NULL, NULL, 1, 2, cmd_log },
	{ "show", "PLAN DATASET[@N] [PATH] [--skipped]", "a manifest, or one entry of it",
	  "Prints the canonical lines, whose SHA-256 is the root of the version: waybill show PLAN D@N | sha256sum.",
	  show_options, 2, 3, cmd_show },
	{ "diff", "PLAN DATASET[@A] [DATASET@B]", "what differs between two versions", NULL, NULL, 2, 3, cmd_diff },
	{ "verify", "PLAN [DATASET[@N]] [--side target|source|archive] [--full] [--cached]",
	  "read the medium again and compare it with the manifest",
	  "Exit 4: something differs. Exit 5: something could not be read, which is never counted as good.",
	  verify_options, 1, 2, cmd_verify },
	{ "restore", "PLAN DATASET[@N] [PATH]... --to DIR|- [--overwrite]", "out of the archive alone, into a folder", NULL,
	  restore_options, 2, -1, cmd_restore },
	{ "package", "PLAN --to [HOST:]DIR", "write the hand-over package again, or put it into a drop at a host", NULL, package_options, 1, 1, cmd_package },
	{ "accept", "PACKAGE [--fetch HOST:DIR [--empty-drop]] [--request FILE | --signature FILE.sig] [--except FILE | --refuse --reason TEXT] --to OUT | PLAN --import OUT",
	  "check and sign a package where it is; bring the answer back", NULL, accept_options, 1, 1, cmd_accept },
	{ "residue", "PLAN [DATASET[@N]]... --on [HOST:]DEVICE_OR_FILE", "read a medium raw: where is known content still readable?",
	  NULL, residue_options, 1, -1, cmd_residue },
	{ "certificate", "PLAN [--format txt|json|html]", "the certificate of clearance, from the ledger alone", NULL,
	  certificate_options, 1, 1, cmd_certificate },
	{ "record", "PLAN KIND [--at TIME] [--note TEXT] [--attach FILE] [--copy WHAT] [--opinion agree|amend|refuse]",
	  "write down a fact from outside",
	  "KIND is notice-received, opinion, opened, went-live, exit-applied, exit-approved, reclaimed, statement, incident or note.",
	  record_options, 2, 2, cmd_record },
	{ "audit", "[PATH] [--signers ALLOWED_SIGNERS] [--expect COMMIT]", "check a ledger, package or certificate offline",
	  "Exit 0: intact. 4: altered. 5: unverified, something is missing or unreadable.",
	  audit_options, 0, 1, cmd_audit },
	{ "limit", "PLAN bandwidth=20MB/s|off", "change a running copy",
	  "Holds until the run ends; the next one begins with limits.bandwidth of the plan. While production is frozen there is no limit.",
	  NULL, 2, 2, cmd_limit },
	{ "survey", "PLAN", "what runs at the hosts, and what a target lacks (form D2)",
	  "Prints what preflight last found and the ledger holds: system, packages, services, ports, accounts, schedules, mounts, "
	  "kernel parameters and locales of each host, then the list of what stands at a source and not, or otherwise, at its target.",
	  NULL, 1, 1, cmd_survey },
	{ "abandon", "PLAN --reason TEXT", "end a plan", NULL, abandon_options, 1, 1, cmd_abandon },
	{ "forget", "PLAN DATASET[@N]", "remove archive objects that no live version needs", NULL, NULL, 2, 2, NULL },
	{ "report", "PLAN... --to FILE.html", "the whole story on one page", NULL, report_options, 1, -1, NULL },
	{ "clock", "[PLAN]", "deadlines", NULL, NULL, 0, 1, NULL },
	{ "help", "[COMMAND]", "this page, or that of a command", NULL, NULL, 0, 1, cmd_help },
	{ NULL, NULL, NULL, NULL, NULL, 0, 0, NULL }
};

const struct command *command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}
