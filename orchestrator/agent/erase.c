#include "erase.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "apply.h"
#include "canary.h"
#include "esc.h"
#include "fence.h"
#include "path.h"
#include "scope.h"
#include "sys.h"

#define QUEUE_MAX 256		/* results that wait for one sync */
#define SETTLE_MS 50		/* a single result waits so long for company */

/*
 * Results wait here until a sync has made their removal durable; a thread of its own does that, so that the next objects are
 * overwritten meanwhile and the orchestrator need not send more to get its answers.
 */
struct outbox {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct msg_erased queue[QUEUE_MAX];
	size_t n;
	bool ending, failed;
	struct err why;
};

struct verdict_of {		/* what happened to one object */
	enum msg_erase_state state;
	uint32_t how;
	uint64_t bytes;
	struct buf text;
};

/* Overwritten and read back; it is unlinked once the orchestrator has that on record. */
struct waiting {
	uint64_t index;
	struct entry en;		/* owned */
	struct stat st;			/* as we left it */
	struct verdict_of o;		/* text owned */
};

struct erase {
	struct agent *a;
	struct waiting *waiting;	/* owned; in the order of coming */
	size_t nwaiting;
	struct fence fence;
	struct eraser eraser;
	struct outbox box;
	bool canaries_gone;
	pthread_t sender;
	bool sending;
};

/* ---- results ---- */

static int send_results(struct erase *x, struct msg_erased *v, size_t n, struct err *e)
{
	char name[AGENT_NAME];
	bool removed = false;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		removed |= v[i].state != MSG_ERASE_INTENDED;
	/* What was overwritten is synced already; what was unlinked is not. */
	if (removed && sys_syncfs(ERASE_SITE, x->a->root) < 0) {
		r = err_sys(e, "sync of %s", agent_name(x->a, ".", name));
		e->class = ERR_TEMPORARY;
	}
	sys_point("erased");
	for (size_t i = 0; i < n; i++) {
		OWN_BUF struct buf b = BUF_INIT;

		if (r == 0) {
			msg_erased_encode(&b, &v[i]);
			r = agent_send(x->a, WIRE_ACK, MSG_ERASED, &b, e);
		}
		msg_erased_dispose(&v[i]);
	}
	return r;
}

/* Takes what is queued; 0 when there is nothing more to come. */
static size_t take_results(struct outbox *q, struct msg_erased out[QUEUE_MAX])
{
	struct timespec soon = { 0, SETTLE_MS * 1000000L };
	size_t n;

	(void)pthread_mutex_lock(&q->lock);
	while (q->n == 0 && !q->ending)
		(void)pthread_cond_wait(&q->changed, &q->lock);
	if (q->n > 0 && q->n < QUEUE_MAX && !q->ending) {
		(void)pthread_mutex_unlock(&q->lock);
		(void)nanosleep(&soon, NULL);
		(void)pthread_mutex_lock(&q->lock);
	}
	n = q->n;
	memcpy(out, q->queue, n * sizeof(*out));
	q->n = 0;
	(void)pthread_cond_broadcast(&q->changed);
	(void)pthread_mutex_unlock(&q->lock);
	return n;
}

static void *send_loop(void *ctx)
{
	struct erase *x = ctx;
	struct outbox *q = &x->box;
	OWN_FREE struct msg_erased *v = calloc(QUEUE_MAX, sizeof(*v));
	struct err why = ERR_INIT;
	size_t n;
	int r = v ? 0 : err_set(&why, ERR_TEMPORARY, "out of memory");

	while (r == 0 && (n = take_results(q, v)) > 0)
		if ((r = fence_still(&x->fence, &why)) < 0 || (r = send_results(x, v, n, &why)) < 0)
			break;
	(void)pthread_mutex_lock(&q->lock);
	if (r < 0) {
		q->failed = true;
		q->why = why;
	}
	(void)pthread_cond_broadcast(&q->changed);
	(void)pthread_mutex_unlock(&q->lock);
	return NULL;
}

