#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "path.h"
#include "scalar.h"
#include "schema.h"

static const char *copy_text(struct reader *r, const struct ynode *n)
{
	return reader_strndup(r, n->text, strlen(n->text));
}

static void put_text(void *at, const char *s) { memcpy(at, &s, sizeof(s)); }

static void read_text(struct reader *r, const struct field *f, void *at, const struct ynode *n)
{
	if (!node_scalar(r, n, "text"))
		return;
	if (!*n->text) {
		node_fault(r, n, NULL, "\"%s\" must not be empty", f->key);
		return;
	}
	if (scalar_has_control(n->text)) {
		node_fault(r, n, NULL, "\"%s\" must be one line without control characters", f->key);
		return;
	}
	put_text(at, copy_text(r, n));
}

static void read_name(struct reader *r, void *at, const struct ynode *n)
{
	if (!node_scalar(r, n, "a name"))
		return;
	if (!scalar_is_name(n->text))
		node_fault(r, n, "small letters, digits and '-', at most 64, not beginning with '-'",
		    "\"%s\" cannot be a name", n->text);
	else
		put_text(at, copy_text(r, n));
}

static void read_bool(struct reader *r, void *at, const struct ynode *n)
{
	static const char *const words[] = { "yes", "no", "true", "false", NULL };
	const char *hint;
	char h[128];
	bool v;

	if (!node_scalar(r, n, "yes or no"))
		return;
	if (scalar_bool(n->text, &v)) {
		memcpy(at, &v, sizeof(v));
		return;
	}
	hint = hint_for_word(n->text, words, h);
	node_fault(r, n, hint ? hint : "write yes, no, true or false in small letters",
	    "expected yes or no, found \"%s\"", n->text);
}

static void range_fault(struct reader *r, const struct field *f, const struct ynode *n, const char *unit)
{
	node_fault(r, n, NULL, "\"%s\" must be from %lld to %lld%s, not \"%s\"", f->key, (long long)f->min,
	    (long long)f->max, unit, n->text);
}

static void read_int(struct reader *r, const struct field *f, void *at, const struct ynode *n)
{
	int64_t v;
	int i;

	if (!node_scalar(r, n, "a whole number"))
		return;
	if (!scalar_int(n->text, &v)) {
		node_fault(r, n, NULL, "expected a whole number, found \"%s\"", n->text);
		return;
	}
	if (v < f->min || v > f->max) {
		range_fault(r, f, n, "");
		return;
	}
	i = (int)v;
	memcpy(at, &i, sizeof(i));
}

static void read_duration(struct reader *r, const struct field *f, void *at, const struct ynode *n)
{
	int64_t v;
	int i;

	if (!node_scalar(r, n, "a duration such as 60s, 5m, 2h or 30d"))
		return;
	if (!scalar_duration(n->text, &v)) {
		node_fault(r, n, "a number and s, m, h or d: 60s, 5m, 2h, 30d", "\"%s\" is not a duration", n->text);
		return;
	}
	if (v < f->min || v > f->max) {
		range_fault(r, f, n, " seconds");
		return;
	}
	i = (int)v;
	if (f->type == F_SECONDS)
		memcpy(at, &i, sizeof(i));
	else
		memcpy(at, &v, sizeof(v));
}

static void read_size(struct reader *r, const struct field *f, void *at, const struct ynode *n)
{
	uint64_t v;

	if (!node_scalar(r, n, "a size such as 20MB or 1GiB"))
		return;
	if (!scalar_size(n->text, &v))
		node_fault(r, n, "a whole number and B, kB, MB, GB, TB, KiB, MiB, GiB or TiB", "\"%s\" is not a size",
		    n->text);
	else if (v < (uint64_t)f->min || v > (uint64_t)f->max)
		range_fault(r, f, n, " bytes");
	else
		memcpy(at, &v, sizeof(v));
}

static void read_rate(struct reader *r, void *at, const struct ynode *n)
{
	uint64_t v;

	if (!node_scalar(r, n, "a rate such as 20MB/s"))
		return;
	if (scalar_rate(n->text, &v))
		memcpy(at, &v, sizeof(v));
	else
		node_fault(r, n, "a size and \"/s\", such as 20MB/s, or off", "\"%s\" is not a rate", n->text);
}

