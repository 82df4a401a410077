"""test_resources.py - attacks on what all share: processors, memory, processes, descriptors, and limits of the whole host."""
import contextlib
import ctypes
import errno
import json
import os
import tempfile

import pytest

import harness
from arena import attack, needs_crun, needs_x86_64, runtime

MIB = 1024  # KiB


def host_slab():
    """KiB of the host's kernel memory that no cgroup need have paid for."""
    return int(harness.read_text("/proc/meminfo").split("SUnreclaim:")[1].split()[0])


def host_sockets(protocol):
    """KiB in the queues of the host's sockets of a protocol, those of all network namespaces together."""
    line = next(l for l in harness.read_text("/proc/net/sockstat").splitlines() if l.startswith(protocol + ":"))
    return int(line.split("mem ")[1].split()[0]) * os.sysconf("SC_PAGE_SIZE") // 1024


def ended_by_limits(arena, code, timeout=3, bound=None):
    """Runs code without an end; the bystander is served meanwhile, and the container is gone afterwards."""
    init = arena.gateway.init_of(arena.user)
    future = arena.start(code, timeout)
    answer = arena.bystander_during(future, *([bound] if bound else []))
    assert answer.status_code in (503, 504), answer.text[:500]
    arena.gone(init)
    assert arena.gateway.ok(arena.user, "1")["restarted"] is True


@attack("limits", "fills the host's process table", runsc=True)
def test_fork_bomb(arena):
    ended_by_limits(arena, """
for n in range(1, 32):
    try: signal.signal(n, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True:
    try: os.fork()
    except OSError: pass""")


@attack("limits", "fills the host's process table with threads", runsc=True)
def test_thread_bomb(arena):
    arena.gateway.ok(arena.user, "1")
    n = arena.gateway.value(arena.user, """
import json, threading
stop, n = threading.Event(), 0
threading.stack_size(32768)
try:
    while n < 5000: threading.Thread(target=stop.wait, daemon=True).start(); n += 1
except RuntimeError: pass
stop.set()
print(json.dumps(n))""")
    assert n < 64


@pytest.mark.root_only("the memory of a session as a whole is not limited")
@attack("limits", "takes memory beyond its own, until others are killed for it", runsc=True)
def test_memory_bomb(arena):
    init = arena.gateway.init_of(arena.user)
    answer = arena.bystander_during(arena.start("""
import mmap
held = []
for _ in range(6): os.fork()
while True: held.append(mmap.mmap(-1, 1 << 24)); held[-1][::4096] = b'x' * 4096""", timeout=10), bound=5)
    assert answer.status_code in (200, 503, 504)
    arena.gateway.release(arena.user)
    arena.gone(init)


@attack("limits", "fills the host's memory by files, which outlive their writer", runsc=True)
def test_tmpfs_fill(arena):
    """Each of its file systems."""
    result = arena.gateway.execute(arena.user, """
import json, os
left = []
for top in ('/workspace', '/tmp', '/home/sandbox', '/dev/shm', '/run/kernel', '/dev', '/run'):
    written = 0
    try:
        with open(top + '/fill', 'wb', buffering=0) as f:
            while written < 1 << 30: written += f.write(b'x' * (1 << 18))
    except OSError: pass
    try: os.unlink(top + '/fill')
    except OSError: pass
    left.append([top, written >> 20])
print(json.dumps(left))""", timeout=20)
    assert result.status_code == 200, result.text
    sizes = dict(__import__("json").loads(result.json()["result_text"]))
    assert sizes["/workspace"] <= 64 and all(size <= 64 for size in sizes.values()), sizes


@pytest.mark.root_only("the memory of a session as a whole is not limited")
@attack("limits", "fills the host's memory by files without a name and segments of System V", runsc=True)
def test_nameless_memory(arena):
    ended_by_limits(arena, """
files = []
for n in range(1 << 20):  # together they are memory of the container
    i = libc.shmget(0, 1 << 22, 0o1600)
    libc.shmat.restype = ctypes.c_void_p
    a = libc.shmat(i, None, 0)
    if a and a != ctypes.c_void_p(-1).value: ctypes.memset(a, 1, 1 << 22)
    fd = os.memfd_create('x')
    os.write(fd, b'x' * (1 << 22)); files.append(fd)""", timeout=8, bound=5)


