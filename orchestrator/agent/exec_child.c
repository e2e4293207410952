/* A command as a child: its file from memory, its user, its environment. */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "esc.h"
#include "io.h"
#include "proc.h"

#define SITE "exec"
#define GROUPS_MAX 1024

extern char **environ;

struct identity {
	bool change;
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	size_t ngroups;
	char home[600], name[300];	/* "HOME=...", "USER=..." */
	char logname[300];
};

static int ask(const char *const *argv, struct proc_result *r, const char *user, struct err *e)
{
	struct proc_options o = { .argv = argv, .timeout_ms = 10000, .limit = 65536 };

	if (proc_run(&o, r, e) < 0)
		return -1;
	if (r->status == 0 && r->out.data)
		return 0;
	return err_set(e, ERR_PERMANENT, "there is no user %s here (%s ended with %d)", esc_s(user), argv[0], r->status);
}

/* name:x:uid:gid:text:home:shell; a static program asks getent, which knows every directory service of the host. */
static int take_passwd(const char *line, struct identity *id)
{
	const char *f[7] = { line };
	char *end;
	size_t n = 1;

	for (const char *p = line; *p && *p != '\n' && n < 7; p++)
		if (*p == ':')
			f[n++] = p + 1;
	if (n < 7)
		return -1;
	id->uid = (uid_t)strtoul(f[2], &end, 10);
	if (end == f[2] || *end != ':')
		return -1;
	id->gid = (gid_t)strtoul(f[3], &end, 10);
	if (end == f[3] || *end != ':')
		return -1;
	(void)snprintf(id->home, sizeof(id->home), "HOME=%.*s", (int)(f[6] - f[5] - 1), f[5]);
	(void)snprintf(id->name, sizeof(id->name), "USER=%.*s", (int)strcspn(line, ":"), line);
	(void)snprintf(id->logname, sizeof(id->logname), "LOGNAME=%.*s", (int)strcspn(line, ":"), line);
	return 0;
}

static int take_groups(const char *user, struct identity *id, struct err *e)
{
	const char *argv[] = { "id", "-G", "--", user, NULL };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	char *p, *end;

	if (ask(argv, &r, user, e) < 0)
		return -1;
	for (p = r.out.data; id->ngroups < GROUPS_MAX; p = end) {
		unsigned long g = strtoul(p, &end, 10);

		if (end == p)
			return 0;
		id->groups[id->ngroups++] = (gid_t)g;
	}
	return 0;
}

static int find_user(const char *user, struct identity *id, struct err *e)
{
	const char *argv[] = { "getent", "passwd", user, NULL };
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;

	if (!*user)
		return 0;
	if (*user == '-')
		return err_set(e, ERR_PERMANENT, "%s is no name of a user", esc_s(user));
	if (ask(argv, &r, user, e) < 0)
		return -1;
	if (take_passwd(r.out.data, id) < 0)
		return err_set(e, ERR_PERMANENT, "getent says of user %s what cannot be read", esc_s(user));
	if (id->uid == geteuid())
		return 0;
	if (geteuid() != 0) {
		err_set(e, ERR_REFUSED, "only root may run a command as %s; here it is uid %u", esc_s(user), (unsigned)geteuid());
		return err_hint(e, "give the host become: sudo");
	}
	id->change = true;
	return take_groups(user, id, e);
}

/* In memory, so that nothing is left behind, and no directory need allow it to be executed there. */
static int program_file(const struct msg_exec *m, struct err *e)
{
	OWN_FD int fd = -1;

	if (!m->program)
		return -1;
	fd = memfd_create("waybill-hook", 0);	/* not close-on-exec: an interpreter opens it by its number */
	if (fd < 0)
		return err_sys(e, "memory for the program");
	if (io_write_all(SITE, fd, m->program, m->program_len, "the program", e) < 0)
		return -1;
	if (fchmod(fd, 0555) < 0)
		return err_sys(e, "the program");
	return take_fd(&fd);
}

/* Log-ins by SSH often have no sbin, where half of what hooks call lives. */
static char *wide_path(void)
{
	const char *old = getenv("PATH");
	char *s = NULL;

	if (!old || !*old)
		old = "/usr/local/bin:/usr/bin:/bin";
	return asprintf(&s, "PATH=%s%s", old, strstr(old, "/usr/sbin") ? "" : ":/usr/local/sbin:/usr/sbin:/sbin") < 0 ? NULL : s;
}

static void add_variable(const char **env, size_t *n, const char *v)
{
	size_t name = strcspn(v, "=") + 1, i;

	for (i = 0; i < *n && strncmp(env[i], v, name) != 0; i++)
		;
	env[i] = v;
	*n += i == *n;
}