/* Takes over r->text.  -1 when the sender has failed. */
static int queue_result(struct outbox *q, struct msg_erased *r, struct err *e)
{
	int rc = 0;

	(void)pthread_mutex_lock(&q->lock);
	while (q->n == QUEUE_MAX && !q->failed)
		(void)pthread_cond_wait(&q->changed, &q->lock);
	if (q->failed) {
		*e = q->why;
		msg_erased_dispose(r);
		rc = -1;
	} else {
		q->queue[q->n++] = *r;
	}
	(void)pthread_cond_broadcast(&q->changed);
	(void)pthread_mutex_unlock(&q->lock);
	return rc;
}

static int start_sender(struct erase *x, struct err *e)
{
	if ((errno = pthread_create(&x->sender, NULL, send_loop, x)) != 0)
		return err_sys(e, "start of a thread");
	x->sending = true;
	return 0;
}

/* All results are out when 0. */
static int end_sender(struct erase *x, struct err *e)
{
	struct outbox *q = &x->box;

	if (!x->sending)
		return 0;
	(void)pthread_mutex_lock(&q->lock);
	q->ending = true;
	(void)pthread_cond_broadcast(&q->changed);
	(void)pthread_mutex_unlock(&q->lock);
	(void)pthread_join(x->sender, NULL);
	x->sending = false;
	if (!q->failed)
		return 0;
	*e = q->why;
	return -1;
}

/* ---- one object ---- */

static void say(struct verdict_of *o, enum msg_erase_state state, const char *text)
{
	o->state = state;
	buf_printf(&o->text, "%s%s", o->text.len ? "; " : "", text);
}

static void say_err(struct verdict_of *o, enum msg_erase_state state, const struct err *why) { say(o, state, why->text); }

static void say_errno(struct verdict_of *o, enum msg_erase_state state, const char *what)
{
	struct err why = ERR_INIT;

	(void)err_sys(&why, "%s", what);
	say_err(o, state, &why);
}

/* Device numbers as the walk notes them. */
static uint64_t scan_dev(dev_t d) { return (uint64_t)major(d) << 32 | minor(d); }

/*
 * Is the inode the one that was inventoried?  A resumed object (outcome unsettled) may be half overwritten: its size and time
 * no longer count, its place does.
 */
static bool as_inventoried(const struct entry *en, const struct stat *st, struct verdict_of *o)
{
	bool resumed = en->outcome == ENTRY_UNSETTLED;
	const char *what = NULL;

	if (tree_type(st->st_mode) != en->type)
		what = "it is of another type now";
	else if (scan_dev(st->st_dev) != en->scan.dev || st->st_ino != en->scan.ino)
		what = "it is another inode now";
	else if (en->type == ENTRY_DIR || resumed)
		return true;
	else if (en->type == ENTRY_FILE && (uint64_t)st->st_size != en->size)
		what = "its size changed since the inventory";
	else if (st->st_mtim.tv_sec != en->mtime_s || (uint32_t)st->st_mtim.tv_nsec != en->mtime_ns)
		what = "its modification time changed since the inventory";
	if (what)
		say(o, MSG_ERASE_CHANGED, what);
	return !what;
}

/* What was written to it after it was overwritten was overwritten by nobody. */
static bool as_left(const struct stat *was, const struct stat *now)
{
	return !S_ISREG(was->st_mode) || (was->st_size == now->st_size && was->st_mtim.tv_sec == now->st_mtim.tv_sec &&
	    was->st_mtim.tv_nsec == now->st_mtim.tv_nsec);
}

/* Unlink, if the name still is that inode. */
static void unlink_name(struct erase *x, const struct entry *en, const struct stat *st, struct verdict_of *o)
{
	const char *base;
	OWN_FD int dir = path_open_parent(x->a->root, en->path, &base);
	struct stat now;

	if (dir < 0 || fstatat(dir, base, &now, AT_SYMLINK_NOFOLLOW) < 0) {
		say_errno(o, MSG_ERASE_FAILED, "its name vanished meanwhile");
	} else if (now.st_dev != st->st_dev || now.st_ino != st->st_ino) {
		say(o, MSG_ERASE_FAILED, "its name was given to another inode meanwhile; not unlinked");
	} else if (!as_left(st, &now)) {
		say(o, MSG_ERASE_CHANGED, "it was written to after it had been overwritten; not unlinked");
	} else if (sys_unlinkat(ERASE_SITE, dir, base, en->type == ENTRY_DIR ? AT_REMOVEDIR : 0) < 0) {
		if (errno == ENOTEMPTY || errno == EEXIST)
			say(o, MSG_ERASE_CHANGED, "not empty: it holds entries that are not in the inventory, or were not erased");
		else
			say_errno(o, MSG_ERASE_FAILED, "unlink");
	} else {
		o->state = MSG_ERASE_DONE;
		o->how |= MSG_EH_UNLINKED;
	}
}

