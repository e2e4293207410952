#include "survey_form.h"

#include <string.h>

static const struct section {
	const char *name, *en, *zh;
	bool drift;		/* does it count when a target lacks it, or has it otherwise? */
} sections[] = {
	{ "system", "Host and system", "主机与操作系统", true },
	{ "package", "Software packages", "软件包及版本", true },
	{ "unit", "Services enabled", "已启用服务", true },
	{ "port", "Listening ports", "监听端口", true },
	{ "mount", "Storage", "存储与挂载", true },
	{ "schedule", "Schedules", "计划任务", true },
	{ "user", "Accounts", "用户账号", true },
	{ "group", "Groups", "用户组", true },
	{ "kernel", "Kernel parameters set", "内核参数", true },
	{ "locale", "Locales", "区域设置", true },
	{ "unreadable", "Could not be read", "无法读取", false },
};
#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

bool survey_is_section(const char *s, size_t n)
{
	for (size_t i = 0; i < SECTIONS; i++)
		if (strlen(sections[i].name) == n && strncmp(sections[i].name, s, n) == 0)
			return true;
	return false;
}

json_t *survey_pairs(const struct plan *p)
{
	json_t *pairs = json_array();

	for (size_t i = 0; pairs && i < p->ndatasets; i++) {
		const struct plan_dataset *d = &p->datasets[i];
		json_t *pair;
		bool known = false;

		if (!d->from.host || !d->to.host || strcmp(d->from.host, d->to.host) == 0)
			continue;
		pair = json_pack("[s,s]", d->from.host, d->to.host);
		for (size_t k = 0; k < json_array_size(pairs); k++)
			known |= json_equal(json_array_get(pairs, k), pair);
		if (known)
			json_decref(pair);
		else
			(void)json_array_append_new(pairs, pair);
	}
	return pairs;
}

struct finding { json_t *newest; bool failed; };

static int look_at(void *ctx, const struct ledger_event *ev)
{
	struct finding *f = ctx;

	if (strcmp(ev->stage, "survey") != 0 || strcmp(ev->state, "recorded") != 0)
		return 0;
	json_decref(f->newest);
	f->newest = json_loads(ev->data ? ev->data : "", 0, NULL);
	f->failed = !f->newest;
	return 0;
}

int survey_last(struct ledger *l, const char *plan, json_t **out, struct err *e)
{
	struct finding f = { NULL, false };

	if (ledger_replay(l, plan, look_at, &f, e) < 0 || f.failed) {
		json_decref(f.newest);
		return f.failed ? err_set(e, ERR_INTEGRITY, "plan %s: the newest survey in the ledger cannot be read", plan) : -1;
	}
	*out = f.newest;
	return 0;
}

/* ---- drift ---- */

struct pair { const char *from, *to; const json_t *source, *target; };

/* What names a host, or is bought for it, differs by nature. */
static bool by_nature(const char *section, const char *name)
{
	static const char *const own[] = { "hostname", "memory", "cpus", "vendor", "product" };

	for (size_t i = 0; strcmp(section, "system") == 0 && i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(name, own[i]) == 0)
			return true;
	return false;
}

/* A port is the same service by its number; who listens may have another name, and a mount another device beneath it. */
static bool only_presence(const char *section) { return strcmp(section, "port") == 0 || strcmp(section, "mount") == 0; }

static int section_drift(json_t *list, const struct pair *p, const char *section)
{
	const json_t *target = json_object_get(p->target, section);
	json_t *there;
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(p->source, section), name, value) {
		there = json_object_get(target, name);
		if (by_nature(section, name) || (there && (only_presence(section) || json_equal(there, value))))
			continue;
		if (json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:s,s:O,s:O*}", "from", p->from, "to", p->to, "section", section,
		    "name", name, "what", there ? "differs" : "missing", "source", value, "target", there)) < 0)
			return -1;
	}
	return 0;
}

json_t *survey_drift(const json_t *hosts, const json_t *pairs)
{
	json_t *list = json_array(), *pair;
	size_t i;

	json_array_foreach(pairs, i, pair) {
		struct pair p = { json_string_value(json_array_get(pair, 0)), json_string_value(json_array_get(pair, 1)), NULL, NULL };

		if (!p.from || !p.to)
			continue;
		p.source = json_object_get(hosts, p.from);
		p.target = json_object_get(hosts, p.to);
		for (size_t k = 0; k < SECTIONS; k++)
			if (sections[k].drift && section_drift(list, &p, sections[k].name) < 0) {
				json_decref(list);
				return NULL;
			}
	}
	return list;
}

