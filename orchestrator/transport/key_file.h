/* key_file - what a key file is, without its secret: type, public blob, whether a passphrase guards it. */
#ifndef KEY_FILE_H
#define KEY_FILE_H

#include "buf.h"
#include "rsa.h"
#include "sshkey_blob.h"

struct key_file {
	bool is_public;		/* a public key: the private half is for an agent */
	bool encrypted;
	char type[KEY_TYPE_MAX];	/* "" when only the passphrase (or the library) would tell */
	struct buf blob;	/* public key; empty when unknown */
};
void key_file_dispose(struct key_file *k);

/* FILE.pub beside it is read as well where the file itself does not tell.  ENOENT keeps e->sys; open to others: ERR_PERMANENT. */
int key_file_read(struct key_file *k, const char *path, struct err *e) MUST_CHECK;
/* The private RSA key of a file without passphrase. */
int key_file_rsa(const char *path, struct rsa_key **out, struct err *e) MUST_CHECK;

#endif
