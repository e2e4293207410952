/* package_internal - shared by package*.c only. */
#ifndef PACKAGE_INTERNAL_H
#define PACKAGE_INTERNAL_H

#include "archive.h"
#include "pack.h"
#include "package.h"
#include "version.h"

/* A file of the package on its way: written, hashed, durable when closed. */
struct bag_file {
	struct bag *bag;
	int fd;
	char name[256];			/* in the bag, percent-encoded where BagIt wants it (our names never need it) */
	struct digest *sha256, *sm3;
	uint64_t bytes;
};

struct bag {
	struct run *r;
	int dirfd;			/* of the bag */
	struct buf manifest_sha256, manifest_sm3, tag_sha256;	/* lines so far */
	uint64_t files, bytes;		/* payload */
	struct archive *archive;
};

/* package_bag.c */
int bag_file_open(struct bag *b, const char *name, struct bag_file *f, struct err *e) MUST_CHECK;
int bag_file_write(struct bag_file *f, const void *p, size_t n, struct err *e) MUST_CHECK;
/* fsync, close, one line in the manifest it belongs to ("data/..." is payload, the rest are tags). */
int bag_file_close(struct bag_file *f, struct err *e) MUST_CHECK;
void bag_file_abandon(struct bag_file *f);
int bag_put(struct bag *b, const char *name, unsigned mode, const void *p, size_t n, struct err *e) MUST_CHECK;
int bag_tags(struct bag *b, struct package_result *out, struct err *e) MUST_CHECK;

/*
 * package_adopt.c: 1 = dir holds the very package that would be written now, whole (a run was killed between writing and
 * recording it); 0 = it does not; -1.
 */
int package_adopt(struct run *r, const char *dir, struct package_result *out, struct err *e) MUST_CHECK;

/* package.c: where the plan wants its package (owned; NULL with errno); a package that is of no use any more. */
char *package_place(struct run *r);
void package_remove(const char *path);
/* Nothing is there, or an empty directory, which goes; else ERR_REFUSED. */
int package_check_place(const char *dir, struct err *e) MUST_CHECK;

/* package_data.c: data/D/ of one dataset */
int package_dataset(struct bag *b, const struct plan_dataset *d, struct err *e) MUST_CHECK;

/* Names in links.txt and large.txt: printf(1) of the text gives the bytes; [A-Za-z0-9._/-] stay, all else is \ooo. */
void package_name(struct buf *b, const char *p, size_t n);

extern const char package_verify_sh[], package_restore_sh[], package_readme[];

#endif