size_t survey_lacking(const json_t *hosts, const json_t *pairs)
{
	json_t *list = survey_drift(hosts, pairs);
	size_t n = json_array_size(list);

	json_decref(list);
	return n;
}

/* ---- the paper ---- */

struct out { struct buf *b; bool zh; };

static void label(const struct out *o, const char *zh, const char *en, const char *text)
{
	buf_printf(o->b, "%s%s%s: %s\n", o->zh ? zh : "", o->zh ? " " : "", en, text ? text : "");
}

static void put_section(const struct out *o, const struct section *s, const json_t *items)
{
	const char *name;
	json_t *value;

	if (!json_object_size(items))
		return;
	buf_printf(o->b, "\n-- %s%s%s (%zu) --\n", o->zh ? s->zh : "", o->zh ? " / " : "", s->en, json_object_size(items));
	json_object_foreach((json_t *)items, name, value)
		buf_printf(o->b, "%s%s%s\n", name, *json_string_value(value) ? ": " : "", json_string_value(value));
}

static void put_drift(const struct out *o, const json_t *survey)
{
	json_t *list = survey_drift(json_object_get(survey, "hosts"), json_object_get(survey, "pairs")), *it;
	size_t i;

	buf_printf(o->b, "\n== %sWhat the target lacks (%zu) ==\n", o->zh ? "目标环境缺少或不同的内容 / " : "", json_array_size(list));
	json_array_foreach(list, i, it) {
		const char *source = json_string_value(json_object_get(it, "source")), *target = json_string_value(json_object_get(it, "target"));

		buf_printf(o->b, "%s -> %s  %s %s: %s%s%s", json_string_value(json_object_get(it, "from")), json_string_value(json_object_get(it, "to")),
		    json_string_value(json_object_get(it, "section")), json_string_value(json_object_get(it, "name")),
		    json_string_value(json_object_get(it, "what")), *source ? ", source " : "", source);
		buf_printf(o->b, "%s%s\n", target ? ", target " : "", target ? target : "");
	}
	if (!json_array_size(list))
		buf_printf(o->b, "%s\n", o->zh ? "无 none" : "none");
	json_decref(list);
}

static void put_datasets(const struct out *o, const struct plan *p)
{
	buf_printf(o->b, "\n== %sData to be moved ==\n", o->zh ? "迁移数据 / " : "");
	for (size_t i = 0; i < p->ndatasets; i++) {
		const struct plan_dataset *d = &p->datasets[i];

		buf_printf(o->b, "%s (%s): %s%s%s\n", d->name, plan_dataset_kind_name(d->kind), d->from.host ? d->from.host : "",
		    d->from.path ? ":" : "", d->from.path ? d->from.path : "");
	}
}

/* What no program can see is asked of people; the lines are there to be filled in. */
static void put_blanks(const struct out *o)
{
	buf_printf(o->b, "\n== %sTo be filled in by the department ==\n", o->zh ? "由使用部门填写 / " : "");
	label(o, "对外接口", "Interfaces", "");
	label(o, "依赖本系统的其他系统", "Systems that depend on it", "");
	label(o, "敏感数据类别", "Class of sensitive data", "");
	label(o, "填表人、日期", "Filled in by, date", "");
}

void survey_text(const struct plan *p, const json_t *survey, bool chinese, struct buf *b)
{
	struct out out = { b, chinese }, *o = &out;
	const char *name;
	json_t *host;

	buf_printf(b, "%s\n\n", chinese ? "系统现状调研表 / Survey of the system" : "Survey of the system");
	label(o, "计划", "Plan", p->name);
	label(o, "系统名称", "System", p->title);
	label(o, "系统编号", "System id", p->system.id);
	label(o, "等级保护级别", "Protection level", p->system.level);
	put_datasets(o, p);
	json_object_foreach(json_object_get(survey, "hosts"), name, host) {
		buf_printf(b, "\n== %sHost %s ==\n", chinese ? "主机 / " : "", name);
		for (size_t i = 0; i < SECTIONS; i++)
			put_section(o, &sections[i], json_object_get(host, sections[i].name));
	}
	put_drift(o, survey);
	put_blanks(o);
}
