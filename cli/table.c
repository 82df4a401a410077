/* table.c - see table.h. */
#include "table.h"

#include <stdbool.h>
#include <string.h>

#include "gateway/mem.h"
#include "terminal.h"
#include "width.h"

enum { MAX_COLUMNS = 12 };

struct table {
    const char *const *headings;
    size_t n_columns;
    size_t width[MAX_COLUMNS]; /* 0: nothing is in it */
    char **cells;
    size_t n_cells, size;
};

struct table *
table_new(const char *const *headings)
{
    struct table *t = xcalloc(1, sizeof(*t));

    t->headings = headings;
    while (t->n_columns < MAX_COLUMNS && headings[t->n_columns])
        t->n_columns++;
    return t;
}

void
table_free(struct table *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
}

void
table_add(struct table *t, const char *text)
{
    const size_t column = t->n_cells % t->n_columns;
    char *cell = terminal_clean(xstrdup(text ? text : ""));
    const size_t width = width_of(cell);

    if (t->n_cells == t->size) {
        t->size = t->size ? 2 * t->size : 64;
        t->cells = xrealloc(t->cells, t->size * sizeof(*t->cells));
    }
    t->cells[t->n_cells++] = cell;
    if (width > t->width[column])
        t->width[column] = width;
}

void
table_add_number(struct table *t, long long n)
{
    cleanup_free char *text = xasprintf("%lld", n);

    table_add(t, text);
}

static bool
is_number(const struct table *t, size_t column)
{
    return t->headings[column][0] == '>';
}

static size_t
width_of_column(const struct table *t, size_t column)
{
    const size_t heading = width_of(t->headings[column] + is_number(t, column));

    return t->width[column] > heading ? t->width[column] : heading;
}

/* Nothing is filled up that stands at a line's end. */
static void
print_row(const struct table *t, const char *const *row, bool is_heading, FILE *out)
{
    size_t owed = 0;

    for (size_t i = 0; i < t->n_columns; i++) {
        const char *text = row[i] + (is_heading && is_number(t, i));
        const size_t used = width_of(text), width = width_of_column(t, i);
        const size_t fill = width - used;

        if (t->width[i] == 0)
            continue;
        if (text[0]) {
            fprintf(out, "%*s%s", (int)(owed + (is_number(t, i) ? fill : 0)), "", text);
            owed = is_number(t, i) ? 2 : fill + 2;
        } else {
            owed += width + 2;
        }
    }
    fputc('\n', out);
}

void
table_print(const struct table *t, FILE *out)
{
    if (t->n_cells > 0)
        print_row(t, t->headings, true, out);
    for (size_t i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns)
        print_row(t, (const char *const *)t->cells + i, false, out);
}
