/* A package goes into a drop: where nothing but SFTP gets through to the other side. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "drop.h"
#include "esc.h"
#include "io.h"
#include "log.h"
#include "package_internal.h"
#include "pace.h"

#define TAGS_MAX (256u << 20)

struct relay {
	struct run *r;
	struct run_slot slot;	/* a connection of its own: the run's would ask for a command */
	struct sftp *sftp;
	struct pace pace;
};

static void relay_dispose(struct relay *x)
{
	sftp_close(x->sftp);
	host_close(x->slot.host);
	free(x->slot.identity);
}

static int on_moved(void *arg, uint64_t moved, struct err *e)
{
	struct relay *x = arg;
	int64_t ns = x->pace.rate && moved ? pace_wait(&x->pace, moved, clock_mono_ns()) : 0;

	while (ns > 0) {
		int64_t now = ns < 1000000000 ? ns : 1000000000;
		struct timespec t = { now / 1000000000, now % 1000000000 };

		if (run_check(x->r, e) < 0)
			return -1;
		(void)nanosleep(&t, NULL);
		ns -= now;
	}
	return run_check(x->r, e);
}

static int log_in(struct relay *x, const char *name, struct err *e)
{
	const struct plan_host *h = plan_host(x->r->plan, name);

	if (!h)
		return err_set(e, ERR_USAGE, "plan %s has no host %s", x->r->plan->name, esc_s(name));
	if (!h->ssh)
		return err_set(e, ERR_USAGE, "%s is this machine: name the directory alone", h->name);
	if (run_host_spec(x->r, h, &x->slot, e) < 0 || (h->via && run_log_in(x->r, h->via, &x->slot.spec.via, e) < 0))
		return -1;
	x->slot.spec.sftp_only = true;
	x->pace.rate = x->r->plan->limits.bandwidth;
	return host_open(&x->slot.host, &x->slot.spec, e) < 0 ? -1 : sftp_open(x->slot.host, (struct sftp_watch){ on_moved, x }, &x->sftp, e);
}

/* The number of a package in a directory; false when none can be read there. */
static bool number_of(const char *dir, char hex[DIGEST_HEX])
{
	OWN_FREE char *path = NULL;
	OWN_BUF struct buf tags = BUF_INIT;
	struct err e = ERR_INIT;
	uint8_t digest[DIGEST_LEN];

	if (asprintf(&path, "%s/tagmanifest-sha256.txt", dir) < 0 || io_read_file(AT_FDCWD, path, TAGS_MAX, &tags, &e) < 0 || !tags.len ||
	    digest_sha256(tags.data, tags.len, digest, &e) < 0)
		return false;
	hex_of(digest, DIGEST_LEN, hex);
	return true;
}

/* The package whose acceptance the plan waits for: 1 = it is at its place, 0 = there is none, -1. */
static int own_package(struct run *r, struct package_result *p, struct err *e)
{
	OWN_FREE char *dir = NULL;
	json_t *j = r->standing.package_data ? json_loads(r->standing.package_data, 0, NULL) : NULL;
	const char *number = json_string_value(json_object_get(j, "package"));
	bool there = false;

	if (number && (dir = package_place(r)) && number_of(dir, p->digest) && strcmp(p->digest, number) == 0) {
		there = true;
		p->files = (uint64_t)json_integer_value(json_object_get(j, "files"));
		p->bytes = (uint64_t)json_integer_value(json_object_get(j, "bytes"));
	} else if (number) {
		log_warn("plan %s: its package %.16s is not at its place any more; another one is written, which the plan does not take for accepted",
		    r->plan->name, number);
	}
	json_decref(j);
	if (there && !(p->path = take_ptr(&dir)))
		return err_sys(e, "package");
	return there;
}

/* One for the drop alone, kept until it is whole there: what was sent is gone on with only while its bytes stay the same. */
static int staged_package(struct run *r, struct package_result *p, char **staged, struct err *e)
{
	int found;

	if (asprintf(staged, "%s/packages/.%s.drop", r->w->dir, r->plan->name) < 0) {
		*staged = NULL;
		return err_sys(e, "package");
	}
	if ((found = package_adopt(r, *staged, p, e)) != 0)
		return found < 0 ? -1 : 0;
	package_remove(*staged);
	return package_write(r, *staged, p, e);
}

static int record(struct run *r, const struct package_relayed *out, struct err *e)
{
	json_t *facts = package_json(r, &out->package);

	if (!facts)
		return err_set(e, ERR_BUG, "plan %s: the facts of the package cannot be written down", r->plan->name);
	(void)json_object_set_new(facts, "sent_files", json_integer((json_int_t)out->sent_files));
	(void)json_object_set_new(facts, "sent_bytes", json_integer((json_int_t)out->sent_bytes));
	return run_event(r, NULL, "package", "relayed", facts, e, "package %s is in the drop %s", out->package.digest, out->package.path);
}

int package_relay(struct run *r, const char *host, const char *dir, struct package_relayed *out, struct err *e)
{
	OWN(relay_dispose) struct relay x = { .r = r };
	OWN_FREE char *staged = NULL, *place = NULL, *name = NULL;
	struct drop_count n;
	int own;

	memset(out, 0, sizeof(*out));
	if (asprintf(&place, "%s:%s", host, dir) < 0 || !(name = esc_dup(place, strlen(place))))
		return err_sys(e, "package");
	if (log_in(&x, host, e) < 0 || (own = own_package(r, &out->package, e)) < 0 ||
	    (!own && staged_package(r, &out->package, &staged, e) < 0) ||
	    drop_put(&(struct drop){ x.sftp, dir, name }, out->package.path, &n, e) < 0)
		return -1;
	free(out->package.path);
	out->package.path = take_ptr(&place);
	out->sent_files = n.files;
	out->sent_bytes = n.bytes;
	out->kept = n.kept;
	if (record(r, out, e) < 0)
		return -1;
	if (staged)
		package_remove(staged);
	return 0;
}
