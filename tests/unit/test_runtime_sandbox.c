/* test_runtime_sandbox.c - what a container is kept from, and its limits; runtime_box.h says how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "config.h"
#include "ocispec.h"
#include "runtime.h"
#include "tests/unit/runtime_box.h"
#include "worker/protocol.h"

/* --- limits --------------------------------------------------------------------------------- */

static void
test_memory_limit(void **state)
{
    struct box *box = *state;

    assert_int_equal(run(box, "exec python3 -c 'x = b\"x\" * (300 << 20)'"), 128 + SIGKILL);
    assert_true(box->exit.oom);
    /* A process that is not init dies alone. */
    start(box, "a9", "python3 -c 'x = b\"x\" * (300 << 20)'; sleep 1000");
    wait_for(box->base, &box->n_started, 1);
    for (int i = 0; i < 200 && !container_was_oom(box->container); i++)
        settle(box->base, 50);
    assert_true(container_was_oom(box->container));
    destroy(box);
    assert_true(box->exit.oom);
}

static void
test_process_limit(void **state)
{
    struct box *box = *state;

    only_crun("it leaves that to the worker, which this program is not");
    assert_int_equal(run(box, "user:exec python3 -c '\n"
                              "import os, time\n"
                              "n = 0\n"
                              "try:\n"
                              "  while n < 200:\n"
                              "    if os.fork() == 0: time.sleep(60)\n"
                              "    n += 1\n"
                              "except BlockingIOError: os._exit(n)\n"
                              "os._exit(0)'"),
                     31);
}

static void
test_file_system_limits(void **state)
{
    struct box *box = *state;

    assert_int_equal(run(box, "user:dd if=/dev/zero of=/workspace/x bs=1M count=60 || exit 1\n"
                              "dd if=/dev/zero of=/workspace/x bs=1M count=70 && exit 2\n"
                              "dd if=/dev/zero of=/tmp/x bs=1M count=20 && exit 3\n"
                              "dd if=/dev/zero of=/home/sandbox/x bs=1M count=20 && exit 4\n"
                              "dd if=/dev/zero of=/run/kernel/x bs=1M count=2 && exit 5\n"
                              "dd if=/dev/zero of=/dev/shm/x bs=1M count=70 && exit 6\n"
                              "exit 0"),
                     0);
}

static void
test_inode_limit(void **state)
{
    struct box *box = *state;

    only_crun("gVisor's tmpfs counts bytes only; its inodes are in the memory limit");
    assert_int_equal(run(box, "user:cd /tmp; exec python3 -c '\n"
                              "try:\n"
                              "  for n in range(100000): open(str(n), \"w\").close()\n"
                              "except OSError: raise SystemExit(42)'"),
                     42);
}

static void
test_processor_limit(void **state)
{
    struct box *box = *state;
    only_crun("its processes are not told of the time in which the limit stopped them");
    struct container_spec spec = make_spec("a10", "exec python3 -c '\n"
                                                  "import time\n"
                                                  "end = time.monotonic() + 2\n"
                                                  "while time.monotonic() < end: pass\n"
                                                  "raise SystemExit(int(time.process_time() * "
                                                  "50))'");

    spec.cpu = 0.25;
    box->container = container_start(box->runtime, &spec, &box_ops, box, &box->err);
    assert_non_null(box->container);
    wait_for(box->base, &box->n_exited, 1);
    assert_in_range(box->exit.code, 1, 40); /* 0.5 s of 2, and what the start took */
    destroy(box);
}

/* --- the sandbox ---------------------------------------------------------------------------- */

