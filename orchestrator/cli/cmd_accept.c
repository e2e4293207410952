/*
 * accept: the receiver checks a package where it is and signs its number; the answer is brought back with --import.
 *
 * The receiver needs neither workspace nor ledger: plan, signers and roots come with the package, and what is signed names
 * them all.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "audit.h"
#include "clock.h"
#include "consent.h"
#include "drop_side.h"
#include "esc.h"
#include "gates.h"
#include "io.h"
#include "output.h"
#include "sign.h"
#include "statement.h"

#define JSON_MAX (1u << 20)

struct parcel {			/* what a package says of itself */
	char *dir;
	struct plan *plan;
	struct facts facts;
	json_t *json;		/* waybill/package.json: strings of facts point into it */
	char digest[DIGEST_HEX];	/* of tagmanifest-sha256.txt */
};

static void parcel_dispose(struct parcel *p)
{
	facts_dispose(&p->facts);
	plan_free(p->plan);
	json_decref(p->json);
	free(p->dir);
}

static int read_part(const struct parcel *p, const char *name, size_t limit, struct buf *b, struct err *e)
{
	OWN_FREE char *path = NULL;

	if (asprintf(&path, "%s/%s", p->dir, name) < 0)
		return err_sys(e, "package");
	if (io_read_file(AT_FDCWD, path, limit, b, e) < 0) {
		e->class = ERR_USAGE;
		return err_hint(e, "is %s a waybill package?", esc_s(p->dir));
	}
	return 0;
}

/* Every byte, with the same eyes as `waybill audit`. */
static int check_whole(struct cli_context *c, const struct parcel *p, struct err *e)
{
	OWN_AUDIT_REPORT struct audit_report r = AUDIT_REPORT_INIT;
	struct audit_options o = { .path = p->dir, .full = true };
	const char *first = "";

	if (audit_run(&o, &r, e) < 0)
		return -1;
	for (size_t i = 0; i < r.finding_count; i++) {
		if (r.findings[i].severity == AUDIT_NOTE)
			continue;
		out_text(c, "%s: %s\n", audit_severity_name(r.findings[i].severity), r.findings[i].what);
		if (!*first || r.findings[i].severity == r.worst)
			first = r.findings[i].what;
	}
	if (audit_exit_code(&r) == 0)
		return 0;
	err_set(e, audit_exit_code(&r) == 4 ? ERR_INTEGRITY : ERR_UNVERIFIED, "package %s: %s", esc_s(p->dir), first);
	return err_hint(e, "ask for it again; a package that is not whole is not signed");
}

static int fill_datasets(struct parcel *p, struct err *e)
{
	json_t *all = json_object_get(p->json, "datasets");
	size_t n = 0;

	for (size_t i = 0; i < p->facts.f.dataset_count; i++) {
		struct statement_dataset *d = &p->facts.datasets[i];
		json_t *row = json_object_get(all, d->name);

		if (!row)
			continue;
		d->version = (uint64_t)json_integer_value(json_object_get(row, "version"));
		d->root = json_string_value(json_object_get(row, "root"));
		d->root_sm3 = json_string_value(json_object_get(row, "root_sm3"));
		d->entries = (uint64_t)json_integer_value(json_object_get(row, "entries"));
		d->bytes = (uint64_t)json_integer_value(json_object_get(row, "bytes"));
		if (!d->root || !d->root_sm3)
			return err_set(e, ERR_INTEGRITY, "waybill/package.json: dataset %s has no root", d->name);
		p->facts.datasets[n++] = *d;
	}
	p->facts.f.dataset_count = n;
	return 0;
}

