/*
 * The entry of the program mxwarden. Everything it does is in cli_run.c, where tests reach it.
 */
#include "policy/cli.h"

int main(int argc, char **argv)
{
    return cli_run(argc, argv, stdout, stderr);
}
