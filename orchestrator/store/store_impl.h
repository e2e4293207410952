/* store_impl - what the files of the object store share; internal to store/. */
#ifndef STORE_IMPL_H
#define STORE_IMPL_H

#include <pthread.h>

#include "store.h"

#define STORE_SITE "store"		/* of sys.h */
#define STORE_WAITING_MAX 128		/* objects that wait for a sync, each with an open fd */
#define OBJECT_NAME 96			/* "ab/<64 hex>.tar.zst" */
#define TMP_NAME 32

struct waiting {			/* written and named, not yet durable */
	struct waiting *next;
	enum store_kind kind;
	struct object_id id;
	uint64_t size;
	int fd;				/* owned; holds the flock that says a writer lives */
	char tmp[TMP_NAME];		/* beneath tmp/ */
};

struct store {
	char *dir;			/* owned */
	int objects_fd, tmp_fd;		/* owned */
	pthread_mutex_t sync_lock;	/* held for a whole sync: a second one must not return before the first is done */
	pthread_mutex_t lock;		/* of what follows */
	uint8_t *spare;			/* owned: a buffer between two objects */
	struct waiting *first;		/* not yet under objects/; a sync takes them off only once they are */
	size_t waiting;
	bool broken;
	struct err why;
};

/* "ab/<hex>.kind" */
void object_name(char out[OBJECT_NAME], enum store_kind k, const struct object_id *id);
/* "slice 0123..." for messages */
const char *object_label(char out[OBJECT_NAME], enum store_kind k, const struct object_id *id);
/* The size and open fd of an object that waits; false when none does.  fd may be NULL. */
bool store_find_waiting(struct store *s, enum store_kind k, const struct object_id *id, uint64_t *size, int *fd);
/* A failure of the store's disk: names the store and the next step. */
int store_sys(struct store *s, const char *what, struct err *e);
/* Reads fd past the cache where possible; true in *same when its digest is id. */
int store_compare(int fd, const struct object_id *id, bool *same, struct err *e) MUST_CHECK;

#endif
