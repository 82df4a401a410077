"""test_host.py - attacks on what is the host's or another session's: files, processes, secrets."""
import contextlib
import hashlib
import os
import secrets
import socket
import subprocess
import sys

import harness
from arena import attack, needs_crun, runtime

# Every readable file in the sandbox but the host's /usr, and what other processes show of themselves.
SEARCH = """
found = []
def look(path):
    try:
        if not stat.S_ISREG(os.stat(path).st_mode): return
        with open(path, 'rb') as f:
            if needle in f.read(1 << 22): found.append(path)
    except OSError: pass
for top, dirs, files in os.walk('/'):
    if top == '/': dirs.remove('usr')
    if top == '/proc': dirs[:] = [d for d in dirs if not d.isdigit()] + ['self', '1']
    if top.startswith('/proc/'): dirs[:] = [d for d in dirs if d not in ('task', 'map_files', 'fd', 'net')]
    for name in files + dirs:
        if needle in name.encode(): found.append(os.path.join(top, name))
    for name in files:
        if name not in ('kmsg', 'mem', 'pagemap', 'clear_refs', 'kcore'): look(os.path.join(top, name))
for pid in filter(str.isdigit, os.listdir('/proc')):
    for name in ('environ', 'cmdline', 'maps', 'mountinfo'): look(f'/proc/{pid}/{name}')
print(json.dumps(found))
"""

HARMLESS_DEVICES = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}


def search(arena, needle, user=None):
    """Where the attacker finds `needle`, which the code itself does not contain."""
    from arena import TOOLS
    return arena.gateway.value(user or arena.user, f"{TOOLS}\nneedle = {needle[::-1]!r}[::-1].encode()\n{SEARCH}")


@attack("root file system", "reads a file of the host", runsc=True)
def test_files_of_the_host(arena):
    mark = "tci-mark-" + secrets.token_hex(8)
    made = []
    try:
        for where in ("/tmp", "/var/tmp", "/root", "/home", "/opt", "/var/lib", "/etc", "/run", "/dev/shm", arena.gateway.base):
            with contextlib.suppress(OSError), open(os.path.join(where, mark), "w", encoding="ascii") as f:
                made.append(f.name)
                f.write(mark)
                os.chmod(f.name, 0o666)
        assert len(made) > 5
        won = arena.tries(f"""
from itertools import product
os.makedirs('/workspace/d', exist_ok=True)
for n, path in enumerate({made!r}):
    os.symlink(path, f'/workspace/d/{{n}}')
    for start in ('', '/proc/1/root', '/proc/self/root', '/proc/1/cwd', '/proc/self/cwd' + '/..' * 40, '/workspace' + '/..' * 40,
                  '/proc/self/fd/0/' + '/..' * 40, '/dev/fd/1' + '/..' * 40):
        attempt(start + path, open, start + path)
    attempt(f'link {{path}}', open, f'/workspace/d/{{n}}')
    attempt(f'hard link {{path}}', os.link, path, '/workspace/d/h', follow_symlinks=True)
points = [line.split()[3] for line in open('/proc/self/mountinfo')]
for point in points:  # where the host has what is mounted here
    attempt(point, open, os.path.join(point, '..', {os.path.basename(made[0])!r}))
""")
        assert won == []
        assert search(arena, mark) == []
    finally:
        for path in made:
            os.unlink(path)


@attack("root file system", "learns accounts, password hashes or keys of the host", runsc=True)
def test_accounts_of_the_host(arena):
    shown = arena.gateway.value(arena.user, """
import json, pathlib
names = ['passwd', 'shadow', 'group', 'gshadow', 'sudoers', 'machine-id', 'hostname', 'hosts', 'resolv.conf', 'fstab', 'crontab']
shown = {}
for name in names:
    for path in (f'/etc/{name}', f'/etc/{name}-', f'/var/backups/{name}.bak', f'/proc/1/root/etc/{name}'):
        try: shown[path] = pathlib.Path(path).read_text()
        except OSError: pass
print(json.dumps(shown))""")
    assert "/etc/passwd" in shown
    for path, text in shown.items():
        host = harness.read_text(path, "")
        secret = {line for line in host.splitlines() if line.strip() and not line.startswith(("root:x:", "nogroup:", "tty:", "nobody:", "127.0.0.1\tlocalhost", "#"))}
        assert not secret & set(text.splitlines()), path


