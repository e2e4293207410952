/*
 * sign - SSH signatures (SSHSIG) made and checked by stock ssh-keygen.
 *
 * A key file is either a private key, or a public key whose private half an ssh-agent holds.  Nobody is ever asked
 * for a passphrase: a key that needs one must be in the agent.  Signatures are the armored text of ssh-keygen.
 */
#ifndef SIGN_H
#define SIGN_H

#include "buf.h"

#define SIGN_NS_APPROVAL "approval@waybill"
#define SIGN_NS_ACCEPTANCE "acceptance@waybill"
#define SIGN_NS_CLEARANCE "clearance@waybill"
#define SIGN_NS_CERTIFICATE "certificate@waybill"
#define SIGN_NS_GIT "git"

#define SIGN_MAX (64 * 1024)		/* longest armored signature accepted */

/*
 * Signs n bytes; the armored text is appended to sig.  ERR_PERMANENT: ssh-keygen is missing, the key cannot be read, or neither
 * file nor agent has its private half (the text says which, and what to do).
 */
int sign_bytes(const char *keyfile, const char *name_space, const void *p, size_t n, struct buf *sig, struct err *e) MUST_CHECK;

enum sign_result {
	SIGN_GOOD,
	SIGN_BAD,			/* checked and wrong: why says how */
	SIGN_UNCHECKED			/* no ssh-keygen, no signature text, ...: never to be taken for good */
};
struct sign_check {
	const char *signers;		/* allowed_signers text (ssh-keygen(1)), NUL-terminated */
	const char *person;		/* principal it must be from */
	const char *name_space;
	const void *data; size_t data_len;
	const char *sig; size_t sig_len;	/* armored */
	int64_t at;			/* seconds since the epoch at which the key must have been valid; 0 = now */
};
/* Never fails otherwise: what went wrong is in the result.  why may be NULL. */
enum sign_result sign_verify(const struct sign_check *c, char why[256]) MUST_CHECK;

/* Is sig a sound signature over the bytes in that namespace, whoever made it?  For papers without a list of signers. */
enum sign_result sign_verify_anyone(const char *name_space, const void *data, size_t n, const char *sig, size_t sig_len, char why[256]) MUST_CHECK;
/* Who of an allowed_signers text has the key that made sig: 1 (name in person), 0 nobody, -1. */
int sign_find_person(const char *signers, const char *sig, size_t sig_len, char person[128], struct err *e) MUST_CHECK;
/* Has the text a line for that person (whole name, first field; lists with commas included)? */
bool sign_has_person(const char *signers, const char *person);

/* The key ("TYPE BASE64", owned) of the first line for that person; NULL when there is none or memory is short. */
char *sign_signer_key(const char *signers, const char *person);

/* The public key line ("ssh-ed25519 AAAA...", comment dropped) of a private or public key file. */
int sign_public_key(const char *keyfile, struct buf *line, struct err *e) MUST_CHECK;
/* Same key type and bits, whatever comment or options stand around them? */
bool sign_same_key(const char *a, const char *b);
/* Is s one public key line ("TYPE BASE64 [comment]") with plausible base64 whose blob names the same type? */
bool sign_key_plausible(const char *s);

/* One allowed_signers line for person and key, good for all namespaces of waybill and git (the ledger's whole file: plan_signers). */
void sign_put_signer(struct buf *b, const char *person, const char *key);

/* A ledger_signer (ledger.h): ctx is the key file's name (const char *); namespace git. */
int sign_for_ledger(void *ctx, const void *p, size_t n, struct buf *sig, struct err *e) MUST_CHECK;

#endif
