/*
 * package - the hand-over package: BagIt 1.0 with exactly one version of each dataset, written afresh (waybill-package.5).
 *
 * Everything in it opens and verifies with stock tools: VERIFY.sh and RESTORE.sh use sha256sum, tar, zstd and a shell.
 */
#ifndef PACKAGE_H
#define PACKAGE_H

#include "run.h"

struct package_result {
	char digest[DIGEST_HEX];	/* SHA-256 of tagmanifest-sha256.txt */
	uint64_t files, bytes;		/* payload files and their bytes */
	char *path;			/* absolute; owned */
};
void package_result_dispose(struct package_result *p);
#define OWN_PACKAGE OWN(package_result_dispose)

/*
 * Writes the newest version of every dataset to dir, which must not exist or be empty (ERR_REFUSED).  Built under a temporary name
 * beside it and renamed when complete and durable: a package that is there is whole.
 */
int package_write(struct run *r, const char *dir, struct package_result *out, struct err *e) MUST_CHECK;
/* Data of `package done`; owned by the caller. */
json_t *package_json(struct run *r, const struct package_result *p);

struct package_relayed { struct package_result package; uint64_t sent_files, sent_bytes, kept; };

/*
 * Puts a package into the directory dir of a host of the plan, over SFTP alone (drop.h): the plan's own where its stage has made one,
 * so that who fetches it can accept it, else one that is written for this in the workspace and removed after.  Recorded as `package
 * relayed`.  The same call goes on after anything.  out->package.path is "HOST:DIR".
 */
int package_relay(struct run *r, const char *host, const char *dir, struct package_relayed *out, struct err *e) MUST_CHECK;

#endif