@attack("namespaces", "sees a process of the host or of another session", runsc=True)
def test_processes_of_others(arena):
    victim = arena.another()
    mark = "mark" + secrets.token_hex(8)
    arena.gateway.ok(victim, f"import subprocess\np = subprocess.Popen(['sleep', '1000', {mark!r}][:2], env={{'A': {mark!r}}})\n"
                             f"q = subprocess.Popen(['sh', '-c', 'sleep 1000; : {mark}'])")
    with subprocess.Popen(["sh", "-c", f"sleep 1000; : {mark}"], env={"A": mark}, start_new_session=True) as host:
        try:
            assert search(arena, mark) == []
            assert search(arena, mark, victim) != []  # the search itself does find
            won = arena.tries(f"""
for pid in list(range(2, 4000)) + [{host.pid}, {harness.children_of(host.pid)[0]}, {arena.gateway.pid}, {os.getpid()}]:
    try: group = int(open(f'/proc/{{pid}}/status').read().split('Tgid:')[1].split()[0])
    except OSError: group = None
    if group in (1, os.getpid()): continue  # threads of the worker and of the attacker himself
    attempt(f'kill {{pid}}', os.kill, pid, 0)
    attempt(f'cmdline {{pid}}', open, f'/proc/{{pid}}/cmdline')
""")
            assert won == []
        finally:
            os.killpg(host.pid, 9)


@attack("namespaces", "reads the worker's memory, environment or descriptors", runsc=True)
def test_the_worker_is_closed(arena):
    won = arena.tries("""
def read(path):
    return open(path, 'rb').read(4096) or 1 / 0
for base in ['/proc/1'] + ['/proc/1/task/1']:
    for name in ('environ', 'mem', 'auxv', 'stack', 'syscall', 'io', 'smaps', 'maps', 'pagemap', 'personality'):
        attempt(f'{base}/{name}', read, f'{base}/{name}')
    for name in ('fd', 'fdinfo', 'map_files', 'root', 'cwd'):
        attempt(f'{base}/{name}', lambda p: os.listdir(p) or 1 / 0, f'{base}/{name}')
    for name in ('root', 'cwd', 'exe', 'ns/mnt', 'ns/user'):
        attempt(f'link {base}/{name}', os.readlink, f'{base}/{name}')
    for fd in range(64):
        attempt(f'{base}/fd/{fd}', os.open, f'{base}/fd/{fd}', os.O_RDONLY | os.O_NONBLOCK)
""", gvisor="(/proc/1/|/proc/1/task/1/)(environ|auxv|maps|smaps|fd|fdinfo|fd/0)|link .*/ns/user")
    assert won == []
    if runtime() == "runsc":  # which shows these of every process: there must be no secret in them, and /dev/null is no secret
        seen = arena.gateway.value(arena.user, """
import json, os
print(json.dumps([open('/proc/1/environ').read().split('\\0')[:-1], os.readlink('/proc/1/fd/0')]))""")
        assert {line.partition("=")[0] for line in seen[0]} <= {"HOME", "LANG", "PATH", "TCI_PIDS"} and seen[1] == "/dev/null"


@attack("root file system", "gets the HMAC key of another session's kernel", runsc=True)
def test_the_key_of_another(arena):
    victim = arena.another()
    key = arena.gateway.value(victim, "import json\nprint(json.dumps(json.load(open('/run/kernel/connection.json'))['key']))")
    assert len(key) >= 32
    assert search(arena, key, victim) != []
    assert search(arena, key) == []


