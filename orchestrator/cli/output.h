/*
 * output - everything that commands say on standard output and standard error.
 *
 * JSON strings carry names in their escaped form (esc.h): \ooo for what is not printable, so every reader sees the
 * same name everywhere.  Writing to standard output is checked once, by out_finish.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <jansson.h>

#include "buf.h"
#include "command.h"
#include "log.h"

/* A JSON string of the escaped bytes; NULL gives null.  New references. */
json_t *out_json_text(const char *s);
json_t *out_json_bytes(const void *p, size_t n);
/* "2026-11-28T22:00:00+08:00" in the zone (NULL = Asia/Shanghai); 0 gives null. */
json_t *out_json_time(int64_t epoch_s, const char *zone);
/* Sets key in obj; value is stolen.  0, or -1 when memory is short (value NULL included). */
int out_json_set(json_t *obj, const char *key, json_t *value, struct err *e) MUST_CHECK;
/* One object, one line, on standard output; obj is stolen (NULL = out of memory). */
int out_json(struct cli_context *c, json_t *obj, struct err *e) MUST_CHECK;

/* Text for people on standard output (nothing with --json or -q).  Names go through esc_s() first. */
void out_text(const struct cli_context *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Text that is the answer itself (a manifest, a plan): also with -q. */
void out_raw(const void *p, size_t n);
/* 0, or ERR_TEMPORARY/ERR_PERMANENT when standard output could not take everything (disk full, closed pipe). */
int out_finish(struct err *e) MUST_CHECK;

/* "waybill: TEXT" as exactly one line on standard error. */
void out_error(const struct err *e);

/*
 * A table with aligned columns (CJK counts two), cells already escaped:
 *   OUT_TABLE_INIT -> out_cell* , out_row ... -> out_table_print -> out_table_dispose
 */
struct out_table {
	struct buf cells;		/* NUL-terminated, one after the other */
	size_t columns, in_row, rows;
	size_t *starts;			/* offset of each cell */
	size_t nstarts, cap;
	bool failed;
};
#define OUT_TABLE_INIT(columns) { BUF_INIT, (columns), 0, 0, NULL, 0, 0, false }
#define OWN_TABLE OWN(out_table_dispose)
void out_cell(struct out_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void out_row(struct out_table *t);	/* fills up with empty cells */
int out_table_print(const struct out_table *t, struct err *e) MUST_CHECK;
void out_table_dispose(struct out_table *t);

/* Terminal columns of escaped text. */
int out_columns(const char *s);
/* "1.5 GiB", "12.3 MB/s" style numbers: size in out. */
#define OUT_SIZE 24
char *out_size(uint64_t bytes, char out[OUT_SIZE]);
/* "3 s", "2 min", "1 h 20 min" */
char *out_duration(double seconds, char out[OUT_SIZE]);

/* Level of log lines on the terminal, by -q and -v. */
enum log_level cli_log_level(const struct cli_context *c);

#endif
