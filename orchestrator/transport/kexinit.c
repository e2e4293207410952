#include "kexinit.h"

#include <string.h>

#include "esc.h"
#include "sshkey_blob.h"

void kexinit_dispose(struct kexinit *k)
{
	for (size_t i = 0; i < KEX_LISTS; i++)
		free(k->list[i]);
	*k = (struct kexinit){ { NULL } };
}

/* Lines before the version line are allowed (RFC 4253 4.2). */
static const uint8_t *behind_banner(const uint8_t *p, const uint8_t *end)
{
	while (p < end) {
		const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));

		if (!nl)
			return NULL;
		if (end - p > 4 && memcmp(p, "SSH-", 4) == 0)
			return nl + 1;
		p = nl + 1;
	}
	return NULL;
}

bool kexinit_parse(struct kexinit *k, const void *bytes, size_t n)
{
	const uint8_t *end = (const uint8_t *)bytes + n, *p = behind_banner(bytes, end);
	struct view v;
	uint32_t len;

	*k = (struct kexinit){ { NULL } };
	if (!p)
		return false;
	v = view_of(p, (size_t)(end - p));
	len = ssh_get_u32(&v);
	if (len > 35000 || view_left(&v) < len)
		return false;
	(void)view_u8(&v);	/* padding length */
	if (view_u8(&v) != 20)
		return false;
	(void)view_raw(&v, 16);	/* cookie */
	for (size_t i = 0; i < KEX_LISTS; i++) {
		size_t m;
		const uint8_t *s = ssh_get_string(&v, &m);

		if (!s || !(k->list[i] = esc_dup(s, m))) {
			kexinit_dispose(k);
			return false;
		}
	}
	return true;
}

bool list_has(const char *list, const char *name, size_t n)
{
	for (const char *s = list; s && *s; s += strcspn(s, ","), s += *s == ',')
		if (strcspn(s, ",") == n && memcmp(s, name, n) == 0)
			return true;
	return false;
}

bool lists_meet(const char *ours, const char *theirs)
{
	for (const char *s = ours; s && *s; s += strcspn(s, ","), s += *s == ',')
		if (list_has(theirs, s, strcspn(s, ",")))
			return true;
	return false;
}
