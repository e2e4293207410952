#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "digest.h"
#include "esc.h"
#include "io.h"
#include "log.h"
#include "route.h"

#define BINARY_LIMIT (256u << 20)
#define PROBE_TIMEOUT_MS 60000
#define UPLOAD_TIMEOUT_MS 600000
#define PLACES 4

/* What both scripts need.  $sum is what waybill-agent must hash to; "none" where the host has no tool for it. */
#define SCRIPT_HEAD \
	"umask 077; set -f\n" \
	"hash() {\n" \
	"	if command -v sha256sum >/dev/null 2>&1; then h=$(sha256sum <\"$1\")\n" \
	"	elif command -v openssl >/dev/null 2>&1; then h=$(openssl dgst -sha256 -r <\"$1\")\n" \
	"	elif command -v shasum >/dev/null 2>&1; then h=$(shasum -a 256 <\"$1\")\n" \
	"	else h=none; fi\n" \
	"	h=${h%% *}\n" \
	"}\n"

/*
 * Arguments: sum, file name, number of places to pass over.  Says one line for each place it rejects ("no DIR: why") and at
 * last "have NUMBER PATH", before that "is STATUS TEXT" of its --version, or "put NUMBER DIR".
 */
static const char probe_script[] =
	SCRIPT_HEAD
	"sum=$1 name=$2 from=$3 uid=$(id -u) i=0\n"
	"ours() {\n"
	"	if [ -L \"$d\" ] || [ ! -d \"$d\" ]; then why='it cannot be made'; return 1; fi\n"
	"	set -- $(ls -ldn \"$d\")\n"
	"	case $1 in drwx------|drwx------.) ;; *) why=\"its mode is $1, not drwx------\"; return 1;; esac\n"
	"	if [ \"$3\" != \"$uid\" ]; then why=\"it belongs to uid $3\"; return 1; fi\n"
	"}\n"
	"runs() {\n"
	"	t=$d/.try-$$\n"
	"	printf '#!/bin/sh\\nexit 0\\n' >\"$t\" 2>/dev/null && chmod 700 \"$t\" && \"$t\" 2>/dev/null\n"
	"	r=$?\n"
	"	rm -f \"$t\"\n"
	"	why='nothing can be written or executed there'\n"
	"	return $r\n"
	"}\n"
	"for d in \"${XDG_CACHE_HOME:+$XDG_CACHE_HOME/waybill}\" \"${HOME:+$HOME/.cache/waybill}\" \"/var/tmp/waybill-$uid\" \"/dev/shm/waybill-$uid\"; do\n"
	"	i=$((i + 1))\n"
	"	if [ $i -le $from ]; then continue; fi\n"
	"	case $d in /*) ;; *) continue;; esac\n"
	"	mkdir -p \"${d%/*}\" 2>/dev/null\n"
	"	made=; mkdir \"$d\" 2>/dev/null && made=1\n"
	"	if ours; then\n"
	"		if [ -f \"$d/$name\" ] && [ -x \"$d/$name\" ]; then\n"
	"			hash \"$d/$name\"\n"
	"			if [ \"$h\" = \"$sum\" ] || [ \"$h\" = none ]; then\n"
	"				v=$(\"$d/$name\" --version </dev/null 2>&1); printf 'is %s %s\\n' $? \"$v\"\n"
	"				printf 'have %s %s\\n' $i \"$d/$name\"; exit 0\n"
	"			fi\n"
	"		fi\n"
	"		if runs; then printf 'put %s %s\\n' $i \"$d\"; exit 0; fi\n"
	"	fi\n"
	"	printf 'no %s: %s\\n' \"$d\" \"$why\"\n"
	"	if [ \"$made\" ]; then rmdir \"$d\"; fi\n"
	"done\n";

/* Arguments: directory, file name, sum, random word; the binary on stdin.  Says "done", or why not. */
static const char put_script[] =
	SCRIPT_HEAD
	"d=$1 name=$2 sum=$3 t=$1/.new-$4\n"
	"give_up() { rm -f \"$t\"; printf '%s\\n' \"$1\"; exit 0; }\n"
	"trap 'rm -f \"$t\"' HUP INT TERM\n"
	"cat >\"$t\" && chmod 700 \"$t\" || give_up 'it could not be written'\n"
	"hash \"$t\"\n"
	"[ \"$h\" = \"$sum\" ] || [ \"$h\" = none ] || give_up \"it arrived damaged: SHA-256 $h\"\n"
	"\"$t\" --version </dev/null >/dev/null 2>&1 || give_up \"it does not run there (status $?)\"\n"
	"mv -f \"$t\" \"$d/$name\" || give_up 'it could not be renamed'\n"
	"echo done\n";

