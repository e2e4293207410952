#include "owner_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "esc.h"
#include "proc.h"

static uint32_t mapped(const struct msg_start *s, bool group, uint32_t id)
{
	for (size_t i = 0; i < s->owner_count; i++)
		if (s->owners[i].group == group && s->owners[i].from == id)
			return s->owners[i].to;
	return id;
}

void owner_map(const struct agent *a, struct entry *en)
{
	en->uid = mapped(&a->start, false, en->uid);
	en->gid = mapped(&a->start, true, en->gid);
}

/* Third field of "name:x:id:...". */
static int third_field(const struct buf *b, uint32_t *id)
{
	const char *p = b->data;
	char *end;
	unsigned long v;

	for (int i = 0; p && i < 2; i++)
		p = (p = strchr(p, ':')) ? p + 1 : NULL;
	if (!p || *p < '0' || *p > '9')
		return 0;
	errno = 0;
	v = strtoul(p, &end, 10);
	if (errno || (*end != ':' && *end != '\n' && *end) || v >= UINT32_MAX)
		return 0;
	*id = (uint32_t)v;
	return 1;
}

int owner_lookup(bool group, const char *name, uint32_t *id, struct err *e)
{
	OWN_PROC struct proc_result r = PROC_RESULT_INIT;
	const char *const argv[] = { "getent", "--", group ? "group" : "passwd", name, NULL };
	struct proc_options o = { .argv = argv, .timeout_ms = 20000, .limit = 65536 };

	if (proc_run(&o, &r, e) < 0)
		return -1;
	if (r.timed_out || (r.status != 0 && r.status != 2))
		return err_set(e, ERR_TEMPORARY, "getent cannot tell who %s is (status %d)", esc_s(name), r.status);
	if (r.status == 2 || buf_finish(&r.out, e) < 0)
		return 0;
	return third_field(&r.out, id);
}
