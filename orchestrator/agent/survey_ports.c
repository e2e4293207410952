/* survey: what listens, and which program, as far as our rights show it. */
#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "survey.h"

#define TCP_LISTEN 0x0a		/* proc(5), net/tcp: the state column */
#define UDP_UNCONNECTED 0x07
#define EPHEMERAL 32768u	/* ip(7), ip_local_port_range: above it lie the sockets of clients, other ones at every look */

struct port { uint64_t inode; char name[80], program[64]; };
struct ports { struct port *v; size_t n, cap; const char *proto; unsigned state; };

/* "0100007F:0016" or its IPv6 form: words of 32 bits in the host's byte order. */
static bool address(const char *word, char out[64], unsigned *port)
{
	uint32_t w[4];
	char ip[INET6_ADDRSTRLEN];
	const char *colon = strchr(word, ':');
	size_t n = colon ? (size_t)(colon - word) / 8 : 0;

	if ((n != 1 && n != 4) || sscanf(colon + 1, "%x", port) != 1)
		return false;
	for (size_t i = 0; i < n; i++)
		if (sscanf(word + 8 * i, "%8" SCNx32, &w[i]) != 1)
			return false;
	if (!inet_ntop(n == 1 ? AF_INET : AF_INET6, w, ip, sizeof(ip)))
		return false;
	(void)snprintf(out, 64, n == 1 ? "%s:%u" : "[%s]:%u", ip, *port);
	return true;
}

static struct port *add(struct ports *s)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		struct port *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v)
			return NULL;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n] = (struct port){ .inode = 0 };
	return &s->v[s->n++];
}

/* sl local remote state queues timer retransmits uid timeout inode ... */
static int socket_line(struct agent *a, char *line, void *ctx, struct err *e)
{
	struct ports *s = ctx;
	struct port *p;
	char local[80], where[64];
	unsigned state, number = 0;
	uint64_t inode;

	(void)a;
	if (sscanf(line, " %*s %79s %*s %x %*s %*s %*s %*s %*s %" SCNu64, local, &state, &inode) != 3 || state != s->state ||
	    !address(local, where, &number) || (s->state == UDP_UNCONNECTED && number >= EPHEMERAL))
		return 0;
	if (!(p = add(s)))
		return err_set(e, ERR_TEMPORARY, "out of memory");
	p->inode = inode;
	(void)snprintf(p->name, sizeof(p->name), "%s %s", s->proto, where);
	return 0;
}

/* One open file of a process: is it one of our sockets? */
static void match(struct ports *s, int fds, const char *fd, const char *program)
{
	char link[64];
	ssize_t n = readlinkat(fds, fd, link, sizeof(link) - 1);
	uint64_t inode;

	if (n <= 0)
		return;
	link[n] = '\0';
	if (sscanf(link, "socket:[%" SCNu64 "]", &inode) != 1)
		return;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].inode == inode && !s->v[i].program[0])
			(void)snprintf(s->v[i].program, sizeof(s->v[i].program), "%s", program);
}

/* Processes of others stay closed to those who are not root: their sockets are told without a program. */
static int process(struct agent *a, const char *dir, const char *name, void *ctx, struct err *e)
{
	OWN_BUF struct buf program = BUF_INIT;
	OWN_FD int fds = -1;
	OWN_DIR DIR *d = NULL;
	struct dirent *de;
	char path[300];

	if (!isdigit((unsigned char)name[0]))
		return 0;
	(void)snprintf(path, sizeof(path), "%s/%.20s/fd", dir, name);
	fds = openat(a->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "%s/%.20s/comm", dir, name);
	if (fds < 0 || !(d = fdopendir(fds)))
		return 0;
	fds = -1;
	if (survey_file(a, path, &program, e) != 1)
		return 0;
	program.data[strcspn(program.data, "\n")] = '\0';
	while ((de = readdir(d)))
		match(ctx, dirfd(d), de->d_name, program.data);
	return 0;
}

static void ports_dispose(struct ports *s) { free(s->v); }

int survey_ports(struct agent *a, struct err *e)
{
	static const struct { const char *proto, *path; unsigned state; } tables[] = {
		{ "tcp", "proc/net/tcp", TCP_LISTEN }, { "tcp", "proc/net/tcp6", TCP_LISTEN },
		{ "udp", "proc/net/udp", UDP_UNCONNECTED }, { "udp", "proc/net/udp6", UDP_UNCONNECTED } };
	OWN(ports_dispose) struct ports s = { .v = NULL };

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		s.proto = tables[i].proto;
		s.state = tables[i].state;
		if (survey_lines(a, tables[i].path, socket_line, &s, e) < 0)
			return -1;
	}
	if (s.n && survey_dir(a, "proc", process, &s, e) < 0)
		return -1;
	for (size_t i = 0; i < s.n; i++)
		if (survey_tell(a, "port", s.v[i].name, s.v[i].program, e) < 0)
			return -1;
	return 0;
}
