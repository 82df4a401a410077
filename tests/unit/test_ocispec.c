/* test_ocispec.c - the sandbox's policy as it is written down: what is in config.json, and what must not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ocispec.h"
#include "rootless.h"
#include "runtime.h"
#include "seccomp.h"
#include "worker/protocol.h"

static json_t *seccomp;

static struct container_spec
make_spec(void)
{
    struct container_spec spec = {
        .id = "abc",
        .slot = 2,
        .boot = "secret",
        .boot_len = 6,
        .cpu = 1.5,
        .memory_mb = 1024,
        .disk_mb = 500,
        .pids = 128,
        .kernelspec_dir = "/specs/python3",
        .skel_dir = "/state/skel",
    };

    return spec;
}

static json_t *
make(const struct container_spec *spec, bool limits_more)
{
    const struct ocispec_host host = {
        .rootfs = "/state/rootfs",
        .worker_path = "/lib/tci-worker",
        .kernel_path = "/lib/tci-kernel",
        .link_dir = "/state/link",
        .seccomp = seccomp,
        .limits_swap = limits_more,
        .limits_tcp = limits_more,
    };

    return ocispec_new(&host, spec, "/tci-1234/abc");
}

static json_t *
find_mount(const json_t *config, const char *target)
{
    size_t i;
    json_t *mount;

    json_array_foreach (json_object_get(config, "mounts"), i, mount) {
        if (strcmp(json_string_value(json_object_get(mount, "destination")), target) == 0)
            return mount;
    }
    return NULL;
}

static bool
has_string(const json_t *array, const char *text)
{
    size_t i;
    json_t *item;

    json_array_foreach (array, i, item) {
        if (strcmp(json_string_value(item), text) == 0)
            return true;
    }
    return false;
}

static bool
has_option(const json_t *config, const char *target, const char *option)
{
    return has_string(json_object_get(find_mount(config, target), "options"), option);
}

/* linux.resources.GROUP.NAME; -1 if there is none. */
static json_int_t
limit(const json_t *config, const char *group, const char *name)
{
    const json_t *resources = json_object_get(json_object_get(config, "linux"), "resources");
    const json_t *value = json_object_get(json_object_get(resources, group), name);

    return value == NULL ? -1 : json_integer_value(value);
}

static const char *
source_of(const json_t *config, const char *target)
{
    return json_string_value(json_object_get(find_mount(config, target), "source"));
}

static void
test_process(void **state)
{
    static const char *const wanted[] = {"CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_KILL",
                                         "CAP_SETGID", "CAP_SETPCAP",      "CAP_SETUID"};
    struct container_spec spec = make_spec();
    json_auto_t *config = make(&spec, true);
    const json_t *process = json_object_get(config, "process");
    const json_t *caps = json_object_get(process, "capabilities");

    (void)state;
    assert_true(json_is_true(json_object_get(process, "noNewPrivileges")));
    assert_string_equal(json_string_value(json_array_get(json_object_get(process, "args"), 0)),
                        TCI_PATH_WORKER);
    assert_int_equal(json_array_size(json_object_get(process, "args")), 1);
    for (size_t i = 0; i < 6; i++)
        assert_true(has_string(json_object_get(caps, "bounding"), wanted[i]));
    assert_int_equal(json_array_size(json_object_get(caps, "bounding")), 6);
    assert_null(json_object_get(caps, "ambient"));
    assert_null(json_object_get(caps, "inheritable"));
    assert_true(json_is_true(json_object_get(json_object_get(config, "root"), "readonly")));
}

/* The boot record and the routing id in it travel on stdin alone. */
static void
test_no_secret(void **state)
{
    struct container_spec spec = make_spec();
    json_auto_t *config = make(&spec, true);
    char *text = json_dumps(config, JSON_COMPACT);

    (void)state;
    assert_null(strstr(text, "secret"));
    free(text);
}

