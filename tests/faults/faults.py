"""faults.py - the faults, one function each, and what clients may see of each: the table that the harness goes by.

A fault is done to a running gateway under load and has been lifted when its function returns.  What clients may see from
its beginning until everything is well again is in its row, and nothing else: `victims` are the users it was done to,
known once it was done; anybody else may see only what is said for "anybody".
"""
import contextlib
import glob
import os
import re
import resource
import shutil
import signal
import sqlite3
import sys
import time
from datetime import datetime, timezone

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "blackbox"))
import harness  # noqa: E402
import nets  # noqa: E402
from harness import eventually  # noqa: E402

EXEC_TIMEOUT = 30  # seconds, of the gateway under test: more than ordinary code takes on any machine
STOP_LIMIT = int(3 * harness.slack())  # seconds that the user's requests ask for whose kernel is stopped
HOLD = 4           # seconds, of a fault that lasts for a while; in a long run up to LONG_HOLD
LONG_HOLD = 20

# The shorter one: the request came when the worker was dead, but its last words were still waited for.
KILLED = r"The worker(?:'s container)? (was killed by signal 9 \(Killed\)|died|ended)$"
NO_WORKER = r"No worker can be started: "
VICTIM, ANYBODY = "victim", "anybody"


class Fault:
    """name; what it does; what clients may see: (who, kind of error, regular expression of its text)."""

    def __init__(self, name, function, *documented, after=None, deadline=10, why_longer=None):
        self.name = name
        self.function = function
        self.after = after        # what an operator does then: the ordinary gateway is to be there again
        self.documented = [(who, kind, re.compile(text)) for who, kind, text in documented]
        self.deadline = deadline  # seconds from its end to the full pool
        assert deadline <= 10 or why_longer
        self.why_longer = why_longer
        self.victims = set()

    def permits(self, user, kind, detail):
        """A label for the count, or None."""
        for who, k, text in self.documented:
            if k == kind and text.match(detail) and (who == ANYBODY or user in self.victims):
                return kind
        return None


class Skip(Exception):
    """The fault cannot be made here."""


# --- helpers


def inits_by_user(run):
    """User → host pid of the init of the user's container, as the gateway's store has it."""
    db = sqlite3.connect(f"file:{run.gateway.state_dir}/tci.db?mode=ro", uri=True, timeout=5)
    try:
        return dict(db.execute("SELECT s.user, w.pid FROM sessions s JOIN workers w ON s.worker = w.id"))
    finally:
        db.close()


def pick_victim(run, fault):
    """A user with a session, the init of its container and the kernel in it."""
    def find():
        user, init = run.dice.choice(sorted(inits_by_user(run).items()))
        kernels = [pid for pid in harness.children_of(init) if harness.process_state(pid) not in (None, "Z")]
        return (user, init, kernels[0]) if kernels else None

    user, init, kernel = eventually(find, 10, "a user with a kernel")
    fault.victims.add(user)
    return init, kernel


def end(pid):
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not harness.process_exists(pid), 30, f"{pid} is gone")


@contextlib.contextmanager
def without_churn(run):
    """Nobody who is not told to releases a session meanwhile."""
    run.crowd.churn.clear()
    try:
        yield
    finally:
        run.crowd.churn.set()


def release_some(run, n):
    """So many users release their sessions and begin new ones: containers must be removed and started."""
    for user in run.dice.sample(run.crowd.users, n):
        user.release_now.set()


def hold(run, seconds=None):
    """For so long the fault lasts; the gateway must live through it."""
    if seconds is None:
        seconds = run.dice.uniform(1, LONG_HOLD) if run.is_long else HOLD
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert run.gateway.alive(), f"the gateway ended with {run.gateway.process.poll()}"
        time.sleep(0.05)


def start(run, **env):
    """Starts it again, where clients look for it; what is in env holds for this run of it."""
    run.gateway.env = env
    run.gateway.start(ready=False)


# --- the faults


def kernel_kill(run, fault):
    _, kernel = pick_victim(run, fault)
    end(kernel)


def worker_kill(run, fault):
    init, _ = pick_victim(run, fault)
    end(init)


def warm_kill(run, fault):
    """A worker that is nobody's yet.  It may become somebody's in the moment in which it is killed."""
    with without_churn(run):
        users = inits_by_user(run)
        warm = eventually(lambda: sorted(set(run.gateway.inits()) - set(inits_by_user(run).values())), 10, "a warm worker")
        pid = run.dice.choice(warm)
        fault.victims |= set(inits_by_user(run)) - set(users)
        end(pid)
        fault.victims |= {user for user, init in inits_by_user(run).items() if init == pid}


def starting_cruns(run):
    found = []
    for pid in harness.children_of(run.gateway.pid):
        words = harness.read_text(f"/proc/{pid}/cmdline", "").split("\0")
        if words[0] == "crun" and "run" in words:
            found.append(pid)
    return found


