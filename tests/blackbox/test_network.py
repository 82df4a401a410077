"""test_network.py - `network: allowlist`: what a session reaches through the proxy, and what it does not.

The hosts are the test's own, in a network namespace that is joined to this machine by a pair of interfaces; nothing leaves it.
"""
import contextlib
import json
import os
import shutil
import signal
import socket
import time

import pytest

from harness import eventually, process_exists, rootless, run_gateway, sanitized, slack, status_field
from nets import Net, proxy_pid

PROXY_USER = 0x40000000 - 2

# What tests run in sessions: fetch(url) → status and text, whatever happens; dial(...) → bytes of the proxy's answer.
CODE = r'''
import json, socket, urllib.error, urllib.request
def fetch(url, timeout=20, **more):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **more), timeout=timeout) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()
    except OSError as e:
        return None, str(e)
def dial(data, end=False):
    with socket.create_connection(("127.0.0.1", 3128), 20) as s:
        s.sendall(data)
        if end:
            s.shutdown(socket.SHUT_WR)
        got = b""
        while block := s.recv(65536):
            got += block
        return got.decode("latin-1")
'''


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    if not shutil.which("ip"):
        pytest.skip("needs iproute2")
    if rootless():
        pytest.skip("not as an ordinary user: TCI_NETWORK=allowlist takes root, and says so (test_rootless.py)")
    one = Net(tmp_path_factory.mktemp("net"))
    try:
        one.start()
        yield one
    finally:
        one.stop()


ALLOW = ("one.test, *.wild.test:80, six.test, port.test:8080, silent.test, mixed.test, rebind.test, later.test, gone.test, "
         "bad0.test, bad1.test, bad2.test, bad3.test, bad4.test, bad5.test, bad6.test, bad7.test, bad8.test, bad9.test, "
         "127.0.0.1, 169.254.169.254, [::1], [::ffff:127.0.0.1]")
BAD = ["127.0.0.1", "169.254.169.254", "10.1.2.3", "192.168.1.1", "100.64.0.1", "0.0.0.0", "::1", "fd00::1",
       "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe"]


@pytest.fixture(scope="module")
def networked(net, make_module_gateway):
    return make_module_gateway(min_idle_workers=2, max_total_workers=6, log_level="info", exec_timeout=int(30 * slack()),
                               **net.settings(f"{ALLOW}, {net.there}:80"))


@pytest.fixture
def session(net, networked, users):
    """A user on the shared gateway whose session has the network; the hosts' names are as they are at first."""
    net.names({"one.test": [net.there], "a.wild.test": [net.there], "wild.test": [net.there], "six.test": [net.there6],
               "port.test": [net.there], "other.test": [net.there], "mixed.test": [net.there, "127.0.0.1"],
               "rebind.test": [[net.there], ["127.0.0.1"]], "silent.test": None, "later.test": [net.there],
               **{f"bad{i}.test": [address] for i, address in enumerate(BAD)}})
    user = users(networked)
    begin(networked, user)
    return user


