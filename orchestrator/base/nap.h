/* nap - a thread that looks now and then, and ends at once when it shall. */
#ifndef NAP_H
#define NAP_H

#include <pthread.h>
#include <stdbool.h>

struct nap {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop;		/* guarded by lock */
};

void nap_init(struct nap *n);
void nap_dispose(struct nap *n);	/* when nobody naps any more */
void nap_stop(struct nap *n);
bool nap_stopped(struct nap *n);
/* Waits so long; false: it was stopped. */
bool nap_take(struct nap *n, int ms);

#endif
