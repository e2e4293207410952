#include <fcntl.h>
#include <string.h>

#include "esc.h"
#include "io.h"
#include "output.h"
#include "plan_template.h"

struct people {
	struct plan_template_person *v;
	size_t n;
};

static void people_dispose(struct people *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free((char *)(uintptr_t)p->v[i].name);		/* one allocation holds name and party */
		free((char *)(uintptr_t)p->v[i].key_line);
	}
	free(p->v);
}

/* First line of a .pub file, owned. */
static int read_key(const char *file, char **line, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (io_read_file(AT_FDCWD, file, 65536, &b, e) < 0) {
		e->class = ERR_USAGE;
		return err_at(e, "--person");
	}
	if (b.data && memchr(b.data, '\0', b.len))
		return err_set(e, ERR_USAGE, "--person: %s is not a public key file", esc_s(file));
	*line = strndup(b.data ? b.data : "", b.data ? strcspn(b.data, "\r\n") : 0);
	return *line ? 0 : err_sys(e, "--person");
}

/* NAME:PARTY:PUBKEYFILE */
static int add_person(struct people *p, const char *text, struct err *e)
{
	char *name = strdup(text), *party = name ? strchr(name, ':') : NULL, *file = party ? strchr(party + 1, ':') : NULL;
	char *line = NULL;

	if (!file) {
		free(name);
		return err_set(e, ERR_USAGE, "--person %s: expected NAME:PARTY:PUBKEYFILE", esc_s(text));
	}
	*party++ = '\0';
	*file++ = '\0';
	if (read_key(file, &line, e) < 0) {
		free(name);
		return -1;
	}
	p->v[p->n++] = (struct plan_template_person){ name, party, line };
	return 0;
}

int cmd_new(struct cli_context *c, int argc, char **argv, struct err *e)
{
	OWN(people_dispose) struct people people = { NULL, 0 };
	OWN_BUF struct buf text = BUF_INIT;
	struct plan_template t = { .from = cli_value(c, "from"), .to = cli_value(c, "to") };
	size_t n = cli_count(c, "person");

	(void)argc;
	if (!plan_kind_parse(argv[0], &t.kind))
		return err_set(e, ERR_USAGE, "there is no kind %s; there is migration, handover and retirement", esc_s(argv[0]));
	if (!t.from)
		return err_set(e, ERR_USAGE, "new %s needs --from HOST:/PATH", argv[0]);
	if (!(people.v = calloc(n + 1, sizeof(*people.v))))
		return err_sys(e, "--person");
	for (size_t i = 0; i < n; i++)
		if (add_person(&people, cli_value_at(c, "person", i), e) < 0)
			return -1;
	t.people = people.v;
	t.npeople = people.n;
	if (plan_template(&t, &text, e) < 0)
		return -1;
	if (c->json) {
		json_t *obj = json_object();

		if (out_json_set(obj, "plan", json_stringn(text.data, text.len), e) < 0) {
			json_decref(obj);
			return -1;
		}
		return out_json(c, obj, e);
	}
	out_raw(text.data, text.len);
	return out_finish(e);
}
