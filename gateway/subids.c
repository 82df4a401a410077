/* subids.c - see subids.h. */
#include "subids.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 512 };

/* The number at *text and what separates it from the next; false if there is none below 2^32. */
static bool
take_number(char **text, char behind, unsigned *out)
{
    char *end;
    unsigned long n = strtoul(*text, &end, 10);

    if (end == *text || **text == '-' || *end != behind || n > UINT32_MAX)
        return false;
    *out = (unsigned)n;
    *text = end + 1;
    return true;
}

static void
add(struct subids *ids, const struct subids_range *range)
{
    /* The last id, -1, is nobody's; so is what would wrap around. */
    if (range->count == 0 || range->first == 0 || range->count > UINT32_MAX - range->first ||
        range->count > UINT32_MAX - ids->total || ids->n == SUBIDS_MAX_RANGES)
        return;
    ids->ranges[ids->n++] = *range;
    ids->total += range->count;
}

void
subids_read(struct subids *ids, const char *path, const char *name, unsigned uid)
{
    char line[MAX_LINE], number[16];
    FILE *file = fopen(path, "re");

    memset(ids, 0, sizeof(*ids));
    snprintf(number, sizeof(number), "%u", uid);
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        struct subids_range range;
        char *rest = strchr(line, ':');

        if (rest == NULL)
            continue;
        *rest++ = '\0';
        if (strcmp(line, name) != 0 && strcmp(line, number) != 0)
            continue;
        if (take_number(&rest, ':', &range.first) && take_number(&rest, '\n', &range.count))
            add(ids, &range);
    }
    if (file != NULL)
        fclose(file);
}
