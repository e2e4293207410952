/* survey: the machine and its system, its mounts, kernel parameters and locales. */
#include <inttypes.h>
#include <string.h>
#include <sys/timex.h>
#include <sys/utsname.h>

#include "esc.h"
#include "survey.h"

/* First line of a small file as a fact of section system. */
static int tell_first_line(struct agent *a, const char *name, const char *path, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	int got = survey_file(a, path, &b, e);

	if (got != 1)
		return got;
	b.data[strcspn(b.data, "\n")] = '\0';
	return b.data[0] ? survey_tell(a, "system", name, b.data, e) : 0;
}

/* NAME=value or NAME="value": the value without its quotes, or NULL. */
static char *assigned(char *line, const char *name)
{
	size_t n = strlen(name);
	char *v = line + n + 1;

	if (strncmp(line, name, n) != 0 || line[n] != '=')
		return NULL;
	if (*v == '"' || *v == '\'') {
		char *end = strchr(v + 1, *v);

		if (end)
			*end = '\0';
		v++;
	}
	return v;
}

static int os_line(struct agent *a, char *line, void *ctx, struct err *e)
{
	char *v = assigned(line, "PRETTY_NAME");

	(void)ctx;
	return v ? survey_tell(a, "system", "os", v, e) : 0;
}

static int memory_line(struct agent *a, char *line, void *ctx, struct err *e)
{
	char *v = line + strlen("MemTotal:");

	(void)ctx;
	if (strncmp(line, "MemTotal:", strlen("MemTotal:")) != 0)
		return 0;
	return survey_tell(a, "system", "memory", v + strspn(v, " \t"), e);
}

struct processors { unsigned n; };

static int cpu_line(struct agent *a, char *line, void *ctx, struct err *e)
{
	(void)a, (void)e;
	((struct processors *)ctx)->n += strncmp(line, "processor", 9) == 0;
	return 0;
}

static int locale_line(struct agent *a, char *line, void *ctx, struct err *e)
{
	char *v = assigned(line, "LANG");

	(void)ctx;
	return v ? survey_tell(a, "system", "locale", v, e) : 0;
}

static int timezone_of(struct agent *a, struct err *e)
{
	char link[512];
	ssize_t n = readlinkat(a->root, "etc/localtime", link, sizeof(link) - 1);
	const char *zone;

	if (n <= 0)
		return tell_first_line(a, "timezone", "etc/timezone", e);
	link[n] = '\0';
	zone = strstr(link, "zoneinfo/");
	return survey_tell(a, "system", "timezone", zone ? zone + strlen("zoneinfo/") : link, e);
}

/* What the kernel itself knows of its clock's discipline (adjtimex(2)); which daemon does it is among the units. */
static int time_sync_of(struct agent *a, struct err *e)
{
	struct timex t = { .modes = 0 };
	int state = adjtimex(&t);

	if (state < 0)
		return 0;
	return survey_tell(a, "system", "time-sync", state == TIME_ERROR || t.status & STA_UNSYNC ? "not synchronised" : "synchronised", e);
}

static int machine_of(struct agent *a, struct err *e)
{
	struct processors p = { 0 };
	struct utsname u;
	char text[24];

	if (uname(&u) < 0)
		return err_sys(e, "uname");
	if (survey_lines(a, "proc/cpuinfo", cpu_line, &p, e) < 0)
		return -1;
	(void)snprintf(text, sizeof(text), "%u", p.n);
	return survey_tell(a, "system", "hostname", u.nodename, e) < 0 || survey_tell(a, "system", "kernel", u.release, e) < 0 ||
	    survey_tell(a, "system", "arch", u.machine, e) < 0 || (p.n && survey_tell(a, "system", "cpus", text, e) < 0) ||
	    survey_lines(a, "proc/meminfo", memory_line, NULL, e) < 0 || tell_first_line(a, "vendor", "sys/class/dmi/id/sys_vendor", e) < 0 ||
	    tell_first_line(a, "product", "sys/class/dmi/id/product_name", e) < 0 ? -1 : 0;
}

/* ---- mounts ---- */

/* File systems that hold data: what a device or another machine backs. */
static bool is_real(const char *fstype, const char *source)
{
	return source[0] == '/' || strncmp(fstype, "nfs", 3) == 0 || strcmp(fstype, "cifs") == 0 || strcmp(fstype, "ceph") == 0 ||
	    strncmp(fstype, "fuse.", 5) == 0 || strcmp(fstype, "zfs") == 0;
}

