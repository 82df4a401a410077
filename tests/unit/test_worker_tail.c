/* test_worker_tail.c - the last part of an output that is over its limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "worker/tail.h"

static struct tail t;

static int
begin(void **state)
{
    (void)state;
    tail_reset(&t, 10, 4);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    tail_reset(&t, 0, 0);
    assert_int_equal(t.n, 0);
    assert_int_equal(t.bytes, 0);
    return 0;
}

static void
write_bytes(const char *s)
{
    tail_add_bytes(&t, '1', s, strlen(s));
}

static void
publish(char name, size_t size)
{
    struct message m = {.n = 0};

    message_append_byte(&m, (uint8_t)name);
    tail_add_message(&t, &m, size);
    assert_int_equal(m.n, 0);
}

/* What is in it: bytes as they are, a message by its name in brackets. */
static void
holds(const char *expected)
{
    char text[200] = "";

    for (unsigned i = 0; i < t.n; i++) {
        const struct tail_item *item = &t.items[(t.first + i) % TAIL_MAX_ITEMS];

        if (item->message) {
            strcat(text, "[");
            strncat(text, item->message->frames[0].data, 1);
            strcat(text, "]");
        } else {
            strncat(text, item->bytes + item->offset, item->size);
        }
    }
    assert_string_equal(text, expected);
}

static void
all_is_kept_while_there_is_room(void **state)
{
    (void)state;
    write_bytes("abc");
    publish('m', 4);
    write_bytes("def");
    holds("abc[m]def");
    assert_false(t.dropped);
}

static void
bytes_lose_their_beginning(void **state)
{
    (void)state;
    write_bytes("abcdef");
    write_bytes("ghijkl");
    holds("cdefghijkl");
    assert_true(t.dropped);
    write_bytes("0123456789ABCDEF");
    holds("6789ABCDEF");
}

static void
messages_go_whole(void **state)
{
    (void)state;
    publish('a', 4);
    publish('b', 4);
    publish('c', 4);
    holds("[b][c]");
    assert_true(t.dropped);
}

static void
items_are_counted(void **state)
{
    (void)state;
    for (const char *s = "abcdef"; *s; s++)
        publish(*s, 1);
    holds("[c][d][e][f]");
    assert_true(t.dropped);
}

static void
small_pieces_are_put_together(void **state)
{
    (void)state;
    for (const char *s = "abcdefghi"; *s; s++)
        tail_add_bytes(&t, '2', s, 1);
    holds("abcdefghi");
    assert_int_equal(t.n, 1);
    write_bytes("x");
    assert_int_equal(t.n, 2);
    assert_false(t.dropped);
    write_bytes("y");
    holds("bcdefghixy");
}

static void
too_large_a_message_takes_what_was_before_it_along(void **state)
{
    (void)state;
    write_bytes("abc");
    publish('x', 11);
    holds("");
    assert_true(t.dropped);
    write_bytes("def");
    holds("def");
}

static void
none_is_kept_if_none_may_be(void **state)
{
    (void)state;
    tail_reset(&t, 10, 0);
    write_bytes("abc");
    publish('a', 1);
    holds("");
    assert_true(t.dropped);
    tail_reset(&t, 0, 10);
    assert_false(t.dropped);
    write_bytes("abc");
    publish('a', 1);
    holds("");
    assert_true(t.dropped);
}

static void
the_ring_goes_round(void **state)
{
    (void)state;
    tail_reset(&t, TAIL_MAX_BYTES + 1, TAIL_MAX_ITEMS + 1);
    for (int i = 0; i < 3 * TAIL_MAX_ITEMS; i++)
        publish('m', 1);
    assert_int_equal(t.n, TAIL_MAX_ITEMS);
    assert_int_equal(t.bytes, TAIL_MAX_ITEMS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_is_kept_while_there_is_room),
        TEST(bytes_lose_their_beginning),
        TEST(messages_go_whole),
        TEST(items_are_counted),
        TEST(small_pieces_are_put_together),
        TEST(too_large_a_message_takes_what_was_before_it_along),
        TEST(none_is_kept_if_none_may_be),
        TEST(the_ring_goes_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
