#include "statement.h"

#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "esc.h"
#include "scope.h"
#include "sign.h"
#include "statement_grammar.h"

const char *statement_says_name(enum statement_says s)
{
	static const char *const names[] = { "approve", "refuse", "withdraw" };

	return names[s];
}

const char *statement_namespace(const char *stage)
{
	if (strcmp(stage, "accept") == 0)
		return SIGN_NS_ACCEPTANCE;
	return strcmp(stage, "clear") == 0 ? SIGN_NS_CLEARANCE : SIGN_NS_APPROVAL;
}

char *statement_window_text(int64_t from, int64_t to, const char *zone, char out[STATEMENT_WINDOW])
{
	char a[CLOCK_TEXT], b[CLOCK_TEXT];

	(void)snprintf(out, STATEMENT_WINDOW, "%s / %s", clock_text(from, zone, a), clock_text(to, zone, b));
	return out;
}

bool statement_window(const char *text, int64_t *from, int64_t *to)
{
	const char *sep = strstr(text, " / ");
	char a[CLOCK_TEXT];

	if (!sep || (size_t)(sep - text) >= sizeof(a))
		return false;
	memcpy(a, text, (size_t)(sep - text));
	a[sep - text] = '\0';
	return clock_parse(a, NULL, from) && clock_parse(sep + 3, NULL, to);
}

/* ---- writing ---- */

/* "LABEL KEYWORD: " */
static void put_key(struct buf *b, enum statement_line l)
{
	const struct statement_rule *r = &statement_rules[l];

	if (*r->label)
		buf_printf(b, "%s ", r->label);
	buf_printf(b, "%s: ", r->key);
}

static void put_text(struct buf *b, enum statement_line l, const char *value)
{
	put_key(b, l);
	esc_put(b, value, strlen(value));
	buf_putc(b, '\n');
}

static void put_some(struct buf *b, enum statement_line l, const char *value)
{
	if (value && *value)
		put_text(b, l, value);
}

static void put_time(struct buf *b, enum statement_line l, int64_t t, const char *zone)
{
	char text[CLOCK_TEXT];

	put_text(b, l, clock_text(t, zone, text));
}

/* A path as one word: esc, and blanks as \040. */
static void put_word(struct buf *b, const char *s)
{
	OWN_BUF struct buf t = BUF_INIT;

	esc_put(&t, s, strlen(s));
	b->failed |= t.failed;
	for (size_t i = 0; i < t.len; i++) {
		if (t.data[i] == ' ')
			buf_puts(b, "\\040");
		else
			buf_putc(b, t.data[i]);
	}
}

static void put_dataset(struct buf *b, const struct statement_dataset *d)
{
	put_key(b, LINE_DATASET);
	buf_printf(b, "%s version=%" PRIu64 " entries=%" PRIu64 " bytes=%" PRIu64 " sha256=%s", d->name, d->version,
	    d->entries, d->bytes, d->root);
	if (d->root_sm3 && *d->root_sm3)
		buf_printf(b, " sm3=%s", d->root_sm3);
	if (d->path) {
		buf_printf(b, " at=%s:", d->host ? d->host : "");
		esc_put(b, d->path, strlen(d->path));
	}
	buf_putc(b, '\n');
}

static void put_discard(struct buf *b, enum statement_line l, const struct statement_discard *d)
{
	put_key(b, l);
	buf_printf(b, "%s ", d->dataset);
	put_word(b, d->path);
	buf_puts(b, " -- ");
	esc_put(b, d->reason ? d->reason : "", strlen(d->reason ? d->reason : ""));
	buf_putc(b, '\n');
}

/* What is beyond STATEMENT_SKIPPED_MAX of one dataset: number and digest. */
static int put_more(struct buf *b, const struct statement_discard *d, size_t n, struct err *e)
{
	OWN(digest_freep) struct digest *sum = digest_new(DIGEST_SHA256);
	uint8_t out[DIGEST_LEN];
	char hex[DIGEST_HEX];

	if (!sum)
		return err_set(e, ERR_TEMPORARY, "SHA-256: out of memory");
	for (size_t i = 0; i < n; i++) {
		OWN_BUF struct buf line = BUF_INIT;

		put_word(&line, d[i].path);
		buf_puts(&line, " -- ");
		esc_put(&line, d[i].reason ? d[i].reason : "", strlen(d[i].reason ? d[i].reason : ""));
		buf_putc(&line, '\n');
		if (buf_finish(&line, e) < 0)
			return -1;
		digest_update(sum, line.data, line.len);
	}
	digest_final(sum, out);
	hex_of(out, DIGEST_LEN, hex);
	put_key(b, LINE_SKIPPED_MORE);
	buf_printf(b, "%s count=%zu sha256=%s\n", d->dataset, n, hex);
	return 0;
}

