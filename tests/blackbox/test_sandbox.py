"""test_sandbox.py - the sandbox's first layer: each namespace, limit and lock, seen from inside and from outside."""
import errno
import os
import platform
import re
import secrets
import socket
import time

import pytest

import harness
from harness import eventually

CRUN = harness.runtime() == "crun"
NAMESPACES = ("user", "pid", "mnt", "ipc", "uts", "net", "cgroup")


@pytest.fixture(scope="module")
def tight(make_module_gateway):
    """A gateway with small limits, so that they are quick to reach."""
    return make_module_gateway(min_idle_workers=1, max_total_workers=6, exec_timeout=30, worker_cpu=0.5,
                               worker_memory_mb=256, worker_disk_mb=64, worker_pids=48)


@pytest.fixture(scope="module")
def crowded(make_module_gateway):
    """A gateway that allows few processes, and memory for all of them."""
    return make_module_gateway(min_idle_workers=1, max_total_workers=6, exec_timeout=60, worker_pids=48,
                               worker_memory_mb=1024 if CRUN else 4096)  # gVisor copies 2 MiB of memory for each page


def attempt(gateway, user, code):
    """Runs code that sets `result`; an exception's name and errno take its place."""
    indented = "\n".join("    " + line for line in code.splitlines())
    return gateway.value(user, f"import json, os, errno\ntry:\n    result = None\n{indented}\n"
                               "except OSError as e: result = [type(e).__name__, e.errno]\n"
                               "except Exception as e: result = [type(e).__name__, str(e)]\n"
                               "print(json.dumps(result))")


def refused(result):
    """An OSError of the kind that a lock gives."""
    return (isinstance(result, list) and len(result) == 2 and isinstance(result[1], int)
            and result[1] in (errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOENT, errno.ENOSYS, errno.ENOTDIR))


# --------------------------------------------------------------------------------------------------- namespaces


@pytest.mark.crun_only("its namespaces are those of the container's own kernel; test_runsc.py has the host's side")
def test_namespaces_are_all_its_own(gateway, users):
    a, b = users(gateway), users(gateway)
    kernels = [gateway.kernel_of(a), gateway.kernel_of(b)]
    for name in NAMESPACES:
        seen = [os.readlink(f"/proc/{pid}/ns/{name}") for pid in (gateway.pid, os.getpid(), *kernels)]
        host, own = set(seen[:2]), seen[2:]
        assert own[0] not in host and own[1] not in host, name
        assert own[0] != own[1], name


@pytest.mark.crun_only("the host sees one process for all of them; test_runsc.py has its ids")
def test_the_host_sees_an_unprivileged_uid(gateway, users):
    """Uid 1000 inside is a uid of no account outside, another one for each session, for PID 1 as well."""
    a, b = users(gateway), users(gateway)
    inside = attempt(gateway, a, "result = [os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups()]")
    assert inside[:4] == [1000] * 4 and set(inside[4]) <= {1000}
    uids = set()
    for user in (a, b):
        for pid in (gateway.kernel_of(user), gateway.init_of(user)):
            numbers = set(harness.status_field(pid, "Uid").split()) | set(harness.status_field(pid, "Gid").split())
            assert all(int(n) >= 65536 for n in numbers), numbers
            uids.add(frozenset(numbers))
        maps = harness.read_text(f"/proc/{gateway.kernel_of(user)}/uid_map").split()
        assert int(maps[1]) >= 65536
    assert len(uids) >= 3, "two sessions share host uids"


def test_hostname_is_not_the_hosts(gateway, user):
    names = attempt(gateway, user, "import socket\nresult = [socket.gethostname(), os.uname().nodename]")
    assert socket.gethostname() not in names


def test_processes_of_others_are_invisible(gateway, users):
    a, b = users(gateway), users(gateway)
    mark = "mark" + secrets.token_hex(8)
    gateway.ok(b, f"import subprocess\np = subprocess.Popen(['sleep', '1000'], env={{'{mark}': '1'}}, executable='/bin/sleep')")
    seen = attempt(gateway, a, "result = []\n"
                               "for pid in filter(str.isdigit, os.listdir('/proc')):\n"
                               "    try: result.append([int(pid), open(f'/proc/{pid}/cmdline').read()])\n"
                               "    except OSError: pass")
    assert len(seen) < 15
    assert not [cmdline for _, cmdline in seen if "sleep" in cmdline or "tci-gateway" in cmdline]


