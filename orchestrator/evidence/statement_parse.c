#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "esc.h"
#include "scope.h"
#include "statement.h"
#include "statement_grammar.h"

const struct statement_rule statement_rules[LINE_COUNT] = {
	[LINE_NAMESPACE] = { "命名空间", "namespace", ONCE, FORM_TEXT },
	[LINE_PERSON] = { "签署人", "person", ONCE, FORM_NAME },
	[LINE_NAME] = { "姓名", "name", ONCE, FORM_TEXT },
	[LINE_PARTY] = { "一方", "party", ONCE, FORM_NAME },
	[LINE_VERDICT] = { "表态", "verdict", ONCE, FORM_NAME },
	[LINE_AT] = { "签署时间", "at", ONCE, FORM_TIME },
	[LINE_NOT_BEFORE] = { "有效自", "not-before", MAYBE, FORM_TIME },
	[LINE_NOT_AFTER] = { "有效至", "not-after", MAYBE, FORM_TIME },
	[LINE_REASON] = { "理由与条件", "reason", MAYBE, FORM_TEXT },
	[LINE_ATTACHED] = { "附件", "attached", MANY, FORM_ATTACHED },
	[LINE_BASIS] = { "依据摘要", "basis", ONCE, FORM_DIGEST },
	[LINE_PLAN] = { "计划", "plan", ONCE, FORM_NAME },
	[LINE_PLAN_DIGEST] = { "计划摘要", "plan-digest", ONCE, FORM_DIGEST },
	[LINE_KIND] = { "类别", "kind", ONCE, FORM_NAME },
	[LINE_TITLE] = { "标题", "title", MAYBE, FORM_TEXT },
	[LINE_STAGE] = { "阶段", "stage", ONCE, FORM_NAME },
	[LINE_ROUND] = { "轮次", "round", ONCE, FORM_NUMBER },
	[LINE_WINDOW] = { "窗口", "window", MAYBE, FORM_TEXT },
	[LINE_PACKAGE] = { "交接包", "package", MAYBE, FORM_DIGEST },
	[LINE_DATASET] = { "数据集", "dataset", MANY, FORM_DATASET },
	[LINE_METHOD] = { "清除方法", "method", MAYBE, FORM_NAME },
	[LINE_REQUIRE] = { "要求结论", "require", MAYBE, FORM_NAME },
	[LINE_RETAIN] = { "保存期至", "retain-until", MAYBE, FORM_TEXT },
	[LINE_OPERATOR] = { "操作人", "operator", MAYBE, FORM_TEXT },
	[LINE_VERIFIER] = { "核验人", "verifier", MAYBE, FORM_TEXT },
	[LINE_SCOPE] = { "清除范围", "scope", MAYBE, FORM_NUMBER },
	[LINE_SCOPE_ITEM] = { "", "", MANY, FORM_TEXT },	/* has a reader of its own */
	[LINE_DISCARD] = { "舍弃", "discard", MANY, FORM_PLACE_REASON },
	[LINE_SKIPPED] = { "不留副本即销毁", "destroyed-without-copy", MANY, FORM_PLACE_REASON },
	[LINE_SKIPPED_MORE] = { "其余不留副本", "destroyed-without-copy-more", MANY, FORM_MORE },
	[LINE_COPY] = { "其他副本", "copy", MANY, FORM_TEXT },
};

bool statement_has_datasets(const char *stage)
{
	return stage && (strcmp(stage, "package") == 0 || strcmp(stage, "accept") == 0 || strcmp(stage, "clear") == 0);
}

void statement_dispose(struct statement *s)
{
	char *own[] = { s->name_space, s->person, s->name, s->party, s->reason, s->basis, s->plan, s->plan_digest, s->stage };

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		free(own[i]);
	for (size_t i = 0; i < s->attachment_count; i++)
		free(s->attachments[i].name);
	free(s->attachments);
	*s = (struct statement)STATEMENT_INIT;
}

/* ---- the form of one value ---- */

