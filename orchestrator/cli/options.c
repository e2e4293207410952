/* Options of a command and the global ones, by the tables, through getopt_long(3). */
#include <getopt.h>
#include <string.h>

#include "command.h"
#include "esc.h"
#include "suggest.h"

enum { VAL_HELP = 1000, VAL_VERSION, VAL_FIRST };

struct tables {
	const struct cli_option *opt[2 * CLI_OPTIONS_MAX + 8];	/* by val - VAL_FIRST */
	struct option longs[2 * CLI_OPTIONS_MAX + 8];
	char shorts[2 * CLI_OPTIONS_MAX + 16];
	size_t nopt, nlong, nshort;
	size_t nglobal;		/* the first ones are global */
};

static void add_short(struct tables *t, char c) { t->shorts[t->nshort++] = c; }

static void add_table(struct tables *t, const struct cli_option *o)
{
	for (; o && (o->name || o->letter) && t->nopt < 2 * CLI_OPTIONS_MAX; o++) {
		t->opt[t->nopt] = o;
		if (o->name)
			t->longs[t->nlong++] = (struct option){ o->name, o->arg ? required_argument : no_argument, NULL,
			    VAL_FIRST + (int)t->nopt };
		if (o->letter) {
			add_short(t, o->letter);
			if (o->arg)
				add_short(t, ':');
		}
		t->nopt++;
	}
}

static void tables_make(struct tables *t, const struct cli_option *opts, bool stop)
{
	*t = (struct tables){ .nopt = 0 };
	add_short(t, stop ? '+' : '-');
	if (!stop)
		t->nshort = 0;	/* permute, the default */
	add_short(t, ':');	/* tell a missing argument from an unknown option */
	add_short(t, 'h');
	add_table(t, cli_global_options);
	t->nglobal = t->nopt;
	add_table(t, opts);
	t->longs[t->nlong++] = (struct option){ "help", no_argument, NULL, VAL_HELP };
	t->longs[t->nlong++] = (struct option){ "version", no_argument, NULL, VAL_VERSION };
}

static int unknown_option(const struct cli_context *c, const struct tables *t, const char *word, struct err *e)
{
	const char *name = word + strspn(word, "-");
	char bare[64] = "";
	struct suggest near = SUGGEST_INIT(bare);

	(void)snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(name, "="), name);
	for (size_t i = 0; i < t->nlong; i++)
		suggest_try(&near, t->longs[i].name);
	err_set(e, ERR_USAGE, "unknown option %s", esc_s(word));
	if (near.best && strncmp(word, "--", 2) == 0)
		err_hint(e, "did you mean --%s?", near.best);
	return err_hint(e, "see: waybill help%s%s", c->command ? " " : "", c->command ? c->command->name : "");
}

static int set_global(struct cli_context *c, const struct cli_option *o, const char *value, struct err *e)
{
	if (o->letter == 'C')
		c->dir = value;
	else if (strcmp(o->name, "json") == 0)
		c->json = true;
	else if (strcmp(o->name, "quiet") == 0)
		c->quiet = true;
	else if (strcmp(o->name, "verbose") == 0)
		c->verbose++;
	else if (strcmp(o->name, "as") == 0)
		c->as_given = value;
	else if (strcmp(o->name, "key") == 0)
		c->key_given = value;
	else if (strcmp(o->name, "lang") == 0) {
		if (strcmp(value, "en") != 0 && strcmp(value, "zh") != 0)
			return err_set(e, ERR_USAGE, "--lang %s: there is en and zh", esc_s(value));
		c->lang = value;
	}
	return 0;
}

static int keep(struct cli_context *c, const struct cli_option *o, const char *value, struct err *e)
{
	struct cli_found *v = realloc(c->found, (c->nfound + 1) * sizeof(*v));

	if (!v)
		return err_sys(e, "options");
	c->found = v;
	v[c->nfound++] = (struct cli_found){ o->name, value };
	return 0;
}

/* The table entry that getopt's answer means; NULL when it is none of ours. */
static const struct cli_option *option_of(const struct tables *t, int val, size_t *index)
{
	for (size_t i = 0; i < t->nopt; i++)
		if (val == VAL_FIRST + (int)i || (val < 256 && t->opt[i]->letter && val == t->opt[i]->letter)) {
			*index = i;
			return t->opt[i];
		}
	return NULL;
}

/* The word that getopt complained about: optopt for a letter, else the argument it has just passed. */
static const char *culprit(char **argv, char letter[3])
{
	if (optopt > 0 && optopt < 256) {
		(void)snprintf(letter, 3, "-%c", optopt);
		return letter;
	}
	return argv[optind - 1];
}

int cli_parse(struct cli_context *c, const struct cli_option *opts, int argc, char **argv, bool stop, int *rest,
    bool *help, bool *version, struct err *e)
{
	struct tables t;
	char letter[3];
	int val;

	tables_make(&t, opts, stop);
	opterr = 0;
	optind = 0;		/* glibc: begin anew, with the first character of shorts heeded */
	while ((val = getopt_long(argc, argv, t.shorts, t.longs, NULL)) != -1) {
		const struct cli_option *o;
		size_t i = 0;

		if (val == '?')
			return unknown_option(c, &t, culprit(argv, letter), e);
		if (val == ':')
			return err_set(e, ERR_USAGE, "option %s needs a value", esc_s(argv[optind - 1]));
		if (val == 'h' || val == VAL_HELP)
			*help = true;
		else if (val == VAL_VERSION)
			*version = true;
		else if (!(o = option_of(&t, val, &i)))
			return err_set(e, ERR_BUG, "option %d has no entry", val);
		else if ((i < t.nglobal ? set_global(c, o, optarg, e) : keep(c, o, optarg, e)) < 0)
			return -1;
	}
	*rest = optind;
	return 0;
}

const char *cli_value_at(const struct cli_context *c, const char *option, size_t i)
{
	for (size_t k = 0; k < c->nfound; k++)
		if (strcmp(c->found[k].option, option) == 0 && i-- == 0)
			return c->found[k].value ? c->found[k].value : "";
	return NULL;
}

size_t cli_count(const struct cli_context *c, const char *option)
{
	size_t n = 0;

	for (size_t k = 0; k < c->nfound; k++)
		n += strcmp(c->found[k].option, option) == 0;
	return n;
}

bool cli_flag(const struct cli_context *c, const char *option) { return cli_count(c, option) > 0; }

const char *cli_value(const struct cli_context *c, const char *option)
{
	size_t n = cli_count(c, option);

	return n ? cli_value_at(c, option, n - 1) : NULL;
}