@attack("limits", "takes all inodes, or memory by empty files", runsc=True)
def test_inode_fill(arena):
    answer = arena.gateway.execute(arena.user, """
import json, os
counts = {}
for top in ('/workspace', '/tmp', '/home/sandbox', '/dev/shm'):
    n = 0
    try:
        os.makedirs(top + '/i')
        while n < 200_000: os.mknod(f'{top}/i/{n}'); n += 1
    except OSError: pass
    counts[top] = n
print(json.dumps(counts))""", timeout=20)
    if runtime() == "runsc":  # has no limit of inodes: what they take is the session's memory, which ends it
        assert answer.status_code == 503 and "ran out of memory" in answer.json()["detail"]
        return
    counts = json.loads(answer.json()["result_text"])
    assert all(n < 20_000 for n in counts.values()), counts


@attack("limits", "takes the host's file descriptors", runsc=True)
def test_descriptor_exhaustion(arena):
    before = int(harness.read_text("/proc/sys/fs/file-nr").split()[0])
    most = arena.gateway.value(arena.user, """
import json, os, socket
held = []
try:
    while len(held) < 100_000: held.append(os.open('/dev/null', os.O_RDONLY))
except OSError: pass
most = len(held)
for fd in held[1:]: os.close(fd)
a, b = socket.socketpair()  # descriptors under way in a socket belong to nobody's table
sent = 0
a.setblocking(False)
try:
    while sent < 100_000: socket.send_fds(a, [b'x'], [held[0]] * 250); sent += 250
except OSError: pass
print(json.dumps([most, sent]))""")
    assert most[0] <= 4096 and (most[1] <= 3 * 4096 or runtime() == "runsc"), most  # in gVisor they are none of the host's
    assert int(harness.read_text("/proc/sys/fs/file-nr").split()[0]) - before < 30_000


@attack("limits", "takes the processor from other sessions and the gateway", runsc=True)
def test_cpu_hog(arena):
    ended_by_limits(arena, """
try: os.setpriority(os.PRIO_PROCESS, 0, 0)
except OSError: pass
for _ in range(40):
    if os.fork() == 0: break
while True: pass""", timeout=4)


@pytest.mark.root_only("single executions have no limits of their own")
@attack("limits", "uses more of the processor than its execution was given, by processes beside it", runsc=True)
def test_processor_of_one_execution(arena):
    container = arena.gateway.container_of(arena.user)
    time_before, periods_before = container.cpu_seconds(), container.cpu_periods()
    answer = arena.gateway.execute(arena.user, """
import os, time
children = []
for _ in range(3):
    children.append(os.fork())
    if children[-1] == 0:
        os.setsid()
        while True: pass
time.sleep(3)
for child in children: os.kill(child, 9); os.waitpid(child, 0)""", cpu=0.2, timeout=15)
    assert answer.status_code == 200, answer.text
    periods = container.cpu_periods() - periods_before
    assert periods > 5 and (container.cpu_seconds() - time_before) / (periods * 0.1) < 0.26


@pytest.mark.root_only("single executions have no limits of their own")
@attack("limits", "uses more memory than its execution was given, by processes or files", runsc=True)
def test_memory_of_one_execution(arena):
    for code in ("""
import mmap, os, time
children = []
for _ in range(8):
    children.append(os.fork())
    if children[-1] == 0:
        m = mmap.mmap(-1, 24 << 20)
        while True: m[::4096] = os.urandom(len(m) // 4096)
time.sleep(3)
for child in children: os.kill(child, 9); os.waitpid(child, 0)""", """
import mmap, time
m = mmap.mmap(-1, 100 << 20)
m[::4096] = b'x' * (len(m) // 4096)
for top in ('/workspace', '/tmp', '/dev/shm', '/home/sandbox'):
    try:
        with open(top + '/fill', 'wb', buffering=0) as f:
            for _ in range(192): f.write(b'x' * (1 << 20))
    except OSError: pass
time.sleep(1)"""):
        container, most = arena.gateway.container_of(arena.user), 0
        future = arena.gateway.spawn(arena.user, code, timeout=8, memory_mb=180)  # gVisor takes 70 itself
        while not future.done():
            with contextlib.suppress(AssertionError):  # the container may end
                most = max(most, container.memory_used())
        assert future.result().status_code in (200, 503, 504), future.result().text
        assert 0 < most < 190, most  # the kernel overdraws by some pages for a moment
        arena.gateway.release(arena.user)


