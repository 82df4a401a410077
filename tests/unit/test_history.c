/* test_history.c - what is written is read again, as far as it is wanted, and whatever has become of the files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "gateway/history.h"
#include "tests/unit/scratch.h"

enum { MOST = 400 };

static char top[SCRATCH_PATH], dir[SCRATCH_PATH + 8];
static struct history *history;

/* What history_read has found: "SESSION KEY ANSWER;" of each, its serial, and where. */
static char found[1 << 20];
static unsigned long long serials[MOST];
static struct history_place places[MOST];
static unsigned n_found;

static void
on_found(void *owner, const char *session, const struct history_record *r,
         const struct history_place *place)
{
    const size_t len = strlen(found);

    (void)owner;
    assert_true(n_found < MOST);
    assert_int_equal(r->hash[0], 0xab);
    assert_int_equal(r->ended, 1700000000000);
    snprintf(found + len, sizeof(found) - len, "%s %s %.*s;", session, r->key, (int)r->len,
             r->answer);
    serials[n_found] = r->serial;
    places[n_found++] = *place;
}

static void
reopen(void)
{
    struct err err = ERR_INIT;

    history_free(history);
    history = history_new(dir, &err);
    assert_non_null(history);
    found[0] = '\0';
    n_found = 0;
    history_read(history, on_found, NULL);
}

static int
set_up(void **state)
{
    (void)state;
    if (scratch_make(top) < 0)
        return -1;
    snprintf(dir, sizeof(dir), "%s/h", top);
    reopen();
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    history_free(history);
    history = NULL;
    return scratch_remove(top);
}

static struct history_place
add(const char *session, const char *key, const char *answer)
{
    const struct history_record r = {.key = key,
                                     .hash = {0xab},
                                     .answer = answer,
                                     .len = strlen(answer),
                                     .serial = strlen(answer) + 1,
                                     .ended = 1700000000000};

    return history_add(history, session, &r);
}

static unsigned
count_files(void)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    unsigned n = 0;

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL)
        n += entry->d_name[0] != '.';
    closedir(d);
    return n;
}

/* The one file there is, opened. */
static int
the_file(int flags)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    int fd = -1;

    assert_non_null(d);
    assert_int_equal(count_files(), 1);
    while ((entry = readdir(d)) != NULL)
        if (entry->d_name[0] != '.')
            fd = openat(dirfd(d), entry->d_name, flags);
    closedir(d);
    assert_true(fd >= 0);
    return fd;
}

