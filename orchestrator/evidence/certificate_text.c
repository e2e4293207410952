/* The certificate for people: Chinese with English, or English alone. */
#include <inttypes.h>
#include <string.h>

#include "certificate_private.h"

struct out { struct buf *b; bool zh; };

static const struct { const char *word, *zh; } words[] = {
	{ NOT_MEASURED, "未测" },
	{ "cleared-full", "已清除(全部回读)" }, { "cleared-sampled", "已清除(抽样回读)" }, { "cleared-guest-level", "已清除(虚拟机可见范围)" },
	{ "crypto-erased", "已销毁密钥" }, { "performed-not-provable", "已执行, 无法证实" }, { "residue-found", "发现残留" },
	{ "blind", "检测无效" }, { "unknown", "未知" },
	{ "match", "一致" }, { "mismatch", "不一致" }, { "unverified", "未能核验" },
	{ "approve", "批准" }, { "overwrite", "覆写" }, { "kept", "按计划保留" },
	{ "retirement", "退役" }, { "handover", "移交" }, { "migration", "迁移" },
};

/* A known word gets its Chinese before it. */
static void put_word(const struct out *o, const char *s)
{
	for (size_t i = 0; o->zh && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].word, s) == 0)
			buf_printf(o->b, "%s ", words[i].zh);
	buf_puts(o->b, s);		/* made safe when the paper was built */
}

static void put_value(const struct out *o, const json_t *v)
{
	OWN_FREE char *dump = NULL;
	const char *key;
	json_t *m;
	size_t i, n = 0;

	if (json_is_string(v)) {
		put_word(o, json_string_value(v));
	} else if (json_is_object(v)) {
		json_object_foreach((json_t *)(uintptr_t)v, key, m) {
			buf_printf(o->b, "%s%s ", n++ ? ", " : "", key);
			put_value(o, m);
		}
		if (!n)
			put_word(o, NOT_MEASURED);
	} else if (json_is_array(v)) {
		json_array_foreach(v, i, m) {
			buf_puts(o->b, i ? "; " : "");
			put_value(o, m);
		}
		if (!json_array_size(v))
			buf_puts(o->b, o->zh ? "无 none" : "none");
	} else if (v && !json_is_null(v)) {
		dump = json_dumps(v, JSON_ENCODE_ANY);
		buf_puts(o->b, dump ? dump : "?");
	} else {
		buf_puts(o->b, "-");
	}
}

static void put_label(const struct out *o, const char *zh, const char *en)
{
	buf_printf(o->b, "%s%s%s: ", o->zh ? zh : "", o->zh ? " " : "", en);
}

static void line(const struct out *o, const char *zh, const char *en, const json_t *v)
{
	put_label(o, zh, en);
	put_value(o, v);
	buf_putc(o->b, '\n');
}

static void heading(const struct out *o, const char *zh, const char *en)
{
	buf_printf(o->b, "\n== %s%s%s ==\n", o->zh ? zh : "", o->zh ? " / " : "", en);
}

struct field { const char *zh, *en, *key; };

static void fields(const struct out *o, const json_t *p, const struct field *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		line(o, f[i].zh, f[i].en, json_object_get(p, f[i].key));
}

#define FIELDS(o, p, ...) do { static const struct field f_[] = { __VA_ARGS__ }; fields(o, p, f_, sizeof(f_) / sizeof(f_[0])); } while (0)

static void put_datasets(const struct out *o, const json_t *p)
{
	json_t *d;
	size_t i;

	heading(o, "数据集", "Datasets");
	json_array_foreach(json_object_get(p, "datasets"), i, d) {
		FIELDS(o, d, { "数据集", "dataset", "dataset" }, { "  版本", "version", "version" }, { "  条目", "entries", "entries" },
		    { "  字节", "bytes", "bytes" }, { "  清单根 SHA-256", "manifest root SHA-256", "root" },
		    { "  清单根 SM3", "manifest root SM3", "root_sm3" }, { "  归档核验", "archive verified", "verified" });
	}
}