static void
test_namespaces_and_ids(void **state)
{
    static const char *const wanted[] = {"cgroup", "ipc", "mount", "network", "pid", "user", "uts"};
    struct container_spec spec = make_spec();
    json_auto_t *config = make(&spec, true);
    const json_t *part = json_object_get(config, "linux");
    const json_t *list = json_object_get(part, "namespaces");

    (void)state;
    assert_int_equal(json_array_size(list), 7);
    for (size_t i = 0; i < 7; i++) {
        const json_t *namespace = json_array_get(list, i);

        assert_string_equal(json_string_value(json_object_get(namespace, "type")), wanted[i]);
        assert_null(json_object_get(namespace, "path")); /* a new one, nobody else's */
    }
    const json_t *map = json_array_get(json_object_get(part, "uidMappings"), 0);
    assert_int_equal(json_integer_value(json_object_get(map, "hostID")), 0x40000000 + 2 * 65536);
    assert_int_equal(json_integer_value(json_object_get(map, "size")), 65536);
    assert_int_equal(json_array_size(json_object_get(part, "uidMappings")), 1);
    assert_int_equal(json_array_size(json_object_get(part, "gidMappings")), 2);
    map = json_array_get(json_object_get(part, "gidMappings"), 0);
    assert_int_equal(json_integer_value(json_object_get(map, "hostID")), OCISPEC_LINK_GID);
    assert_int_equal(json_integer_value(json_object_get(map, "size")), 1);
    map = json_array_get(json_object_get(part, "gidMappings"), 1);
    assert_int_equal(json_integer_value(json_object_get(map, "containerID")), 1);
    assert_int_equal(json_integer_value(json_object_get(map, "hostID")),
                     0x40000000 + 2 * 65536 + 1);
    assert_int_equal(json_integer_value(json_object_get(map, "size")), 65535);
}

static void
test_last_slot_fits(void **state)
{
    struct container_spec spec = make_spec();

    (void)state;
    spec.slot = OCISPEC_MAX_SLOTS - 1;
    json_auto_t *config = make(&spec, true);
    const json_t *map =
        json_array_get(json_object_get(json_object_get(config, "linux"), "uidMappings"), 0);
    json_int_t first = json_integer_value(json_object_get(map, "hostID"));
    assert_true(first + OCISPEC_IDS <= (json_int_t)0x80000000);
}

static void
test_limits(void **state)
{
    struct container_spec spec = make_spec();
    json_auto_t *config = make(&spec, true);
    json_auto_t *without = make(&spec, false);

    (void)state;
    assert_int_equal(limit(config, "memory", "limit"), 1024 * 1048576LL);
    assert_int_equal(limit(config, "memory", "swap"), 1024 * 1048576LL);
    assert_int_equal(limit(config, "memory", "kernelTCP"), 16 * 1048576LL);
    assert_int_equal(limit(config, "cpu", "quota"), 150000);
    assert_int_equal(limit(config, "cpu", "period"), 100000);
    assert_int_equal(limit(config, "pids", "limit"), 128);
    assert_int_equal(limit(without, "memory", "limit"), 1024 * 1048576LL);
    assert_int_equal(limit(without, "memory", "swap"), -1);
    assert_int_equal(limit(without, "memory", "kernelTCP"), -1);
}

/* The hard limit of the process; -1 if there is none. */
static json_int_t
resource_limit(const json_t *config, const char *type)
{
    size_t i;
    json_t *entry;

    json_array_foreach (json_object_get(json_object_get(config, "process"), "rlimits"), i, entry) {
        const json_int_t hard = json_integer_value(json_object_get(entry, "hard"));

        if (strcmp(json_string_value(json_object_get(entry, "type")), type) != 0)
            continue;
        assert_int_equal(json_integer_value(json_object_get(entry, "soft")), hard);
        return hard;
    }
    return -1;
}

/* Those that would hold for all containers together are the worker's. */
static void
test_resource_limits(void **state)
{
    struct container_spec spec = make_spec();
    json_auto_t *config = make(&spec, true);

    (void)state;
    assert_int_equal(resource_limit(config, "RLIMIT_CORE"), 1);
    assert_int_equal(resource_limit(config, "RLIMIT_NOFILE"), 4096);
    assert_int_equal(resource_limit(config, "RLIMIT_SIGPENDING"), -1);
    assert_int_equal(resource_limit(config, "RLIMIT_MSGQUEUE"), -1);
    assert_int_equal(resource_limit(config, "RLIMIT_MEMLOCK"), -1);
}