static bool name_form(const char *s, size_t n)
{
	if (n == 0 || n > 64 || *s == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-'))
			return false;
	return true;
}

static bool digest_form(const char *s, size_t n)
{
	return n == 2 * DIGEST_LEN && strspn(s, "0123456789abcdef") >= n;
}

/* Decimal without leading zeros; moves *s behind it. */
static bool take_number(const char **s, const char *end, uint64_t *v)
{
	const char *p = *s;

	for (*v = 0; p < end && *p >= '0' && *p <= '9'; p++) {
		if (*v > (UINT64_MAX - 9) / 10)
			return false;
		*v = *v * 10 + (uint64_t)(*p - '0');
	}
	if (p == *s || (**s == '0' && p - *s > 1))
		return false;
	*s = p;
	return true;
}

static bool take_word(const char **s, const char *end, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(end - *s) < n || memcmp(*s, word, n) != 0)
		return false;
	*s += n;
	return true;
}

static bool take_digest(const char **s, const char *end)
{
	if (end - *s < 2 * DIGEST_LEN || !digest_form(*s, 2 * DIGEST_LEN))
		return false;
	*s += 2 * DIGEST_LEN;
	return true;
}

/* What follows up to a blank, at least one byte, and the blank. */
static bool take_name(const char **s, const char *end)
{
	const char *sp = memchr(*s, ' ', (size_t)(end - *s));

	if (!sp || !name_form(*s, (size_t)(sp - *s)))
		return false;
	*s = sp + 1;
	return true;
}

static bool dataset_form(const char *s, const char *end)
{
	uint64_t v;

	if (!take_name(&s, end) || !take_word(&s, end, "version=") || !take_number(&s, end, &v) || v == 0 ||
	    !take_word(&s, end, " entries=") || !take_number(&s, end, &v) || !take_word(&s, end, " bytes=") ||
	    !take_number(&s, end, &v) || !take_word(&s, end, " sha256=") || !take_digest(&s, end))
		return false;
	if (take_word(&s, end, " sm3=") && !take_digest(&s, end))
		return false;
	return s == end || (take_word(&s, end, " at=") && end - s > 2);
}

static bool place_reason_form(const char *s, const char *end)
{
	const char *sp;

	if (!take_name(&s, end))
		return false;
	sp = memchr(s, ' ', (size_t)(end - s));
	return sp && sp > s && take_word(&sp, end, " -- ");
}

static bool more_form(const char *s, const char *end)
{
	uint64_t v;

	return take_name(&s, end) && take_word(&s, end, "count=") && take_number(&s, end, &v) && v > 0 &&
	    take_word(&s, end, " sha256=") && take_digest(&s, end) && s == end;
}

static bool time_form(const char *s, size_t n, int64_t *t)
{
	char text[CLOCK_TEXT];

	if (n != 25)		/* 2026-11-28T22:00:00+08:00 */
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	return text[10] == 'T' && (text[19] == '+' || text[19] == '-') && clock_parse(text, NULL, t);
}

/* Written as esc.h writes it, so that nothing hidden or direction-changing can stand in a signed text. */
static bool escaped_form(const char *s, size_t n)
{
	OWN_BUF struct buf plain = BUF_INIT;
	OWN_BUF struct buf raw = BUF_INIT;
	OWN_BUF struct buf again = BUF_INIT;

	/* blanks of paths are escaped though esc.h would not */
	for (size_t i = 0; i < n; i++) {
		bool blank = n - i >= 4 && memcmp(s + i, "\\040", 4) == 0;

		buf_putc(&plain, blank ? ' ' : s[i]);
		i += blank ? 3 : 0;
	}
	if (n == 0 || plain.failed || !esc_undo(&raw, plain.data, plain.len) || raw.failed)
		return false;
	esc_put(&again, raw.data ? raw.data : "", raw.len);
	return !again.failed && again.len == plain.len && memcmp(again.data, plain.data, plain.len) == 0;
}

static bool value_form(enum statement_form form, const char *s, size_t n)
{
	const char *end = s + n, *p = s;
	int64_t t;
	uint64_t v;

	if (!escaped_form(s, n))
		return false;
	switch (form) {
	case FORM_TEXT: return true;
	case FORM_NAME: return name_form(s, n);
	case FORM_DIGEST: return digest_form(s, n);
	case FORM_NUMBER: return take_number(&p, end, &v) && p == end && v > 0;
	case FORM_TIME: return time_form(s, n, &t);
	case FORM_ATTACHED: return take_digest(&p, end) && take_word(&p, end, " ") && p < end;
	case FORM_DATASET: return dataset_form(s, end);
	case FORM_PLACE_REASON: return place_reason_form(s, end);
	case FORM_MORE: return more_form(s, end);
	}
	return false;
}

