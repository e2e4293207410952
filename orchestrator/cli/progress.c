#include "progress.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "clock.h"
#include "esc.h"
#include "eta.h"
#include "output.h"

#define BAR_NS 200000000LL		/* five times a second: smooth enough, cheap enough */
#define LINE_NS 10000000000LL
#define JSON_NS 1000000000LL
#define SAMPLE_S 0.5

struct progress {
	pthread_mutex_t lock;
	bool json, quiet, tty;
	bool stream;			/* with --json: run prints objects as it goes, the others one object at their end */
	char *plan, *zone;
	bool drawn;			/* the bar stands on the terminal */
	int64_t last_ns;		/* last time something was shown */
	char dataset[PLAN_NAME_MAX + 1], stage[32];
	struct run_progress latest;	/* points to dataset and stage */
	bool unseen;			/* latest was not shown */
	struct eta eta;
};

static void show_unseen(struct progress *p);

static void clear_bar(struct progress *p)
{
	if (!p->drawn)
		return;
	fputs("\r\033[K", stderr);
	(void)fflush(stderr);
	p->drawn = false;
}

/* Called by the log with its own lock held: must not log. */
static void before_log(void *ctx)
{
	progress_clear(ctx);
}

struct progress *progress_new(const struct cli_context *c, const char *plan, const char *zone)
{
	OWN(progress_freep) struct progress *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	(void)pthread_mutex_init(&p->lock, NULL);
	p->json = c->json;
	p->stream = c->command && strcmp(c->command->name, "run") == 0;
	p->quiet = c->quiet;
	p->tty = isatty(2) && !c->json && strcmp(getenv("TERM") ? getenv("TERM") : "", "dumb") != 0;
	p->plan = strdup(plan);
	p->zone = zone ? strdup(zone) : NULL;
	if (!p->plan || (zone && !p->zone))
		return NULL;
	log_set_hook(before_log, p);
	return take_ptr(&p);
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	log_set_hook(NULL, NULL);
	show_unseen(p);
	clear_bar(p);
	(void)pthread_mutex_destroy(&p->lock);
	free(p->plan);
	free(p->zone);
	free(p);
}

void progress_clear(struct progress *p)
{
	pthread_mutex_lock(&p->lock);
	clear_bar(p);
	pthread_mutex_unlock(&p->lock);
}

