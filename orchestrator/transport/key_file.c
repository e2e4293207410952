#include "key_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base64.h"
#include "esc.h"
#include "io.h"

#define KEY_LIMIT (256u << 10)
#define OPENSSH_BEGIN "-----BEGIN OPENSSH PRIVATE KEY-----"
#define OPENSSH_END "-----END OPENSSH PRIVATE KEY-----"

void key_file_dispose(struct key_file *k)
{
	buf_dispose(&k->blob);
	*k = (struct key_file){ 0 };
}

static void wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_dispose(b);
}
#define OWN_SECRET OWN(wipe)

/* The bytes between the marks of the OpenSSH format; false when it is not that format. */
static bool openssh_body(const struct buf *text, struct buf *body)
{
	OWN_SECRET struct buf b64 = BUF_INIT;
	const char *s = text->data ? strstr(text->data, OPENSSH_BEGIN) : NULL, *end;

	if (!s || !(end = strstr(s, OPENSSH_END)))
		return false;
	for (s += strlen(OPENSSH_BEGIN); s < end; s++)
		if (*s != '\n' && *s != '\r')
			buf_putc(&b64, *s);
	return !b64.failed && b64.len && base64_get(body, b64.data, b64.len) && !body->failed &&
	    body->len > 15 && memcmp(body->data, "openssh-key-v1", 15) == 0;
}

struct openssh_key { bool encrypted; const uint8_t *blob, *secret; size_t blob_len, secret_len; };

static bool openssh_parse(const struct buf *body, struct openssh_key *k)
{
	struct view v = view_of(body->data + 15, body->len - 15);
	size_t n;
	const uint8_t *cipher = ssh_get_string(&v, &n);

	k->encrypted = !cipher || n != 4 || memcmp(cipher, "none", 4) != 0;
	(void)ssh_get_string(&v, &n);	/* kdf */
	(void)ssh_get_string(&v, &n);	/* its options */
	if (ssh_get_u32(&v) != 1)
		return false;
	k->blob = ssh_get_string(&v, &k->blob_len);
	k->secret = ssh_get_string(&v, &k->secret_len);
	return !v.failed;
}

static void read_pub_beside(struct key_file *k, const char *path)
{
	OWN_BUF struct buf text = BUF_INIT;
	OWN_FREE char *pub = NULL;
	struct err ignored = ERR_INIT;	/* without it only the type stays unknown */

	if (asprintf(&pub, "%s.pub", path) < 0) {
		pub = NULL;
		return;
	}
	if (io_read_file(AT_FDCWD, pub, KEY_LIMIT, &text, &ignored) == 0 && text.data &&
	    !key_line_parse(text.data, strcspn(text.data, "\n"), &k->blob))
		buf_reset(&k->blob);
}

static int check_mode(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(e, "%s", esc_s(path));
	if (st.st_uid == getuid() && (st.st_mode & 077))
		return err_set(e, ERR_PERMANENT, "others may read it (mode %04o); chmod 600 %s", st.st_mode & 0777u, esc_s(path));
	return 0;
}

int key_file_read(struct key_file *k, const char *path, struct err *e)
{
	OWN_SECRET struct buf text = BUF_INIT;
	OWN_SECRET struct buf body = BUF_INIT;
	struct openssh_key o;

	*k = (struct key_file){ 0 };
	if (io_read_file(AT_FDCWD, path, KEY_LIMIT, &text, e) < 0)
		return -1;
	if (text.data && key_line_parse(text.data, strcspn(text.data, "\n"), &k->blob)) {
		k->is_public = true;
		(void)key_type_of(k->blob.data, k->blob.len, k->type);
		return 0;
	}
	buf_reset(&k->blob);
	if (check_mode(path, e) < 0)
		return -1;
	if (openssh_body(&text, &body)) {
		if (!openssh_parse(&body, &o))
			return err_set(e, ERR_PERMANENT, "its OpenSSH key format cannot be read");
		k->encrypted = o.encrypted;
		buf_put(&k->blob, o.blob, o.blob_len);
	} else if (text.data && strstr(text.data, "-----BEGIN ") && strstr(text.data, "PRIVATE KEY-----")) {
		k->encrypted = strstr(text.data, "ENCRYPTED") != NULL;
		read_pub_beside(k, path);
	} else {
		return err_set(e, ERR_PERMANENT, "it is neither a private nor a public key");
	}
	(void)key_type_of(k->blob.data, k->blob.len, k->type);
	return buf_finish(&k->blob, e);
}

/* Two equal check numbers, type, then n e d iqmp p q. */
static int rsa_from_openssh(const struct openssh_key *o, struct rsa_key **out, struct err *e)
{
	struct view v = view_of(o->secret, o->secret_len);
	struct rsa_numbers k;
	struct rsa_number *order[] = { &k.n, &k.e, &k.d, &k.iqmp, &k.p, &k.q };
	uint32_t check = ssh_get_u32(&v);
	size_t n;
	const uint8_t *type;

	if (check != ssh_get_u32(&v) || !(type = ssh_get_string(&v, &n)) || n != 7 || memcmp(type, "ssh-rsa", 7) != 0)
		return err_set(e, ERR_PERMANENT, "not an RSA key without passphrase");
	for (size_t i = 0; i < 6; i++)
		order[i]->p = ssh_get_string(&v, &order[i]->n);
	if (v.failed)
		return err_set(e, ERR_PERMANENT, "its RSA numbers cannot be read");
	return rsa_key_from_numbers(out, &k, e);
}

int key_file_rsa(const char *path, struct rsa_key **out, struct err *e)
{
	OWN_SECRET struct buf text = BUF_INIT;
	OWN_SECRET struct buf body = BUF_INIT;
	struct openssh_key o;

	if (io_read_file(AT_FDCWD, path, KEY_LIMIT, &text, e) < 0)
		return -1;
	if (!openssh_body(&text, &body))
		return rsa_key_from_pem(out, text.data, text.len, e);
	if (!openssh_parse(&body, &o) || o.encrypted)
		return err_set(e, ERR_PERMANENT, "not an RSA key without passphrase");
	return rsa_from_openssh(&o, out, e);
}