/* ---- lines ---- */

struct reader {
	struct statement *s;
	int at;				/* last line kind seen; -1 at the start */
	unsigned seen[LINE_COUNT];
	uint64_t scope_count, scope_left;	/* lines of the scope; those still to come */
	const char *scope;		/* first of them */
	unsigned number;
};

static int find_rule(const char *line, size_t n, const char **value)
{
	for (int k = 0; k < LINE_COUNT; k++) {
		const struct statement_rule *r = &statement_rules[k];
		size_t l = strlen(r->label), m = strlen(r->key);

		if (!m || n < l + 1 + m + 2 || memcmp(line, r->label, l) != 0 || line[l] != ' ' ||
		    memcmp(line + l + 1, r->key, m) != 0 || memcmp(line + l + 1 + m, ": ", 2) != 0)
			continue;
		*value = line + l + 1 + m + 2;
		return k;
	}
	return -1;
}

static int keep_attachment(struct statement *s, const char *v, size_t n, struct err *e)
{
	OWN_BUF struct buf name = BUF_INIT;
	struct statement_attachment *a = realloc(s->attachments, (s->attachment_count + 1) * sizeof(*a));

	if (!a)
		return err_sys(e, "statement");
	s->attachments = a;
	a += s->attachment_count;
	memcpy(a->digest, v, DIGEST_HEX - 1);
	a->digest[DIGEST_HEX - 1] = '\0';
	if (!esc_undo(&name, v + DIGEST_HEX, n - DIGEST_HEX) || !(a->name = buf_take(&name)))
		return err_set(e, ERR_INTEGRITY, "attachment");
	s->attachment_count++;
	return 0;
}

static int keep_verdict(struct statement *s, const char *v, size_t n, struct err *e)
{
	for (int k = SAYS_APPROVE; k <= SAYS_WITHDRAW; k++) {
		const char *w = statement_says_name((enum statement_says)k);

		if (strlen(w) == n && memcmp(w, v, n) == 0) {
			s->says = (enum statement_says)k;
			return 0;
		}
	}
	return err_set(e, ERR_INTEGRITY, "verdict is neither approve, refuse nor withdraw");
}

static int keep_string(char **out, const char *v, size_t n, struct err *e)
{
	OWN_BUF struct buf raw = BUF_INIT;

	if (!esc_undo(&raw, v, n) || (raw.len && memchr(raw.data, '\0', raw.len)))
		return err_set(e, ERR_INTEGRITY, "malformed escape");
	if (!(*out = buf_take(&raw)))
		return err_sys(e, "statement");
	return 0;
}

static int keep(struct reader *r, int k, const char *v, size_t n, struct err *e)
{
	struct statement *s = r->s;
	char hex[DIGEST_HEX];
	uint64_t count;

	switch (k) {
	case LINE_NAMESPACE: return keep_string(&s->name_space, v, n, e);
	case LINE_PERSON: return keep_string(&s->person, v, n, e);
	case LINE_NAME: return keep_string(&s->name, v, n, e);
	case LINE_PARTY: return keep_string(&s->party, v, n, e);
	case LINE_REASON: return keep_string(&s->reason, v, n, e);
	case LINE_PLAN: return keep_string(&s->plan, v, n, e);
	case LINE_PLAN_DIGEST: return keep_string(&s->plan_digest, v, n, e);
	case LINE_STAGE: return keep_string(&s->stage, v, n, e);
	case LINE_VERDICT: return keep_verdict(s, v, n, e);
	case LINE_ATTACHED: return keep_attachment(s, v, n, e);
	case LINE_AT: return time_form(v, n, &s->at) ? 0 : -1;
	case LINE_NOT_BEFORE: return time_form(v, n, &s->not_before) ? 0 : -1;
	case LINE_NOT_AFTER: return time_form(v, n, &s->not_after) ? 0 : -1;
	case LINE_SCOPE:
		(void)take_number(&v, v + n, &count);	/* checked by value_form */
		r->scope_left = r->scope_count = count;
		return 0;
	case LINE_BASIS:
		memcpy(hex, v, DIGEST_HEX - 1);
		hex[DIGEST_HEX - 1] = '\0';
		return hex_parse(hex, s->basis_digest, DIGEST_LEN) ? 0 : err_set(e, ERR_INTEGRITY, "basis is no digest");
	default: return 0;
	}
}

