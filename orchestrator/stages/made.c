#include "made.h"

#include <stdarg.h>
#include <string.h>

#include "esc.h"
#include "log.h"
#include "places.h"
#include "secrets.h"

bool made_is(const struct plan_dataset *d) { return d->kind == DATASET_COMMAND || d->kind == DATASET_DATABASE; }

bool made_due(const struct plan_dataset *d, const char *stage)
{
	return strcmp(stage, "final") == 0 || (d->kind == DATASET_COMMAND && d->command.when == WHEN_EVERY_PASS);
}

const char *made_word(struct made *m, const char *fmt, ...)
{
	char **grown = reallocarray(m->words, m->word_count + 1, sizeof(*grown));
	va_list ap;
	int n;

	if (!grown)
		return NULL;
	m->words = grown;
	va_start(ap, fmt);
	n = vasprintf(&m->words[m->word_count], fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : m->words[m->word_count++];
}

struct made_command made_command(const char *input, ...)
{
	struct made_command c = { NULL, input };
	size_t n = 0;
	va_list ap;

	va_start(ap, input);
	while (va_arg(ap, const char *))
		n++;
	va_end(ap);
	if (!(c.argv = calloc(n + 1, sizeof(*c.argv))))
		return c;
	va_start(ap, input);
	for (size_t i = 0; i < n; i++)
		c.argv[i] = va_arg(ap, const char *);
	va_end(ap);
	return c;
}

struct made_part *made_add(struct made *m, const char *name, int order)
{
	m->parts[m->count] = (struct made_part){ .name = name, .order = order };
	return &m->parts[m->count++];
}

const struct made_part *made_part(const struct made *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->parts[i].name, name) == 0)
			return &m->parts[i];
	return NULL;
}

void made_dispose(struct made *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->parts[i].run.argv);
		free(m->parts[i].feed.argv);
		free(m->parts[i].again.argv);
	}
	for (char **p = m->env; p && *p; p++) {
		explicit_bzero(*p, strlen(*p));
		free(*p);
	}
	free(m->env);
	for (size_t i = 0; i < m->word_count; i++)
		free(m->words[i]);
	free(m->words);
	redactor_free(m->redactor);
	*m = (struct made){ .r = NULL };
}

/* ---- what the plan says ---- */

static int add_variable(struct made *m, size_t i, const struct plan_pair *p, struct err *e)
{
	const char *name = secret_name(p->value);
	OWN_BUF struct buf secret = BUF_INIT;

	if (name && (secret_read(m->r->plan, name, &secret, e) < 0 || redactor_add(m->redactor, name, secret.data, e) < 0))
		return -1;
	if (asprintf(&m->env[i], "%s=%s", p->name, name ? secret.data : p->value) < 0) {
		m->env[i] = NULL;
		return err_sys(e, "variables");
	}
	if (name)
		explicit_bzero(secret.data, secret.len);
	return 0;
}

static const char **copy_argv(const struct plan_strings *s)
{
	const char **v = s->n ? calloc(s->n + 1, sizeof(*v)) : NULL;

	for (size_t i = 0; v && i < s->n; i++)
		v[i] = s->v[i];
	return v;
}

/* "fingerprint" comes before "stream" in walk order. */
static int open_command(struct made *m, struct err *e)
{
	const struct plan_command *c = &m->d->command;
	struct made_part *p;

	m->user = c->user;
	for (size_t i = 0; i < c->env.n; i++)
		if (add_variable(m, i, &c->env.v[i], e) < 0)
			return -1;
	if (c->fingerprint.n && !(made_add(m, MADE_FINGERPRINT, 1)->run.argv = copy_argv(&c->fingerprint)))
		return err_sys(e, "command");
	p = made_add(m, "stream", 1);
	p->run.argv = copy_argv(&c->run);
	p->feed.argv = copy_argv(&c->feed);
	return p->run.argv && (p->feed.argv || !c->feed.n) ? 0 : err_sys(e, "command");
}

static int open_database(struct made *m, struct err *e)
{
	m->user = m->d->database.user;
	switch (m->d->database.driver) {
	case DRIVER_POSTGRESQL: return driver_postgresql(m, e);
	case DRIVER_MARIADB: return driver_mariadb(m, e);
	case DRIVER_SQLITE: return driver_sqlite(m, e);
	}
	return err_set(e, ERR_BUG, "driver %d", (int)m->d->database.driver);
}

int made_open(struct run *r, const struct plan_dataset *d, struct made *m, struct err *e)
{
	*m = (struct made){ .r = r, .d = d };
	if (!(m->redactor = redactor_new()) || !(m->env = calloc(d->command.env.n + 1, sizeof(*m->env))))
		return err_sys(e, "dataset %s", d->name);
	if ((d->kind == DATASET_COMMAND ? open_command(m, e) : open_database(m, e)) < 0)
		return -1;
	for (size_t i = 0; i < m->count; i++)
		if (!m->parts[i].run.argv)
			return err_set(e, ERR_TEMPORARY, "out of memory");
	return 0;
}

/* ---- one command ---- */

