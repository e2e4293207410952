/*
 * A run can be killed after its package got its name and before the ledger was told.  What lies there is taken for that package
 * only when it says so itself (plan, digest, round, versions and roots as they stand now) and every byte of it agrees.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "audit.h"
#include "esc.h"
#include "io.h"
#include "package_internal.h"

#define JSON_MAX (1u << 20)
#define TAGS_MAX (64u << 20)

/* A file of the bag: 1, 0 = not there, -1. */
static int read_file(const char *dir, const char *name, size_t limit, struct buf *b, struct err *e)
{
	OWN_FREE char *path = NULL;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return err_sys(e, "package");
	if (io_read_file(AT_FDCWD, path, limit, b, e) == 0)
		return 1;
	if (e->sys != ENOENT && e->sys != ENOTDIR)
		return -1;
	err_clear(e);
	return 0;
}

static bool same_text(const json_t *j, const char *key, const char *want)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s && strcmp(s, want) == 0;
}

/* Would this run write the same package? */
static bool is_ours(struct run *r, const json_t *j)
{
	struct package_result none = { .path = NULL };
	json_t *now = package_json(r, &none);
	bool same = same_text(j, "plan", r->plan->name) && same_text(j, "plan_digest", r->plan_digest) &&
	    json_integer_value(json_object_get(j, "round")) == (json_int_t)r->standing.round &&
	    json_equal(json_object_get(j, "datasets"), json_object_get(now, "datasets"));

	json_decref(now);
	return same;
}

static bool is_whole(const char *dir)
{
	OWN_AUDIT_REPORT struct audit_report report = AUDIT_REPORT_INIT;
	struct audit_options o = { .path = dir, .full = true };
	struct err e = ERR_INIT;

	return audit_run(&o, &report, &e) == 0 && audit_exit_code(&report) == 0;
}

int package_adopt(struct run *r, const char *dir, struct package_result *out, struct err *e)
{
	OWN_BUF struct buf text = BUF_INIT, tags = BUF_INIT;
	uint8_t digest[DIGEST_LEN];
	json_t *j;
	int got = read_file(dir, "waybill/package.json", JSON_MAX, &text, e);

	if (got <= 0 || !(j = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL)))
		return got < 0 ? -1 : 0;
	got = is_ours(r, j) && is_whole(dir);
	out->files = (uint64_t)json_integer_value(json_object_get(j, "files"));
	out->bytes = (uint64_t)json_integer_value(json_object_get(j, "bytes"));
	json_decref(j);
	if (!got || (got = read_file(dir, "tagmanifest-sha256.txt", TAGS_MAX, &tags, e)) <= 0)
		return got;
	if (digest_sha256(tags.data, tags.len, digest, e) < 0)
		return -1;
	hex_of(digest, DIGEST_LEN, out->digest);
	out->path = strdup(dir);
	return out->path ? 1 : err_sys(e, "package");
}
