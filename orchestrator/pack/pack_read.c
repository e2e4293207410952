#include "codec.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "esc.h"
#include "pack_read.h"
#include "path.h"

#define READ_BUFFER (256u << 10)
#define MEMORY_BUFFER FRAME_RAW		/* a whole frame, which is then decoded in one go */
#define HEADERS_MAX (8u << 20)	/* raw bytes between two contents: pax headers, sparse maps */

static la_ssize_t on_read(struct archive *a, void *ctx, const void **p)
{
	struct pack_reader *r = ctx;
	ssize_t n;

	if (r->in_header && r->header_bytes > HEADERS_MAX) {
		err_set(&r->why, ERR_INTEGRITY, "more than %u bytes of headers", HEADERS_MAX);
		archive_set_error(a, EIO, "headers");
		return -1;
	}
	n = frame_reader_get(r->frames, r->buffer, r->buffer_size, &r->why);
	if (n < 0) {
		archive_set_error(a, EIO, "input");
		return -1;
	}
	if (r->in_header)
		r->header_bytes += (uint64_t)n;
	r->given += n;
	*p = r->buffer;
	return n;
}

int pack_failure(struct pack_reader *r, const char *what, struct err *e)
{
	const char *text = archive_error_string(r->a);

	r->failed = true;
	if (r->why.class == ERR_NONE)
		err_set(&r->why, ERR_INTEGRITY, "%s", text ? esc_s(text) : "not a pax archive");
	*e = r->why;
	return what ? err_at(e, "pack: %s", esc_s(what)) : err_at(e, "pack");
}

static bool set_up(struct pack_reader *r)
{
	r->a = archive_read_new();
	if (!r->a)
		return false;
	r->ae = archive_entry_new2(r->a);
	return r->ae && archive_read_support_filter_none(r->a) == ARCHIVE_OK &&
	    archive_read_support_format_tar(r->a) == ARCHIVE_OK;
}

/* Takes frames over, also when it fails. */
static int over_frames(struct pack_reader **out, struct frame_reader *frames, size_t buffer_size, struct err *e)
{
	struct pack_reader *r = calloc(1, sizeof(*r));
	locale_t old;
	bool ok;

	if (!r || !codec_ready() || !(r->buffer = malloc(buffer_size))) {
		frame_reader_free(frames);
		free(r);
		return err_set(e, ERR_TEMPORARY, "pack: out of memory");
	}
	r->why = (struct err)ERR_INIT;
	r->buffer_size = buffer_size;
	r->frames = frames;
	name_set_init(&r->names);
	old = codec_enter();
	ok = set_up(r);
	codec_leave(old);
	if (!ok) {
		pack_reader_free(r);
		return err_set(e, ERR_TEMPORARY, "pack: the tar reader cannot be set up");
	}
	*out = r;
	return 0;
}

int pack_reader_new(struct pack_reader **out, pack_source src, void *ctx, struct err *e)
{
	struct frame_reader *f;

	return frame_reader_new(&f, src, ctx, e) < 0 ? -1 : over_frames(out, f, READ_BUFFER, e);
}

int pack_reader_new_memory(struct pack_reader **out, const void *p, size_t n, struct err *e)
{
	struct frame_reader *f;

	return frame_reader_new_memory(&f, p, n, e) < 0 ? -1 : over_frames(out, f, MEMORY_BUFFER, e);
}

void pack_reader_free(struct pack_reader *r)
{
	locale_t old;

	if (!r)
		return;
	old = codec_enter();
	if (r->ae)
		archive_entry_free(r->ae);
	if (r->a)
		(void)archive_read_free(r->a);
	codec_leave(old);
	frame_reader_free(r->frames);
	name_set_dispose(&r->names);
	free(r->path);
	free(r->buffer);
	free(r);
}

/*
 * libarchive takes one block of zeros, or no bytes at all, for an end as well.  Ours are two blocks and then nothing,
 * so that an archive cut between two entries shows.
 */
static int at_end(struct pack_reader *r, int64_t before, struct err *e)
{
	int64_t after = archive_filter_bytes(r->a, 0);
	char more;
	ssize_t n;

	if (after - before != 1024) {
		err_set(&r->why, ERR_INTEGRITY, "the archive is cut off");
		return pack_failure(r, NULL, e);
	}
	n = r->given == after ? frame_reader_get(r->frames, &more, 1, &r->why) : 1;
	if (n > 0)
		err_set(&r->why, ERR_INTEGRITY, "bytes after the end of the archive");
	if (n != 0)
		return pack_failure(r, NULL, e);
	r->ended = true;
	return 0;
}

/* Ours say hdrcharset=BINARY and give no warning; archives of others with UTF-8 names do, and give the bytes as well. */
static bool only_about_names(struct archive *a)
{
	const char *s = archive_error_string(a);

	return s && strstr(s, "name can't be converted from UTF-8 to current locale") != NULL;
}

