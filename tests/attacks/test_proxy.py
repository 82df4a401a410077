"""test_proxy.py - attacks on the way out of sessions that have one: past its lists, on its connections, on those who share it.

All hosts that are reached are in a namespace that the suite makes; nothing leaves the machine.
"""
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.parse

import pytest

import harness
from arena import attack
from harness import eventually
from outlet import INSIDE, Outlet, OutletStage, written

pytestmark = pytest.mark.root_only("it has no proxy")
MIB = 1024  # KiB


@pytest.fixture(scope="module")
def _outlet(tmp_path_factory):
    if not shutil.which("ip"):
        pytest.skip("needs iproute2")
    with OutletStage(tmp_path_factory.mktemp("net")) as stage:
        yield stage


@pytest.fixture
def arena(_outlet):
    one = Outlet(_outlet)
    yield one
    one.leave()


def attack_on_proxy(success):
    """What is attacked is a program of the host, which knows nothing of what containers run under."""
    def decorate(test):
        return pytest.mark.crun_only("the proxy is a program of the host, and the same with every runtime")(attack("proxy", success)(test))

    return decorate


# ------------------------------------------------------------------------------------------------ where it leads


@attack_on_proxy("reaches the host, its network or the cloud's metadata by an address")
def test_addresses(arena):
    """All of them are on the list."""
    hosts = [written(a) for a in (*INSIDE, arena.net.here)]
    assert arena.tries("attempt('one.test', plain, 'one.test')\nattempt('one.test', tunnel, 'one.test')")
    n = arena.refused(f"""
for host in {hosts!r}:
    for authority in (host, f'{{host}}:{arena.trap.port}'):
        attempt(f'plain {{authority}}', plain, authority); attempt(f'tunnel {{authority}}', tunnel, authority)
""")
    assert n == 4 * len(hosts)


@attack_on_proxy("reaches them by a name that is on the list and has such an address, alone or beside a public one")
def test_names_of_addresses(arena):
    names = {f"bad{i}.trap.test": [address] for i, address in enumerate(INSIDE)}
    names |= {f"mixed{i}.trap.test": [arena.net.public, address] for i, address in enumerate(INSIDE)}
    names |= {f"mixed6-{i}.trap.test": [arena.net.public6, address] for i, address in enumerate(INSIDE)}
    arena.stage.names(names)
    n = arena.refused(f"""
import concurrent.futures
def both(authority):
    attempt(f'plain {{authority}}', plain, authority); attempt(f'tunnel {{authority}}', tunnel, authority)
authorities = [f'{{name}}:{{port}}' for name in {[*names, "localhost"]!r} for port in (80, {arena.trap.port})]
with concurrent.futures.ThreadPoolExecutor(16) as pool: list(pool.map(both, authorities))
""", timeout=60)
    assert n == 4 * (len(names) + 1)


@attack_on_proxy("has a name checked by one address and connected to by another (DNS rebinding)")
def test_rebinding(arena):
    """The answers alternate, for each kind of address by itself, while many ask at the same time."""
    good, bad = [arena.net.public], ["127.0.0.1"]
    arena.stage.names({"flip.trap.test": [good, bad] * 200, "late.trap.test": [good] * 3 + [bad] * 300,
                       "six.trap.test": [[arena.net.public6], ["::1"]] * 200})
    won = arena.tries(f"""
import concurrent.futures
def one(i):
    name = ('flip', 'late', 'six')[i % 3] + '.trap.test'
    attempt(name, plain if i % 2 else tunnel, f'{{name}}:{arena.trap.port}', wait=40)
with concurrent.futures.ThreadPoolExecutor(30) as pool: list(pool.map(one, range(180)))
""", timeout=60)
    assert won == []
    assert arena.trap.visitors() == []
    assert all(len(arena.net.questions(f"{name}.trap.test")) >= 80 for name in ("flip", "late", "six"))


