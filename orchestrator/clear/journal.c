#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "atomic_file.h"
#include "esc.h"
#include "io.h"
#include "sys.h"

#define SITE "journal"
#define SUM_HEX 16		/* digits of the checksum that ends each record */
#define TEXT_MAX 512		/* bytes of reason kept, before escaping */
#define LINE_MAX_BYTES (64 + 4 * TEXT_MAX + SUM_HEX)

struct slot { uint64_t bytes; uint16_t how; uint8_t state; };

struct clear_journal {
	int fd;
	uint64_t count;
	struct slot *slots;
	uint64_t by_state[8];
	uint8_t inventory[DIGEST_LEN];
	uint64_t sequence;	/* records so far; part of each checksum, so a record cannot stand in another's place */
	struct buf pending;
};

static const struct { enum journal_state state; const char *name; } states[] = {
	{ JOURNAL_PENDING, "pending" }, { JOURNAL_WRITING, "writing" }, { JOURNAL_DONE, "done" },
	{ JOURNAL_ABSENT, "absent-at-resume" }, { JOURNAL_CHANGED, "changed" }, { JOURNAL_REFUSED, "refused" },
	{ JOURNAL_FAILED, "failed" }, { JOURNAL_INTENDED, "unlinking" } };
#define STATES (sizeof(states) / sizeof(states[0]))

const char *journal_state_name(enum journal_state s)
{
	for (size_t i = 0; i < STATES; i++)
		if (states[i].state == s)
			return states[i].name;
	return "unknown";
}

static bool state_parse(const char *s, size_t n, enum journal_state *out)
{
	for (size_t i = 1; i < STATES; i++)	/* pending is never written */
		if (strlen(states[i].name) == n && memcmp(states[i].name, s, n) == 0) {
			*out = states[i].state;
			return true;
		}
	return false;
}

/* Over inventory, sequence and body: bound to this clearing and to its place. */
static int sum_of(const struct clear_journal *j, uint64_t sequence, const char *body, size_t n, char out[SUM_HEX + 1],
    struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	uint8_t digest[DIGEST_LEN];

	buf_put(&b, j->inventory, sizeof(j->inventory));
	buf_put_u64(&b, sequence);
	buf_put(&b, body, n);
	if (buf_finish(&b, e) < 0 || digest_sha256(b.data, b.len, digest, e) < 0)
		return -1;
	hex_of(digest, SUM_HEX / 2, out);
	return 0;
}

static void apply_slot(struct clear_journal *j, uint64_t index, enum journal_state s, uint32_t how, uint64_t bytes)
{
	struct slot *t = &j->slots[index];

	j->by_state[t->state & 7]--;
	*t = (struct slot){ .bytes = bytes, .how = (uint16_t)how, .state = (uint8_t)s };
	j->by_state[t->state & 7]++;
}

struct record { uint64_t index, bytes; uint32_t how; enum journal_state state; };