def begin(gateway, user, **more):
    answer = gateway.execute(user, CODE, **{"network": "allowlist", **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def fetch(gateway, user, url, **more):
    status, text = gateway.value(user, f"print(json.dumps(fetch({url!r}, **{more!r})))")
    return status, text


def dial(gateway, user, data, end=False):
    return gateway.value(user, f"print(json.dumps(dial({data!r}, {end!r})))")


def lose_worker(gateway, user):
    os.kill(gateway.init_of(user), signal.SIGKILL)
    eventually(lambda: gateway.session(user) is None, 30, "it is noticed")


def refused(gateway, user, url, why):
    status, text = fetch(gateway, user, url)
    assert (status, text) == (403, f"The proxy refused: {why}\n")


# ------------------------------------------------------------------------------------------------ what is allowed


def test_a_name_on_the_list(net, networked, session):
    status, text = fetch(networked, session, "http://one.test/a?b=c")
    assert status == 200, text
    assert json.loads(text) == {"path": "/a?b=c", "host": "one.test", "body": ""}
    assert networked.session(session)["network"] == "allowlist"
    status, text = fetch(networked, session, "http://port.test:8080/x")
    assert (status, json.loads(text)["host"]) == (200, "port.test:8080")
    status, text = fetch(networked, session, "http://A.Wild.TEST/x")
    assert (status, json.loads(text)["host"]) == (200, "a.wild.test")
    assert fetch(networked, session, "http://six.test/")[0] == 200
    assert fetch(networked, session, f"http://{net.there}/")[0] == 200


def test_a_body_goes_with_its_request(net, networked, session):
    status, text = fetch(networked, session, "http://one.test/body", data=b"hello" * 20000)
    assert status == 200, text
    assert json.loads(text)["body"] == "hello" * 20000


def test_curl(net, networked, session):
    """A tunnel for HTTPS, as pip and all others make it."""
    out = networked.text(session, "import subprocess; print(subprocess.run(['curl', '-sSk', '--max-time', '20', "
                                  "'https://one.test/tls', 'http://one.test/plain'], capture_output=True, text=True))")
    assert '"path": "/tls", "host": "one.test"' in out and '"path": "/plain", "host": "one.test"' in out
    assert networked.value(session, """
import ssl
tls = ssl._create_unverified_context()
def big(n):
    with urllib.request.urlopen(f'https://one.test/big/{n}', context=tls, timeout=60) as r:
        return len(r.read())
print(big(20_000_000))""") == 20_000_000


def test_both_ends_may_end_first(net, networked, session):
    request = b"CONNECT one.test:80 HTTP/1.1\r\n\r\nGET /half HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n"
    for end in (False, True):  # the sandbox has said all, and still gets the answer
        got = dial(networked, session, request, end)
        assert got.startswith("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK") and '"/half"' in got


# ------------------------------------------------------------------------------------------------ what is refused


def test_what_is_not_on_the_list(net, networked, session):
    refused(networked, session, "http://other.test/", "the host is not on the list")
    refused(networked, session, "http://wild.test/", "the host is not on the list")
    refused(networked, session, "http://one.test.other.test/", "the host is not on the list")
    refused(networked, session, "http://xone.test/", "the host is not on the list")
    refused(networked, session, "http://one.test:8080/", "the port is not on the list")
    refused(networked, session, "http://port.test/", "the port is not on the list")
    refused(networked, session, f"http://{net.there}:8080/", "the port is not on the list")
    refused(networked, session, f"http://{net.here}/", "the host is not on the list")
    assert net.questions("other.test") == []  # names that are not allowed are not even asked for
    assert fetch(networked, session, "https://other.test/")[1] == "<urlopen error Tunnel connection failed: 403 Forbidden>"
    log = networked.log()
    assert "other.test:80 at -: refused: the host is not on the list" in log


def test_names_with_addresses_that_are_not_public(net, networked, session):
    for i, address in enumerate(BAD):
        status, text = fetch(networked, session, f"http://bad{i}.test/")
        assert status == 403 and text.startswith("The proxy refused: the host has a"), (address, text)
    refused(networked, session, "http://mixed.test/", "the host has a loopback address")
    assert "bad1.test:80 at 169.254.169.254: refused: the host has a link-local address" in networked.log()


def test_literal_addresses(net, networked, session):
    """On the list, even: the addresses are still not public."""
    for host, why in (("[::1]", "a loopback address"), ("169.254.169.254", "a link-local address"),
                      ("[::ffff:127.0.0.1]", "an IPv4 address in IPv6")):
        refused(networked, session, f"http://{host}/", f"the host has {why}")
    got = dial(networked, session, b"GET http://127.0.0.1/ HTTP/1.1\r\n\r\n")
    assert got.startswith("HTTP/1.1 403 ") and got.endswith("the host has a loopback address\n")


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.1", "127.0.1",
                                  "127.0.0.01", "127.0.0.1.", "[::1%25lo]", "[127.0.0.1]", "one.test@127.0.0.1",
                                  "one.test%00.x", "one.test\\.x", "", ".", "one..test"])
def test_other_spellings(networked, session, host):
    for line in (f"GET http://{host}/ HTTP/1.1", f"CONNECT {host}:443 HTTP/1.1"):
        got = dial(networked, session, line.encode() + b"\r\n\r\n")
        assert got.startswith("HTTP/1.1 400 "), (line, got)


def test_rebinding(net, networked, session):
    """Asked once for each request, and connected to what was checked."""
    asked = len(net.questions("rebind.test"))
    assert fetch(networked, session, "http://rebind.test/")[0] == 200
    assert len(net.questions("rebind.test")) - asked == 2  # A and AAAA
    refused(networked, session, "http://rebind.test/", "the host has a loopback address")


