/*
 * relay - a TCP link that misbehaves on request, for tests and benchmarks; shares no code with the program.
 *
 *   relay [--at ADDRESS] --to PORT [--control FIFO] [COMMAND]...
 *
 * Listens on a free port of 127.0.0.1, prints it, and passes every connection on to ADDRESS:PORT (127.0.0.1).  Commands come from the command
 * line (one argument each) and, a line each, from the FIFO:
 *
 *   delay MS           one way, for every byte from now on (half the round trip)
 *   rate N             bytes a second in each direction; 0 = as fast as it goes
 *   chunk N            no write of more than N bytes; 0 = any
 *   cut                reset all connections
 *   stall on|off       bytes are taken in and none let out; nothing is reset
 *   hold up|down N     stall on, once N more bytes have gone to, or come from, the server
 *   refuse on|off      a new connection is reset at once
 *   flip up|down N     the Nth byte (from 0) that goes to, or comes from, the server from now on gets its lowest bit changed
 *   count FILE         write "CONNECTIONS UP DOWN STALLED": accepted so far, bytes let out in each direction, 1 while it stalls
 *   sync FILE          write an empty FILE: all commands before it are in force
 *
 * Ends with SIGTERM, or when its parent does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINKS_MAX 256
#define PIECE (64u << 10)
#define HELD_MAX (64u << 20)	/* in each direction: more than any link here keeps in flight */

enum { UP, DOWN };		/* to the server, from the server */

struct piece {
	struct piece *next;
	int64_t due;		/* mono ns */
	size_t len, at;
	char data[];
};

struct half {			/* one direction of a connection */
	int from, to;		/* borrowed */
	struct piece *head, **tail;
	size_t held;
	bool ended;		/* nothing more comes */
	bool shut;		/* and that was passed on */
};

struct link { int fd[2]; struct half half[2]; };

