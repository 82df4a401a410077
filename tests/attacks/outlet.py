"""outlet.py - the arena of the attacks on the proxy: sessions with a network, hosts that they may reach, traps that nobody may.

The hosts have public addresses (tests/blackbox/nets.py), so the proxy's policy is the one of a host in the internet, without
any address permitted.  A trap listens on every address of this machine: who is heard there has broken out.
"""
import json
import re
import socket
import subprocess

import harness
from arena import Arena, Stage
from harness import eventually
from nets import Net, proxy_pid

PROXY_RSS_KIB = 24 << 10    # by which the proxy may grow, over all attacks together
PROXY_DESCRIPTORS = 8       # of the bystander's connections, being made or closed

# Addresses that lead into a machine, its network or a cloud's insides, as one may write them.
INSIDE = ("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.17.0.1", "192.168.0.1", "100.64.0.1", "100.100.100.200",
          "169.254.169.254", "169.254.170.2", "192.0.0.192", "168.63.129.16", "224.0.0.1", "240.0.0.1", "255.255.255.255",
          "::1", "::", "fe80::1", "fec0::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
          "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:7f00:1::1", "2001:db8::1",
          "2620:4f:8000::5efe:7f00:1")

# What attacking code has: plain() and tunnel() answer what a host said, or raise Refused with what the proxy did.
TOOLS = r'''
import json, socket, time
class Refused(Exception): pass
REFUSED = ['HTTP/1.1 %d' % n for n in (400, 403, 405, 408, 411, 431, 505)]  # and no host was asked
def dial(wait=20):
    s = socket.create_connection(('127.0.0.1', 3128), wait)
    s.settimeout(wait)
    return s
def ask(data, wait=20, enough=None):
    with dial(wait) as s:
        s.sendall(data)
        got = b''
        while block := s.recv(65536):
            got += block
            if enough and got.startswith(enough): break
    return got.decode('latin-1')
def verdict(got):
    if got[:12] in REFUSED and 'The proxy refused: ' in got: raise Refused(got)
    if not got.startswith(('HTTP/1.1 2', 'HTTP/1.1 3')): raise OSError(got[:200])
    return got
def plain(authority, path='/', headers='', wait=20):
    return verdict(ask(f'GET http://{authority}{path} HTTP/1.1\r\n{headers}\r\n'.encode(), wait))
def tunnel(authority, path='/', wait=20):
    if ':' not in authority.rpartition(']')[2]: authority += ':80'
    return verdict(ask(f'CONNECT {authority} HTTP/1.1\r\n\r\nGET {path} HTTP/1.0\r\n\r\n'.encode(), wait, b'HTTP/1.1 200 Connection'))
'''


def written(address):
    """As a host in a URL."""
    return f"[{address}]" if ":" in address else address


class Trap:
    """A server on all addresses of this machine."""

    def __init__(self):
        self.listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]

    def visitors(self):
        """Who came since it was asked last."""
        found = []
        try:
            while True:
                connection, peer = self.listener.accept()
                connection.close()
                found.append(peer[0])
        except BlockingIOError:
            return found


class OutletStage(Stage):
    """A gateway of its own, whose sessions ask for the network; everything on it is on the list that only addresses forbid."""

    def __init__(self, directory):
        self.net = Net(directory)
        self.trap = Trap()
        try:
            self.net.start()
            self.names()
            super().__init__(network="allowlist", network_allow=self.allow(), network_resolver=f"{self.net.there}:53",
                             log_level="info", exec_timeout=90)
            self.proxy = eventually(lambda: proxy_pid(self.gateway), 20, "the proxy is there")
            self.proxy_rss = harness.rss_kib(self.proxy)
            self.proxy_descriptors = harness.descriptors_of(self.proxy)
        except BaseException:
            self.net.stop()
            raise

    def own_addresses(self):
        return [self.net.public_here, self.net.public_here6]

    def allow(self):
        """With the trap's port for all that must not be reached."""
        names = ["one.test", "*.wild.test:80", "port.test:8080", "sink.test:8081", "localhost", "*.trap.test"]
        inside = [written(a) for a in (*INSIDE, self.net.here, *self.own_addresses())]
        return ", ".join(names + inside + [f"{host}:{self.trap.port}" for host in ["one.test", "localhost", "*.trap.test", *inside]])

    def names(self, more=None):
        """What the names' addresses are from now on."""
        public = [self.net.public]
        self.net.names({"one.test": public, "a.wild.test": public, "port.test": public, "sink.test": public,
                        "localhost": ["127.0.0.1"], **(more or {})})

    def begin(self, user):
        answer = self.gateway.execute(user, TOOLS, network="allowlist")
        assert answer.status_code == 200 and answer.json()["error"] is None, answer.text

    def finish(self):
        super().finish()
        self.net.stop()
        self.trap.listener.close()

    def destroy(self):
        super().destroy()
        self.net.stop()


class Outlet(Arena):
    def __init__(self, stage):
        super().__init__(stage)
        self.net = stage.net
        self.trap = stage.trap
        self.most_descriptors, self.most_rss = 0, 0  # of the proxy, as seen while the bystander was served
        stage.names()
        stage.begin(self.user)

    def another(self):
        user = super().another()
        self.stage.begin(user)
        return user

    def refused(self, code, user=None, timeout=None):
        """Runs attacking code, each of whose attempts must be refused, in words; returns for how many of them."""
        won, lost = self.outcome(code, user, timeout)
        assert won == [] and lost
        assert [entry for entry in lost if entry[1] != "Refused"] == []
        return len(lost)

    def ask_bystander(self):
        """Its session, and its way out."""
        elapsed = super().ask_bystander()
        answer = self.gateway.ok(self.stage.bystander, "began = time.monotonic(); got = plain('one.test', '/bystander'); "
                                                       "print(json.dumps([got[:15], time.monotonic() - began]))")
        first, seconds = json.loads(answer["result_text"])
        assert first == "HTTP/1.1 200 OK"
        pid = proxy_pid(self.gateway)
        if pid:
            self.most_descriptors = max(self.most_descriptors, harness.descriptors_of(pid))
            self.most_rss = max(self.most_rss, harness.rss_kib(pid))
        return max(elapsed, seconds)

    def check_unharmed(self):
        super().check_unharmed()
        stage = self.stage
        assert self.trap.visitors() == []
        assert proxy_pid(self.gateway) == stage.proxy, f"the proxy has ended\n{self.gateway.log()[-4000:]}"
        if not harness.sanitized():  # which keeps what was freed
            assert max(self.most_rss, harness.rss_kib(stage.proxy)) - stage.proxy_rss < PROXY_RSS_KIB * harness.slack()

    def leave(self):
        """What the attacker held ends with its session."""
        super().leave()
        eventually(lambda: harness.descriptors_of(self.stage.proxy) <= self.stage.proxy_descriptors + PROXY_DESCRIPTORS, 20,
                   "the proxy has let go of the attacker's connections")

    # --- what there is

    def log_since(self, mark):
        return self.gateway.log()[mark:]

    def kernel_memory(self):
        """KiB that the host's kernel holds for the proxy's connections to hosts: received and not read, sent and not taken."""
        out = subprocess.run(["ss", "-tmnH", "dst", self.net.public], capture_output=True, text=True, check=True).stdout
        return sum(int(r) + int(w) for r, w in re.findall(r"skmem:\(r(\d+),.*?,w(\d+),", out)) >> 10