static int load_parcel(const char *dir, struct parcel *p, struct err *e)
{
	OWN_BUF struct buf json = BUF_INIT, yaml = BUF_INIT, tags = BUF_INIT;
	OWN_PLAN_FAULTS struct plan_faults f = PLAN_FAULTS_INIT;
	uint8_t digest[DIGEST_LEN];
	const char *plan_digest;

	if (!(p->dir = strdup(dir)))
		return err_sys(e, "package");
	if (read_part(p, "waybill/package.json", JSON_MAX, &json, e) < 0 || read_part(p, "waybill/plan.yaml", PLAN_BYTES_MAX, &yaml, e) < 0 ||
	    read_part(p, "tagmanifest-sha256.txt", JSON_MAX, &tags, e) < 0)
		return -1;
	if (plan_parse_recorded("plan.yaml of the package", NULL, yaml.data, yaml.len, &p->plan, &f) < 0)
		return plan_faults_err(&f, e);
	if (!(p->json = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES, NULL)) ||
	    !(plan_digest = json_string_value(json_object_get(p->json, "plan_digest"))))
		return err_set(e, ERR_INTEGRITY, "%s: waybill/package.json is not understood", esc_s(dir));
	if (digest_sha256(tags.data, tags.len, digest, e) < 0)
		return -1;
	hex_of(digest, DIGEST_LEN, p->digest);
	if (facts_from_plan(&p->facts, p->plan, "accept", plan_digest, (unsigned)json_integer_value(json_object_get(p->json, "round")), e) < 0)
		return -1;
	p->facts.f.package = p->digest;
	return fill_datasets(p, e);
}

static int put_file(const char *dir, const char *name, const struct buf *b, struct err *e)
{
	OWN_FREE char *path = NULL;
	OWN_FD int fd = -1;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return err_sys(e, "acceptance");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST) {
		err_set(e, ERR_REFUSED, "%s holds an answer already, which is never written over", esc_s(dir));
		return err_hint(e, "name another folder with --to");
	}
	if (fd < 0)
		return err_sys(e, "write %s", esc_s(path));
	if (io_write_all("accept", fd, b->data, b->len, path, e) == 0 && fsync(fd) == 0 && close(take_fd(&fd)) == 0)
		return 0;
	if (e->class == ERR_NONE)
		err_sys(e, "write %s", esc_s(path));
	(void)unlink(path);
	return -1;
}

/* What was signed names its attachments by digest: the list of exceptions is one of them, or it is not what was signed. */
static int check_exceptions(const struct statement *s, const struct buf *b, const char *file, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX];

	if (digest_sha256(b->data ? b->data : "", b->len, digest, e) < 0)
		return -1;
	hex_of(digest, DIGEST_LEN, hex);
	for (size_t i = 0; i < s->attachment_count; i++)
		if (strcmp(s->attachments[i].digest, hex) == 0)
			return 0;
	err_set(e, ERR_INTEGRITY, "%s is not the list that %s signed", esc_s(file), s->person);
	return err_hint(e, "ask for the whole answer again; nothing was recorded");
}

static void drop_file(const char *dir, const char *name)
{
	OWN_FREE char *path = NULL;

	if (asprintf(&path, "%s/%s", dir, name) > 0)
		(void)unlink(path);
}

static int sync_folder(const char *dir, struct err *e)
{
	OWN_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? err_sys(e, "sync %s", esc_s(dir)) : 0;
}

/* All of the answer or nothing: what a failed try had begun goes again, so that the next one finds the place free. */
static int put_answer(const char *to, const struct buf *txt, const struct buf *sig, const struct buf *list, struct err *e)
{
	const struct { const char *name; const struct buf *b; } files[] = {
		{ "acceptance.txt", txt }, { "acceptance.txt.sig", sig }, { "exceptions", list } };
	bool made = mkdir(to, 0755) == 0;

	if (!made && errno != EEXIST)
		return err_sys(e, "make %s", esc_s(to));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (!files[i].b || put_file(to, files[i].name, files[i].b, e) == 0)
			continue;
		while (i-- > 0)
			drop_file(to, files[i].name);
		if (made)
			(void)rmdir(to);
		return -1;
	}
	return sync_folder(to, e);
}

/* A folder with the text, its signature and the exceptions, to be carried back. */
static int write_answer(struct cli_context *c, const struct parcel *p, const struct buf *txt, const struct buf *sig, const struct statement *s, struct err *e)
{
	const char *to = cli_value(c, "to"), *except = cli_value(c, "except");
	OWN_BUF struct buf list = BUF_INIT;

	if (s->attachment_count && !except)
		return err_set(e, ERR_USAGE, "%s signed a list of exceptions: name it again with --except FILE", s->person);
	if (except && (io_read_file(AT_FDCWD, except, JSON_MAX, &list, e) < 0 || check_exceptions(s, &list, except, e) < 0))
		return -1;
	if (put_answer(to, txt, sig, except ? &list : NULL, e) < 0)
		return -1;
	out_text(c, "package %s: %s by %s\nthe answer is in %s; bring it back with: waybill accept %s --import %s\n", p->digest,
	    statement_says_name(s->says), s->person, esc_s(to), p->plan->name, esc_s(to));
	if (c->json)
		return out_json(c, json_pack("{s:s,s:s,s:s,s:s,s:o}", "package", p->digest, "plan", p->plan->name, "verdict",
		    s->says == SAYS_APPROVE ? "accepted" : "refused", "person", s->person, "to", out_json_text(to)), e);
	return out_finish(e);
}

