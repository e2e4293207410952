#include "audit_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "esc.h"
#include "io.h"
#include "sign.h"

#define SIGNERS_MAX (1u << 20)
#define FINDINGS_MAX 2000	/* a wrecked ledger needs no longer list; the verdict is out by then */

const char *audit_severity_name(enum audit_severity s)
{
	static const char *const names[] = { "note", "unverified", "altered" };

	return names[s];
}

const char *audit_verdict(const struct audit_report *r)
{
	static const char *const names[] = { "intact", "unverified", "altered" };

	return names[r->worst];
}

int audit_exit_code(const struct audit_report *r)
{
	return r->worst == AUDIT_ALTERED ? 4 : r->worst == AUDIT_UNVERIFIED ? 5 : 0;
}

void audit_report_dispose(struct audit_report *r)
{
	for (size_t i = 0; i < r->finding_count; i++)
		free(r->findings[i].what);
	free(r->findings);
	*r = (struct audit_report)AUDIT_REPORT_INIT;
}

void audit_say(struct audit *a, enum audit_severity s, const char *fmt, ...)
{
	struct audit_finding *v;
	va_list ap;

	if (s > a->r->worst)
		a->r->worst = s;
	if (a->r->finding_count >= FINDINGS_MAX)
		return;
	if (!(v = realloc(a->r->findings, (a->r->finding_count + 1) * sizeof(*v)))) {
		a->nomem = true;
		return;
	}
	a->r->findings = v;
	v += a->r->finding_count;
	v->severity = s;
	va_start(ap, fmt);
	if (vasprintf(&v->what, fmt, ap) < 0)
		a->nomem = true;
	else
		a->r->finding_count++;
	va_end(ap);
}

void audit_err(struct audit *a, const char *where, const struct err *e)
{
	audit_say(a, e->class == ERR_INTEGRITY ? AUDIT_ALTERED : AUDIT_UNVERIFIED, "%s: %s", where, e->text);
}

const char *audit_text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

uint64_t audit_number(const json_t *j, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(j, key));

	return v > 0 ? (uint64_t)v : 0;
}

/* ---- statements ---- */

void audit_signers_agree(struct audit *a, const char *where, const char *signers)
{
	char name[128];

	for (const char *p = signers; a->signers && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		size_t n = strcspn(p, " \t\n");

		if (n == 0 || n >= sizeof(name) || *p == '#')
			continue;
		memcpy(name, p, n);
		name[n] = '\0';
		OWN_FREE char *ours = sign_signer_key(signers, name), *theirs = sign_signer_key(a->signers, name);

		if (!theirs)
			audit_say(a, AUDIT_NOTE, "%s: %s is not in the list given with --signers", where, esc_s(name));
		else if (!ours || !sign_same_key(ours, theirs))
			audit_say(a, AUDIT_ALTERED, "%s: the key of %s is another than in the list given with --signers", where, esc_s(name));
	}
}

/* Held against one list. */
static enum sign_result held(struct audit *a, const char *where, const struct sign_check *c, const char *list)
{
	char why[256];
	enum sign_result r;

	if (!sign_has_person(c->signers, c->person)) {
		audit_say(a, AUDIT_UNVERIFIED, "%s: %s is not in %s, so the signature proves nothing", where, esc_s(c->person), list);
		return SIGN_UNCHECKED;
	}
	r = sign_verify(c, why);
	if (r != SIGN_GOOD)
		audit_say(a, r == SIGN_BAD ? AUDIT_ALTERED : AUDIT_UNVERIFIED, "%s: signature of %s against %s: %s", where,
		    esc_s(c->person), list, why);
	return r;
}

enum sign_result audit_signature(struct audit *a, const char *where, struct sign_check c, const char *signers)
{
	enum sign_result r;

	a->r->signatures++;
	c.signers = signers;
	r = held(a, where, &c, "the signers of the plan");
	if (r != SIGN_GOOD || !a->signers)
		return r;
	c.signers = a->signers;
	return held(a, where, &c, "the list given with --signers");
}

enum sign_result audit_statement(struct audit *a, const char *where, const struct buf *txt, const struct buf *sig, const char *signers, struct statement *s)
{
	struct err e = ERR_INIT;

	if (statement_parse(txt->data, txt->len, s, &e) < 0) {
		audit_say(a, AUDIT_ALTERED, "%s: %s", where, e.text);
		return SIGN_BAD;
	}
	return audit_signature(a, where, (struct sign_check){ .person = s->person, .name_space = s->name_space, .data = txt->data,
	    .data_len = txt->len, .sig = sig->data, .sig_len = sig->len }, signers);
}