def crun_kill(run, fault):
    """Three of them, each a random moment after it was seen."""
    release_some(run, 4)
    killed, begun = set(), time.monotonic()
    released = begun
    while len(killed) < 3:
        now = time.monotonic()
        assert now < begun + 20 * harness.slack(), f"only {len(killed)} crun processes were seen"
        if now > released + 1:
            release_some(run, 2)
            released = now
        for pid in set(starting_cruns(run)) - killed:
            time.sleep(run.dice.uniform(0, 0.02))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)


def kernel_stop(run, fault):
    """For longer than the time limit, which is short for this user from the next request on."""
    _, kernel = pick_victim(run, fault)
    user = next(user for user in run.crowd.users if user.name in fault.victims)
    user.limit, since = STOP_LIMIT, time.monotonic()
    try:
        with without_churn(run):
            eventually(lambda: user.right_since > since, 30, "a request with the short limit was answered")
            with contextlib.suppress(ProcessLookupError):  # its user had released it just before
                os.kill(kernel, signal.SIGSTOP)
            eventually(lambda: not harness.process_exists(kernel), 60, "the stopped kernel is taken away")
    finally:
        user.limit = None


def proxy_kill(run, fault):
    """Until it has hit users whose requests were under way; what is begun meanwhile waits for the next proxy."""
    fault.victims |= {user.name for user in run.crowd.users if hasattr(user.scenario, "network")}
    assert len(fault.victims) >= 3
    kills, before = 0, run.crowd.verdict.documented[(fault.name, "egress")]
    while kills < 3 or run.crowd.verdict.documented[(fault.name, "egress")] == before:
        assert kills < 20, "20 kills of the proxy were not noticed by anybody"
        pid = eventually(lambda: nets.proxy_pid(run.gateway), 20, "a proxy")
        hold(run, run.dice.uniform(0.1, 1))
        end(pid)
        kills += 1
    eventually(lambda: nets.proxy_pid(run.gateway), 20, "the next proxy")


def gateway_kill(run, fault):
    run.gateway.kill9()
    start(run)


def gateway_term(run, fault):
    code = run.gateway.stop(EXEC_TIMEOUT + 15)
    assert code == 0, f"after SIGTERM the gateway ended with {code}"
    start(run)


def disk_full(run, fault):
    path = os.path.join(run.gateway.base, "filler")
    try:
        with open(path, "wb", buffering=0) as f:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    pass
            release_some(run, 7)
            hold(run)
    finally:
        os.unlink(path)


def descriptors(run, fault):
    """Not one more than it has, and then none even where one is closed; some clients have to connect anew."""
    pid = run.gateway.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    try:
        for limit in len(os.listdir(f"/proc/{pid}/fd")), 4:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))
            release_some(run, 4)
            for user in run.dice.sample(run.crowd.users, 4):
                user.reconnect_now.set()
            hold(run)
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended, which hold tells
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


class Lock:
    """Another connection's lock on the store."""

    def __init__(self, run):
        self.db = sqlite3.connect(os.path.join(run.gateway.state_dir, "tci.db"), timeout=5, isolation_level=None)
        self.db.execute("BEGIN EXCLUSIVE")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.db.execute("ROLLBACK")
        self.db.close()


def store_locked(run, fault):
    """What was to be written meanwhile must be there in the end: the gateway is killed after it."""
    with Lock(run):
        release_some(run, 5)
        hold(run)

    def is_written():
        stored, inits = inits_by_user(run), set(run.gateway.inits())
        sessions = {s["user_uuid"] for s in run.gateway.status()["sessions"]}
        return set(stored) == sessions and inits >= set(stored.values())

    eventually(is_written, 20, "the store has all sessions and their workers")
    run.gateway.kill9()
    start(run)


def store_locked_at_start(run, fault):
    """Whoever looks into the store while the gateway starts does not cost its users their sessions."""
    run.gateway.kill9()
    with Lock(run):
        run.gateway.env = {}
        run.gateway.launch()
        hold(run, 3)  # it has come to its store by then, and waits for five seconds
    run.gateway.await_start()
    assert not os.path.exists(os.path.join(run.gateway.state_dir, "tci.db.unusable"))


def store_corrupt(run, fault):
    """Damaged while nobody runs.  It is set aside, and everybody is told that sessions were lost."""
    assert run.gateway.stop() == 0
    path = os.path.join(run.gateway.state_dir, "tci.db")
    with open(path, "r+b") as f:
        size = os.path.getsize(path)
        f.seek(run.dice.choice([0, 4096]))  # the header, or the first page of a table
        f.write(run.dice.randbytes(min(4096, size)))
    start(run)
    assert os.path.exists(path + ".unusable"), "the store was not set aside"


def after_store_corrupt(run, fault):
    """What an operator does about it, once everybody has been told."""
    os.unlink(os.path.join(run.gateway.state_dir, "tci.db.unusable"))
    gateway_term(run, fault)


