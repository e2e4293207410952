/*
 * out - the content of a file being made, past the page cache where that is cheaper.
 *
 * A buffered write costs the kernel's processor time for every page (1.3 to 2.5 s a GB measured), one with O_DIRECT next to none, but
 * it waits for the disk.  So contents of OUT_DIRECT_MIN bytes and more go past the cache in whole blocks; the rest of the
 * last block is written as usual.  Where the file system or the device refuses, everything is written as usual.
 */
#ifndef OUT_H
#define OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"
#include "own.h"

#define OUT_ALIGN 4096u			/* of memory, offsets and lengths: no device asks for more than a page */
#define OUT_DIRECT_MIN (64u << 10)	/* below it the wait costs more than the pages (measured on ext4) */

struct out {
	int fd;		/* borrowed */
	int direct;	/* for whole blocks: fd itself or another fd of the file; -1 = none */
};

/* fd alone, for one thread: past the cache when size is OUT_DIRECT_MIN or more and the file system takes part. */
struct out out_on(int fd, uint64_t size);
/* Set O_DIRECT on fd or take it off; false: the file system does not take part. */
bool out_set_direct(int fd, bool on);
/*
 * n bytes of p, at offset at.  Past the cache only when p and at are multiples of OUT_ALIGN; then all calls but the last of a file
 * should bring a multiple too.  site and what as in io.h.
 */
int out_write(struct out *o, const char *site, const void *p, size_t n, uint64_t at, const char *what, struct err *e) MUST_CHECK;
/* Memory for it, n rounded up to blocks; free() it.  NULL: out of memory. */
void *out_memory(size_t n);

#endif
