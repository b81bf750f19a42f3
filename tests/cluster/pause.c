/*
 * The sandbox process of a test pod: holds the pod's namespaces, reaps what is left to it, ends on TERM.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_end(int number)
{
    (void)number;
    _exit(EXIT_SUCCESS);
}

static void on_child(int number)
{
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

int main(void)
{
    struct sigaction end = {.sa_handler = on_end};
    struct sigaction child = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};

    if (sigaction(SIGTERM, &end, NULL) < 0 || sigaction(SIGINT, &end, NULL) < 0 || sigaction(SIGCHLD, &child, NULL) < 0)
        return EXIT_FAILURE;
    for (;;)
        pause();
}
