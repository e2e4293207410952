#include "plan_sha256.h"

#include <fcntl.h>
#include <string.h>

#include "esc.h"
#include "io.h"
#include "path.h"

void plan_sum_dispose(struct plan_sum *s)
{
	for (size_t i = 0; i < s->nfiles; i++) {
		free(s->files[i].name);
		free(s->files[i].path);
		buf_dispose(&s->files[i].bytes);
	}
	free(s->files);
	buf_dispose(&s->text);
	*s = (struct plan_sum)PLAN_SUM_INIT;
}

const struct plan_file *plan_sum_file(const struct plan_sum *s, const char *name)
{
	for (size_t i = 0; i < s->nfiles; i++)
		if (strcmp(s->files[i].name, name) == 0)
			return &s->files[i];
	return NULL;
}

/*
 * "hooks/check-free" for a file beside the plan.  A path that cannot be a relative name ("/opt/x", "../x") becomes its
 * last component behind eight digits of the written path's digest: the same on every machine.
 */
static char *list_name(const char *folder, const char *written, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	uint8_t sum[DIGEST_LEN];
	char hex[DIGEST_HEX];
	const char *slash;

	if (strncmp(written, "./", 2) == 0)
		written += 2;
	if (path_is_safe(written, strlen(written))) {
		buf_printf(&b, "%s/%s", folder, written);
	} else {
		if (digest_sha256(written, strlen(written), sum, e) < 0)
			return NULL;
		hex_of(sum, DIGEST_LEN, hex);
		slash = strrchr(written, '/');
		buf_printf(&b, "%s/%.8s-%s", folder, hex, slash ? slash + 1 : written);
	}
	if (buf_finish(&b, e) < 0)
		return NULL;
	return buf_take(&b);
}

char *plan_sum_hook_name(const char *written, struct err *e) { return list_name("hooks", written, e); }

/* Room for one more file; it belongs to s and is disposed with it. */
static struct plan_file *add_slot(struct plan_sum *s, struct err *e)
{
	struct plan_file *v = realloc(s->files, (s->nfiles + 1) * sizeof(*v));

	if (!v) {
		err_set(e, ERR_TEMPORARY, "out of memory");
		return NULL;
	}
	s->files = v;
	v[s->nfiles] = (struct plan_file){ .bytes = BUF_INIT };
	return &v[s->nfiles++];
}

static int add_file(struct plan_sum *s, enum plan_file_kind kind, const char *folder, const char *written,
    const char *path, struct err *e)
{
	OWN_FREE char *name = list_name(folder, written, e);
	struct plan_file *f;
	int r;

	if (!name)
		return -1;
	if (plan_sum_file(s, name))
		return 0;		/* one hook at two points is one file */
	if (!(f = add_slot(s, e)))
		return -1;
	f->kind = kind;
	f->name = take_ptr(&name);
	if (!(f->path = strdup(path)))
		return err_set(e, ERR_TEMPORARY, "out of memory");
	r = io_read_file(AT_FDCWD, path, PLAN_FILE_MAX, &f->bytes, e);
	if (r < 0) {
		/* Everything the plan names is part of it: a missing piece is the plan's fault (2), unless memory ran out. */
		if (e->class == ERR_PERMANENT)
			e->class = ERR_USAGE;
		return err_at(e, "the plan's file %s", esc_s(written));
	}
	return digest_sha256(f->bytes.data ? f->bytes.data : "", f->bytes.len, f->sha256, e);
}

static int add_named(struct plan_sum *s, const struct plan *p, enum plan_file_kind kind, const char *folder,
    const char *written, struct err *e)
{
	OWN_FREE char *path = plan_file_path(p, written);

	if (!path)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	return add_file(s, kind, folder, written, path, e);
}

static int add_plan(struct plan_sum *s, const struct plan *p, struct err *e)
{
	struct plan_file *f = add_slot(s, e);

	if (!f)
		return -1;
	f->kind = PLAN_FILE_PLAN;
	f->name = strdup("plan.yaml");
	f->path = strdup(p->file);
	buf_put(&f->bytes, p->text, p->text_len);
	if (!f->name || !f->path)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	if (buf_finish(&f->bytes, e) < 0)
		return -1;
	return digest_sha256(p->text, p->text_len, f->sha256, e);
}

static int add_hooks(struct plan_sum *s, const struct plan_hooks *h, struct err *e)
{
	for (size_t i = 0; i < h->n; i++) {
		if (!h->v[i].file)
			return err_set(e, ERR_USAGE, "the plan's hook %s is neither beside the plan nor installed",
			    esc_s(h->v[i].run));
		if (add_file(s, PLAN_FILE_HOOK, "hooks", h->v[i].run, h->v[i].file, e) < 0)
			return -1;
	}
	return 0;
}

static int add_all(struct plan_sum *s, const struct plan *p, struct err *e)
{
	if (add_plan(s, p, e) < 0)
		return -1;
	for (int i = 0; i < POINT_COUNT; i++)
		if (add_hooks(s, &p->hooks[i], e) < 0)
			return -1;
	if (add_hooks(s, &p->rehearsal.smoke, e) < 0)
		return -1;
	for (size_t i = 0; i < p->ndocuments; i++)
		if (add_named(s, p, PLAN_FILE_DOCUMENT, "documents", p->documents[i].file, e) < 0)
			return -1;
	for (size_t i = 0; i < p->ndatasets; i++) {
		const char *owners = p->datasets[i].files.owners_file;

		if (owners && add_named(s, p, PLAN_FILE_OWNERS, "owners", owners, e) < 0)
			return -1;
	}
	if (p->rules && !p->rules_file)
		return err_set(e, ERR_USAGE, "the plan's rule profile %s is neither beside the plan nor installed",
		    esc_s(p->rules));
	if (p->rules_file)
		return add_file(s, PLAN_FILE_RULES, "rules", p->rules, p->rules_file, e);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct plan_file *)a)->name, ((const struct plan_file *)b)->name);
}

static int write_list(struct plan_sum *s, struct err *e)
{
	uint64_t total = 0;

	qsort(s->files, s->nfiles, sizeof(*s->files), by_name);
	for (size_t i = 0; i < s->nfiles; i++) {
		char hex[DIGEST_HEX];

		total += s->files[i].bytes.len;
		if (total > PLAN_FILES_MAX)
			return err_set(e, ERR_USAGE, "the plan's files are more than %u MiB together; leave large documents out",
			    PLAN_FILES_MAX >> 20);
		hex_of(s->files[i].sha256, DIGEST_LEN, hex);
		buf_printf(&s->text, "%s  %s\n", hex, s->files[i].name);
	}
	if (buf_finish(&s->text, e) < 0 || digest_sha256(s->text.data, s->text.len, s->digest, e) < 0)
		return -1;
	hex_of(s->digest, DIGEST_LEN, s->hex);
	return 0;
}

int plan_sum_make(const struct plan *p, struct plan_sum *out, struct err *e)
{
	OWN_PLAN_SUM struct plan_sum s = PLAN_SUM_INIT;

	if (add_all(&s, p, e) < 0 || write_list(&s, e) < 0)
		return -1;
	*out = s;
	s = (struct plan_sum)PLAN_SUM_INIT;	/* handed over */
	return 0;
}
