/*
 * replay.c - runs a fuzz target on files instead of libFuzzer: those named, or all of its corpus, which it finds by
 * its own name in $srcdir/tests/fuzz/corpus.  Fails by crashing, or when there is nothing to run.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"
#include "gateway/mem.h"

static unsigned n_files;

static _Noreturn void
die(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

static void
run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    uint8_t *data;

    if (file == NULL || fstat(fileno(file), &st) < 0)
        die(path);
    data = xnotnull(malloc((size_t)st.st_size + 1));
    if (fread(data, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
        die(path);
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
    free(data);
    n_files++;
}

static void
run_directory(const char *path)
{
    struct dirent **entries;
    int n = chdir(path) < 0 ? -1 : scandir(".", &entries, NULL, alphasort);

    if (n < 0)
        die(path);
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.')
            run_file(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

/* .../replay_wire runs what is in corpus/wire. */
static void
run_corpus(const char *program)
{
    const char *top = getenv("srcdir"), *name = strstr(program, "replay_");
    char path[PATH_MAX];

    if (name == NULL)
        die(program);
    snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", top ? top : ".",
             name + strlen("replay_"));
    run_directory(path);
}

int
main(int argc, char *argv[])
{
    for (int i = 1; i < argc; i++)
        run_file(argv[i]);
    if (argc < 2)
        run_corpus(argv[0]);
    printf("%u files\n", n_files);
    return n_files > 0 ? 0 : 1;
}