static void
test_ordinary_programs_work(void **state)
{
    struct box *box = *state;

    assert_int_equal(
        run(box,
            "user:cd /workspace; export HOME=/home/sandbox; cat > x.py << 'END'\n"
            "import asyncio, multiprocessing, os, pty, socket, sqlite3, ssl, subprocess\n"
            "import tempfile, threading, time\n"
            "if __name__ == '__main__':\n"
            "    threads = [threading.Thread(target=time.sleep, args=(0,)) for _ in range(8)]\n"
            "    [t.start() for t in threads]; [t.join() for t in threads]\n"
            "    for how in 'fork', 'spawn', 'forkserver':\n"
            "        with multiprocessing.get_context(how).Pool(2) as pool:\n"
            "            assert pool.map(abs, [-1, 2]) == [1, 2]\n"
            "    out = subprocess.run('echo a | tr a b', shell=True, capture_output=True)\n"
            "    assert out.stdout == b'b\\n'\n"
            "    assert asyncio.run(asyncio.sleep(0, 5)) == 5\n"
            "    assert os.cpu_count() >= 1 and len(os.sched_getaffinity(0)) >= 1\n"
            "    pid, fd = pty.fork()\n"
            "    if pid == 0: os.execvp('tty', ['tty'])\n"
            "    assert os.read(fd, 99).startswith(b'/dev/pts/')\n"
            "    a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'\n"
            "    s = socket.create_server(('127.0.0.1', 0)); "
            "socket.create_connection(s.getsockname())\n"
            "    assert 'localhost' in socket.gethostbyaddr('127.0.0.1')\n"
            "    assert os.getcwd() == '/workspace' and tempfile.gettempdir() == '/tmp'\n"
            "    assert open('/proc/self/status', 'rb').read()\n"
            "    import pwd; assert pwd.getpwuid(os.getuid()).pw_name == 'sandbox'\n"
            "    os.mkfifo('f'); os.symlink('f', 'g'); os.link('f', 'h')\n"
            "END\n"
            "exec python3 x.py"),
        0);
}

static void
test_plots_have_wide_glyphs(void **state)
{
    struct box *box = *state;

    if (access("/usr/lib/python3/dist-packages/matplotlib", F_OK) < 0)
        skip();
    assert_int_equal(
        run(box, "user:cd /workspace; export HOME=/home/sandbox; exec python3 -W error -c '\n"
                 "import numpy, pandas, matplotlib\n"
                 "matplotlib.use(\"Agg\")\n"
                 "import matplotlib.pyplot as plt\n"
                 "assert numpy.linalg.inv(numpy.eye(50)).shape == (50, 50)\n"
                 "assert pandas.DataFrame({\"a\": [1, 2]}).a.sum() == 3\n"
                 "plt.title(\"\\u4f60\\u597d \\u65e5\\u672c\\u8a9e\")\n"
                 "plt.savefig(\"x.png\")'"),
        0);
}

#define TRY_TO_WRITE                                                                               \
    "cd /; for d in / /usr /usr/bin /etc /etc/skel /kernelspec /run /var /var/lib /home /opt "     \
    "/root /srv /sys; do\n"                                                                        \
    "  if true > $d/new; then exit 1; fi\n"                                                        \
    "done 2> /dev/null\n"                                                                          \
    "if echo 1 > /proc/sys/vm/drop_caches; then exit 2; fi 2> /dev/null\n"                         \
    "if [ -e /etc/shadow ]; then exit 3; fi\n"                                                     \
    "if ls /sys/* 2> /dev/null; then exit 4; fi\n"                                                 \
    "[ -z \"$(cat /proc/kallsyms /proc/keys /proc/kmsg)\" ] || exit 6\n"                           \
    "exit 0"

static void
test_nothing_to_write_outside(void **state)
{
    struct box *box = *state;

    assert_int_equal(run(box, TRY_TO_WRITE), 0);
    assert_int_equal(run(box, "user:" TRY_TO_WRITE), 0);
}

static void
test_link_is_for_the_worker_alone(void **state)
{
    struct box *box = *state;
    char path[128];

    snprintf(path, sizeof(path), "%s/" TCI_PATH_LINK_SOCKET, link_dir);
    assert_true(close(open(path, O_CREAT | O_WRONLY, 0666)) == 0);
    assert_int_equal(run(box, "test -e " TCI_PATH_LINK_DIR "/" TCI_PATH_LINK_SOCKET), 0);
    assert_int_equal(run(box, "user:test -e " TCI_PATH_LINK_DIR "/" TCI_PATH_LINK_SOCKET), 1);
    assert_int_equal(run(box, "user:test -e " TCI_PATH_LINK_DIR), 1);
    unlink(path);
}

