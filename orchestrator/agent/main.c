/* waybill-agent ROLE --root ABSPATH [--option ...]: argv decides the role, stdin and stdout are the wire. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"
#include "lanes.h"
#include "path.h"

static int usage(void)
{
	(void)fprintf(stderr, "usage: waybill-agent read|verify|apply|erase|challenge|scan|facts|survey|exec|readblock|verifyblock|applyblock --root ABSPATH [--option ...]\n"
	    "       waybill-agent lane TOKEN\n"
	    "       waybill-agent --version\n");
	return 2;
}

/*
 * Buffers of some MiB come and go with every object.  By default each of them is mapped anew: every page is cleared and
 * faulted in again, a quarter of all the processor time of writing a large content.
 */
static void keep_freed_memory(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 96 << 20);
}

int main(int argc, char **argv)
{
	keep_freed_memory();
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("waybill-agent %s %s\n", WAYBILL_VERSION, wire_build_id()) < 0 || fflush(stdout) ? 1 : 0;
	if (argc == 3 && strcmp(argv[1], "lane") == 0)
		return lane_main(argv[2]);
	if (argc < 4 || strcmp(argv[2], "--root") != 0 || !path_is_clean_absolute(argv[3]))
		return usage();
	return agent_serve(argv[1], argv[3], argc - 4, argv + 4, STDIN_FILENO, STDOUT_FILENO);
}