@attack_on_proxy("reaches an address by a spelling that the proxy reads in another way than those behind it")
def test_spellings(arena):
    port = arena.trap.port
    spellings = ["2130706433", "0x7f000001", "0x7f.1", "0x7f.0x0.0x0.0x1", "0X7F.1", "017700000001", "0177.0.0.1", "127.1", "127.0.1",
                 "127.0.0.01", "127.00.0.1", "127.0.0.1.", "127.0.0.1..", ".127.0.0.1", "0", "0x0", "00", "2852039166", "0xa9fea9fe",
                 "169.254.43518", "LOCALHOST", "localhost.", "LocalHost.", "[::1%25lo]", "[::1%lo]", "[::1].", "[[::1]]",
                 "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::FFFF:127.0.0.1]", "[::ffff:0x7f.1]", "[127.0.0.1]", "[::1", "::1]", "::1", "[v1.x]", "[]",
                 "127.0.0.1%00.one.test", "127.0.0.1%20one.test", "one.test%2f127.0.0.1", "one.test\\.127.0.0.1", "127.0.0.1\\@one.test",
                 "one.test@127.0.0.1", "one.test:80@127.0.0.1", "user:one.test@localhost", "@127.0.0.1", "127.0.0.1#@one.test",
                 "127.0.0.1;one.test", "127.0.0.1,one.test", "one.test,127.0.0.1", "one.test\t127.0.0.1", "127。0。0。1", "①②⑦.⓪.⓪.①",
                 "１２７.0.0.1", "ⓛocalhost", "localhost%2e", "localhost\u200b", "xn--localhost-", "", ".", "..", "%31%32%37.0.0.1", "127.0.0.1:1:2"]
    n = arena.refused(f"""
for spelling in {spellings!r}:
    for authority in (f'{{spelling}}:{port}', f'{{spelling}}:80'):
        attempt(f'plain {{authority}}', plain, authority); attempt(f'tunnel {{authority}}', tunnel, authority)
""", timeout=40)
    assert n == 4 * len(spellings)


@attack_on_proxy("reaches servers of the machine itself, past its firewall, by the machine's own public address")
def test_own_addresses(arena):
    """Which an attacker need only put into the DNS of a name that is on the list."""
    own = arena.stage.own_addresses()
    arena.stage.names({"own4.trap.test": own[:1], "own6.trap.test": own[1:], "own.trap.test": own,
                       "mixed.trap.test": [arena.net.public, *own]})
    hosts = [written(a) for a in own] + [f"{name}.trap.test" for name in ("own4", "own6", "own", "mixed")]
    arena.refused(f"""
for host in {hosts!r}:
    for authority in (host, f'{{host}}:{arena.trap.port}'):
        attempt(f'plain {{authority}}', plain, authority, wait=4); attempt(f'tunnel {{authority}}', tunnel, authority, wait=4)
""")
    assert "refused: the host has an address of this machine" in arena.gateway.log()