static int read_line(struct reader *r, const char *line, size_t n, struct err *e)
{
	const char *value = NULL;
	int k;

	if (r->scope_left) {
		if (!r->scope)
			r->scope = line;
		r->scope_left--;
		return 0;		/* judged as a whole by scope_parse */
	}
	k = find_rule(line, n, &value);
	if (k < 0)
		return err_set(e, ERR_INTEGRITY, "not a line of a statement");
	if (k < r->at || (k == r->at && statement_rules[k].times != MANY))
		return err_set(e, ERR_INTEGRITY, "%s stands out of order", statement_rules[k].key);
	if (!value_form(statement_rules[k].form, value, n - (size_t)(value - line)))
		return err_set(e, ERR_INTEGRITY, "%s has a value that is none", statement_rules[k].key);
	r->at = k;
	r->seen[k]++;
	return keep(r, k, value, n - (size_t)(value - line), e);
}

/* Lines of one part; every one must be ended. */
static int read_part(struct reader *r, const char *p, const char *end, int first, int last, struct err *e)
{
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		r->number++;
		if (!nl)
			return err_set(e, ERR_INTEGRITY, "line %u: not ended", r->number);
		if (read_line(r, p, (size_t)(nl - p), e) < 0)
			return err_at(e, "line %u", r->number);
		if (r->at < first || r->at > last)
			return err_set(e, ERR_INTEGRITY, "line %u: %s stands in the wrong part", r->number, statement_rules[r->at].key);
		p = nl + 1;
	}
	for (int k = first; k <= last; k++)
		if (statement_rules[k].times == ONCE && !r->seen[k])
			return err_set(e, ERR_INTEGRITY, "%s is missing", statement_rules[k].key);
	return 0;
}

/* What each stage must have and must not have. */
static int check_stage(const struct reader *r, const char *end, struct err *e)
{
	OWN_SCOPE struct scope scope = SCOPE_INIT;
	OWN_FREE char *lines = NULL;
	const struct statement *s = r->s;
	bool clear = strcmp(s->stage, "clear") == 0;

	if (strcmp(s->name_space, statement_namespace(s->stage)) != 0)
		return err_set(e, ERR_INTEGRITY, "namespace %s is not that of stage %s", esc_s(s->name_space), s->stage);
	if (statement_has_datasets(s->stage) != (r->seen[LINE_DATASET] > 0))
		return err_set(e, ERR_INTEGRITY, "stage %s: datasets are %s", s->stage, r->seen[LINE_DATASET] ? "not its matter" : "missing");
	if (r->seen[LINE_PACKAGE] && (clear || !r->seen[LINE_DATASET]))
		return err_set(e, ERR_INTEGRITY, "stage %s: package is not its matter", s->stage);
	for (int k = LINE_METHOD; k <= LINE_COPY; k++)
		if (!clear && r->seen[k])
			return err_set(e, ERR_INTEGRITY, "stage %s: %s is not its matter", s->stage, statement_rules[k].key);
	if (!clear)
		return 0;
	if (!r->seen[LINE_METHOD] || !r->seen[LINE_SCOPE] || r->scope_left)
		return err_set(e, ERR_INTEGRITY, "clear: method or scope is missing or cut short");
	if (!(lines = strndup(r->scope, (size_t)(end - r->scope))))
		return err_sys(e, "statement");
	if (scope_parse(&scope, lines, e) < 0)
		return -1;
	/* every other line has a label, so the scope's own are all that it can have found */
	if (scope.n != r->scope_count)
		return err_set(e, ERR_INTEGRITY, "scope: a line is none of a scope");
	return 0;
}

static const char *find_separator(const char *text, const char *end)
{
	static const char sep[] = "\n" STATEMENT_SEPARATOR "\n";
	const char *p = memmem(text, (size_t)(end - text), sep, sizeof(sep) - 1);

	return p ? p + sizeof(sep) - 1 : NULL;
}

