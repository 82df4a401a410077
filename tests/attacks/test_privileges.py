"""test_privileges.py - attacks on the kernel's interface: privileges, namespaces, modules, raw access, the clock."""
import os
import time

import harness
from arena import attack, needs_crun, needs_x86_64, runtime


@attack("privileges", "gets root, a capability or a group that it did not have", runsc=True)
def test_become_root(arena):
    won = arena.tries("""
for name, args in (('setuid', (0,)), ('setgid', (0,)), ('seteuid', (0,)), ('setreuid', (0, 0)), ('setresuid', (0, 0, 0)), ('setresgid', (0, 0, 0)),
                   ('setfsuid', (0,)), ('setgroups', (1, ctypes.byref(ctypes.c_uint(0))))):
    attempt(name, lambda: call(name, *args) if name != 'setfsuid' else (libc.setfsuid(0), libc.setfsuid(0) == 0 or 1 / 0))
for cap in range(41):
    attempt(f'ambient {cap}', lambda: call('prctl', 47, 2, cap, 0, 0))
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
attempt('capset', lambda: call('capset', header, (ctypes.c_uint32 * 6)(*[0xffffffff] * 6)))
attempt('keepcaps', lambda: call('prctl', 8, 1, 0, 0, 0) or int(open('/proc/self/status').read().split('CapEff:')[1].split()[0], 16) or 1 / 0)
attempt('nnp off', lambda: call('prctl', 38, 0, 0, 0, 0))
attempt('nice', lambda: call('setpriority', 0, 0, -10))
attempt('realtime', os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1))
import resource
for name in ('NOFILE', 'NPROC', 'MEMLOCK', 'MSGQUEUE', 'SIGPENDING', 'RTPRIO', 'NICE'):
    what = getattr(resource, 'RLIMIT_' + name)
    soft, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY: attempt(name, resource.setrlimit, what, (hard + 1, hard + 1))
""", gvisor="nice")
    assert won == []
    assert all(os.getpriority(os.PRIO_PROCESS, pid) >= 0 for pid in arena.host_processes())  # gVisor keeps its own number
    if runtime() == "crun":
        effective = harness.status_field(arena.gateway.kernel_of(arena.user), "CapEff")
    else:
        effective = arena.gateway.text(arena.user, "print(open('/proc/self/status').read().split('CapEff:')[1].split()[0])")
    assert int(effective, 16) == 0


@attack("privileges", "becomes root through a setuid program or a file with capabilities", runsc=True)
def test_setuid_programs(arena):
    won = arena.tries("""
import glob, shutil
uid = lambda *a: subprocess.run(a, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=1, start_new_session=True).stdout.split()[0] == '0' or 1 / 0
found = [p for d in ('bin/*', 'sbin/*', 'lib/*/*', 'libexec/*', 'lib/openssh/*') for p in glob.glob('/usr/' + d)
         if os.path.isfile(p) and not os.path.islink(p) and os.stat(p).st_mode & (stat.S_ISUID | stat.S_ISGID)]
for p in found: attempt(p, uid, p, '-c', 'id -u')
for top in ('/workspace', '/tmp', '/home/sandbox', '/dev/shm', '/run/kernel'):
    mine = top + '/id'
    try: shutil.copy('/usr/bin/id', mine)
    except OSError: continue
    for owner in (0, 1, 65534): attempt(f'chown {mine} {owner}', os.chown, mine, owner, owner)
    os.chmod(mine, 0o6755)
    attempt(mine, uid, mine, '-u')
    attempt('file capabilities', os.setxattr, mine, 'security.capability', bytes.fromhex('0100000202000000ffffffff00000000ffffffff00000000')[:20])
""")
    assert won == []