@attack_on_proxy("reaches what only looks like an entry of the list: another name, a wildcard's edge, another port")
def test_edges_of_the_list(arena):
    """All names have public addresses; those that are not on the list are not even asked for."""
    others = ["evil-wild.test", "wild.test", "wild.test.evil.test", "a.wild.test.evil.test", "xwild.test", "a.wild.test-evil.test", "xone.test",
              "one.test.evil.test", "www.one.test", "one.tes", "test", "one-test", "one.testx", "evil.test", "trap.test"]
    public = [arena.net.public]
    arena.stage.names({name: public for name in others})
    ports = ["one.test:81", "one.test:8080", "one.test:22", "one.test:53", "one.test:65535", "a.wild.test:443", "a.wild.test:8080", "port.test:80",
             "port.test:443", "sink.test:80", f"{arena.net.public}:80"]
    broken = ["*.wild.test", "*", ".wild.test", "..wild.test", "a..wild.test", "-.wild.test", "a b.wild.test", "wild.test*",
              "one.test:0", "one.test:65616", "one.test:+80", "one.test:-1", "one.test:080000", "one.test:80:80", "one.test: 80", "one.test:80 ", "one.test:0x50",
              "one.test:http", "one.test:", "evil.test\\.wild.test", "evil.test?.wild.test", "evil.test#.wild.test", "evil.test/.wild.test", "evil.test@one.test",
              "one.test@evil.test", "one.test:80@evil.test", "evil.test:80@one.test", "evil.test\r\n.wild.test", "evil.test\0.wild.test", "évil.wild.test",
              "x" * 64 + ".wild.test", ".".join(["x" * 60] * 5) + ".wild.test"]
    assert len(arena.tries("""
for authority in ('ONE.Test', 'one.test.', 'A.WILD.TEST.', 'a.wild.test:80', 'port.test:8080'):
    attempt(authority, plain, authority, '/edge-of-those-allowed'); attempt(authority, tunnel, authority)""")) == 10  # they are on it
    arena.refused(f"""
for authority in {others + ports!r}:
    attempt(f'plain {{authority}}', plain, authority, '/edge'); attempt(f'tunnel {{authority}}', tunnel, authority, '/edge')
for authority in {broken!r}:
    attempt(f'plain {{authority}}', plain, authority, '/edge')
    attempt(f'tunnel {{authority}}', lambda: verdict(ask(f'CONNECT {{authority}} HTTP/1.1\\r\\n\\r\\n'.encode(), 20, b'HTTP/1.1 200')))
""", timeout=40)
    assert arena.net.requests("/edge ") == []
    assert all(arena.net.questions(name) == [] for name in others)


@attack_on_proxy("has a client that follows redirects led from a host of the list to where it may not go")
def test_redirects(arena):
    port = arena.trap.port
    arena.stage.names({"evil.test": [arena.net.public], "rebound.trap.test": ["127.0.0.1"]})
    targets = [f"http://127.0.0.1:{port}/", f"http://[::1]:{port}/", "http://169.254.169.254/latest/meta-data/", f"http://rebound.trap.test:{port}/",
               f"http://localhost:{port}/", f"http://2130706433:{port}/", f"http://{arena.net.public_here}:{port}/", "http://evil.test/", "http://one.test:8080/",
               f"http://one.test@127.0.0.1:{port}/", f"https://127.0.0.1:{port}/", "https://evil.test/"]
    paths = {target: "/to/" + urllib.parse.quote(target, safe="") for target in targets}
    won = arena.tries(f"""
import urllib.request
for target, path in {paths!r}.items():
    attempt(f'urllib {{target}}', lambda: urllib.request.urlopen('http://one.test' + path, timeout=20).read())
    attempt(f'curl {{target}}', lambda: subprocess.run(['curl', '-skLf', '--max-time', '20', 'http://one.test' + path], check=True, capture_output=True))
attempt('allowed', lambda: urllib.request.urlopen('http://one.test/to/http%3A%2F%2Fone.test%2Fallowed', timeout=20).read())
""", timeout=60)
    assert [name for name, _ in won] == ["allowed"]  # redirects are followed; these led nowhere
    assert len(arena.net.requests("/to/")) >= 2 * len(targets)


@attack_on_proxy("speaks to the gateway, to the link or to the proxy's own sockets by way of the proxy")
def test_sockets_of_the_gateway(arena):
    host, port = arena.gateway.address
    arena.stage.names({"gateway.trap.test": [host]})
    arena.refused(f"""
for authority in ('{host}:{port}', 'gateway.trap.test:{port}', 'gateway.trap.test', '127.0.0.1:3128', 'localhost:3128', '[::1]:{port}'):
    attempt(f'plain {{authority}}', plain, authority, '/healthz'); attempt(f'tunnel {{authority}}', tunnel, authority, '/healthz')
for path in ('/run/tci/link/gateway.sock', '/run/tci/proxy/proxy.sock', '{arena.gateway.state_dir}/link/gateway.sock'):
    for target in (path, path + ':80', 'unix:' + path, 'unix://' + path, 'http://unix:' + path, 'http+unix://' + path.replace('/', '%2F') + '/', 'file://' + path,
                   'http:' + path, 'http://one.test@' + path, 'http:///' + path, 'ftp://one.test/', 'gopher://one.test:80/_x', '*', '/', ''):
        for method in ('GET', 'CONNECT', 'OPTIONS', 'TRACE', 'PRI', 'connect', 'get'):
            attempt(f'{{method}} {{target}}', lambda: verdict(ask(f'{{method}} {{target}} HTTP/1.1\\r\\n\\r\\n'.encode(), 20, b'HTTP/1.1 200')))
""", timeout=40)
    won = arena.tries("""
for path in ('/run/tci/proxy/proxy.sock', '/run/tci/link/gateway.sock', '/proc/1/root/run/tci/proxy/proxy.sock', '\\0proxy', '\\0tci-proxy'):
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        attempt(f'{path!r} {kind}', lambda: socket.socket(socket.AF_UNIX, kind).connect(path))
attempt('the directory', os.listdir, '/run/tci/proxy')
""")
    assert won == []