@needs_crun
@attack("seccomp", "has the host hold gigabytes for it in the queues of netlink and UDP sockets, in no cgroup")
def test_memory_in_sockets_without_an_account(arena):
    slab, udp = host_slab(), host_sockets("UDP")
    sent = arena.gateway.value(arena.user, """
import json, socket, struct
held, sent = [], 0
question = struct.pack('IHHII', 16 + 16384, 0x3f, 5, 1, 0) + b'x' * 16384  # answered by an error that quotes it
for _ in range(300):
    try:
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)
        s.setblocking(False)
        held.append(s)
        for _ in range(200): s.send(question); sent += 1
    except OSError: pass
for _ in range(300):
    try:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(('127.0.0.1', 0))
        held.append(s)
        for _ in range(10): s.sendto(b'x' * 50000, s.getsockname()); sent += 1
    except OSError: pass
print(json.dumps(sent))""")
    assert sent == 0
    assert host_slab() - slab < 512 * MIB and host_sockets("UDP") - udp < 32 * MIB


@needs_crun
@pytest.mark.root_only("memory in sockets is not limited")
@attack("limits", "has the host hold more memory for its TCP sockets than its own limit")
def test_memory_in_tcp_sockets(arena):
    before = host_sockets("TCP")
    arena.gateway.ok(arena.user, """
import socket
listener = socket.create_server(('127.0.0.1', 0), backlog=1000)
held, sent = [listener], 0
for _ in range(300):
    try:
        a = socket.create_connection(listener.getsockname()); b = listener.accept()[0]
        held += [a, b]
        a.setblocking(False)
        while True: sent += a.send(b'x' * 65536)
    except OSError: pass""", timeout=20)
    during = host_sockets("TCP")
    assert arena.gateway.value(arena.user, "import json; print(json.dumps(len(held)))") > 100
    assert during - before < 256 * MIB, f"{during - before} KiB"


@needs_crun
@pytest.mark.root_only("memory in sockets and pipes is not limited")
@attack("limits", "has the host hold memory for pipes, UNIX sockets, terminals and locks beyond its limit")
def test_memory_in_other_queues(arena):
    slab = host_slab()
    arena.gateway.execute(arena.user, """
import fcntl, os, pty, socket
held = []
def more(f):
    try:
        for _ in range(1500): held.append(f())
    except (OSError, MemoryError): pass
def unix():
    a, b = socket.socketpair(); a.setblocking(False)
    try:
        while True: a.send(b'x' * 4096)
    except OSError: return a, b
def pipe():
    r, w = os.pipe()
    try: fcntl.fcntl(w, 1031, 1 << 20)
    except OSError: pass
    os.set_blocking(w, False)
    try:
        while True: os.write(w, b'x' * 65536)
    except OSError: return r, w
def locks():
    f = open('/workspace/locks', 'w')
    for i in range(200): fcntl.lockf(f, fcntl.LOCK_EX, 1, 2 * i)
    return f
def terminal():
    return pty.openpty()
more(unix); more(pipe); more(terminal); more(locks)""", timeout=15)
    grown = host_slab() - slab
    arena.gateway.release(arena.user)
    assert grown < (256 + 256) * MIB, f"{grown} KiB"


@needs_crun
@needs_x86_64
@attack("seccomp", "takes all contexts of asynchronous input and output that the host has")
def test_asynchronous_io_contexts(arena):
    before = int(harness.read_text("/proc/sys/fs/aio-nr"))
    won = arena.tries("""
for _ in range(60):
    context = ctypes.c_ulong(0)
    attempt('io_setup', lambda: call(206, 2000, ctypes.byref(context)))
""")
    assert int(harness.read_text("/proc/sys/fs/aio-nr")) - before < 1000
    assert won == []


@needs_crun
@attack("seccomp", "takes all inotify instances of the host's root, and of every other session")
def test_inotify_instances(arena):
    won = arena.tries("""
for _ in range(300): attempt('inotify', lambda: call('inotify_init1', 0))
for _ in range(10): attempt('fanotify', lambda: call('fanotify_init', 0, 0))
""")
    libc = ctypes.CDLL(None, use_errno=True)
    own = libc.inotify_init1(os.O_CLOEXEC)  # the host's root must still get one
    assert own >= 0, errno.errorcode.get(ctypes.get_errno())
    os.close(own)
    assert won == []