static void
test_dangerous_calls_are_refused(void **state)
{
    struct box *box = *state;

    only_crun("calls are answered by the container's own kernel, not by a list");
    const char *script =
        "import ctypes, errno, socket\n"
        "c = ctypes.CDLL(None, use_errno=True)\n"
        "def check(name, wanted, *args):\n"
        "    ctypes.set_errno(0)\n"
        "    rc = getattr(c, name)(*[ctypes.c_long(a) for a in args])\n"
        "    assert rc == -1 and ctypes.get_errno() == wanted, (name, rc, ctypes.get_errno())\n"
        "for flag in 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, "
        "0x40000000:\n"
        "    check(\"unshare\", errno.EPERM, flag)\n"
        "    check(\"clone\", errno.EINVAL, 0, 0, 0, 0)\n"
        "check(\"mount\", errno.EPERM, 0, 0, 0, 0, 0)\n"
        "check(\"setns\", errno.EPERM, 0, 0)\n"
        "check(\"ptrace\", errno.EPERM, 0, 0, 0, 0)\n"
        "check(\"process_vm_readv\", errno.EPERM, 1, 0, 0, 0, 0, 0)\n"
        "check(\"reboot\", errno.EPERM, 0)\n"
        "check(\"personality\", errno.ENOSYS, 8)\n"
        "check(\"ioctl\", errno.ENOSYS, 0, 0x5412, 0)\n"
        "check(\"ioctl\", errno.ENOSYS, 0, 0x100005412, 0)\n"
        "check(\"ioctl\", errno.ENOSYS, 0, 0x541c, 0)\n"
        "for number in 425, 426, 427:\n"
        "    check(\"syscall\", errno.ENOSYS, number, 1, 0, 0)\n"
        "for family in 16, 17, 38, 40:\n"
        "    try: socket.socket(family, socket.SOCK_RAW, 9)\n"
        "    except OSError as e: assert e.errno in (errno.ENOSYS, errno.EOPNOTSUPP), (family, e)\n"
        "    else: raise AssertionError(family)\n"
        "for family in socket.AF_INET, socket.AF_INET6:\n"
        "    try: socket.socket(family, socket.SOCK_RAW, 1)\n"
        "    except OSError as e: assert e.errno == errno.ENOSYS, (family, e)\n"
        "    else: raise AssertionError(family)\n"
        "s = socket.socket()\n"
        "s.settimeout(2)\n"
        "try: s.connect((\"192.0.2.1\", 80))\n"
        "except OSError as e: assert e.errno == errno.ENETUNREACH, e\n"
        "else: raise AssertionError()\n";
    char text[4096];

    snprintf(text, sizeof(text), "user:exec python3 -c '%s'", script);
    assert_int_equal(run(box, text), 0);
}

static void
test_host_ids(void **state)
{
    struct box *box = *state;
    struct stat st;
    char path[64];

    start(box, "a11", "sleep 1000");
    wait_for(box->base, &box->n_started, 1);
    snprintf(path, sizeof(path), "/proc/%d", (int)box->init);
    assert_int_equal(stat(path, &st), 0);
    /* Its own root on the host, or nobody at all, unless the kernel calls it not dumpable: then the host's. */
    if (st.st_uid != 0)
        assert_int_equal(st.st_uid, is_crun() ? OCISPEC_FIRST_ID + 3 * OCISPEC_IDS : 65534);
    destroy(box);
}

static void
test_state_directory_must_be_passable(void **state)
{
    const struct runtime_paths paths = {worker_path, link_dir, NULL, NULL, NULL};
    struct config config = {.state_dir = state_dir, .runtime = program, .runsc_platform = platform};
    struct box *box = *state;
    struct err err = ERR_INIT;

    assert_int_equal(chmod(top, 0700), 0);
    assert_null(runtime_new(box->base, &config, &paths, &err));
    assert_int_equal(chmod(top, 0711), 0);
    assert_int_equal(err.code, ERR_CONFIG);
    assert_string_equal(err.field, "state_dir");
    assert_non_null(strstr(err.msg, top));
    char other[] = "no-such-runtime";
    config.runtime = other;
    assert_null(runtime_new(box->base, &config, &paths, &err));
    assert_string_equal(err.field, "runtime");
}

int
main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_memory_limit),
        TEST(test_process_limit),
        TEST(test_file_system_limits),
        TEST(test_inode_limit),
        TEST(test_processor_limit),
        TEST(test_ordinary_programs_work),
        TEST(test_plots_have_wide_glyphs),
        TEST(test_nothing_to_write_outside),
        TEST(test_link_is_for_the_worker_alone),
        TEST(test_dangerous_calls_are_refused),
        TEST(test_host_ids),
        TEST(test_state_directory_must_be_passable),
    };
    const int status = begin(argv);

    (void)argc;
    return status ? status : cmocka_run_group_tests(tests, make_directories, remove_directories);
}
