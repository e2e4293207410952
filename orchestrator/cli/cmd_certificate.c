/* certificate: the paper, rebuilt from the ledger alone. */
#include <string.h>

#include "certificate.h"
#include "job.h"
#include "output.h"
#include "workspace.h"

int cmd_certificate(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN(workspace_closep) struct workspace *w = NULL;
	OWN_FREE char *name = NULL;
	OWN_BUF struct buf text = BUF_INIT;
	struct certificate_options o = { .format = c->json ? CERTIFICATE_JSON : CERTIFICATE_TXT, .chinese = strcmp(c->lang, "zh") == 0 };
	const char *format = cli_value(c, "format");

	(void)argc;
	if (format && !certificate_format_parse(format, &o.format))
		return err_set(e, ERR_USAGE, "--format takes txt, json or html");
	if (cli_workspace_open(c, argv[0], &w, e) < 0 || cli_plan_name(c, w, argv[0], &name, e) < 0 || cli_plan_there(w, name, e) < 0 ||
	    certificate_build(w->ledger, name, &o, &text, e) < 0)
		return -1;
	out_raw(text.data, text.len);
	c->printed_json = true;
	return out_finish(e);
}