@needs_crun
@attack("seccomp", "makes a user namespace, in which it would have all capabilities")
def test_user_namespaces(arena):
    won = arena.tries("""
flags = {'user': 0x10000000, 'mnt': 0x20000, 'net': 0x40000000, 'pid': 0x20000000, 'ipc': 0x8000000, 'uts': 0x4000000, 'cgroup': 0x2000000, 'time': 0x80}
for name, flag in flags.items():
    attempt(f'unshare {name}', lambda: call('unshare', flag))
    attempt(f'unshare user+{name}', lambda: call('unshare', flag | 0x10000000))
def forked(pid):
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
    return pid
if os.uname().machine == 'x86_64':
    for name, flag in flags.items():
        if name != 'time': attempt(f'clone {name}', lambda: forked(call(56, flag | 17, 0, 0, 0, 0)))
        arguments = (ctypes.c_uint64 * 11)(flag | 0, 0, 0, 0, 17)
        attempt(f'clone3 {name}', lambda: forked(call(435, arguments, 88)))
for name in flags:
    attempt(f'setns {name}', lambda: call('setns', os.open(f'/proc/self/ns/{name}', os.O_RDONLY), 0))
    attempt(f'setns 1 {name}', lambda: call('setns', os.open(f'/proc/1/ns/{name}', os.O_RDONLY), 0))
attempt('setns pidfd', lambda: call('setns', os.pidfd_open(1), 0x20000))
attempt('command', lambda: subprocess.run(['unshare', '-Ur', 'id', '-u'], capture_output=True, check=True))
""")
    assert won == []


@needs_crun
@attack("seccomp", "mounts a file system, or changes what is mounted")
def test_mounting(arena):
    before = harness.read_text(f"/proc/{arena.gateway.kernel_of(arena.user)}/mountinfo")
    won = arena.tries("""
os.makedirs('/workspace/m', exist_ok=True)
for kind in (b'tmpfs', b'proc', b'sysfs', b'cgroup2', b'overlay', b'devtmpfs', b'fuse', b'ext4', b'debugfs'):
    attempt(kind, lambda: call('mount', b'none', b'/workspace/m', kind, 0, None))
attempt('bind', lambda: call('mount', b'/', b'/workspace/m', None, 4096, None))
attempt('remount', lambda: call('mount', None, b'/usr', None, 32 | 4096, None))
attempt('propagate', lambda: call('mount', None, b'/', None, 1 << 20, None))
for point in (b'/proc', b'/usr', b'/run/tci', b'/run/tci/link', b'/proc/kcore', b'/proc/sys', b'/'):
    attempt(point, lambda: call('umount2', point, 2))
attempt('pivot_root', lambda: call(155 if os.uname().machine == 'x86_64' else 41, b'/workspace', b'/workspace/m'))
attempt('chroot', os.chroot, '/workspace')
attempt('open_tree', lambda: call(428, -100, b'/', 1))
attempt('move_mount', lambda: call(429, -100, b'/usr', -100, b'/workspace/m', 0))
attempt('fsopen', lambda: call(430, b'tmpfs', 0))
attempt('fspick', lambda: call(433, -100, b'/usr', 0))
attempt('mount_setattr', lambda: call(442, -100, b'/usr', 0, (ctypes.c_uint64 * 4)(0, 1, 0, 0), 32))
attempt('handle', lambda: call('name_to_handle_at', -100, b'/', ctypes.create_string_buffer(128), ctypes.create_string_buffer(8), 0))
attempt('quotactl', lambda: call('quotactl', 0, b'/dev/sda', 0, None))
""")
    assert won == []
    assert harness.read_text(f"/proc/{arena.gateway.kernel_of(arena.user)}/mountinfo") == before


def modules():
    return {line.split()[0] for line in harness.read_text("/proc/modules", "").splitlines()}


@needs_crun
@attack("seccomp", "has the host load, or unload, a kernel module")
def test_kernel_modules(arena):
    before = modules()
    won = arena.tries("""
attempt('init_module', lambda: call('init_module', ctypes.create_string_buffer(64), 64, b''))
attempt('delete_module', lambda: call('delete_module', b'loop', 0))
attempt('finit_module', lambda: call(313 if os.uname().machine == 'x86_64' else 273, 0, b'', 0))
for family in list(range(3, 50)):  # each would load net-pf-N
    if family in (socket.AF_INET6,): continue
    for kind in (1, 2, 3, 5): attempt(f'family {family}.{kind}', socket.socket, family, kind, 0)
for protocol in (132, 33, 136, 262, 47, 115):  # SCTP, DCCP, UDP-Lite, MPTCP, GRE, L2TP
    for family in (2, 10):
        for kind in (1, 2, 3, 5, 6): attempt(f'protocol {protocol}', socket.socket, family, kind, protocol)
s = socket.socket()
attempt('congestion control', s.setsockopt, socket.IPPROTO_TCP, 13, b'vegas')
attempt('upper protocol', s.setsockopt, socket.IPPROTO_TCP, 31, b'smc')
attempt('command', lambda: subprocess.run(['/sbin/modprobe', 'dummy'], check=True, capture_output=True))
""")
    assert won == []
    assert not (modules() - before) & {"dccp", "dummy", "ip_gre", "l2tp_core", "sctp", "smc", "tcp_vegas", "udplite"}


