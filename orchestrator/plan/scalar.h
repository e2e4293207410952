/* scalar - the small languages inside a plan's values: sizes, durations, booleans, windows, names. */
#ifndef PLAN_SCALAR_H
#define PLAN_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* [a-z0-9][a-z0-9-]{0,63} */
bool scalar_is_name(const char *s);
/* yes, no, true, false; nothing else. */
bool scalar_bool(const char *s, bool *v);
/* Decimal digits with an optional sign, the whole string. */
bool scalar_int(const char *s, int64_t *v);
/* "1048576", "20MB", "1GiB": B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of 1024). */
bool scalar_size(const char *s, uint64_t *bytes);
/* A size followed by "/s" ("20MB/s"), or "off" for 0. */
bool scalar_rate(const char *s, uint64_t *bytes_per_s);
/* "60s", "5m", "2h", "30d". */
bool scalar_duration(const char *s, int64_t *seconds);
/* "10%", "10 %" or "10"; 0..100. */
bool scalar_percent(const char *s, int *v);
/* "HH:MM-HH:MM" as minutes of the day; may cross midnight; from and to differ. */
bool scalar_day_window(const char *s, int *from, int *to);
/* A glob or path beneath a root: not absolute, no ".." or empty component, no control bytes. */
bool scalar_is_beneath(const char *s);
/* Any byte below 0x20 or 0x7f. */
bool scalar_has_control(const char *s);

#endif