static struct link *links[LINKS_MAX];
static size_t nlinks;
static int64_t delay_ns, paid_until[2];
static uint64_t rate, chunk, accepted, passed[2];
static int64_t flip_at[2] = { -1, -1 }, hold_at[2] = { -1, -1 };	/* in passed[] terms */
static bool stalled, refusing;
static int server_port;
static struct in_addr server_addr;

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void drop(size_t i)
{
	struct linger now = { 1, 0 };
	struct link *l = links[i];

	for (int d = 0; d < 2; d++) {
		(void)setsockopt(l->fd[d], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		(void)close(l->fd[d]);
		while (l->half[d].head) {
			struct piece *p = l->half[d].head;

			l->half[d].head = p->next;
			free(p);
		}
	}
	free(l);
	links[i] = links[--nlinks];
}

static void write_file(const char *name, const char *text)
{
	char part[4096];
	FILE *f;

	(void)snprintf(part, sizeof(part), "%s.part", name);
	if (!(f = fopen(part, "w")) || fputs(text, f) < 0 || fclose(f) != 0 || rename(part, name) < 0)
		die(name);
}

static int way_of(const char *word) { return strcmp(word, "up") == 0 ? UP : DOWN; }

static void command(char *line)
{
	char word[16] = "", arg[4000] = "", counts[100];
	unsigned long long n = 0;

	(void)sscanf(line, "%15s %3999s %llu", word, arg, &n);
	if (strcmp(word, "delay") == 0)
		delay_ns = (int64_t)(strtod(arg, NULL) * 1e6);
	else if (strcmp(word, "rate") == 0)
		rate = strtoull(arg, NULL, 10);
	else if (strcmp(word, "chunk") == 0)
		chunk = strtoull(arg, NULL, 10);
	else if (strcmp(word, "cut") == 0)
		while (nlinks)
			drop(0);
	else if (strcmp(word, "stall") == 0)
		stalled = strcmp(arg, "on") == 0;
	else if (strcmp(word, "refuse") == 0)
		refusing = strcmp(arg, "on") == 0;
	else if (strcmp(word, "flip") == 0)
		flip_at[way_of(arg)] = (int64_t)(passed[way_of(arg)] + n);
	else if (strcmp(word, "hold") == 0)
		hold_at[way_of(arg)] = (int64_t)(passed[way_of(arg)] + n);
	else if (strcmp(word, "sync") == 0)
		write_file(arg, "");
	else if (strcmp(word, "count") == 0) {
		(void)snprintf(counts, sizeof(counts), "%llu %llu %llu %d\n", (unsigned long long)accepted,
		    (unsigned long long)passed[UP], (unsigned long long)passed[DOWN], stalled);
		write_file(arg, counts);
	} else {
		(void)fprintf(stderr, "relay: what is \"%s\"?\n", line);
		exit(2);
	}
}

static void read_commands(int fd)
{
	static char text[8192];
	static size_t have;
	ssize_t n = read(fd, text + have, sizeof(text) - 1 - have);
	char *end;

	if (n <= 0)
		return;
	have += (size_t)n;
	text[have] = '\0';
	while ((end = strchr(text, '\n'))) {
		*end = '\0';
		command(text);
		have -= (size_t)(end + 1 - text);
		memmove(text, end + 1, have + 1);
	}
}

static void take_connection(int listener)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server_port), .sin_addr = server_addr };
	int in = accept4(listener, NULL, NULL, SOCK_CLOEXEC), out, on = 1;
	struct linger reset = { 1, 0 };
	struct link *l;

	if (in < 0)
		return;
	accepted++;
	if (refusing || nlinks == LINKS_MAX) {
		(void)setsockopt(in, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		(void)close(in);
		return;
	}
	out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (out < 0 || connect(out, (struct sockaddr *)&to, sizeof(to)) < 0 || !(l = calloc(1, sizeof(*l)))) {
		(void)close(in);
		if (out >= 0)
			(void)close(out);
		return;
	}
	l->fd[0] = in;
	l->fd[1] = out;
	for (int d = 0; d < 2; d++) {
		l->half[d] = (struct half){ .from = l->fd[d], .to = l->fd[!d], .tail = &l->half[d].head };
		(void)setsockopt(l->fd[d], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		(void)fcntl(l->fd[d], F_SETFL, O_NONBLOCK);
	}
	links[nlinks++] = l;
}

/* False: the connection is broken. */
static bool take_in(struct half *h, int64_t now)
{
	struct piece *p = malloc(sizeof(*p) + PIECE);
	ssize_t n;

	if (!p)
		die("memory");
	n = read(h->from, p->data, PIECE);
	if (n <= 0) {
		free(p);
		h->ended = n == 0;
		return n == 0 || errno == EAGAIN || errno == EINTR;
	}
	*p = (struct piece){ .due = now + delay_ns, .len = (size_t)n };
	*h->tail = p;
	h->tail = &p->next;
	h->held += p->len;
	return true;
}

static bool let_out(struct half *h, int way, int64_t now)
{
	while (!stalled && h->head && h->head->due <= now && !(rate && paid_until[way] > now)) {
		struct piece *p = h->head;
		size_t n = p->len - p->at;
		int64_t flip = flip_at[way] - (int64_t)passed[way];
		ssize_t r;

		if (chunk && n > chunk)
			n = chunk;
		if (rate && n > rate / 100 + 1)
			n = rate / 100 + 1;
		if (flip_at[way] >= 0 && flip >= 0 && (size_t)flip < n) {
			n = (size_t)flip + 1;
			p->data[p->at + (size_t)flip] ^= 1;
		}
		r = send(h->to, p->data + p->at, n, MSG_NOSIGNAL);
		if (flip_at[way] >= 0 && flip >= 0 && (size_t)flip < n) {
			if (r == (ssize_t)n)
				flip_at[way] = -1;
			else
				p->data[p->at + (size_t)flip] ^= 1;	/* it goes out later */
		}
		if (r < 0)
			return errno == EAGAIN || errno == EINTR;
		passed[way] += (uint64_t)r;
		if (hold_at[way] >= 0 && (int64_t)passed[way] >= hold_at[way]) {
			hold_at[way] = -1;
			stalled = true;
		}
		h->held -= (size_t)r;
		p->at += (size_t)r;
		if (rate)
			paid_until[way] = (paid_until[way] > now - 20000000 ? paid_until[way] : now) + (int64_t)((double)r * 1e9 / (double)rate);
		if (p->at < p->len)
			continue;
		if (!(h->head = p->next))
			h->tail = &h->head;
		free(p);
	}
	if (!stalled && h->ended && !h->head && !h->shut) {
		(void)shutdown(h->to, SHUT_WR);
		h->shut = true;
	}
	return true;
}

static bool serve(struct link *l, const struct pollfd f[2], int64_t now)
{
	for (int d = 0; d < 2; d++) {
		if ((f[d].revents & (POLLIN | POLLHUP | POLLERR)) && !l->half[d].ended && l->half[d].held < HELD_MAX && !take_in(&l->half[d], now))
			return false;
		if (!stalled && !let_out(&l->half[d], d, now))
			return false;
	}
	return !(l->half[0].shut && l->half[1].shut);
}

/* What to wait for, and until when something is due. */
static void prepare(const struct link *l, struct pollfd f[2], int64_t *wake)
{
	for (int d = 0; d < 2; d++)
		f[d] = (struct pollfd){ l->fd[d], 0, 0 };
	for (int d = 0; d < 2; d++) {
		const struct half *h = &l->half[d];
		int64_t due;

		if (!h->ended && h->held < HELD_MAX)
			f[d].events |= POLLIN;
		if (!h->head || stalled)
			continue;
		due = h->head->due;
		if (rate && paid_until[d] > due)
			due = paid_until[d];
		if (due > now_ns()) {
			if (due < *wake)
				*wake = due;
		} else {
			f[!d].events |= POLLOUT;
		}
	}
	for (int d = 0; d < 2; d++)
		if (!f[d].events)
			f[d].fd = -1;	/* a hang-up that is known would keep us awake */
}

static void loop(int listener, int control)
{
	for (;;) {
		struct pollfd f[2 + 2 * LINKS_MAX] = { { listener, POLLIN, 0 }, { control, POLLIN, 0 } };
		int64_t now, wake = now_ns() + 1000000000;
		size_t n = nlinks;
		struct timespec t;

		for (size_t i = 0; i < n; i++)
			prepare(links[i], f + 2 + 2 * i, &wake);
		wake -= now_ns();
		t = (struct timespec){ wake > 0 ? wake / 1000000000 : 0, wake > 0 ? wake % 1000000000 : 0 };
		(void)ppoll(f, 2 + 2 * n, &t, NULL);
		now = now_ns();
		for (size_t i = n; i-- > 0; )
			if (!serve(links[i], f + 2 + 2 * i, now))
				drop(i);
		if (f[0].revents)
			take_connection(listener);
		if (f[1].revents)
			read_commands(control);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), control = -1;
	socklen_t len = sizeof(at);

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)prctl(PR_SET_TIMERSLACK, 50000);
	server_addr = at.sin_addr;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--to") == 0 && argv[i + 1])
			server_port = atoi(argv[++i]);
		else if (strcmp(argv[i], "--at") == 0 && argv[i + 1]) {
			if (inet_pton(AF_INET, argv[++i], &server_addr) != 1)
				die(argv[i]);
		} else if (strcmp(argv[i], "--control") == 0 && argv[i + 1]) {
			if ((control = open(argv[++i], O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0)	/* both: a writer that leaves is no end */
				die(argv[i]);
		} else
			command(argv[i]);
	}
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 64) < 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &len) < 0)
		die("listen");
	if (printf("%d\n", ntohs(at.sin_port)) < 0 || fflush(stdout) != 0)
		die("stdout");
	loop(listener, control);
	return 0;
}