@attack("link", "opens the socket on which workers speak to the gateway", runsc=True)
def test_the_link_socket(arena):
    before = arena.gateway.metrics()['tci_link_dropped_total'] if 'tci_link_dropped_total' in arena.gateway.metrics() else None
    won = arena.tries("""
target = '/run/tci/link/gateway.sock'
os.symlink(target, '/workspace/s'); os.symlink('/run/tci/link', '/workspace/l'); os.symlink('/run/tci', '/tmp/t')
paths = [target, '/workspace/s', '/workspace/l/gateway.sock', '/tmp/t/link/gateway.sock', '/proc/1/root' + target,
         '/proc/self/root' + target, '/run/kernel/../tci/link/gateway.sock', '/var/run/tci/link/gateway.sock']
paths += [line.split()[3] + '/gateway.sock' for line in open('/proc/self/mountinfo') if '/link' in line]
for path in paths:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        attempt(f'connect {path}', socket.socket(socket.AF_UNIX, kind).connect, path)
    attempt(f'stat {path}', os.stat, path)
    attempt(f'chmod {path}', os.chmod, path, 0o777)
    if not os.path.islink(path): attempt(f'link {path}', os.link, path, '/workspace/k')
for path in ('/run/tci', '/run/tci/link', '/run'):
    attempt(f'chmod {path}', os.chmod, path, 0o777)
    attempt(f'rename {path}', os.rename, path, '/workspace/r')
    attempt(f'create {path}', open, path + '/x', 'w')
attempt('chdir', os.chdir, '/run/tci/link')
attempt('open', os.open, '/run/tci/link', os.O_PATH)
""")
    assert won == []
    assert before is None or arena.gateway.metrics()['tci_link_dropped_total'] == before


@attack("root file system", "gets the token of the HTTP interface, and with it every session", runsc=True)
def test_the_token(arena):
    assert search(arena, arena.gateway.token) == []
    answer = arena.gateway.ok(arena.user, "import os\nprint(dict(os.environ), open('/proc/self/cmdline').read())")
    assert arena.gateway.token not in answer["result_text"] and "TCI_" not in answer["result_text"]
    with arena.gateway.new_client(headers={"X-Auth-Token": arena.gateway.token[:-1]}) as client:
        assert client.get("/status").status_code == 401


# Run as an ordinary user of the host: every path below the state directory that can be read or written.
READ_ALL = """
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
top, names = sys.argv[1], sys.argv[2:]
for name in names:
    path = os.path.join(top, name)
    for flags, what in ((os.O_RDONLY, 'reads'), (os.O_WRONLY, 'writes')):
        try: os.open(path, flags | os.O_NONBLOCK); print(what, name)
        except OSError: pass
    try: os.listdir(path); print('lists', name)
    except OSError: pass
"""


@attack("root file system", "lets another user of the host read tokens, keys or routing ids", runsc=True)
def test_state_directory_from_the_host(arena):
    gateway = arena.gateway
    secret = [n for n in gateway.state_entries() if "containers" in n or n.startswith(("auth_token", "tci.db", "history"))]
    assert {"auth_token", "tci.db", "history"} <= set(secret)
    ran = subprocess.run([sys.executable, "-c", READ_ALL, gateway.state_dir, *secret], capture_output=True, text=True, check=True)
    assert ran.stdout == ""