static bool number(const char **p, const char *end, char stop, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	const char *s = *p;

	if (s >= end || *s < '0' || *s > '9' || (*s == '0' && s + 1 < end && s[1] != stop))
		return false;
	for (; s < end && *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	if (s >= end || *s != stop || v > max)
		return false;
	*p = s + 1;
	*out = v;
	return true;
}

/* "INDEX STATE HOW BYTES TEXT SUM", without the newline. */
static bool parse_record(const struct clear_journal *j, uint64_t sequence, const char *line, size_t n, struct record *r)
{
	const char *p = line, *end, *word;
	char sum[SUM_HEX + 1];
	uint64_t how;
	struct err ignored = ERR_INIT;

	if (n < SUM_HEX + 1 || n > LINE_MAX_BYTES || line[n - SUM_HEX - 1] != ' ')
		return false;
	end = line + n - SUM_HEX;
	if (sum_of(j, sequence, line, (size_t)(end - line), sum, &ignored) < 0 || memcmp(sum, end, SUM_HEX) != 0)
		return false;
	if (!number(&p, end, ' ', j->count - 1, &r->index) || !(word = memchr(p, ' ', (size_t)(end - p))) ||
	    !state_parse(p, (size_t)(word - p), &r->state))
		return false;
	p = word + 1;
	if (!number(&p, end, ' ', UINT16_MAX, &how) || !number(&p, end, ' ', UINT64_MAX, &r->bytes))
		return false;
	r->how = (uint32_t)how;
	return true;
}

static void header_of(const struct clear_journal *j, struct buf *b)
{
	char hex[DIGEST_HEX];

	hex_of(j->inventory, DIGEST_LEN, hex);
	buf_printf(b, "waybill-journal 1 %s %" PRIu64 "\n", hex, j->count);
}

/* Is there, beyond a record that does not check, a whole later one?  Then it is damage, not a torn tail. */
static bool later_record(const struct clear_journal *j, const char *p, const char *end)
{
	for (uint64_t ahead = 1; p < end; ahead++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		struct record r;

		if (!nl)
			return false;
		/* A newline lost or gained by the damage shifts the count a little. */
		for (uint64_t s = ahead > 2 ? ahead - 2 : 1; s <= ahead + 2; s++)
			if (parse_record(j, j->sequence + s, p, (size_t)(nl - p), &r))
				return true;
		p = nl + 1;
	}
	return false;
}

static int drop_tail(struct clear_journal *j, const char *name, off_t at, struct err *e)
{
	if (ftruncate(j->fd, at) < 0 || sys_fsync(SITE, j->fd) < 0)
		return err_sys(e, "journal %s: cannot drop its torn tail", esc_s(name));
	return 0;
}

static int replay(struct clear_journal *j, const char *name, const struct buf *all, size_t start, struct err *e)
{
	const char *p = all->data + start, *end = all->data + all->len;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		struct record r;

		if (!nl || !parse_record(j, j->sequence, p, (size_t)(nl - p), &r)) {
			if (nl && later_record(j, nl + 1, end))
				return err_set(e, ERR_INTEGRITY, "journal %s: record %" PRIu64 " is damaged while later ones are whole",
				    esc_s(name), j->sequence + 1);
			return drop_tail(j, name, p - all->data, e);
		}
		apply_slot(j, r.index, r.state, r.how, r.bytes);
		j->sequence++;
		p = nl + 1;
	}
	return 0;
}

static int load(struct clear_journal *j, const char *name, struct err *e)
{
	OWN_BUF struct buf all = BUF_INIT, head = BUF_INIT;
	struct stat st;
	ssize_t got;

	if (fstat(j->fd, &st) < 0)
		return err_sys(e, "journal %s", esc_s(name));
	header_of(j, &head);
	if (!buf_reserve(&all, (size_t)st.st_size + 1) || buf_finish(&head, e) < 0)
		return buf_finish(&all, e) < 0 ? -1 : err_set(e, ERR_TEMPORARY, "out of memory");
	if ((got = io_pread_full(SITE, j->fd, all.data, (size_t)st.st_size, 0, name, e)) < 0)
		return -1;
	all.len = (size_t)got;
	if (all.len < head.len || memcmp(all.data, head.data, head.len) != 0)
		return err_set(e, ERR_REFUSED, "journal %s belongs to another inventory, or its head is damaged; "
		    "the clearing it records must be ended or abandoned first", esc_s(name));
	return replay(j, name, &all, head.len, e);
}

static int create_if_absent(struct clear_journal *j, int dirfd, const char *name, struct err *e)
{
	OWN_BUF struct buf head = BUF_INIT;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return err_sys(e, "journal %s", esc_s(name));
	header_of(j, &head);
	if (buf_finish(&head, e) < 0)
		return -1;
	return atomic_file_write(dirfd, name, 0600, head.data, head.len, e);
}

static struct clear_journal *new_journal(const uint8_t inventory[DIGEST_LEN], uint64_t count)
{
	struct clear_journal *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->fd = -1;
	j->count = count;
	memcpy(j->inventory, inventory, DIGEST_LEN);
	j->by_state[JOURNAL_PENDING] = count;
	if (!(j->slots = calloc(count ? (size_t)count : 1, sizeof(*j->slots)))) {
		free(j);
		return NULL;
	}
	return j;
}