# ------------------------------------------------------------------------------------------------ requests


@attack_on_proxy("has a second request go out behind the first, or in its body (request smuggling)")
def test_smuggled_requests(arena):
    """What is refused, and what is not, make no difference: one request is one request to the host."""
    inner = "GET /smuggled HTTP/1.1\r\nHost: one.test\r\n\r\n"
    chunk = f"{len(inner):x}\r\n{inner}\r\n0\r\n\r\n"
    first = "POST http://one.test/outer HTTP/1.1\r\n"
    transfer = ["Transfer-Encoding: chunked", "transfer-encoding:chunked", "Transfer-Encoding : chunked", "Transfer-Encoding:\tchunked", "Transfer-Encoding: xchunked",
                "Transfer-Encoding: identity", "Transfer-Encoding:", "Transfer-Encoding\x0b: chunked", " Transfer-Encoding: chunked", "X: y\r\n Transfer-Encoding: chunked",
                "X: y\rTransfer-Encoding: chunked", "X: y\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "TE: chunked",
                "Transfer-Encoding: gzip, chunked", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", "\0Transfer-Encoding: chunked"]
    lengths = ["Content-Length: 0", "Content-Length: 0\r\nContent-Length: 5", "Content-Length: 5, 0", "Content-Length: +0", "Content-Length: -1", "Content-Length: 0x0",
               "Content-Length: 1e0", "Content-Length: 0 5", "Content-Length: ", "Content-Length: 99999999999999999999999", "Content-Length : 5", "Content-Length\t: 5",
               "Connection: content-length\r\nContent-Length: 5", "X: y\r\n Content-Length: 5", "Upgrade: h2c\r\nConnection: upgrade", "Connection: keep-alive",
               "Expect: 100-continue\r\nContent-Length: 0"]
    requests = [f"{first}{header}\r\n\r\n{inner}" for header in transfer + lengths]
    requests += [f"{first}Content-Length: {len(chunk)}\r\n{header}\r\n\r\n{chunk}" for header in transfer]
    requests += [f"GET http://one.test/outer HTTP/1.1\r\n\r\n{inner}", f"GET http://one.test/outer HTTP/1.0\r\n\r\n{inner}", f"GET http://one.test/outer HTTP/1.1\n\n{inner}",
                 f"GET http://one.test/outer HTTP/1.1\r\rGET /smuggled HTTP/1.1\r\n\r\n", f"GET http://one.test/outer\r\n\r\n{inner}",
                 f"GET http://one.test/outer HTTP/1.1\r\nHost: one.test\n\n{inner}", f"HEAD http://one.test/outer HTTP/1.1\r\n\r\n{inner}", f"\r\n{inner}", inner,
                 f"GET http://one.test/outer HTTP/1.1 HTTP/1.1\r\n\r\n{inner}", f"GET http://one.test/outer HTTP/2\r\n\r\n{inner}"]
    arena.outcome(f"for data in {requests!r}: attempt(data[:200], lambda: verdict(ask(data.encode('latin-1'), 10)))", timeout=60)
    assert len(arena.net.requests("/outer")) >= 3  # those that can be read in one way only
    assert arena.net.requests("/smuggled") == []
    refusals = arena.gateway.value(arena.user, f"print(json.dumps([ask((f'POST http://one.test/outer HTTP/1.1\\r\\n{{h}}\\r\\n\\r\\n').encode(), 10) "
                                               f"for h in {transfer[:2]!r}]))")
    for text in refusals:  # a client is told what to do
        assert text.startswith("HTTP/1.1 411 Length Required\r\n") and "a body must have a Content-Length, and no Transfer-Encoding" in text


@attack_on_proxy("reaches another site of a host than that of the list, or poses as the proxy, by headers")
def test_headers_that_are_the_proxys(arena):
    headers = ["Host: evil.test", "hOsT:\tevil.test", "Host:", "Host: one.test, evil.test", "Host: one.test\r\nHost: evil.test", "Host : evil.test", " Host: evil.test",
               "X: y\r\n Host: evil.test", "Host\x00: evil.test", "Connection: host", "Connection: host, close\r\nHost: evil.test", "Connection: keep-alive, x-mine\r\nX-Mine: 1",
               "Proxy-Authorization: Basic eDp5", "Proxy-Connection: keep-alive", "Keep-Alive: timeout=9999", "Connection: close\r\nConnection: keep-alive", "X: \x7f", "X: a\x08b",
               ": x", "X y: z", "no colon", "SESSION other", "X: " + "é" * 20]
    urls = ["http://one.test/\r\nHost: evil.test\r\nX:", "http://one.test/ HTTP/1.1\r\nHost: evil.test\r\nX:", "http://one.test/%0d%0aHost:%20evil.test", "HTTP://ONE.TEST/headers",
            "http://one.test//evil.test/headers", "http://one.test?http://evil.test/headers", "http://one.test/http://evil.test/headers", "http://one.test/\x0bheaders",
            "http://one.test#/headers", "http://one.test/\x85headers"]
    arena.outcome(f"""
for h in {headers!r}: attempt(h, lambda: verdict(ask(f'GET http://one.test/headers HTTP/1.1\\r\\n{{h}}\\r\\n\\r\\n'.encode('latin-1'), 10)))
for u in {urls!r}: attempt(u, lambda: verdict(ask(f'GET {{u}} HTTP/1.1\\r\\n\\r\\n'.encode('latin-1'), 10)))
""", timeout=40)
    seen = [[(name.lower(), value) for name, value in r["headers"]] for r in arena.net.requests("headers")]
    assert len(seen) >= 6
    for one in seen:
        assert [value for name, value in one if name == "host"] == ["one.test"], one
        assert [value for name, value in one if name == "connection"] == ["close"], one
        assert not {name for name, _ in one} & {"proxy-authorization", "proxy-connection", "keep-alive", "x-mine"}, one


@attack_on_proxy("makes the proxy keep heads without an end, or look for their end again and again")
def test_long_heads(arena):
    future = arena.start("""
import threading
def flood(data, n):
    try:
        with dial(10) as s:
            for _ in range(n): s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            return s.recv(100)
    except OSError as e: return repr(e)
answers = []
def run(*a): answers.append(str(flood(*a)))
heads = [b'GET http://one.test/', b'A: ', b'A: 1\\r\\n', b'\\r\\n', b'\\n', b'\\0', b'SESSION x\\n', b'x' * 65536, b'GET http://one.test/ HTTP/1.1\\r\\n' + b'A: 1\\r\\n' * 1000]
threads = [threading.Thread(target=run, args=(heads[i % len(heads)], 4000 if len(heads[i % len(heads)]) < 100 else 200)) for i in range(54)]
for t in threads: t.start()
for t in threads: t.join()
print(len(answers))""", timeout=30)
    answer = arena.bystander_during(future)
    assert answer.status_code == 200 and answer.json()["result_text"] == "54\n", answer.text


# ------------------------------------------------------------------------------------------------ those who share it


@attack_on_proxy("holds the proxy's connections by heads that come a byte at a time (slowloris), until nobody else gets one")
def test_slow_heads(arena):
    future = arena.start("""
import selectors
held = [dial() for _ in range(60)]
ended, began = {}, time.monotonic()
head = b'GET http://one.test/ HTTP/1.1\\r\\n' + b'A: 1\\r\\n' * 90
for i in range(1000):
    for s in held:
        if s in ended: continue
        try:
            s.setblocking(False)
            s.send(head[i:i + 1])
        except OSError: pass
        try: ended[s] = (s.recv(100)[:12].decode(), time.monotonic() - began)
        except BlockingIOError: pass
        except OSError as e: ended[s] = (repr(e), time.monotonic() - began)
    if len(ended) == len(held): break
    time.sleep(0.1)
print(json.dumps(sorted(ended.values())))""", timeout=60)
    answer = arena.bystander_during(future)
    assert answer.status_code == 200, answer.text
    ended = json.loads(answer.json()["result_text"])
    assert len(ended) == 60 and {text for text, _ in ended} == {"HTTP/1.1 408"}
    assert all(seconds < 20 * harness.slack() for _, seconds in ended)


@attack_on_proxy("takes all of the proxy's connections, by thousands of its own")
def test_thousands_of_connections(arena):
    future = arena.start("""
held, made, end = [], 0, time.monotonic() + 8
while time.monotonic() < end:
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(('127.0.0.1', 3128))
    held.append(s); made += 1
    if made % 3 == 0: s.close()
    if len(held) > 3000: held[:1000] = []
    time.sleep(0.0005)
print(made)""", timeout=30)
    answer = arena.bystander_during(future)
    assert answer.status_code == 200 and int(answer.json()["result_text"]) > 2000, answer.text
    assert arena.most_descriptors - arena.stage.proxy_descriptors < 64 + 16


@attack_on_proxy("has the proxy, or the host's kernel for it, hold what is sent and nobody reads")
def test_readers_that_stop(arena):
    """Half of the connections ask for gigabytes, the others send them; both are quick at first and then stop."""
    future = arena.start("""
held = []
def open_one(i):
    s = dial(20)
    if i % 2: s.sendall(b'GET http://one.test/big/2000000000 HTTP/1.1\\r\\n\\r\\n')
    else:
        s.sendall(b'CONNECT sink.test:8081 HTTP/1.1\\r\\n\\r\\n')
        assert s.recv(65536).startswith(b'HTTP/1.1 200 ')
    held.append((s, i % 2))
for i in range(48): open_one(i)
for s, _ in held: s.setblocking(False)
got, sent, block, end = {s: 0 for s, _ in held}, 0, b'x' * 65536, time.monotonic() + 30
while time.monotonic() < end:
    for s, reads in held:
        try:
            if not reads: sent += s.send(block)
            elif got[s] < 4_000_000: got[s] += len(s.recv(1 << 16))
        except BlockingIOError: pass
print(json.dumps([sent, sum(got.values())]))""", timeout=60)
    answer = arena.bystander_during(future)
    assert answer.status_code == 200, answer.text
    sent, received = json.loads(answer.json()["result_text"])
    assert sent > 24 * 1_000_000 and received > 24 * 1_000_000
    held = arena.kernel_memory()
    print(f"the kernel holds {held} KiB for the proxy, which has {harness.rss_kib(arena.stage.proxy)} KiB")
    assert held < 24 * MIB


@attack_on_proxy("takes the processor from others by the traffic that it has the proxy carry")
def test_flood_of_traffic(arena):
    future = arena.start("""
import threading
def pull():
    with dial(20) as s:
        s.sendall(b'GET http://one.test/big/100000000000 HTTP/1.1\\r\\n\\r\\n')
        while time.monotonic() < end: s.recv(1 << 16)
end = time.monotonic() + 6
threads = [threading.Thread(target=pull) for _ in range(24)]
for t in threads: t.start()
for t in threads: t.join()
print('done')""", timeout=30)
    answer = arena.bystander_during(future)
    assert answer.status_code == 200 and answer.json()["result_text"] == "done\n", answer.text


@attack_on_proxy("takes all questions that the resolver may ask at a time, by names whose servers are silent")
def test_names_that_are_not_answered(arena):
    """Five sessions at once, each with all connections that it may have."""
    arena.stage.names({f"s{i}-{j}.trap.test": None for i in range(5) for j in range(60)})
    users = [arena.user] + [arena.another() for _ in range(4)]
    for i, user in enumerate(users):
        arena.gateway.ok(user, f"""
held = [dial() for _ in range(60)]
for j, s in enumerate(held): s.sendall(f'GET http://s{i}-{{j}}.trap.test/ HTTP/1.1\\r\\n\\r\\n'.encode())""")
    end, slowest = time.monotonic() + 8, 0
    while time.monotonic() < end:
        slowest = max(slowest, arena.ask_bystander())
    print(f"slowest answer {slowest:.3f} s")
    assert slowest < 2.5 * harness.slack()


@attack_on_proxy("keeps a tunnel, and what the proxy holds for it, beyond its session")
def test_tunnels_for_ever(arena):
    """Idle ones, ones with a byte now and then, ones to a host that takes nothing."""
    before = arena.stage.proxy_descriptors
    arena.gateway.ok(arena.user, """
import threading
held = []
for i in range(40):
    s = dial(20)
    s.sendall(b'CONNECT %s HTTP/1.1\\r\\n\\r\\n' % (b'one.test:80', b'sink.test:8081')[i % 2])
    assert s.recv(1000).startswith(b'HTTP/1.1 200 ')
    held.append(s)
def drip():
    while True:
        for s in held[::4]:
            try: s.send(b'x')
            except OSError: pass
        time.sleep(0.2)
threading.Thread(target=drip, daemon=True).start()
import os
if os.fork() == 0: os.setsid(); time.sleep(1000)""")
    assert harness.descriptors_of(arena.stage.proxy) >= before + 80  # two for each
    arena.gateway.release(arena.user)
    eventually(lambda: harness.descriptors_of(arena.stage.proxy) <= before + 8, 20, "its tunnels are closed")


# ------------------------------------------------------------------------------------------------ who may


@attack_on_proxy("uses the network as another session, or has the log say so")
def test_another_identity(arena):
    victim = arena.another()
    arena.gateway.ok(victim, "plain('one.test', '/of-the-victim')")
    lines = [line for line in arena.gateway.log().splitlines() if "its session has the network" in line]
    other = lines[-1].split("worker ")[1].split(":")[0]
    mark = len(arena.gateway.log())
    forged = [f"SESSION {other}\r\n\r\n", f"SESSION {other}\nGET http://one.test/forged HTTP/1.1\r\n\r\n", f"SESSION {other}\r\nCONNECT one.test:80 HTTP/1.1\r\n\r\n",
              f"\nSESSION {other}\nGET http://one.test/forged HTTP/1.1\r\n\r\n", f"\0SESSION {other}\r\n\r\n", f"GET SESSION {other}\n HTTP/1.1\r\n\r\n",
              f"GET http://one.test%0aSESSION%20{other}/ HTTP/1.1\r\n\r\n", f"CONNECT one.test\nproxy: session {other}: forged:80 HTTP/1.1\r\n\r\n",
              f"GET http://x\x1b[2Jforged.{other}/ HTTP/1.1\r\n\r\n", f"GET http://one.test/ HTTP/1.1\r\nSESSION: {other}\r\nX-Session: {other}\r\n\r\n",
              f"GET http://session-{other}.wild.test/ HTTP/1.1\r\n\r\n"]
    arena.outcome(f"for data in {forged!r}: attempt(data, lambda: verdict(ask(data.encode('latin-1'), 10)))", timeout=40)
    arena.ask_bystander()
    log = arena.log_since(mark)
    assert f"session {other}:" not in log and "\x1b" not in log and "forged" not in log
    assert log.count(": refused: ") >= len(forged) - 1
    assert arena.net.requests("/forged") == []


@attack_on_proxy("has a way out though its session has none")
def test_sessions_without_a_network(arena):
    user = "plain-" + arena.user
    arena.users.append(user)
    assert arena.gateway.execute(user, "1").status_code == 200
    networked, public = arena.user, arena.net.public
    arena.gateway.ok(networked, "relay = socket.create_server(('0.0.0.0', 3129)); relay6 = socket.create_server(('::', 3130), family=socket.AF_INET6)")
    won = arena.tries(f"""
for host in ('127.0.0.1', '127.0.0.2', '0.0.0.0', '::1', '{public}', '{arena.net.there}', '{arena.net.here}', '{arena.net.public6}'):
    for port in (3128, 3129, 3130, 80, 53, {arena.trap.port}): attempt(f'{{host}} {{port}}', socket.create_connection, (host, port), 2)
for path in ('/run/tci/proxy/proxy.sock', '/run/tci/proxy', '/proc/1/root/run/tci/proxy/proxy.sock'):
    attempt(path, lambda: socket.socket(socket.AF_UNIX).connect(path)); attempt(path, os.listdir, path)
attempt('curl', lambda: subprocess.run(['curl', '-sf', '--max-time', '5', 'http://one.test/without'], check=True, capture_output=True))
attempt('signal', lambda: [os.kill(1, n) for n in (1, 2, 3, 10, 12, 15)] and socket.create_connection(('127.0.0.1', 3128), 2))
""", user=user)
    assert won == []
    answer = arena.gateway.execute(user, "1", network="allowlist")
    assert answer.status_code == 409 and answer.json()["field"] == "network"
    assert arena.net.requests("/without") == []


# Another user of the host: what it can do to the proxy's process and its sockets.
FROM_THE_HOST = """
import ctypes, os, signal, socket, sys
pid, path, uid, gid = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
os.setgroups([]); os.setgid(gid); os.setuid(uid)
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, f):
    try: result = f()
    except OSError: return
    if result not in (-1, b''): print(name, result)
def speak():
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(path)
        s.sendall(b'SESSION x\\nGET http://one.test/from-the-host HTTP/1.1\\r\\n\\r\\n')
        return s.recv(100)
attempt('speaks', speak)
if uid:
    for fd in range(20):
        attempt('opens', lambda: os.open(f'/proc/{pid}/fd/{fd}', os.O_RDWR))
        attempt('looks', lambda: os.readlink(f'/proc/{pid}/fd/{fd}'))
        attempt('takes', lambda: libc.syscall(438, os.pidfd_open(pid), fd, 0))
    attempt('reads', lambda: os.open(f'/proc/{pid}/mem', os.O_RDWR))
    attempt('traces', lambda: libc.ptrace(16, pid, 0, 0))
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGSTOP): attempt('signals', lambda: os.kill(pid, number) or 'sent')
"""


@attack_on_proxy("uses the proxy or changes its lists from outside of sessions, as another user of the host, root included")
def test_other_users_of_the_host(arena):
    path = os.path.join(arena.gateway.state_dir, "proxy", "proxy.sock")
    assert os.path.exists(path)
    for uid, gid in ((65534, 65534), (1000, 1000), (0, 0)):
        ran = subprocess.run([sys.executable, "-B", "-c", FROM_THE_HOST, str(arena.stage.proxy), path, str(uid), str(gid)],
                             capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout == "", (uid, gid)
    assert arena.net.requests("/from-the-host") == []


@attack_on_proxy("has the proxy take new lists, by speaking as the gateway does")
def test_lists_of_its_own(arena):
    arena.stage.names({"evil.test": [arena.net.public]})
    arena.refused("""
lists = b'evil.test, *.evil.test\\n0.0.0.0/0, ::/0\\n127.0.0.1:53\\n'
for data in (lists, lists + b'\\r\\n\\r\\n', b'SESSION x\\n' + lists + b'\\r\\n\\r\\n', b'\\n' + lists + b'\\r\\n\\r\\n'):
    if b'\\r\\n\\r\\n' in data: attempt(data, lambda: verdict(ask(data)))
    with dial() as s: s.sendall(data); s.sendmsg([data], [])
attempt('evil', plain, 'evil.test')
attempt('evil', tunnel, 'evil.test')
""")
    assert arena.net.questions("evil.test") == []