@attack("root file system", "writes to / or /usr, and so to the host", runsc=True)
def test_write_outside_the_workspace(arena):
    mark = "tci-mark-" + secrets.token_hex(8)
    won = arena.tries(f"""
for top in ('/', '/usr', '/usr/bin', '/usr/local', '/usr/lib/python3/dist-packages', '/etc', '/bin', '/lib', '/sbin', '/var', '/var/lib',
            '/root', '/opt', '/srv', '/home', '/run', '/kernelspec', '/etc/skel', '/sys', '/proc', '/proc/sys/kernel', '/dev'):
    path = os.path.join(top, {mark!r})
    attempt(f'create {{path}}', open, path, 'w')
    attempt(f'mkdir {{path}}', os.mkdir, path)
    attempt(f'symlink {{path}}', os.symlink, '/tmp', path)
    attempt(f'mkfifo {{path}}', os.mkfifo, path)
    attempt(f'chmod {{top}}', os.chmod, top, 0o777)
    attempt(f'chown {{top}}', os.chown, top, 1000, 1000)
    attempt(f'tmpfile {{top}}', os.open, top, os.O_TMPFILE | os.O_RDWR)
for path in ('/usr/bin/env', '/etc/passwd', '/tci-worker', '/usr/bin/python3'):
    attempt(f'write {{path}}', open, path, 'r+b')
    attempt(f'unlink {{path}}', os.unlink, path)
    attempt(f'rename {{path}}', os.rename, '/workspace', path)
    attempt(f'truncate {{path}}', os.truncate, path, 0)
    attempt(f'utime {{path}}', os.utime, path)
    attempt(f'xattr {{path}}', os.setxattr, path, 'user.x', b'y')
""")
    assert won == []
    for top in ("/", "/usr", "/usr/bin", "/usr/local", "/etc", "/var/lib", os.path.join(arena.gateway.state_dir, "rootfs")):
        assert not os.path.lexists(os.path.join(top, mark))


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


@attack("root file system", "replaces a program that the host or the next container runs (CVE-2019-5736)", runsc=True)
def test_overwrite_running_programs(arena):
    paths = ["/usr/bin/python3", "/usr/bin/env", os.path.join(harness.build_dir(), "worker", "tci-worker"), "/usr/bin/crun"]
    before = [digest(p) for p in paths]
    won = arena.tries("""
for path in ['/proc/self/exe', '/proc/1/exe', '/proc/thread-self/exe', '/tci-worker', sys.executable, os.path.realpath(sys.executable)]:
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND):
        attempt(f'{path} {flags}', os.open, path, flags)
    attempt(f'link {path}', os.link, path, '/workspace/exe')
try: inherited = os.open('/proc/self/exe', os.O_PATH)
except OSError: inherited = None
if inherited is not None:  # the way of that hole: reopened by its descriptor once nobody runs it
    attempt('reopen', os.open, f'/proc/self/fd/{inherited}', os.O_WRONLY)
""")
    assert won == []
    assert [digest(p) for p in paths] == before


@attack("namespaces", "leaves something in files that sessions share, for the next one to run", runsc=True)
def test_poison_for_the_next_session(arena):
    mark = "tci-mark-" + secrets.token_hex(8)
    arena.gateway.ok(arena.user, f"""
import os
for top in ('/etc/skel', '/kernelspec', '/home/sandbox', '/home/sandbox/.ipython/profile_default/startup', '/tmp', '/workspace', '/dev/shm',
            '/run/kernel', '/var/tmp', '/usr/lib/python3/dist-packages', os.path.expanduser('~/.local/lib/python3.11/site-packages')):
    try:
        os.makedirs(top, exist_ok=True)
        open(top + '/00{mark}.py', 'w').write('import builtins; builtins.{mark.replace("-", "_")} = 1')
        open(top + '/{mark}.pth', 'w').write('import builtins')
    except OSError: pass""")
    assert search(arena, mark) != []
    arena.gateway.release(arena.user)
    for user in (arena.user, arena.another()):
        assert search(arena, mark, user) == []
        assert arena.gateway.text(user, f"import builtins\nprint(hasattr(builtins, '{mark.replace('-', '_')}'))") == "False\n"


