/* drop_side - the receiver's side of a drop: a host that no plan need name. */
#ifndef DROP_SIDE_H
#define DROP_SIDE_H

#include "command.h"

/* A local path from the working directory on, without slashes at its end; owned, NULL with errno. */
char *cli_absolute(const char *arg);
/* "NAME:/DIR" taken apart; *host owned, *dir points into arg.  0 = arg is none of those (a local path); 1; -1. */
int drop_split(const char *arg, char **host, const char **dir, struct err *e) MUST_CHECK;
/*
 * from is "[USER@]ADDRESS-or-ssh_config-alias[:PORT]:/DIR"; keys, known hosts and jumps are the OpenSSH configuration's.  The package there
 * becomes local (absolute), or, with empty, what local lists is removed there.  Says on standard output what was done.
 */
int drop_side(struct cli_context *c, const char *from, const char *local, bool empty, struct err *e) MUST_CHECK;

#endif