static void
test_smallest_limits(void **state)
{
    struct container_spec spec = make_spec();

    (void)state;
    spec.cpu = 0.0001;
    spec.disk_mb = 1;
    spec.memory_mb = 1;
    json_auto_t *config = make(&spec, true);
    assert_int_equal(limit(config, "cpu", "quota"), 1000);
    assert_true(has_option(config, "/tmp", "size=16m"));
    assert_true(has_option(config, "/workspace", "size=1m"));
    assert_true(has_option(config, "/dev/shm", "size=1m"));
}

/* What a gateway reads of a container that an earlier one made. */
static void
test_allowance(void **state)
{
    struct container_spec spec = make_spec();
    json_auto_t *half =
        json_loads("{\"linux\":{\"resources\":{\"memory\":{\"limit\":1048576}}}}", 0, NULL);
    json_auto_t *array = json_array();

    (void)state;
    spec.cpu = 0.25;
    spec.memory_mb = 100;
    json_auto_t *config = make(&spec, true);
    assert_true(ocispec_allowance(config).cpu == 0.25);
    assert_int_equal(ocispec_allowance(config).memory_mb, 100);
    assert_non_null(half);
    assert_true(allowance_is_none(&(struct allowance){0, 0}));
    const struct allowance none[] = {ocispec_allowance(half), ocispec_allowance(array),
                                     ocispec_allowance(NULL)};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_true(allowance_is_none(&none[i]));
}

static void
test_mounts(void **state)
{
    struct container_spec spec = make_spec();
    json_auto_t *config = make(&spec, true);
    size_t i;
    json_t *mount;

    (void)state;
    assert_true(has_option(config, "/workspace", "size=500m"));
    assert_true(has_option(config, "/workspace", "uid=1000"));
    assert_true(has_option(config, "/home/sandbox", "size=125m"));
    assert_true(has_option(config, "/tmp", "size=125m"));
    assert_true(has_option(config, "/tmp", "mode=1777"));
    assert_true(has_option(config, "/run/tci", "mode=700"));
    assert_null(find_mount(config, "/sys"));
    json_array_foreach (json_object_get(config, "mounts"), i, mount) {
        const char *target = json_string_value(json_object_get(mount, "destination"));
        const char *type = json_string_value(json_object_get(mount, "type"));

        assert_true(has_option(config, target, "nosuid"));
        if (strcmp(type, "bind") == 0) {
            assert_true(has_option(config, target, "ro"));
            assert_true(has_option(config, target, "nodev"));
        }
    }
    assert_string_equal(source_of(config, TCI_PATH_WORKER), "/lib/tci-worker");
    assert_string_equal(source_of(config, TCI_PATH_SKEL), "/state/skel");
    assert_string_equal(source_of(config, TCI_PATH_LINK_DIR), "/state/link");
    assert_null(find_mount(config, TCI_PATH_PROXY_DIR));
}

/* No more than the gateway may have itself: whoever starts the container cannot raise a hard limit. */
static void
test_hard_limits(void **state)
{
    struct container_spec spec = make_spec();
    rlim_t limits[RLIM_NLIMITS];
    struct ocispec_host host = {.rootfs = "/r", .worker_path = "/w", .link_dir = "/l"};
    json_auto_t *config = ocispec_new(&host, &spec, NULL);

    (void)state;
    assert_int_equal(resource_limit(config, "RLIMIT_NOFILE"), 4096);
    assert_int_equal(resource_limit(config, "RLIMIT_CORE"), 1);
    assert_int_equal(resource_limit(config, "RLIMIT_DATA"), -1);
    for (size_t i = 0; i < RLIM_NLIMITS; i++)
        limits[i] = RLIM_INFINITY;
    limits[RLIMIT_CORE] = 0;
    limits[RLIMIT_NOFILE] = 1024;
    limits[RLIMIT_DATA] = 1000 << 20;
    host.hard_limits = limits;
    host.rootless = true;
    json_auto_t *low = ocispec_new(&host, &spec, NULL);
    assert_int_equal(resource_limit(low, "RLIMIT_NOFILE"), 1024);
    assert_int_equal(resource_limit(low, "RLIMIT_DATA"), 1000 << 20);
    assert_int_equal(resource_limit(low, "RLIMIT_CORE"), 0);
}

