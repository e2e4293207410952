/* What both programs do at their very beginning, for every unit test: a peer that left is an EPIPE, not the end of the process. */
#include <signal.h>

__attribute__((constructor)) static void as_main(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
}
