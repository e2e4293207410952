#include "consent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "atomic_file.h"
#include "clock.h"
#include "esc.h"
#include "io.h"
#include "output.h"
#include "statement_grammar.h"

#define ATTACHMENTS_MAX 64
#define ATTACHMENT_BYTES (64u << 20)

int consent_person(struct job *j, struct err *e)
{
	OWN_BUF struct buf names = BUF_INIT;

	if (j->options.as && plan_person(j->plan, j->options.as))
		return 0;
	for (size_t i = 0; i < j->plan->npeople; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", j->plan->people[i].key);
	if (!j->options.as)
		return err_set(e, ERR_USAGE, "say who speaks: --as PERSON (people of plan %s: %s)", j->plan->name, names.data ? names.data : "none");
	return err_set(e, ERR_USAGE, "%s is no person of plan %s (it has %s)", esc_s(j->options.as), j->plan->name, names.data ? names.data : "none");
}

static void free_attachments(struct statement_attachment *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].name);
}

static int attachment(const char *file, struct statement_attachment *out, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	const char *slash = strrchr(file, '/');
	uint8_t digest[DIGEST_LEN];

	if (io_read_file(AT_FDCWD, file, ATTACHMENT_BYTES, &b, e) < 0) {
		e->class = ERR_USAGE;
		return -1;
	}
	if (digest_sha256(b.data ? b.data : "", b.len, digest, e) < 0 || !(out->name = strdup(slash ? slash + 1 : file)))
		return err_sys(e, "attachment");
	hex_of(digest, DIGEST_LEN, out->digest);
	return 0;
}

/*
 * The time of a new statement: now, and after everything that this person said at this gate before, so that no two are the same and their
 * order shows.  Without a workspace: now.
 */
static int time_to_speak(struct job *j, const char *stage, const char *person, int64_t *at, struct err *e)
{
	OWN_APPROVAL_FILES struct approval_files files = APPROVAL_FILES_INIT;
	char head[LEDGER_OID];
	int there = j->w ? ledger_head(j->w->ledger, j->plan->name, head, e) : 0;

	*at = clock_now_ns() / 1000000000;
	if (there < 0 || (there && approval_files_read(j->w->ledger, j->plan->name, NULL, stage, &files, e) < 0))
		return -1;
	for (size_t i = 0; i < files.n; i++) {
		OWN_STATEMENT struct statement s = STATEMENT_INIT;
		struct err ignored = ERR_INIT;

		if (strcmp(files.v[i].person, person) == 0 && statement_parse(files.v[i].txt.data, files.v[i].txt.len, &s, &ignored) == 0 &&
		    s.at >= *at && s.at < *at + 60)
			*at = s.at + 1;
	}
	return 0;
}

int consent_text(struct job *j, const char *stage, const struct statement_facts *f, struct buf *txt, struct err *e)
{
	const struct cli_context *c = j->c;
	const struct plan_person *p = plan_person(j->plan, j->options.as);
	struct statement_attachment files[ATTACHMENTS_MAX] = { { "", NULL } };
	const char *except = cli_value(c, "except");
	struct statement_head h = { .person = p->key, .name = p->name, .party = p->party,
		.says = cli_flag(c, "refuse") ? SAYS_REFUSE : cli_flag(c, "withdraw") ? SAYS_WITHDRAW : SAYS_APPROVE,
		.zone = j->plan->timezone, .reason = cli_value(c, "reason"), .attachments = files };
	size_t n = 0, given = cli_count(c, "attach");
	int r = 0;

	if (given > ATTACHMENTS_MAX - 1)
		return err_set(e, ERR_USAGE, "at most %d attachments", ATTACHMENTS_MAX - 1);
	if (h.says == SAYS_REFUSE && !h.reason)
		return err_set(e, ERR_USAGE, "--refuse needs --reason TEXT");
	if (time_to_speak(j, stage, p->key, &h.at, e) < 0)
		return -1;
	if (strcmp(stage, "clear") == 0) {
		h.not_before = j->plan->clear.valid.given ? j->plan->clear.valid.start : 0;
		h.not_after = j->plan->clear.valid.given ? j->plan->clear.valid.end : h.at + 30 * 86400;
	}
	for (; r == 0 && n < given; n++)
		r = attachment(cli_value_at(c, "attach", n), &files[n], e);
	if (r == 0 && except) {
		r = attachment(except, &files[n++], e);
		h.reason = h.reason ? h.reason : "accepted with the exceptions listed in the attachment";
	}
	h.attachment_count = n;
	if (r == 0)
		r = statement_build(&h, f, txt, e);
	free_attachments(files, ATTACHMENTS_MAX);
	return r;
}