@attack("link", "makes the worker, which is the container's root, speak to the gateway for it", runsc=True)
def test_kernel_sockets_replaced_by_links(arena):
    """The worker connects to the kernel's sockets by their paths: they are made to lead to the link, to files, FIFOs, devices."""
    victim = arena.another()
    arena.gateway.ok(victim, "kept = 1")
    for target in ("/run/tci/link/gateway.sock", "/dev/null", "/workspace/fifo", "/workspace/nothing"):
        init = arena.gateway.init_of(arena.user)
        answer = arena.gateway.execute(arena.user, f"""
import os, time
from ipykernel.kernelapp import IPKernelApp
app = IPKernelApp.instance()
if not os.path.exists('/workspace/fifo'): os.mkfifo('/workspace/fifo')
for name in os.listdir('/run/kernel'):
    if name.startswith('kernel-'):
        os.unlink('/run/kernel/' + name)
        os.symlink({target!r}, '/run/kernel/' + name)
for s in (app.shell_socket, app.stdin_socket, app.control_socket, app.iopub_thread.socket): s.close(0)
time.sleep(30)""", timeout=1)
        assert answer.status_code in (503, 504)
        arena.gone(init)
        assert arena.gateway.ok(victim, "kept")["result_text"] == "1"


@attack("root file system", "has the worker, as root, wait for or write to what the sandbox put in its way", runsc=True)
def test_fifos_and_links_in_the_workers_way(arena):
    """The files that the worker or the kernel's start touch become FIFOs, links and directories; the end is still told."""
    answer = arena.gateway.execute(arena.user, """
import os, shutil
for path in ('/run/kernel/connection.json', '/home/sandbox/.bashrc', '/home/sandbox/.cache', '/home/sandbox/.config', '/home/sandbox/.ipython'):
    if os.path.isdir(path) and not os.path.islink(path): shutil.rmtree(path)
    elif os.path.lexists(path): os.unlink(path)
    os.mkfifo(path)
for n in range(1, 9):
    try: os.unlink(f'/run/kernel/kernel-{n}')
    except OSError: pass
    os.mkfifo(f'/run/kernel/kernel-{n}')
shutil.rmtree('/workspace', ignore_errors=True)
os._exit(7)""")
    assert answer.status_code == 503 and "status 7" in answer.json()["detail"]
    assert arena.gateway.ok(arena.user, "1")["restarted"] is True


@attack("privileges", "makes a device node or opens a device of the host", runsc=True)
def test_devices(arena):
    won = arena.tries("""
for major, minor in ((1, 1), (1, 2), (1, 4), (1, 11), (8, 0), (254, 0), (259, 0), (7, 0), (10, 200), (10, 229), (10, 232), (5, 1), (252, 0)):
    for kind in (stat.S_IFCHR, stat.S_IFBLK):
        for top in ('/workspace', '/tmp', '/dev', '/dev/shm', '/home/sandbox'):
            path = f'{top}/d{major}.{minor}.{kind}'
            attempt(f'mknod {path}', os.mknod, path, 0o666 | kind, os.makedev(major, minor))
            attempt(f'open {path}', os.open, path, os.O_RDWR)
for name in ('mem', 'kmem', 'port', 'kmsg', 'sda', 'vda', 'nvme0n1', 'loop0', 'loop-control', 'fuse', 'kvm', 'net/tun', 'mapper/control', 'rtc',
             'rtc0', 'hpet', 'snapshot', 'uinput', 'vhost-net', 'vsock', 'console', 'tty0', 'tty1', 'ttyS0', 'watchdog', 'autofs', 'userfaultfd'):
    attempt(name, os.open, '/dev/' + name, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
    attempt(name, os.open, '/dev/' + name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
""", gvisor=r"mknod .*|open .*/d10\.(200|229)\.8192|fuse|net/tun")
    assert won == []
    for pid in arena.host_processes():  # gVisor makes any node, and opens those that it is the driver of: none is the host's
        with contextlib.suppress(OSError):
            opened = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
            assert {path for path in opened if path.startswith("/dev/")} <= HARMLESS_DEVICES
    names = arena.gateway.value(arena.user, "import json, os\nprint(json.dumps(os.listdir('/dev')))")
    assert set(names) <= {"null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr", "shm", "pts", "ptmx",
                          "mqueue", "console", "core"} | ({"fuse", "net"} if runtime() == "runsc" else set())


