/*
 * test_cgroup.c - control groups of both versions.  What the host does not have mounted is played by plain directories:
 * the module only reads, writes and removes files.  The mounted layout itself is tested by test_runtime.
 */
#include "cgroup.c" // NOLINT(bugprone-suspicious-include): its statics are tested
#include "gateway/cgroup_usage.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/wait.h>

static char top[SCRATCH_PATH];

static void
put(const char *name, const char *text)
{
    cleanup_free char *path = xasprintf("%s/%s", top, name);
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void
make(const char *name)
{
    cleanup_free char *path = xasprintf("%s/%s", top, name);

    assert_int_equal(mkdir(path, 0755), 0);
}

static int
make_top(void **state)
{
    (void)state;
    return scratch_make(top);
}

static int
remove_top(void **state)
{
    (void)state;
    return scratch_remove(top);
}

static struct cgroup_host *
make_host(bool v2)
{
    struct cgroup_host *host = xcalloc(1, sizeof(*host));

    host->root = xstrdup(top);
    host->v2 = v2;
    snprintf(host->parent, sizeof(host->parent), "tci-0");
    host->hierarchies[host->n_hierarchies++] = xstrdup(top);
    host->memory = host->hierarchies[0];
    make("tci-0");
    make("tci-0/a");
    return host;
}

static void
test_words(void **state)
{
    (void)state;
    assert_true(has_word("cpu,cpuacct", "cpu"));
    assert_true(has_word("cpuset cpu io memory\n", "memory"));
    assert_false(has_word("cpuset io", "cpu"));
    assert_false(has_word("cpuacct", "cpu"));
    assert_false(has_word("", "cpu"));
    assert_false(has_word("xcpu", "cpu"));
}

static void
test_parent_depends_on_state_directory(void **state)
{
    (void)state;
    assert_int_not_equal(fnv1a("/var/lib/tci"), fnv1a("/var/lib/tci2"));
    assert_int_equal(fnv1a(""), 2166136261u);
}

static void
test_oom_v1(void **state)
{
    struct cgroup_host *host = make_host(false);

    (void)state;
    assert_false(cgroup_oom_killed(host, "a"));
    put("tci-0/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
    assert_false(cgroup_oom_killed(host, "a"));
    put("tci-0/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 12\n");
    assert_true(cgroup_oom_killed(host, "a"));
    assert_false(cgroup_oom_killed(host, "b"));
    host_free(host);
}

static void
test_oom_v2(void **state)
{
    struct cgroup_host *host = make_host(true);

    (void)state;
    put("tci-0/a/memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 0\noom_group_kill 0\n");
    assert_false(cgroup_oom_killed(host, "a"));
    put("tci-0/a/memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 1\noom_group_kill 0\n");
    assert_true(cgroup_oom_killed(host, "a"));
    host_free(host);
}

static void
test_v2_needs_its_controllers(void **state)
{
    struct cgroup_host *host = make_host(true);
    struct err err = ERR_INIT;

    (void)state;
    host_free(host);
    host = xcalloc(1, sizeof(*host));
    host->root = xstrdup(top);
    put("cgroup.controllers", "cpuset cpu io hugetlb\n");
    assert_int_equal(check_v2(host, &err), -1);
    assert_non_null(strstr(err.msg, "controller memory"));
    put("cgroup.controllers", "cpuset cpu io memory pids\n");
    assert_int_equal(check_v2(host, &err), 0);
    host_free(host);
}

static void
test_v1_needs_its_controllers(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    assert_null(cgroup_open(top, "/var/lib/tci", &err)); /* no cgroup is mounted there */
    assert_non_null(strstr(err.msg, "controller cpu"));
    assert_null(cgroup_open("/nonexistent", "/var/lib/tci", &err));
}

static void
test_kill(void **state)
{
    struct cgroup_host *host = make_host(true);
    pid_t pid = fork();
    char text[64];
    int status;

    (void)state;
    if (pid == 0)
        for (;;)
            pause();
    /* Nobody, init and nonsense are passed over. */
    snprintf(text, sizeof(text), "0\n1\nx\n-1\n%d\n", (int)pid);
    put("tci-0/a/cgroup.procs", text);
    put("tci-0/a/cgroup.kill", "");
    put("tci-0/a/freezer.state", "FROZEN");
    assert_true(cgroup_kill(host, "a"));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    put("tci-0/a/cgroup.procs", "");
    assert_false(cgroup_kill(host, "a"));
    assert_false(cgroup_kill(host, "b"));
    cleanup_free char *freezer = xasprintf("%s/tci-0/a/freezer.state", top);
    smallfile_read(freezer, text, sizeof(text));
    assert_string_equal(text, "THAWED");
    host_free(host);
}

static void
count(void *arg, const char *id)
{
    assert_string_equal(id, "a");
    ++*(int *)arg;
}

static void
test_each_and_remove(void **state)
{
    struct cgroup_host *host = make_host(true);
    struct err err = ERR_INIT;
    int n = 0;

    (void)state;
    make("tci-0/a/inner");
    cgroup_each(host, count, &n);
    assert_int_equal(n, 1);
    put("tci-0/a/busy", "");
    assert_int_equal(cgroup_remove(host, "a", &err), -1);
    assert_int_equal(err.sys_errno, ENOTEMPTY);
    cleanup_free char *busy = xasprintf("%s/tci-0/a/busy", top);
    unlink(busy);
    assert_int_equal(cgroup_remove(host, "a", &err), 0);
    assert_int_equal(cgroup_remove(host, "a", &err), 0);
    cgroup_each(host, count, &n);
    assert_int_equal(n, 1);
    cgroup_close(host);
    cleanup_free char *parent = xasprintf("%s/tci-0", top);
    assert_int_equal(access(parent, F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_top, remove_top)

static void
test_peak(void **state)
{
    struct cgroup_host *host = make_host(false);
    struct cgroup_peak p = {.fd = -1};

    (void)state;
    assert_int_equal(cgroup_peak_take(&p), 0);
    cgroup_peak_watch(host, "a", &p);
    assert_int_equal(cgroup_peak_take(&p), 0); /* there is no such file */
    put("tci-0/a/memory.max_usage_in_bytes", "500");
    cgroup_peak_watch(host, "a", &p);
    put("tci-0/a/memory.max_usage_in_bytes", "300");
    assert_int_equal(cgroup_peak_take(&p), 300);
    assert_int_equal(cgroup_peak_take(&p), 0);
    assert_int_equal(p.forgotten, 500);
    cgroup_peak_watch(host, "a", &p);
    cgroup_peak_watch(host, "a", &p);
    cgroup_peak_clear(&p);
    assert_int_equal(p.forgotten, 500);
    cgroup_close(host);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_words),
        TEST(test_parent_depends_on_state_directory),
        TEST(test_oom_v1),
        TEST(test_oom_v2),
        TEST(test_v2_needs_its_controllers),
        TEST(test_v1_needs_its_controllers),
        TEST(test_kill),
        TEST(test_peak),
        TEST(test_each_and_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
