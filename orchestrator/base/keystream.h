/*
 * keystream - AES in counter mode, with its key stream made ahead.
 *
 * libssh2 hands the cipher 16 bytes a call, and a call of its own for each block costs far more than the cipher (25 ns a block against
 * 2: 1.6 CPU seconds a GB).  This is a provider within the process (provider(7ossl)) that OpenSSL prefers for AES-CTR: it lets
 * OpenSSL's own provider encrypt zeros, 4 KiB a call, and each block is combined with what is there already.  The bytes are the same.
 */
#ifndef KEYSTREAM_H
#define KEYSTREAM_H

#include <stdbool.h>

/*
 * Once, before other threads use OpenSSL's algorithms.  false: it is not used, and everything works as without it (the library's
 * defaults are bound to other providers, as FIPS has it, or it could not be loaded).
 */
bool keystream_install(void);

#endif