static void read_percent(struct reader *r, void *at, const struct ynode *n)
{
	int v;

	if (!node_scalar(r, n, "a share such as 10%"))
		return;
	if (scalar_percent(n->text, &v))
		memcpy(at, &v, sizeof(v));
	else
		node_fault(r, n, "write 10% (0% to 100%)", "\"%s\" is not a share", n->text);
}

static void read_time(struct reader *r, void *at, const struct ynode *n)
{
	int64_t v;

	if (!node_scalar(r, n, "a time such as 2026-11-28 22:00"))
		return;
	if (clock_parse(n->text, r->zone, &v))
		memcpy(at, &v, sizeof(v));
	else
		node_fault(r, n, "YYYY-MM-DD or YYYY-MM-DD HH:MM[:SS], optionally with +08:00",
		    "\"%s\" is not a time", n->text);
}

static void read_window(struct reader *r, void *at, const struct ynode *n)
{
	struct plan_window w = { .given = true };
	OWN_FREE char *text = NULL;
	char *slash;

	if (!node_scalar(r, n, "\"T1 / T2\""))
		return;
	if (!(text = strdup(n->text))) {
		r->src.out->out_of_memory = true;
		return;
	}
	slash = strstr(text, " / ");
	if (slash)
		*slash = '\0';
	if (!slash || !clock_parse(text, r->zone, &w.start) || !clock_parse(slash + 3, r->zone, &w.end))
		node_fault(r, n, "two times with \" / \" between them: \"2026-11-28 22:00 / 2026-11-29 04:00\"",
		    "\"%s\" is not a window", n->text);
	else if (w.start >= w.end)
		node_fault(r, n, NULL, "the window ends before it begins");
	else
		memcpy(at, &w, sizeof(w));
}

static void read_word(struct reader *r, const struct field *f, void *at, const struct ynode *n)
{
	const char *const *words = f->arg;
	char list[256] = "", h[128];
	const char *hint;
	size_t len = 0;

	for (int i = 0; words[i] && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ",
		    words[i]);
	if (!node_scalar(r, n, list))
		return;
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], n->text) == 0) {
			memcpy(at, &i, sizeof(i));
			return;
		}
	hint = hint_for_word(n->text, words, h);
	node_fault(r, n, hint, "expected %s, found \"%s\"", list, n->text);
}

bool node_no_password(struct reader *r, const struct ynode *n)
{
	static const char *const openers[] = { "--password=", "--passwd=", "--token=", "PGPASSWORD=", "MYSQL_PWD=" };
	const char *scheme = strstr(n->text, "://"), *at, *colon;

	for (size_t i = 0; i < sizeof(openers) / sizeof(openers[0]); i++)
		if (strncmp(n->text, openers[i], strlen(openers[i])) == 0)
			goto inline_password;
	if (!scheme)
		return true;
	scheme += 3;
	at = memchr(scheme, '@', strcspn(scheme, "/ "));
	colon = at ? memchr(scheme, ':', (size_t)(at - scheme)) : NULL;
	if (!colon || colon + 1 == at)
		return true;
inline_password:
	node_fault(r, n, "name it under secrets: and pass secret:NAME in env or with", "a password stands here in clear");
	return false;
}

static bool item_is_good(struct reader *r, const struct field *f, const struct ynode *n)
{
	if (!node_scalar(r, n, f->type == F_REFS ? "a name" : f->type == F_GLOBS ? "a pattern" : "text"))
		return false;
	/* A leading slash anchors a pattern at the root, as rsync has it. */
	if (f->type == F_GLOBS && !scalar_is_beneath(n->text + (n->text[0] == '/'))) {
		node_fault(r, n, "patterns are relative to the dataset's root, such as \"cache/**\", or \"/cache\" for the one in the root",
		    "\"%s\" does not lie beneath the dataset's root", n->text);
		return false;
	}
	if (f->type == F_ARGV && !node_no_password(r, n))
		return false;
	return true;
}

