/*
 * own - who frees what.
 *
 * A local that owns something carries OWN(destructor); leaving the scope abandons it.  Handing it over is
 * written out: take_fd(), take_ptr(), so that every transfer can be seen.  What may fail meaningfully on the
 * way out (close after write, fsync, rename, commit) is never left to a destructor: it is called and checked.
 */
#ifndef OWN_H
#define OWN_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <dirent.h>

#define OWN(fn) __attribute__((cleanup(fn)))
#define MUST_CHECK __attribute__((warn_unused_result))

static inline void own_freep(void *pp) { free(*(void **)pp); }
static inline void own_closep(int *fd) { if (*fd >= 0) (void)close(*fd); }
static inline void own_fclosep(FILE **f) { if (*f) (void)fclose(*f); }
static inline void own_closedirp(DIR **d) { if (*d) (void)closedir(*d); }

#define OWN_FREE OWN(own_freep)
#define OWN_FD OWN(own_closep)
#define OWN_FILE OWN(own_fclosep)
#define OWN_DIR OWN(own_closedirp)

/* Hand over *fd: returns it and leaves -1 behind. */
static inline int take_fd(int *fd) { int t = *fd; *fd = -1; return t; }
/* Hand over *pp: returns it and leaves NULL behind. */
#define take_ptr(pp) __extension__({ __typeof__(*(pp)) take_ = *(pp); *(pp) = NULL; take_; })

#endif
