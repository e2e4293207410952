/* The Chinese of what waybill itself writes into a certificate.  What is not listed stays as it is. */
#include <string.h>

#include "certificate_private.h"

struct pair { const char *en, *zh; };

static const struct pair words[] = {
	{ NOT_MEASURED, "未测" }, { NOT_STATED, "未填写" }, { "none", "无" },
	{ "cleared-full", "已清除(全部回读)" }, { "cleared-sampled", "已清除(抽样回读)" }, { "cleared-guest-level", "已清除(虚拟机可见范围)" },
	{ "crypto-erased", "已销毁密钥" }, { "performed-not-provable", "已执行, 无法证实" }, { "residue-found", "发现残留" },
	{ "blind", "检测无效" }, { "unknown", "未知" },
	{ "passed", "通过" }, { "passed in part", "部分通过" }, { "not passed", "不通过" },
	{ "match", "一致" }, { "mismatch", "不一致" }, { "unverified", "未能核验" },
	{ "approve", "批准" }, { "overwrite", "覆写" }, { "sanitize", "设备级清除" }, { "crypto", "密钥销毁" }, { "auto", "自动选择" },
	{ "kept", "按计划保留" }, { "refused", "拒绝登录" }, { "open", "仍可登录" }, { "unreachable", "无法到达" },
	{ "retirement", "退役" }, { "handover", "移交" }, { "migration", "迁移" },
	{ "department", "使用部门" }, { "bureau", "主管部门" }, { "provider", "提供方" }, { "receiver", "接收方" },
	{ "contractor", "承建方" }, { "supervisor", "监督方" },
	{ "true", "是" }, { "false", "否" },
	{ "overwrite of the allocated blocks, then unlink", "覆写已分配的数据块, 然后删除" },
	{ "overwrite of all blocks of the device", "覆写设备全部数据块" },
	{ "Clear (overwriting through the block interface)", "Clear 级(经块设备接口覆写)" },
};

static const struct pair keys[] = {
	{ "what", "对象" }, { "method", "方法" }, { "verdict", "结论" }, { "limits", "局限" }, { "grade", "等级" }, { "held_by", "持有方" },
	{ "statement", "声明" }, { "evidence", "证据文件" }, { "request_id", "请求编号" }, { "stated", "声明时间" }, { "recorded_by", "登记人" }, { "event", "事件" }, { "note", "说明" },
	{ "person", "人员" }, { "name", "名称" }, { "party", "一方" }, { "role", "角色" }, { "duty", "职务" }, { "fingerprint", "密钥指纹" },
	{ "at", "时间" }, { "file", "文件" }, { "statement_sha256", "文件摘要" }, { "sha256", "SHA-256" },
	{ "host", "主机" }, { "path", "路径" }, { "device", "设备" }, { "serial", "序列号" }, { "serial_source", "序列号来源" }, { "size", "容量" },
	{ "filesystem", "文件系统" }, { "mount_options", "挂载选项" }, { "objects", "对象数" }, { "bytes", "字节" }, { "passes", "遍数" },
	{ "pattern", "覆写内容" }, { "read_back", "回读" }, { "extents", "数据块" }, { "results", "结果" }, { "errors", "错误" }, { "error_count", "错误数" },
	{ "dataset", "数据集" }, { "version", "版本" }, { "root", "清单根 SHA-256" }, { "root_sm3", "清单根 SM3" }, { "entries", "条目" },
	{ "inventory_sha256", "清点摘要" }, { "verified", "核验" }, { "side", "位置" }, { "read", "读取方式" }, { "reason", "原因" },
	{ "id", "编号" }, { "level", "等级保护" }, { "filing", "备案" }, { "number", "编号" }, { "ends", "到期" }, { "class", "类别" },
	{ "user", "用户" }, { "result", "结果" }, { "text", "说明" }, { "state", "状态" }, { "read_errors", "读错误" }, { "offset", "位置" },
	{ "length", "长度" }, { "found", "发现" }, { "expected", "应有" }, { "planted", "埋设" }, { "seen", "看到" }, { "type", "类型" },
	{ "model", "型号" }, { "maker", "厂商" }, { "rotational", "机械盘" }, { "guest", "虚拟机" }, { "custody", "密钥保管" },
};