def test_files_of_others_are_invisible(gateway, users):
    a, b = users(gateway), users(gateway)
    mark = "secret-" + secrets.token_hex(8)
    for where in ("/workspace", "/tmp", "/dev/shm", "/home/sandbox"):
        gateway.run(b, f"import os\nif os.path.isdir('{where}'): open('{where}/{mark}', 'w').write('{mark}')")
    assert find_names(gateway, a, mark) == []
    assert find_names(gateway, b, mark) != []


def find_names(gateway, user, part):
    """Paths in the whole visible tree with `part` in them."""
    return attempt(gateway, user, f"""
result = []
for path, dirs, files in os.walk('/'):
    if path == '/proc':
        dirs[:] = ['self', '1']
    if path in ('/usr/share', '/usr/lib'):
        dirs[:] = []
    result += [os.path.join(path, name) for name in dirs + files if {part!r} in name]
""".strip("\n"))


def test_ipc_is_separate(gateway, users):
    a, b = users(gateway), users(gateway)
    code = "import ctypes\nresult = ctypes.CDLL(None).shmget(0x7c17c1, 4096, {flags})"
    attempt(gateway, a, code.format(flags="0o1666"))  # makes a segment, if that is allowed at all
    assert attempt(gateway, b, code.format(flags="0o666")) == -1


# -------------------------------------------------------------------------------------------------------- network


def test_no_interface_but_loopback(gateway, user):
    assert set(attempt(gateway, user, "result = [line.split(':')[0].strip() for line in open('/proc/net/dev') if ':' in line]")) <= {"lo"}
    pid = gateway.init_of(user)
    lines = harness.read_text(f"/proc/{pid}/net/dev").splitlines()[2:]
    assert {line.split(":")[0].strip() for line in lines} <= {"lo"}
    assert harness.read_text(f"/proc/{pid}/net/route").count("\n") <= 1


def test_no_way_to_the_gateway(gateway, user):
    host, port = gateway.address
    result = attempt(gateway, user, f"import socket\nsocket.create_connection(({host!r}, {port}), timeout=5)\nresult = 'connected'")
    assert result[0] != "c" and isinstance(result[1], int), result


def test_no_way_to_addresses_of_the_host(gateway, user):
    """Nor to any address of the host's interfaces, where a listener is waiting; the errno says there is no network."""
    listener = socket.create_server(("0.0.0.0", 0))
    port = listener.getsockname()[1]
    addresses = {"127.0.0.1", "127.0.0.2", "0.0.0.0"} | set(re.findall(r"/32 host LOCAL\n|\|-- (\d+\.\d+\.\d+\.\d+)\n",
                                                            harness.read_text("/proc/net/fib_trie")))
    with listener:
        listener.setblocking(False)
        for address in sorted(a for a in addresses if a):
            result = attempt(gateway, user, f"import socket\ns = socket.socket()\ns.settimeout(3)\ns.connect(({address!r}, {port}))\nresult = 'in'")
            assert isinstance(result, list), f"connected to {address}"
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("code", [
    "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('192.0.2.1', 53))",
    "s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.sendto(b'x', ('2001:db8::1', 53))",
    "s = socket.socket(); s.settimeout(3); s.connect(('192.0.2.1', 80))",
    "s = socket.socket(); s.settimeout(3); s.connect(('169.254.169.254', 80))",
    "socket.getaddrinfo('host.invalid', 80)",
    "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)",
    "socket.socket(40, socket.SOCK_STREAM)",
    "socket.socket(38, socket.SOCK_SEQPACKET)",
])
def test_no_network(gateway, user, code):
    result = attempt(gateway, user, f"import socket\n{code}\nresult = 'worked'")
    assert isinstance(result, list) and result[0] in ("OSError", "PermissionError", "gaierror", "ConnectionRefusedError"), result


def test_no_abstract_socket_of_the_host(gateway, user):
    name = "\0tci-test-" + secrets.token_hex(8)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        result = attempt(gateway, user, f"import socket\nsocket.socket(socket.AF_UNIX).connect({name!r})\nresult = 'in'")
        assert isinstance(result, list)