/* Said here, where the package is, and not only when the answer comes home. */
static int check_receiver(const struct parcel *p, const char *person, struct err *e)
{
	if (!person || !plan_person(p->plan, person) || gate_counts(p->plan, "accept", person))
		return 0;	/* who he is, is checked elsewhere */
	err_set(e, ERR_REFUSED, "plan %s: %s is not one of those who receive: that acceptance would not count", p->plan->name, esc_s(person));
	return err_hint(e, "a person of a party with role receiver accepts");
}

static int check_signed(const struct parcel *p, const struct buf *txt, const struct buf *sig, struct statement *s, struct err *e)
{
	return approval_check(p->plan, &p->facts.f, txt->data, txt->len, sig->data, sig->len, clock_now_ns() / 1000000000, s, e);
}

static int accept_package(struct cli_context *c, const char *dir, struct err *e)
{
	OWN(parcel_dispose) struct parcel p = { .facts = FACTS_INIT };
	OWN_BUF struct buf txt = BUF_INIT, sig = BUF_INIT;
	OWN_STATEMENT struct statement s = STATEMENT_INIT;
	struct job j = JOB_INIT;		/* only who speaks, for consent_*: nothing is opened */
	const char *signature = cli_value(c, "signature"), *request = cli_value(c, "request");

	if (load_parcel(dir, &p, e) < 0 || check_whole(c, &p, e) < 0 || cli_who(c, e) < 0)
		return -1;
	j.c = c;
	j.plan = p.plan;
	j.options.as = c->as;
	j.options.key = c->key;
	if (check_receiver(&p, c->as, e) < 0)
		return -1;
	if (request)
		return consent_person(&j, e) < 0 ? -1 : consent_request(&j, "accept", &p.facts.f, request, e);
	if (!cli_value(c, "to"))
		return err_set(e, ERR_USAGE, "accept needs --to OUT, where the answer is written");
	if (signature) {
		if (consent_read_signed(signature, &txt, &sig, e) < 0)
			return -1;
	} else if (!c->key) {
		return err_set(e, ERR_USAGE, "accept needs --key FILE, --request FILE or --signature FILE.sig");
	} else if (consent_person(&j, e) < 0 || consent_text(&j, "accept", &p.facts.f, &txt, e) < 0 ||
	    sign_bytes(c->key, SIGN_NS_ACCEPTANCE, txt.data, txt.len, &sig, e) < 0) {
		return -1;
	}
	return check_signed(&p, &txt, &sig, &s, e) < 0 || check_receiver(&p, s.person, e) < 0 ? -1 : write_answer(c, &p, &txt, &sig, &s, e);
}

/* ---- back in the ledger ---- */

static int read_answer(const char *dir, struct buf *txt, struct buf *sig, struct err *e)
{
	OWN_FREE char *file = NULL;

	if (asprintf(&file, "%s/acceptance.txt.sig", dir) < 0)
		return err_sys(e, "acceptance");
	return consent_read_signed(file, txt, sig, e);
}

static int store_exceptions(struct job *j, const struct statement *s, const char *dir, struct err *e)
{
	OWN_FREE char *file = NULL;
	OWN_BUF struct buf b = BUF_INIT;
	struct object_id id;

	if (asprintf(&file, "%s/exceptions", dir) < 0)
		return err_sys(e, "acceptance");
	if (io_read_file(AT_FDCWD, file, JSON_MAX, &b, e) < 0) {
		if (e->sys != ENOENT)
			return -1;
		err_clear(e);
		if (!s->attachment_count)
			return 0;
		err_set(e, ERR_UNVERIFIED, "%s is missing, though %s signed it", esc_s(file), s->person);
		return err_hint(e, "ask for the whole answer again; nothing was recorded");
	}
	if (check_exceptions(s, &b, file, e) < 0)
		return -1;
	return store_put_bytes(j->w->store, STORE_DOC, b.data ? b.data : "", b.len, &id, e);
}

