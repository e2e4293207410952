#include "suggest.h"

#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64
#define FAR 99

static int min3(int a, int b, int c)
{
	int m = a < b ? a : b;

	return m < c ? m : c;
}

int suggest_distance(const char *a, const char *b)
{
	int row[3][WORD_MAX + 1];
	int na, nb, d;

	if (strlen(a) > WORD_MAX || strlen(b) > WORD_MAX)
		return FAR;
	na = (int)strlen(a);
	nb = (int)strlen(b);
	if (abs(na - nb) > 3)
		return FAR;
	for (int j = 0; j <= nb; j++)
		row[0][j] = j;
	for (int i = 1; i <= na; i++) {
		int *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];

		now[0] = i;
		for (int j = 1; j <= nb; j++) {
			now[j] = min3(up[j] + 1, now[j - 1] + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 1 < now[j])
				now[j] = up2[j - 2] + 1;
		}
	}
	d = row[na % 3][nb];
	return d > 3 ? FAR : d;
}

/* Two typing faults are believed, but never more than half of a short word. */
void suggest_try(struct suggest *s, const char *candidate)
{
	int d = suggest_distance(s->word, candidate);
	size_t n = strlen(s->word), limit = n <= 2 ? 1 : n <= 4 ? (n + 1) / 2 : 2;

	if (d < s->distance && (size_t)d <= limit) {
		s->best = candidate;
		s->distance = d;
	}
}