char *made_said(const struct made *m, const struct msg_exec_end *end)
{
	OWN_BUF struct buf b = BUF_INIT;
	size_t n;

	redact(m->redactor, end->tail ? end->tail : "", end->tail_len, &b);
	if (!b.len || b.failed)
		return NULL;
	n = b.len < MADE_SAID ? b.len : MADE_SAID;
	return esc_dup(b.data + b.len - n, n);
}

/* The line that calls itself an error, else the last one, for a message; all of it goes to the log. */
static void last_words(const struct made *m, const struct msg_exec_end *end, char out[256])
{
	OWN_BUF struct buf b = BUF_INIT;
	const char *at, *nl, *bad;
	size_t n;

	out[0] = '\0';
	redact(m->redactor, end->tail ? end->tail : "", end->tail_len, &b);
	while (b.len && (b.data[b.len - 1] == '\n' || b.data[b.len - 1] == ' '))
		b.len--;
	if (!b.len || b.failed)
		return;
	b.data[b.len] = '\0';
	log_info("dataset %s: standard error: %s", m->d->name, esc_s(b.data));
	nl = memrchr(b.data, '\n', b.len);
	at = nl ? nl + 1 : b.data;
	if ((bad = strcasestr(b.data, "error")))
		at = (nl = memrchr(b.data, '\n', (size_t)(bad - b.data))) ? nl + 1 : b.data;
	n = strcspn(at, "\n");
	(void)esc_into(out, 256, at, n < 200 ? n : 200);
}

int made_failed(struct made *m, const char *host, const struct made_command *c, const struct msg_exec_end *end, struct err *e)
{
	char told[EXEC_TOLD], said[256];

	last_words(m, end, said);
	return err_set(e, ERR_PERMANENT, "dataset %s: %s at host %s %s%s%s", m->d->name, esc_s(c->argv[0]), host, exec_told(end, 0, told),
	    said[0] ? ": " : "", said);
}

int made_ask(struct made *m, const char *host, const struct made_command *c, size_t limit, struct buf *out, struct err *e)
{
	OWN(msg_exec_end_dispose) struct msg_exec_end end = { .how = 0 };
	struct exec_command x = { .host = host, .user = m->user, .argv = c->argv, .env = (const char *const *)m->env };

	if (exec_run(m->r, &x, c->input ? c->input : "", c->input ? strlen(c->input) : 0, limit, out, &end, e) < 0)
		return -1;
	if (!exec_good(&end))
		return made_failed(m, host, c, &end, e);
	return buf_finish(out, e);
}

/* ---- preflight ---- */

int made_preflight(struct run *r, const struct plan_dataset *d, json_t *entry, struct err *e)
{
	OWN_MADE struct made m = { .r = NULL };
	struct host *h;

	if (made_open(r, d, &m, e) < 0 || run_host(r, d->from.host, &h, e) < 0 || (d->to.host && run_host(r, d->to.host, &h, e) < 0))
		return -1;
	return m.preflight ? m.preflight(&m, entry, e) : 0;
}

/* What stands in the way is our own, and not known to be whole. */
static int own_leftover(const struct run *r, const struct plan_dataset *d, struct err *e)
{
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);

	if (e->class != ERR_REFUSED || !s || !s->feeding)
		return -1;
	return err_hint(e, "a feed of version %llu was begun there and its end is not recorded: drop the database there, and run again",
	    (unsigned long long)s->feeding);
}

bool made_settled(const struct run *r, const struct plan_dataset *d)
{
	const struct standing_dataset *s = standing_dataset(&r->standing, d->name);

	return d->kind == DATASET_DATABASE && d->to.host && s && s->version && !s->feeding && s->target.version == s->version &&
	    strcmp(s->target.verdict, "match") == 0 && r->plan->kind == PLAN_MIGRATION && !plan_takes_over(r->plan);
}

int made_finished(struct run *r, const struct plan_dataset *d, bool *finished, struct err *e)
{
	OWN_MADE struct made m = { .r = NULL };
	struct host *h;

	*finished = false;
	if (!made_settled(r, d))
		return 0;
	if (made_open(r, d, &m, e) < 0 || run_host(r, d->from.host, &h, e) < 0 || run_host(r, d->to.host, &h, e) < 0)
		return -1;
	if (!m.vacant || m.vacant(&m, e) == 0)
		return 0;
	*finished = e->class == ERR_REFUSED;
	if (!*finished)
		return -1;
	err_clear(e);
	return 0;
}

/* Found out here, production has not stopped for nothing. */
int made_vacant(struct run *r, struct err *e)
{
	for (size_t i = 0; i < r->plan->ndatasets; i++) {
		const struct plan_dataset *d = &r->plan->datasets[i];
		OWN_MADE struct made m = { .r = NULL };
		struct host *h;

		if (!made_is(d) || !d->to.host)
			continue;
		if (made_open(r, d, &m, e) < 0 || run_host(r, d->from.host, &h, e) < 0 || run_host(r, d->to.host, &h, e) < 0)
			return -1;
		if (m.vacant && m.vacant(&m, e) < 0)
			return own_leftover(r, d, e);
	}
	return 0;
}
