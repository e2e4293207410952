/* The certificate for people: Chinese with English, or English alone; what comes after what. */
#include <string.h>

#include "certificate_private.h"

struct field { const char *zh, *en, *key; };

static void fields(struct face *o, const json_t *p, const struct field *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		face_line(o, f[i].zh, f[i].en, json_object_get(p, f[i].key));
}

#define FIELDS(o, p, ...) do { static const struct field f_[] = { __VA_ARGS__ }; fields(o, p, f_, sizeof(f_) / sizeof(f_[0])); } while (0)

static void put_datasets(struct face *o, const json_t *p)
{
	json_t *d;
	size_t i;

	face_heading(o, "数据集", "Datasets");
	json_array_foreach(json_object_get(p, "datasets"), i, d) {
		FIELDS(o, d, { "数据集", "dataset", "dataset" }, { "  版本", "version", "version" }, { "  条目", "entries", "entries" },
		    { "  字节", "bytes", "bytes" }, { "  清单根 SHA-256", "manifest root SHA-256", "root" },
		    { "  清单根 SM3", "manifest root SM3", "root_sm3" }, { "  归档核验", "archive verified", "verified" });
	}
}

static void put_items(struct face *o, const json_t *p)
{
	static const char *const shown[] = { "what", "method", "verdict", "limits" };
	json_t *item, *v;
	const char *key;
	size_t i;

	json_array_foreach(json_object_get(p, "items"), i, item) {
		char zh[40], en[40];

		(void)snprintf(zh, sizeof(zh), "处置明细 %zu", i + 1);
		(void)snprintf(en, sizeof(en), "Item %zu", i + 1);
		face_heading(o, zh, en);
		FIELDS(o, item, { "对象", "what", "what" }, { "方法", "method", "method" }, { "结论", "verdict", "verdict" });
		json_object_foreach(item, key, v) {
			const char *known = certificate_key_chinese(key);
			bool seen = false;

			for (size_t k = 0; k < sizeof(shown) / sizeof(shown[0]); k++)
				seen |= strcmp(key, shown[k]) == 0;
			if (!seen)
				face_line(o, known ? known : "", key, v);
		}
		FIELDS(o, item, { "局限", "limits", "limits" });
	}
}

static void put_measured_by(struct face *o, const json_t *p)
{
	face_heading(o, "由谁测量", "Who measured");
	if (o->zh)
		face_paragraph(o, "测量由处于下述主机管理员控制之下的程序完成。");
	face_paragraph(o, json_string_value(json_object_get(p, "measured_by")));
}

static void put_first(struct face *o, const json_t *p)
{
	FIELDS(o, p, { "结论", "Verdict", "verdict" }, { "结果", "Result", "result" }, { "编号", "Number", "id" }, { "取代", "Supersedes", "supersedes" },
	    { "计划", "Plan", "plan" }, { "计划摘要", "Plan digest", "plan_digest" }, { "类别", "Kind", "kind" }, { "事由", "Subject", "subject" },
	    { "系统", "System", "system" }, { "合同", "Contract", "contract" }, { "申请单位", "Requested by", "requested_by" },
	    { "提供方", "Provider", "provider" }, { "主管部门", "Supervised by", "supervised_by" }, { "操作人", "Operator", "operator" },
	    { "核验人", "Verifier", "verifier" }, { "见证人", "Witness", "witness" }, { "联系方式", "Contact", "contact" }, { "地点", "Place", "place" },
	    { "处置前密级", "Classification before", "classification_before" }, { "处置后密级", "Classification after", "classification_after" },
	    { "保存期至", "Retained until", "retain_until" }, { "开始", "Started", "started" }, { "完成", "Finished", "finished" });
}

static void put_measurements(struct face *o, const json_t *p)
{
	face_heading(o, "测量", "Measurements");
	FIELDS(o, p, { "要求的方法", "Method asked for", "method" }, { "要求的结论", "Verdict asked for", "require" }, { "对象数", "Objects", "objects" },
	    { "覆写字节", "Bytes overwritten", "bytes" }, { "错误", "Errors", "errors" }, { "介质", "Media", "media" },
	    { "抽样种子承诺", "Commitment to the seed", "seed_sha256" }, { "阳性对照", "Positive control", "control" }, { "标记块", "Canaries", "canaries" },
	    { "残留扫描", "Residue scan", "residue" }, { "覆盖率", "Coverage", "coverage" }, { "漏检概率", "Probability of a miss", "p_miss" },
	    { "工具", "Tool", "tool" }, { "工具摘要", "Digest of the tool", "tool_sha256" }, { "内核", "Kernel", "kernel" },
	    { "处置后去向", "Destination afterwards", "destination" });
}

void certificate_layout(struct face *o, const json_t *p)
{
	face_begin(o, p);
	put_first(o, p);
	face_list(o, "各方", "Parties", json_object_get(p, "parties"));
	face_list(o, "授权", "Authorized by", json_object_get(p, "approvals"));
	put_measured_by(o, p);
	put_datasets(o, p);
	put_items(o, p);
	put_measurements(o, p);
	face_list(o, "其他副本 (E1 本程序测量, E2 接口记录, E3 持有方书面声明, E4 无)",
	    "Copies (E1 measured by waybill, E2 transcript of an interface, E3 signed statement of the holder, E4 nothing)", json_object_get(p, "copies"));
	face_list(o, "访问权限撤销", "Access revoked", json_object_get(p, "access"));
	face_list(o, "不留副本即销毁", "Destroyed without copy", json_object_get(p, "destroyed_without_copy"));
	face_list(o, "按计划舍弃", "Discarded by the plan", json_object_get(p, "discarded"));
	face_list(o, "局限", "Limits", json_object_get(p, "limits"));
	face_list(o, "可供测评对照的条款", "Clauses to hold this against", json_object_get(p, "references"));
	face_heading(o, "记录", "Record");
	FIELDS(o, p, { "台账提交", "Ledger commit", "commit" }, { "事件", "Event", "event" }, { "事件摘要", "Event SHA-256", "event_sha256" },
	    { "截至提交", "As of commit", "as_of_commit" }, { "截至事件", "As of event", "as_of_event" });
	face_list(o, "如何核对", "How to check", json_object_get(p, "check"));
	face_list(o, "如何查单个文件", "How to find one file", json_object_get(p, "inclusion"));
	face_signatures(o);
	face_end(o);
}