def test_names_without_an_address(net, networked, session):
    assert fetch(networked, session, "http://gone.test/") == (502, "The proxy refused: the host's name has no address\n")
    began = time.monotonic()
    status, _ = fetch(networked, session, "http://silent.test/", timeout=60)
    assert status in (502, 504) and time.monotonic() - began < 30
    assert fetch(networked, session, "http://one.test/")[0] == 200  # silence of one name is not that of all


def test_a_host_that_does_not_listen(net, networked, session):
    got = dial(networked, session, f"CONNECT {net.there}:80 HTTP/1.1\r\nContent-Length: 3\r\n\r\n".encode())
    assert got.startswith("HTTP/1.1 400 ")


@pytest.mark.parametrize("request_", [
    "GET / HTTP/1.1\r\nHost: one.test\r\n\r\n",
    "GET http://one.test/smuggled HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "GET http://one.test/smuggled HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "GET http://one.test/smuggled HTTP/1.1\nHost: x\r\n\r\n",
    "GET http://one.test/smuggled HTTP/1.1\r\nA: 1\r\n folded\r\n\r\n",
    "GET http://one.test/smuggled HTTP/1.1\r\nA : 1\r\n\r\n",
    "GET http://one.test/smuggled HTTP/1.1\r\n" + "A: " + "x" * 9000 + "\r\n\r\n",
    "GET http://one.test/smuggled HTTP/1.1\r\n" + "A: 1\r\n" * 101 + "\r\n",
    "\x00" * 100 + "\r\n\r\n",
])
def test_requests_that_could_be_read_in_two_ways(net, networked, session, request_):
    got = dial(networked, session, request_.encode())
    assert got.startswith("HTTP/1.1 4"), got
    assert net.requests("smuggled") == []


def test_one_request_for_each_connection(net, networked, session):
    two = (b"POST http://one.test/first HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"
           b"GET http://one.test/hidden HTTP/1.1\r\nHost: one.test\r\n\r\n")
    got = dial(networked, session, two)
    assert got.count("HTTP/1.1 200") == 1 and '"body": "ab"' in got
    assert len(net.requests("/first")) >= 1 and net.requests("/hidden") == []


# ------------------------------------------------------------------------------------------------ who may


def test_only_through_the_proxy(net, networked, session):
    for host, port in ((net.there, 80), (net.here, 22), ("127.0.0.1", networked.address[1])):
        error = networked.value(session, f"""
with socket.socket() as s:
    s.settimeout(5)
    print(json.dumps(s.connect_ex(({host!r}, {port}))))""")
        assert error != 0
    assert networked.value(session, """
try:
    socket.getaddrinfo('one.test', 80)
    print(json.dumps('resolved'))
except socket.gaierror:
    print(json.dumps('none'))""") == "none"
    assert networked.value(session, "import os; print(json.dumps(sorted(os.listdir('/sys/class/net')) "
                                    "if os.path.exists('/sys/class/net') else []))") in ([], ["lo"])
    assert networked.value(session, """
try:
    socket.socket(socket.AF_UNIX).connect('/run/tci/proxy/proxy.sock')
    print(json.dumps(0))
except OSError as e:
    print(json.dumps(e.errno))""") == 13


def test_a_session_without_it(net, networked, users):
    for more in ({}, {"network": "none"}, {"network": None}):
        user = users(networked)
        begin(networked, user, **{"network": None, **more})
        assert networked.session(user)["network"] == "none"
        assert networked.value(user, "s = socket.socket(); print(s.connect_ex(('127.0.0.1', 3128)))") == 111
        assert networked.value(user, "import os; print(json.dumps(os.environ['HTTPS_PROXY']))") == "http://127.0.0.1:3128"
        networked.release(user)


def test_it_is_fixed_by_the_first_request(net, networked, session, users):
    assert networked.execute(session, "1").status_code == 200  # says nothing
    assert networked.execute(session, "1", network="allowlist").status_code == 200
    answer = networked.execute(session, "1", network="none")
    assert answer.status_code == 409 and answer.json()["field"] == "network"
    other = users(networked)
    assert networked.execute(other, "1").status_code == 200
    answer = networked.execute(other, "1", network="allowlist")
    assert answer.status_code == 409 and answer.json()["field"] == "network"
    networked.release(other)
    assert begin(networked, other)["error"] is None
    for bad in ("", "all", 1, True, ["allowlist"]):
        answer = networked.execute(session, "1", network=bad)
        assert answer.status_code == 400 and answer.json()["field"] == "network"