/* The root's own name lies outside of it; a mount point keeps its directory. */
static void remove_root(struct erase *x, const struct stat *st, struct verdict_of *o)
{
	const char *slash = strrchr(x->a->root_path, '/');
	OWN_FREE char *parent = strndup(x->a->root_path, slash == x->a->root_path ? 1 : (size_t)(slash - x->a->root_path));
	OWN_FD int dir = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct stat now;

	if (dir < 0 || fstatat(dir, slash + 1, &now, AT_SYMLINK_NOFOLLOW) < 0)
		say_errno(o, MSG_ERASE_FAILED, "its parent directory");
	else if (now.st_dev != st->st_dev || now.st_ino != st->st_ino)
		say(o, MSG_ERASE_CHANGED, "its name belongs to another inode now");
	else if (unlinkat(dir, slash + 1, AT_REMOVEDIR) == 0) {
		o->state = MSG_ERASE_DONE;
		o->how |= MSG_EH_UNLINKED;
		if (sys_fsync(ERASE_SITE, dir) < 0)
			say_errno(o, MSG_ERASE_FAILED, "sync of its parent directory");
	} else if (errno == EBUSY)
		say(o, MSG_ERASE_DONE, "a mount point: emptied, the directory itself stays");
	else if (errno == ENOTEMPTY || errno == EEXIST)
		say(o, MSG_ERASE_CHANGED, "not empty: it holds entries that are not in the inventory, or were not erased");
	else
		say_errno(o, MSG_ERASE_FAILED, "remove");
}

static void erase_file_object(struct erase *x, const struct entry *en, int fd, struct stat *st, struct verdict_of *o)
{
	struct err why = ERR_INIT;

	if (st->st_nlink > en->nlink) {
		OWN_BUF struct buf b = BUF_INIT;

		buf_printf(&b, "it has %ju names, only %" PRIu32 " of them in the scope", (uintmax_t)st->st_nlink, en->nlink);
		say(o, MSG_ERASE_REFUSED, b.failed ? "names outside the scope" : b.data);
		return;
	}
	/* A further name needs no overwriting while the first one still leads to the content. */
	if (!(en->link_to && st->st_nlink > 1) && erase_content(&x->eraser, fd, st, &o->how, &o->bytes, &o->text, &why) < 0)
		say_err(o, MSG_ERASE_FAILED, &why);
	else if (fstat(fd, st) < 0)
		say_errno(o, MSG_ERASE_FAILED, "stat after overwriting");
	else
		o->state = MSG_ERASE_INTENDED;
}

/* All but unlinking it: MSG_ERASE_INTENDED then, and st is as we left it. */
static void erase_object(struct erase *x, const struct entry *en, struct stat *st, struct verdict_of *o)
{
	OWN_FD int fd = -1;

	if (!(en->has & ENTRY_HAS_SCAN)) {
		say(o, MSG_ERASE_REFUSED, "the inventory does not say which inode it is");
		return;
	}
	fd = path_open_beneath(x->a->root, en->path, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0 && errno == ENOENT) {
		o->state = MSG_ERASE_ABSENT;
		return;
	}
	if (fd < 0 || fstat(fd, st) < 0) {
		say_errno(o, MSG_ERASE_FAILED, "open");
		return;
	}
	if (!as_inventoried(en, st, o))
		return;
	if (en->type == ENTRY_FILE)
		erase_file_object(x, en, fd, st, o);
	else
		o->state = MSG_ERASE_INTENDED;
}