/* ---- which kind of thing ---- */

static bool there(const char *dir, const char *name)
{
	OWN_BUF struct buf p = BUF_INIT;
	struct stat st;

	buf_printf(&p, "%s/%s", dir, name);
	return !p.failed && stat(p.data, &st) == 0;
}

static int read_signers(struct audit *a, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (!a->o->signers)
		return 0;
	if (io_read_file(AT_FDCWD, a->o->signers, SIGNERS_MAX, &b, e) < 0) {
		e->class = ERR_USAGE;
		return err_at(e, "--signers");
	}
	buf_puts(&b, "");
	a->signers = b.data ? buf_take(&b) : strdup("");
	return a->signers ? 0 : err_sys(e, "--signers");
}

/* The ledger below path and, when the caller named none, the store beside it. */
static int audit_repository(struct audit *a, const char *path, const char *sub, struct err *e)
{
	OWN(history_closep) struct history *h = NULL;
	OWN_BUF struct buf dir = BUF_INIT;
	OWN_BUF struct buf store = BUF_INIT;
	struct audit_options o = *a->o;

	buf_printf(&dir, "%s%s%s", path, *sub ? "/" : "", sub);
	if (*sub && !o.store) {
		buf_printf(&store, "%.*sstore", (int)(dir.len - strlen("ledger.git")), dir.data);
		if (!store.failed && there(store.data, "objects"))
			o.store = store.data;
	}
	if (buf_finish(&dir, e) < 0 || history_open(&h, dir.data, e) < 0)
		return -1;
	a->h = h;
	a->o = &o;
	audit_ledger(a);
	a->h = NULL;
	return 0;
}

static int dispatch(struct audit *a, struct err *e)
{
	const char *path = a->o->path;
	struct stat st;

	if (stat(path, &st) < 0) {
		err_sys(e, "audit %s", esc_s(path));
		e->class = ERR_USAGE;
		return -1;
	}
	if (S_ISREG(st.st_mode)) {
		audit_certificate(a);
		return 0;
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_USAGE, "audit %s: neither a directory nor a file", esc_s(path));
	if (there(path, ".waybill/ledger.git"))
		return audit_repository(a, path, ".waybill/ledger.git", e);
	if (there(path, "ledger.git"))
		return audit_repository(a, path, "ledger.git", e);
	if (there(path, "bagit.txt") || there(path, "manifest-sha256.txt") || there(path, "waybill/package.json")) {
		audit_package(a);
		return 0;
	}
	if (audit_repository(a, path, "", e) == 0)
		return 0;
	return err_hint(e, "audit takes a workspace, a ledger, a package or a certificate");
}

int audit_run(const struct audit_options *o, struct audit_report *r, struct err *e)
{
	struct audit a = { .o = o, .r = r };
	int rc;

	if (o->expect && (strlen(o->expect) < AUDIT_EXPECT_MIN || strlen(o->expect) > 40 ||
	    strspn(o->expect, "0123456789abcdef") != strlen(o->expect)))
		return err_set(e, ERR_USAGE, "--expect %s: not a commit; give its 40 hex digits, or at least the first %d", esc_s(o->expect),
		    AUDIT_EXPECT_MIN);
	if (read_signers(&a, e) < 0)
		return -1;
	if (!o->signers)
		audit_say(&a, AUDIT_NOTE, "no --signers: whose keys these are is taken from what is audited");
	rc = dispatch(&a, e);
	free(a.signers);
	if (rc == 0 && a.nomem) {
		errno = ENOMEM;
		return err_sys(e, "audit %s", esc_s(o->path));
	}
	return rc;
}

int audit_json(const struct audit_report *r, struct buf *b, struct err *e)
{
	json_t *list = json_array();
	json_t *j = json_pack("{s:s,s:I,s:I,s:I,s:I,s:O}", "verdict", audit_verdict(r), "commits", (json_int_t)r->commits,
	    "versions", (json_int_t)r->versions, "signatures", (json_int_t)r->signatures, "objects", (json_int_t)r->objects,
	    "findings", list);
	OWN_FREE char *text = NULL;
	bool ok = j != NULL;

	for (size_t i = 0; ok && i < r->finding_count; i++)
		ok = json_array_append_new(list, json_pack("{s:s,s:s}", "severity", audit_severity_name(r->findings[i].severity),
		    "what", r->findings[i].what)) == 0;
	text = ok ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	json_decref(list);
	if (!text)
		return err_set(e, ERR_TEMPORARY, "audit: out of memory, or a finding that is no UTF-8");
	buf_puts(b, text);
	buf_putc(b, '\n');
	return buf_finish(b, e);
}
