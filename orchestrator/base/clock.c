#include "clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS 1000000000LL

static int64_t shift_ns;
static pthread_once_t shift_once = PTHREAD_ONCE_INIT;
/* tzset() is process-wide: every use of a zone is serialised and the former TZ put back. */
static pthread_mutex_t zone_lock = PTHREAD_MUTEX_INITIALIZER;

static int64_t raw_ns(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return (int64_t)t.tv_sec * NS + t.tv_nsec;
}

static void read_shift(void)
{
	const char *s = getenv("WAYBILL_CLOCK");
	int64_t at;

	if (s && clock_parse(s, NULL, &at))
		shift_ns = at * NS - raw_ns(CLOCK_REALTIME);
}

int64_t clock_now_ns(void)
{
	pthread_once(&shift_once, read_shift);
	return raw_ns(CLOCK_REALTIME) + shift_ns;
}

int64_t clock_mono_ns(void) { return raw_ns(CLOCK_MONOTONIC); }

static bool zone_known(const char *zone)
{
	char path[256];

	if (!zone || strcmp(zone, "Asia/Shanghai") == 0 || strcmp(zone, "UTC") == 0)
		return true;
	if (zone[0] == '/' || strstr(zone, ".."))
		return false;
	(void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", zone);
	return access(path, R_OK) == 0;
}

bool clock_zone_offset(const char *zone, int64_t epoch_s, int32_t *offset_s)
{
	time_t t = (time_t)epoch_s;
	char *old, *saved;
	struct tm tm;

	if (!zone_known(zone))
		return false;
	/* UTC+8 without daylight saving since 1992: right also on a machine without tzdata. */
	if (!zone || strcmp(zone, "Asia/Shanghai") == 0 || strcmp(zone, "UTC") == 0) {
		*offset_s = zone && zone[0] == 'U' ? 0 : 8 * 3600;
		return true;
	}
	pthread_mutex_lock(&zone_lock);
	old = getenv("TZ");
	saved = old ? strdup(old) : NULL;
	(void)setenv("TZ", zone, 1);
	tzset();
	(void)localtime_r(&t, &tm);
	*offset_s = (int32_t)tm.tm_gmtoff;
	if (saved)
		(void)setenv("TZ", saved, 1);
	else
		(void)unsetenv("TZ");
	tzset();
	free(saved);
	pthread_mutex_unlock(&zone_lock);
	return true;
}

static void format(int64_t local_s, char out[CLOCK_TEXT])
{
	time_t t = (time_t)local_s;
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	(void)strftime(out, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
}

char *clock_text(int64_t epoch_s, const char *zone, char out[CLOCK_TEXT])
{
	int32_t off = 8 * 3600;
	size_t n;

	(void)clock_zone_offset(zone, epoch_s, &off);
	format(epoch_s + off, out);
	n = strlen(out);
	(void)snprintf(out + n, CLOCK_TEXT - n, "%c%02d:%02d", off < 0 ? '-' : '+',
	    abs(off) / 3600 % 24, abs(off) / 60 % 60);
	return out;
}

char *clock_text_utc(int64_t epoch_s, char out[CLOCK_TEXT])
{
	size_t n;

	format(epoch_s, out);
	n = strlen(out);
	(void)snprintf(out + n, CLOCK_TEXT - n, "Z");
	return out;
}

/* Reads exactly n digits. */
static bool digits(const char **s, int n, int *v)
{
	*v = 0;
	for (int i = 0; i < n; i++, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		*v = *v * 10 + (**s - '0');
	}
	return true;
}

static bool offset_of(const char **s, const char *zone, int64_t local, int32_t *off)
{
	int h, m, sign = **s == '-' ? -1 : 1;

	if (**s == 'Z') {
		(*s)++;
		*off = 0;
		return true;
	}
	if (**s == '+' || **s == '-') {
		(*s)++;
		if (!digits(s, 2, &h) || *(*s)++ != ':' || !digits(s, 2, &m) || h > 14 || m > 59)
			return false;
		*off = sign * (h * 3600 + m * 60);
		return true;
	}
	/* Twice, so that a change of offset between guess and answer is met. */
	return clock_zone_offset(zone, local, off) && clock_zone_offset(zone, local - *off, off);
}

bool clock_parse(const char *s, const char *zone, int64_t *epoch_s)
{
	struct tm tm = { 0 }, back;
	int y, mo, d, h = 0, mi = 0, sec = 0;
	int32_t off = 0;
	time_t t;

	if (!digits(&s, 4, &y) || *s++ != '-' || !digits(&s, 2, &mo) || *s++ != '-' || !digits(&s, 2, &d))
		return false;
	if (*s == ' ' || *s == 'T') {
		s++;
		if (!digits(&s, 2, &h) || *s++ != ':' || !digits(&s, 2, &mi))
			return false;
		if (*s == ':' && (s++, !digits(&s, 2, &sec)))
			return false;
	}
	if (h > 23 || mi > 59 || sec > 59)
		return false;
	tm = (struct tm){ .tm_year = y - 1900, .tm_mon = mo - 1, .tm_mday = d, .tm_hour = h, .tm_min = mi, .tm_sec = sec };
	t = timegm(&tm);
	(void)gmtime_r(&t, &back);
	if (back.tm_mday != d || back.tm_mon != mo - 1 || !offset_of(&s, zone, (int64_t)t, &off) || *s)
		return false;
	*epoch_s = (int64_t)t - off;
	return true;
}