static void put_items(const struct out *o, const json_t *p)
{
	static const char *const shown[] = { "what", "method", "verdict", "limits" };
	json_t *item, *v;
	const char *key;
	size_t i;

	heading(o, "处置明细", "Items");
	json_array_foreach(json_object_get(p, "items"), i, item) {
		buf_printf(o->b, "%zu. ", i + 1);
		FIELDS(o, item, { "对象", "what", "what" }, { "   方法", "   method", "method" }, { "   结论", "   verdict", "verdict" });
		json_object_foreach(item, key, v) {
			bool seen = false;

			for (size_t k = 0; k < 4; k++)
				seen |= strcmp(key, shown[k]) == 0;
			if (seen)
				continue;
			buf_printf(o->b, "   %s: ", key);
			put_value(o, v);
			buf_putc(o->b, '\n');
		}
		FIELDS(o, item, { "   局限", "   limits", "limits" });
	}
}

static void put_list(const struct out *o, const json_t *p, const char *zh, const char *en, const char *key)
{
	const json_t *list = json_object_get(p, key);
	json_t *v;
	size_t i;

	heading(o, zh, en);
	if (!json_array_size(list))
		buf_printf(o->b, "%s\n", o->zh ? "无 none" : "none");
	json_array_foreach(list, i, v) {
		buf_puts(o->b, "- ");
		put_value(o, v);
		buf_putc(o->b, '\n');
	}
}

static void put_title(const struct out *o, const json_t *p)
{
	buf_printf(o->b, "%s\n\n", json_string_value(json_object_get(p, "form")));
	if (o->zh)
		buf_printf(o->b, "%s\n", json_string_value(json_object_get(p, "title_zh")));
	buf_printf(o->b, "%s\n\n", json_string_value(json_object_get(p, "title")));
	line(o, "结论", "Verdict", json_object_get(p, "verdict"));
}

static void put_measured_by(const struct out *o, const json_t *p)
{
	heading(o, "由谁测量", "Who measured");
	if (o->zh)
		buf_puts(o->b, "测量由处于下述主机管理员控制之下的程序完成。\n");
	buf_printf(o->b, "%s\n", json_string_value(json_object_get(p, "measured_by")));
}

void certificate_text(const json_t *p, bool chinese, struct buf *b)
{
	struct out out = { b, chinese }, *o = &out;

	put_title(o, p);
	FIELDS(o, p, { "编号", "Number", "id" }, { "取代", "Supersedes", "supersedes" }, { "计划", "Plan", "plan" }, { "计划摘要", "Plan digest", "plan_digest" },
	    { "类别", "Kind", "kind" }, { "事由", "Subject", "subject" }, { "系统", "System", "system" }, { "合同", "Contract", "contract" },
	    { "申请单位", "Requested by", "requested_by" }, { "操作人", "Operator", "operator" }, { "核验人", "Verifier", "verifier" },
	    { "开始", "Started", "started" }, { "完成", "Finished", "finished" });
	put_list(o, p, "各方", "Parties", "parties");
	put_list(o, p, "授权", "Authorized by", "approvals");
	put_measured_by(o, p);
	put_datasets(o, p);
	put_items(o, p);
	heading(o, "测量", "Measurements");
	FIELDS(o, p, { "要求的方法", "Method asked for", "method" }, { "要求的结论", "Verdict asked for", "require" }, { "对象数", "Objects", "objects" },
	    { "覆写字节", "Bytes overwritten", "bytes" }, { "错误", "Errors", "errors" }, { "介质", "Media", "media" },
	    { "阳性对照", "Positive control", "control" }, { "标记块", "Canaries", "canaries" }, { "残留扫描", "Residue scan", "residue" },
	    { "覆盖率", "Coverage", "coverage" }, { "漏检概率", "Probability of a miss", "p_miss" }, { "工具", "Tool", "tool" },
	    { "内核", "Kernel", "kernel" }, { "处置后去向", "Destination afterwards", "destination" });
	put_list(o, p, "其他副本 (E1 本程序测量, E2 接口记录, E3 持有方书面声明, E4 无)", "Copies (E1 measured by waybill, E2 transcript of an interface, E3 signed statement of the holder, E4 nothing)", "copies");
	put_list(o, p, "不留副本即销毁", "Destroyed without copy", "destroyed_without_copy");
	put_list(o, p, "按计划舍弃", "Discarded by the plan", "discarded");
	put_list(o, p, "局限", "Limits", "limits");
	heading(o, "记录", "Record");
	FIELDS(o, p, { "台账提交", "Ledger commit", "commit" }, { "事件", "Event", "event" }, { "事件摘要", "Event SHA-256", "event_sha256" });
	put_list(o, p, "如何核对", "How to check", "check");
}