static int put_skipped(struct buf *b, const struct statement_facts *f, struct err *e)
{
	/* the written ones first, all "more" lines after them, as the grammar has it */
	for (int more = 0; more < 2; more++) {
		for (size_t i = 0, n; i < f->skipped_count; i += n) {
			const struct statement_discard *d = &f->skipped[i];

			for (n = 1; i + n < f->skipped_count && strcmp(d[n].dataset, d->dataset) == 0; n++)
				;
			for (size_t k = 0; !more && k < n && k < STATEMENT_SKIPPED_MAX; k++)
				put_discard(b, LINE_SKIPPED, &d[k]);
			if (more && n > STATEMENT_SKIPPED_MAX &&
			    put_more(b, d + STATEMENT_SKIPPED_MAX, n - STATEMENT_SKIPPED_MAX, e) < 0)
				return -1;
		}
	}
	return 0;
}

static int put_scope(struct buf *b, const struct statement_facts *f, struct err *e)
{
	OWN_SCOPE struct scope s = SCOPE_INIT;

	for (size_t i = 0; i < f->dataset_count; i++) {
		const struct statement_dataset *d = &f->datasets[i];

		if (d->block)
			continue;
		if (scope_add(&s, SCOPE_PATH, d->host ? d->host : "", d->path ? d->path : "", NULL, e) < 0 ||
		    (d->identity && *d->identity && scope_add(&s, SCOPE_ROOT, d->host, d->path, d->identity, e) < 0))
			return err_at(e, "dataset %s", d->name);
	}
	for (size_t i = 0; i < f->device_count; i++) {
		const struct statement_device *d = &f->devices[i];

		if (scope_add(&s, SCOPE_DEVICE, d->host, d->path, NULL, e) < 0 ||
		    (d->serial && *d->serial && scope_add(&s, SCOPE_SERIAL, d->host, d->path, d->serial, e) < 0))
			return -1;
	}
	put_key(b, LINE_SCOPE);
	buf_printf(b, "%zu\n", s.n);
	scope_format(&s, b);
	return 0;
}

static int put_clear(struct buf *b, const struct statement_facts *f, struct err *e)
{
	if (!f->method || !*f->method)
		return err_set(e, ERR_USAGE, "statement for clear: no method");
	put_text(b, LINE_METHOD, f->method);
	put_some(b, LINE_REQUIRE, f->require);
	put_some(b, LINE_RETAIN, f->retain_until);
	put_some(b, LINE_OPERATOR, f->operator_name);
	put_some(b, LINE_VERIFIER, f->verifier);
	if (put_scope(b, f, e) < 0)
		return -1;
	for (size_t i = 0; i < f->discard_count; i++)
		put_discard(b, LINE_DISCARD, &f->discards[i]);
	if (put_skipped(b, f, e) < 0)
		return -1;
	for (size_t i = 0; i < f->copy_count; i++) {
		put_key(b, LINE_COPY);
		esc_put(b, f->copies[i].what, strlen(f->copies[i].what));
		if (f->copies[i].held_by && *f->copies[i].held_by) {
			buf_puts(b, " held-by=");
			esc_put(b, f->copies[i].held_by, strlen(f->copies[i].held_by));
		}
		buf_putc(b, '\n');
	}
	return 0;
}

static bool is_hex_digest(const char *s)
{
	uint8_t d[DIGEST_LEN];

	return s && hex_parse(s, d, DIGEST_LEN);
}

