#include "target.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block_place.h"
#include "esc.h"
#include "log.h"
#include "path.h"

#define NO_BASE_MAX (1u << 20)

/* The first that are told are kept by name; what cannot be read as one breaks the protocol. */
static int keep_problem(struct target *t, const struct wire_frame *f, struct err *e)
{
	OWN(msg_problem_dispose) struct msg_problem m = { .path = NULL };
	struct target_problem *p;

	if (msg_problem_decode(f->data, f->len, &m, e) < 0)
		return -1;
	t->problem_total++;
	if (t->problem_count == TARGET_PROBLEMS_KEPT)
		return 0;
	if (!t->problems && !(t->problems = calloc(TARGET_PROBLEMS_KEPT, sizeof(*t->problems))))
		return err_sys(e, "target");
	log_warn("%s: %s: %s", t->session->host_name, esc_s(m.path), m.text);
	p = &t->problems[t->problem_count++];
	p->path = take_ptr(&m.path);
	p->text = take_ptr(&m.text);
	return 0;
}

static int keep_no_base(struct target *t, const struct wire_frame *f, struct err *e)
{
	OWN_FREE char *path = NULL;
	uint64_t id;

	if (msg_nobase_decode(f->data, f->len, &id, &path, e) < 0)
		return -1;
	if (t->no_base.n >= NO_BASE_MAX)
		return err_set(e, ERR_INTEGRITY, "more patches without a base than there can be");
	return u64set_add(&t->no_base, u64set_key(path, strlen(path))) < 0 ? err_sys(e, "target") : 0;
}

bool target_lacks_base(struct target *t, const char *path, size_t n)
{
	bool has;

	if (!t->session)
		return false;
	pthread_mutex_lock(&t->lock);
	has = u64set_has(&t->no_base, u64set_key(path, n));
	pthread_mutex_unlock(&t->lock);
	return has;
}

bool target_lacks_any(struct target *t)
{
	bool any;

	if (!t->session)
		return false;
	pthread_mutex_lock(&t->lock);
	any = t->no_base.n || t->no_base.has_zero;
	pthread_mutex_unlock(&t->lock);
	return any;
}

static int take_answer(struct target *t, const struct wire_frame *f, struct err *e)
{
	uint64_t token;

	if (f->type == MSG_PROBLEM)
		return keep_problem(t, f, e);
	if (f->type == MSG_NOBASE)
		return keep_no_base(t, f, e);
	if (f->type != MSG_ACK)
		return err_set(e, ERR_INTEGRITY, "unexpected message %u", f->type);
	if (msg_number_decode(f->data, f->len, &token, e) < 0)
		return -1;
	/* Tokens go up; one that was not asked for yet would vouch for what was never sent. */
	if (token <= t->acked || token > t->asked)
		return err_set(e, ERR_INTEGRITY, "an acknowledgement that was not asked for (%" PRIu64 ")", token);
	t->acked = token;
	return 0;
}

static void *listen(void *arg)
{
	struct target *t = arg;
	int got;

	do {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;
		struct err e = ERR_INIT;
		bool broke;

		got = wire_recv(t->session->wire, WIRE_ACK, &f, &e);
		pthread_mutex_lock(&t->lock);
		broke = got == 1 && take_answer(t, &f, &e) < 0;
		if (broke) {
			err_at(&e, "host %s: the target agent", t->session->host_name);
			got = -1;
		}
		t->ended = got != 1;
		if (got < 0)
			t->failure = e;
		pthread_cond_broadcast(&t->changed);
		pthread_mutex_unlock(&t->lock);
		if (broke)	/* whoever is sending to it stops as well */
			wire_cancel(t->session->wire);
	} while (got == 1);
	return NULL;
}

/* A send fails because the connection was given up here: the reason is what was heard before. */
static int first_cause(struct target *t, struct err *e)
{
	pthread_mutex_lock(&t->lock);
	if (e->class == ERR_CANCELLED && t->failure.class != ERR_NONE)
		*e = t->failure;
	pthread_mutex_unlock(&t->lock);
	return -1;
}

int target_open(struct target *t, struct run *r, const struct plan_dataset *d, const char *host, const char *path, uint64_t flags, const struct owners *owners,
    struct err *e)
{
	struct msg_start start = { .flags = flags, .identity = "", .scope = "" };

