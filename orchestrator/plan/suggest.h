/* suggest - the word that was probably meant. */
#ifndef SUGGEST_H
#define SUGGEST_H

#include <stddef.h>

/* Damerau-Levenshtein distance (adjacent swaps count one), or 99 when it is above 3 or a word is longer than 64 bytes. */
int suggest_distance(const char *a, const char *b);

/*
 *   SUGGEST_INIT(word) -> suggest_try* -> .best (NULL: nothing is near enough)
 */
struct suggest {
	const char *word;
	const char *best;
	int distance;
};
#define SUGGEST_INIT(w) { (w), NULL, 99 }
void suggest_try(struct suggest *s, const char *candidate);

#endif