@attack("seccomp", "reaches a part of Linux with a history of holes: BPF, io_uring, userfaultfd, perf, keyrings")
@needs_crun
@needs_x86_64
def test_calls_with_a_history(arena):
    won = arena.tries("""
page = ctypes.create_string_buffer(4096)
for name, args in {'bpf map': (321, 0, page, 72), 'bpf prog': (321, 5, page, 120), 'io_uring_setup': (425, 8, page), 'io_uring_enter': (426, 0, 0, 0, 0),
                   'userfaultfd': (323, 1), 'perf_event_open': (298, page, 0, -1, -1, 0), 'add_key': (248, b'user', b'x', b'y', 1, -3),
                   'request_key': (249, b'user', b'x', b'', -3), 'keyctl': (250, 0, -3, 1), 'kexec_load': (246, 0, 0, 0, 0),
                   'kexec_file_load': (320, 0, 0, 0, 0), 'open_by_handle_at': (304, -100, page, 0), 'lookup_dcookie': (212, 1, page, 4096),
                   'fanotify': (300, 0, 0), 'memfd_secret': (447, 0), 'vmsplice gift': (313, 0, 0, 0), 'acct': (163, b'/workspace/x'),
                   'swapon': (167, b'/workspace/x', 0), 'iopl': (172, 3), 'ioperm': (173, 0, 8, 1), 'modify_ldt': (154, 0, page, 16),
                   'uselib': (134, b'/usr/lib/x'), 'sysfs': (139, 3), 'process_madvise': (440, 0, page, 1, 4, 0), 'set_mempolicy': (238, 0, 0, 0),
                   'move_pages': (279, 0, 0, 0, 0, 0, 0), 'map_shadow_stack': (453, 0, 4096, 0), 'reboot': (169, 0xfee1dead, 672274793, 0)}.items():
    attempt(name, lambda: call(*args))
""")
    assert won == []


@attack("seccomp", "makes a system call by the numbers of another architecture, past the filter")
@needs_crun
@needs_x86_64
def test_calls_of_another_architecture(arena):
    """i386 by int 0x80 and x32 by its bit: unshare, mount and getpid must not be answered by Linux."""
    outcome = arena.gateway.value(arena.user, """
import ctypes, json, mmap, os
def run(code):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        m = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        m.write(code)
        result = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()
        os.write(w, str(result).encode()); os._exit(0)
    os.close(w)
    os.waitpid(pid, 0)
    return os.read(r, 99).decode()
native = lambda n: b'\\xb8' + n.to_bytes(4, 'little') + b'\\x31\\xff\\x31\\xf6\\x0f\\x05\\xc3'
old = lambda n: b'\\x53\\xb8' + n.to_bytes(4, 'little') + b'\\x31\\xdb\\x31\\xc9\\xcd\\x80\\x5b\\xc3'
x32 = lambda n: native(n | 0x40000000)
print(json.dumps([run(native(39)), [run(old(n)) for n in (20, 21, 310, 26)], [run(x32(n)) for n in (39, 165, 272, 101)]]))""")
    native, old, x32 = outcome
    assert int(native) > 0  # the machine code itself works
    assert all(result in ("", "-38", "-1") for result in old + x32), outcome


@attack("privileges", "sends or sees packets below TCP", runsc=True)
def test_raw_sockets(arena):
    won = arena.tries("""
for family in (socket.AF_INET, socket.AF_INET6):
    for protocol in (0, 1, 6, 17, 47, 58, 255):
        attempt(f'raw {family} {protocol}', socket.socket, family, socket.SOCK_RAW, protocol)
for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM, 10):
    for protocol in (0, 3, 0x300): attempt(f'packet {kind}', socket.socket, socket.AF_PACKET, kind, protocol)
attempt('ping', socket.socket, socket.AF_INET, socket.SOCK_DGRAM, 1)
attempt('xdp', socket.socket, 44, socket.SOCK_RAW, 0)
attempt('vsock', socket.socket, 40, socket.SOCK_STREAM, 0)
attempt('bluetooth', socket.socket, 31, socket.SOCK_RAW, 1)
""", gvisor="ping")  # in gVisor's own network, which has a loopback and nothing else
    assert won == []