	if (owners) {
		start.owners = owners->v;
		start.owner_count = owners->n;
	}
	memset(t, 0, sizeof(*t));
	t->run = r;
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_cond_init(&t->changed, NULL);
	if (!host)
		return 0;
	if ((d ? place_session(r, d, SIDE_TARGET, host, path, 0, &start, &t->session, e) :
	    session_open(r, host, "apply", path, &start, &t->session, e)) < 0)
		return -1;
	if ((errno = pthread_create(&t->thread, NULL, listen, t)) != 0)
		return err_sys(e, "thread");
	t->running = true;
	return 0;
}

int target_send(struct target *t, uint8_t type, const void *data, size_t n, struct err *e)
{
	if (!t->session)
		return 0;
	if (wire_send(t->session->wire, WIRE_DATA, type, data, n, e) < 0)
		return first_cause(t, e);
	return 0;
}

int target_flush(struct target *t, uint64_t token, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (!t->session)
		return 0;
	pthread_mutex_lock(&t->lock);
	t->asked = token;
	pthread_mutex_unlock(&t->lock);
	msg_number_encode(&b, token);
	return buf_finish(&b, e) < 0 ? -1 : target_send(t, MSG_FLUSH, b.data, b.len, e);
}

uint64_t target_acked(struct target *t)
{
	uint64_t acked;

	if (!t->session)
		return UINT64_MAX;
	pthread_mutex_lock(&t->lock);
	acked = t->acked;
	pthread_mutex_unlock(&t->lock);
	return acked;
}

int target_wait(struct target *t, uint64_t token, struct err *e)
{
	int r = 0;

	if (!t->session)
		return 0;
	pthread_mutex_lock(&t->lock);
	while (t->acked < token && !t->ended)
		(void)pthread_cond_wait(&t->changed, &t->lock);
	if (t->acked < token) {
		if (t->failure.class != ERR_NONE)
			*e = t->failure;
		else
			err_set(e, ERR_TEMPORARY, "host %s: the target agent ended before all was durable; run the same command again",
			    t->session->host_name);
		r = -1;
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

int target_blob(struct target *t, const void *blob, size_t n, const uint8_t digest[DIGEST_LEN], struct err *e)
{
	if (!t->session)
		return 0;
	if (u64set_add(&t->attrs, u64set_key(digest, DIGEST_LEN)) < 0)
		return err_sys(e, "target");
	return target_send(t, MSG_ATTR, blob, n, e);
}

/* The blob that a digest names must be at the target before the entry that carries it. */
static int need_blob(struct target *t, const uint8_t digest[DIGEST_LEN], struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;
	struct object_id id;

	if (u64set_has(&t->attrs, u64set_key(digest, DIGEST_LEN)))
		return 0;
	memcpy(id.sha256, digest, DIGEST_LEN);
	if (store_get_bytes(t->run->w->store, STORE_ATTR, &id, ATTR_BLOB_MAX, &b, e) < 0)
		return -1;
	return target_blob(t, b.data, b.len, digest, e);
}

int target_attrs(struct target *t, const struct entry *en, struct err *e)
{
	if (!t->session)
		return 0;
	if (((en->has & ENTRY_HAS_XATTR) && need_blob(t, en->xattr, e) < 0) ||
	    ((en->has & ENTRY_HAS_ACL) && need_blob(t, en->acl, e) < 0))
		return -1;
	return 0;
}

int target_final(struct target *t, const struct entry *en, struct err *e)
{
	OWN_BUF struct buf b = BUF_INIT;

	if (!t->session)
		return 0;
	if (target_attrs(t, en, e) < 0)
		return -1;
	entry_encode(&b, en, NULL);
	return buf_finish(&b, e) < 0 ? -1 : target_send(t, MSG_FINAL, b.data, b.len, e);
}

int target_finish(struct target *t, struct err *e)
{
	if (!t->session)
		return 0;
	if (wire_end(t->session->wire, WIRE_DATA, e) < 0)
		return -1;
	(void)pthread_join(t->thread, NULL);
	t->running = false;
	if (t->failure.class != ERR_NONE) {
		*e = t->failure;
		return -1;
	}
	return session_finish(t->session, NULL, e);
}

void target_free(struct target *t)
{
	if (!t->run)
		return;
	if (t->running) {
		wire_cancel(t->session->wire);
		(void)pthread_join(t->thread, NULL);
	}
	session_close(t->session);
	for (size_t i = 0; i < t->problem_count; i++) {
		free(t->problems[i].path);
		free(t->problems[i].text);
	}
	free(t->problems);
	u64set_dispose(&t->attrs);
	u64set_dispose(&t->no_base);
	(void)pthread_cond_destroy(&t->changed);
	(void)pthread_mutex_destroy(&t->lock);
	memset(t, 0, sizeof(*t));
}
