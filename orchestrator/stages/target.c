#include "target.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "esc.h"
#include "log.h"
#include "path.h"

static void keep_problem(struct target *t, struct view *v)
{
	uint8_t class = view_u8(v);
	size_t plen, tlen;
	const uint8_t *path = view_bytes(v, PATH_BYTES_MAX, &plen), *text = view_bytes(v, 4096, &tlen);
	struct target_problem *p;

	(void)class;
	if (!path || !text)
		return;
	t->problem_total++;
	if (t->problem_count == TARGET_PROBLEMS_KEPT)
		return;
	if (!t->problems && !(t->problems = calloc(TARGET_PROBLEMS_KEPT, sizeof(*t->problems))))
		return;
	p = &t->problems[t->problem_count];
	p->path = strndup((const char *)path, plen);
	p->text = strndup((const char *)text, tlen);
	if (p->path && p->text) {
		t->problem_count++;
		log_warn("%s: %s: %s", t->session->host_name, esc_s(p->path), p->text);
	}
}

static void take_answer(struct target *t, const struct wire_frame *f)
{
	struct view v = view_of(f->data, f->len);

	if (f->type == MSG_ACK) {
		uint64_t token = view_varint(&v);

		if (view_done(&v) && token > t->acked)
			t->acked = token;
	} else if (f->type == MSG_PROBLEM) {
		keep_problem(t, &v);
	}
}

static void *listen(void *arg)
{
	struct target *t = arg;
	struct err e = ERR_INIT;
	int got;

	do {
		OWN_FRAME struct wire_frame f = WIRE_FRAME_INIT;

		got = wire_recv(t->session->wire, WIRE_ACK, &f, &e);
		pthread_mutex_lock(&t->lock);
		if (got == 1)
			take_answer(t, &f);
		else
			t->ended = true;
		if (got < 0)
			t->failure = e;
		pthread_cond_broadcast(&t->changed);
		pthread_mutex_unlock(&t->lock);
	} while (got == 1);
	return NULL;
}

int target_open(struct target *t, struct run *r, const char *host, const char *path, uint64_t flags, const struct owners *owners,
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
	if (session_open(r, host, "apply", path, &start, &t->session, e) < 0)
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
		return -1;
	return 0;
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
	(void)pthread_cond_destroy(&t->changed);
	(void)pthread_mutex_destroy(&t->lock);
	memset(t, 0, sizeof(*t));
}
