/* SFTP: the connection, and what is done to names. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "esc.h"
#include "route.h"
#include "sftp_wire.h"

#define TYPE_BITS 0170000u
#define FSYNC "fsync@openssh.com"

/* The version, and name and value of each extension. */
static int greet(struct sftp *s, struct err *e)
{
	struct sftp_reply r;
	size_t n, v;

	(void)sftp_begin(s, FXP_INIT);
	sftp_put32(&s->out, 3);
	if (sftp_submit(s, e) < 0 || sftp_answer(s, &r, e) < 0)
		return -1;
	if (r.type != FXP_VERSION || r.id < 3)	/* where others have their id it has its version */
		return err_set(e, ERR_PERMANENT, "host %s: what answers there is no SFTP server of version 3", esc_s(s->host->spec->name));
	while (view_left(&r.rest)) {
		const uint8_t *name = sftp_get_string(&r.rest, &n);

		if (!name || !sftp_get_string(&r.rest, &v))
			break;
		s->fsync |= n == strlen(FSYNC) && memcmp(name, FSYNC, n) == 0;
	}
	return 0;
}

/* Nothing came: the reason is on the standard error of whatever was to start it. */
static int explain(struct sftp *s, struct err *e)
{
	OWN_BUF struct buf tail = BUF_INIT;
	struct err ignored = ERR_INIT;
	char line[256] = "";
	int status;

	if (e->sys != ECONNRESET)
		return -1;
	if (channel_close(take_ptr(&s->channel), &status, &tail, &ignored) == 0 || tail.len)
		(void)proc_last_line(&tail, line);
	return err_set(e, ERR_UNREACHABLE, "host %s: no SFTP there: %s; its sshd must have a Subsystem sftp, and this user must be let in",
	    esc_s(s->host->spec->name), *line ? line : "the connection ended");
}

int sftp_open(struct host *h, struct sftp_watch watch, struct sftp **out, struct err *e)
{
	OWN(sftp_closep) struct sftp *s = calloc(1, sizeof(*s));

	if (!s)
		return err_sys(e, "host %s", esc_s(h->spec->name));
	s->host = h;
	s->watch = watch;
	if (route_subsystem(h, "sftp", &s->channel, e) < 0)
		return -1;
	(void)fcntl(s->channel->in, F_SETFL, O_NONBLOCK);
	(void)fcntl(s->channel->out, F_SETFL, O_NONBLOCK);
	if (greet(s, e) < 0)
		return explain(s, e);
	*out = take_ptr(&s);
	return 0;
}

void sftp_close(struct sftp *s)
{
	if (!s)
		return;
	channel_abandon(s->channel);
	buf_dispose(&s->out);
	buf_dispose(&s->in);
	free(s);
}

bool sftp_has_fsync(const struct sftp *s) { return s->fsync; }

/* A request whose answer is a status. */
static int simple(struct sftp *s, int type, const char *path, const char *second, const char *doing, struct err *e)
{
	uint32_t id = sftp_begin(s, type);
	struct sftp_reply r;

	sftp_put_string(&s->out, path, strlen(path));
	if (second)
		sftp_put_string(&s->out, second, strlen(second));
	if (type == FXP_MKDIR)
		sftp_put32(&s->out, 0);	/* no attributes: as its umask has it */
	return sftp_submit(s, e) < 0 ? -1 : sftp_expect(s, id, FXP_STATUS, &r, doing, path, e);
}

int sftp_mkdir(struct sftp *s, const char *path, struct err *e) { return simple(s, FXP_MKDIR, path, NULL, "make", e); }
int sftp_rmdir(struct sftp *s, const char *path, struct err *e) { return simple(s, FXP_RMDIR, path, NULL, "remove", e); }
int sftp_remove(struct sftp *s, const char *path, struct err *e) { return simple(s, FXP_REMOVE, path, NULL, "remove", e); }
int sftp_rename(struct sftp *s, const char *from, const char *to, struct err *e) { return simple(s, FXP_RENAME, from, to, "rename", e); }

static enum sftp_kind kind_of(uint32_t mode)
{
	return (mode & TYPE_BITS) == 0100000u ? SFTP_FILE : (mode & TYPE_BITS) == 0040000u ? SFTP_DIR : SFTP_OTHER;
}

int sftp_stat(struct sftp *s, const char *path, struct sftp_stat *st, struct err *e)
{
	uint32_t id = sftp_begin(s, FXP_LSTAT), flags;
	struct sftp_reply r;

	*st = (struct sftp_stat){ SFTP_NONE, 0 };
	sftp_put_string(&s->out, path, strlen(path));
	if (sftp_submit(s, e) < 0)
		return -1;
	if (sftp_expect(s, id, FXP_ATTRS, &r, "look at", path, e) < 0) {
		if (e->sys != ENOENT)
			return -1;
		err_clear(e);
		return 0;
	}
	flags = sftp_get32(&r.rest);
	st->size = flags & 1 ? sftp_get64(&r.rest) : 0;
	if (flags & 2)
		(void)sftp_get64(&r.rest);	/* uid and gid */
	st->kind = flags & 4 ? kind_of(sftp_get32(&r.rest)) : SFTP_OTHER;
	if (r.rest.failed || (flags & 5) != 5)
		return err_set(e, ERR_PERMANENT, "host %s: its SFTP server tells neither kind nor size of %s", esc_s(s->host->spec->name), esc_s(path));
	return 0;
}