static int parse(const char *text, size_t n, struct statement *s, struct err *e)
{
	const char *end = text + n, *basis = find_separator(text, end), *p = text;
	struct reader r = { .s = s, .at = -1, .number = 1 };
	uint8_t d[DIGEST_LEN];

	if (n > STATEMENT_MAX || memchr(text, '\0', n))
		return err_set(e, ERR_INTEGRITY, "too long, or not a text");
	if (!take_word(&p, end, STATEMENT_FIRST "\n"))
		return err_set(e, ERR_INTEGRITY, "does not begin with \"" STATEMENT_FIRST "\"");
	if (!basis)
		return err_set(e, ERR_INTEGRITY, "the separator line is missing");
	if (read_part(&r, p, basis - sizeof(STATEMENT_SEPARATOR), 0, LINE_BASIS, e) < 0)
		return -1;
	r.number++;
	if (read_part(&r, basis, end, LINE_FIRST_OF_BASIS, LINE_COPY, e) < 0 || check_stage(&r, end, e) < 0)
		return -1;
	if (digest_sha256(basis, (size_t)(end - basis), d, e) < 0)
		return -1;
	if (memcmp(d, s->basis_digest, DIGEST_LEN) != 0)
		return err_set(e, ERR_INTEGRITY, "what stands below the separator is not what basis says");
	if (!(s->basis = strndup(basis, (size_t)(end - basis))))
		return err_sys(e, "statement");
	return 0;
}

int statement_parse(const char *text, size_t n, struct statement *s, struct err *e)
{
	OWN_FREE char *copy = NULL;

	*s = (struct statement)STATEMENT_INIT;
	if (!(copy = strndup(text ? text : "", n)))	/* so that a NUL stops every search below */
		return err_sys(e, "statement");
	if (strlen(copy) != n)
		return err_set(e, ERR_INTEGRITY, "statement: not a text");
	if (parse(copy, n, s, e) < 0) {
		statement_dispose(s);
		e->class = e->class == ERR_TEMPORARY ? ERR_TEMPORARY : ERR_INTEGRITY;
		return err_at(e, "statement");
	}
	return 0;
}

/* ---- comparing ---- */

int statement_basis_lines(const char *basis, int (*fn)(void *ctx, const char *keyword, size_t klen, const char *value, size_t vlen), void *ctx)
{
	int r = 0;

	for (const char *p = basis; *p && r == 0; ) {
		size_t n = strcspn(p, "\n");
		const char *value = NULL, *colon = memchr(p, ':', n);
		int k = find_rule(p, n, &value);

		if (k >= 0)
			r = fn(ctx, statement_rules[k].key, strlen(statement_rules[k].key), value, n - (size_t)(value - p));
		else if (colon && colon + 2 <= p + n)
			r = fn(ctx, p, (size_t)(colon - p), colon + 2, n - (size_t)(colon + 2 - p));
		p += n + (p[n] == '\n');
	}
	return r;
}

/* At most n bytes of s, never ending inside a character. */
static int cut(const char *s, size_t len, size_t n)
{
	if (len <= n)
		return (int)len;
	while (n && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return (int)n;
}

static void say_difference(const char *was, size_t a, const char *is, size_t b, char why[256])
{
	const char *v = NULL, *w = NULL;
	int k = find_rule(was, a, &v), m = find_rule(is, b, &w);

	if (k >= 0 && k == m)
		(void)snprintf(why, 256, "%s was %.*s, now it is %.*s", statement_rules[k].key, cut(v, a - (size_t)(v - was), 90), v,
		    cut(w, b - (size_t)(w - is), 90), w);
	else if (m > k || !b)
		(void)snprintf(why, 256, "\"%.*s\" is no longer part of it", cut(was, a, 180), was);
	else
		(void)snprintf(why, 256, "\"%.*s\" was not part of it", cut(is, b, 180), is);
}

bool statement_basis_differs(const char *was, const char *is, char why[256])
{
	size_t a, b;

	while (*was || *is) {
		a = strcspn(was, "\n");
		b = strcspn(is, "\n");
		if (a != b || memcmp(was, is, a) != 0) {
			say_difference(was, a, is, b, why);
			return true;
		}
		was += a + (was[a] == '\n');
		is += b + (is[b] == '\n');
	}
	return false;
}
