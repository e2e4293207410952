#include "consent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "atomic_file.h"
#include "clock.h"
#include "esc.h"
#include "io.h"
#include "output.h"

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

int consent_text(struct job *j, const char *stage, const struct statement_facts *f, struct buf *txt, struct err *e)
{
	const struct cli_context *c = j->c;
	const struct plan_person *p = plan_person(j->plan, j->options.as);
	struct statement_attachment files[ATTACHMENTS_MAX] = { { "", NULL } };
	const char *except = cli_value(c, "except");
	struct statement_head h = { .person = p->key, .name = p->name, .party = p->party, .at = clock_now_ns() / 1000000000,
		.says = cli_flag(c, "refuse") ? SAYS_REFUSE : cli_flag(c, "withdraw") ? SAYS_WITHDRAW : SAYS_APPROVE,
		.zone = j->plan->timezone, .reason = cli_value(c, "reason"), .attachments = files };
	size_t n = 0, given = cli_count(c, "attach");
	int r = 0;

	if (given > ATTACHMENTS_MAX - 1)
		return err_set(e, ERR_USAGE, "at most %d attachments", ATTACHMENTS_MAX - 1);
	if (h.says == SAYS_REFUSE && !h.reason)
		return err_set(e, ERR_USAGE, "--refuse needs --reason TEXT");
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

int consent_request(struct job *j, const char *stage, const struct statement_facts *f, const char *file, struct err *e)
{
	OWN_BUF struct buf txt = BUF_INIT;
	OWN_FD int fd = -1;

	if (consent_text(j, stage, f, &txt, e) < 0)
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

int consent_attach(struct job *j, struct ledger_txn *t, struct err *e)
{
	const struct cli_context *c = j->c;
	size_t given = cli_count(c, "attach");

	(void)t;
	for (size_t i = 0; i < given; i++) {
		OWN_BUF struct buf b = BUF_INIT;
		struct object_id id;

		if (io_read_file(AT_FDCWD, cli_value_at(c, "attach", i), ATTACHMENT_BYTES, &b, e) < 0 ||
		    store_put_bytes(j->w->store, STORE_DOC, b.data ? b.data : "", b.len, &id, e) < 0)
			return -1;
	}
	return 0;
}
