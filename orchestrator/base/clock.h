/*
 * clock - time, in one place, so that tests can fix it.
 *
 * WAYBILL_CLOCK in the environment ("2026-11-28T22:00:00+08:00", read once) shifts the wall clock so that the process
 * starts at that moment; the monotonic clock is never touched.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Nanoseconds since the epoch, UTC. */
int64_t clock_now_ns(void);
/* Nanoseconds of CLOCK_MONOTONIC, for durations and deadlines. */
int64_t clock_mono_ns(void);
/* Seconds as "2026-11-28T22:00:00+08:00" in the zone (an IANA name; NULL = Asia/Shanghai). */
#define CLOCK_TEXT 32
char *clock_text(int64_t epoch_s, const char *zone, char out[CLOCK_TEXT]);
/* Seconds as "2026-11-28T14:00:00Z". */
char *clock_text_utc(int64_t epoch_s, char out[CLOCK_TEXT]);
/*
 * Reads "YYYY-MM-DD", "YYYY-MM-DD HH:MM[:SS]" (also with 'T'), with optional Z or +HH:MM; without an offset in
 * zone (NULL = Asia/Shanghai).  False if it is no such time (the 31st of February included).
 */
bool clock_parse(const char *s, const char *zone, int64_t *epoch_s);
/* Offset of the zone at that moment, seconds east of UTC.  False: unknown zone name. */
bool clock_zone_offset(const char *zone, int64_t epoch_s, int32_t *offset_s);

#endif