struct build {			/* our own waybill-agent */
	struct buf bytes;
	char sum[DIGEST_HEX];
	char name[32];
	char version[256];	/* first line of --version */
};
static void build_dispose(struct build *b) { buf_dispose(&b->bytes); }

static int version_of(const char *binary, char version[256], struct err *e)
{
	const char *argv[] = { binary, "--version", NULL };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;

	if (proc_run(&(struct proc_options){ .argv = argv, .timeout_ms = 10000 }, &r, e) < 0)
		return -1;
	if (r.status != 0)
		return err_set(e, ERR_PERMANENT, "our own helper %s does not run (status %d); build or install waybill-agent", esc_s(binary), r.status);
	(void)proc_first_line(&r.out, version);
	return 0;
}

static int build_load(struct build *b, const struct host_spec *s, struct err *e)
{
	uint8_t sum[DIGEST_LEN];

	if (!s->agent_binary)
		return err_set(e, ERR_BUG, "host %s: no waybill-agent to compare with", esc_s(s->name));
	if (version_of(s->agent_binary, b->version, e) < 0 || io_read_file(AT_FDCWD, s->agent_binary, BINARY_LIMIT, &b->bytes, e) < 0 ||
	    digest_sha256(b->bytes.data, b->bytes.len, sum, e) < 0)
		return -1;
	hex_of(sum, sizeof(sum), b->sum);
	(void)snprintf(b->name, sizeof(b->name), "agent-%.16s", b->sum);
	return 0;
}

static int run_script(struct host *h, const char *script, const char *const *args, const struct buf *input, int timeout_ms,
    struct proc_result *r, struct err *e)
{
	const char *argv[10] = { "sh", "-c", script, "waybill" };
	size_t n = 4;

	for (size_t i = 0; args[i] && n < 9; i++)
		argv[n++] = args[i];
	if (host_run(h, argv, input ? input->data : NULL, input ? input->len : 0, timeout_ms, r, e) < 0)
		return -1;
	if (r->timed_out)
		return err_set(e, ERR_TEMPORARY, "host %s: no answer in %d s while looking for a place for the helper", esc_s(h->spec->name), timeout_ms / 1000);
	return 0;
}

/* Its --version must be ours: another build speaks another protocol. */
static int judge_version(struct host *h, const char *path, const struct build *b, int status, const char *found, const char *why, struct err *e)
{
	if (status != 0)
		return err_set(e, ERR_PERMANENT, "host %s: the helper %s does not run (status %d): %s", esc_s(h->spec->name), esc_s(path), status, why);
	if (strcmp(found, b->version) == 0)
		return 0;
	return err_set(e, ERR_PERMANENT, "host %s: the helper %s is \"%s\", ours is \"%s\"; install the same build there, or drop `agent` from the "
	    "plan so that it is uploaded", esc_s(h->spec->name), esc_s(path), found, b->version);
}

static int check_version(struct host *h, const char *path, const struct build *b, struct err *e)
{
	const char *argv[] = { path, "--version", NULL };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	char found[256], why[256];

	if (host_run(h, argv, NULL, 0, PROBE_TIMEOUT_MS, &r, e) < 0)
		return -1;
	return judge_version(h, path, b, r.timed_out && !r.status ? -1 : r.status, proc_first_line(&r.out, found), proc_first_line(&r.err, why), e);
}

static int remember(struct host *h, const char *path, bool uploaded, struct err *e)
{
	free(h->agent);
	h->agent_uploaded = uploaded;
	return (h->agent = strdup(path)) ? 0 : err_sys(e, "host %s", esc_s(h->spec->name));
}

enum found { FOUND_NONE, FOUND_HAVE, FOUND_PLACE };

/* What the probe said.  place: number of the place; path: file or directory; of one that is there, status and text of its --version. */
struct answer { int place, status; char *path, version[256]; };

/* Reads the probe's lines; rejected: the "no" lines, one after the other. */
static enum found read_answer(struct buf *out, struct answer *a, struct buf *rejected)
{
	char *save = NULL;