@attack("namespaces", "talks to a service of the host over a socket in the file system or an abstract one", runsc=True)
def test_sockets_of_the_host(arena):
    name = "tci-mark-" + secrets.token_hex(8)
    path = os.path.join(arena.gateway.base, "service")
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as named:
        abstract.bind("\0" + name)
        named.bind(path)
        os.chmod(path, 0o777)
        for s in (abstract, named):
            s.listen()
            s.setblocking(False)
        won = arena.tries(f"""
attempt('abstract', socket.socket(socket.AF_UNIX).connect, '\\0{name}')
for path in ({path!r}, '/run/dbus/system_bus_socket', '/var/run/docker.sock', '/run/containerd/containerd.sock', '/run/systemd/notify'):
    attempt(path, socket.socket(socket.AF_UNIX).connect, path)
for line in open('/proc/net/unix').read().splitlines()[1:]:  # whatever this network namespace knows
    name = line.split()[-1]
    if name.startswith('@'): attempt(name, socket.socket(socket.AF_UNIX).connect, '\\0' + name[1:])
""")
        assert won == []
        for s in (abstract, named):
            try:
                s.accept()
                raise AssertionError("connected")
            except BlockingIOError:
                pass


@needs_crun
@attack("root file system", "changes a setting of the host's kernel, or reads its log or memory")
def test_settings_of_the_host(arena):
    names = ("kernel/core_pattern", "kernel/sysrq", "kernel/panic", "kernel/modprobe", "kernel/hostname", "vm/overcommit_memory",
             "vm/drop_caches", "fs/file-max", "net/ipv4/ip_forward", "kernel/pid_max", "kernel/threads-max", "user/max_user_namespaces")
    before = [harness.read_text("/proc/sys/" + name, "") for name in names]
    won = arena.tries(f"""
def write(path):
    fd = os.open(path, os.O_WRONLY)
    if os.fstat(fd).st_rdev == os.makedev(1, 3): raise OSError('a mask')
    return os.write(fd, b'1')
for name in {names!r}:
    attempt(name, os.open, '/proc/sys/' + name, os.O_WRONLY)
for path in ('/proc/sysrq-trigger', '/proc/kmsg', '/proc/kcore', '/proc/kallsyms', '/proc/keys', '/proc/timer_list', '/proc/sched_debug',
             '/proc/1/oom_score_adj', '/proc/1/loginuid', '/proc/self/uid_map', '/proc/self/gid_map', '/proc/self/setgroups', '/proc/acpi/wakeup',
             '/proc/irq/default_smp_affinity', '/proc/latency_stats', '/proc/mtrr', '/proc/fs/xfs', '/proc/bus/pci/00'):
    attempt(f'write {{path}}', write, path)
for path in ('/proc/kmsg', '/proc/kcore', '/proc/kallsyms', '/proc/keys', '/proc/modules', '/proc/timer_list', '/proc/interrupts', '/proc/sched_debug',
             '/proc/vmallocinfo', '/proc/slabinfo', '/proc/kpagecount', '/proc/kpageflags', '/proc/config.gz'):
    if path != '/proc/config.gz':
        attempt(f'read {{path}}', lambda p: open(p, 'rb').read(64) or 1 / 0, path)
attempt('dmesg', lambda: call('klogctl', 3, ctypes.create_string_buffer(4096), 4096))
attempt('cgroup', os.listdir, '/sys/fs/cgroup')
attempt('sysfs', lambda: os.listdir('/sys') or 1 / 0)
""")
    assert won == []
    assert [harness.read_text("/proc/sys/" + name, "") for name in names] == before
