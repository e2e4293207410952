/* From a command line to the function of its command, and from its answer to an exit code. */
#include "command.h"

#include <string.h>

#include "esc.h"
#include "keystream.h"
#include "output.h"
#include "suggest.h"

static int no_such_command(const char *name, struct err *e)
{
	struct suggest near = SUGGEST_INIT(name);

	for (const struct command *c = commands; c->name; c++)
		suggest_try(&near, c->name);
	err_set(e, ERR_USAGE, "there is no command %s", esc_s(name));
	return near.best ? err_hint(e, "did you mean \"%s\"?", near.best) : err_hint(e, "waybill help lists them");
}

static int count_is_right(const struct command *cmd, int n, struct err *e)
{
	if (n >= cmd->min_args && (cmd->max_args < 0 || n <= cmd->max_args))
		return 0;
	err_set(e, ERR_USAGE, "%s: %s", cmd->name, n < cmd->min_args ? "something is missing" : "too many arguments");
	return err_hint(e, "usage: waybill %s %s", cmd->name, cmd->synopsis);
}

static int run_command(struct cli_context *c, int argc, char **argv, struct err *e)
{
	const struct command *cmd = c->command;
	bool help = false, version = false;
	int rest = 0;

	/* Before its options are read: they may not be built either. */
	if (!cmd->run && !(argc == 2 && strcmp(argv[1], "--help") == 0))
		return err_set(e, ERR_PERMANENT, "%s: not built yet", cmd->name);
	if (cli_parse(c, cmd->options, argc, argv, false, &rest, &help, &version, e) < 0)
		return -1;
	if (help) {
		help_command(cmd);
		return out_finish(e);
	}
	log_setup(cli_log_level(c), -1);
	if (count_is_right(cmd, argc - rest, e) < 0)
		return -1;
	return cmd->run(c, argc - rest, argv + rest, e);
}

static int dispatch(struct cli_context *c, int argc, char **argv, struct err *e)
{
	bool help = false, version = false;
	int rest = 0;

	if (cli_parse(c, NULL, argc, argv, true, &rest, &help, &version, e) < 0)
		return -1;
	if (version) {
		(void)puts("waybill " WAYBILL_VERSION);		/* checked by out_finish */
		return out_finish(e);
	}
	if (help) {
		help_overview();
		return out_finish(e);
	}
	if (rest == argc)
		return err_set(e, ERR_USAGE, "which command?  waybill help lists them");
	if (!(c->command = command_find(argv[rest])))
		return no_such_command(argv[rest], e);
	return run_command(c, argc - rest, argv + rest, e);
}

/* With --json a failure is an object too, unless the command has given its own. */
static void failure_json(struct cli_context *c, const struct err *e, int code)
{
	struct err ignored = ERR_INIT;
	json_t *obj = json_pack("{s:i,s:s}", "exit", code, "class", err_class_name(e->class));

	if (!obj || json_object_set_new(obj, "reason", json_string(e->text)) < 0)
		json_decref(obj);
	else if (out_json(c, obj, &ignored) < 0)
		return;		/* standard error still says what matters */
}

int cli_main(int argc, char **argv)
{
	struct cli_context c = { .lang = "en" };
	struct err e = ERR_INIT;
	int code = 0;

	/* Only a matter of speed; here no other thread runs yet. */
	(void)keystream_install();
	if (dispatch(&c, argc, argv, &e) < 0) {
		code = err_exit_code(e.class == ERR_NONE ? ERR_BUG : e.class);
		if (c.json && !c.printed_json)
			failure_json(&c, &e, code);
		out_error(&e);
	}
	if (*c.last_words)
		(void)fprintf(stderr, "%s\n", c.last_words);
	log_setup(LOG_WARN, -1);
	free(c.found);
	free(c.root);
	free(c.as);
	free(c.key);
	return code;
}
