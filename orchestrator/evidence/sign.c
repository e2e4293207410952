#include "sign.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "clock.h"
#include "esc.h"
#include "io.h"
#include "proc.h"

#define KEY_FILE_MAX (64 * 1024)
#define TIMEOUT_MS (60 * 1000)

/*
 * A passphrase is never asked for: with an askpass that answers nothing ssh-keygen fails at once.  Without it, it would
 * open the terminal from a background process group and be stopped there for ever.
 */
static const char *const quiet_env[] = { "SSH_ASKPASS=/bin/false", "SSH_ASKPASS_REQUIRE=force", "LC_ALL=C.UTF-8", NULL };

/* ---- the text of public keys ---- */

static int b64_value(int c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* The first bytes of a base64 word; false when a letter is none of the alphabet. */
static bool b64_head(const char *s, size_t n, uint8_t *out, size_t want)
{
	uint32_t acc = 0;
	int bits = 0;
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		int v = b64_value((unsigned char)s[i]);

		if (s[i] == '=' && i + 2 >= n)
			continue;
		if (v < 0)
			return false;
		acc = (acc << 6 | (uint32_t)v) & 0xffffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			if (k < want)
				out[k++] = (uint8_t)(acc >> bits);
		}
	}
	return k == want;
}

struct words { const char *type, *blob; size_t type_len, blob_len; };

static bool known_type(const char *s, size_t n)
{
	return (n > 4 && (memcmp(s, "ssh-", 4) == 0 || memcmp(s, "sk-s", 4) == 0 || memcmp(s, "sk-e", 4) == 0)) ||
	    (n > 6 && memcmp(s, "ecdsa-", 6) == 0);
}

/* Type and base64 of a key line.  Options before the type are no part of what plans and key files hold. */
static bool key_words(const char *s, struct words *w)
{
	s += strspn(s, " \t");
	w->type = s;
	w->type_len = strcspn(s, " \t\r\n");
	s += w->type_len;
	s += strspn(s, " \t");
	w->blob = s;
	w->blob_len = strcspn(s, " \t\r\n");
	return known_type(w->type, w->type_len) && w->blob_len > 0;
}

bool sign_same_key(const char *a, const char *b)
{
	struct words x, y;

	return key_words(a, &x) && key_words(b, &y) && x.type_len == y.type_len && x.blob_len == y.blob_len &&
	    memcmp(x.type, y.type, x.type_len) == 0 && memcmp(x.blob, y.blob, x.blob_len) == 0;
}

bool sign_key_plausible(const char *s)
{
	struct words w;
	uint8_t head[4 + 64];

	if (!key_words(s, &w) || w.type_len > 64 || strpbrk(s, "\r\n"))
		return false;
	/* the blob begins with the type as a string, so a mangled line rarely passes */
	return b64_head(w.blob, w.blob_len, head, 4 + w.type_len) && head[0] == 0 && head[1] == 0 && head[2] == 0 &&
	    head[3] == w.type_len && memcmp(head + 4, w.type, w.type_len) == 0;
}

void sign_put_signer(struct buf *b, const char *person, const char *key)
{
	struct words w;

	if (!key_words(key, &w))
		return;
	buf_printf(b, "%s namespaces=\"%s,%s,%s,%s,%s\" %.*s %.*s\n", person, SIGN_NS_APPROVAL, SIGN_NS_ACCEPTANCE,
	    SIGN_NS_CLEARANCE, SIGN_NS_CERTIFICATE, SIGN_NS_GIT, (int)w.type_len, w.type, (int)w.blob_len, w.blob);
}

/* ---- running ssh-keygen ---- */

/* What it complained about: the last line that says something (its banners come first, its verdict last). */
static const char *complaint(const struct proc_result *r, const char *silent, char out[256])
{
	const char *s = r->err.len ? r->err.data : r->out.data, *best = "", *p;
	size_t best_len = 0;

	for (p = s ? s : ""; *p; p += strspn(p, "\r\n")) {
		size_t n = strcspn(p, "\r\n");

		if (n && *p != '@' && strncmp(p, "Signing data", 12) != 0 && strncmp(p, "Could not verify signature", 26) != 0) {
			if (!best_len || strncmp(p, "It is", 5) != 0) {
				best = p;
				best_len = n;
			}
		}
		p += n;
	}
	return best_len ? esc_into(out, 256, best, best_len) : silent;
}