int clear_journal_open(struct clear_journal **out, int dirfd, const char *name, const uint8_t inventory[DIGEST_LEN],
    uint64_t count, struct err *e)
{
	OWN_JOURNAL struct clear_journal *j = new_journal(inventory, count);

	if (!j) {
		errno = ENOMEM;
		return err_sys(e, "journal of %" PRIu64 " objects", count);
	}
	if (create_if_absent(j, dirfd, name, e) < 0)
		return -1;
	j->fd = openat(dirfd, name, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	if (j->fd < 0)
		return err_sys(e, "journal %s", esc_s(name));
	if (flock(j->fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, ERR_TEMPORARY, "journal %s is held by another process; only one clears at a time", esc_s(name));
	if (load(j, name, e) < 0)
		return -1;
	*out = take_ptr(&j);
	return 0;
}

enum journal_state clear_journal_state(const struct clear_journal *j, uint64_t index)
{
	return (enum journal_state)j->slots[index].state;
}

uint32_t clear_journal_how(const struct clear_journal *j, uint64_t index) { return j->slots[index].how; }
uint64_t clear_journal_bytes(const struct clear_journal *j, uint64_t index) { return j->slots[index].bytes; }

static int put(struct clear_journal *j, const struct record *r, const char *text, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	char sum[SUM_HEX + 1];

	if (r->index >= j->count)
		return err_set(e, ERR_BUG, "journal: object %" PRIu64 " of %" PRIu64, r->index, j->count);
	buf_printf(&b, "%" PRIu64 " %s %" PRIu32 " %" PRIu64 " ", r->index, journal_state_name(r->state), r->how, r->bytes);
	esc_put(&b, text, strnlen(text, TEXT_MAX));
	buf_putc(&b, ' ');
	if (buf_finish(&b, e) < 0 || sum_of(j, j->sequence, b.data, b.len, sum, e) < 0)
		return -1;
	buf_puts(&b, sum);
	buf_putc(&b, '\n');
	buf_put(&j->pending, b.data, b.len);
	if (buf_finish(&b, e) < 0 || buf_finish(&j->pending, e) < 0)
		return -1;
	apply_slot(j, r->index, r->state, r->how, r->bytes);
	j->sequence++;
	return 0;
}

int clear_journal_writing(struct clear_journal *j, uint64_t index, struct err *e)
{
	return put(j, &(struct record){ .index = index, .state = JOURNAL_WRITING }, "", e);
}

int clear_journal_result(struct clear_journal *j, const struct msg_erased *r, struct err *e)
{
	struct record t = { .index = r->index, .bytes = r->bytes, .how = r->how, .state = (enum journal_state)r->state };

	if (((r->state < MSG_ERASE_DONE || r->state > MSG_ERASE_FAILED) && r->state != MSG_ERASE_INTENDED) || r->how > UINT16_MAX)
		return err_set(e, ERR_INTEGRITY, "journal: a result with state %d, how %" PRIu32, (int)r->state, r->how);
	return put(j, &t, r->text ? r->text : "", e);
}

int clear_journal_sync(struct clear_journal *j, struct err *e)
{
	if (buf_finish(&j->pending, e) < 0)
		return -1;
	if (j->pending.len && io_write_all(SITE, j->fd, j->pending.data, j->pending.len, "clearing journal", e) < 0)
		return -1;
	buf_reset(&j->pending);
	if (sys_fdatasync(SITE, j->fd) < 0)
		return err_sys(e, "clearing journal: sync");
	return 0;
}

uint64_t clear_journal_count(const struct clear_journal *j, enum journal_state s) { return j->by_state[s & 7]; }

int clear_journal_each(const struct clear_journal *j, int (*fn)(void *ctx, const struct msg_erased *r), void *ctx)
{
	for (uint64_t i = 0; i < j->count; i++) {
		const struct slot *t = &j->slots[i];
		char none[1] = "";
		struct msg_erased r = { .index = i, .state = (enum msg_erase_state)t->state, .how = t->how, .bytes = t->bytes,
			.text = none };
		int stop = fn(ctx, &r);

		if (stop)
			return stop;
	}
	return 0;
}

void clear_journal_close(struct clear_journal *j)
{
	if (!j)
		return;
	if (j->fd >= 0)
		(void)close(j->fd);
	buf_dispose(&j->pending);
	free(j->slots);
	free(j);
}