static void read_strings(struct reader *r, const struct field *f, void *at, const struct ynode *n)
{
	struct plan_strings out = { NULL, 0 };
	const struct ynode *first = n->kind == Y_LIST ? n->first : n;
	const char **v;

	if (n->kind == Y_MAP || n->null || (f->type == F_ARGV && n->kind != Y_LIST)) {
		node_fault(r, n, f->type == F_ARGV ? "write each word of the command apart: [pg_dump, -Fc, wxzj]" : NULL,
		    "expected a list, found %s", node_found(n));
		return;
	}
	if (n->kind == Y_LIST && n->count == 0 && f->min > 0) {
		node_fault(r, n, NULL, "\"%s\" must not be empty", f->key);
		return;
	}
	if (!(v = reader_alloc(r, (n->kind == Y_LIST ? n->count : 1) * sizeof(*v))))
		return;
	for (const struct ynode *c = first; c; c = n->kind == Y_LIST ? c->next : NULL) {
		if (!item_is_good(r, f, c))
			continue;
		v[out.n] = copy_text(r, c);
		if (f->type == F_REFS)
			reader_ref(r, (enum ref_kind)f->arg2, v[out.n], c);
		out.n++;
	}
	out.v = v;
	memcpy(at, &out, sizeof(out));
}

static void read_ref(struct reader *r, const struct field *f, void *at, const struct ynode *n)
{
	const char *name;

	if (!node_scalar(r, n, "a name"))
		return;
	name = copy_text(r, n);
	put_text(at, name);
	reader_ref(r, (enum ref_kind)f->arg2, name, n);
}

/* A clean absolute path without trailing slashes, or NULL and a fault. */
static const char *absolute_path(struct reader *r, const struct ynode *n, const char *path, const char *host)
{
	size_t len = strlen(path);
	const char *clean;
	OWN_BUF struct buf hint = BUF_INIT;

	while (len > 1 && path[len - 1] == '/')
		len--;
	clean = reader_strndup(r, path, len);
	if (path[0] != '/') {
		buf_printf(&hint, "write the whole path: \"%s%s/...\"", host ? host : "", host ? ":" : "");
		node_fault(r, n, buf_finish(&hint, &(struct err)ERR_INIT) < 0 ? NULL : hint.data,
		    "\"%s\" is a relative path; paths on hosts are absolute", path);
		return NULL;
	}
	if (scalar_has_control(clean) || !path_is_clean_absolute(clean)) {
		node_fault(r, n, "no \".\", \"..\" or \"//\" and no control characters",
		    "\"%s\" is not a clean path", path);
		return NULL;
	}
	return clean;
}

bool value_place(struct reader *r, const struct ynode *n, struct plan_place *out)
{
	const char *colon;
	struct plan_place p;

	if (!node_scalar(r, n, "HOST:/PATH"))
		return false;
	colon = strchr(n->text, ':');
	if (!colon || colon == n->text) {
		node_fault(r, n, n->text[0] == '/' ? "for this machine write local:/PATH" : "such as \"old:/srv/www\"",
		    "expected HOST:/PATH, found \"%s\"", n->text);
		return false;
	}
	p.host = reader_strndup(r, n->text, (size_t)(colon - n->text));
	reader_ref(r, REF_HOST, p.host, n);
	p.path = absolute_path(r, n, colon + 1, p.host);
	if (!p.path)
		return false;
	*out = p;
	return true;
}

static void read_hostplace(struct reader *r, void *at, const struct ynode *n)
{
	struct plan_place p = { NULL, NULL };

	if (!node_scalar(r, n, "the name of a host"))
		return;
	p.host = copy_text(r, n);
	reader_ref(r, REF_HOST, p.host, n);
	memcpy(at, &p, sizeof(p));
}

static void read_beneath(struct reader *r, void *at, const struct ynode *n)
{
	size_t len = strlen(n->text);

	if (!node_scalar(r, n, "a path"))
		return;
	if (!scalar_is_beneath(n->text)) {
		node_fault(r, n, "relative to the dataset's root, such as \"cache/old\"",
		    "\"%s\" does not lie beneath the dataset's root", n->text);
		return;
	}
	if (len > 1 && n->text[len - 1] == '/')
		len--;
	put_text(at, reader_strndup(r, n->text, len));
}

