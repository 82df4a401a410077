/* output_told.h - an output that tests tell what a kernel says, and whose answer they look at. */
#ifndef TESTS_UNIT_OUTPUT_TOLD_H
#define TESTS_UNIT_OUTPUT_TOLD_H

#include <jansson.h>
#include <stddef.h>

#include "gateway/output.h"

#define PNG "iVBORw0KGgo="
#define PNG2 "iVBORw0KGgoA"

/* The fixtures: *state is an output of 1000 bytes. */
int setup(void **state);
int teardown(void **state);

/* What a kernel says; a message's content is JSON of quoted.h. */
void message(struct output *o, const char *type, const char *content);
void stream(struct output *o, const char *text);
void display(struct output *o, const char *mime, const char *value, const char *id);
void raw(struct output *o, int fd, const char *bytes);
void refuse(struct output *o, const char *content);
void raise_error(struct output *o, const char *ename, const char *evalue, const char *line);

/* What the answer has at a key, as JSON. */
void answer_has(json_t *answer, const char *key, const char *expected);
/* Takes the answer; its text is this, NULL for none. */
void text_is(struct output *o, const char *expected);

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