# ---------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("path", ["/", "/usr", "/usr/bin", "/usr/lib", "/etc", "/bin", "/lib", "/run", "/run/tci", "/kernelspec",
                                  "/etc/skel", "/dev", "/proc", "/proc/sys/kernel", "/sys", "/var", "/root", "/home", "/opt", "/mnt"])
def test_directories_that_take_no_files(gateway, user, path):
    result = attempt(gateway, user, f"open('{path}/tci-test', 'w').close()\nos.unlink('{path}/tci-test')\nresult = 'written'")
    assert refused(result), result


@pytest.mark.parametrize("path", ["/usr/bin/env", "/etc/passwd", "/tci-worker", "/usr/lib/os-release", "/proc/sysrq-trigger",
                                  "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory",
                                  "/proc/1/oom_score_adj", "/proc/1/mem", "/proc/self/uid_map"])
def test_files_that_take_no_writing(gateway, user, path):
    text = b"0 1000 1" if path.endswith("uid_map") else b"1"  # what is no map is refused for that, by gVisor
    result = attempt(gateway, user, f"f = open('{path}', 'r+b', buffering=0)\nf.write({text!r})\nresult = 'written'")
    assert refused(result), result


@pytest.mark.parametrize("path", ["/workspace", "/tmp", "/home/sandbox"])
def test_directories_of_the_user(gateway, user, path):
    assert attempt(gateway, user, f"open('{path}/mine', 'w').write('x')\nresult = open('{path}/mine').read()") == "x"
    assert attempt(gateway, user, "result = [os.getcwd(), os.path.expanduser('~')]") == ["/workspace", "/home/sandbox"]


