#include "share.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define FOLDERS 3

/* The i-th folder where files of that kind ("hooks") may be installed; false when there is no such one. */
static bool share_dir(int i, const char *kind, char out[PATH_MAX])
{
	static const char *const beside[FOLDERS] = { "../share/waybill/", "../", "../plans/" };
	const char *env = getenv("WAYBILL_SHARE");
	char exe[PATH_MAX / 2], *slash;
	ssize_t n;

	if (env && *env)
		return i == 0 && snprintf(out, PATH_MAX, "%s/%s", env, kind) < PATH_MAX;
	if ((n = readlink("/proc/self/exe", exe, sizeof(exe) - 1)) < 0)
		return false;
	exe[n] = '\0';
	if (!(slash = strrchr(exe, '/')))
		return false;
	slash[1] = '\0';
	return snprintf(out, PATH_MAX, "%s%s%s", exe, beside[i], kind) < PATH_MAX;
}

/* 1 = a regular file (executable if asked), 0 = not there, -1 = there, but no such thing. */
static int is_file(const char *path, bool executable)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
	if (!S_ISREG(st.st_mode))
		return -1;
	return !executable || (st.st_mode & 0111) ? 1 : -1;
}

static bool take(const char *path, char **found) { return (*found = strdup(path)) != NULL; }

static bool installed(const char *kind, const char *name, const char *suffix, bool executable, char **found)
{
	char dir[PATH_MAX], path[2 * PATH_MAX];

	for (int i = 0; i < FOLDERS; i++) {
		if (!share_dir(i, kind, dir))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s%s", dir, name, suffix) < (int)sizeof(path) &&
		    is_file(path, executable) == 1)
			return take(path, found);
	}
	return false;
}

bool share_find_hook(const struct plan *p, const char *run, char **found, char why[256])
{
	OWN_FREE char *beside = plan_file_path(p, run);
	int there = beside ? is_file(beside, true) : 0;

	if (there == 1)
		return take(beside, found);
	if (there < 0) {
		(void)snprintf(why, 256, "the file beside the plan is not an executable file (chmod +x)");
		return false;
	}
	if (!strchr(run, '/') && installed("hooks", run, "", true, found))
		return true;
	(void)snprintf(why, 256, "neither beside the plan nor installed");
	return false;
}

bool share_find_rules(const struct plan *p, const char *name, char **found, char why[256])
{
	static const char *const suffixes[] = { "", ".yaml" };

	for (int i = 0; i < 2; i++) {
		OWN_FREE char *beside = plan_file_path(p, name);
		char path[PATH_MAX];

		if (beside && snprintf(path, sizeof(path), "%s%s", beside, suffixes[i]) < (int)sizeof(path) &&
		    is_file(path, false) == 1)
			return take(path, found);
		if (!strchr(name, '/') && installed("rules", name, suffixes[i], false, found))
			return true;
	}
	(void)snprintf(why, 256, "neither beside the plan nor installed");
	return false;
}
