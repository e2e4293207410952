/*
 * hostile_agent - stands where waybill-agent would (WAYBILL_AGENT), runs the real one and changes what it says on the way.
 *
 *   HOSTILE_REAL=PATH     the real agent
 *   HOSTILE=ROLE TYPE N ACTION [ARG [ARG]]   fields divided by spaces
 *
 * ROLE: the session meant; in all others the real agent takes our place.  TYPE: a message type of the wire by number, * for each of
 * them.  N: the N-th message of that type, 0 for every one.  HEX is written as it travels.
 *
 *   drop | double | flood N       not at all, twice, N times
 *   later K                       after the K messages that follow it
 *   cut K | append HEX            K bytes less or more bytes at its end
 *   payload HEX                   instead of it
 *   before TYPE HEX | after TYPE HEX   another message beside it on the same stream
 *   subst HEX HEX                 the first bytes give way to as many others, wherever they stand in it
 *   type N | stream N | flags N   another header with a sound checksum
 *   length N | sum                a header that lies about the length, or a checksum that does not fit
 *   half | hang                   half of it and the end, or nothing more and no end
 *   fuzz SEED                     one in eight is cut, swelled, repeated, left out or has a few bits flipped, as SEED says
 *
 * It shares with the program nothing but the frame as waybill-wire(7) describes it.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xxhash.h>

#define HEADER 12
#define PAYLOAD_MAX (1u << 20)
#define LINK 255

struct frame { uint8_t head[HEADER]; uint8_t *data; uint32_t len; };
struct plan { char role[16], type[8], action[16], a[8192], b[8192]; unsigned long n; };

static struct plan plan;
static unsigned long seen;
static uint64_t state;
static struct frame kept;
static unsigned long kept_for;

static void die(const char *what)
{
	fprintf(stderr, "hostile_agent: %s\n", what);
	_exit(99);
}

static uint32_t le32(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void put(const void *p, size_t n)
{
	const uint8_t *at = p;

	while (n) {
		ssize_t w = write(1, at, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			_exit(0);	/* they hung up on us */
		at += w;
		n -= (size_t)w;
	}
}