static void remove_object(struct erase *x, const struct entry *en, const struct stat *st, struct verdict_of *o)
{
	o->state = MSG_ERASE_FAILED;
	sys_point("unlink");
	if (strcmp(en->path, ".") == 0)
		remove_root(x, st, o);
	else
		unlink_name(x, en, st, o);
}

static void count(struct msg_done *d, const struct verdict_of *o)
{
	d->scanned++;
	d->copied += o->state == MSG_ERASE_DONE;
	d->unchanged += o->state == MSG_ERASE_ABSENT;
	d->failed += o->state != MSG_ERASE_DONE && o->state != MSG_ERASE_ABSENT;
	d->bytes += o->bytes;
}

#define TEXT_BYTES 1000

/* Takes over o->text. */
static int tell(struct erase *x, uint64_t index, struct verdict_of *o, struct err *e)
{
	struct msg_erased r = { .index = index, .state = o->state, .how = o->how, .bytes = o->bytes };
	OWN_BUF struct buf text = o->text;

	o->text = (struct buf)BUF_INIT;
	if (buf_finish(&text, e) < 0)
		return -1;
	r.text = strndup(text.data ? text.data : "", TEXT_BYTES);
	if (!r.text)
		return err_set(e, ERR_TEMPORARY, "out of memory");
	return queue_result(&x->box, &r, e);
}

#define WAITING_MAX 4096	/* far more than an orchestrator sends without an answer */

/* Takes over en. */
static int wait_for_word(struct erase *x, uint64_t index, struct entry *en, const struct stat *st, const struct verdict_of *o, struct err *e)
{
	struct verdict_of so_far = { .state = o->state, .how = o->how, .bytes = o->bytes, .text = BUF_INIT };
	struct waiting *w = x->waiting;

	if (x->nwaiting == WAITING_MAX)
		return err_set(e, ERR_INTEGRITY, "erase: too many objects wait for being unlinked");
	if ((x->nwaiting & (x->nwaiting - 1)) == 0 && !(w = realloc(x->waiting, (x->nwaiting ? 2 * x->nwaiting : 1) * sizeof(*w))))
		return err_set(e, ERR_TEMPORARY, "out of memory");
	x->waiting = w;
	w[x->nwaiting++] = (struct waiting){ index, *en, *st, *o };
	*en = (struct entry)ENTRY_INIT;
	return tell(x, index, &so_far, e);	/* what there is to say is said at its end */
}

static int inventory(struct erase *x, const struct wire_frame *f, struct err *e)
{
	OWN_ENTRY struct entry en = ENTRY_INIT;
	struct verdict_of o = { .state = MSG_ERASE_FAILED, .text = BUF_INIT };
	uint64_t index;
	struct stat st;

	/* They lie in the root, which comes to be removed as well. */
	if (!x->canaries_gone && canary_remove(x->a->root, e) < 0)
		return -1;
	x->canaries_gone = true;
	if (msg_numbered_decode(f->data, f->len, &index, &en, e) < 0)
		return -1;
	erase_object(x, &en, &st, &o);
	if (o.state == MSG_ERASE_INTENDED)
		return wait_for_word(x, index, &en, &st, &o, e);
	count(&x->a->done, &o);
	return tell(x, index, &o, e);
}

static int unlink_one(struct erase *x, const struct wire_frame *f, struct err *e)
{
	uint64_t index;
	size_t i = 0;
	struct waiting w;
	int r;

	if (msg_number_decode(f->data, f->len, &index, e) < 0)
		return -1;
	while (i < x->nwaiting && x->waiting[i].index != index)
		i++;
	if (i == x->nwaiting)
		return err_set(e, ERR_INTEGRITY, "erase: object %" PRIu64 " does not wait for being unlinked", index);
	w = x->waiting[i];
	memmove(x->waiting + i, x->waiting + i + 1, (--x->nwaiting - i) * sizeof(w));
	remove_object(x, &w.en, &w.st, &w.o);
	count(&x->a->done, &w.o);
	r = tell(x, index, &w.o, e);
	entry_dispose(&w.en);
	return r;
}

static void forget_waiting(struct erase *x)
{
	for (size_t i = 0; i < x->nwaiting; i++) {
		entry_dispose(&x->waiting[i].en);
		buf_dispose(&x->waiting[i].o.text);
	}
	free(x->waiting);
}

