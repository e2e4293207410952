/* The session messages: START, READY, DONE, and what every decoder needs. */
#include "messages_internal.h"

#include <string.h>

#include "esc.h"
#include "path.h"

#define START_VERSION 3
#define LIST_MAX 4096
#define PATTERN_MAX 4096
#define IDENTITY_MAX 128
#define SCOPE_MAX (16u << 20)
#define FLAGS_KNOWN (MSG_F_ONE_FS | MSG_F_STRICT | MSG_F_MEDIUM | MSG_F_HASH_ONLY | MSG_F_NO_HASH | MSG_F_FROZEN | \
	MSG_F_SM3 | MSG_F_FLAGS | MSG_F_NO_RAW | MSG_F_BLOCKS | MSG_F_ANNOUNCED | MSG_F_TELL_ATTRS | MSG_F_STAGED)

int msg_bad(struct err *e, const char *what)
{
	return err_set(e, ERR_INTEGRITY, "the peer sent a malformed %s message", what);
}

char *msg_text(struct view *v, size_t max)
{
	size_t n;
	const uint8_t *p = view_bytes(v, max, &n);
	char *s;

	if (!p || (n && memchr(p, '\0', n))) {
		v->failed = true;
		return NULL;
	}
	if (!(s = strndup((const char *)p, n)))
		v->failed = true;
	return s;
}

char *msg_path(struct view *v)
{
	char *s = msg_text(v, PATH_BYTES_MAX);

	if (s && !path_is_safe(s, strlen(s))) {
		v->failed = true;
		free(s);
		return NULL;
	}
	return s;
}

void msg_put_text(struct buf *b, const char *s)
{
	buf_put_bytes(b, s ? s : "", s ? strlen(s) : 0);
}

int msg_done_view(const struct view *v, const char *what, struct err *e)
{
	return view_done(v) ? 0 : msg_bad(e, what);
}

enum err_class msg_class(uint8_t c)
{
	switch (c) {
	case ERR_TEMPORARY: case ERR_INTEGRITY: case ERR_UNVERIFIED: case ERR_REFUSED: case ERR_CANCELLED:
		return (enum err_class)c;
	default:
		return ERR_PERMANENT;
	}
}

char *msg_clean(const char *s, size_t n)
{
	OWN_BUF struct buf b = BUF_INIT;

	while (n) {
		const char *slash = memchr(s, '\\', n);
		size_t k = slash ? (size_t)(slash - s) : n;

		esc_put(&b, s, k);
		if (slash) {
			buf_putc(&b, '\\');
			k++;
		}
		s += k;
		n -= k;
	}
	return buf_take(&b);
}

/* ---- START ---- */

static void free_list(char ***list)
{
	for (char **p = *list; p && *p; p++)
		free(*p);
	free(*list);
	*list = NULL;
}

void msg_start_dispose(struct msg_start *m)
{
	free(m->identity);
	free(m->scope);
	free_list(&m->include);
	free_list(&m->exclude);
	free_list(&m->list_only);
	free(m->owners);
	free(m->lanes);
	*m = (struct msg_start){ 0 };
}

static void put_list(struct buf *b, char *const *list)
{
	uint64_t n = 0;

	while (list && list[n])
		n++;
	buf_put_varint(b, n);
	for (uint64_t i = 0; i < n; i++)
		msg_put_text(b, list[i]);
}

static char **get_list(struct view *v)
{
	uint64_t n = view_varint(v);
	char **list;

	if (v->failed || n > LIST_MAX || !(list = calloc((size_t)n + 1, sizeof(*list)))) {
		v->failed = true;
		return NULL;
	}
	for (uint64_t i = 0; i < n; i++)
		if (!(list[i] = msg_text(v, PATTERN_MAX)))
			break;
	return list;
}

static void put_owners(struct buf *b, const struct msg_start *m)
{
	buf_put_varint(b, m->owner_count);
	for (size_t i = 0; i < m->owner_count; i++) {
		buf_put_u8(b, m->owners[i].group);
		buf_put_varint(b, m->owners[i].from);
		buf_put_varint(b, m->owners[i].to);
	}
}

static void get_owners(struct view *v, struct msg_start *m)
{
	uint64_t n = view_varint(v);

	if (v->failed || n > MSG_OWNERS_MAX || (n && !(m->owners = calloc((size_t)n, sizeof(*m->owners))))) {
		v->failed = true;
		return;
	}
	for (; m->owner_count < n && !v->failed; m->owner_count++) {
		uint8_t group = view_u8(v);
		uint64_t from = view_varint(v), to = view_varint(v);

		/* The highest id means "leave it" to chown. */
		if (group > 1 || from >= UINT32_MAX || to >= UINT32_MAX)
			v->failed = true;
		m->owners[m->owner_count] = (struct msg_owner){ group == 1, (uint32_t)from, (uint32_t)to };
	}
}

