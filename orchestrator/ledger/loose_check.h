/*
 * loose_check - a loose object that was cut off is told, not read for ever.
 *
 * libgit2 1.5 (Debian 12) never leaves the inflate loop of a loose object whose file ends too early, as after a power loss or a full
 * disk.  So every loose object is inflated once by zlib itself before libgit2 reads it; what it holds is still libgit2's to judge.
 */
#ifndef LOOSE_CHECK_H
#define LOOSE_CHECK_H

#include <git2.h>

/* 0, or libgit2's error code.  After it, reading a loose object that is cut off or no zlib stream fails with class GIT_ERROR_ZLIB. */
int loose_check_install(git_repository *repo);

#endif
