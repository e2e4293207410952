/* The bag: its files, manifests and tags (RFC 8493). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "esc.h"
#include "io.h"
#include "package_internal.h"
#include "sys.h"

int bag_file_open(struct bag *b, const char *name, struct bag_file *f, struct err *e)
{
	const char *slash = strrchr(name, '/');

	*f = (struct bag_file){ .bag = b, .fd = -1 };
	(void)snprintf(f->name, sizeof(f->name), "%s", name);
	if (slash) {
		OWN_FREE char *dir = strndup(name, (size_t)(slash - name));

		if (!dir || io_mkdirs(b->dirfd, dir, 0755, e) < 0)
			return -1;
	}
	f->fd = openat(b->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	f->sha256 = digest_new(DIGEST_SHA256);
	f->sm3 = digest_new(DIGEST_SM3);
	if (f->fd < 0 || !f->sha256 || !f->sm3) {
		err_sys(e, "create %s in the package", name);
		bag_file_abandon(f);
		return -1;
	}
	return 0;
}

int bag_file_write(struct bag_file *f, const void *p, size_t n, struct err *e)
{
	digest_update(f->sha256, p, n);
	digest_update(f->sm3, p, n);
	f->bytes += n;
	return io_write_all("package", f->fd, p, n, f->name, e);
}

static void add_line(struct buf *b, struct digest *d, const char *name)
{
	uint8_t raw[DIGEST_LEN];
	char hex[DIGEST_HEX];

	digest_final(d, raw);
	hex_of(raw, DIGEST_LEN, hex);
	buf_printf(b, "%s  %s\n", hex, name);
}

int bag_file_close(struct bag_file *f, struct err *e)
{
	struct bag *b = f->bag;
	bool payload = strncmp(f->name, "data/", 5) == 0;
	int r = 0;

	if (sys_fsync("package", f->fd) < 0 || close(take_fd(&f->fd)) < 0)
		r = err_sys(e, "write %s in the package", f->name);
	add_line(payload ? &b->manifest_sha256 : &b->tag_sha256, f->sha256, f->name);
	if (payload) {
		add_line(&b->manifest_sm3, f->sm3, f->name);
		b->files++;
		b->bytes += f->bytes;
	}
	bag_file_abandon(f);
	return r;
}

void bag_file_abandon(struct bag_file *f)
{
	if (f->fd >= 0)
		(void)close(take_fd(&f->fd));
	digest_free(take_ptr(&f->sha256));
	digest_free(take_ptr(&f->sm3));
}

int bag_put(struct bag *b, const char *name, unsigned mode, const void *p, size_t n, struct err *e)
{
	OWN(bag_file_abandon) struct bag_file f;

	if (bag_file_open(b, name, &f, e) < 0)
		return -1;
	if (fchmod(f.fd, (mode_t)mode) < 0)
		return err_sys(e, "mode of %s", name);
	return bag_file_write(&f, p, n, e) < 0 ? -1 : bag_file_close(&f, e);
}

static int put_text(struct bag *b, const char *name, const struct buf *t, struct err *e)
{
	return buf_finish(t, e) < 0 ? -1 : bag_put(b, name, 0644, t->data ? t->data : "", t->len, e);
}

/* A value of bag-info.txt is one line. */
static void info(struct buf *t, const char *label, const char *value)
{
	if (!value)
		return;
	buf_printf(t, "%s: ", label);
	esc_put(t, value, strlen(value));
	buf_putc(t, '\n');
}

static int put_info(struct bag *b, struct err *e)
{
	OWN_BUF struct buf t = BUF_INIT;
	const struct plan *p = b->r->plan;
	const struct plan_party *owner = plan_party(p, "department");
	char at[CLOCK_TEXT], oxum[64], size[64];

	(void)snprintf(oxum, sizeof(oxum), "%" PRIu64 ".%" PRIu64, b->bytes, b->files);
	(void)snprintf(size, sizeof(size), "%.3f GB", (double)b->bytes / 1e9);
	info(&t, "Source-Organization", owner ? owner->name : NULL);
	info(&t, "External-Description", p->title);
	info(&t, "External-Identifier", p->name);
	clock_text(clock_now_ns() / 1000000000, p->timezone, at);
	at[10] = '\0';
	info(&t, "Bagging-Date", at);
	info(&t, "Bag-Size", size);
	info(&t, "Payload-Oxum", oxum);
	info(&t, "Bag-Software-Agent", "waybill " WAYBILL_VERSION);
	return put_text(b, "bag-info.txt", &t, e);
}