/* Sentences of limits. */
static const struct pair sentences[] = {
	{ "Only the contents listed under datasets were in scope; earlier contents of the same places were not searched for.",
	  "仅涉及所列数据集的内容; 同一位置更早的内容未作查找。" },
	{ "Swap, hibernation images, core dumps, temporary files, indexes and backups outside the scope are not covered.",
	  "交换区、休眠映像、内存转储、临时文件、索引以及范围之外的备份不在其内。" },
	{ "Copies made by storage, hypervisor or provider (snapshots, replicas, spare blocks) are covered only as far as the copies table says.",
	  "存储、虚拟化平台或提供方形成的副本(快照、副本、备用块)仅以副本表所述为限。" },
	{ "Memory, controller caches, replication targets and provider logs are out of scope.", "内存、控制器缓存、复制目标和提供方日志不在范围内。" },
	{ "No residue scan was made: that nothing readable is left was not measured.", "未作残留扫描: 未测量是否仍有可读内容。" },
	{ "The raw medium was not searched for known content: no residue scan was made.", "未在原始介质上查找已知内容: 未作残留扫描。" },
	{ "Only the entries of the inventory were overwritten; earlier versions, temporary copies, swap, journals and backups were not searched.",
	  "仅覆写了清点所列条目; 早期版本、临时副本、交换区、日志和备份未作查找。" },
	{ "Contents cleared; names and metadata may remain in directories, journals and free space.", "内容已处置; 文件名和元数据可能仍留在目录、日志和空闲空间中。" },
	{ "Some files were read back through the file system only, for the device could not be read raw.", "部分文件仅经文件系统回读, 因为设备不能直接读取。" },
	{ "Some blocks moved while they were overwritten: the old ones are not proven to be overwritten.", "部分数据块在覆写时被移动: 旧块是否被覆写未能证实。" },
	{ "File removed; blocks are still referenced by other files or snapshots: deletion is not complete.", "文件已删除; 数据块仍被其他文件或快照引用: 删除不完整。" },
	{ "Data was stored encoded (compressed or encrypted): overwriting does not reach it in place, and a residue scan is blind to it.",
	  "数据以编码形式存放(压缩或加密): 覆写不能原位生效, 残留扫描也看不到。" },
	{ "Small contents lay inside inodes or shared tail blocks: they cannot be read back from a block of their own.",
	  "小文件内容存放在索引节点或共享尾块内: 不能从独立数据块回读。" },
	{ "The file system gives no block map: where the data lay is not known.", "文件系统不提供块映射: 数据原来的位置未知。" },
	{ "Space was allocated to files but never written by them: old data that lay beneath it was overwritten with the rest.",
	  "有已分配而未写入的空间: 其下的旧数据已一并覆写。" },
	{ "The file system writes copies instead of overwriting: what overwriting left behind is not reached by it.",
	  "该文件系统以写时复制代替原位覆写: 覆写到达不了留下的旧块。" },
	{ "Snapshots of the file system exist: they keep what was deleted.", "文件系统存在快照: 快照保留被删除的内容。" },
	{ "The medium is flash: not readable through the block interface; copies in spare or over-provisioned flash are not excluded (no Purge).",
	  "介质为闪存: 结论仅限于块设备接口; 不排除备用区或预留区中仍有副本(非 Purge 级)。" },
	{ "Cleared at guest level. Provider replicas, snapshots and freed extents are covered only by the statements in the copies table.",
	  "仅在虚拟机可见范围内处置。提供方的副本、快照和已释放空间仅以副本表中的声明为据。" },
	{ "Encryption below the file system: a residue scan of the device beneath it is not applicable.", "文件系统之下有加密层: 对其下层设备的残留扫描不适用。" },
	{ "The device beneath has thin provisioning or snapshots: blocks that it keeps elsewhere are not reached.", "下层设备为精简卷或带快照: 其保留在别处的数据块不能到达。" },
	{ "The device is one of several members (RAID, multipath, mirror): replaced or degraded members were not reached.",
	  "设备由多个成员组成(RAID、多路径、镜像): 被替换或降级的成员未能到达。" },
	{ "The file system writes data to its journal first (data=journal): older writes may lie in the journal.",
	  "文件系统先把数据写入日志(data=journal): 日志中可能留有较早写入的内容。" },
	{ "The file system is in memory: pages are freed, not overwritten on any medium; swap is not covered.",
	  "文件系统位于内存: 只是释放页面, 不涉及介质; 交换区不在其内。" },
	{ "No raw access to the medium (network or user-space file system): what the server keeps is known to its holder only.",
	  "不能直接访问介质(网络或用户态文件系统): 服务器保留的内容只有其持有方知道。" },
	{ "The file system was in use while it was searched: a point-in-time scan.", "查找时文件系统在使用中: 仅为某一时刻的扫描。" },
	{ "Removed through the file system only: what the medium keeps was not measured.", "仅经文件系统删除: 介质上保留的内容未测量。" },
	{ "Parts of the medium could not be read: they are listed and count as not cleared.", "部分介质不能读取: 已列出, 按未清除计。" },
	{ "Crypto erasure was performed; its effectiveness depends on the custody of header backups and further copies of the keys.",
	  "已执行密钥销毁; 其效力取决于头部备份和密钥其他副本的保管情况。" },
	{ "The duty of confidentiality of everybody who had access continues.", "曾接触数据的各方继续承担保密义务。" },
};

static const char *find(const struct pair *v, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].en, s) == 0)
			return v[i].zh;
	return NULL;
}

const char *certificate_chinese(const char *s)
{
	const char *zh = find(words, sizeof(words) / sizeof(words[0]), s);

	return zh ? zh : find(sentences, sizeof(sentences) / sizeof(sentences[0]), s);
}

const char *certificate_key_chinese(const char *key) { return find(keys, sizeof(keys) / sizeof(keys[0]), key); }
