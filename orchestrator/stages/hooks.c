#include "hooks.h"

#include <string.h>
#include <time.h>

#include "clock.h"
#include "esc.h"
#include "exec.h"
#include "hook_facts.h"
#include "log.h"
#include "plan_sha256.h"
#include "redact.h"
#include "secrets.h"

#define OUTPUT_MAX (256u << 10)	/* of standard output read */
#define KEPT 16384u		/* bytes of each output that go into the ledger */
#define HOPELESS_TRIES 3	/* undoing is tried at least that often, over a fresh connection */
#define HOPELESS_NAP_S 2

struct prepared {		/* one hook, for all of its hosts */
	const struct plan_hook *h;
	struct redactor *redactor;
	struct hook_pair *with;	/* values owned */
	struct buf program;
	char sha256[DIGEST_HEX];
};

struct outcome {		/* of one run */
	struct msg_exec_end end;
	bool ran;		/* end tells it; else failure does */
	struct err failure;
	struct buf out;
	int attempt;
	double seconds;
};

static void prepared_dispose(struct prepared *p)
{
	for (size_t i = 0; p->with && i < p->h->with.n; i++)
		free((char *)(uintptr_t)p->with[i].value);
	free(p->with);
	redactor_free(p->redactor);
	buf_dispose(&p->program);
}

static void outcome_dispose(struct outcome *o)
{
	msg_exec_end_dispose(&o->end);
	buf_dispose(&o->out);
}

/* ---- what it is, and what it is told ---- */

/* The digest that plan.sha256 has for the name. */
static int find_digest(const struct buf *list, const char *name, char hex[DIGEST_HEX])
{
	for (const char *line = list->data ? list->data : ""; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t n = strcspn(line, "\n");

		if (n != DIGEST_HEX + 1 + strlen(name) || strncmp(line + DIGEST_HEX + 1, name, strlen(name)) != 0)
			continue;
		memcpy(hex, line, DIGEST_HEX - 1);
		hex[DIGEST_HEX - 1] = '\0';
		return 0;
	}
	return -1;
}

/* What runs is what was recorded, and so what was approved: whatever has become of the file since. */
static int recorded_copy(struct run *r, struct prepared *p, struct err *e)
{
	OWN_FREE char *name = plan_sum_hook_name(p->h->run, e);
	OWN_BUF struct buf list = BUF_INIT;
	struct object_id id;
	int got;

	if (!name)
		return -1;
	if ((got = ledger_read(r->w->ledger, r->plan->name, NULL, "plan.sha256", &list, e)) < 0)
		return -1;
	if (got == 0 || buf_finish(&list, e) < 0 || find_digest(&list, name, p->sha256) < 0 || !hex_parse(p->sha256, id.sha256, DIGEST_LEN))
		return err_set(e, ERR_INTEGRITY, "plan %s: the ledger has no digest of %s", r->plan->name, esc_s(name));
	return store_get_bytes(r->w->store, STORE_DOC, &id, PLAN_FILE_MAX, &p->program, e);
}

static int value_of(struct run *r, struct prepared *p, const struct plan_pair *pair, struct hook_pair *out, struct err *e)
{
	OWN_BUF struct buf secret = BUF_INIT;
	const char *name = secret_name(pair->value);

	out->name = pair->name;
	if (name) {
		if (secret_read(r->plan, name, &secret, e) < 0 || redactor_add(p->redactor, name, secret.data, e) < 0)
			return -1;
		out->value = buf_take(&secret);
	} else {
		out->value = strdup(pair->value);
	}
	return out->value ? 0 : err_sys(e, "hook");
}

static int prepare(struct run *r, struct prepared *p, struct err *e)
{
	const struct plan_hook *h = p->h;

	if (!(p->redactor = redactor_new()) || !(p->with = calloc(h->with.n + 1, sizeof(*p->with))))
		return err_sys(e, "hook");
	for (size_t i = 0; i < h->with.n; i++)
		if (value_of(r, p, &h->with.v[i], &p->with[i], e) < 0)
			return -1;
	return recorded_copy(r, p, e);
}

static json_t *place_json(const struct plan_place *p)
{
	return p->host ? json_pack("{s:s,s:s?}", "host", p->host, "path", p->path) : json_null();
}

static json_t *datasets_json(const struct plan *p)
{
	json_t *a = json_array();

	for (size_t i = 0; i < p->ndatasets; i++)
		(void)json_array_append_new(a, json_pack("{s:s,s:s,s:o,s:o}", "name", p->datasets[i].name, "kind",
		    plan_dataset_kind_name(p->datasets[i].kind), "from", place_json(&p->datasets[i].from), "to", place_json(&p->datasets[i].to)));
	return a;
}

/* ---- one run ---- */

