#include "command.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    static char *none[] = { NULL, NULL };

    return cli_run(argc > 0 ? argv : none, environ);
}
