/*
 * flaky-crun.c - crun that fails to start a container now and then, for the fault harness.
 *
 * Stands in the place of crun in the gateway's PATH and runs the real one, but for one start in N, N being what the
 * file "one-in" beside crun's --root says; 0 or no file: never.  A program, not a script: the gateway executes a sealed
 * copy in memory, where an interpreter would find nothing to read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static const char *
root_of(char *const argv[])
{
    for (; *argv != NULL; argv++)
        if (strcmp(*argv, "--root") == 0 && argv[1] != NULL)
            return argv[1];
    return "";
}

static unsigned long
read_one_in(char *const argv[])
{
    char path[4096], text[16] = "";
    FILE *file;

    snprintf(path, sizeof(path), "%s/../one-in", root_of(argv));
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fgets(text, sizeof(text), file) == NULL)
        text[0] = '\0';
    fclose(file);
    return strtoul(text, NULL, 10);
}

static int
is_start(char *const argv[])
{
    for (; *argv != NULL; argv++)
        if (strcmp(*argv, "run") == 0)
            return 1;
    return 0;
}

int
main(int argc, char *argv[])
{
    unsigned long one_in = read_one_in(argv);
    unsigned int random = 1;

    (void)argc;
    if (one_in > 0 && is_start(argv) && getrandom(&random, sizeof(random), 0) == sizeof(random) &&
        random % one_in == 0) {
        fputs("flaky-crun: this start was to fail\n", stderr);
        return 1;
    }
    execvp("crun", argv);
    perror("crun");
    return 127;
}
