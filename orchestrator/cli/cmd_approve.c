/* approve: the text to sign, its signature brought back, or both at once. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "atomic_file.h"
#include "clock.h"
#include "consent.h"
#include "esc.h"
#include "gates.h"
#include "job.h"
#include "output.h"
#include "sign.h"

static int record(struct job *j, const char *stage, const struct statement *s, const struct buf *txt, const struct buf *sig, struct err *e)
{
	OWN_BUF struct buf data = BUF_INIT;
	struct ledger_txn *t;
	json_t *facts;

	if (ledger_txn_begin(j->w->ledger, j->plan->name, &t, e) < 0)
		return -1;
	if (approval_put(j->w->ledger, t, j->plan->name, s, txt->data, txt->len, sig->data, sig->len, &data, e) < 0 ||
	    consent_attach(j, s, e) < 0) {
		ledger_txn_abandon(t);
		return -1;
	}
	if (!(facts = json_loads(data.data, 0, NULL))) {
		ledger_txn_abandon(t);
		return err_set(e, ERR_BUG, "facts of an approval");
	}
	/* The event is of the person who signed, whoever brings it. */
	j->options.as = s->person;
	return run_event(&j->run, t, "approval", "recorded", facts, e, "%s: %s %s", stage, s->person, statement_says_name(s->says));
}

static int check_and_record(struct job *j, const char *stage, const struct gate_facts *f, const struct buf *txt, const struct buf *sig, struct err *e)
{
	OWN_STATEMENT struct statement s = STATEMENT_INIT;
	OWN_GATE struct gate g = GATE_INIT;
	OWN_BUF struct buf text = BUF_INIT;
	const char *verdict;

	if (approval_check(j->plan, &f->facts.f, txt->data, txt->len, sig->data, sig->len, clock_now_ns() / 1000000000, &s, e) < 0 ||
	    record(j, stage, &s, txt, sig, e) < 0)
		return -1;
	verdict = statement_says_name(s.says);
	if (gate_now(&j->run, stage, &g, e) < 0)
		return -1;
	out_text(j->c, "recorded: %s %s %s of plan %s\n", s.person, verdict, stage, j->plan->name);
	if (g.open)
		out_text(j->c, "the gate is open; go on with: waybill run %s\n", j->plan->name);
	else {
		gate_text(&g, &text);
		out_text(j->c, "%s\n", text.data ? text.data : "");
	}
	if (j->c->json)
		return out_json(j->c, json_pack("{s:s,s:s,s:s,s:s,s:b}", "plan", j->plan->name, "stage", stage, "person", s.person, "verdict", verdict,
		    "open", g.open), e);
	return out_finish(e);
}

static int sign_here(struct job *j, const char *stage, const struct gate_facts *f, struct err *e)
{
	OWN_BUF struct buf txt = BUF_INIT, sig = BUF_INIT;

	if (consent_text(j, stage, &f->facts.f, &txt, e) < 0 ||
	    sign_bytes(j->options.key, statement_namespace(stage), txt.data, txt.len, &sig, e) < 0)
		return -1;
	return check_and_record(j, stage, f, &txt, &sig, e);
}

static int bring_back(struct job *j, const char *stage, const struct gate_facts *f, const char *file, struct err *e)
{
	OWN_BUF struct buf txt = BUF_INIT, sig = BUF_INIT;

	if (consent_read_signed(file, &txt, &sig, e) < 0)
		return -1;
	return check_and_record(j, stage, f, &txt, &sig, e);
}

int cmd_approve(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	OWN_GATE_FACTS struct gate_facts f = GATE_FACTS_INIT;
	const char *stage = argv[1], *request = cli_value(c, "request"), *signature = cli_value(c, "signature");
	enum plan_stage s;

	(void)argc;
	if (!plan_stage_parse(stage, &s))
		return err_set(e, ERR_USAGE, "%s is no stage", esc_s(stage));
	if (job_open(&j, c, argv[0], e) < 0)
		return -1;
	if (j.run.standing.abandoned)
		return err_set(e, ERR_REFUSED, "plan %s was abandoned: nothing of it can be approved any more", j.plan->name);
	if (j.run.standing.cleared && strcmp(stage, "clear") == 0) {
		err_set(e, ERR_REFUSED, "plan %s is cleared: there is nothing left to decide at that gate", j.plan->name);
		return err_hint(e, "what it was: waybill certificate %s", j.plan->name);
	}
	if (!gate_exists(j.plan, stage))
		return err_set(e, ERR_USAGE, "plan %s has no gate at %s", j.plan->name, stage);
	if (gate_facts(&j.run, stage, &f, e) < 0)
		return -1;
	if (signature)
		return bring_back(&j, stage, &f, signature, e);
	if (consent_person(&j, e) < 0)
		return -1;
	if (request)
		return consent_request(&j, stage, &f.facts.f, request, e);
	if (!j.options.key)
		return err_set(e, ERR_USAGE, "approve needs --key FILE, --request FILE or --signature FILE.sig");
	return sign_here(&j, stage, &f, e);
}
