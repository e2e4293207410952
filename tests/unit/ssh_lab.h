/* ssh_lab - real sshd processes for unit tests, by way of tests/lib/sshd_serve.sh; include after cmocka.h. */
#ifndef SSH_LAB_H
#define SSH_LAB_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"

struct lab { char dir[64]; pid_t pid; FILE *to, *from; };
static struct lab lab;

/* Shell code (one line); its output, trimmed, in a static buffer.  The test fails when it fails. */
__attribute__((format(printf, 1, 2), unused))
static const char *lab_do(const char *fmt, ...)
{
	static char out[8][8192];
	static unsigned turn;
	char line[4096], *o = out[turn++ % 8];
	size_t n = 0;
	va_list ap;

	va_start(ap, fmt);
	vfprintf(lab.to, fmt, ap);
	va_end(ap);
	fputc('\n', lab.to);
	fflush(lab.to);
	o[0] = '\0';
	while (fgets(line, sizeof(line), lab.from)) {
		if (line[0] == '=') {
			if (strcmp(line, "=0\n") != 0)
				fail_msg("lab: %s failed %s%s", fmt, line, o);
			while (n && o[n - 1] == '\n')
				o[--n] = '\0';
			return o;
		}
		n += (size_t)snprintf(o + n, sizeof(out[0]) - n, "%s", line);
	}
	fail_msg("lab: the server is gone");
	return NULL;
}

__attribute__((unused))
static int lab_start(void)
{
	const char *source = getenv("WAYBILL_SOURCE");
	char script[512], config[128];
	const char *argv[] = { "bash", script, lab.dir, NULL };
	struct err e = ERR_INIT;
	int in, out;

	snprintf(lab.dir, sizeof(lab.dir), "/tmp/wb-lab-XXXXXX");
	if (!source || !mkdtemp(lab.dir))
		return -1;
	(void)chmod(lab.dir, 0755);
	snprintf(script, sizeof(script), "%s/tests/lib/sshd_serve.sh", source);
	unsetenv("SSH_AUTH_SOCK");
	if ((lab.pid = proc_start(argv, &in, &out, NULL, &e)) < 0)
		return -1;
	lab.to = fdopen(in, "w");
	lab.from = fdopen(out, "r");
	snprintf(config, sizeof(config), "%s/ssh_config", lab.dir);
	setenv("WAYBILL_SSH_CONFIG", config, 1);
	lab_do("printf 'UserKnownHostsFile %%s/known_hosts\\nGlobalKnownHostsFile /dev/null\\nIdentityFile %%s\\nIdentityAgent SSH_AUTH_SOCK\\n' "
	    "$SSHD_LAB $SSHD_KEY > $SSHD_LAB/ssh_config; : > $SSHD_LAB/known_hosts");
	return 0;
}

__attribute__((unused))
static int lab_stop(void)
{
	int status;

	if (!lab.to)
		return -1;
	lab_do("rm -rf $SSHD_LAB/*");
	fclose(lab.to);
	while (waitpid(lab.pid, &status, 0) < 0)
		continue;
	fclose(lab.from);
	/* Agents remove their sockets at the end, so the directory is removed last. */
	return rmdir(lab.dir);
}

#endif
