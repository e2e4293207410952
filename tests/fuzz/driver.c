/*
 * The driver of the fuzz targets where there is no libFuzzer: every file of the corpora named on the command line, as it is, cut
 * short at every length of the first 256 and the last 64 bytes, and with ROUNDS changes each that follow from its name and number
 * alone, so that a failure comes again.  With clang the same targets link with -fsanitize=fuzzer instead.
 *
 *   fuzz_X [-n ROUNDS] FILE_OR_DIRECTORY...
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define FILE_MAX (4u << 20)

static unsigned long rounds = 300, inputs;
static uint64_t state;

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* In a block of its own of exactly that size, so that the sanitizer sees every byte too far. */
static void once(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	if (!copy)
		abort();
	memcpy(copy, p, n);
	inputs++;
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static void change(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n + 64);
	uint64_t how = next_random() % 5, at = n ? next_random() % n : 0;
	static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, '\n', '"', '\\' };

	if (!copy)
		abort();
	memcpy(copy, p, n);
	for (uint64_t k = 1 + next_random() % 4; n && k-- > 0; at = next_random() % n) {
		if (how == 0)
			copy[at] ^= (uint8_t)(1u << next_random() % 8);
		else if (how == 1)
			copy[at] = odd[next_random() % sizeof(odd)];
		else if (how == 2)
			memset(copy + at, 0xff, n - at < 9 ? n - at : 9);
		else if (how == 3)
			memmove(copy + at, copy + next_random() % n, 1);
		else
			memmove(copy + at, copy + at + (n - at) / 2, (n - at) - (n - at) / 2);
	}
	once(copy, n);
	free(copy);
}

static void play(const char *path)
{
	static uint8_t bytes[FILE_MAX];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		exit(2);
	}
	n = fread(bytes, 1, sizeof(bytes), f);
	(void)fclose(f);
	state = 0x9e3779b97f4a7c15u ^ n;
	for (const char *c = path + (strrchr(path, '/') ? strrchr(path, '/') - path : 0); *c; c++)
		state = (state ^ (uint8_t)*c) * 0x100000001b3u;
	state = state ? state : 1;
	once(bytes, n);
	for (size_t cut = 0; cut < n && cut < 256; cut++)
		once(bytes, cut);
	for (size_t cut = 1; cut < n && cut < 64; cut++)
		once(bytes, n - cut);
	for (unsigned long i = 0; i < rounds; i++)
		change(bytes, n);
}

static void play_all(const char *path)
{
	struct stat st;
	struct dirent **names;
	int n;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		play(path);
		return;
	}
	if ((n = scandir(path, &names, NULL, alphasort)) < 0) {
		perror(path);
		exit(2);
	}
	for (int i = 0; i < n; i++) {
		char full[4096];

		if (names[i]->d_name[0] != '.') {
			(void)snprintf(full, sizeof(full), "%s/%s", path, names[i]->d_name);
			play(full);
		}
		free(names[i]);
	}
	free(names);
}

int main(int argc, char **argv)
{
	int i = 1;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		rounds = strtoul(argv[2], NULL, 10);
		i = 3;
	}
	for (; i < argc; i++)
		play_all(argv[i]);
	printf("%lu inputs\n", inputs);
	return inputs ? 0 : 2;
}
