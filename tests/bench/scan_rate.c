/*
 * scan_rate FILE [SECTORS TEXTS] - how fast known content is searched for: reading alone, sectors, sectors and texts.
 *
 * Reads a device or file with the agent's own reader.  Prints millions of bytes a second, by the clock and by the processor time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "clock.h"
#include "digest.h"
#include "scan.h"

static double cpu(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static struct witness_table *table_of(uint32_t sectors, uint32_t texts)
{
	struct witness_table *t = NULL;
	struct witness_key k;
	struct err e = ERR_INIT;
	uint8_t key[WITNESS_KEY];

	random_bytes(key, sizeof(key));
	if (witness_key_init(&k, key, &e) < 0 || witness_table_new(&t, &k, sectors + texts, &e) < 0)
		exit(1);
	for (uint32_t i = 0; i < sectors + texts; i++) {
		struct witness_item w = { .cls = i < sectors ? WITNESS_SECTOR : WITNESS_STRING, .len = i < sectors ? 0 : 48 };

		random_bytes(&w.hash, sizeof(w.hash));
		random_bytes(&w.tag, sizeof(w.tag));
		if (witness_table_add(t, &w, &e) < 0)
			exit(1);
	}
	if (witness_table_ready(t, &e) < 0)
		exit(1);
	return t;
}

static void measure(const char *what, const char *path, const struct witness_table *t)
{
	struct ranges all = { .v = NULL };
	struct media m = MEDIA_INIT;
	struct reader *r = NULL;
	struct search s;
	struct piece p;
	struct err e = ERR_INIT;
	int64_t began = clock_mono_ns();
	double used = cpu(), wall;
	int got = 1;

	if (media_add(&m, path, &e) < 0 || search_init(&s, t, NULL, 0, &e) < 0 || reader_start(&r, &m.v[0], &all, &e) < 0)
		got = -1;
	while (got == 1 && (got = reader_next(r, &p, &e)) == 1)
		if (t)
			search_piece(&s, &p);
	if (got < 0) {
		(void)fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	wall = (double)(clock_mono_ns() - began) / 1e9;
	used = cpu() - used;
	(void)printf("%-18s %6.0f MB/s, %6.0f MB for each second of processor time\n", what, (double)reader_bytes(r) / 1e6 / wall,
	    (double)reader_bytes(r) / 1e6 / used);
	reader_stop(r);
	search_dispose(&s);
	media_close(&m);
}

int main(int argc, char **argv)
{
	uint32_t sectors = argc > 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 100000, texts = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 20000;
	struct witness_table *only = table_of(sectors, 0), *all = table_of(sectors, texts);

	if (argc != 2 && argc != 4) {
		(void)fprintf(stderr, "usage: scan_rate FILE [SECTORS TEXTS]\n");
		return 2;
	}
	measure("reading", argv[1], NULL);
	measure("sectors", argv[1], only);
	measure("sectors and texts", argv[1], all);
	witness_table_free(only);
	witness_table_free(all);
	return 0;
}
