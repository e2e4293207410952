#include "scalar.h"

#include <string.h>

#include "path.h"
#include "plan.h"

bool scalar_is_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > PLAN_NAME_MAX || s[0] == '-')
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

bool scalar_bool(const char *s, bool *v)
{
	*v = strcmp(s, "yes") == 0 || strcmp(s, "true") == 0;
	return *v || strcmp(s, "no") == 0 || strcmp(s, "false") == 0;
}

/* Digits at *s; false when there are none or the value passes INT64_MAX. */
static bool digits(const char **s, int64_t *v)
{
	const char *p = *s;

	*v = 0;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, *p - '0', v))
			return false;
	if (p == *s)
		return false;
	*s = p;
	return true;
}

bool scalar_int(const char *s, int64_t *v)
{
	bool minus = *s == '-';

	s += minus;
	if (!digits(&s, v) || *s)
		return false;
	if (minus)
		*v = -*v;
	return true;
}

static bool size_unit(const char *unit, size_t n, int64_t *factor)
{
	static const struct { const char *word; int64_t factor; } units[] = {
		{ "", 1 }, { "B", 1 }, { "kB", 1000 }, { "KB", 1000 }, { "MB", 1000000 }, { "GB", 1000000000 },
		{ "TB", 1000000000000 }, { "KiB", 1LL << 10 }, { "MiB", 1LL << 20 }, { "GiB", 1LL << 30 },
		{ "TiB", 1LL << 40 } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strlen(units[i].word) == n && memcmp(units[i].word, unit, n) == 0) {
			*factor = units[i].factor;
			return true;
		}
	return false;
}

static bool size_of(const char *s, size_t n, uint64_t *bytes)
{
	const char *p = s;
	int64_t v, factor;

	if (!digits(&p, &v) || (size_t)(p - s) > n)
		return false;
	if (*p == ' ' && (size_t)(p - s) < n)
		p++;
	if (!size_unit(p, n - (size_t)(p - s), &factor) || __builtin_mul_overflow(v, factor, &v))
		return false;
	*bytes = (uint64_t)v;
	return true;
}

bool scalar_size(const char *s, uint64_t *bytes) { return size_of(s, strlen(s), bytes); }

bool scalar_rate(const char *s, uint64_t *bytes_per_s)
{
	size_t n = strlen(s);

	if (strcmp(s, "off") == 0) {
		*bytes_per_s = 0;
		return true;
	}
	return n > 2 && strcmp(s + n - 2, "/s") == 0 && size_of(s, n - 2, bytes_per_s) && *bytes_per_s > 0;
}

bool scalar_duration(const char *s, int64_t *seconds)
{
	static const struct { char unit; int64_t factor; } units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };

	if (!digits(&s, seconds) || !*s || s[1])
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].unit == *s)
			return !__builtin_mul_overflow(*seconds, units[i].factor, seconds);
	return false;
}

bool scalar_percent(const char *s, int *v)
{
	int64_t n;

	if (!digits(&s, &n) || n > 100)
		return false;
	s += *s == ' ';
	s += *s == '%';
	*v = (int)n;
	return *s == '\0';
}

static bool minutes(const char **s, int *v)
{
	const char *p = *s;

	for (int i = 0; i < 5; i++)
		if (i == 2 ? p[i] != ':' : (p[i] < '0' || p[i] > '9'))
			return false;
	*v = ((p[0] - '0') * 10 + p[1] - '0') * 60 + (p[3] - '0') * 10 + p[4] - '0';
	*s = p + 5;
	return p[3] < '6' && *v < 24 * 60;
}

bool scalar_day_window(const char *s, int *from, int *to)
{
	return minutes(&s, from) && *s++ == '-' && minutes(&s, to) && *s == '\0' && *from != *to;
}

bool scalar_has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

bool scalar_is_beneath(const char *s)
{
	size_t n = strlen(s);

	/* "dir/" is how people write a directory. */
	if (n > 1 && s[n - 1] == '/')
		n--;
	return !scalar_has_control(s) && path_is_safe(s, n);
}