static int call(struct run *r, const struct hook_facts *f, const struct prepared *p, struct outcome *o, struct err *e)
{
	OWN(hook_env_freep) char **env = hook_facts_env(f);
	OWN_FREE char *input = hook_facts_json(f);
	const char *argv[] = { p->h->run, NULL };
	struct exec_command c = { .host = f->host, .user = p->h->user, .argv = argv, .env = (const char *const *)env,
		.program = p->program.data, .program_len = p->program.len, .timeout_s = p->h->timeout_s };

	if (!env || !input)
		return err_sys(e, "hook %s", esc_s(p->h->run));
	if (!p->program.len)
		return err_set(e, ERR_USAGE, "hook %s is an empty file", esc_s(p->h->run));
	return exec_run(r, &c, input, strlen(input), OUTPUT_MAX, &o->out, &o->end, e);
}

static void once(struct run *r, struct hook_facts *f, const struct prepared *p, struct outcome *o)
{
	int64_t began = clock_mono_ns();

	outcome_dispose(o);
	*o = (struct outcome){ .attempt = o->attempt + 1 };
	f->attempt = o->attempt;
	o->ran = call(r, f, p, o, &o->failure) == 0;
	o->seconds = (double)(clock_mono_ns() - began) / 1e9;
}

static bool good(const struct outcome *o) { return o->ran && exec_good(&o->end); }

static int sleep_s(struct run *r, int seconds, struct err *e)
{
	const struct timespec nap = { 0, 100000000 };

	for (int64_t end = clock_mono_ns() + seconds * 1000000000LL; clock_mono_ns() < end;) {
		if (run_check(r, e) < 0)
			return -1;
		(void)nanosleep(&nap, NULL);
	}
	return 0;
}

static bool lost(const struct outcome *o)
{
	return !o->ran && (o->failure.class == ERR_UNREACHABLE || o->failure.class == ERR_TEMPORARY);
}

/* As often as the plan says; what undoes is not given up because of one lost connection. */
static void try_it(struct run *r, struct hook_facts *f, const struct prepared *p, struct outcome *o)
{
	int patience = r->shielded ? HOPELESS_TRIES : 1;
	struct err e = ERR_INIT;

	for (;;) {
		bool again;

		once(r, f, p, o);
		if (good(o))
			return;
		again = o->attempt < p->h->tries || (lost(o) && o->attempt < patience);
		if (lost(o))
			run_host_drop(r, f->host);
		if (!again || sleep_s(r, o->attempt < p->h->tries ? p->h->every_s : HOPELESS_NAP_S, &e) < 0)
			return;
	}
}

static json_t *redacted(const struct prepared *p, const char *s, size_t n, bool answer)
{
	OWN_BUF struct buf b = BUF_INIT;

	redact(p->redactor, s ? s : "", s ? n : 0, &b);
	if (b.failed || !b.len)
		return NULL;
	if (answer)
		return hook_answer(b.data, b.len, KEPT);
	if (b.len > KEPT)
		buf_consume(&b, b.len - KEPT);
	{
		OWN_FREE char *clean = esc_dup(b.data, b.len);

		return clean ? json_string(clean) : NULL;
	}
}

static const char *told(const struct prepared *p, const struct outcome *o, char out[EXEC_TOLD])
{
	if (o->ran)
		return exec_told(&o->end, p->h->timeout_s, out);
	(void)snprintf(out, EXEC_TOLD, "could not be run (%s)", err_class_name(o->failure.class));
	return out;
}

static json_t *result_json(const struct hooks_call *c, const struct hook_facts *f, const struct prepared *p, const struct outcome *o)
{
	json_t *j = json_pack("{s:s,s:s,s:s,s:s,s:i,s:f}", "point", plan_point_name(c->point), "hook", p->h->run, "host", f->host,
	    "sha256", p->sha256, "try", o->attempt, "seconds", o->seconds), *one;

	if (o->ran && o->end.how == MSG_EXEC_EXITED)
		(void)json_object_set_new(j, "exit", json_integer(o->end.code));
	if (o->ran && o->end.how == MSG_EXEC_SIGNAL)
		(void)json_object_set_new(j, "signal", json_integer(o->end.code));
	if (o->ran && o->end.timed_out)
		(void)json_object_set_new(j, "timed_out", json_true());
	if (!o->ran)
		(void)json_object_set_new(j, "failure", json_string(o->failure.text));
	if (c->dataset)
		(void)json_object_set_new(j, "dataset", json_string(c->dataset));
	if ((one = redacted(p, o->out.data, o->out.len, true)))
		(void)json_object_set_new(j, "answer", one);
	if ((one = redacted(p, o->end.tail, o->end.tail_len, false)))
		(void)json_object_set_new(j, "errors", one);
	return j;
}

static int record(struct run *r, const struct hooks_call *c, const struct hook_facts *f, const struct prepared *p, const struct outcome *o,
    struct err *e)
{
	char how[EXEC_TOLD];

	return run_event(r, NULL, c->stage, "hook", result_json(c, f, p, o), e, "%s hook %s at %s: %s", plan_point_name(c->point), p->h->run, f->host,
	    good(o) ? "done" : told(p, o, how));
}

