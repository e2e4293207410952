#include "plan_template.h"

#include <string.h>

#include "esc.h"
#include "path.h"
#include "scalar.h"
#include "sshkey.h"

struct spot {			/* "HOST:/PATH" taken apart */
	char host[PLAN_NAME_MAX + 1];	/* name in the plan */
	char *ssh;		/* as written before the colon; NULL for local */
	char *path;
};

static void spot_dispose(struct spot *s)
{
	free(s->ssh);
	free(s->path);
}

/* A double-quoted YAML scalar. */
static void put_quoted(struct buf *b, const char *s)
{
	buf_putc(b, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_putc(b, '\\');
		buf_putc(b, *s);
	}
	buf_putc(b, '"');
}

static int parse_spot(const char *option, const char *text, const char *fallback, struct spot *out, struct err *e)
{
	const char *colon = strchr(text, ':');
	size_t n;

	if (!colon || colon == text || colon[1] != '/')
		return err_set(e, ERR_USAGE, "%s %s: expected HOST:/PATH; for this machine write local:/PATH", option,
		    esc_s(text));
	if (!(out->ssh = strndup(text, (size_t)(colon - text))) || !(out->path = strdup(colon + 1)))
		return err_set(e, ERR_TEMPORARY, "out of memory");
	for (n = strlen(out->path); n > 1 && out->path[n - 1] == '/'; n--)
		out->path[n - 1] = '\0';
	if (!path_is_clean_absolute(out->path) || scalar_has_control(out->path) || scalar_has_control(out->ssh))
		return err_set(e, ERR_USAGE, "%s %s: not a clean absolute path", option, esc_s(text));
	if (out->ssh[0] == '-' || strpbrk(out->ssh, " \t"))
		return err_set(e, ERR_USAGE, "%s %s: not a host", option, esc_s(text));
	/* "deploy@10.1.0.5" is an address, not a name: the plan gives it one. */
	(void)snprintf(out->host, sizeof(out->host), "%s", scalar_is_name(out->ssh) ? out->ssh : fallback);
	return 0;
}

