/* messages_internal - for the files of this room only. */
#ifndef MESSAGES_INTERNAL_H
#define MESSAGES_INTERNAL_H

#include "messages.h"

/* "malformed MSG" as ERR_INTEGRITY; always -1. */
int msg_bad(struct err *e, const char *what);
/* NUL-terminated copy of a bytes field of at most max, without NUL inside; NULL: malformed (the view has failed) or memory. */
char *msg_text(struct view *v, size_t max);
/* The same for a safe path. */
char *msg_path(struct view *v);
void msg_put_text(struct buf *b, const char *s);
/* 0 when everything was read and nothing is left; frees nothing. */
int msg_done_view(const struct view *v, const char *what, struct err *e) MUST_CHECK;
enum err_class msg_class(uint8_t c);
/* Clean for output: existing \ooo escapes stay. */
char *msg_clean(const char *s, size_t n);

#endif
