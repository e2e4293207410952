/*
 * names - owner names for numeric ids, asked of getent as a child (the static agent has no NSS) and remembered.
 */
#ifndef NAMES_H
#define NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct names { struct name_entry *v; size_t n, cap; bool off; unsigned asked; };
#define NAMES_INIT { NULL, 0, 0, false, 0 }

/* Name of the id, borrowed until names_dispose; NULL when it has none or nobody can be asked. */
const char *names_get(struct names *s, bool group, uint32_t id);
void names_dispose(struct names *s);

#endif