@needs_crun
@attack("namespaces", "takes pseudo-terminals, message queues or pending signals from others")
def test_other_limits_of_the_host(arena):
    other = arena.another()
    arena.gateway.ok(arena.user, """
import ctypes, os, pty, signal
held = []
try:
    while len(held) < 5000: held.append(pty.openpty())
except OSError: pass
c = ctypes.CDLL(None)
small = (ctypes.c_long * 8)(0, 4, 256)
for n in range(1000): c.mq_open(b'/q%d' % n, os.O_CREAT | os.O_RDWR, 0o600, small)
r, w = os.pipe()
if os.fork() == 0:  # one thread, which blocks the signal that it queues
    signal.pthread_sigmask(signal.SIG_BLOCK, [40])
    for _ in range(100_000): c.sigqueue(os.getpid(), 40, None)
    os.write(w, b'x')
    signal.pause()
os.read(r, 1)
for n in range(500): c.semget(0, 250, 0o1600); c.msgget(0, 0o1600)
for n in range(100): c.shmctl(c.shmget(0, 4096, 0o1600), 11, None)  # SHM_LOCK""", timeout=20)
    won = arena.tries("""
attempt('pty', os.openpty)
small = (ctypes.c_long * 8)(0, 4, 256)
attempt('mq', lambda: call('mq_open', b'/q', os.O_CREAT | os.O_RDWR, 0o600, small))
attempt('sem', lambda: call('semget', 0, 1, 0o1600))
signal.signal(41, lambda *_: None)  # a real-time signal, which is queued or refused
attempt('sigqueue', lambda: call('sigqueue', os.getpid(), 41, None))
attempt('lock', lambda: call('shmctl', call('shmget', 0, 4096, 0o1600), 11, None))
""", user=other)
    assert {name for name, _ in won} >= {"pty", "mq", "sem", "sigqueue", "lock"}  # the other session has its own


def dirty():
    """KiB that wait to be written to the host's disks."""
    lines = dict(line.split(":") for line in harness.read_text("/proc/meminfo").splitlines())
    return sum(int(lines[name].split()[0]) for name in ("Dirty", "Writeback"))


def written_by(deed):
    """KiB, of 32 MiB that wait to be written, that a deed has the host write; None where they do not wait: on a tmpfs."""
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as f:
        os.sync()
        before = dirty()
        f.write(os.urandom(32 << 20))
        f.flush()
        waiting = dirty()
        deed()
        return waiting - dirty() if waiting - before > 24 * MIB else None


@needs_crun
@attack("seccomp", "has the host write its disks again and again, by sync and its like, so that all others wait for them")
def test_syncing_the_hosts_disks(arena):
    """Of a descriptor that is not open Linux would say so, if it were asked."""
    won = arena.tries("""
import mmap
class Pretended(Exception): pass
def heard(f, *args):
    try: f(*args)
    except OSError as e: return e.errno
    raise Pretended
other = os.uname().machine != 'x86_64'
for name, number in {'fsync': 82 if other else 74, 'fdatasync': 83 if other else 75, 'syncfs': 267 if other else 306}.items():
    attempt(name, heard, call, number, 4000); attempt(name, heard, call, number, 4000 | 1 << 32)
attempt('sync_file_range', heard, call, 84 if other else 277, 4000, 0, 0, 7)
hole = mmap.mmap(-1, 1 << 20)
address = ctypes.addressof(ctypes.c_char.from_buffer(hole))
call('munmap', address, 1 << 20)
for flags in (4, 6, 4 | 1 << 32): attempt('msync', heard, call, 227 if other else 26, address, 4096, flags)
""")
    assert won == []
    code = """
import os
for _ in range(20): os.sync(); os.fsync(os.open('/usr', os.O_RDONLY)); __import__('ctypes').CDLL(None).syncfs(os.open('/usr/bin/env', os.O_RDONLY))"""
    written = [written_by(lambda: arena.gateway.ok(arena.user, code)) for _ in range(3)]  # somebody else may sync meanwhile
    print(f"{written} KiB were written; by the host itself {written_by(os.sync)}")
    if None not in written:
        assert min(written) < 8 * MIB and any((written_by(os.sync) or 0) > 16 * MIB for _ in range(10))  # others write as well