def test_every_writable_mount_is_small_and_in_memory(tight, users):
    """Nothing that user code may write lies on a disk of the host or is larger than the limit."""
    user = users(tight)
    mounts = attempt(tight, user, """
import stat
result = []
for line in open('/proc/self/mountinfo'):
    left, _, right = line.partition(' - ')
    point, options = left.split()[4:6]
    fstype, source, super_options = right.split()[:3]
    writable = False
    device = os.path.exists(point) and stat.S_ISCHR(os.stat(point).st_mode)
    for path in () if device else (point, point + '/x'):
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT if path.endswith('/x') else os.O_WRONLY, 0o600)
            os.close(fd); writable = True
            if path.endswith('/x'): os.unlink(path)
        except OSError: pass
    s = os.statvfs(point) if os.access(point, os.F_OK) else None
    result.append([point, fstype, options.split(','), writable, s.f_blocks * s.f_frsize if s else 0])
""".strip("\n"))
    assert len(mounts) > 3
    for point, fstype, options, writable, size in mounts:
        if not writable:
            continue
        assert fstype in ("tmpfs", "devpts", "mqueue"), (point, fstype)
        if fstype == "tmpfs":
            assert size <= 64 * 2**20, (point, size)
        assert "nosuid" in options or not CRUN, point  # gVisor's /proc does not tell
    disks = [(p, o) for p, f, o, _, _ in mounts if f not in ("tmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "devtmpfs")]
    assert disks and all("ro" in options for point, options in disks), disks


def test_workspace_is_limited(tight, users):
    user = users(tight)
    code = ("total = 0\n"
            "with open('/workspace/fill', 'wb', buffering=0) as f:\n"
            "    while total < 2**31: total += f.write(b'x' * 2**20)\n")
    assert attempt(tight, user, code) == ["OSError", errno.ENOSPC]
    assert 50 * 2**20 < tight.value(user, "print(total)") <= 64 * 2**20
    assert attempt(tight, user, "os.unlink('/workspace/fill')\nopen('/workspace/g', 'w').write('x')\nresult = 1") == 1


@pytest.mark.parametrize("path", ["/tmp", "/home/sandbox", "/dev/shm", "/run/kernel"])
def test_other_directories_are_limited(tight, users, path):
    user = users(tight)
    code = ("total = 0\n"
            f"with open('{path}/fill', 'wb', buffering=0) as f:\n"
            "    while total < 2**31: total += f.write(b'x' * 2**20)\n")
    result = attempt(tight, user, code)
    assert result == ["OSError", errno.ENOSPC] or refused(result), result
    attempt(tight, user, f"os.unlink('{path}/fill')")
    assert tight.text(user, "1") == "1"


def test_etc_is_made_up(gateway, user):
    """Accounts, keys and settings of the host are not in it."""
    names = attempt(gateway, user, "result = os.listdir('/etc')")
    assert not set(names) & {"ssh", "shadow-", "gshadow", "sudoers", "sudoers.d", "ssl-private", "crontab", "machine-id", "fstab",
                             "cron.d", "systemd", "krb5.keytab", "NetworkManager", "docker", "network", "pam.d", "apt"}
    passwd = attempt(gateway, user, "result = open('/etc/passwd').read()")
    host = {line.split(":")[0] for line in harness.read_text("/etc/passwd").splitlines()}
    inside = {line.split(":")[0] for line in passwd.splitlines()}
    assert inside & host <= {"root", "nobody"}, inside & host
    assert attempt(gateway, user, "import pwd\nresult = pwd.getpwuid(os.getuid()).pw_dir") == "/home/sandbox"
    result = attempt(gateway, user, "result = open('/etc/shadow').read()")
    assert refused(result) or result == "" or all(field.split(":")[1] in ("*", "!", "!!") for field in result.splitlines())
    hosts = attempt(gateway, user, "result = open('/etc/hosts').read() if os.path.exists('/etc/hosts') else ''")
    assert socket.gethostname() not in hosts


def test_files_of_the_host_are_invisible(gateway, user):
    """Marked files in places that the host would have: none of them is found inside."""
    mark = "tci-mark-" + secrets.token_hex(8)
    made = []
    try:
        for where in ("/tmp", "/var/tmp", "/root", "/home", "/opt", "/srv", "/var/lib", "/etc", "/run", "/dev/shm", gateway.base,
                      gateway.state_dir):
            if os.path.isdir(where):
                path = os.path.join(where, mark)
                with open(path, "w") as f:
                    f.write("secret")
                os.chmod(path, 0o666)
                made.append(path)
        assert len(made) > 5
        assert find_names(gateway, user, mark) == []
    finally:
        for path in made:
            os.unlink(path)


def test_devices_are_few(gateway, user):
    names = attempt(gateway, user, "result = os.listdir('/dev')")
    assert set(names) <= {"null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr", "shm", "pts", "ptmx",
                          "mqueue", "console", "core"} | (set() if CRUN else {"fuse", "net"}), names  # gVisor's own, not the host's
    for path, mode, device in (("/workspace/d", 0o20666, (1, 1)), ("/tmp/d", 0o60666, (8, 0))):
        result = attempt(gateway, user, f"os.mknod('{path}', {mode}, os.makedev{device})\nresult = 'made'")
        if not CRUN and result == "made":  # in gVisor's tmpfs, and there is no such device
            result = attempt(gateway, user, f"os.open('{path}', os.O_RDONLY)\nresult = 'opened'")
            assert result in (["OSError", errno.ENXIO], ["OSError", errno.ENODEV])
        else:
            assert refused(result)


# ------------------------------------------------------------------------------------------------------- limits


BUSY = """
import subprocess, sys, time, resource, json
begin = time.monotonic()
loop = 'import time\\nend = time.monotonic() + {seconds}\\nwhile time.monotonic() < end: pass'
ps = [subprocess.Popen([sys.executable, '-S', '-c', loop]) for _ in range({n})]
for p in ps: p.wait()
u = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([u.ru_utime + u.ru_stime, time.monotonic() - begin]))
"""


def cores_used(gateway, user):
    """Of two busy processes together, by their own account; gVisor's also count the time in which the limit stopped them, so
    there it is by the host's."""
    container = None if CRUN else gateway.container_of(user)
    before = container.cpu_seconds() if container else 0
    cpu, wall = gateway.value(user, BUSY.format(seconds=4, n=2))
    return (container.cpu_seconds() - before if container else cpu) / wall


CPU_LIMIT = pytest.mark.root_only("processor time is not limited")


@CPU_LIMIT
def test_cpu_limit_bites(tight, users):
    """Two busy processes get half a core together; a busy machine can only lower it."""
    user = users(tight)
    tight.ok(user, "1")
    used = cores_used(tight, user)
    print(f"limit 0.5: {used:.2f} cores")
    assert 0.01 < used < 0.5 * 1.25


@CPU_LIMIT
def test_cpu_limit_seen_from_outside(tight, users):
    user = users(tight)
    container = tight.container_of(user)
    before, begin = container.cpu_seconds(), time.monotonic()
    tight.value(user, BUSY.format(seconds=4, n=2))
    cpu, wall = container.cpu_seconds() - before, time.monotonic() - begin
    print(f"limit 0.5: {cpu:.2f} s of CPU in {wall:.2f} s: {cpu / wall:.2f} cores")
    assert 0.01 < cpu / wall < 0.5 * 1.25


@CPU_LIMIT
def test_cpu_limit_of_one_core(gateway, user):
    """The default of 1.0 holds on a machine with more cores; where others leave less than that, it cannot be seen."""
    if os.cpu_count() < 2:
        pytest.skip("one core only")
    used = cores_used(gateway, user)
    print(f"limit 1.0: {used:.2f} cores")
    assert used < 1.0 * 1.15


def test_memory_limit_bites(tight, users):
    """Below the limit works, above it ends in the documented 503."""
    user = users(tight)
    tight.ok(user, "held = bytearray(b'x') * (100 * 2**20); del held")
    answer = tight.execute(user, "held = bytearray(b'x') * (300 * 2**20)")
    if answer.status_code == 200:
        assert answer.json()["error"]["ename"] == "MemoryError"
    else:
        assert answer.status_code == 503 and "ran out of memory" in answer.json()["detail"]
    assert tight.text(user, "1") == "1"


@pytest.mark.root_only("memory is limited for each process by itself")
def test_memory_of_all_processes_counts_together(tight, users):
    user = users(tight)
    code = ("import os, time\n"
            "for _ in range(8):\n"
            "    if os.fork() == 0:\n"
            "        held = bytearray(b'x') * (60 * 2**20); time.sleep(5); os._exit(0)\n"
            "codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(8)]\n"
            "print(codes.count(-9))")
    answer = tight.execute(user, code)
    if answer.status_code == 200:
        assert int(answer.json()["result_text"].split()[-1]) >= 3
    else:
        assert answer.status_code == 503 and "ran out of memory" in answer.json()["detail"]


def test_pids_limit_bites(crowded, users):
    user = users(crowded)
    code = ("children = []\n"
            "try:\n"
            "    while len(children) < 500:\n"
            "        pid = os.fork()\n"
            "        if pid == 0:\n"
            "            import time; time.sleep(60); os._exit(0)\n"
            "        children.append(pid)\n"
            "except OSError as e: result = [e.errno, len(children)]\n"
            "for pid in children: os.kill(pid, 9); os.waitpid(pid, 0)")
    number, count = attempt(crowded, user, code)
    assert number == errno.EAGAIN and 5 < count < 48
    code = ("import threading\nn = 0\nstop = threading.Event()\n"
            "try:\n"
            "    while n < 500: threading.Thread(target=stop.wait, daemon=True).start(); n += 1\n"
            "except RuntimeError as e: result = n\n"
            "stop.set()")
    count = attempt(crowded, user, code)
    assert count is not None and count < 48


@pytest.mark.parametrize("code", [
    "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "import subprocess; subprocess.run(['bash', '-c', ':(){ :|:& };:; wait'])\nwhile True: pass",
])
def test_fork_bomb(tight, users, code):
    """Ends at the time limit with everything it started; others are served meanwhile and afterwards."""
    user, other = users(tight), users(tight)
    tight.ok(other, "kept = 1")
    init = tight.init_of(user)
    bomb = tight.spawn(user, code, timeout=4)
    while not bomb.done():
        assert tight.text(other, "kept") == "1"
    assert bomb.result().status_code in (503, 504)
    eventually(lambda: not harness.process_exists(init), 60, "the container is gone")
    assert tight.text(user, "1") == "1"


def test_open_files_are_limited(gateway, user):
    code = ("files = []\n"
            "try:\n"
            "    while len(files) < 3_000_000: files.append(os.open('/dev/null', os.O_RDONLY))\n"
            "except OSError as e: result = e.errno\n"
            "for fd in files: os.close(fd)")
    assert attempt(gateway, user, code) == errno.EMFILE
    assert gateway.text(user, "1") == "1"


# ----------------------------------------------------------------------------------- capabilities, seccomp, proc


def test_no_capabilities_and_no_new_privileges(gateway, user):
    fields = dict(line.split(":\t", 1) for line in
                  attempt(gateway, user, "result = open('/proc/self/status').read()").splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", *(["CapAmb"] if CRUN else [])):
        assert int(fields[name], 16) == 0, name
    if not CRUN:  # gVisor has no list of calls, and its /proc does not tell of privileges to come
        return
    assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2"
    child = attempt(gateway, user, "import subprocess\nresult = subprocess.run(['cat', '/proc/self/status'], "
                                   "capture_output=True, text=True).stdout")
    assert "NoNewPrivs:\t1" in child and "Seccomp:\t2" in child and "CapEff:\t0000000000000000" in child


@pytest.mark.crun_only("the host's process is the sandbox, whose capabilities are good for nobody else's namespace")
def test_pid_1_has_almost_no_capabilities(gateway, user):
    """The worker itself, seen from outside: none that would matter on the host."""
    pid = gateway.init_of(user)
    effective = int(harness.status_field(pid, "CapEff"), 16)
    for name, bit in (("NET_ADMIN", 12), ("NET_RAW", 13), ("SYS_MODULE", 16), ("SYS_RAWIO", 17), ("SYS_PTRACE", 19),
                      ("SYS_ADMIN", 21), ("SYS_BOOT", 22), ("SYS_TIME", 25), ("MKNOD", 27), ("MAC_ADMIN", 33), ("BPF", 39)):
        assert not effective & (1 << bit), name
    assert harness.status_field(pid, "NoNewPrivs") == "1" and harness.status_field(pid, "Seccomp") == "2"


def test_setuid_programs_gain_nothing(gateway, user):
    code = ("import subprocess, glob, stat\n"
            "found = [p for p in glob.glob('/usr/bin/*') + glob.glob('/usr/sbin/*') if os.lstat(p).st_mode & stat.S_ISUID]\n"
            "result = [p for p in found if subprocess.run([p, '-c', 'id -u'], capture_output=True, text=True, "
            "stdin=subprocess.DEVNULL, timeout=10).stdout.strip() == '0']")
    assert attempt(gateway, user, code) == []


X86_64 = {
    "unshare user": (272, 0x10000000), "unshare mount": (272, 0x20000), "unshare net": (272, 0x40000000),
    "clone user": (56, 0x10000000 | 17, 0, 0, 0, 0), "setns": (308, 0, 0), "mount": (165, 0, 0, 0, 0, 0), "umount2": (166, 0, 2),
    "pivot_root": (155, 0, 0), "chroot": (161, 0), "bpf": (321, 0, 0, 0), "keyctl": (250, 0, -3, 0), "add_key": (248, 0, 0, 0, 0, 0),
    "request_key": (249, 0, 0, 0, 0), "io_uring_setup": (425, 1, 0), "io_uring_enter": (426, 0, 0, 0, 0), "userfaultfd": (323, 0),
    "userfaultfd user mode": (323, 1), "perf_event_open": (298, 0, 0, -1, -1, 0), "init_module": (175, 0, 0, 0),
    "finit_module": (313, 0, 0, 0), "delete_module": (176, 0, 0), "kexec_load": (246, 0, 0, 0, 0), "open_by_handle_at": (304, 0, 0, 0),
    "reboot": (169, 0xfee1dead, 672274793, 0), "swapon": (167, 0, 0), "swapoff": (168, 0), "settimeofday": (164, 0, 0),
    "clock_settime": (227, 0, 0), "adjtimex of the clock": (159, 0), "syslog": (103, 3, 0, 0), "acct": (163, 0), "iopl": (172, 3),
    "ioperm": (173, 0, 1, 1), "quotactl": (179, 0, 0, 0, 0), "sethostname": (170, 0, 0), "setdomainname": (171, 0, 0),
    "fsopen": (430, 0, 0), "fsmount": (432, 0, 0, 0), "open_tree": (428, -1, 0, 1), "move_mount": (429, 0, 0, 0, 0, 0),
    "mount_setattr": (442, 0, 0, 0, 0, 0), "fanotify_init": (300, 0, 0), "ptrace attach 1": (101, 16, 1, 0, 0),
    "ptrace seize 1": (101, 0x4206, 1, 0, 0), "process_vm_readv 1": (310, 1, 0, 0, 0, 0, 0), "kcmp 1": (312, 1, 1, 0, 0, 0),
    "pidfd_getfd": (438, 0, 0, 0), "lookup_dcookie": (212, 0, 0, 0), "nfsservctl": (180, 0, 0, 0), "vhangup": (153,),
    "setuid 0": (105, 0), "setgid 0": (106, 0), "setgroups 0": (116, 0, 0),
}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of the system calls are those of x86_64")
@pytest.mark.crun_only("calls are answered by the container's own kernel, not by a list")
def test_system_calls_that_are_refused(gateway, user):
    """Each fails with EPERM or ENOSYS - not for its arguments, which would mean that it was let in."""
    code = ("import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
            f"calls = {X86_64!r}\nresult = {{}}\n"
            "for name, args in calls.items():\n"
            "    ctypes.set_errno(0)\n"
            "    r = libc.syscall(*(ctypes.c_long(a) for a in args))\n"
            "    if name == 'clone user' and r == 0: os._exit(0)\n"
            "    result[name] = [r, ctypes.get_errno()]")
    results = attempt(gateway, user, code)
    allowed = {errno.EPERM, errno.ENOSYS, errno.EACCES}
    wrong = {name: (r, errno.errorcode.get(e, e)) for name, (r, e) in results.items()
             if r != -1 or e not in allowed | ({errno.ESRCH} if name == "kcmp 1" else set())}
    wrong.pop("setgroups 0", None) if results["setgroups 0"][1] == errno.EPERM else None
    assert wrong == {}


def test_ordinary_system_calls_work(gateway, user):
    """What numpy, subprocess, threads, multiprocessing and sqlite need is there."""
    code = ("import sqlite3, tempfile, threading, mmap, select, signal, socket, fcntl\n"
            "sqlite3.connect('/workspace/x.db').execute('create table t (a)')\n"
            "a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'\n"
            "m = mmap.mmap(-1, 4096); m[0] = 1\n"
            "e = select.epoll(); e.close()\n"
            "with tempfile.TemporaryFile() as f: f.write(b'x')\n"
            "import concurrent.futures as cf\n"
            "with cf.ProcessPoolExecutor(2) as p: assert list(p.map(abs, [-1])) == [1]\n"
            "os.sched_getaffinity(0); os.getloadavg(); os.cpu_count()\n"
            "result = 'fine'")
    assert attempt(gateway, user, code) == "fine"


@pytest.mark.parametrize("path", ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats",
                                  "/proc/timer_stats", "/proc/kmsg", "/proc/kpagecount", "/proc/kpageflags", "/sys/kernel/debug",
                                  "/sys/firmware/acpi", "/proc/acpi/wakeup", "/proc/scsi/scsi"])
def test_masked_paths(gateway, user, path):
    """Not there, not readable, or empty."""
    code = (f"p = '{path}'\n"
            "result = os.listdir(p) if os.path.isdir(p) else open(p, 'rb').read(100).hex()")
    result = attempt(gateway, user, code)
    assert refused(result) or result in ([], ""), result


def test_cgroups_cannot_be_changed(gateway, user):
    code = ("result = []\n"
            "for path, dirs, files in os.walk('/sys/fs/cgroup'):\n"
            "    for name in files:\n"
            "        if name in ('cgroup.procs', 'memory.max', 'cpu.max', 'pids.max', 'memory.limit_in_bytes', 'tasks', 'release_agent'):\n"
            "            try: os.close(os.open(os.path.join(path, name), os.O_WRONLY)); result.append(os.path.join(path, name))\n"
            "            except OSError: pass")
    assert attempt(gateway, user, code) == []
    assert refused(attempt(gateway, user, "os.mkdir('/sys/fs/cgroup/mine')\nresult = 'made'"))