def clock_jump(run, fault):
    libraries = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not libraries or harness.sanitized():
        raise Skip("libfaketime is not installed" if not libraries else "not with the sanitizers' own preloading")
    control = os.path.join(run.gateway.base, "clock")

    def jump(seconds):
        with open(control + ".new", "w", encoding="ascii") as f:
            f.write(f"{seconds:+d}\n")
        os.rename(control + ".new", control)

    def is_off_by(seconds):
        last = max(s["last_used"] for s in run.gateway.status()["sessions"])
        seen = datetime.strptime(last, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
        return abs(seen - time.time() - seconds) < 600

    assert run.gateway.stop() == 0
    jump(0)
    start(run, LD_PRELOAD=libraries[0], FAKETIME_TIMESTAMP_FILE=control, FAKETIME_NO_CACHE="1",
          FAKETIME_DONT_FAKE_MONOTONIC="1", NO_FAKE_STAT="1")
    for seconds in (86400, -86400, 0):
        jump(seconds)
        eventually(lambda s=seconds: is_off_by(s), 20, f"the clock is off by {seconds} s")
        release_some(run, 2)
        hold(run, 1)


def start_fails(run, fault):
    """One start in three.  It has a crun of its own, which runs the real one the other times."""
    program = os.path.join(harness.build_dir(), "tests", "faults", "flaky-crun")
    if not os.path.exists(program):
        raise Skip("tests/faults/flaky-crun is not built")
    directory = os.path.join(run.gateway.base, "bin")
    control = os.path.join(run.gateway.state_dir, "one-in")
    os.makedirs(directory, exist_ok=True)
    shutil.copy(program, os.path.join(directory, "crun"))
    with open(control, "w", encoding="ascii") as f:
        f.write("3")
    assert run.gateway.stop() == 0
    line = " did not start ("
    failed = run.count_in_log(line)
    start(run, PATH=directory + ":" + os.environ.get("PATH", ""))
    until = time.monotonic() + 60 * harness.slack()
    while run.count_in_log(line) < failed + 4:
        assert time.monotonic() < until, "four starts did not fail in time"
        release_some(run, 2)
        hold(run, 1)
    os.unlink(control)


def with_the_real_crun(run, fault):
    gateway_term(run, fault)
    shutil.rmtree(os.path.join(run.gateway.base, "bin"))


# --- the table

DOWN = [(ANYBODY, "connection", ""), (ANYBODY, "503", "The server is shutting down$")]
# Before the answer began, and in the midst of it.
CUT = r"RemoteDisconnected |ConnectionResetError |IncompleteRead |URLError <urlopen error \[Errno 104\]"
LOST = [(VICTIM, "restarted", "")]
# Asked after its end, before that was seen.
UNREACHABLE = "the worker cannot be reached: (it is not connected|Broken pipe|Connection reset by peer)$"

FAULTS = [
    Fault("kernel-kill", kernel_kill, (VICTIM, "503", KILLED), *LOST),
    Fault("worker-kill", worker_kill, (VICTIM, "503", KILLED), (VICTIM, "503", UNREACHABLE), *LOST),
    Fault("warm-kill", warm_kill, (VICTIM, "503", KILLED), (VICTIM, "503", UNREACHABLE), *LOST),
    Fault("crun-kill", crun_kill, (ANYBODY, "503", NO_WORKER + ".*crun was killed by signal 9")),
    Fault("kernel-stop", kernel_stop,
          (VICTIM, "504", rf"The code ran longer than {STOP_LIMIT} s and was stopped; its environment has been recycled$"),
          *LOST),
    Fault("proxy-kill", proxy_kill, (VICTIM, "egress", CUT)),
    Fault("gateway-kill", gateway_kill, (ANYBODY, "connection", "")),
    Fault("gateway-term", gateway_term, *DOWN),
    Fault("disk-full", disk_full, (ANYBODY, "503", NO_WORKER + ".*(No space left on device|crun exited)")),
    Fault("descriptors", descriptors, (ANYBODY, "503", NO_WORKER + ".*Too many open files")),
    Fault("store-locked", store_locked, (ANYBODY, "connection", "")),
    Fault("store-locked-at-start", store_locked_at_start, (ANYBODY, "connection", "")),
    Fault("store-corrupt", store_corrupt, *DOWN, (ANYBODY, "restarted", ""),
          (ANYBODY, "503", "No worker became ready within 60 s$"), after=after_store_corrupt,
          deadline=30, why_longer="all sessions are lost at once, so 25 workers have to be started"),
    Fault("clock-jump", clock_jump, *DOWN, after=gateway_term),
    Fault("start-fails", start_fails, *DOWN, (ANYBODY, "503", NO_WORKER + ".*flaky-crun"), after=with_the_real_crun),
]