	for (char *line = out->data ? strtok_r(out->data, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		int at = 0;

		if (strncmp(line, "no ", 3) == 0)
			buf_printf(rejected, "%s%s", rejected->len ? "; " : "", esc_s(line + 3));
		else if (sscanf(line, "is %d %n", &a->status, &at) == 1 && at)
			(void)esc_into(a->version, sizeof(a->version), line + at, strlen(line + at));
		else if ((sscanf(line, "have %d %n", &a->place, &at) == 1 || sscanf(line, "put %d %n", &a->place, &at) == 1) && at) {
			a->path = line + at;
			return *line == 'h' ? FOUND_HAVE : FOUND_PLACE;
		}
	}
	return FOUND_NONE;
}

static int put(struct host *h, const struct build *b, const char *dir, bool *good, struct buf *rejected, struct err *e)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	OWN_BUF struct buf path = BUF_INIT;
	uint8_t random[8];
	char word[17], line[256];
	const char *args[] = { dir, b->name, b->sum, word, NULL };

	random_bytes(random, sizeof(random));
	hex_of(random, sizeof(random), word);
	if (run_script(h, put_script, args, &b->bytes, UPLOAD_TIMEOUT_MS, &r, e) < 0)
		return -1;
	*good = r.status == 0 && strcmp(proc_first_line(&r.out, line), "done") == 0;
	if (!*good) {
		buf_printf(rejected, "%s%s: %s", rejected->len ? "; " : "", esc_s(dir), *line ? line : proc_first_line(&r.err, line));
		return 0;
	}
	buf_printf(&path, "%s/%s", dir, b->name);
	if (buf_finish(&path, e) < 0)
		return -1;
	log_info("host %s: helper uploaded to %s", h->spec->name, path.data);
	return remember(h, path.data, true, e);
}

/* One probe, and an upload where it points.  *place: passed over up to there; *done when the helper is in place. */
static int try_place(struct host *h, const struct build *b, int *place, bool *done, struct buf *rejected, struct err *e)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	char from[16];
	const char *args[] = { b->sum, b->name, from, NULL };
	struct answer a = { .place = PLACES, .status = -1 };
	enum found found;

	(void)snprintf(from, sizeof(from), "%d", *place);
	if (run_script(h, probe_script, args, NULL, PROBE_TIMEOUT_MS, &r, e) < 0)
		return -1;
	found = read_answer(&r.out, &a, rejected);
	*place = a.place;
	switch (found) {
	case FOUND_HAVE:
		if (judge_version(h, a.path, b, a.status, a.version, a.version, e) < 0)
			return -1;
		*done = true;
		return remember(h, a.path, true, e);
	case FOUND_PLACE:
		return put(h, b, a.path, done, rejected, e);
	case FOUND_NONE:
		break;
	}
	return 0;
}

int host_agent(struct host *h, struct err *e)
{
	OWN(build_dispose) struct build b = { .bytes = BUF_INIT };
	OWN_BUF struct buf rejected = BUF_INIT;
	bool done = false, local = !h->route->ops->shell;

	if (h->agent)
		return 0;
	if (build_load(&b, h->spec, e) < 0)
		return -1;
	if (h->spec->agent || local) {
		const char *path = h->spec->agent ? h->spec->agent : h->spec->agent_binary;

		return check_version(h, path, &b, e) < 0 ? -1 : remember(h, path, false, e);
	}
	for (int place = 0; place < PLACES; )
		if (try_place(h, &b, &place, &done, &rejected, e) < 0)
			return -1;
		else if (done)
			return 0;
	return err_set(e, ERR_PERMANENT, "host %s: no place for the helper: %.700s; install waybill-agent there and name it as `agent`",
	    esc_s(h->spec->name), rejected.len ? rejected.data : "none of the directories exists");
}

int host_agent_as(struct host *h, const struct host *of, struct err *e) { return remember(h, of->agent, false, e); }

/* Arguments: the file.  Its directory goes too when nothing else is in it. */
static const char remove_script[] = "rm -f -- \"$1\" && { rmdir -- \"${1%/*}\" 2>/dev/null; :; }";

int host_agent_remove(struct host *h, struct err *e)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	const char *args[] = { h->agent, NULL };
	char line[256];

	if (!h->agent || !h->agent_uploaded)
		return 0;
	if (run_script(h, remove_script, args, NULL, PROBE_TIMEOUT_MS, &r, e) < 0)
		return -1;
	if (r.status != 0)
		return err_set(e, ERR_PERMANENT, "host %s: the helper %s cannot be removed: %s", esc_s(h->spec->name), esc_s(h->agent),
		    proc_first_line(&r.err, line));
	free(take_ptr(&h->agent));
	h->agent_uploaded = false;
	return 0;
}
