#include <string.h>

#include "sshkey.h"
#include "tables.h"
#include "words.h"

/* ---- parties ---- */

static void party_defaults(void *obj)
{
	struct plan_party *p = obj;

	p->role = (enum plan_role)-1;
}

static void party_check(struct reader *r, void *obj, const struct ynode *node)
{
	struct plan_party *p = obj;
	char h[128];

	if (!p->name)
		p->name = p->key;
	if ((int)p->role >= 0 || yaml_get(node, "role"))
		return;
	if (!plan_role_parse(p->key, &p->role)) {
		const char *hint = hint_for_word(p->key, role_words, h);

		key_fault(r, node, hint ? hint : "add role: department, bureau, provider, receiver, contractor or supervisor",
		    "the party \"%s\" has no role, and its key is not one", p->key);
	}
}

static const struct field party_fields[] = {
	{ .key = "name", .type = F_TEXT, .at = FIELD(plan_party, name) },
	{ .key = "role", .type = F_WORD, .at = FIELD(plan_party, role), .arg = role_words },
};
const struct schema party_schema = { "a party", FIELDS(party_fields), sizeof(struct plan_party),
	FIELD(plan_party, key), FIELD(plan_party, pos), party_defaults, party_check };

/* ---- people ---- */

static void read_key(struct reader *r, void *obj, const struct ynode *n)
{
	struct plan_person *p = obj;
	OWN_BUF struct buf line = BUF_INIT;
	struct sshkey key;
	const char *wrong;

	if (!node_scalar(r, n, "a public key"))
		return;
	if ((wrong = sshkey_parse(n->text, &key, &line))) {
		node_fault(r, n, "paste the line of the .pub file, such as the output of ssh-add -L",
		    "this is not a public key: %s", wrong);
		return;
	}
	p->key_type = key.type;
	p->key_line = reader_strndup(r, line.data ? line.data : "", line.len);
	p->fingerprint = reader_strndup(r, key.fingerprint, strlen(key.fingerprint));
}

static void person_check(struct reader *r, void *obj, const struct ynode *node)
{
	struct plan_person *p = obj;

	(void)r;
	(void)node;
	if (!p->name)
		p->name = p->key;
}

static const struct field person_fields[] = {
	{ .key = "name", .type = F_TEXT, .at = FIELD(plan_person, name) },
	{ .key = "party", .type = F_REF, .at = FIELD(plan_person, party), .required = true, .arg2 = REF_PARTY },
	{ .key = "duty", .type = F_TEXT, .at = FIELD(plan_person, duty) },
	{ .key = "key", .type = F_CUSTOM, .at = FIELD(plan_person, key_line), .required = true, .custom = read_key },
};
const struct schema person_schema = { "a person", FIELDS(person_fields), sizeof(struct plan_person),
	FIELD(plan_person, key), FIELD(plan_person, pos), NULL, person_check };

/* ---- documents ---- */

static const struct field document_fields[] = {
	{ .key = "role", .type = F_TEXT, .at = FIELD(plan_document, role), .required = true },
	{ .key = "file", .type = F_FILE, .at = FIELD(plan_document, file), .required = true },
};
const struct schema document_schema = { "a document", FIELDS(document_fields), sizeof(struct plan_document),
	NOWHERE, FIELD(plan_document, pos), NULL, NULL };

/* ---- hosts ---- */

static void read_ssh(struct reader *r, void *obj, const struct ynode *n)
{
	struct plan_host *h = obj;
	const char *at, *address;

	if (!node_scalar(r, n, "[user@]address"))
		return;
	at = strrchr(n->text, '@');
	address = at ? at + 1 : n->text;
	/* A leading '-' would be an option of ssh(1). */
	if (!*address || *address == '-' || n->text[0] == '-' || at == n->text || strpbrk(n->text, " \t\n\r")) {
		node_fault(r, n, "[user@]address or an alias of ssh_config, such as deploy@10.1.0.5",
		    "\"%s\" is not an address", n->text);
		return;
	}
	if (at && memchr(n->text, ':', (size_t)(at - n->text))) {
		node_fault(r, n, "log in with a key (identity: or ssh-agent)", "a password stands here in clear");
		return;
	}
	h->ssh = reader_strndup(r, n->text, strlen(n->text));
}