/* ---- may it at all? ---- */

/* The path as signed must lead to the opened root without any symlink. */
static int check_place(const struct agent *a, struct err *e)
{
	OWN_FD int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct stat st;

	fd = top < 0 ? -1 : path_open_beneath(top, a->root_path + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0 || fstat(fd, &st) < 0) {
		(void)err_sys(e, "%s cannot be reached without following a symlink", esc_s(a->root_path));
		e->class = ERR_REFUSED;
		return -1;
	}
	if (scan_dev(st.st_dev) != a->root_dev || st.st_ino != a->root_ino)
		return err_set(e, ERR_REFUSED, "%s is another directory than the one opened", esc_s(a->root_path));
	return 0;
}

/* Neither the running agent nor its records may lie in what is destroyed. */
static int check_own(const struct erase *x, struct err *e)
{
	char link[2][48], target[4096];

	(void)snprintf(link[0], sizeof(link[0]), "/proc/self/exe");
	(void)snprintf(link[1], sizeof(link[1]), "/proc/self/fd/%d", x->fence.dir);
	for (int i = 0; i < 2; i++) {
		ssize_t n = readlink(link[i], target, sizeof(target) - 1);

		if (n <= 0)
			return err_sys(e, "where the agent itself stands");
		target[n] = '\0';
		if (path_is_beneath(target, x->a->root_path))
			return err_set(e, ERR_REFUSED, "the agent itself stands in %s, which is to be cleared; put it elsewhere",
			    esc_s(x->a->root_path));
	}
	return 0;
}

static int admit(struct erase *x, struct err *e)
{
	OWN_SCOPE struct scope s = SCOPE_INIT;

	if (scope_parse(&s, x->a->start.scope ? x->a->start.scope : "", e) < 0 ||
	    scope_covers_root(&s, NULL, x->a->root_path, x->a->identity, e) < 0 || check_place(x->a, e) < 0)
		return -1;
	if (fence_enter(&x->fence, x->a->root, x->a->root_path, x->a->start.epoch, e) < 0)
		return -1;
	return check_own(x, e);
}

static int canaries(struct erase *x, const struct wire_frame *f, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct msg_canary m;

	if (msg_canary_decode(f->data, f->len, &m, e) < 0)
		return -1;
	if (m.count ? canary_plant(x->a->root, &m, e) < 0 : canary_remove(x->a->root, e) < 0)
		return -1;
	msg_canary_encode(&b, &m);
	return agent_send(x->a, WIRE_ACK, (enum msg_type)MSG_CANARY, &b, e);
}

static int receive_all(struct erase *x, struct err *e)
{
	for (;;) {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		int r = wire_recv(x->a->wire, WIRE_DATA, &f, e);

		if (r <= 0)
			return r;
		if (f.type == MSG_CANARY)
			r = canaries(x, &f, e);
		else if (f.type == MSG_INVENTORY)
			r = inventory(x, &f, e);
		else if (f.type == MSG_ERASE_UNLINK)
			r = unlink_one(x, &f, e);
		else
			r = err_set(e, ERR_INTEGRITY, "erase: message type %u does not belong here", f.type);
		if (r < 0)
			return -1;
	}
}

int role_erase(struct agent *a, struct err *e)
{
	struct erase x = { .a = a, .fence = FENCE_INIT,
		.box = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER } };
	struct err late = ERR_INIT;
	int r;

	x.eraser.raw = -1;
	r = admit(&x, e);
	if (r == 0)
		r = eraser_init(&x.eraser, !agent_flag(a, MSG_F_NO_RAW), e);
	if (r == 0)
		r = start_sender(&x, e);
	if (r == 0) {
		wire_set_state(a->wire, "erase");
		r = receive_all(&x, e);
	}
	/* What was done is told even when something else failed: the journal wants it. */
	if (end_sender(&x, &late) < 0 && r == 0) {
		*e = late;
		r = -1;
	}
	forget_waiting(&x);
	eraser_dispose(&x.eraser);
	fence_leave(&x.fence);
	return r;
}
