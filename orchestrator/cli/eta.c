#include "eta.h"

#define HALF_LIFE_S 30.0	/* what is older counts less and less: networks change, but not with every gust */
#define MIN_SAMPLES 4
#define MIN_SECONDS 3.0

void eta_sample(struct eta *m, double t, uint64_t entries, uint64_t bytes)
{
	double dt, de, db, keep;

	if (m->samples == 0 || entries < m->entries || bytes < m->bytes) {
		*m = (struct eta){ .t0 = t, .t = t, .entries = entries, .bytes = bytes, .samples = 1 };
		return;
	}
	dt = t - m->t;
	if (dt <= 0)
		return;
	de = (double)(entries - m->entries);
	db = (double)(bytes - m->bytes);
	keep = HALF_LIFE_S / (HALF_LIFE_S + dt);
	m->ee = m->ee * keep + de * de;
	m->eb = m->eb * keep + de * db;
	m->bb = m->bb * keep + db * db;
	m->et = m->et * keep + de * dt;
	m->bt = m->bt * keep + db * dt;
	m->se = m->se * keep + de;
	m->sb = m->sb * keep + db;
	m->st = m->st * keep + dt;
	m->rate = m->samples == 1 ? db / dt : m->rate * keep + db / dt * (1 - keep);
	m->t = t;
	m->entries = entries;
	m->bytes = bytes;
	m->samples++;
}

/* The costs of one entry and one byte; both at least zero. */
static void fit(const struct eta *m, double *a, double *b)
{
	double det = m->ee * m->bb - m->eb * m->eb;

	*a = *b = 0;
	/* Entries and bytes that always grow together cannot be told apart: bytes stand for both. */
	if (det > 1e-9 * m->ee * m->bb) {
		*a = (m->et * m->bb - m->bt * m->eb) / det;
		*b = (m->bt * m->ee - m->et * m->eb) / det;
		if (*a >= 0 && *b >= 0)
			return;
	}
	if (m->bb > 0 && (m->ee <= 0 || *a <= 0 || *b >= 0)) {
		*a = 0;
		*b = m->bt / m->bb;
	} else if (m->ee > 0) {
		*a = m->et / m->ee;
		*b = 0;
	}
}

double eta_seconds(const struct eta *m, uint64_t total_entries, uint64_t total_bytes)
{
	double a, b, entries, bytes, explained;

	if (m->samples < MIN_SAMPLES || m->t - m->t0 < MIN_SECONDS || (total_entries == 0 && total_bytes == 0))
		return -1;
	entries = total_entries > m->entries ? (double)(total_entries - m->entries) : 0;
	bytes = total_bytes > m->bytes ? (double)(total_bytes - m->bytes) : 0;
	fit(m, &a, &b);
	/* What is left must cost something that was seen. */
	if ((a <= 0 && b <= 0) || (bytes > 0 && b <= 0 && m->bb <= 0) || (entries > 0 && bytes <= 0 && a <= 0 && m->ee <= 0))
		return -1;
	/* Least squares trusts the fast moments more; a copy that goes in bursts would be promised too early. */
	explained = a * m->se + b * m->sb;
	if (explained <= 0)
		return -1;
	return (a * entries + b * bytes) * m->st / explained;
}