static int terminal_columns(void)
{
	struct winsize ws;

	return ioctl(2, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 20 ? ws.ws_col : 80;
}

/* "[=====>     ]" of width characters for a share of 0..1. */
static void draw_share(double share, int width, char *out)
{
	int full = (int)(share * width);

	out[0] = '[';
	for (int i = 0; i < width; i++)
		out[1 + i] = i < full ? '=' : i == full ? '>' : ' ';
	out[1 + width] = ']';
	out[2 + width] = '\0';
}

/* How much is done, by what dominates; -1 = nobody knows. */
static double share_of(const struct run_progress *now)
{
	double share = -1;

	if (now->total_bytes)
		share = (double)now->bytes / (double)now->total_bytes;
	else if (now->total_entries)
		share = (double)now->entries / (double)now->total_entries;
	/* Totals of a live source are those of the last look: it may have grown. */
	return share > 1 ? 1 : share;
}

static void put_count(struct buf *b, uint64_t n, uint64_t total)
{
	buf_printf(b, "%" PRIu64, n);
	if (total)
		buf_printf(b, "/%" PRIu64, total);
	buf_puts(b, " entries");
}

char *progress_line(const struct run_progress *now, double rate, double eta_s, int columns, char *out, size_t size)
{
	OWN_BUF struct buf b = BUF_INIT;
	char a[OUT_SIZE], t[OUT_SIZE], bar[64];
	double share = share_of(now);
	int room;

	buf_printf(&b, "%s %s  ", now->stage ? now->stage : "", now->dataset ? esc_s(now->dataset) : "");
	put_count(&b, now->entries, now->total_entries);
	buf_printf(&b, "  %s", out_size(now->bytes, a));
	if (now->total_bytes)
		buf_printf(&b, "/%s", out_size(now->total_bytes, t));
	if (rate >= 1)
		buf_printf(&b, "  %s/s", out_size((uint64_t)rate, a));
	if (eta_s >= 0)
		buf_printf(&b, "  %s to go", out_duration(eta_s, a));
	room = columns - (int)b.len - 4;
	if (share >= 0 && room >= 10) {
		draw_share(share, room > 40 ? 40 : room, bar);
		buf_printf(&b, "  %s", bar);
	}
	(void)snprintf(out, size, "%.*s", columns, b.data && !b.failed ? b.data : "");
	return out;
}

static json_t *progress_json(const struct progress *p, const struct run_progress *now, double eta_s)
{
	json_t *obj = json_pack("{s:s,s:s,s:s,s:I,s:I}", "event", "progress", "plan", p->plan, "stage",
	    now->stage ? now->stage : "", "entries", (json_int_t)now->entries, "bytes", (json_int_t)now->bytes);
	struct err e = ERR_INIT;

	if (out_json_set(obj, "dataset", out_json_text(now->dataset), &e) < 0 ||
	    out_json_set(obj, "total_entries", now->total_entries ? json_integer((json_int_t)now->total_entries) : json_null(), &e) < 0 ||
	    out_json_set(obj, "total_bytes", now->total_bytes ? json_integer((json_int_t)now->total_bytes) : json_null(), &e) < 0 ||
	    out_json_set(obj, "eta_s", eta_s >= 0 ? json_integer((json_int_t)(eta_s + 0.5)) : json_null(), &e) < 0) {
		json_decref(obj);
		return NULL;
	}
	return obj;
}

static void put_json(json_t *obj)
{
	char *text = obj ? json_dumps(obj, JSON_COMPACT) : NULL;

	json_decref(obj);
	if (text) {
		(void)puts(text);	/* the final result object is the one whose writing is checked */
		(void)fflush(stdout);
	}
	free(text);
}

/* Is it time to show something again? */
static bool due(struct progress *p, int64_t now_ns)
{
	int64_t every = p->json ? JSON_NS : p->tty ? BAR_NS : LINE_NS;

	if (p->json ? !p->stream : p->quiet)
		return false;
	p->unseen = true;
	if (!p->last_ns && !p->tty) {
		p->last_ns = now_ns;	/* a list needs no line that says 0; how it ended comes in any case */
		return false;
	}
	if (p->last_ns && now_ns - p->last_ns < every)
		return false;
	p->last_ns = now_ns;
	return true;
}

/* Another dataset or stage is another story: its samples say nothing about this one. */
static void follow(struct progress *p, const struct run_progress *now, double t)
{
	const char *dataset = now->dataset ? now->dataset : "", *stage = now->stage ? now->stage : "";

	if (strcmp(p->dataset, dataset) != 0 || strcmp(p->stage, stage) != 0) {
		show_unseen(p);
		(void)snprintf(p->dataset, sizeof(p->dataset), "%s", dataset);
		(void)snprintf(p->stage, sizeof(p->stage), "%s", stage);
		p->eta = (struct eta)ETA_INIT;
		p->last_ns = 0;
	}
	p->latest = *now;
	p->latest.dataset = p->dataset;
	p->latest.stage = p->stage;
	if (p->eta.samples == 0 || t - p->eta.t >= SAMPLE_S)
		eta_sample(&p->eta, t, now->entries, now->bytes);
}

static void show(struct progress *p, const struct run_progress *now)
{
	double eta_s = eta_seconds(&p->eta, now->total_entries, now->total_bytes);
	int columns = p->tty ? terminal_columns() - 1 : 200;
	char line[1024];

	p->unseen = false;
	if (p->json) {
		put_json(progress_json(p, now, eta_s));
		return;
	}
	progress_line(now, p->eta.rate, eta_s, columns, line, sizeof(line));
	if (p->tty) {
		fprintf(stderr, "\r\033[K%s", line);
		p->drawn = true;
	} else {
		fprintf(stderr, "%s\n", line);
	}
	(void)fflush(stderr);
}

/* A list keeps how each act ended; a terminal's bar just goes. */
static void show_unseen(struct progress *p)
{
	if (p->unseen && !p->tty)
		show(p, &p->latest);
	p->unseen = false;
}

void progress_update(struct progress *p, const struct run_progress *seen)
{
	int64_t ns = clock_mono_ns();
	struct run_progress copy = *seen, *now = &copy;

	/* Totals are those of the last look: a source that has grown beyond them has none that are known. */
	if (now->entries > now->total_entries)
		now->total_entries = 0;
	if (now->bytes > now->total_bytes)
		now->total_bytes = 0;
	pthread_mutex_lock(&p->lock);
	follow(p, now, (double)ns / 1e9);
	if (due(p, ns))
		show(p, now);
	pthread_mutex_unlock(&p->lock);
}

/* An event without a text of its own has "copy done" in the ledger, where it stands alone; beside "copy: done" it tells nothing. */
static bool repeats(const char *stage, const char *state, const char *text)
{
	size_t n = strlen(stage);

	return strncmp(text, stage, n) == 0 && text[n] == ' ' && strcmp(text + n + 1, state) == 0;
}

void progress_stage(struct progress *p, const char *stage, const char *state, const char *text)
{
	char at[CLOCK_TEXT];
	json_t *obj;

	if (!text || repeats(stage, state, text))
		text = "";
	pthread_mutex_lock(&p->lock);
	show_unseen(p);
	clear_bar(p);
	if (p->json) {
		obj = json_pack("{s:s,s:s,s:s,s:s,s:s}", "event", "stage", "plan", p->plan, "stage", stage, "state", state, "at",
		    clock_text(clock_now_ns() / 1000000000, p->zone, at));
		if (obj && *text)
			(void)json_object_set_new(obj, "text", json_string(text));
		put_json(obj);
	} else if (!p->quiet) {
		printf("%s: %s%s%s\n", stage, state, *text ? ": " : "", text);
		(void)fflush(stdout);
	}
	pthread_mutex_unlock(&p->lock);
}

static void view_progress(void *ctx, const struct run_progress *now) { progress_update(ctx, now); }

static void view_stage(void *ctx, const char *stage, const char *state, const char *text)
{
	progress_stage(ctx, stage, state, text);
}

struct run_view progress_view(struct progress *p)
{
	return (struct run_view){ .ctx = p, .progress = view_progress, .stage = view_stage };
}
