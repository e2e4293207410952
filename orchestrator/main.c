/* main - start and exit code, nothing else. */
#include <signal.h>

#include "command.h"

int main(int argc, char **argv)
{
	/* A connection or pipe that closes is an error of the write, which is checked; not a silent death. */
	(void)signal(SIGPIPE, SIG_IGN);
	return cli_main(argc, argv);
}