static int put_package_json(struct bag *b, struct err *e)
{
	struct package_result so_far = { .files = b->files, .bytes = b->bytes };	/* the payload is complete; the number cannot be in it */
	json_t *j = package_json(b->r, &so_far);
	OWN_FREE char *text = NULL;

	(void)json_object_del(j, "package");
	(void)json_object_set_new(j, "format", json_string("waybill-package 1"));
	(void)json_object_set_new(j, "plan", json_string(b->r->plan->name));
	(void)json_object_set_new(j, "plan_digest", json_string(b->r->plan_digest));
	(void)json_object_set_new(j, "commit", json_string(b->r->standing.head));
	(void)json_object_set_new(j, "round", json_integer((json_int_t)b->r->standing.round));
	text = json_dumps(j, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(j);
	if (!text)
		return err_set(e, ERR_BUG, "package.json");
	return bag_put(b, "waybill/package.json", 0644, text, strlen(text), e);
}

static int put_ledger_file(struct bag *b, const char *path, const char *as, struct err *e)
{
	OWN_BUF struct buf t = BUF_INIT;

	if (ledger_read(b->r->w->ledger, b->r->plan->name, NULL, path, &t, e) != 1)
		return e->class ? -1 : err_set(e, ERR_INTEGRITY, "ledger of plan %s: %s is missing", b->r->plan->name, path);
	return bag_put(b, as, 0644, t.data ? t.data : "", t.len, e);
}

struct copying { struct bag *b; const char *dir; struct err *e; bool failed; };

static int copy_one(void *ctx, const char *name, bool is_dir)
{
	struct copying *c = ctx;
	char from[300], as[320];

	if (is_dir)
		return 0;
	(void)snprintf(from, sizeof(from), "%s/%s", c->dir, name);
	(void)snprintf(as, sizeof(as), "waybill/%s", from);
	c->failed = put_ledger_file(c->b, from, as, c->e) < 0;
	return c->failed;
}

/* The whole story up to here: events chained by digest, and what was signed. */
static int put_ledger_dir(struct bag *b, const char *dir, struct err *e)
{
	struct copying c = { b, dir, e, false };

	if (ledger_list(b->r->w->ledger, b->r->plan->name, NULL, dir, copy_one, &c, e) < 0 || c.failed)
		return -1;
	return 0;
}

int bag_tags(struct bag *b, struct package_result *out, struct err *e)
{
	static const char version[] = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";
	uint8_t digest[DIGEST_LEN];

	if (put_text(b, "manifest-sha256.txt", &b->manifest_sha256, e) < 0 || put_text(b, "manifest-sm3.txt", &b->manifest_sm3, e) < 0 ||
	    bag_put(b, "bagit.txt", 0644, version, sizeof(version) - 1, e) < 0 || put_info(b, e) < 0 ||
	    put_package_json(b, e) < 0 || put_ledger_file(b, "plan.yaml", "waybill/plan.yaml", e) < 0 ||
	    put_ledger_file(b, "plan.sha256", "waybill/plan.sha256", e) < 0 || put_ledger_file(b, "signers", "waybill/signers", e) < 0 ||
	    put_ledger_dir(b, "events", e) < 0 || put_ledger_dir(b, "approvals", e) < 0 ||
	    bag_put(b, "README.txt", 0644, package_readme, strlen(package_readme), e) < 0 ||
	    bag_put(b, "VERIFY.sh", 0755, package_verify_sh, strlen(package_verify_sh), e) < 0 ||
	    bag_put(b, "RESTORE.sh", 0755, package_restore_sh, strlen(package_restore_sh), e) < 0)
		return -1;
	if (buf_finish(&b->tag_sha256, e) < 0 || digest_sha256(b->tag_sha256.data, b->tag_sha256.len, digest, e) < 0)
		return -1;
	hex_of(digest, DIGEST_LEN, out->digest);
	out->files = b->files;
	out->bytes = b->bytes;
	return put_text(b, "tagmanifest-sha256.txt", &b->tag_sha256, e);
}