/* What the agent has, then who it runs as, then what was sent; a later one of the same name wins. */
static const char **environment(const struct msg_exec *m, const struct identity *id, const char *path)
{
	size_t n = 0, have = 0, more = 0;
	const char **env;

	while (environ[have])
		have++;
	while (m->env[more])
		more++;
	if (!(env = calloc(have + more + 5, sizeof(*env))))
		return NULL;
	for (size_t i = 0; i < have; i++)
		add_variable(env, &n, environ[i]);
	add_variable(env, &n, path);
	if (id->change) {
		add_variable(env, &n, id->home);
		add_variable(env, &n, id->name);
		add_variable(env, &n, id->logname);
	}
	for (size_t i = 0; i < more; i++)
		add_variable(env, &n, m->env[i]);
	return env;
}

struct start {
	const struct msg_exec *m;
	const struct identity *id;
	const char **env;
	char **shell_argv;	/* for a script without its first line */
	char path[32];		/* of the program in memory, or "" */
	int fds[3], tell;
};

/* Between fork and exec only what is safe after a fork of a program with threads. */
static void child(const struct start *s)
{
	sigset_t none;
	int why;

	(void)setsid();
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)umask(022);
	for (int i = 0; i < 3; i++)
		if (dup2(s->fds[i], i) < 0)
			goto failed;
	if (s->id->change && (setgroups(s->id->ngroups, s->id->groups) < 0 || setgid(s->id->gid) < 0 || setuid(s->id->uid) < 0))
		goto failed;
	/* The agent's end is the command's: it may not go on unwatched. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (chdir("/") < 0)
		goto failed;
	if (*s->path) {
		(void)execve(s->path, s->m->argv, (char *const *)(uintptr_t)s->env);
		if (errno == ENOEXEC)
			(void)execve("/bin/sh", s->shell_argv, (char *const *)(uintptr_t)s->env);
	} else {
		(void)execvpe(s->m->argv[0], s->m->argv, (char *const *)(uintptr_t)s->env);
	}
failed:
	why = errno;
	(void)!write(s->tell, &why, sizeof(why));
	_exit(127);
}

static void close_all(int (*v)[8])
{
	for (int i = 0; i < 8; i++)
		own_closep(&(*v)[i]);
}

static char **shell_words(const struct msg_exec *m, char *path)
{
	size_t n = 0;
	char **v;

	while (m->argv[n])
		n++;
	if (!(v = calloc(n + 2, sizeof(*v))))
		return NULL;
	v[0] = (char *)(uintptr_t)"sh";
	v[1] = path;
	for (size_t i = 1; i < n; i++)
		v[i + 1] = m->argv[i];
	return v;
}

static int start(struct start *s, struct exec_pipes *p, pid_t *pid, int *failed, struct err *e)
{
	OWN(close_all) int f[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };

	if (pipe2(f, O_CLOEXEC) < 0 || pipe2(f + 2, O_CLOEXEC) < 0 || pipe2(f + 4, O_CLOEXEC) < 0 || pipe2(f + 6, O_CLOEXEC) < 0)
		return err_sys(e, "pipes");
	memcpy(s->fds, (int[]){ f[0], f[3], f[5] }, sizeof(s->fds));
	s->tell = f[7];
	if ((*pid = fork()) < 0)
		return err_sys(e, "fork");
	if (*pid == 0)
		child(s);
	(void)close(take_fd(&f[7]));
	*failed = 0;
	/* Closed unread by a successful execve. */
	if (read(f[6], failed, sizeof(*failed)) != (ssize_t)sizeof(*failed))
		*failed = 0;
	*p = (struct exec_pipes){ take_fd(&f[1]), take_fd(&f[2]), take_fd(&f[4]) };
	return 0;
}

int exec_child(const struct msg_exec *m, struct exec_pipes *p, pid_t *pid, int *failed, struct err *e)
{
	struct identity id = { .change = false };
	struct start s = { .m = m, .id = &id };
	OWN_FREE char *path = wide_path();
	OWN_FREE const char **env = NULL;
	OWN_FREE char **shell = NULL;
	OWN_FD int file = -1;

	if (find_user(m->user, &id, e) < 0)
		return -1;
	if (m->program && (file = program_file(m, e)) < 0)
		return -1;
	if (file >= 0)
		(void)snprintf(s.path, sizeof(s.path), "/proc/self/fd/%d", file);
	if (!path || !(env = environment(m, &id, path)) || !(shell = shell_words(m, s.path)))
		return err_sys(e, "environment");
	s.env = env;
	s.shell_argv = shell;
	return start(&s, p, pid, failed, e);
}