static int keygen(const char *const *argv, const void *in, size_t n, struct proc_result *r, struct err *e)
{
	struct proc_options o = { .argv = argv, .env = quiet_env, .input = in ? in : "", .input_len = n,
	    .timeout_ms = TIMEOUT_MS };

	if (proc_run(&o, r, e) < 0)
		return -1;
	if (r->status == 127 || r->status == 126)
		return err_set(e, ERR_PERMANENT, "ssh-keygen cannot be run; install openssh-client");
	if (r->timed_out)
		return err_set(e, ERR_TEMPORARY, "ssh-keygen did not answer within %d s", TIMEOUT_MS / 1000);
	return 0;
}

/* A name that ssh-keygen cannot take for an option. */
static int key_argument(const char *file, char out[PATH_MAX], struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s%s", *file == '-' ? "./" : "", file);

	if (n < 0 || n >= PATH_MAX || !*file)
		return err_set(e, ERR_USAGE, "key file %s: no usable name", esc_s(file));
	return 0;
}

int sign_bytes(const char *keyfile, const char *name_space, const void *p, size_t n, struct buf *sig, struct err *e)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	char file[PATH_MAX], why[256];
	const char *argv[] = { "ssh-keygen", "-q", "-Y", "sign", "-f", file, "-n", name_space, NULL };

	if (key_argument(keyfile, file, e) < 0)
		return -1;
	if (access(file, R_OK) < 0)
		return err_sys(e, "key file %s", esc_s(keyfile));
	if (keygen(argv, p, n, &r, e) < 0)
		return err_at(e, "sign with %s", esc_s(keyfile));
	if (r.status != 0 || !r.out.len) {
		err_set(e, ERR_PERMANENT, "sign with %s: ssh-keygen: %s", esc_s(keyfile), complaint(&r, "no reason given", why));
		return err_hint(e, "give a private key without passphrase, or load its private half into ssh-agent");
	}
	if (r.out.len > SIGN_MAX || strncmp(r.out.data, "-----BEGIN SSH SIGNATURE-----\n", 30) != 0)
		return err_set(e, ERR_PERMANENT, "sign with %s: ssh-keygen gave something that is no signature", esc_s(keyfile));
	buf_put(sig, r.out.data, r.out.len);
	return buf_finish(sig, e);
}

int sign_for_ledger(void *ctx, const void *p, size_t n, struct buf *sig, struct err *e)
{
	return sign_bytes(ctx, SIGN_NS_GIT, p, n, sig, e);
}

/* ---- public half of a key file ---- */

static int put_key_line(const char *keyfile, const char *text, struct buf *line, struct err *e)
{
	struct words w;

	if (!key_words(text, &w))
		return err_set(e, ERR_PERMANENT, "%s holds no SSH key", esc_s(keyfile));
	buf_put(line, w.type, w.type_len);
	buf_putc(line, ' ');
	buf_put(line, w.blob, w.blob_len);
	return buf_finish(line, e);
}