static void
what_is_written_is_read(void **state)
{
    struct stat st;
    int fd;

    (void)state;
    assert_non_null(add("a", "", "{1}").file);
    assert_non_null(add("a", "k + 3\t", "line\nfeed").file);
    fd = the_file(O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    close(fd);
    assert_non_null(add("0123/a", "", "").file);
    reopen();
    assert_int_equal(n_found, 3);
    assert_non_null(strstr(found, "a  {1};a k + 3\t line\nfeed;"));
    assert_non_null(strstr(found, "0123/a  ;"));
    assert_non_null(add("a", "", "{2}").file);
    reopen();
    assert_non_null(strstr(found, "line\nfeed;a  {2};"));
    assert_int_equal(serials[strstr(found, "0123/a") == found], 4);
    assert_int_equal(count_files(), 2);
}

static void
files_go_with_their_records(void **state)
{
    struct history_place first = add("a", "", "1"), second = add("a", "", "2");

    (void)state;
    history_drop(history, &first, false);
    assert_null(first.file);
    history_drop(history, &first, false); /* nowhere */
    assert_int_equal(count_files(), 1);
    history_drop(history, &second, false);
    assert_int_equal(count_files(), 0);
    assert_non_null(add("a", "", "3").file);
    reopen();
    assert_string_equal(found, "a  3;");
    history_drop(history, &places[0], false);
    assert_int_equal(count_files(), 0);
}

static void
what_is_erased_is_not_there(void **state)
{
    struct history_place first = add("a", "", "1"), second = add("a", "thekey", "secret");
    char text[1024];
    int fd;

    (void)state;
    assert_non_null(add("a", "", "3").file);
    history_drop(history, &second, true);
    fd = the_file(O_RDONLY);
    assert_true(read(fd, text, sizeof(text)) > 0);
    assert_null(memmem(text, sizeof(text), "secret", 6));
    assert_null(memmem(text, sizeof(text), "thekey", 6));
    close(fd);
    history_drop(history, &first,
                 false); /* that alone leaves it to be read: bounds are the reader's */
    reopen();
    assert_string_equal(found, "a  1;a  3;");
}

static void
each_file_has_its_size(void **state)
{
    char answer[10001];

    (void)state;
    memset(answer, 'x', sizeof(answer) - 1);
    answer[sizeof(answer) - 1] = '\0';
    for (int i = 0; i < 60; i++) {
        snprintf(answer, 8, "%07d", i);
        answer[7] = 'x';
        assert_non_null(add("a", "", answer).file);
    }
    assert_int_equal(count_files(), 3); /* of 256 KiB each */
    reopen();
    assert_int_equal(n_found, 60);
    for (int i = 0; i < 60; i++)
        assert_int_equal(strtol(found + (size_t)i * 10004 + 3, NULL, 10), i);
    for (int i = 0; i < 30; i++)
        history_drop(history, &places[i], false);
    assert_int_equal(count_files(), 2);
    reopen();
    assert_int_equal(n_found, 34); /* 26 were in the first */
}

/* A write that did not come to its end, or a page that was lost: what is before counts, and what comes next is written there. */
static void
broken_files(void **state)
{
    static const char *const tails[] = {"+ 0 100 1700000000000 ab",
                                        "\n\n",
                                        "+ 0 9999999999 1 ab\n{}\n",
                                        "+ 1 1 1 zz\n12\n",
                                        "\1\2\3",
                                        "+ -1 -1 -1 \n",
                                        "- 0 1"};
    int fd;

    (void)state;
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        struct history_place one = add("a", "", "1");

        fd = the_file(O_WRONLY | O_APPEND);
        assert_int_equal(write(fd, tails[i], strlen(tails[i])), strlen(tails[i]));
        close(fd);
        reopen();
        assert_string_equal(found, "a  1;");
        assert_non_null(add("a", "", "2").file);
        reopen();
        assert_string_equal(found, "a  1;a  2;");
        one = places[0];
        history_drop(history, &one, false);
        one = places[1];
        history_drop(history, &one, false);
        assert_int_equal(count_files(), 0);
    }
}

/* As they were written once. */
static void
without_a_serial(void **state)
{
    static const char record[] =
        "+ 1 3 1700000000000 "
        "ab00000000000000000000000000000000000000000000000000000000000000\nk{1}\n";
    int fd;

    (void)state;
    assert_non_null(add("a", "", "1").file);
    fd = the_file(O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, record, strlen(record)), strlen(record));
    close(fd);
    reopen();
    assert_string_equal(found, "a  1;a k {1};");
    assert_int_equal(serials[0], 2);
    assert_int_equal(serials[1], 1700000000000);
}

static void
foreign_files(void **state)
{
    int fd;

    (void)state;
    assert_non_null(add("a", "", "1").file);
    fd = the_file(O_WRONLY);
    assert_int_equal(pwrite(fd, "tci-history 1 b", 15, 0), 15); /* not what its name says */
    close(fd);
    reopen();
    assert_string_equal(found, "");
    assert_non_null(add("a", "", "2").file); /* in its place */
    reopen();
    assert_string_equal(found, "a  2;");
}

static void
where_nothing_can_be_written(void **state)
{
    struct history_place place = add("a", "", "1");

    (void)state;
    assert_int_equal(scratch_remove(dir), 0);
    assert_null(add("b", "", "2").file);
    history_drop(history, &place, true);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_non_null(add("b", "", "3").file);
    reopen();
    assert_string_equal(found, "b  3;");
}

static void
where_there_is_no_space(void **state)
{
    struct rlimit all, little;

    (void)state;
    add("a", "", "1");
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
    little = (struct rlimit){150, all.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    assert_null(add("a", "", "a long answer of which a part is written").file);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
    assert_non_null(add("a", "", "2").file);
    reopen();
    assert_string_equal(found, "a  1;a  2;");
}

/* More than are open at a time. */
static void
many_sessions(void **state)
{
    enum { SESSIONS = 50, ROUNDS = 3 };
    char name[8];

    (void)state;
    for (int i = 0; i < SESSIONS * ROUNDS; i++) {
        snprintf(name, sizeof(name), "s%d", i % SESSIONS);
        assert_non_null(add(name, "", "1").file);
    }
    reopen();
    assert_int_equal(n_found, SESSIONS * ROUNDS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_go_with_their_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_erased_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_file_has_its_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_serial, set_up, tear_down),
        cmocka_unit_test_setup_teardown(foreign_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_nothing_can_be_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_there_is_no_space, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_sessions, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