def test_where_it_is_not_permitted(gateway, user):
    answer = gateway.execute(user, "1", network="allowlist")
    assert answer.status_code == 403 and answer.json()["field"] == "network"
    assert gateway.session(user) is None
    assert gateway.execute(user, "import os; print('HTTP_PROXY' in os.environ)", network="none").json()["result_text"] == "False\n"


def test_others_on_the_host(networked):
    """The proxy hangs up on who is not the root of a container, the host's root included."""
    path = os.path.join(networked.state_dir, "proxy", "proxy.sock")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(b"SESSION x\nGET http://one.test/ HTTP/1.1\r\n\r\n")
            assert s.recv(100) == b""


# ------------------------------------------------------------------------------------------------ the proxy's life


def test_it_is_confined(networked):
    pid = eventually(lambda: proxy_pid(networked), 20)
    eventually(lambda: status_field(pid, "Seccomp") is not None and status_field(pid, "Uid").split()[0] != "0", 20)
    assert status_field(pid, "Uid").split() == [str(PROXY_USER)] * 4
    assert status_field(pid, "Gid").split() == [str(PROXY_USER)] * 4
    assert status_field(pid, "Groups") == ""
    for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status_field(pid, caps), 16) == 0
    assert status_field(pid, "NoNewPrivs") == "1"
    assert status_field(pid, "Seccomp") == ("0" if sanitized() else "2")  # the list does not know what sanitizers do
    names = {os.readlink(f"/proc/{pid}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{pid}/fd")}
    assert names <= {"socket", "pipe", "anon_inode"}
    assert b"TOKEN" not in open(f"/proc/{pid}/environ", "rb").read()


def test_it_comes_back(net, networked, session):
    networked.ok(session, "x = 5; broken = socket.create_connection(('127.0.0.1', 3128))")
    for _ in range(2):
        pid = eventually(lambda: proxy_pid(networked), 20)
        os.kill(pid, signal.SIGKILL)
        # The socket is the gateway's: who connects meanwhile waits.
        assert fetch(networked, session, "http://one.test/")[0] == 200
        assert proxy_pid(networked) != pid
    assert networked.text(session, "print(x, broken.recv(10))") == "5 b''\n"


def test_it_goes_with_the_gateway(net, make_gateway, users):
    gateway = make_gateway(min_idle_workers=1, max_total_workers=3, **net.settings("one.test"))
    net.names({"one.test": [net.there]})
    user = users(gateway)
    begin(gateway, user)
    gateway.ok(user, "x = 7")
    pid = eventually(lambda: proxy_pid(gateway), 20)
    gateway.kill9()
    eventually(lambda: not process_exists(pid), 20, "the proxy has ended")
    gateway.start()
    assert gateway.text(user, "print(x)") == "7\n"  # the session, and what it may
    assert gateway.session(user)["network"] == "allowlist"
    assert gateway.execute(user, "1", network="none").status_code == 409
    assert fetch(gateway, user, "http://one.test/")[0] == 200
    pid = proxy_pid(gateway)
    assert gateway.stop() == 0
    eventually(lambda: not process_exists(pid), 20, "the proxy has ended")
    gateway.settings["network"] = "none"  # the operator takes it back
    gateway.start()
    assert gateway.text(user, "print(x)") == "7\n"
    assert fetch(gateway, user, "http://one.test/")[0] == 502
    assert gateway.execute(user, "1", network="allowlist").status_code == 403
    lose_worker(gateway, user)
    assert gateway.client.get(f"/v1/sessions/{user}/files").status_code == 200


def test_it_is_taken_back_where_installers_keep_it(net, make_gateway, users):
    """The proxy runs on, for installations from an index: neither the worker that is taken back nor the next one has its list."""
    index = {"packages_index": "http://one.test:8081/simple"}
    gateway = make_gateway(min_idle_workers=1, max_total_workers=3, **net.settings("one.test"), **index)
    net.names({"one.test": [net.there]})
    user = users(gateway)
    begin(gateway, user)
    assert fetch(gateway, user, "http://one.test/")[0] == 200
    assert gateway.stop() == 0
    gateway.settings["network"] = "none"
    gateway.start()
    refused(gateway, user, "http://one.test/", "the host is not on the list")
    lose_worker(gateway, user)
    assert gateway.ok(user, CODE)["restarted"] is True
    assert fetch(gateway, user, "http://one.test/")[0] is None  # nothing listens where the way to the proxy would begin