/* The last thing it complained about, for the message. */
static void last_words(const struct prepared *p, const struct outcome *o, char out[200])
{
	OWN_BUF struct buf b = BUF_INIT;
	const char *line, *end;

	out[0] = '\0';
	redact(p->redactor, o->end.tail ? o->end.tail : "", o->end.tail_len, &b);
	if (b.failed || !b.len)
		return;
	for (end = b.data + b.len; end > b.data && (end[-1] == '\n' || end[-1] == ' '); end--)
		;
	for (line = end; line > b.data && line[-1] != '\n'; line--)
		;
	if (end > line) {
		memcpy(out, ": ", 3);
		(void)esc_into(out + 2, 198, line, (size_t)(end - line));
	}
}

static bool blind(const struct outcome *o)
{
	return !o->ran || o->end.timed_out || o->end.how != MSG_EXEC_EXITED || o->end.code == 126 || o->end.code == 127;
}

static int judge(const struct hooks_call *c, const struct hook_facts *f, const struct prepared *p, const struct outcome *o, struct err *e)
{
	const char *point = plan_point_name(c->point);
	char how[EXEC_TOLD], words[200];
	bool smoke = c->point == POINT_SMOKE;

	last_words(p, o, words);
	if (!o->ran) {
		*e = o->failure;
		(void)err_at(e, "%s hook %s at %s", point, esc_s(p->h->run), f->host);
		if (smoke && e->class != ERR_CANCELLED)
			e->class = ERR_DOWN;
		return -1;
	}
	err_set(e, !smoke ? ERR_PERMANENT : blind(o) ? ERR_DOWN : ERR_INTEGRITY, "%s hook %s at %s %s%s%s", point, esc_s(p->h->run), f->host,
	    smoke && !blind(o) ? "answered no: it " : "", told(p, o, how), words);
	return -1;
}

static int at_host(struct run *r, const struct hooks_call *c, struct prepared *p, const char *host, json_t *datasets, struct err *e)
{
	struct hook_facts f = { .plan = r->plan->name, .title = r->plan->title, .kind = plan_kind_name(r->plan->kind), .digest = r->plan_digest,
		.point = plan_point_name(c->point), .hook = p->h->run, .host = host, .why = c->why, .dataset = c->dataset, .outcome = c->outcome,
		.pass = c->pass, .round = r->standing.round, .tries = p->h->tries, .rehearsal = c->rehearsal, .with = p->with,
		.nwith = p->h->with.n, .datasets = datasets };
	OWN(outcome_dispose) struct outcome o = { .attempt = 0 };

	try_it(r, &f, p, &o);
	/* An interrupted run is recorded too: what it began may have to be undone. */
	if (record(r, c, &f, p, &o, e) < 0)
		return -1;
	if (good(&o))
		return 0;
	return run_check(r, e) < 0 ? -1 : judge(c, &f, p, &o, e);
}

/* Of two failures the one with the worse exit code. */
static void keep_worse(struct err *worst, const struct err *e)
{
	if (worst->class == ERR_NONE || err_worse_exit(err_exit_code(worst->class), err_exit_code(e->class)) != err_exit_code(worst->class))
		*worst = *e;
}

static int one_hook(struct run *r, const struct hooks_call *c, const struct plan_hook *h, json_t *datasets, struct err *e)
{
	OWN(prepared_dispose) struct prepared p = { .h = h };
	struct err worst = ERR_INIT;

	if (prepare(r, &p, e) < 0)
		return -1;
	for (size_t i = 0; i < h->hosts.n; i++) {
		struct err one = ERR_INIT;

		if (at_host(r, c, &p, h->hosts.v[i], datasets, &one) == 0)
			continue;
		keep_worse(&worst, &one);
		if (!c->go_on)
			break;
	}
	if (worst.class == ERR_NONE)
		return 0;
	*e = worst;
	return -1;
}

int hooks_run(struct run *r, const struct hooks_call *c, struct err *e)
{
	const struct plan_hooks *hooks = c->instead ? c->instead : &r->plan->hooks[c->point];
	json_t *datasets = hooks->n ? datasets_json(r->plan) : NULL;
	struct err worst = ERR_INIT;

	for (size_t i = 0; i < hooks->n; i++) {
		struct err one = ERR_INIT;

		if (run_check(r, &one) == 0 && one_hook(r, c, &hooks->v[i], datasets, &one) == 0)
			continue;
		keep_worse(&worst, &one);
		if (!c->go_on || one.class == ERR_CANCELLED)
			break;
		log_warn("%s; going on with the others", one.text);
	}
	json_decref(datasets);
	if (worst.class == ERR_NONE)
		return 0;
	*e = worst;
	return -1;
}

double hooks_seconds(const struct run *r, enum plan_point point)
{
	double known = r->standing.hook_seconds[point], n = 0;

	if (known > 0)
		return known;
	for (size_t i = 0; i < r->plan->hooks[point].n; i++)
		n += (double)r->plan->hooks[point].v[i].hosts.n;
	return n;
}