int sign_public_key(const char *keyfile, struct buf *line, struct err *e)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	OWN_BUF struct buf text = BUF_INIT;
	OWN_BUF struct buf pub = BUF_INIT;
	char file[PATH_MAX], why[256], beside[PATH_MAX + 8];
	const char *argv[] = { "ssh-keygen", "-y", "-f", file, NULL };
	struct words w;
	struct err ignored = ERR_INIT;

	if (key_argument(keyfile, file, e) < 0 || io_read_file(AT_FDCWD, file, KEY_FILE_MAX, &text, e) < 0)
		return err_at(e, "key file %s", esc_s(keyfile));
	if (key_words(text.data ? text.data : "", &w))
		return put_key_line(keyfile, text.data, line, e);
	if (keygen(argv, NULL, 0, &r, e) < 0)
		return err_at(e, "key file %s", esc_s(keyfile));
	if (r.status == 0)
		return put_key_line(keyfile, r.out.data ? r.out.data : "", line, e);
	/* with a passphrase: the public half lies beside it as a rule */
	(void)snprintf(beside, sizeof(beside), "%s.pub", file);
	if (io_read_file(AT_FDCWD, beside, KEY_FILE_MAX, &pub, &ignored) == 0 && pub.len)
		return put_key_line(beside, pub.data, line, e);
	return err_set(e, ERR_PERMANENT, "key file %s: ssh-keygen: %s", esc_s(keyfile), complaint(&r, "no reason given", why));
}

/* ---- checking ---- */

struct scratch { char dir[PATH_MAX]; };

static void scratch_remove(struct scratch *s)
{
	static const char *const names[] = { "signers", "sig" };
	char path[PATH_MAX + 16];

	if (!*s->dir)
		return;
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", s->dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(s->dir);
}

static int scratch_make(struct scratch *s, struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(s->dir, sizeof(s->dir), "%s/waybill-sign-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
	if (!mkdtemp(s->dir)) {
		int rc = err_sys(e, "temporary directory %s", esc_s(s->dir));

		*s->dir = '\0';
		return rc;
	}
	return 0;
}

static int scratch_put(const struct scratch *s, const char *name, const void *p, size_t n, char path[PATH_MAX + 16], struct err *e)
{
	OWN_FD int fd = -1;

	(void)snprintf(path, PATH_MAX + 16, "%s/%s", s->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "write %s", esc_s(path));
	return io_write_all("sign", fd, p, n, path, e);
}

static bool principal_safe(const char *s)
{
	if (!*s || *s == '-')
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("-_.@+", *s))
			return false;
	return true;
}

static int verify(const struct sign_check *c, struct proc_result *r, struct err *e)
{
	OWN(scratch_remove) struct scratch s = { "" };
	char signers[PATH_MAX + 16], sig[PATH_MAX + 16], when[64] = "";
	const char *argv[14] = { "ssh-keygen", "-Y", "verify", "-f", signers, "-I", c->person, "-n", c->name_space, "-s", sig };

	if (scratch_make(&s, e) < 0 || scratch_put(&s, "signers", c->signers, strlen(c->signers), signers, e) < 0 ||
	    scratch_put(&s, "sig", c->sig, c->sig_len, sig, e) < 0)
		return -1;
	if (c->at) {
		struct tm tm;
		time_t t = (time_t)c->at;

		/* local time without suffix is the only form that every OpenSSH since 8.2 reads */
		if (!localtime_r(&t, &tm) || !strftime(when, sizeof(when), "-Overify-time=%Y%m%d%H%M%S", &tm))
			return err_set(e, ERR_PERMANENT, "time %" PRId64 " cannot be written", c->at);
		argv[11] = when;
	}
	return keygen(argv, c->data, c->data_len, r, e);
}

enum sign_result sign_verify(const struct sign_check *c, char why[256])
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct err e = ERR_INIT;
	char said[256], none[256];

	if (!why)
		why = none;
	*why = '\0';
	if (!c->sig_len || !c->sig) {
		(void)snprintf(why, 256, "there is no signature");
		return SIGN_UNCHECKED;
	}
	if (!principal_safe(c->person) || c->sig_len > SIGN_MAX) {
		(void)snprintf(why, 256, "%s", c->sig_len > SIGN_MAX ? "the signature is too long to be one" : "the person's name is none");
		return SIGN_BAD;
	}
	if (verify(c, &r, &e) < 0) {
		(void)snprintf(why, 256, "%.255s", e.text);
		return SIGN_UNCHECKED;
	}
	if (r.status == 0)
		return SIGN_GOOD;
	(void)snprintf(why, 256, "%s", complaint(&r, "it was made with another key, or over another text", said));
	return r.status > 128 && r.status < 160 ? SIGN_UNCHECKED : SIGN_BAD;
}

