#include "codec.h"

#include <pthread.h>
#include <string.h>

#include <xxhash.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t c_locale;		/* lives as long as the process */

static void make_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

bool codec_ready(void)
{
	pthread_once(&once, make_locale);
	return c_locale != (locale_t)0;
}

locale_t codec_enter(void) { return uselocale(c_locale); }
void codec_leave(locale_t old) { (void)uselocale(old); }

void name_set_init(struct name_set *s)
{
	*s = (struct name_set){ .slots = NULL };
	random_bytes(&s->key, sizeof(s->key));
}

void name_set_dispose(struct name_set *s)
{
	free(s->slots);
	s->slots = NULL;
	s->size = s->used = 0;
}

/* Where the name stands, or the free slot where it would. */
static size_t slot_of(const struct name_set *s, struct name_slot want)
{
	size_t i = (size_t)want.lo & (s->size - 1);

	while (s->slots[i].hi & 7 && (s->slots[i].lo != want.lo || (s->slots[i].hi | 7) != (want.hi | 7)))
		i = (i + 1) & (s->size - 1);
	return i;
}

static int grow(struct name_set *s)
{
	struct name_set bigger = { .size = s->size ? s->size * 2 : 256, .used = s->used, .key = s->key };

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -1;
	for (size_t i = 0; i < s->size; i++)
		if (s->slots[i].hi & 7)
			bigger.slots[slot_of(&bigger, s->slots[i])] = s->slots[i];
	free(s->slots);
	*s = bigger;
	return 0;
}

static struct name_slot digest_of(const struct name_set *s, const char *p, size_t n)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(p, n, s->key);

	return (struct name_slot){ h.low64, h.high64 & ~UINT64_C(7) };
}

int name_set_add(struct name_set *s, const char *p, size_t n, enum entry_type type)
{
	struct name_slot d = digest_of(s, p, n);
	size_t i;

	if (s->used * 2 >= s->size && grow(s) < 0)
		return -1;
	i = slot_of(s, d);
	if (s->slots[i].hi & 7)
		return 0;
	d.hi |= (uint64_t)type;
	s->slots[i] = d;
	s->used++;
	return 1;
}

unsigned name_set_find(const struct name_set *s, const char *p, size_t n)
{
	return s->size ? (unsigned)(s->slots[slot_of(s, digest_of(s, p, n))].hi & 7) : 0;
}
