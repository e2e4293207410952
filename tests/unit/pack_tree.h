/* A tree in memory, written as a pack and read through, for the tests of pack/; include after cmocka.h. */
#ifndef PACK_TREE_H
#define PACK_TREE_H

#include <stdlib.h>

#include "pack.h"
#include "path.h"
#include "../lib/mem_stream.h"

struct item {
	struct entry en;
	struct attr_set attrs;
	char *content;			/* owned; en.size bytes */
	bool no_disk;			/* not for the disk comparison */
	bool widened;			/* its layout comes back in blocks of 512 */
};

static struct item items[64];
static size_t count;

static inline struct item *add(const char *path, enum entry_type type, uint32_t mode)
{
	struct item *it = &items[count++];
	struct err e = ERR_INIT;

	*it = (struct item){ .en = ENTRY_INIT, .attrs = ATTR_SET_INIT };
	assert_int_equal(entry_set_path(&it->en, path, strlen(path), &e), 0);
	it->en.type = type;
	it->en.outcome = ENTRY_COPIED;
	it->en.mode = mode;
	it->en.uid = 1000 + (uint32_t)count;
	it->en.gid = 70000 + (uint32_t)count;
	it->en.mtime_s = 1700000000 + (int64_t)count;
	it->en.mtime_ns = 123456000 + (uint32_t)count;
	return it;
}

static inline struct item *add_file(const char *path, const void *p, size_t n)
{
	struct item *it = add(path, ENTRY_FILE, 0640);

	it->en.size = n;
	it->content = calloc(1, n + 1);
	if (n)
		memcpy(it->content, p, n);
	return it;
}

static inline struct item *add_link(const char *path, enum entry_type type, const char *to)
{
	struct item *it = add(path, type, 0640);

	it->en.link_to = strdup(to);
	return it;
}

static inline void attr(struct item *it, const char *name, const void *p, size_t n)
{
	struct err e = ERR_INIT;

	assert_int_equal(attr_set_add(&it->attrs, name, p, n, &e), 0);
}

static inline int clean(void **state)
{
	(void)state;
	while (count) {
		struct item *it = &items[--count];

		entry_dispose(&it->en);
		attr_set_dispose(&it->attrs);
		free(it->content);
	}
	return 0;
}

static inline int write_pack(struct buf *out, int level, struct err *e)
{
	OWN(pack_writer_freep) struct pack_writer *w = NULL;
	uint64_t raw, stored;

	if (pack_writer_new(&w, level, mem_sink, out, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct item *it = &items[i];

		if (pack_add(w, &it->en, &it->attrs, e) < 0)
			return -1;
		for (uint64_t at = 0; it->content && at < it->en.size;) {
			size_t step = it->en.size - at < 70001 ? (size_t)(it->en.size - at) : 70001;

			if (pack_data(w, it->content + at, step, e) < 0)
				return -1;
			at += step;
		}
	}
	if (pack_writer_finish(w, &raw, &stored, e) < 0)
		return -1;
	assert_int_equal(stored, out->len);
	assert_int_equal(raw, pack_writer_raw(w));
	assert_int_equal(raw % 512, 0);
	return 0;
}

static inline void layout(struct item *it, const struct entry_range *v, size_t n)
{
	it->en.has |= ENTRY_HAS_LAYOUT;
	it->en.layout = n ? malloc(n * sizeof(*v)) : NULL;
	it->en.layout_count = n;
	if (n)
		memcpy(it->en.layout, v, n * sizeof(*v));
	for (size_t i = 0; i < n; i++)
		mem_noise(it->content + v[i].offset, v[i].length, i);
}

/* Reads everything; 0 or -1. */
static inline int drain(const void *p, size_t n, struct err *e)
{
	struct mem_source s = { p, n, 0 };
	OWN(pack_reader_freep) struct pack_reader *r = NULL;
	OWN_ENTRY struct entry en = ENTRY_INIT;
	OWN_ATTRS struct attr_set attrs = ATTR_SET_INIT;
	char b[4096];
	int got;
	ssize_t k;

	assert_int_equal(pack_reader_new(&r, mem_source, &s, e), 0);
	while ((got = pack_next(r, &en, &attrs, e)) > 0) {
		uint64_t sum = 0;

		assert_true(path_is_safe(en.path, en.path_len));
		while ((k = pack_read(r, b, sizeof(b), e)) > 0 && sum < 1 << 22)
			sum += (uint64_t)k;
		if (k < 0)
			return -1;
	}
	if (got < 0) {
		struct err again = ERR_INIT;

		assert_int_equal(pack_next(r, &en, &attrs, &again), -1);
		assert_int_equal(again.class, e->class);
	}
	return got;
}

#define T(f) cmocka_unit_test_teardown(f, clean)

#endif