def test_the_list_is_read_again(net, make_gateway, users, tmp_path):
    file = tmp_path / "tci.conf"
    file.write_text("network_allow = one.test\n")
    settings = net.settings("")
    del settings["network_allow"]
    gateway = make_gateway(config=file, min_idle_workers=1, max_total_workers=3, **settings)
    net.names({"one.test": [net.there], "later.test": [net.there]})
    user = users(gateway)
    begin(gateway, user)
    assert fetch(gateway, user, "http://one.test/")[0] == 200
    refused(gateway, user, "http://later.test/", "the host is not on the list")
    file.write_text("network_allow = later.test\n")
    gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: fetch(gateway, user, "http://later.test/")[0] == 200, 30)
    refused(gateway, user, "http://one.test/", "the host is not on the list")
    file.write_text("network_allow = http://later.test\n")
    gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: 'network_allow: the entry "http://later.test" is not usable' in gateway.log(), 30)
    assert fetch(gateway, user, "http://later.test/")[0] == 200
    file.write_text("")  # the program runs once more, to remove the containers


@pytest.mark.parametrize("setting,value,words", [
    ("network", "all", 'network = "all"'),
    ("network-allow", "one.test, two..test", 'network_allow: the entry "two..test" is not usable'),
    ("network-allow", "10.0.0.0/8", 'the entry "10.0.0.0/8" is not usable'),
    ("network-permit", "10.0.0.1/8", 'network_permit: the entry "10.0.0.1/8" is not usable'),
    ("network-resolver", "dns.test:53", "network_resolver"),
])
def test_settings_that_are_wrong(state_dir, setting, value, words):
    ended = run_gateway("--state-dir", state_dir, f"--{setting}={value}")
    assert ended.returncode != 0 and words in ended.stderr


# ------------------------------------------------------------------------------------------------ bounds


def test_slow_and_flooding_sessions(net, networked, session, users):
    """One holds all the connections that it can, silent or reading nothing; another is served meanwhile."""
    other = users(networked)
    begin(networked, other)
    pid = eventually(lambda: proxy_pid(networked), 20)
    networked.ok(session, """
held = []
for i in range(150):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(('127.0.0.1', 3128))
    held.append(s)
for s in held[:40]:
    s.setblocking(True)
    s.settimeout(5)
    s.sendall(b'GET http://one.test/big/100000000 HTTP/1.1\\r\\n\\r\\n')""")
    began = time.monotonic()
    for _ in range(5):
        assert fetch(networked, other, "http://one.test/")[0] == 200
    assert time.monotonic() - began < 10 * slack()
    assert len(os.listdir(f"/proc/{pid}/fd")) < 64 + 64 + 40
    assert int(status_field(pid, "VmRSS").split()[0]) < 64 * 1024 * slack()
    assert networked.text(session, "print(len(held))") == "150\n"  # the session itself goes on
    networked.ok(session, "for s in held: s.close()")
    eventually(lambda: fetch(networked, session, "http://one.test/")[0] == 200, 60)
    eventually(lambda: len(os.listdir(f"/proc/{pid}/fd")) < 20, 60, "the proxy has let go of its connections")


def test_many_at_once(net, networked, session):
    """More than are served at a time, and faster than they are let in: they wait, and none is lost."""
    answers = networked.value(session, """
import collections, concurrent.futures
with concurrent.futures.ThreadPoolExecutor(80) as pool:
    got = pool.map(lambda i: fetch(f'http://one.test/{i}', timeout=60), range(160))
print(json.dumps(collections.Counter(str((status, status == 200 and json.loads(text)['path'] == f'/{i}'))
                                     for i, (status, text) in enumerate(got))))""")
    assert answers == {"(200, True)": 160}


def test_heads_that_do_not_come(net, networked, session):
    got = networked.value(session, """
import time
began = time.monotonic()
got = dial(b'GET http://one.test/ HTTP/1.1\\r\\nA: ')
print(json.dumps([got, time.monotonic() - began]))""")
    assert got[0].startswith("HTTP/1.1 408 ") and got[1] < 20


def test_the_log_tells(net, networked, session):
    assert fetch(networked, session, "http://one.test/logged")[0] == 200
    eventually(lambda: [line for line in networked.log().splitlines()
                        if f"one.test:80 at {net.there}: done; sent " in line], 20)
    line = [line for line in networked.log().splitlines() if f"one.test:80 at {net.there}: allowed" in line][-1]
    worker = line.split("proxy: session ")[1].split(":")[0]
    assert f"worker {worker}: its session has the network of the allowlist" in networked.log()
