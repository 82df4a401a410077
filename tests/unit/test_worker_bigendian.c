/* test_worker_bigendian.c - numbers as they go over the link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "worker/bigendian.h"

static const uint8_t bytes[] = {0x00, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10, 0xff};

static void
the_first_byte_is_the_highest(void **state)
{
    (void)state;
    assert_int_equal(bigendian_get32(bytes), 0x00fedcba);
    assert_int_equal(bigendian_get64(bytes), 0x00fedcba98765432);
}

static void
any_address_will_do(void **state)
{
    (void)state;
    assert_int_equal(bigendian_get32(bytes + 1), 0xfedcba98);
    assert_int_equal(bigendian_get64(bytes + 1), 0xfedcba9876543210);
}

static void
what_is_put_is_its_bytes_and_no_more(void **state)
{
    uint8_t out[10] = {[9] = 0xff};

    (void)state;
    bigendian_put64(out + 1, 0xfedcba9876543210);
    assert_memory_equal(out, bytes, sizeof(bytes));
    bigendian_put32(out + 1, 0);
    assert_memory_equal(out, "\0\0\0\0\0\x76\x54\x32\x10\xff", sizeof(out));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_byte_is_the_highest),
        cmocka_unit_test(any_address_will_do),
        cmocka_unit_test(what_is_put_is_its_bytes_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