enum sign_result sign_verify_anyone(const char *name_space, const void *data, size_t n, const char *sig, size_t sig_len, char why[256])
{
	OWN(scratch_remove) struct scratch s = { "" };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	struct err e = ERR_INIT;
	char path[PATH_MAX + 16], said[256];
	const char *argv[] = { "ssh-keygen", "-Y", "check-novalidate", "-n", name_space, "-s", path, NULL };

	*why = '\0';
	if (!sig_len || sig_len > SIGN_MAX) {
		(void)snprintf(why, 256, sig_len ? "the signature is too long to be one" : "there is no signature");
		return sig_len ? SIGN_BAD : SIGN_UNCHECKED;
	}
	if (scratch_make(&s, &e) < 0 || scratch_put(&s, "sig", sig, sig_len, path, &e) < 0 || keygen(argv, data, n, &r, &e) < 0) {
		(void)snprintf(why, 256, "%.255s", e.text);
		return SIGN_UNCHECKED;
	}
	if (r.status == 0)
		return SIGN_GOOD;
	(void)snprintf(why, 256, "%s", complaint(&r, "it was made over another text", said));
	return SIGN_BAD;
}

int sign_find_person(const char *signers, const char *sig, size_t sig_len, char person[128], struct err *e)
{
	OWN(scratch_remove) struct scratch s = { "" };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	char list[PATH_MAX + 16], path[PATH_MAX + 16];
	const char *argv[] = { "ssh-keygen", "-Y", "find-principals", "-f", list, "-s", path, NULL };
	size_t n;

	if (scratch_make(&s, e) < 0 || scratch_put(&s, "signers", signers, strlen(signers), list, e) < 0 ||
	    scratch_put(&s, "sig", sig, sig_len, path, e) < 0 || keygen(argv, NULL, 0, &r, e) < 0)
		return -1;
	n = r.out.data ? strcspn(r.out.data, ",\r\n") : 0;
	if (r.status != 0 || n == 0 || n >= 128)
		return 0;
	memcpy(person, r.out.data, n);
	person[n] = '\0';
	return 1;
}

/* Does the list of names before end hold this one? */
static bool names_person(const char *p, const char *end, const char *person)
{
	size_t want = strlen(person);

	while (p < end) {
		size_t n = strcspn(p, ",");

		n = n < (size_t)(end - p) ? n : (size_t)(end - p);
		if (n == want && memcmp(p, person, n) == 0)
			return true;
		p += n + (p + n < end);
	}
	return false;
}

/* Over one word of an allowed_signers line; quoted blanks belong to it. */
static const char *word_end(const char *p)
{
	bool quoted = false;

	for (; *p && *p != '\n' && (quoted || (*p != ' ' && *p != '\t')); p++)
		quoted ^= *p == '"';
	return p;
}

/* The line for a person: where its text after the names begins; NULL when there is none. */
static const char *signer_line(const char *signers, const char *person)
{
	for (const char *p = signers; *p && *person; p += strcspn(p, "\n"), p += *p == '\n') {
		const char *end = p + strcspn(p, " \t\n");

		if (*p != '#' && names_person(p, end, person))
			return end;
	}
	return NULL;
}

bool sign_has_person(const char *signers, const char *person) { return signer_line(signers, person) != NULL; }

char *sign_signer_key(const char *signers, const char *person)
{
	const char *p = signer_line(signers, person);

	while (p && *p && *p != '\n') {
		struct words w;
		const char *end;
		char *line;

		p += strspn(p, " \t");
		end = word_end(p);
		if (known_type(p, (size_t)(end - p)) && *end == ' ' && key_words(p, &w)) {
			if (asprintf(&line, "%.*s %.*s", (int)w.type_len, w.type, (int)w.blob_len, w.blob) < 0)
				return NULL;
			return line;
		}
		if (end == p)
			break;
		p = end;
	}
	return NULL;
}