/* The last component, as far as it can be a name; "data" when nothing is left of it. */
static void dataset_name(const char *path, char out[PLAN_NAME_MAX + 1])
{
	const char *base = strrchr(path, '/');
	size_t n = 0;

	for (base = base ? base + 1 : path; *base && n < 40; base++) {
		char c = *base >= 'A' && *base <= 'Z' ? (char)(*base - 'A' + 'a') : *base;

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[n++] = c;
		else if (n > 0 && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n > 0 && out[n - 1] == '-')
		n--;
	out[n] = '\0';
	if (n == 0)
		strcpy(out, "data");
}

static int check_people(const struct plan_template *t, struct err *e)
{
	for (size_t i = 0; i < t->npeople; i++) {
		const struct plan_template_person *p = &t->people[i];
		OWN_BUF struct buf line = BUF_INIT;
		struct sshkey key;
		const char *wrong;

		if (!scalar_is_name(p->name) || !scalar_is_name(p->party))
			return err_set(e, ERR_USAGE, "--person %s:%s: names have small letters, digits and '-'", esc_s(p->name),
			    esc_s(p->party));
		if ((wrong = sshkey_parse(p->key_line, &key, &line)))
			return err_set(e, ERR_USAGE, "--person %s:%s: this is not a public key: %s", p->name, p->party, wrong);
		for (size_t k = 0; k < i; k++)
			if (strcmp(t->people[k].name, p->name) == 0)
				return err_set(e, ERR_USAGE, "--person %s is given twice", p->name);
	}
	return 0;
}

static size_t count_party(const struct plan_template *t, const char *party)
{
	size_t n = 0;

	for (size_t i = 0; i < t->npeople; i++)
		n += strcmp(t->people[i].party, party) == 0;
	return n;
}

static void put_host(struct buf *b, const struct spot *s)
{
	if (strcmp(s->host, "local") == 0)
		return;
	buf_printf(b, "  %s:\n    ssh: ", s->host);
	put_quoted(b, s->ssh);
	buf_puts(b, "\t\t# [user@]address, or an alias of ~/.ssh/config\n"
	    "    # host_key: \"SHA256:...\"\t# without it your known_hosts decides\n"
	    "    # become: sudo\t\t# when the log-in user may not read or write everything\n");
}

static void put_hosts(struct buf *b, const struct spot *from, const struct spot *to)
{
	bool remote = strcmp(from->host, "local") != 0 || (to && strcmp(to->host, "local") != 0);

	if (!remote) {
		buf_puts(b, "\n# Both ends are on this machine: the host \"local\" always exists.\n");
		return;
	}
	buf_puts(b, "\nhosts:\n");
	put_host(b, from);
	if (to && strcmp(to->host, from->host) != 0)
		put_host(b, to);
}

static void put_dataset(struct buf *b, const char *name, const struct spot *from, const struct spot *to)
{
	OWN_BUF struct buf place = BUF_INIT;

	buf_printf(b, "\n# The contents of `from` become the contents of `to`%s.\ndatasets:\n  %s:\n    files:\n      from: ",
	    to ? "" : "; without `to` they go to the archive only", name);
	buf_printf(&place, "%s:%s", from->host, from->path);
	put_quoted(b, place.data ? place.data : "");
	if (to) {
		buf_reset(&place);
		buf_printf(&place, "%s:%s", to->host, to->path);
		buf_puts(b, "\n      to: ");
		put_quoted(b, place.data ? place.data : "");
	}
	buf_puts(b, "\n      # exclude: [\"cache/**\", \"*.tmp\"]\n");
	if (place.failed)
		b->failed = true;
}

#define FILL_IN "FILL IN the line of the .pub file"

static void put_missing(struct buf *b, const char *party, size_t have, size_t want, const char *why)
{
	for (size_t i = have; i < want; i++)
		buf_printf(b, "  # FILL IN: %s\n  %s-%zu: {party: %s, key: \"" FILL_IN "\"}\n", why, party, i + 1, party);
}

static void put_party(struct buf *b, const char *key)
{
	enum plan_role role;

	if (plan_role_parse(key, &role))
		buf_printf(b, "  %s: {}\n", key);
	else
		buf_printf(b, "  # FILL IN: department, bureau, provider, receiver, contractor or supervisor\n"
		    "  %s: {role: \"FILL IN\"}\n", key);
}

static void put_parties(struct buf *b, const struct plan_template *t, const char *needed)
{
	if (!needed && t->npeople == 0)
		return;
	buf_puts(b, "\n# Who takes part.  A name for people to read: department: {name: \"...\"}\nparties:\n");
	if (needed)
		put_party(b, needed);
	for (size_t i = 0; i < t->npeople; i++) {
		bool seen = needed && strcmp(t->people[i].party, needed) == 0;

		for (size_t k = 0; k < i && !seen; k++)
			seen = strcmp(t->people[k].party, t->people[i].party) == 0;
		if (!seen)
			put_party(b, t->people[i].party);
	}
}

static void put_people(struct buf *b, const struct plan_template *t)
{
	bool clears = t->kind == PLAN_RETIREMENT, accepts = t->kind == PLAN_HANDOVER;

	if (t->npeople == 0 && !clears && !accepts)
		return;
	buf_puts(b, "\n# Their public keys: the line of the .pub file (ssh-keygen -t ed25519 makes one).\npeople:\n");
	for (size_t i = 0; i < t->npeople; i++) {
		const struct plan_template_person *p = &t->people[i];
		OWN_BUF struct buf line = BUF_INIT;
		struct sshkey key;

		if (sshkey_parse(p->key_line, &key, &line) || line.failed) {
			b->failed = true;	/* checked before: only memory can be short */
			return;
		}
		buf_printf(b, "  %s: {party: %s, key: \"%s\"}\n", p->name, p->party, line.data);
	}
	if (clears)
		put_missing(b, "department", count_party(t, "department"), 2, "two people of the department sign the clearing");
	if (accepts)
		put_missing(b, "receiver", count_party(t, "receiver"), 1, "the person who accepts the package");
}

static void put_gates(struct buf *b, enum plan_kind kind)
{
	switch (kind) {
	case PLAN_MIGRATION:
		buf_puts(b, "\n# Approvals before a stage; a party twice means two different people.\n"
		    "# gates:\n#   freeze: {approve: [department, bureau]}\n"
		    "\n# passes: {max: 3, until: 60s, verify: yes}\n");
		break;
	case PLAN_HANDOVER:
		buf_puts(b, "\n# Approvals before a stage; `accept` waits for the receiver by itself.\n"
		    "# gates:\n#   package: {approve: [department]}\n"
		    "\n# package: {part: 1GiB}\t# goes to .waybill/packages/PLAN unless `to` says otherwise\n");
		break;
	case PLAN_RETIREMENT:
		buf_puts(b, "\n# Nothing is erased before two different people of the department have signed.\n"
		    "gates:\n  clear: {approve: [department, department]}\n"
		    "\n# What happens at the old place, after the archive was decoded and restored as a test.\n"
		    "clear:\n  method: overwrite\n"
		    "  require: performed-not-provable\t# the least verdict that counts as done\n"
		    "  # retain_until: 2027-01-01\n"
		    "  # discard: [{dataset: NAME, path: tmp, reason: \"not worth keeping\"}]\n"
		    "  # copies: [{what: \"backup tapes\", held_by: \"provider\", statement: \"...\"}]\n");
		break;
	}
}

static const char *needed_party(enum plan_kind kind)
{
	return kind == PLAN_RETIREMENT ? "department" : kind == PLAN_HANDOVER ? "receiver" : NULL;
}

int plan_template(const struct plan_template *t, struct buf *out, struct err *e)
{
	OWN(spot_dispose) struct spot from = { .host = "" }, to = { .host = "" };
	char name[PLAN_NAME_MAX + 1];

	if (parse_spot("--from", t->from, "old", &from, e) < 0 || (t->to && parse_spot("--to", t->to, "new", &to, e) < 0) ||
	    check_people(t, e) < 0)
		return -1;
	/* Two addresses that are no names get two names, unless they are the same address. */
	if (t->to && strcmp(from.host, to.host) == 0 && strcmp(from.ssh, to.ssh) != 0)
		(void)snprintf(to.host, sizeof(to.host), "%s", strcmp(from.host, "new") == 0 ? "target" : "new");
	if (t->to && strcmp(from.ssh, to.ssh) == 0)
		(void)snprintf(to.host, sizeof(to.host), "%s", from.host);
	dataset_name(from.path, name);
	buf_printf(out, "# A %s plan for waybill; every key is explained in waybill-plan(5).\n"
	    "# Check it with: waybill check PLAN.yaml\n"
	    "waybill: 1\nname: %s-%s\nkind: %s\n# title: \"...\"\n", plan_kind_name(t->kind), name,
	    plan_kind_name(t->kind), plan_kind_name(t->kind));
	put_parties(out, t, needed_party(t->kind));
	put_people(out, t);
	put_hosts(out, &from, t->to ? &to : NULL);
	put_dataset(out, name, &from, t->to ? &to : NULL);
	put_gates(out, t->kind);
	return buf_finish(out, e);
}
