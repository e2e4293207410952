/* tcp - a connected non-blocking socket, or the reason why not. */
#ifndef TCP_H
#define TCP_H

#include <stdint.h>
#include "err.h"

/*
 * Tries every address of the name until deadline (CLOCK_MONOTONIC).  ERR_UNREACHABLE: name not found, refused, no route, timeout.
 * who for messages.  user_timeout_s: the kernel ends the connection when the far side acknowledges nothing for so long.
 */
int tcp_connect(const char *hostname, int port, int64_t deadline_ns, int user_timeout_s, const char *who, int *fd, struct err *e) MUST_CHECK;

#endif
