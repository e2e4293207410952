/* openssh - argument lists for the OpenSSH client; used by openssh.c alone. */
#ifndef OPENSSH_H
#define OPENSSH_H

#include <stdarg.h>

#include "route.h"
#include "sshkey_blob.h"
#include "ssh_config.h"

#define WORDS_MAX 78
#define WORDS_ROOM 8

struct words {			/* an argv in the making; a list that ran over would lack its command and fail at once */
	const char *v[WORDS_MAX + 2];
	size_t n;
	char room[WORDS_ROOM][256];
	size_t used;
	char port[16];
};

#endif