@attack("limits", "leaves a core file, or has the host's core handler run on it", runsc=True)
def test_core_dumps(arena):
    """The handler, which a host may have (core_pattern), is not run as long as the limit is one byte, no more and no less."""
    answer = arena.gateway.value(arena.user, """
import ctypes, json, os, resource, signal, subprocess, sys
os.makedirs('/workspace/core', exist_ok=True)
c, page = ctypes.CDLL(None), ctypes.create_string_buffer(16)
setrlimit, prlimit = (160, 302) if os.uname().machine == 'x86_64' else (164, 261)
for limit in ((0, 0), (0, 1), (4096, 4096), (1 << 30, 1 << 30), (resource.RLIM_INFINITY, resource.RLIM_INFINITY)):
    for change in (lambda: resource.setrlimit(resource.RLIMIT_CORE, limit), lambda: resource.prlimit(0, resource.RLIMIT_CORE, limit),
                   lambda: resource.prlimit(os.getpid(), resource.RLIMIT_CORE, limit)):
        try: change()
        except (OSError, ValueError): pass
    new = (ctypes.c_uint64 * 2)(*(n & 0xffffffffffffffff for n in limit))
    for number in (4, 4 | 1 << 32, 4 | 1 << 63):
        c.syscall(ctypes.c_long(setrlimit), ctypes.c_long(number), new)
        for old in (None, page): c.syscall(ctypes.c_long(prlimit), ctypes.c_long(0), ctypes.c_long(number), new, old)
        subprocess.run(['bash', '-c', 'ulimit -c 0; ulimit -c unlimited'], capture_output=True)
limits = [resource.getrlimit(resource.RLIMIT_CORE), json.loads(subprocess.run([sys.executable, '-S', '-c',
          'import resource; print(list(resource.getrlimit(resource.RLIMIT_CORE)))'], capture_output=True, text=True).stdout)]
codes = []
for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT, signal.SIGBUS, signal.SIGSYS):
    codes.append(subprocess.run([sys.executable, '-S', '-c', f'import os; os.kill(os.getpid(), {int(number)})'], cwd='/workspace/core').returncode)
files = [os.path.join(d, f) for top in ('/workspace', '/tmp', '/home/sandbox') for d, _, fs in os.walk(top) for f in fs if f.startswith('core')]
print(json.dumps([limits, codes, files]))""")
    limits, codes, files = answer
    assert files == []
    assert all(code < 0 for code in codes)  # they did crash
    if runtime() != "runsc":  # there limits and crashes are those of gVisor's kernel: the host's hears of neither
        assert limits == [[1, 1], [1, 1]]


@attack("seccomp", "changes the clock of the host", runsc=True)
def test_the_clock(arena):
    before = time.time() - time.monotonic()
    won = arena.tries("""
for clock in (time.CLOCK_REALTIME, time.CLOCK_MONOTONIC, 11, 8, 9):
    attempt(f'clock_settime {clock}', time.clock_settime, clock, 0)
attempt('settimeofday', lambda: call('settimeofday', (ctypes.c_long * 2)(0, 0), None))
attempt('adjtimex', lambda: call('adjtimex', ctypes.create_string_buffer(b'\\1', 512)))
attempt('clock_adjtime', lambda: call('clock_adjtime', 0, ctypes.create_string_buffer(b'\\1', 512)))
attempt('stime', lambda: subprocess.run(['date', '-s', '2001-01-01'], check=True, capture_output=True))
for name in ('rtc', 'rtc0', 'ptp0'): attempt(name, os.open, '/dev/' + name, os.O_RDWR)
""")
    assert won == []
    assert abs(time.time() - time.monotonic() - before) < 5


@attack("seccomp", "types into a terminal of somebody else", runsc=True)
def test_terminals(arena):
    won = arena.tries("""
master, slave = os.openpty()
import fcntl
for fd in (master, slave):
    for request in (0x5412, 0x541c, 0x100005412): attempt(f'{request:x}', lambda: call('ioctl', fd, request, ctypes.create_string_buffer(b'x')))
attempt('tty', os.open, '/dev/tty', os.O_RDWR)
attempt('console', os.open, '/dev/console', os.O_RDWR)
attempt('pts', lambda: [n for n in os.listdir('/dev/pts') if n not in ('ptmx', os.ttyname(slave).split('/')[-1])][0])
""")
    assert [w for w in won if w[0] not in ("5412",)] == []
    assert not won or os.environ.get("TCI_TEST_RUNTIME", "crun") != "crun"
