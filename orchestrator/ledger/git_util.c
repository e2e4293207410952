#include "esc.h"
#include "ledger_private.h"
#include "sha1.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int started;

/* Options are of the process and some are looked at when a repository opens, so they come first and once. */
static void start(void)
{
	static const int levels[] = { GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_GLOBAL, GIT_CONFIG_LEVEL_XDG };

	started = git_libgit2_init();
	for (size_t i = 0; started > 0 && i < sizeof(levels) / sizeof(levels[0]); i++)
		if (git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "") < 0)
			started = -1;
	if (started < 0 || git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1) < 0 ||
	    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0) < 0 ||
	    /* One look-up an entry otherwise; our trees are made of objects that were just written. */
	    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_OBJECT_CREATION, 0) < 0)
		started = -1;
}

int ledger_start(struct err *e)
{
	if (pthread_once(&once, start) != 0 || started < 0)
		return err_set(e, ERR_PERMANENT, "libgit2 cannot be started");
	return 0;
}

static enum err_class class_of(int rc, const git_error *g)
{
	if (rc == GIT_ELOCKED || rc == GIT_EMODIFIED || (g && g->klass == GIT_ERROR_NOMEMORY))
		return ERR_TEMPORARY;
	/* libgit2 keeps no errno, only its text. */
	if (g && g->message && (strstr(g->message, strerror(ENOSPC)) || strstr(g->message, strerror(EDQUOT)) ||
	    strstr(g->message, strerror(EIO)) || strstr(g->message, strerror(EMFILE))))
		return ERR_TEMPORARY;
	if (rc == GIT_ENOTFOUND || rc == GIT_EMISMATCH ||
	    (g && (g->klass == GIT_ERROR_ODB || g->klass == GIT_ERROR_ZLIB || g->klass == GIT_ERROR_OBJECT ||
	    g->klass == GIT_ERROR_TREE || g->klass == GIT_ERROR_INDEXER)))
		return ERR_INTEGRITY;
	return ERR_PERMANENT;
}

int git_fail(struct err *e, int rc, const char *fmt, ...)
{
	const git_error *g = git_error_last();
	char what[256], said[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	esc_into(said, sizeof(said), g && g->message ? g->message : "no reason given",
	    g && g->message ? strlen(g->message) : 15);
	err_set(e, class_of(rc, g), "ledger: %s: %s", what, said);
	git_error_clear();
	return e->class == ERR_INTEGRITY ? err_hint(e, "git fsck in ledger.git says more; a copy of the ledger has what is damaged") : -1;
}

static bool is_name_char(char c, bool dash_first)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && !dash_first);
}

bool ledger_plan_ok(const char *p)
{
	size_t n = strlen(p);

	if (n == 0 || n > 64)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_name_char(p[i], i == 0))
			return false;
	return true;
}

bool ledger_word_ok(const char *w)
{
	if (!w || !ledger_plan_ok(w))
		return false;
	for (; *w; w++)
		if (*w >= '0' && *w <= '9')
			return false;
	return true;
}

static bool component_ok(const char *p, size_t n)
{
	if (n == 0 || n > 200 || (n >= 4 && strncasecmp(p, ".git", 4) == 0))
		return false;
	if (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.')))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_name_char(p[i], false) && !(p[i] >= 'A' && p[i] <= 'Z') && p[i] != '.' && p[i] != '_')
			return false;
	return true;
}

bool ledger_path_ok(const char *path)
{
	size_t depth = 0, n;

	if (strlen(path) >= LEDGER_PATH_MAX)
		return false;
	for (const char *p = path;; p += n + 1) {
		n = strcspn(p, "/");
		if (!component_ok(p, n) || ++depth > LEDGER_DEPTH_MAX)
			return false;
		if (!p[n])
			return true;
	}
}

int git_name(git_oid *id, git_object_t type, const void *p, size_t n, struct err *e)
{
	OWN(sha1_freep) struct sha1 *sum = sha1_new();
	uint8_t d[SHA1_LEN];
	char head[40];
	int len = snprintf(head, sizeof(head), "%s %zu", git_object_type2string(type), n);

	if (!sum)
		return err_set(e, ERR_PERMANENT, "SHA-1 is not available from the OpenSSL library");
	sha1_update(sum, head, (size_t)len + 1);
	sha1_update(sum, p, n);
	sha1_final(sum, d);
	memcpy(id->id, d, sizeof(id->id));
	return 0;
}