/* --- under a kernel of its own -------------------------------------------------------------- */

static json_t *
make_own_kernel(const struct container_spec *spec)
{
    const struct ocispec_host host = {
        .rootfs = "/state/rootfs",
        .worker_path = "/lib/tci-worker",
        .link_dir = "/state/link",
        .proxy_dir = "/state/proxy",
        .own_kernel = true,
    };

    return ocispec_new(&host, spec, "/tci-1234/abc");
}

/* What the worker is told, what it needs to do it, and the host's limit, which is far above what the container's own says. */
static void
test_own_kernel_limits(void **state)
{
    struct container_spec spec = make_spec();
    json_auto_t *config = make_own_kernel(&spec);
    json_auto_t *shared = make(&spec, true);
    const json_t *process = json_object_get(config, "process");
    const json_t *caps = json_object_get(process, "capabilities");

    (void)state;
    assert_true(has_string(json_object_get(process, "env"), TCI_ENV_PIDS "=128"));
    assert_true(has_string(json_object_get(caps, "bounding"), "CAP_SYS_ADMIN"));
    assert_int_equal(limit(config, "pids", "limit"), 256 + 128 * 32);
    assert_int_equal(limit(config, "memory", "limit"), 1024 * 1048576LL);
    process = json_object_get(shared, "process");
    assert_false(has_string(json_object_get(process, "env"), TCI_ENV_PIDS "=128"));
}

/* --- an ordinary user's --------------------------------------------------------------------- */

static json_t *
make_rootless(const struct container_spec *spec)
{
    const struct ocispec_host host = {
        .rootfs = "/state/rootfs",
        .worker_path = "/lib/tci-worker",
        .link_dir = "/state/link",
        .seccomp = seccomp,
        .rootless = true,
    };

    return ocispec_new(&host, spec, NULL);
}

/* Three ids of each kind that no other slot has, but for the link's group; no control groups. */
static void
test_rootless(void **state)
{
    struct container_spec spec = make_spec();
    json_auto_t *config = make_rootless(&spec);
    const json_t *part = json_object_get(config, "linux");
    const json_t *uids = json_object_get(part, "uidMappings");
    const json_t *gids = json_object_get(part, "gidMappings");

    (void)state;
    assert_null(json_object_get(part, "resources"));
    assert_null(json_object_get(part, "cgroupsPath"));
    assert_int_equal(json_array_size(uids), ROOTLESS_IDS);
    assert_int_equal(json_array_size(gids), ROOTLESS_IDS + 1);
    for (size_t i = 0; i < ROOTLESS_IDS; i++) {
        const json_t *map = json_array_get(uids, i);

        assert_int_equal(json_integer_value(json_object_get(map, "hostID")),
                         ROOTLESS_FIRST_ID + 2 * ROOTLESS_IDS + i);
        assert_int_equal(json_integer_value(json_object_get(map, "size")), 1);
    }
    assert_int_equal(json_integer_value(json_object_get(json_array_get(gids, 0), "hostID")),
                     ROOTLESS_LINK_GID);
    assert_true(has_string(json_object_get(json_object_get(config, "process"), "env"),
                           TCI_ENV_USER_PIDS "=128"));
}

/* Only the link's and other mounts from outside are trusted to change; the list of calls is this host's kernel's. */
static void
test_own_kernel_mounts(void **state)
{
    struct container_spec spec = make_spec();
    json_auto_t *config = make_own_kernel(&spec);
    json_auto_t *shared = make(&spec, true);
    json_t *annotations = json_object_get(config, "annotations");
    const char *key;
    json_t *value;

    (void)state;
    assert_string_equal(source_of(config, TCI_PATH_PROXY_DIR), "/state/proxy");
    assert_true(has_option(config, TCI_PATH_PROXY_DIR, "ro"));
    assert_null(json_object_get(json_object_get(config, "linux"), "seccomp"));
    assert_int_equal(json_object_size(annotations), 3);
    json_object_foreach (annotations, key, value)
        assert_non_null(strstr(key, ".mount.usr."));
    assert_null(json_object_get(shared, "annotations"));
    assert_non_null(json_object_get(json_object_get(shared, "linux"), "seccomp"));
}

