/* survey: packages, enabled units and schedules. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "proc.h"
#include "survey.h"

/* ---- packages ---- */

struct stanza { char name[256], version[256]; bool installed; };	/* of dpkg's status file */

static int stanza_end(struct agent *a, struct stanza *s, struct err *e)
{
	int r = s->installed && s->name[0] ? survey_tell(a, "package", s->name, s->version, e) : 0;

	*s = (struct stanza){ .installed = false };
	return r;
}

static void keep(char out[256], const char *v)
{
	(void)snprintf(out, 256, "%s", v + strspn(v, " "));
}

static int dpkg_line(struct agent *a, char *line, void *ctx, struct err *e)
{
	struct stanza *s = ctx;

	if (line[0] == '\0')
		return stanza_end(a, s, e);
	if (strncmp(line, "Package:", 8) == 0)
		keep(s->name, line + 8);
	else if (strncmp(line, "Version:", 8) == 0)
		keep(s->version, line + 8);
	else if (strncmp(line, "Status:", 7) == 0)
		s->installed = strstr(line, " ok installed") != NULL;
	return 0;
}

/* Only the package manager can read its own database; asked of the running system alone. */
static int rpm_packages(struct agent *a, struct err *e)
{
	static const char *const argv[] = { "rpm", "-qa", "--qf", "%{NAME}\t%{VERSION}-%{RELEASE}\n", NULL };
	struct proc_options o = { .argv = argv, .timeout_ms = 60000, .limit = 8u << 20 };
	OWN_PROC struct proc_result p = PROC_RESULT_INIT;
	struct err why = ERR_INIT;
	char *next;

	if (strcmp(a->root_path, "/") != 0 || faccessat(a->root, "var/lib/rpm", F_OK, 0) < 0)
		return 0;
	if (proc_run(&o, &p, &why) < 0 || p.status != 0)
		return survey_tell(a, "unreadable", "var/lib/rpm", "rpm -qa failed", e);
	next = p.out.data;
	while (next && *next) {
		char *line = strsep(&next, "\n"), *name = strsep(&line, "\t");

		if (line && survey_tell(a, "package", name, line, e) < 0)
			return -1;
	}
	return 0;
}

static int packages(struct agent *a, struct err *e)
{
	struct stanza s = { .installed = false };

	if (survey_lines(a, "var/lib/dpkg/status", dpkg_line, &s, e) < 0 || stanza_end(a, &s, e) < 0)
		return -1;
	return rpm_packages(a, e);
}

/* ---- enabled units: what systemctl enable leaves, a link in TARGET.wants or TARGET.requires ---- */

static int unit_link(struct agent *a, const char *dir, const char *name, void *ctx, struct err *e)
{
	const char *target = strrchr(dir, '/');

	(void)ctx;
	return survey_tell(a, "unit", name, target ? target + 1 : dir, e);
}

static int unit_dir(struct agent *a, const char *dir, const char *name, void *ctx, struct err *e)
{
	OWN_BUF struct buf path = BUF_INIT;
	const char *dot = strrchr(name, '.');

	if (!dot || (strcmp(dot, ".wants") != 0 && strcmp(dot, ".requires") != 0))
		return 0;
	buf_printf(&path, "%s/%s", dir, name);
	return buf_finish(&path, e) < 0 ? -1 : survey_dir(a, path.data, unit_link, ctx, e);
}

/* ---- schedules ---- */

struct schedule { const char *file; bool with_user; };

/* Cuts n words off the front of *line, which then begins at the word after them; NULL when nothing would be left. */
static char *words(char **line, size_t n)
{
	char *begin = *line, *p = *line;

	for (size_t i = 0; i < n; i++) {
		size_t word = strcspn(p, " \t");

		if (!word)
			return NULL;
		p += word;
		if (i + 1 < n)
			p += strspn(p, " \t");
	}
	if (!*p)
		return NULL;
	*p++ = '\0';
	*line = p + strspn(p, " \t");
	return begin;
}

/*
 * A crontab line: the name is file, time, user and program; of the rest only a digest is told, for command lines hold
 * passwords more often than they should.
 */
static int cron_line(struct agent *a, char *line, void *ctx, struct err *e)
{
	const struct schedule *s = ctx;
	OWN_BUF struct buf name = BUF_INIT, value = BUF_INIT;
	uint8_t sum[DIGEST_LEN];
	char hex[DIGEST_HEX], *when, *user = NULL;

	line += strspn(line, " \t");
	if (*line == '#' || !*line || strchr("*@0123456789", *line) == NULL)
		return 0;
	when = words(&line, *line == '@' ? 1 : 5);
	if (!when || (s->with_user && !(user = words(&line, 1))))
		return 0;
	if (digest_sha256(line, strlen(line), sum, e) < 0)
		return -1;
	hex_of(sum, DIGEST_LEN, hex);
	buf_printf(&name, "%s: %s %s%s%.*s", s->file, when, user ? user : "", user ? " " : "", (int)strcspn(line, " \t"), line);
	buf_printf(&value, "command sha256 %.16s", hex);
	return buf_finish(&name, e) < 0 || buf_finish(&value, e) < 0 ? -1 : survey_tell(a, "schedule", name.data, value.data, e);
}

static int cron_file(struct agent *a, const char *dir, const char *name, void *ctx, struct err *e)
{
	OWN_BUF struct buf path = BUF_INIT;
	struct schedule s = { NULL, *(bool *)ctx };

	if (name[0] == '.')
		return 0;
	buf_printf(&path, "%s/%s", dir, name);
	if (buf_finish(&path, e) < 0)
		return -1;
	s.file = path.data;
	return survey_lines(a, path.data, cron_line, &s, e) < 0 ? -1 : 0;
}

/* The scripts that run-parts runs: their names are all there is. */
static int cron_script(struct agent *a, const char *dir, const char *name, void *ctx, struct err *e)
{
	(void)ctx;
	return name[0] == '.' ? 0 : survey_tell(a, "schedule", dir, name, e);
}

static int schedules(struct agent *a, struct err *e)
{
	static const char *const parts[] = { "etc/cron.hourly", "etc/cron.daily", "etc/cron.weekly", "etc/cron.monthly" };
	struct schedule s = { "etc/crontab", true };
	bool yes = true, no = false;

	if (survey_lines(a, s.file, cron_line, &s, e) < 0 || survey_dir(a, "etc/cron.d", cron_file, &yes, e) < 0 ||
	    survey_dir(a, "var/spool/cron/crontabs", cron_file, &no, e) < 0 || survey_dir(a, "var/spool/cron", cron_file, &no, e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (survey_dir(a, parts[i], cron_script, NULL, e) < 0)
			return -1;
	return 0;
}

int survey_software(struct agent *a, struct err *e)
{
	return packages(a, e) < 0 || survey_dir(a, "etc/systemd/system", unit_dir, NULL, e) < 0 ? -1 : schedules(a, e);
}