/* mounts(5): source point type options ... */
static int mount_line(struct agent *a, char *line, void *ctx, struct err *e)
{
	OWN_BUF struct buf point = BUF_INIT, value = BUF_INIT;
	char *source = strsep(&line, " "), *at = strsep(&line, " "), *type = strsep(&line, " "), *options = strsep(&line, " ");

	(void)ctx;
	if (!options || !is_real(type, source) || !esc_undo(&point, at, strlen(at)))
		return 0;
	buf_printf(&value, "%s %s %s", type, source, options);
	if (buf_finish(&point, e) < 0 || buf_finish(&value, e) < 0)
		return -1;
	return survey_tell(a, "mount", point.data, value.data, e);
}

/* ---- kernel parameters that somebody set ---- */

static int sysctl_line(struct agent *a, char *line, void *ctx, struct err *e)
{
	OWN_BUF struct buf path = BUF_INIT, now = BUF_INIT;
	char *value = strchr(line, '='), *name = line + strspn(line, " \t-");
	int got;

	(void)ctx;
	if (!value || *name == '#' || *name == ';' || *name == '\0' || name > value)
		return 0;
	*value++ = '\0';
	name[strcspn(name, " \t")] = '\0';
	buf_printf(&path, "proc/sys/%s", name);
	for (char *p = path.data ? path.data + strlen("proc/sys/") : NULL; p && *p; p++)
		if (*p == '.')
			*p = '/';
	if (buf_finish(&path, e) < 0 || (got = survey_file(a, path.data, &now, e)) < 0)
		return -1;
	/* What the kernel has now counts, not what the file hoped for. */
	if (got == 1)
		value = now.data;
	value += strspn(value, " \t");
	value[strcspn(value, "\n")] = '\0';
	return survey_tell(a, "kernel", name, value, e);
}

static int sysctl_file(struct agent *a, const char *dir, const char *name, void *ctx, struct err *e)
{
	OWN_BUF struct buf path = BUF_INIT;
	size_t n = strlen(name);

	if (n < 6 || strcmp(name + n - 5, ".conf") != 0)
		return 0;
	buf_printf(&path, "%s/%s", dir, name);
	return buf_finish(&path, e) < 0 ? -1 : survey_lines(a, path.data, sysctl_line, ctx, e) < 0 ? -1 : 0;
}

/* ---- locales ---- */

static int locale_dir(struct agent *a, const char *dir, const char *name, void *ctx, struct err *e)
{
	(void)dir, (void)ctx;
	return strncmp(name, "locale-archive", 14) == 0 ? 0 : survey_tell(a, "locale", name, "", e);
}

/* locale.gen(5): the lines that are not commented out are what the archive was made from. */
static int locale_gen_line(struct agent *a, char *line, void *ctx, struct err *e)
{
	(void)ctx;
	line += strspn(line, " \t");
	line[strcspn(line, " \t#")] = '\0';
	return *line ? survey_tell(a, "locale", line, "", e) : 0;
}

int survey_system(struct agent *a, struct err *e)
{
	int os = survey_lines(a, "etc/os-release", os_line, NULL, e);

	if (os < 0 || (os == 0 && survey_lines(a, "usr/lib/os-release", os_line, NULL, e) < 0))
		return -1;
	if (machine_of(a, e) < 0 || timezone_of(a, e) < 0 || time_sync_of(a, e) < 0 ||
	    survey_lines(a, "etc/default/locale", locale_line, NULL, e) < 0 || survey_lines(a, "etc/locale.conf", locale_line, NULL, e) < 0)
		return -1;
	if (survey_lines(a, "proc/self/mounts", mount_line, NULL, e) < 0 || survey_lines(a, "etc/sysctl.conf", sysctl_line, NULL, e) < 0 ||
	    survey_dir(a, "etc/sysctl.d", sysctl_file, NULL, e) < 0)
		return -1;
	return survey_dir(a, "usr/lib/locale", locale_dir, NULL, e) < 0 || survey_lines(a, "etc/locale.gen", locale_gen_line, NULL, e) < 0 ? -1 : 0;
}