static void read_file_name(struct reader *r, void *at, const struct ynode *n)
{
	OWN_FREE char *path = NULL;

	if (!node_scalar(r, n, "the name of a file"))
		return;
	/* sha256sum(1) writes names with a backslash or a newline in another way; plans do without them. */
	if (scalar_has_control(n->text) || strchr(n->text, '\\') || !*n->text) {
		node_fault(r, n, NULL, "a file named in a plan must have no control characters and no backslash");
		return;
	}
	if (!(path = plan_file_path(r->plan, n->text))) {
		r->src.out->out_of_memory = true;
		return;
	}
	if (!r->recorded && access(path, R_OK) != 0) {
		node_fault(r, n, "files named in a plan are relative to the plan", "the file %s cannot be read: %s", path,
		    strerror(errno));
		return;
	}
	put_text(at, copy_text(r, n));
}

/* Does a variable of that name usually hold a secret? */
static bool name_is_secret(const char *name)
{
	static const char *const words[] = { "passw", "pwd", "secret", "token", "credential", "apikey", "api_key",
		"private_key" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(name, words[i]))
			return true;
	return false;
}

static void read_pair(struct reader *r, const struct field *f, const struct ynode *c, struct plan_pair *out)
{
	out->name = copy_text(r, c->key);
	out->value = "";
	if (c->kind != Y_SCALAR) {
		node_fault(r, c, NULL, "expected text for \"%s\", found %s", c->key->text, node_found(c));
		return;
	}
	if (f->arg2 && (strchr(c->key->text, '=') || scalar_has_control(c->key->text)))
		node_fault(r, c->key, NULL, "\"%s\" cannot be the name of a variable", c->key->text);
	out->value = copy_text(r, c);
	if (strncmp(c->text, "secret:", 7) == 0)
		reader_ref(r, REF_SECRET, out->value + 7, c);
	else if (*c->text && name_is_secret(c->key->text))
		node_fault(r, c, "name it under secrets: and write secret:NAME here", "a password stands here in clear");
	else
		(void)node_no_password(r, c);	/* notes the fault itself */
}

static void read_pairs(struct reader *r, const struct field *f, void *at, const struct ynode *n)
{
	struct plan_pairs out = { NULL, 0 };
	struct plan_pair *v;

	if (!node_map(r, n, "a map of NAME: text"))
		return;
	if (!(v = reader_alloc(r, n->count * sizeof(*v))))
		return;
	for (const struct ynode *c = n->first; c; c = c->next)
		read_pair(r, f, c, &v[out.n++]);
	out.v = v;
	memcpy(at, &out, sizeof(out));
}

void value_read(struct reader *r, const struct field *f, void *at, const struct ynode *n)
{
	struct plan_place place = { NULL, NULL };

	switch (f->type) {
	case F_TEXT: read_text(r, f, at, n); break;
	case F_NAME: read_name(r, at, n); break;
	case F_BOOL: read_bool(r, at, n); break;
	case F_INT: read_int(r, f, at, n); break;
	case F_SECONDS:
	case F_DURATION: read_duration(r, f, at, n); break;
	case F_SIZE: read_size(r, f, at, n); break;
	case F_RATE: read_rate(r, at, n); break;
	case F_PERCENT: read_percent(r, at, n); break;
	case F_TIME: read_time(r, at, n); break;
	case F_WINDOW: read_window(r, at, n); break;
	case F_WORD: read_word(r, f, at, n); break;
	case F_STRINGS:
	case F_GLOBS:
	case F_ARGV:
	case F_REFS: read_strings(r, f, at, n); break;
	case F_REF: read_ref(r, f, at, n); break;
	case F_PLACE:
		if (value_place(r, n, &place))
			memcpy(at, &place, sizeof(place));
		break;
	case F_HOSTPLACE: read_hostplace(r, at, n); break;
	case F_BENEATH: read_beneath(r, at, n); break;
	case F_ABSOLUTE:
		if (node_scalar(r, n, "an absolute path"))
			put_text(at, absolute_path(r, n, n->text, NULL));
		break;
	case F_FILE: read_file_name(r, at, n); break;
	case F_PAIRS: read_pairs(r, f, at, n); break;
	case F_STRUCT:
	case F_MAP:
	case F_LIST:
	case F_CUSTOM: break;	/* schema_read_value's */
	}
}
