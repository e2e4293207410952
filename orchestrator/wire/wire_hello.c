#include "wire_internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "esc.h"

#define MARK "WAYBILL-AGENT/"
#define BUILD_MAX 64

static bool is_build(const char *s, size_t n)
{
	if (n == 0 || n > BUILD_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isxdigit((unsigned char)s[i]))
			return false;
	return true;
}

static int say_hello(struct wire *w, struct output *out, const char *build, struct err *e)
{
	char line[sizeof(WIRE_MAGIC) + BUILD_MAX + 2];
	int n;

	if (!build || !is_build(build, strlen(build)))
		return err_set(e, ERR_BUG, "the agent's build id is not hexadecimal");
	n = snprintf(line, sizeof(line), "%s%s\n", WIRE_MAGIC, build);
	if (wire_put_raw(w, out, line, (size_t)n) < 0)
		return err_set(e, ERR_TEMPORARY, "%s: nobody reads our first line", w->peer);
	return 0;
}

/* The end of what was said instead of the magic line, for the message. */
static const char *noise_text(const struct buf *noise, char out[300])
{
	size_t n = noise->len, skip = n > 240 ? n - 240 : 0;

	while (n > skip && isspace((unsigned char)noise->data[n - 1]))
		n--;
	return esc_into(out, 300, n ? noise->data + skip : "", n - skip);
}

static int no_hello(struct wire *w, const struct buf *noise, bool ended, const char *how, struct err *e)
{
	char text[300];

	err_set(e, ERR_UNREACHABLE, "%s: waybill-agent did not answer (%s)", w->peer, how);
	e->sys = ended ? ECONNRESET : 0;
	if (noise->len)
		err_hint(e, "it said \"%s\"", noise_text(noise, text));
	return err_hint(e, "check that the agent can be started there and that log-in scripts print nothing endless");
}

static bool ends_with(const struct buf *b, const char *s)
{
	size_t n = strlen(s);

	return b->len >= n && memcmp(b->data + b->len - n, s, n) == 0;
}

/* A line after MARK: "VERSION BUILD".  1 = good, 0 = not such a line, -1 = it is one and it is refused. */
static int judge(struct wire *w, const char *line, const char *build, struct err *e)
{
	size_t digits = strspn(line, "0123456789");
	const char *theirs = line + digits + 1;

	if (digits == 0 || digits > 9 || line[digits] != ' ' || !is_build(theirs, strlen(theirs)))
		return 0;
	if (atoi(line) != WIRE_VERSION)
		return err_set(e, ERR_PERMANENT, "%s: waybill-agent speaks protocol %.*s, this waybill %d; "
		    "install the agent of this build there", w->peer, (int)digits, line, WIRE_VERSION);
	if (build && strcmp(build, theirs) != 0)
		return err_set(e, ERR_PERMANENT, "%s: waybill-agent is of another build (%.16s, not %.16s); "
		    "install the agent of this build there", w->peer, theirs, build);
	return 1;
}

static int hear_hello(struct wire *w, struct input *in, const char *build, struct err *e)
{
	OWN_BUF struct buf noise = BUF_INIT;
	int64_t deadline = clock_mono_ns() + (int64_t)w->stall_s * 1000000000;
	size_t mark = 0;	/* where the text after a MARK begins; 0 = none seen on this line */

	while (noise.len < WIRE_NOISE_MAX) {
		char c;
		int r = wire_get(w, in, &c, 1, deadline, e);

		if (r < 0 && e->class == ERR_CANCELLED)
			return -1;
		if (r <= 0)
			return no_hello(w, &noise, r == 0, r == 0 ? "it ended" : "too slow", e);
		if (c == '\n' && mark) {
			r = judge(w, noise.data + mark, build, e);
			if (r)
				return r < 0 ? -1 : 0;
		}
		buf_putc(&noise, c == '\0' ? '?' : c);
		if (noise.failed)
			return buf_finish(&noise, e);
		if (c == '\n')
			mark = 0;
		if (ends_with(&noise, MARK))
			mark = noise.len;
	}
	return no_hello(w, &noise, false, "too much other text", e);
}

int wire_hello(struct wire *w, struct input *in, struct output *out, const char *build, struct err *e)
{
	return w->side == WIRE_AGENT ? say_hello(w, out, build, e) : hear_hello(w, in, build, e);
}
