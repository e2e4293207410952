/* Approvals in the ledger: reading them from a tree, putting one into a transaction. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "approval.h"
#include "esc.h"

/* ---- reading ---- */

struct lister { struct approval_files *out; const char *stage; struct err *e; bool failed; };

static struct approval_file *find_file(struct approval_files *f, unsigned number, const char *stage, const char *person)
{
	struct approval_file *v;

	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].number == number && strcmp(f->v[i].stage, stage) == 0 && strcmp(f->v[i].person, person) == 0)
			return &f->v[i];
	if (!(v = realloc(f->v, (f->n + 1) * sizeof(*v))))
		return NULL;
	f->v = v;
	memset(&v[f->n], 0, sizeof(v[f->n]));
	return &v[f->n++];
}

static int list_one(struct lister *l, const char *name)
{
	OWN_FREE char *base = strdup(name), *stage = NULL, *person = NULL;
	struct approval_file *f;
	size_t n = strlen(name);
	unsigned number;

	if (!base)
		return err_sys(l->e, "approvals");
	if (n > 4)
		base[n - 4] = '\0';
	if (n <= 4 || (strcmp(name + n - 4, ".txt") != 0 && strcmp(name + n - 4, ".sig") != 0) ||
	    !approval_name_parse(base, &number, &stage, &person))
		return err_set(l->e, ERR_INTEGRITY, "approvals/%s: no name of an approval", esc_s(name));
	if (l->stage && strcmp(l->stage, stage) != 0)
		return 0;
	if (!(f = find_file(l->out, number, stage, person)))
		return err_sys(l->e, "approvals");
	if (!f->stage) {
		f->number = number;
		f->stage = take_ptr(&stage);
		f->person = take_ptr(&person);
	}
	return 0;
}

static int list_name(void *ctx, const char *name, bool is_dir)
{
	struct lister *l = ctx;

	if (is_dir)
		l->failed = err_set(l->e, ERR_INTEGRITY, "approvals/%s is a directory", esc_s(name)) < 0;
	else
		l->failed = list_one(l, name) < 0;
	return l->failed;
}

static int by_number(const void *a, const void *b)
{
	const struct approval_file *x = a, *y = b;

	return x->number != y->number ? (x->number < y->number ? -1 : 1) : strcmp(x->person, y->person);
}

int approval_files_read(struct ledger *l, const char *plan, const char *rev, const char *stage, struct approval_files *out, struct err *e)
{
	struct lister lister = { out, stage, e, false };
	char path[256];

	if (ledger_list(l, plan, rev, "approvals", list_name, &lister, e) < 0 || lister.failed)
		return err_at(e, "plan %s", plan);
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_number);
	for (size_t i = 0; i < out->n; i++) {
		struct approval_file *f = &out->v[i];

		/* one of the two may be absent: then it is judged as empty */
		(void)snprintf(path, sizeof(path), "approvals/%04u-%s-%s.txt", f->number, f->stage, f->person);
		if (ledger_read(l, plan, rev, path, &f->txt, e) < 0)
			return -1;
		(void)snprintf(path, sizeof(path), "approvals/%04u-%s-%s.sig", f->number, f->stage, f->person);
		if (ledger_read(l, plan, rev, path, &f->sig, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- writing ---- */

struct highest { unsigned number; };

static int note_highest(void *ctx, const char *name, bool is_dir)
{
	struct highest *h = ctx;
	unsigned long v = is_dir ? 0 : strtoul(name, NULL, 10);

	if (v > h->number && v < 1000000000)
		h->number = (unsigned)v;
	return 0;
}

int approval_next_name(struct ledger *l, const char *plan, const char *stage, const char *person, char out[256], struct err *e)
{
	struct highest h = { 0 };

	if (ledger_list(l, plan, NULL, "approvals", note_highest, &h, e) < 0)
		return -1;
	(void)snprintf(out, 256, "approvals/%04u-%s-%s", h.number + 1, stage, person);
	return 0;
}

static void put_digest(json_t *j, const char *key, const uint8_t d[DIGEST_LEN])
{
	char hex[DIGEST_HEX];

	hex_of(d, DIGEST_LEN, hex);
	(void)json_object_set_new(j, key, json_string(hex));
}

static int event_data(const char *base, const struct statement *s, const uint8_t txt[DIGEST_LEN], const uint8_t sig[DIGEST_LEN],
    struct buf *data, struct err *e)
{
	json_t *j = json_pack("{s:s,s:i,s:s,s:s,s:s,s:s}", "file", base, "number", (int)strtol(base + 10, NULL, 10),
	    "stage", s->stage, "person", s->person, "party", s->party, "verdict", statement_says_name(s->says));
	OWN_FREE char *reason = s->reason ? esc_dup(s->reason, strlen(s->reason)) : NULL;
	OWN_FREE char *text = NULL;

	if (j) {
		put_digest(j, "basis", s->basis_digest);
		put_digest(j, "statement_sha256", txt);
		put_digest(j, "signature_sha256", sig);
		if (reason)
			(void)json_object_set_new(j, "reason", json_string(reason));
		text = json_dumps(j, JSON_COMPACT);
		json_decref(j);
	}
	if (!text) {
		errno = ENOMEM;
		return err_sys(e, "approval");
	}
	buf_puts(data, text);
	return buf_finish(data, e);
}

int approval_put(struct ledger *l, struct ledger_txn *t, const char *plan, const struct statement *s, const void *txt, size_t n,
    const char *sig, size_t sig_len, struct buf *data, struct err *e)
{
	char base[256], path[264];
	uint8_t txt_sum[DIGEST_LEN], sig_sum[DIGEST_LEN];

	if (approval_next_name(l, plan, s->stage, s->person, base, e) < 0 ||
	    digest_sha256(txt, n, txt_sum, e) < 0 || digest_sha256(sig, sig_len, sig_sum, e) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s.txt", base);
	if (ledger_txn_put(t, path, txt, n, e) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s.sig", base);
	if (ledger_txn_put(t, path, sig, sig_len, e) < 0)
		return -1;
	return event_data(base, s, txt_sum, sig_sum, data, e);
}

int gate_check(struct ledger *l, const struct plan *p, const struct statement_facts *now_facts, int64_t now, struct gate *g, struct err *e)
{
	OWN_APPROVAL_FILES struct approval_files files = APPROVAL_FILES_INIT;
	char head[LEDGER_OID];
	int there = ledger_head(l, p->name, head, e);

	if (there < 0 || (there && approval_files_read(l, p->name, NULL, now_facts->stage, &files, e) < 0))
		return -1;
	return gate_evaluate(p, now_facts, &files, now, g, e);
}