/* --- system calls --------------------------------------------------------------------------- */

/* The rule for a call without regard to arguments; NULL if there is none. */
static const json_t *
rule_of(const char *name)
{
    size_t i;
    json_t *rule;

    json_array_foreach (json_object_get(seccomp, "syscalls"), i, rule) {
        if (json_object_get(rule, "args") == NULL &&
            has_string(json_object_get(rule, "names"), name))
            return rule;
    }
    return NULL;
}

static const char *
action_of(const char *name)
{
    return json_string_value(json_object_get(rule_of(name), "action"));
}

static json_int_t
error_of(const char *name)
{
    const json_t *error = json_object_get(rule_of(name), "errnoRet");

    return error == NULL ? -1 : json_integer_value(error);
}

static void
test_calls(void **state)
{
    static const char *const refused[] = {
        "add_key",          "bpf",
        "delete_module",    "finit_module",
        "init_module",      "kexec_load",
        "keyctl",           "mount",
        "move_mount",       "open_by_handle_at",
        "perf_event_open",  "pivot_root",
        "process_vm_readv", "ptrace",
        "reboot",           "setns",
        "swapon",           "umount2",
        "unshare",          "userfaultfd",
    };
    static const char *const pretended[] = {"fdatasync", "fsync", "sync", "sync_file_range",
                                            "syncfs"};
    static const char *const absent[] = {"clone",     "clone3", "io_uring_enter", "io_uring_setup",
                                         "ioctl",     "msync",  "personality",    "prlimit64",
                                         "setrlimit", "socket"};

    (void)state;
    assert_string_equal(json_string_value(json_object_get(seccomp, "defaultAction")),
                        "SCMP_ACT_ERRNO");
    assert_int_equal(json_integer_value(json_object_get(seccomp, "defaultErrnoRet")), ENOSYS);
    assert_int_equal(json_array_size(json_object_get(seccomp, "architectures")), 1);
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        assert_string_equal(action_of(refused[i]), "SCMP_ACT_ERRNO");
        assert_int_equal(error_of(refused[i]), EPERM);
    }
    for (size_t i = 0; i < sizeof(pretended) / sizeof(*pretended); i++) {
        assert_string_equal(action_of(pretended[i]), "SCMP_ACT_ERRNO");
        assert_int_equal(error_of(pretended[i]), 0);
    }
    for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++)
        assert_null(action_of(absent[i]));
    assert_string_equal(action_of("execve"), "SCMP_ACT_ALLOW");
}

static void
test_no_call_twice(void **state)
{
    json_auto_t *seen = json_object();
    size_t i, j;
    json_t *rule, *name;

    (void)state;
    json_array_foreach (json_object_get(seccomp, "syscalls"), i, rule) {
        if (json_object_get(rule, "args") != NULL)
            continue;
        json_array_foreach (json_object_get(rule, "names"), j, name) {
            assert_null(json_object_get(seen, json_string_value(name)));
            json_object_set_new(seen, json_string_value(name), json_true());
        }
    }
    /* A call that is allowed always must not have conditions, which would be void. */
    json_array_foreach (json_object_get(seccomp, "syscalls"), i, rule) {
        if (json_object_get(rule, "args") != NULL)
            json_array_foreach (json_object_get(rule, "names"), j, name) {
                assert_null(json_object_get(seen, json_string_value(name)));
            }
    }
}

static int
make_seccomp(void **state)
{
    (void)state;
    seccomp = seccomp_profile();
    return 0;
}

static int
drop_seccomp(void **state)
{
    (void)state;
    json_decref(seccomp);
    return 0;
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_no_secret),
        cmocka_unit_test(test_namespaces_and_ids),
        cmocka_unit_test(test_last_slot_fits),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_resource_limits),
        cmocka_unit_test(test_smallest_limits),
        cmocka_unit_test(test_allowance),
        cmocka_unit_test(test_mounts),
        cmocka_unit_test(test_hard_limits),
        cmocka_unit_test(test_own_kernel_limits),
        cmocka_unit_test(test_own_kernel_mounts),
        cmocka_unit_test(test_rootless),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_no_call_twice),
    };

    return cmocka_run_group_tests(tests, make_seccomp, drop_seccomp);
}
