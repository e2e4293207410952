/* A certificate as a single file, with its signature beside it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "audit_private.h"
#include "certificate.h"
#include "esc.h"
#include "io.h"

#define PAPER_MAX (16u << 20)

/* What the paper says must hang together whoever signed it. */
static void check_json(struct audit *a, const struct buf *paper)
{
	json_error_t je;
	json_t *j = json_loadb(paper->data, paper->len, JSON_REJECT_DUPLICATES, &je), *item;
	const char *verdict = audit_text(j, "verdict");
	size_t i;

	if (!json_is_object(j) || strcmp(audit_text(j, "form"), "waybill-certificate 1") != 0) {
		audit_say(a, AUDIT_ALTERED, "%s: is no certificate of waybill", esc_s(a->o->path));
		json_decref(j);
		return;
	}
	if (certificate_rank(verdict) < 0)
		audit_say(a, AUDIT_ALTERED, "certificate: verdict %s is none", esc_s(verdict));
	if (json_is_true(json_object_get(j, "proof")) != certificate_is_proof(verdict) ||
	    (strcmp(audit_text(j, "title_zh"), "清除证明") == 0) != certificate_is_proof(verdict))
		audit_say(a, AUDIT_ALTERED, "certificate: its title claims what its verdict does not");
	json_array_foreach(json_object_get(j, "items"), i, item)
		if (certificate_rank(audit_text(item, "verdict")) > certificate_rank(verdict))
			audit_say(a, AUDIT_ALTERED, "certificate: item %zu has a worse verdict than the whole", i + 1);
	if (strlen(audit_text(j, "commit")) != 40)
		audit_say(a, AUDIT_ALTERED, "certificate: names no commit of the ledger");
	else if (a->o->expect && strncmp(a->o->expect, audit_text(j, "commit"), strlen(a->o->expect)) != 0)
		audit_say(a, AUDIT_ALTERED, "certificate: names commit %s, expected %s", esc_s(audit_text(j, "commit")), a->o->expect);
	audit_say(a, AUDIT_NOTE, "certificate: only the ledger with commit %s can show that it says what was recorded", esc_s(audit_text(j, "commit")));
	json_decref(j);
}

/* Read one of the two forms of a certificate's first lines. */
static bool is_text_form(const struct buf *paper)
{
	return strstr(paper->data, "waybill-certificate 1") != NULL;
}

static void check_signature(struct audit *a, const struct buf *paper, const struct buf *sig)
{
	char who[128], why[256];
	struct err e = ERR_INIT;
	enum sign_result r;
	int found = 0;

	r = sign_verify_anyone(SIGN_NS_CERTIFICATE, paper->data, paper->len, sig->data, sig->len, why);
	a->r->signatures++;
	if (r != SIGN_GOOD) {
		audit_say(a, r == SIGN_BAD ? AUDIT_ALTERED : AUDIT_UNVERIFIED, "certificate: signature: %s", why);
		return;
	}
	if (!a->signers)
		return;		/* said at the start: nobody can be named */
	if ((found = sign_find_person(a->signers, sig->data, sig->len, who, &e)) < 0)
		audit_err(a, "certificate", &e);
	else if (found == 0)
		audit_say(a, AUDIT_ALTERED, "certificate: signed by nobody of the list given with --signers");
	else
		(void)audit_signature(a, "certificate", (struct sign_check){ .person = who, .name_space = SIGN_NS_CERTIFICATE, .data = paper->data,
		    .data_len = paper->len, .sig = sig->data, .sig_len = sig->len }, a->signers);
}

void audit_certificate(struct audit *a)
{
	OWN_BUF struct buf paper = BUF_INIT;
	OWN_BUF struct buf sig = BUF_INIT;
	OWN_BUF struct buf name = BUF_INIT;
	struct err e = ERR_INIT;

	if (io_read_file(AT_FDCWD, a->o->path, PAPER_MAX, &paper, &e) < 0) {
		audit_say(a, AUDIT_UNVERIFIED, "%s", e.text);
		return;
	}
	buf_puts(&paper, "");
	buf_printf(&name, "%s.sig", a->o->path);
	if (paper.failed || name.failed || !paper.data) {
		a->nomem = true;
		return;
	}
	if (*paper.data == '{')
		check_json(a, &paper);
	else if (!is_text_form(&paper))
		audit_say(a, AUDIT_ALTERED, "%s: is no certificate of waybill", esc_s(a->o->path));
	else
		audit_say(a, AUDIT_NOTE, "certificate: a text; only the ledger it names can show that it says what was recorded");
	if (io_read_file(AT_FDCWD, name.data, SIGN_MAX, &sig, &e) < 0)
		audit_say(a, AUDIT_UNVERIFIED, "certificate: %s: without its signature nothing shows who made it", e.text);
	else
		check_signature(a, &paper, &sig);
}