static int record_answer(struct job *j, const struct statement *s, const struct buf *txt, const struct buf *sig, struct err *e)
{
	OWN_BUF struct buf data = BUF_INIT;
	struct ledger_txn *t;
	json_t *facts = NULL;

	if (ledger_txn_begin(j->w->ledger, j->plan->name, &t, e) < 0)
		return -1;
	if (approval_put(j->w->ledger, t, j->plan->name, s, txt->data, txt->len, sig->data, sig->len, &data, e) < 0 ||
	    !(facts = json_loads(data.data, 0, NULL))) {
		ledger_txn_abandon(t);
		return e->class ? -1 : err_set(e, ERR_BUG, "facts of an acceptance");
	}
	j->options.as = s->person;
	return run_event(&j->run, t, "approval", "recorded", facts, e, "accept: %s %s", s->person, statement_says_name(s->says));
}

static int import_answer(struct cli_context *c, const char *plan, const char *dir, struct err *e)
{
	OWN_JOB struct job j = JOB_INIT;
	OWN_GATE_FACTS struct gate_facts f = GATE_FACTS_INIT;
	OWN_BUF struct buf txt = BUF_INIT, sig = BUF_INIT;
	OWN_STATEMENT struct statement s = STATEMENT_INIT;

	if (job_open(&j, c, plan, e) < 0 || read_answer(dir, &txt, &sig, e) < 0 || gate_facts(&j.run, "accept", &f, e) < 0 ||
	    approval_check(j.plan, &f.facts.f, txt.data, txt.len, sig.data, sig.len, clock_now_ns() / 1000000000, &s, e) < 0 ||
	    store_exceptions(&j, &s, dir, e) < 0 || record_answer(&j, &s, &txt, &sig, e) < 0)
		return -1;
	out_text(c, "recorded: %s %s the package of plan %s; go on with: waybill run %s\n", s.person, s.says == SAYS_APPROVE ? "accepts" : "does not accept",
	    j.plan->name, j.plan->name);
	if (c->json)
		return out_json(c, json_pack("{s:s,s:s,s:s}", "plan", j.plan->name, "person", s.person, "verdict", statement_says_name(s.says)), e);
	return out_finish(e);
}

/* Only what is whole here goes there. */
static int empty_drop(struct cli_context *c, const char *from, const char *dir, struct err *e)
{
	OWN(parcel_dispose) struct parcel p = { .facts = FACTS_INIT };

	return load_parcel(dir, &p, e) < 0 || check_whole(c, &p, e) < 0 ? -1 : drop_side(c, from, dir, true, e);
}

static int accept_fetched(struct cli_context *c, const char *from, const char *arg, struct err *e)
{
	OWN_FREE char *dir = cli_absolute(arg);
	bool empty = cli_flag(c, "empty-drop");

	if (!dir)
		return err_sys(e, "accept");
	if (empty && cli_value(c, "request"))
		return err_set(e, ERR_USAGE, "--empty-drop goes with the signed answer, not with --request");
	if (empty && !cli_value(c, "to"))
		return empty_drop(c, from, dir, e) < 0 ? -1 : out_finish(e);
	if (drop_side(c, from, dir, false, e) < 0 || accept_package(c, dir, e) < 0)
		return -1;
	if (empty)	/* checked just now */
		return drop_side(c, from, dir, true, e) < 0 ? -1 : out_finish(e);
	out_text(c, "the drop still holds the package; empty it with: waybill accept %s --fetch %s --empty-drop\n", esc_s(dir), esc_s(from));
	return out_finish(e);
}

int cmd_accept(struct cli_context *c, int argc, char **argv, struct err *e)
{
	const char *import = cli_value(c, "import"), *from = cli_value(c, "fetch");

	(void)argc;
	if (import && from)
		return err_set(e, ERR_USAGE, "--import brings back an answer, --fetch a package: one of them");
	if (!from && cli_flag(c, "empty-drop"))
		return err_set(e, ERR_USAGE, "--empty-drop needs --fetch, which says where the drop is");
	if (import)
		return import_answer(c, argv[0], import, e);
	return from ? accept_fetched(c, from, argv[0], e) : accept_package(c, argv[0], e);
}
