#include "entry.h"
#include "esc.h"
#include "path.h"

#include <errno.h>
#include <string.h>

void entry_dispose(struct entry *en)
{
	free(en->path);
	free(en->target);
	free(en->link_to);
	free(en->owner);
	free(en->group);
	free(en->note);
	free(en->layout);
	*en = (struct entry)ENTRY_INIT;
}

void entry_freep(struct entry **en)
{
	if (*en)
		entry_dispose(*en);
	free(*en);
	*en = NULL;
}

/* Copy of s if there is one; false when memory is short. */
static bool dup_into(char **out, const char *s)
{
	if (!s)
		return true;
	return (*out = strdup(s)) != NULL;
}

struct entry *entry_dup(const struct entry *en)
{
	OWN(entry_freep) struct entry *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	*c = *en;
	c->path = c->target = c->link_to = c->owner = c->group = c->note = NULL;
	c->layout = NULL;
	if (!dup_into(&c->path, en->path) || !dup_into(&c->target, en->target) || !dup_into(&c->link_to, en->link_to) ||
	    !dup_into(&c->owner, en->owner) || !dup_into(&c->group, en->group) || !dup_into(&c->note, en->note))
		return NULL;
	if (en->layout_count) {
		if (!(c->layout = calloc(en->layout_count, sizeof(*c->layout))))
			return NULL;
		memcpy(c->layout, en->layout, en->layout_count * sizeof(*c->layout));
	}
	return take_ptr(&c);
}

int entry_set_path(struct entry *en, const char *p, size_t n, struct err *e)
{
	char *copy;

	if (!path_is_safe(p, n)) {
		char shown[256];

		return err_set(e, ERR_INTEGRITY, "unsafe path \"%s\"", esc_into(shown, sizeof(shown), p, n));
	}
	if (!(copy = strndup(p, n)))
		return err_sys(e, "entry");
	free(en->path);
	en->path = copy;
	en->path_len = n;
	return 0;
}

int entry_layout_add(struct entry *en, uint64_t offset, uint64_t length, struct err *e)
{
	struct entry_range *last = en->layout_count ? &en->layout[en->layout_count - 1] : NULL;
	struct entry_range *grown;
	size_t cap = 8;

	en->has |= ENTRY_HAS_LAYOUT;
	if (length == 0)
		return 0;
	if (offset + length < offset || (last && offset < last->offset + last->length))
		return err_set(e, ERR_BUG, "data ranges out of order");
	if (last && (offset == last->offset + last->length || en->layout_count >= ENTRY_LAYOUT_MAX)) {
		last->length = offset + length - last->offset;
		return 0;
	}
	while (cap <= en->layout_count)
		cap *= 2;
	/* Always through realloc, which does nothing when the size stays: a decoded layout was allocated to fit. */
	if (!(grown = reallocarray(en->layout, cap, sizeof(*grown))))
		return err_sys(e, "data ranges");
	en->layout = grown;
	en->layout[en->layout_count++] = (struct entry_range){ offset, length };
	return 0;
}

int entry_cmp(const struct entry *a, const struct entry *b)
{
	return path_cmp(a->path, a->path_len, b->path, b->path_len);
}

bool entry_is_present(const struct entry *en)
{
	return en->outcome != ENTRY_SKIPPED && en->outcome != ENTRY_FAILED;
}

bool entry_has_content(const struct entry *en)
{
	return en->type == ENTRY_FILE && entry_is_present(en) && !en->link_to;
}

const char *entry_type_name(enum entry_type t)
{
	switch (t) {
	case ENTRY_FILE: return "file";
	case ENTRY_DIR: return "dir";
	case ENTRY_SYMLINK: return "link";
	case ENTRY_FIFO: return "fifo";
	case ENTRY_CHAR: return "char";
	case ENTRY_BLOCK: return "block";
	case ENTRY_SOCKET: return "socket";
	}
	return "unknown";
}

bool entry_scan_equal(const struct entry *known, const struct entry *cur)
{
	const struct entry_scan *a = &known->scan, *b = &cur->scan;

	if (!(known->has & ENTRY_HAS_SCAN) || !(cur->has & ENTRY_HAS_SCAN) || a->racy)
		return false;
	return known->type == cur->type && known->size == cur->size && known->mtime_s == cur->mtime_s &&
	    known->mtime_ns == cur->mtime_ns && a->dev == b->dev && a->ino == b->ino &&
	    a->ctime_s == b->ctime_s && a->ctime_ns == b->ctime_ns;
}
