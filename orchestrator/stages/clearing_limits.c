/* The sentences of a certificate that say what could not be measured; each is called for by something that was seen. */
#include <string.h>

#include "clearing_device.h"
#include "places.h"

static void add_limit(json_t *limits, bool holds, const char *text)
{
	if (holds)
		(void)json_array_append_new(limits, json_string(text));
}

static void of_the_objects(json_t *l, const struct clear_tally *t, bool searched)
{
	add_limit(l, t->read_file > 0, "Some files were read back through the file system only, for the device could not be read raw.");
	add_limit(l, t->moved > 0, searched ? "Some blocks moved while they were overwritten; what they held before was looked for by the search alone." :
	    "Some blocks moved while they were overwritten: the old ones are not proven to be overwritten.");
	add_limit(l, t->shared > 0, "Blocks were shared with other files or snapshots: overwriting did not reach the others.");
	add_limit(l, t->encoded > 0, "Data was stored encoded (compressed or encrypted): overwriting does not reach it in place, and a search does not see it.");
	add_limit(l, t->inlined > 0, "Small contents lay inside the inode: they cannot be read back from a block of their own.");
	add_limit(l, t->unmapped > 0, "The file system gives no block map: where the data lay is not known.");
}

static void of_no_search(json_t *l, const struct clearing_medium *m)
{
	add_limit(l, true, "The raw medium was not searched for known content: no residue scan was made.");
	add_limit(l, m && *m->why_none, m ? m->why_none : "");
	add_limit(l, true, "Only the entries of the inventory were overwritten; earlier versions, temporary copies, swap, journals and backups were not searched.");
	add_limit(l, true, "Contents cleared; names and metadata may remain in directories, journals and free space.");
}

static void of_the_search(json_t *l, const struct clearing *c, const struct clearing_medium *m)
{
	const struct witness_set *s = c->w->set;

	add_limit(l, true, "Only the listed contents and the earlier versions in the ledger were searched for, by witnesses of them; nothing is said about other data.");
	add_limit(l, true, "Point-in-time search while the file system was in use.");
	add_limit(l, m->blind, "The search is blind here: its zero would mean nothing.");
	add_limit(l, m->reads > 0, "Only random places were read; the probability of a miss is that printed.");
	add_limit(l, s->shift > 0, "Memory allowed only a part of the witnesses; the probability of a miss is that printed.");
	add_limit(l, s->too_short > 0 || s->weak[WITNESS_STRING] > 0, "Contents below 24 bytes, and a few short ones, leave no witness and were not searched for.");
	add_limit(l, s->common[WITNESS_SECTOR] + s->common[WITNESS_STRING] > 0, "Bytes that many contents share prove nothing and were not searched for.");
	add_limit(l, m->names > 0, "Contents cleared or not as the verdict says; names are still readable on the medium.");
	add_limit(l, m->names == 0 && m->names_blind, "Names and metadata may remain: the search did not see all names before.");
	add_limit(l, m->measure.bad > 0, "Sectors that could not be read are not cleared; they are listed.");
	add_limit(l, m->own > 0, "Copies that waybill itself keeps on this medium were seen and do not count.");
	add_limit(l, m->ndevices > 1, "The file system lies on several devices; each was searched.");
}

/* A word of a list that blanks or commas separate. */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += n)
		if ((at == list || strchr(" ,", at[-1])) && (at[n] == '\0' || strchr(" ,", at[n])))
			return true;
	return false;
}

static bool one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

static void of_filesystem(json_t *l, const char *fs, const char *options)
{
	static const char *const cow[] = { "btrfs", "zfs", "bcachefs", "f2fs", "nilfs2", NULL };
	static const char *const memory[] = { "tmpfs", "ramfs", NULL };
	static const char *const remote[] = { "nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "overlay", "afs", NULL };

	add_limit(l, one_of(fs, cow), "The file system writes copies instead of overwriting: what overwriting left behind is not reached by it.");
	add_limit(l, one_of(fs, memory), "The file system is in memory: pages are freed, not overwritten on any medium; swap is not covered.");
	add_limit(l, one_of(fs, remote) || strncmp(fs, "fuse", 4) == 0,
	    "No raw access to the medium (network or user-space file system): what the server keeps is known to its holder only.");
	add_limit(l, has_word(options, "data=journal"), "The file system writes data to its journal first (data=journal): older writes may lie in the journal.");
}

static void of_storage(json_t *l, const char *storage, bool guest, bool flash)
{
	add_limit(l, flash || has_word(storage, "flash"), "The medium is flash: not readable through the block interface; copies in spare or over-provisioned flash "
	    "are not excluded (no Purge).");
	add_limit(l, guest || has_word(storage, "virtual") || has_word(storage, "guest"), "Cleared at guest level. Provider replicas, snapshots and freed extents are "
	    "covered only by the statements in the copies table.");
	add_limit(l, has_word(storage, "crypt"), "Encryption below the file system: a residue scan of the device beneath it is not applicable.");
	add_limit(l, has_word(storage, "thin") || has_word(storage, "snapshot"), "The device beneath has thin provisioning or snapshots: blocks that it keeps "
	    "elsewhere are not reached.");
	add_limit(l, has_word(storage, "raid") || has_word(storage, "multipath") || has_word(storage, "mirror"),
	    "The device is one of several members (RAID, multipath, mirror): replaced or degraded members were not reached.");
	add_limit(l, has_word(storage, "snapshots"), "Snapshots of the file system exist: they keep what was deleted.");
}

json_t *clearing_storage_limits(const char *storage, bool guest, bool flash)
{
	json_t *l = json_array();

	of_storage(l, storage, guest, flash);
	return l;
}

json_t *clearing_limits(const struct clearing *c, const struct clearing_dataset *d)
{
	const struct clearing_medium *m = clearing_medium_of(c, (size_t)(d - c->v));
	bool searched = m && m->ndevices > 0;
	const struct clearing_device *x = clearing_device_of(c, (size_t)(d - c->v));
	json_t *l = json_array();

	/* It went with its device: nothing was erased one by one, and nothing is left to be searched. */
	if (x)
		add_limit(l, true, "Its whole device was wiped: what limits that stands with the device.");
	if (x)
		return l;
	if (searched)
		of_the_search(l, c, m);
	else
		of_no_search(l, m);
	of_the_objects(l, &d->tally, searched);
	of_filesystem(l, place_fact(d->place, "fstype"), place_fact(d->place, "options"));
	of_storage(l, place_fact(d->place, "storage"), m && m->guest, m && m->flash);
	add_limit(l, true, "Copies in spare areas of flash, and replicas or snapshots of a provider's platform, cannot be seen from here.");
	return l;
}
