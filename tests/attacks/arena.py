"""arena.py - what an attack is: its metadata, the gateway it is made on, and the proof that nobody was harmed.

    @attack(layer="seccomp", success="mounts a file system")
    def test_mount(arena):
        won = arena.tries('''attempt("mount", libc.mount, ...)''')
        assert won == []

After the test's own assertions the decorator has the arena check that the gateway and the bystander are unharmed.
"""
import functools
import os
import platform
import re
import secrets
import time

import pytest

import harness
from harness import eventually

# In the order of SECURITY.md, which says what each is; every attack names the one that stops it first.
LAYERS = ("namespaces", "root file system", "privileges", "seccomp", "network", "proxy", "limits", "supervision", "link",
          "messages", "output", "files", "packages", "http")

RSS_GROWTH_KIB = 64 << 10  # of the gateway, over the whole suite as well: an answer, a body and some heap
DESCRIPTOR_GROWTH = 16  # after an attack: connections of this client, workers that are being replaced
ANSWER_SECONDS = 2.5  # in which a bystander is answered while an attack goes on


def runtime():
    return os.environ.get("TCI_TEST_RUNTIME", "crun")


def attack(layer, success, runsc=False):
    """Marks a test as an attack: the layer that stops it, and what its success would mean; runsc: also under gVisor."""
    assert layer in LAYERS, layer

    def decorate(test):
        @functools.wraps(test)
        def run(*args, **kwargs):
            test(*args, **kwargs)
            kwargs["arena"].check_unharmed()

        run = pytest.mark.attack(layer=layer, success=success)(run)
        return pytest.mark.runsc(run) if runsc else run

    return decorate


needs_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of the system calls are those of x86_64")
needs_crun = pytest.mark.crun_only("about the host's kernel, which gVisor does not show")

# What attacking code begins with.  attempt() collects what worked in `won`, what did not in `lost`.
TOOLS = """
import ctypes, errno, json, os, signal, socket, stat, struct, subprocess, sys, time
won, lost = [], []
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, f, *args, **more):
    try:
        r = f(*args, **more)
    except Exception as e:
        lost.append([str(name), type(e).__name__, getattr(e, 'errno', None)])
        return None
    won.append([str(name), repr(r)[:300]])
    return r
def call(f, *args):
    '''A function of libc, or a system call by its number.'''
    ctypes.set_errno(0)
    args = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    r = libc.syscall(ctypes.c_long(f), *args) if isinstance(f, int) else getattr(libc, f)(*args)
    if r == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r
def report():
    print(json.dumps([won, lost]))
"""


class Stage:
    """The gateway of the suite and the bystander's session on it, for a `with`."""

    def __init__(self, **settings):
        usual = {"min_idle_workers": 2, "max_total_workers": 8, "exec_timeout": 40 if runtime() == "runsc" else 20,
                 "worker_memory_mb": 256, "worker_disk_mb": 64,
                 "worker_pids": 64, "max_output_bytes": 2**20, "runtime": runtime()}
        self.gateway = harness.Gateway(**{**usual, **settings})
        self.bystander = "bystander"
        self.kept = secrets.token_hex(16)
        try:
            self.gateway.start()
            self.begin(self.bystander)
            self.gateway.ok(self.bystander, f"kept = {self.kept!r}")
            self.gateway.ok("warm", "print('x' * 1_000_000)")  # the heap grows to what an answer takes
            self.gateway.release("warm")
        except BaseException:
            self.gateway.destroy()
            raise
        self.rss = harness.rss_kib(self.gateway.pid)
        self.inits = {}

    def begin(self, user):
        """The first that is asked for a user; here nothing."""

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.finish()
        finally:
            self.destroy()

    def finish(self):
        self.gateway.finish()

    def destroy(self):
        self.gateway.destroy()


class Arena:
    def __init__(self, stage):
        self.stage = stage
        self.gateway = stage.gateway
        self.user = "attacker-" + secrets.token_hex(8)
        self.users = [self.user]
        assert self.gateway.alive(), f"the gateway has ended\n{self.gateway.log()[-4000:]}"
        self.descriptors = self.gateway.descriptors()

    # --- attacking

    def another(self):
        """A user who is nobody's friend: a second attacker, or a victim."""
        user = f"user-{len(self.users)}-" + secrets.token_hex(8)
        self.users.append(user)
        return user

    def outcome(self, code, user=None, timeout=None):
        """Runs attacking code to its end: what worked and what did not."""
        return self.gateway.value(user or self.user, f"{TOOLS}\n{code}\nreport()", timeout)

    def tries(self, code, user=None, timeout=None, gvisor=""):
        """Runs attacking code: what worked.  Something must at least have been tried.  What matches `gvisor` may work under
        gVisor, where it changes or shows nothing but its own kernel; the test says how that is known."""
        won, lost = self.outcome(code, user, timeout)
        assert won or lost
        return [w for w in won if runtime() != "runsc" or not re.fullmatch(gvisor, w[0])]

    def host_processes(self):
        """Host pids of the attacker's container; under gVisor, of what runs it."""
        found = self.gateway.container_of(self.user).processes()
        assert found
        return found

    def start(self, code, timeout=None, user=None):
        """Starts attacking code that may not come to an end: a future of the response."""
        user = user or self.user
        self.gateway.ok(user, TOOLS)
        return self.gateway.spawn(user, code, timeout)

    # --- proving

    def ask_bystander(self):
        start = time.monotonic()
        answer = self.gateway.ok(self.stage.bystander, "print(kept)")
        assert answer["result_text"] == self.stage.kept + "\n" and answer["restarted"] is False
        return time.monotonic() - start

    def bystander_during(self, future, bound=ANSWER_SECONDS):
        """Asks the bystander's session until the future is done: each answer right and in time, the gateway small."""
        slowest, n, peak = 0.0, 0, 0
        while not future.done():
            slowest, n = max(slowest, self.ask_bystander()), n + 1
            peak = max(peak, harness.rss_kib(self.gateway.pid))
        print(f"slowest of {n} answers {slowest:.3f} s; gateway {self.stage.rss} -> {peak} KiB")
        assert slowest < bound * harness.slack()
        assert peak - self.stage.rss < RSS_GROWTH_KIB * harness.slack()
        return future.result()

    def check_unharmed(self):
        gateway = self.gateway
        assert gateway.alive(), f"the gateway has ended\n{gateway.log()[-4000:]}"
        assert self.ask_bystander() < ANSWER_SECONDS * harness.slack()
        assert harness.rss_kib(gateway.pid) - self.stage.rss < RSS_GROWTH_KIB * harness.slack()
        eventually(lambda: gateway.descriptors() <= self.descriptors + DESCRIPTOR_GROWTH, 30, "descriptors are closed")

    def gone(self, init):
        """Waits until a container's init, and with it all in its pid namespace, is gone."""
        eventually(lambda: not harness.process_exists(init), 30, "the container is gone")

    def leave(self):
        if self.gateway.alive():
            for user in self.users:
                self.gateway.release(user)