static bool get(int fd, void *p, size_t n)
{
	uint8_t *at = p;

	while (n) {
		ssize_t r = read(fd, at, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		at += r;
		n -= (size_t)r;
	}
	return true;
}

/* The length and the checksum follow from the payload. */
static void seal(struct frame *f)
{
	uint64_t seed = 0;

	put32(f->head, f->len);
	for (int i = 7; i >= 0; i--)
		seed = seed << 8 | f->head[i];
	put32(f->head + 8, (uint32_t)XXH3_64bits_withSeed(f->data, f->len, seed));
}

static void send_frame(struct frame *f)
{
	seal(f);
	put(f->head, HEADER);
	put(f->data, f->len);
}

static uint32_t from_hex(const char *s, uint8_t *out)
{
	uint32_t n = 0;
	unsigned v;

	for (; s[0] && s[1] && sscanf(s, "%2x", &v) == 1; s += 2)
		out[n++] = (uint8_t)v;
	return n;
}

static void substitute(struct frame *f)
{
	static uint8_t from[4096], to[4096];
	uint32_t n = from_hex(plan.a, from), m = from_hex(plan.b, to);

	if (n == 0 || n != m)
		die("subst wants two strings of one length");
	for (uint32_t i = 0; i + n <= f->len; i++)
		if (memcmp(f->data + i, from, n) == 0)
			memcpy(f->data + i, to, n);
}

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* How often it is sent then. */
static int fuzz(struct frame *f)
{
	uint64_t how = next_random() % 8;

	if (next_random() % 8)
		return 1;
	switch (how) {
	case 0:
		return 0;
	case 1:
		return 2;
	case 2:
		f->len -= f->len ? (uint32_t)(next_random() % f->len) : 0;
		return 1;
	case 3:
		for (uint64_t k = next_random() % 64; k-- && f->len < PAYLOAD_MAX; )
			f->data[f->len++] = (uint8_t)next_random();
		return 1;
	case 4:
		f->head[4] = (uint8_t)(next_random() % 80);
		return 1;
	default:
		for (uint64_t k = 1 + next_random() % 3; k-- && f->len; ) {
			uint32_t at = (uint32_t)(next_random() % f->len);

			if (next_random() % 2)
				f->data[at] = 0xff;
			else
				f->data[at] = (uint8_t)(f->data[at] ^ 1u << next_random() % 8);
		}
		return 1;
	}
}

static void insert(const struct frame *f)
{
	static uint8_t bytes[4096];
	struct frame g = { .data = bytes, .len = from_hex(plan.b, bytes) };

	memcpy(g.head, f->head, HEADER);
	g.head[4] = (uint8_t)atoi(plan.a);
	send_frame(&g);
}

/* A header that is a lie. */
static void lie(struct frame *f, const char *action)
{
	seal(f);
	if (strcmp(action, "sum") == 0)
		f->head[9] ^= 1;
	else
		put32(f->head, (uint32_t)strtoul(plan.a, NULL, 0));
	put(f->head, HEADER);
	put(f->data, f->len);
}

static void strike(struct frame *f)
{
	const char *x = plan.action;
	unsigned long arg = strtoul(plan.a, NULL, 0);
	int times = 1;

	if (strcmp(x, "drop") == 0) times = 0;
	else if (strcmp(x, "double") == 0) times = 2;
	else if (strcmp(x, "flood") == 0) times = (int)arg;
	else if (strcmp(x, "cut") == 0) f->len -= f->len < arg ? f->len : (uint32_t)arg;
	else if (strcmp(x, "append") == 0) f->len += from_hex(plan.a, f->data + f->len);
	else if (strcmp(x, "payload") == 0) f->len = from_hex(plan.a, f->data);
	else if (strcmp(x, "before") == 0) insert(f);
	else if (strcmp(x, "subst") == 0) substitute(f);
	else if (strcmp(x, "type") == 0) f->head[4] = (uint8_t)arg;
	else if (strcmp(x, "stream") == 0) f->head[5] = (uint8_t)arg;
	else if (strcmp(x, "flags") == 0) f->head[6] = (uint8_t)arg;
	else if (strcmp(x, "fuzz") == 0) times = fuzz(f);
	else if (strcmp(x, "length") == 0 || strcmp(x, "sum") == 0) { lie(f, x); times = 0; }
	else if (strcmp(x, "half") == 0) { seal(f); put(f->head, HEADER); put(f->data, f->len / 2); _exit(0); }
	else if (strcmp(x, "hang") == 0) for (;;) pause();
	else if (strcmp(x, "later") == 0 && !kept.data) {
		kept = *f;
		if (!(kept.data = malloc(f->len + 1u)))
			die("memory");
		memcpy(kept.data, f->data, f->len);
		kept_for = arg + 1;
		times = 0;
	} else if (strcmp(x, "later") != 0 && strcmp(x, "after") != 0) {
		die(x);
	}
	while (times-- > 0)
		send_frame(f);
	if (strcmp(x, "after") == 0)
		insert(f);
}

static bool is_meant(const struct frame *f)
{
	if (f->head[5] == LINK || (strcmp(plan.type, "*") != 0 && atoi(plan.type) != f->head[4]))
		return false;
	seen++;
	return plan.n == 0 || seen == plan.n;
}

static void relay(int fd)
{
	static uint8_t data[2 * PAYLOAD_MAX];
	struct frame f = { .data = data };
	char c;

	/* The first line is the hand-shake. */
	do {
		if (!get(fd, &c, 1))
			return;
		put(&c, 1);
	} while (c != '\n');
	while (get(fd, f.head, HEADER)) {
		if ((f.len = le32(f.head)) > PAYLOAD_MAX || !get(fd, data, f.len))
			die("the real agent breaks the protocol");
		if (is_meant(&f))
			strike(&f);
		else
			send_frame(&f);
		if (kept_for && --kept_for == 0)
			send_frame(&kept);
	}
}

static void run_real(char **argv)
{
	char *real = getenv("HOSTILE_REAL");

	if (!real)
		die("HOSTILE_REAL is not set");
	argv[0] = real;
	execv(real, argv);
	die("the real agent does not start");
}

int main(int argc, char **argv)
{
	const char *how = getenv("HOSTILE");
	int out[2], status = 0;
	pid_t pid = -1;

	if (!how || sscanf(how, "%15s %7s %lu %15s %8191s %8191s", plan.role, plan.type, &plan.n, plan.action, plan.a, plan.b) < 4)
		plan.role[0] = '\0';
	if (argc < 2 || strcmp(argv[1], plan.role) != 0)
		run_real(argv);
	state = strtoull(plan.a, NULL, 0) * 0x9e3779b97f4a7c15u + 0x1234567;
	if (pipe(out) < 0 || (pid = fork()) < 0)
		die("fork");
	if (pid == 0) {
		(void)dup2(out[1], 1);
		(void)close(out[0]);
		(void)close(out[1]);
		run_real(argv);
	}
	(void)close(out[1]);
	(void)close(0);	/* that is the real one's */
	(void)signal(SIGPIPE, SIG_IGN);
	relay(out[0]);
	(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}
