"""nets.py - a network of the tests' own: hosts in a network namespace that is joined to this machine by a pair of interfaces.

Nothing leaves the machine.  The hosts have a private address of each kind and a public one.  The public ones are out of the
blocks of AS112 (RFC 7535), which are no special addresses to the proxy, and which nobody asks for anything but reverse names.
"""
import json
import os
import subprocess
import sys

import harness
from harness import eventually, read_text


class Net:
    """A namespace with nethost.py in it."""

    def __init__(self, directory):
        n = os.getpid()
        self.namespace, self.interface = f"tci-bb-{n}", f"tcibb{n % 10**7}"
        used = subprocess.run(["ip", "-o", "address"], check=True, capture_output=True, text=True).stdout
        while f" 198.18.{n % 250}.1/" in used or f" 192.31.196.{n % 120 * 2} " in used:  # by another suite
            n += 1
        self.directory = str(directory)
        self.here, self.there = f"198.18.{n % 250}.1", f"198.18.{n % 250}.2"
        self.there6 = f"fd7c:{n % 65536:x}::2"
        self.public_here, self.public = f"192.31.196.{n % 120 * 2}", f"192.31.196.{n % 120 * 2 + 1}"
        self.public_here6, self.public6 = (f"2620:4f:8000:{n % 65536:x}::{i}" for i in (1, 2))
        self.process = None

    def ip(self, *args):
        subprocess.run(["ip", *args], check=True, capture_output=True, text=True)

    def inside(self, *args):
        self.ip("-n", self.namespace, *args)

    def join(self, *args, here, there):
        """The same of both ends of the pair, each seen from its own."""
        self.ip(*(a.format(here=here, there=there) for a in args), "dev", self.interface)
        self.inside(*(a.format(here=there, there=here) for a in args), "dev", "eth0")

    def start(self):
        self.names({})
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=one.test",
                        "-keyout", f"{self.directory}/key.pem", "-out", f"{self.directory}/cert.pem"],
                       check=True, capture_output=True)
        self.ip("netns", "add", self.namespace)
        self.ip("link", "add", self.interface, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        self.ip("addr", "add", f"{self.here}/24", "dev", self.interface)
        self.ip("addr", "add", self.there6[:-1] + "1/64", "dev", self.interface, "nodad")
        self.ip("link", "set", self.interface, "up")
        self.inside("link", "set", "lo", "up")
        self.inside("addr", "add", f"{self.there}/24", "dev", "eth0")
        self.inside("addr", "add", f"{self.there6}/64", "dev", "eth0", "nodad")
        self.inside("link", "set", "eth0", "up")
        self.join("addr", "add", "{here}", "peer", "{there}", here=self.public_here, there=self.public)
        self.join("-6", "addr", "add", "{here}/128", "nodad", here=self.public_here6, there=self.public6)
        self.join("-6", "route", "add", "{there}/128", here=self.public_here6, there=self.public6)
        helper = os.path.join(os.path.dirname(__file__), "nethost.py")
        with open(f"{self.directory}/stderr", "w") as log:
            self.process = subprocess.Popen(["ip", "netns", "exec", self.namespace, sys.executable, helper, self.directory],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(lambda: os.path.exists(f"{self.directory}/ready"), 30, "the test's hosts are there")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        subprocess.run(["ip", "link", "del", self.interface], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, capture_output=True)

    def names(self, names):
        with open(f"{self.directory}/names.new", "w") as f:
            json.dump(names, f)
        os.rename(f"{self.directory}/names.new", f"{self.directory}/names.json")

    def questions(self, name):
        """Kinds of the questions for that name."""
        return [line.split()[0] for line in read_text(f"{self.directory}/questions", "").splitlines()
                if line.split()[1] == name]

    def requests(self, mark):
        """Those with the mark in their first line."""
        return [r for r in map(json.loads, read_text(f"{self.directory}/requests", "").splitlines()) if mark in r["line"]]

    def settings(self, allow):
        """Of a gateway whose proxy asks these hosts for names and may go to their private addresses."""
        return {"network": "allowlist", "network_allow": allow, "network_resolver": f"{self.there}:53",
                "network_permit": f"{self.there}/32, {self.there6}/128"}


def proxy_pid(gateway):
    """The pid of its tci-proxy; None while there is none."""
    found = [pid for pid in harness.children_of(gateway.pid)
             if read_text(f"/proc/{pid}/comm", "").strip() == "tci-proxy" and harness.process_exists(pid)]
    return found[0] if found else None
