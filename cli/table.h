/* table.h - columns that are as wide as what is in them, in columns of the terminal. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdio.h>

struct table;

/* headings: up to a NULL, borrowed; one that begins with '>' has its numbers to the right.  A column with nothing in it is left out. */
struct table *table_new(const char *const *headings);
void table_free(struct table *); /* accepts NULL */

/* The next cell, row by row; control characters become question marks.  NULL is nothing. */
void table_add(struct table *, const char *text);
void table_add_number(struct table *, long long n);

void table_print(const struct table *, FILE *);

#endif
