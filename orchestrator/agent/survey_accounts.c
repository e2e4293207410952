/* survey: users and groups of the local files; never a password, never the shadow file. */
#include <string.h>

#include "survey.h"

/* The n fields of a line of passwd(5) or group(5); false when there are fewer. */
static bool fields(char *line, char *f[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(f[i] = strsep(&line, ":")))
			return false;
	return f[0][0] != '\0' && f[0][0] != '#' && f[0][0] != '+' && f[0][0] != '-';
}

static int user_line(struct agent *a, char *line, void *ctx, struct err *e)
{
	OWN_BUF struct buf v = BUF_INIT;
	char *f[7];

	(void)ctx;
	if (!fields(line, f, 7))
		return 0;
	buf_printf(&v, "uid=%s gid=%s home=%s shell=%s", f[2], f[3], f[5], f[6]);
	return buf_finish(&v, e) < 0 ? -1 : survey_tell(a, "user", f[0], v.data, e);
}

static int group_line(struct agent *a, char *line, void *ctx, struct err *e)
{
	OWN_BUF struct buf v = BUF_INIT;
	char *f[4];

	(void)ctx;
	if (!fields(line, f, 4))
		return 0;
	buf_printf(&v, "gid=%s members=%s", f[2], f[3]);
	return buf_finish(&v, e) < 0 ? -1 : survey_tell(a, "group", f[0], v.data, e);
}

int survey_accounts(struct agent *a, struct err *e)
{
	return survey_lines(a, "etc/passwd", user_line, NULL, e) < 0 || survey_lines(a, "etc/group", group_line, NULL, e) < 0 ? -1 : 0;
}