static void read_host_key(struct reader *r, void *obj, const struct ynode *n)
{
	struct plan_host *h = obj;
	OWN_BUF struct buf line = BUF_INIT;
	struct sshkey key;
	const char *wrong;

	if (!node_scalar(r, n, "a host key"))
		return;
	if (strncmp(n->text, "SHA256:", 7) == 0) {
		if (sshkey_is_fingerprint(n->text))
			h->host_key = reader_strndup(r, n->text, strlen(n->text));
		else
			node_fault(r, n, "copy it from: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
			    "a SHA256 fingerprint has 43 characters after \"SHA256:\"");
		return;
	}
	if ((wrong = sshkey_parse(n->text, &key, &line)))
		node_fault(r, n, "a key line (ssh-ed25519 AAAA...) or SHA256:...", "this is not a host key: %s", wrong);
	else
		h->host_key = reader_strndup(r, line.data ? line.data : "", line.len);
}

static void read_become(struct reader *r, void *obj, const struct ynode *n)
{
	static const char *const words[] = { "sudo", NULL };
	struct plan_host *h = obj;
	const struct field f = { .key = "become", .type = F_WORD, .arg = words };
	int which = -1;

	value_read(r, &f, &which, n);
	h->become_sudo = which == 0;
}

static void host_check(struct reader *r, void *obj, const struct ynode *node)
{
	struct plan_host *h = obj;

	if (strcmp(h->name, "local") == 0) {
		if (yaml_get(node, "ssh") || yaml_get(node, "via"))
			key_fault(r, node, "give the other machine another name",
			    "\"local\" is this machine; it is not reached through ssh");
		return;
	}
	if (!yaml_get(node, "ssh"))
		key_fault(r, node, "such as ssh: deploy@10.1.0.5", "a host needs the key \"ssh\"");
}

static const struct field host_fields[] = {
	{ .key = "ssh", .type = F_CUSTOM, .at = FIELD(plan_host, ssh), .custom = read_ssh },
	{ .key = "port", .type = F_INT, .at = FIELD(plan_host, port), .min = 1, .max = 65535 },
	{ .key = "host_key", .type = F_CUSTOM, .at = FIELD(plan_host, host_key), .custom = read_host_key },
	{ .key = "identity", .type = F_TEXT, .at = FIELD(plan_host, identity) },
	{ .key = "client", .type = F_WORD, .at = FIELD(plan_host, client), .arg = client_words },
	{ .key = "connections", .type = F_INT, .at = FIELD(plan_host, connections), .min = 1, .max = 64 },
	{ .key = "keepalive", .type = F_SECONDS, .at = FIELD(plan_host, keepalive_s), .min = 1, .max = 3600 },
	{ .key = "become", .type = F_CUSTOM, .at = FIELD(plan_host, become_sudo), .custom = read_become },
	{ .key = "via", .type = F_REF, .at = FIELD(plan_host, via), .arg2 = REF_HOST },
	{ .key = "agent", .type = F_ABSOLUTE, .at = FIELD(plan_host, agent) },
};
const struct schema host_schema = { "a host", FIELDS(host_fields), sizeof(struct plan_host),
	FIELD(plan_host, name), FIELD(plan_host, pos), NULL, host_check };

/* ---- secrets ---- */

static void secret_check(struct reader *r, void *obj, const struct ynode *node)
{
	struct plan_secret *s = obj;
	bool file = yaml_get(node, "file") != NULL, env = yaml_get(node, "env") != NULL;

	if (file == env)
		key_fault(r, node, NULL, "the secret \"%s\" needs either \"file\" or \"env\"%s", s->name,
		    file ? ", not both" : "");
	if (s->env && strspn(s->env, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != strlen(s->env))
		node_fault(r, yaml_get(node, "env"), NULL, "\"%s\" cannot be the name of a variable", s->env);
}

static const struct field secret_fields[] = {
	{ .key = "file", .type = F_TEXT, .at = FIELD(plan_secret, file) },
	{ .key = "env", .type = F_TEXT, .at = FIELD(plan_secret, env) },
};
const struct schema secret_schema = { "a secret", FIELDS(secret_fields), sizeof(struct plan_secret),
	FIELD(plan_secret, name), FIELD(plan_secret, pos), NULL, secret_check };
