/* What every entry must fulfil, whether it came from the wire, a scan file, a manifest or our own walk. */
#include "entry.h"
#include "esc.h"
#include "path.h"

#include <string.h>

static int bad(const struct entry *en, const char *what, struct err *e)
{
	char shown[256];

	return err_set(e, ERR_INTEGRITY, "entry \"%s\": %s",
	    esc_into(shown, sizeof(shown), en->path ? en->path : "", en->path ? en->path_len : 0), what);
}

static bool text_ok(const char *s, size_t max)
{
	size_t n;

	if (!s)
		return true;
	n = strnlen(s, max + 1);
	return n > 0 && n <= max;
}

static int check_names(const struct entry *en, struct err *e)
{
	if (!en->path || strlen(en->path) != en->path_len || !path_is_safe(en->path, en->path_len))
		return bad(en, "unsafe path", e);
	if (!text_ok(en->target, PATH_BYTES_MAX))
		return bad(en, "link target empty or too long", e);
	/* Of an entry that could not be read nothing but the name may be known. */
	if ((en->type != ENTRY_SYMLINK && en->target) || (en->type == ENTRY_SYMLINK && !en->target && entry_is_present(en)))
		return bad(en, "link target does not go with the type", e);
	if (!text_ok(en->owner, 255) || !text_ok(en->group, 255))
		return bad(en, "owner or group name empty or too long", e);
	if (!text_ok(en->note, ENTRY_NOTE_MAX))
		return bad(en, "note empty or too long", e);
	if (!en->link_to)
		return 0;
	if (en->type == ENTRY_DIR || !path_is_safe(en->link_to, strlen(en->link_to)) ||
	    path_cmp(en->link_to, strlen(en->link_to), en->path, en->path_len) >= 0)
		return bad(en, "first name of a hard link is no earlier path", e);
	return 0;
}

static int check_layout(const struct entry *en, struct err *e)
{
	uint64_t end = 0;

	if (!(en->has & ENTRY_HAS_LAYOUT))
		return en->layout_count ? bad(en, "data ranges without their mark", e) : 0;
	if (en->layout_count > ENTRY_LAYOUT_MAX)
		return bad(en, "too many data ranges", e);
	for (size_t i = 0; i < en->layout_count; i++) {
		const struct entry_range *r = &en->layout[i];

		if (r->length == 0 || r->offset < end || (i && r->offset == end) || r->offset > en->size ||
		    r->length > en->size - r->offset)
			return bad(en, "data ranges not ascending within the size", e);
		end = r->offset + r->length;
	}
	return 0;
}

static int check_numbers(const struct entry *en, struct err *e)
{
	const uint32_t of_files = ENTRY_HAS_SHA256 | ENTRY_HAS_SM3 | ENTRY_HAS_LAYOUT;

	if (en->type < ENTRY_FILE || en->type > ENTRY_SOCKET)
		return bad(en, "unknown type", e);
	if (en->outcome < ENTRY_COPIED || en->outcome > ENTRY_FAILED)
		return bad(en, "unknown outcome", e);
	if (en->mode > 07777)
		return bad(en, "mode beyond 07777", e);
	if (en->mtime_ns > 999999999 || en->btime_ns > 999999999 || en->scan.ctime_ns > 999999999)
		return bad(en, "nanoseconds beyond 999999999", e);
	if (en->has >= ENTRY_HAS_LAYOUT << 1)
		return bad(en, "unknown optional field", e);
	if (en->size > INT64_MAX || (en->type != ENTRY_FILE && (en->size || (en->has & of_files))))
		return bad(en, "size, content digest or data ranges do not go with the type", e);
	if ((en->has & ENTRY_HAS_FLAGS) && (en->flags & ~ENTRY_FLAGS))
		return bad(en, "unknown inode flags", e);
	return 0;
}

int entry_check(const struct entry *en, struct err *e)
{
	if (check_names(en, e) < 0 || check_numbers(en, e) < 0)
		return -1;
	return check_layout(en, e);
}