/* The next header: 1, 0, -1. */
static int step(struct pack_reader *r, struct err *e)
{
	int64_t before;
	int n;

	if (!r->opened) {
		r->in_header = true;
		if (archive_read_open(r->a, r, NULL, on_read, NULL) != ARCHIVE_OK)
			return pack_failure(r, NULL, e);
		r->opened = true;
	} else if (r->entries && archive_read_data_skip(r->a) != ARCHIVE_OK) {
		return pack_failure(r, r->path, e);
	}
	before = archive_filter_bytes(r->a, 0);
	r->in_header = true;
	r->header_bytes = 0;
	n = archive_read_next_header2(r->a, r->ae);
	r->in_header = false;
	if (n == ARCHIVE_EOF)
		return at_end(r, before, e);
	if (n == ARCHIVE_WARN && only_about_names(r->a))
		n = ARCHIVE_OK;
	if (n != ARCHIVE_OK)
		return pack_failure(r, r->path, e);
	if (r->entries++ >= PACK_ENTRIES_MAX) {
		err_set(&r->why, ERR_INTEGRITY, "more than %u entries", PACK_ENTRIES_MAX);
		return pack_failure(r, NULL, e);
	}
	return 1;
}

int pack_next(struct pack_reader *r, struct entry *en, struct attr_set *attrs, struct err *e)
{
	OWN_ENTRY struct entry own = ENTRY_INIT;
	struct entry *to = en ? en : &own;
	locale_t old;
	int n;

	if (r->failed) {
		*e = r->why;
		return err_at(e, "pack");
	}
	entry_dispose(to);
	if (attrs)
		attr_set_dispose(attrs);
	if (r->ended)
		return 0;
	old = codec_enter();
	n = step(r, e);
	if (n > 0 && pack_entry(r, to, attrs, &r->why) < 0)
		n = pack_failure(r, archive_entry_pathname(r->ae), e);
	codec_leave(old);
	if (n < 0) {
		entry_dispose(to);
		if (attrs)
			attr_set_dispose(attrs);
		return -1;
	}
	r->pos = r->block_at = r->block_len = 0;
	r->size = n ? to->size : 0;
	r->no_more_blocks = false;
	return n;
}

/* The next stretch of stored content.  libarchive's offsets are checked, its sparse code has a history (transfer.md 23). */
static int next_block(struct pack_reader *r, struct err *e)
{
	uint64_t end = r->block_at + r->block_len;
	const void *p = NULL;
	la_int64_t at = 0;
	size_t n = 0;
	int got = archive_read_data_block(r->a, &p, &n, &at);

	if (got == ARCHIVE_EOF) {
		r->no_more_blocks = true;
		if (!r->sparse && r->pos < r->size) {
			err_set(&r->why, ERR_INTEGRITY, "content ends after %" PRIu64 " of %" PRIu64 " bytes", r->pos, r->size);
			return pack_failure(r, r->path, e);
		}
		return 0;
	}
	if (got != ARCHIVE_OK)
		return pack_failure(r, r->path, e);
	if (at < 0 || (uint64_t)at < end || (uint64_t)at > r->size || n > r->size - (uint64_t)at ||
	    (!r->sparse && (uint64_t)at != end)) {
		err_set(&r->why, ERR_INTEGRITY, "content is not where its size and holes say");
		return pack_failure(r, r->path, e);
	}
	r->block = p;
	r->block_at = (uint64_t)at;
	r->block_len = n;
	return 0;
}

/* Bytes from the block or from the hole before it; 0 when another block is needed. */
static size_t copy_out(struct pack_reader *r, char *p, size_t n)
{
	uint64_t end = r->block_at + r->block_len, stop;

	if (r->pos >= r->block_at && r->pos < end) {
		if (n > end - r->pos)
			n = (size_t)(end - r->pos);
		memcpy(p, (const char *)r->block + (r->pos - r->block_at), n);
		return n;
	}
	stop = r->pos < r->block_at ? r->block_at : r->no_more_blocks ? r->size : r->pos;
	if (n > stop - r->pos)
		n = (size_t)(stop - r->pos);
	memset(p, 0, n);
	return n;
}

ssize_t pack_read(struct pack_reader *r, void *p, size_t n, struct err *e)
{
	size_t done = 0;
	locale_t old;
	int bad = 0;

	if (r->failed) {
		*e = r->why;
		return err_at(e, "pack");
	}
	old = codec_enter();
	while (done < n && r->pos < r->size && !bad) {
		size_t got = copy_out(r, (char *)p + done, n - done);

		if (got == 0)
			bad = next_block(r, e);
		done += got;
		r->pos += got;
	}
	codec_leave(old);
	return bad ? -1 : (ssize_t)done;
}