void msg_start_encode(struct buf *b, const struct msg_start *m)
{
	buf_put_varint(b, START_VERSION);
	buf_put_varint(b, m->epoch);
	buf_put_varint(b, m->flags);
	buf_put_zigzag(b, m->level);
	msg_put_text(b, m->identity);
	put_list(b, m->include);
	put_list(b, m->exclude);
	put_list(b, m->list_only);
	msg_put_text(b, m->scope);
	buf_put_varint(b, m->size_min);
	buf_put_varint(b, m->size_limit);
	buf_put_zigzag(b, m->age_min_s);
	buf_put_zigzag(b, m->age_limit_s);
	put_owners(b, m);
	msg_put_text(b, m->lanes ? m->lanes : "");
}

int msg_start_decode(const void *p, size_t n, struct msg_start *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint64_t version = view_varint(&v);
	int64_t level;

	*m = (struct msg_start){ 0 };
	m->epoch = view_varint(&v);
	m->flags = view_varint(&v);
	level = view_zigzag(&v);
	m->level = (int32_t)level;
	m->identity = msg_text(&v, IDENTITY_MAX);
	m->include = get_list(&v);
	m->exclude = get_list(&v);
	m->list_only = get_list(&v);
	m->scope = msg_text(&v, SCOPE_MAX);
	m->size_min = view_varint(&v);
	m->size_limit = view_varint(&v);
	m->age_min_s = view_zigzag(&v);
	m->age_limit_s = view_zigzag(&v);
	get_owners(&v, m);
	m->lanes = msg_text(&v, MSG_LANES_MAX);
	if (version != START_VERSION || m->flags & ~(uint64_t)FLAGS_KNOWN || level < INT32_MIN || level > INT32_MAX)
		v.failed = true;
	if (msg_done_view(&v, "START", e) < 0) {
		msg_start_dispose(m);
		return -1;
	}
	return 0;
}

/* ---- READY ---- */

void msg_ready_dispose(struct msg_ready *m)
{
	free(m->identity);
	free(m->fstype);
	*m = (struct msg_ready){ 0 };
}

void msg_ready_encode(struct buf *b, const struct msg_ready *m)
{
	msg_put_text(b, m->identity);
	msg_put_text(b, m->fstype);
	buf_put_varint(b, m->euid);
	buf_put_zigzag(b, m->now_s);
	buf_put_varint(b, m->free_bytes);
	buf_put_varint(b, m->free_inodes);
	buf_put_varint(b, m->block);
}

/* Words that go into reports and files as they are. */
static bool is_plain(const char *s)
{
	for (; s && *s; s++)
		if (*s <= 0x20 || *s > 0x7e)
			return false;
	return s != NULL;
}

int msg_ready_decode(const void *p, size_t n, struct msg_ready *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint64_t euid, block;

	*m = (struct msg_ready){ 0 };
	m->identity = msg_text(&v, IDENTITY_MAX);
	m->fstype = msg_text(&v, 32);
	euid = view_varint(&v);
	m->euid = (uint32_t)euid;
	m->now_s = view_zigzag(&v);
	m->free_bytes = view_varint(&v);
	m->free_inodes = view_varint(&v);
	block = view_varint(&v);
	m->block = (uint32_t)block;
	if (euid > UINT32_MAX || block > READY_BLOCK_MAX || !is_plain(m->identity) || !is_plain(m->fstype))
		v.failed = true;
	if (msg_done_view(&v, "READY", e) < 0) {
		msg_ready_dispose(m);
		return -1;
	}
	return 0;
}

/* ---- DONE ---- */

void msg_done_encode(struct buf *b, const struct msg_done *m)
{
	const uint64_t all[] = { m->scanned, m->copied, m->unchanged, m->skipped, m->unsettled, m->failed, m->bytes };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_put_varint(b, all[i]);
}

int msg_done_decode(const void *p, size_t n, struct msg_done *m, struct err *e)
{
	struct view v = view_of(p, n);
	uint64_t *const parts[] = { &m->copied, &m->unchanged, &m->skipped, &m->unsettled, &m->failed };
	uint64_t sum = 0;
	bool over = false;

	m->scanned = view_varint(&v);
	for (size_t i = 0; i < 5; i++) {
		*parts[i] = view_varint(&v);
		over |= __builtin_add_overflow(sum, *parts[i], &sum);
	}
	m->bytes = view_varint(&v);
	if (msg_done_view(&v, "DONE", e) < 0)
		return -1;
	if (over || sum != m->scanned)
		return err_set(e, ERR_INTEGRITY, "the balance does not close: %llu scanned, but %llu accounted for",
		    (unsigned long long)m->scanned, (unsigned long long)sum);
	return 0;
}