static int check_facts(const struct statement_facts *f, struct err *e)
{
	bool sets = statement_has_datasets(f->stage);

	if (!f->plan || !*f->plan || !f->kind || !f->stage || !*f->stage)
		return err_set(e, ERR_USAGE, "statement: plan, kind or stage is missing");
	if (!is_hex_digest(f->plan_digest))
		return err_set(e, ERR_USAGE, "statement for %s: the plan digest is missing", esc_s(f->stage));
	if (sets && !f->dataset_count)
		return err_set(e, ERR_USAGE, "statement for %s: no dataset has a version yet; run the plan up to verify first",
		    esc_s(f->stage));
	for (size_t i = 0; sets && i < f->dataset_count; i++) {
		const struct statement_dataset *d = &f->datasets[i];

		if (!d->version || !is_hex_digest(d->root) || (d->root_sm3 && *d->root_sm3 && !is_hex_digest(d->root_sm3)))
			return err_set(e, ERR_USAGE, "statement for %s: dataset %s has no version yet", esc_s(f->stage), d->name);
	}
	return 0;
}

int statement_basis(const struct statement_facts *f, struct buf *b, struct err *e)
{
	bool clear = f->stage && strcmp(f->stage, "clear") == 0;

	if (check_facts(f, e) < 0)
		return -1;
	put_text(b, LINE_PLAN, f->plan);
	put_text(b, LINE_PLAN_DIGEST, f->plan_digest);
	put_text(b, LINE_KIND, f->kind);
	put_some(b, LINE_TITLE, f->title);
	put_text(b, LINE_STAGE, f->stage);
	put_key(b, LINE_ROUND);
	buf_printf(b, "%u\n", f->round ? f->round : 1);
	put_some(b, LINE_WINDOW, f->window);
	if (statement_has_datasets(f->stage)) {
		put_some(b, LINE_PACKAGE, clear ? NULL : f->package);
		for (size_t i = 0; i < f->dataset_count; i++) {
			struct statement_dataset d = f->datasets[i];

			if (!clear)
				d.path = NULL;
			put_dataset(b, &d);
		}
	}
	if (clear && put_clear(b, f, e) < 0)
		return -1;
	return buf_finish(b, e);
}

static void put_head(struct buf *b, const struct statement_head *h, const struct statement_facts *f, const char *basis)
{
	put_text(b, LINE_NAMESPACE, statement_namespace(f->stage));
	put_text(b, LINE_PERSON, h->person);
	put_text(b, LINE_NAME, h->name && *h->name ? h->name : h->person);
	put_text(b, LINE_PARTY, h->party);
	put_text(b, LINE_VERDICT, statement_says_name(h->says));
	put_time(b, LINE_AT, h->at, h->zone);
	if (h->not_before)
		put_time(b, LINE_NOT_BEFORE, h->not_before, h->zone);
	if (h->not_after)
		put_time(b, LINE_NOT_AFTER, h->not_after, h->zone);
	put_some(b, LINE_REASON, h->reason);
	for (size_t i = 0; i < h->attachment_count; i++) {
		put_key(b, LINE_ATTACHED);
		buf_printf(b, "%s ", h->attachments[i].digest);
		esc_put(b, h->attachments[i].name, strlen(h->attachments[i].name));
		buf_putc(b, '\n');
	}
	put_text(b, LINE_BASIS, basis);
}

int statement_build(const struct statement_head *h, const struct statement_facts *f, struct buf *b, struct err *e)
{
	OWN_BUF struct buf basis = BUF_INIT;
	uint8_t d[DIGEST_LEN];
	char hex[DIGEST_HEX];

	if (!h->person || !*h->person || !h->party || !*h->party)
		return err_set(e, ERR_USAGE, "statement: person or party is missing");
	if (statement_basis(f, &basis, e) < 0 || digest_sha256(basis.data, basis.len, d, e) < 0)
		return -1;
	hex_of(d, DIGEST_LEN, hex);
	buf_puts(b, STATEMENT_FIRST "\n");
	put_head(b, h, f, hex);
	buf_puts(b, STATEMENT_SEPARATOR "\n");
	buf_put(b, basis.data, basis.len);
	if (b->len > STATEMENT_MAX)
		return err_set(e, ERR_PERMANENT, "statement for %s: longer than %u bytes", esc_s(f->stage), STATEMENT_MAX);
	return buf_finish(b, e);
}
