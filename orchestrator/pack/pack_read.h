/* pack_read - the state of a pack being read; internal to pack/. */
#ifndef PACK_READ_H
#define PACK_READ_H

#include "codec.h"

struct pack_reader {
	struct frame_reader *frames;
	struct archive *a;
	struct archive_entry *ae;	/* reused */
	uint8_t *buffer;		/* what libarchive is reading from */
	size_t buffer_size;
	struct name_set names;
	uint64_t entries;
	int64_t given;			/* raw bytes given to libarchive */
	uint64_t header_bytes;		/* of them since the header began */
	bool in_header, opened, ended, failed;
	struct err why;			/* the first failure */

	/* The content of the current entry. */
	char *path;			/* owned, for messages */
	uint64_t size, pos;
	bool sparse, no_more_blocks;
	const void *block;		/* borrowed from libarchive until the next call */
	uint64_t block_at, block_len;
};

/* Records the failure for good and reports it, with the path where there is one; always -1. */
int pack_failure(struct pack_reader *r, const char *what, struct err *e);
/* Turns the header that libarchive has read into an entry, checking everything; -1 with *e. */
int pack_entry(struct pack_reader *r, struct entry *en, struct attr_set *attrs, struct err *e) MUST_CHECK;

#endif
