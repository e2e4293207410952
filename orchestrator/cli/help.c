#include <string.h>

#include "command.h"

#define WIDTH 100

/* Words of text, broken at WIDTH, each line behind indent spaces. */
static void print_wrapped(const char *text, int indent)
{
	int column = 0;

	while (*text) {
		int n = (int)strcspn(text, " ");

		if (column > 0 && column + 1 + n > WIDTH) {
			putchar('\n');
			column = 0;
		}
		printf(column == 0 ? "%*s" : " %*s", column == 0 ? indent : 0, "");
		column += (column == 0 ? indent : 1) + n;
		printf("%.*s", n, text);
		text += n;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void print_options(const struct cli_option *o)
{
	for (; o && (o->name || o->letter); o++) {
		char left[80];
		const char *comma = o->name && o->letter ? ", " : "";

		(void)snprintf(left, sizeof(left), "%s%.1s%s%s%s%s%s", o->letter ? "-" : "", o->letter ? &o->letter : "", comma,
		    o->name ? "--" : "", o->name ? o->name : "", o->arg ? " " : "", o->arg ? o->arg : "");
		if (strlen(left) > 24)
			printf("  %s\n  %-24s  %s\n", left, "", o->help);
		else
			printf("  %-24s  %s\n", left, o->help);
	}
}

void help_overview(void)
{
	printf("usage: waybill [-C DIR] [--json] [-q|-v] [--lang en|zh] [--as PERSON] [--key FILE] COMMAND ...\n"
	    "       waybill help [COMMAND], waybill --version\n\n"
	    "Moves the data of a system by a plan, archives it, verifies it, hands it over, clears the old place.\n\n");
	for (const struct command *c = commands; c->name; c++)
		printf("  %-12s  %s%s\n", c->name, c->summary, c->run ? "" : " (not built yet)");
	printf("\nEvery command:\n");
	print_options(cli_global_options);
	printf("\nPlans: waybill-plan(5).  All of it: waybill(1).  A first plan: waybill new migration --from H:/P --to H:/P\n");
}

void help_command(const struct command *cmd)
{
	printf("usage: waybill %s%s%s\n\n", cmd->name, *cmd->synopsis ? " " : "", cmd->synopsis);
	print_wrapped(cmd->summary, 0);
	if (cmd->help) {
		putchar('\n');
		print_wrapped(cmd->help, 0);
	}
	if (!cmd->run)
		printf("\nThis command is not built yet.\n");
	if (cmd->options) {
		printf("\nOptions:\n");
		print_options(cmd->options);
	}
	printf("\nOptions of every command: waybill help\n");
}
