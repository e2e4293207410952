/* rooms: stages */
/* Drops: lists that a host sends are not trusted, and an SFTP server may give less, or something else, than was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "drop_internal.h"
#include "route.h"
#include "sftp_wire.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int read_list(const char *text, bool payload, size_t *n)
{
	OWN_DROP_LIST struct drop_list l = { NULL, 0 };
	OWN_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	int r;

	buf_puts(&b, text);
	r = drop_list_read(&l, &b, payload, "drop", &e);
	assert_true(r == 0 || e.class == ERR_INTEGRITY);
	*n = l.n;
	return r;
}

static void lists_that_waybill_writes_are_read(void **state)
{
	size_t n;

	(void)state;
	assert_int_equal(read_list(HEX "  data/www/part-0001.tar.zst\n" HEX "  data/www/large/1.0001.zst\n" HEX "  data/a/links.txt\n", true, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(read_list(HEX "  manifest-sha256.txt\n" HEX "  waybill/plan.yaml\n", false, &n), 0);
	assert_int_equal(n, 2);
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
	static const struct { const char *line; bool payload; } bad[] = {
		{ HEX "  ../etc/passwd\n", false }, { HEX "  /etc/passwd\n", false }, { HEX "  data/../../x\n", true }, { HEX "  data//x\n", true },
		{ HEX "  data/x\n", false }, { HEX "  x\n", true }, { HEX "  .\n", false }, { HEX "  a\033b\n", false }, { HEX "  a b\n", false },
		{ HEX "  x.part\n", false }, { HEX "  tagmanifest-sha256.txt\n", false }, { HEX " x\n", false }, { HEX "  x", false }, { HEX "  \n", false },
		{ "0123  x\n", false }, { "ABCDEF6789abcdef0123456789abcdef0123456789abcdef0123456789abcdef  x\n", false }, { "\n", false },
	};
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (read_list(bad[i].line, bad[i].payload, &n) == 0)
			fail_msg("taken: %s", bad[i].line);
}

/* ---- a server of our own ---- */

#define FILE_BYTES 200000u

struct server { int fd; uint32_t most, extra; };	/* bytes it gives at a time; bytes it adds to what was asked for */

static bool all(int fd, void *p, size_t n)
{
	return recv(fd, p, n, MSG_WAITALL) == (ssize_t)n;
}

static void reply(int fd, int type, uint32_t id, const struct buf *rest)
{
	OWN_BUF struct buf b = BUF_INIT;

	sftp_put32(&b, (uint32_t)(5 + rest->len));
	buf_put_u8(&b, (uint8_t)type);
	sftp_put32(&b, id);
	buf_put(&b, rest->data, rest->len);
	if (send(fd, b.data, b.len, MSG_NOSIGNAL) != (ssize_t)b.len)
		_exit(1);
}

static uint8_t byte_at(uint64_t at) { return (uint8_t)(at * 7 + at / 251); }

static void serve_read(const struct server *s, uint32_t id, struct view *v)
{
	OWN_BUF struct buf data = BUF_INIT, rest = BUF_INIT;
	size_t n;
	uint64_t at;

	(void)sftp_get_string(v, &n);
	at = sftp_get64(v);
	n = sftp_get32(v);
	n = n < s->most ? n : s->most;
	for (size_t i = 0; i < n + s->extra; i++)
		buf_put_u8(&data, byte_at(at + i));
	sftp_put_string(&rest, data.data, data.len);
	reply(s->fd, FXP_DATA, id, &rest);
}

static void serve(const struct server *s)
{
	uint8_t head[9], body[4096];

	while (all(s->fd, head, sizeof(head))) {
		struct view v = view_of(head, sizeof(head)), rest;
		OWN_BUF struct buf b = BUF_INIT;
		uint32_t n = sftp_get32(&v) - 5, id;
		int type = view_u8(&v);

		id = sftp_get32(&v);
		if (n > sizeof(body) || !all(s->fd, body, n))
			break;
		rest = view_of(body, n);
		if (type == FXP_READ) {
			serve_read(s, id, &rest);
		} else if (type == FXP_OPEN) {
			sftp_put_string(&b, "h", 1);
			reply(s->fd, FXP_HANDLE, id, &b);
		} else {
			sftp_put32(&b, type == FXP_CLOSE ? FX_OK : FX_PERMISSION_DENIED);
			sftp_put_string(&b, "not\033you", 7);
			reply(s->fd, FXP_STATUS, id, &b);
		}
	}
}

struct lab { struct host host; struct host_spec spec; struct channel channel; struct sftp sftp; pid_t pid; int fd; };

static void lab_start(struct lab *l, uint32_t most, uint32_t extra)
{
	int pair[2];

	memset(l, 0, sizeof(*l));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	l->pid = fork();
	assert_true(l->pid >= 0);
	if (l->pid == 0) {
		(void)close(pair[0]);
		serve(&(struct server){ pair[1], most, extra });
		_exit(0);
	}
	(void)close(pair[1]);
	l->fd = pair[0];
	l->spec.name = "drop";
	l->host.spec = &l->spec;
	l->channel.host = &l->host;
	l->channel.in = l->channel.out = pair[0];
	l->sftp.host = &l->host;
	l->sftp.channel = &l->channel;
}

static void lab_stop(struct lab *l)
{
	int status;

	(void)close(l->fd);
	assert_int_equal(waitpid(l->pid, &status, 0), l->pid);
	buf_dispose(&l->sftp.in);
	buf_dispose(&l->sftp.out);
}

static int compare(void *arg, const void *p, size_t n, struct err *e)
{
	uint64_t *at = arg;

	for (size_t i = 0; i < n; i++)
		if (((const uint8_t *)p)[i] != byte_at(*at + i))
			return err_set(e, ERR_INTEGRITY, "byte %zu is another", (size_t)*at + i);
	*at += n;
	return 0;
}

static void short_reads_are_asked_for_again(void **state)
{
	static const uint32_t most[] = { SFTP_PIECE, 30000, 999 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct err e = ERR_INIT;
		struct lab l;
		uint64_t at = 77;

		lab_start(&l, most[i], 0);
		if (sftp_receive(&l.sftp, "/f", at, FILE_BYTES, compare, &at, &e) < 0)
			fail_msg("%u at a time: %s", most[i], e.text);
		assert_int_equal(at, FILE_BYTES);
		lab_stop(&l);
	}
}

static void more_than_asked_for_is_refused(void **state)
{
	struct err e = ERR_INIT;
	struct lab l;
	uint64_t at = 0;

	(void)state;
	lab_start(&l, SFTP_PIECE, 1);
	assert_int_equal(sftp_receive(&l.sftp, "/f", 0, FILE_BYTES, compare, &at, &e), -1);
	assert_int_equal(at, 0);
	lab_stop(&l);
}

static void a_refusal_is_told_in_its_words(void **state)
{
	struct err e = ERR_INIT;
	struct lab l;

	(void)state;
	lab_start(&l, SFTP_PIECE, 0);
	assert_int_equal(sftp_mkdir(&l.sftp, "/f", &e), -1);
	assert_int_equal(e.sys, EACCES);
	assert_non_null(strstr(e.text, "not\\033you"));
	lab_stop(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_that_waybill_writes_are_read),
		cmocka_unit_test(names_that_lead_elsewhere_are_refused),
		cmocka_unit_test(short_reads_are_asked_for_again),
		cmocka_unit_test(more_than_asked_for_is_refused),
		cmocka_unit_test(a_refusal_is_told_in_its_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
