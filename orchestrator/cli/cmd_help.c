#include "esc.h"
#include "output.h"
#include "suggest.h"

int cmd_help(struct cli_context *c, int argc, char **argv, struct err *e)
{
	const struct command *cmd = argc ? command_find(argv[0]) : NULL;
	struct suggest near = SUGGEST_INIT(argc ? argv[0] : "");

	(void)c;
	if (argc == 0) {
		help_overview();
		return out_finish(e);
	}
	if (cmd) {
		help_command(cmd);
		return out_finish(e);
	}
	for (cmd = commands; cmd->name; cmd++)
		suggest_try(&near, cmd->name);
	err_set(e, ERR_USAGE, "there is no command %s", esc_s(argv[0]));
	return near.best ? err_hint(e, "did you mean \"%s\"?", near.best) : err_hint(e, "waybill help lists them");
}
