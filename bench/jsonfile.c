/* jsonfile.c - see jsonfile.h. */
#include "jsonfile.h"

#include <stdio.h>

enum { DIGITS = 6 };

static int
to_stdout(const json_t *json, struct err *err)
{
    if (json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS)) < 0 ||
        putchar('\n') == EOF || fflush(stdout) != 0)
        return err_sys(err, "cannot write to standard output");
    return 0;
}

int
jsonfile_write(const json_t *json, const char *path, struct err *err)
{
    FILE *f;
    int rc;

    if (strcmp(path, "-") == 0)
        return to_stdout(json, err);
    f = fopen(path, "we");
    if (f == NULL)
        return err_sys(err, "cannot write %.200s", path);
    rc = json_dumpf(json, f, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS));
    if (fputc('\n', f) == EOF)
        rc = -1;
    if (fclose(f) != 0 || rc < 0)
        return err_sys(err, "cannot write %.200s", path);
    return 0;
}