/* A request is written over an older one, and over nothing else: where --key belongs a key may be named. */
static int check_request_place(const char *file, struct err *e)
{
	OWN_FD int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char first[sizeof(STATEMENT_FIRST)] = "";
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return 0;
	n = fd < 0 ? -1 : io_read_full("request", fd, first, sizeof(first) - 1, file, e);
	err_clear(e);
	if (n == 0 || (n == sizeof(first) - 1 && memcmp(first, STATEMENT_FIRST, sizeof(first) - 1) == 0))
		return 0;
	return err_set(e, ERR_REFUSED, "%s is there and holds something else; --request names a file that is to be written", esc_s(file));
}

int consent_request(struct job *j, const char *stage, const struct statement_facts *f, const char *file, struct err *e)
{
	OWN_BUF struct buf txt = BUF_INIT;
	OWN_FD int fd = -1;

	if (consent_text(j, stage, f, &txt, e) < 0 || check_request_place(file, e) < 0)
		return -1;
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, "write %s", esc_s(file));
	if (io_write_all("request", fd, txt.data, txt.len, file, e) < 0)
		return -1;
	if (fsync(fd) < 0 || close(take_fd(&fd)) < 0)
		return err_sys(e, "write %s", esc_s(file));
	out_text(j->c, "written to %s; read it, then sign it where the key is:\n  ssh-keygen -Y sign -f KEY -n %s %s\nand bring the signature back with --signature %s.sig\n",
	    esc_s(file), statement_namespace(stage), esc_s(file), esc_s(file));
	return out_finish(e);
}

int consent_read_signed(const char *sigfile, struct buf *txt, struct buf *sig, struct err *e)
{
	size_t n = strlen(sigfile);
	OWN_FREE char *text = n > 4 && strcmp(sigfile + n - 4, ".sig") == 0 ? strndup(sigfile, n - 4) : NULL;

	if (!text)
		return err_set(e, ERR_USAGE, "%s: a signature file ends in .sig and lies beside the text it signs", esc_s(sigfile));
	if (io_read_file(AT_FDCWD, sigfile, 65536, sig, e) < 0 || io_read_file(AT_FDCWD, text, STATEMENT_MAX, txt, e) < 0) {
		e->class = ERR_USAGE;
		return err_hint(e, "the text and its signature must lie side by side");
	}
	return 0;
}

/* Which of the signed attachments are these bytes? */
static bool is_signed_for(const struct statement *s, const struct buf *b, bool *brought, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX];
	bool any = false;

	if (digest_sha256(b->data ? b->data : "", b->len, digest, e) < 0)
		return false;
	hex_of(digest, DIGEST_LEN, hex);
	for (size_t i = 0; i < s->attachment_count; i++)
		if (strcmp(s->attachments[i].digest, hex) == 0)
			brought[i] = any = true;
	return any;
}

int consent_attach(struct job *j, const struct statement *s, struct err *e)
{
	OWN_FREE bool *brought = calloc(s->attachment_count + 1, sizeof(*brought));

	if (!brought)
		return err_sys(e, "attachments");
	for (size_t i = 0; i < cli_count(j->c, "attach"); i++) {
		const char *file = cli_value_at(j->c, "attach", i);
		OWN_BUF struct buf b = BUF_INIT;
		struct object_id id;

		if (io_read_file(AT_FDCWD, file, ATTACHMENT_BYTES, &b, e) < 0)
			return -1;
		if (!is_signed_for(s, &b, brought, e)) {
			if (e->class == ERR_NONE)
				err_set(e, ERR_REFUSED, "%s is none of the attachments that %s signed; nothing was recorded", esc_s(file), s->person);
			return -1;
		}
		if (store_put_bytes(j->w->store, STORE_DOC, b.data ? b.data : "", b.len, &id, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < s->attachment_count; i++)
		if (!brought[i])
			return err_set(e, ERR_USAGE, "%s signed the attachment %s too: name it again with --attach FILE", s->person,
			    esc_s(s->attachments[i].name));
	return 0;
}
