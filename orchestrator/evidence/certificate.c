/* The certificate as others use it: built from the ledger, rendered, signed. */
#include "certificate_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "esc.h"
#include "plan.h"
#include "sign.h"
#include "statement.h"

int certificate_rank(const char *verdict)
{
	enum plan_verdict v;

	return plan_verdict_parse(verdict, &v) ? (int)v : -1;
}

bool certificate_is_proof(const char *verdict)
{
	int rank = certificate_rank(verdict);

	return rank >= 0 && rank <= PLAN_VERDICT_CRYPTO_ERASED;
}

bool certificate_format_parse(const char *s, enum certificate_format *f)
{
	static const char *const names[] = { "txt", "json", "html" };

	for (int i = 0; i < 3; i++)
		if (strcmp(s, names[i]) == 0) {
			*f = (enum certificate_format)i;
			return true;
		}
	return false;
}

void certificate_put_safe(struct buf *b, const char *s)
{
	while (*s) {
		size_t n = strcspn(s, "\\");

		esc_put(b, s, n);
		s += n;
		if (*s == '\\')
			buf_putc(b, *s++);
	}
}

/* ---- from the ledger ---- */

struct from_ledger { struct ledger *l; const char *plan; struct records records; struct err *e; bool failed; };
static void from_ledger_dispose(struct from_ledger *x) { records_dispose(&x->records); }

static int keep(void *ctx, const struct ledger_event *ev)
{
	struct from_ledger *x = ctx;
	json_t *data = json_loads(ev->data, JSON_REJECT_DUPLICATES, NULL);

	x->failed = records_add(&x->records, ev, data, x->e) < 0;
	json_decref(data);
	return x->failed ? -1 : 0;
}

static int read_ledger(void *ctx, const char *commit, const char *path, struct buf *b, struct err *e)
{
	struct from_ledger *x = ctx;

	return ledger_read(x->l, x->plan, commit, path, b, e);
}

static json_t *paper_from_ledger(struct ledger *l, const char *plan, struct err *e)
{
	OWN(from_ledger_dispose) struct from_ledger x = { .l = l, .plan = plan, .records = RECORDS_INIT, .e = e };

	if (ledger_replay(l, plan, keep, &x, e) < 0 || x.failed)
		return NULL;
	return certificate_paper(&(struct paper_source){ .plan = plan, .records = &x.records, .read = read_ledger, .ctx = &x }, e);
}

int certificate_render(const json_t *paper, const struct certificate_options *o, struct buf *out, struct err *e)
{
	struct face f = { .b = out, .zh = o->chinese, .html = o->format == CERTIFICATE_HTML };
	OWN_FREE char *json = NULL;

	if (o->format != CERTIFICATE_JSON) {
		certificate_layout(&f, paper);
		return buf_finish(out, e);
	}
	json = json_dumps(paper, JSON_INDENT(2));
	if (json)
		buf_puts(out, json);
	buf_putc(out, '\n');
	out->failed |= !json;
	return buf_finish(out, e);
}

int certificate_build(struct ledger *l, const char *plan, const struct certificate_options *o, struct buf *out, struct err *e)
{
	json_t *p = paper_from_ledger(l, plan, e);
	int r = p ? certificate_render(p, o, out, e) : err_at(e, "certificate");

	json_decref(p);
	return r;
}

int certificate_about(struct ledger *l, const char *plan, struct certificate_summary *out, struct err *e)
{
	json_t *p = paper_from_ledger(l, plan, e);

	if (!p && e->class == ERR_REFUSED) {
		err_clear(e);
		return 0;
	}
	if (!p)
		return -1;
	(void)snprintf(out->verdict, sizeof(out->verdict), "%s", record_text(p, "verdict"));
	(void)snprintf(out->id, sizeof(out->id), "%s", record_text(p, "id"));
	json_decref(p);
	return 1;
}

bool certificate_name_parse(const char *name, struct certificate_options *o, bool *any_language)
{
	static const struct { const char *end; enum certificate_format format; } ends[] = {
		{ ".txt", CERTIFICATE_TXT }, { ".json", CERTIFICATE_JSON }, { ".html", CERTIFICATE_HTML } };
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t k = strlen(ends[i].end);
		const char *word = n >= k + 3 ? name + n - k - 3 : "";

		if (n <= k || strcmp(name + n - k, ends[i].end) != 0)
			continue;
		o->format = ends[i].format;
		o->chinese = strncmp(word, ".zh", 3) == 0;
		*any_language = o->format != CERTIFICATE_JSON && !o->chinese && strncmp(word, ".en", 3) != 0;
		return true;
	}
	return false;
}

int certificate_sign(const char *keyfile, const void *p, size_t n, struct buf *sig, struct err *e)
{
	return sign_bytes(keyfile, SIGN_NS_CERTIFICATE, p, n, sig, e);
}
