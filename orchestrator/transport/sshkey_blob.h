/* sshkey_blob - public keys as SSH sends them (RFC 4253 6.6): type, fingerprint, and the line people paste. */
#ifndef SSHKEY_BLOB_H
#define SSHKEY_BLOB_H

#include "buf.h"

#define KEY_TYPE_MAX 64
#define FINGERPRINT_MAX 64

/* The first string of the blob; false when it is none or too long. */
bool key_type_of(const void *blob, size_t n, char type[KEY_TYPE_MAX]);
/* "SHA256:" and unpadded base64. */
char *key_fingerprint(const void *blob, size_t n, char out[FINGERPRINT_MAX]);
/* "ssh-ed25519 AAAA...". */
void key_line(struct buf *b, const void *blob, size_t n);
/* Reads "type base64 [comment]"; the blob is appended.  False when it is no such line, or blob and type disagree. */
bool key_line_parse(const char *s, size_t n, struct buf *blob);
/* A string of the SSH wire: length (big-endian), bytes. */
void ssh_put_string(struct buf *b, const void *p, size_t n);
void ssh_put_u32(struct buf *b, uint32_t v);
/* Borrowed from the view; NULL when the view is too short (which also fails the view). */
const uint8_t *ssh_get_string(struct view *v, size_t *n);
uint32_t ssh_get_u32(struct view *v);

#endif
