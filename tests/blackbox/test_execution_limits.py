"""test_execution_limits.py - cpu and memory_mb of one execution: what they hold back, and that they end with it."""
import concurrent.futures
import json
import os
import secrets
import signal
import tempfile
import time

import httpx
import pytest

import harness
from harness import eventually
from rawhttp import Connection

pytestmark = pytest.mark.root_only("it has no control groups; test_rootless.py has what is answered there")

MEMORY_MB = 768  # gVisor's own and what it copies is part of it
SETTINGS = dict(min_idle_workers=1, max_total_workers=6, exec_timeout=60, worker_cpu=1, worker_memory_mb=MEMORY_MB)
LEAST = 0.01  # cores that code which runs for long gets of a machine that is busy with other things
SPIN = "import time\nend = time.monotonic() + {}\nwhile time.monotonic() < end: pass"


@pytest.fixture(scope="module")
def limited(make_module_gateway):
    return make_module_gateway(**SETTINGS)


class Limits:
    """The limits of a session's container, as Linux has them."""

    def __init__(self, gateway, user):
        self.container = gateway.container_of(user)

    def are(self, cpu, memory_mb):
        return abs(self.container.cores() - cpu) < 0.001 and self.container.memory_limit() == memory_mb

    def are_own(self):
        return self.are(1, MEMORY_MB)

    def cores_used(self, run):
        """Processor time for each period of the limit in which it was asked for, by the control group's own account."""
        time_before, periods_before = self.container.cpu_seconds(), self.container.cpu_periods()
        answer = run()
        assert answer.status_code == 200, answer.text
        periods = self.container.cpu_periods() - periods_before
        used = (self.container.cpu_seconds() - time_before) / (periods * 0.1)
        print(f"{used:.3f} cores in {periods} periods")
        assert periods > 5
        return used


def take(mib):
    return f"held = bytearray(b'x') * ({mib} << 20)\nlen(held) >> 20"


# ---------------------------------------------------------------------------------------------- what they hold back


def test_cpu_holds_a_busy_loop_back(limited, users):
    user = users(limited)
    limits = Limits(limited, user)
    used = limits.cores_used(lambda: limited.execute(user, SPIN.format(3), cpu=0.2))
    assert LEAST < used < 0.26
    assert limits.are_own()


def test_cpu_holds_all_processes_back(limited, users):
    """Also those that an earlier execution has left behind: it is the session that has less for a while."""
    user = users(limited)
    limits = Limits(limited, user)
    limited.ok(user, "import os\nleft = os.fork()\nif left == 0:\n    while True: pass")
    used = limits.cores_used(lambda: limited.execute(user, SPIN.format(8), cpu=0.2))
    assert LEAST < used < 0.26
    limited.ok(user, "os.kill(left, 9); os.waitpid(left, 0);")


def test_memory_ends_the_session(limited, users):
    user = users(limited)
    limited.ok(user, "kept = 1")
    answer = limited.execute(user, take(400), memory_mb=300)
    assert answer.status_code == 503
    assert answer.json()["detail"] == "The worker ran out of memory (limit: 300 MB, the memory_mb of this execution)"
    assert limited.ok(user, "'kept' in globals()")["restarted"] is True
    assert Limits(limited, user).are_own()
    assert limited.text(user, take(400)) == "400"


def test_the_sessions_own_limit_is_told_as_such(limited, users):
    answer = limited.execute(users(limited), take(1000), cpu=0.9)
    assert answer.status_code == 503
    assert answer.json()["detail"] == f"The worker ran out of memory (limit: {MEMORY_MB} MB)"


def test_files_count(limited, users):
    user = users(limited)
    answer = limited.execute(user, "f = open('/workspace/f', 'wb')\nfor _ in range(400): f.write(bytes(1 << 20))",
                             memory_mb=300)
    assert answer.status_code == 503 and "300 MB" in answer.json()["detail"]


def test_both_hold_while_it_runs(limited, users):
    user = users(limited)
    limits = Limits(limited, user)
    assert limits.are_own()
    with limited.hold(user, cpu=0.5, memory_mb=300) as hold:
        eventually(lambda: limits.are(0.5, 300), 30, "the limits hold")
        hold.free()
        assert hold.future.result(60).json()["result_text"] == "held\n"
    assert limits.are_own()


def test_the_most_and_nothing(limited, users):
    """The session's own limits, and null, which is as if it were not there."""
    user = users(limited)
    assert limited.execute(user, "1", cpu=1, memory_mb=MEMORY_MB).status_code == 200
    assert limited.execute(user, "1", cpu=None, memory_mb=None).status_code == 200
    assert limited.execute(user, "1", cpu=0.001).status_code == 200
    assert Limits(limited, user).are_own()


# ------------------------------------------------------------------------------------------------------ how they end


@pytest.mark.parametrize("code", ["1", "1/0", "raise KeyboardInterrupt", "def", "raise SystemExit"])
def test_they_end_with_the_execution(limited, users, code):
    user = users(limited)
    limits = Limits(limited, user)
    for _ in range(3):
        assert limited.execute(user, code, cpu=0.5, memory_mb=300).status_code == 200
        assert limits.are_own()
    assert limited.ok(user, "1")["restarted"] is False


def test_they_end_when_the_client_goes(limited, users):
    user = users(limited)
    limited.ok(user, "import time\nkept = 1")
    limits = Limits(limited, user)
    body = {"user_uuid": user, "code": "time.sleep(1000)", "cpu": 0.5, "memory_mb": 300}
    with Connection(limited) as c:
        c.send(c.request("POST", "/execute", json.dumps(body).encode()))
        eventually(lambda: limits.are(0.5, 300), 30, "the limits hold")
    eventually(limits.are_own, 30, "they end")
    answer = limited.ok(user, "kept")
    assert answer["result_text"] == "1" and answer["restarted"] is False


def test_they_end_however_early_the_client_goes(limited, users):
    """Also while memory is being freed for them, which a helper does where the session uses nearly that much."""
    user = users(limited)
    limited.ok(user, "import time\nkept = 1")
    limits = Limits(limited, user)
    for i in range(10):
        body = {"user_uuid": user, "code": "time.sleep(1000)", "cpu": 0.5,
                "memory_mb": int(limits.container.memory_used()) + 20 + i}
        with Connection(limited) as c:
            c.send(c.request("POST", "/execute", json.dumps(body).encode()))
            eventually(lambda: limited.session(user)["state"] == "busy", 30, interval=0.0001)
        answer = limited.ok(user, "kept")
        assert answer["result_text"] == "1" and answer["restarted"] is False
        assert limits.are_own()


def test_a_timeout(limited, users):
    user = users(limited)
    limited.ok(user, "import time")
    assert limited.execute(user, "time.sleep(1000)", timeout=0.5, cpu=0.5, memory_mb=300).status_code == 504
    assert limited.ok(user, "1")["restarted"] is True
    assert Limits(limited, user).are_own()


def test_a_death(limited, users):
    """Of the kernel, and of the container at any moment."""
    user = users(limited)
    answer = limited.execute(user, "import os; os._exit(3)", cpu=0.5, memory_mb=300)
    assert answer.status_code == 503 and "status 3" in answer.json()["detail"]
    for _ in range(4):
        container = limited.container_of(user)
        future = limited.spawn(user, "import time; time.sleep(1000)", cpu=0.5, memory_mb=int(container.memory_used()) + 20)
        eventually(lambda: limited.session(user)["state"] == "busy", 30, interval=0.0001)
        os.kill(container.init, signal.SIGKILL)
        assert future.result(60).status_code == 503
        assert limited.ok(user, "1")["restarted"] is True
    assert Limits(limited, user).are_own()


def test_a_release(limited, users):
    user = users(limited)
    with limited.hold(user, cpu=0.5, memory_mb=300) as hold:
        queued = limited.spawn(user, "1", cpu=0.5, memory_mb=300)
        eventually(lambda: limited.session(user)["queued"] == 1, 30)
        limited.release(user)
        assert hold.future.result(60).status_code == 503 and queued.result(60).status_code == 503
    assert limited.ok(user, "1")["restarted"] is False


def test_each_of_a_queue_has_its_own(limited, users):
    user = users(limited)
    limited.ok(user, "n = 0")
    limits = Limits(limited, user)
    more = [{}, {"cpu": 0.5}, {"memory_mb": 300}, {"cpu": 0.9, "memory_mb": 200}, {"memory_mb": 1}]
    with concurrent.futures.ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda i: limited.execute(user, "n += 1", **more[i % 5]), range(10)))
    codes = [answer.status_code for answer in answers]
    assert codes == [200, 200, 200, 200, 409] * 2
    assert limited.text(user, "n") == "8"
    assert limits.are_own()


@pytest.mark.parametrize("orderly", [False, True])
def test_a_restart_of_the_gateway(make_gateway, users, orderly):
    """The next gateway gives the session what it had, as it was made: settings may have changed since."""
    gateway = make_gateway(**SETTINGS)
    user = users()
    gateway.ok(user, "kept = 1")
    limits = Limits(gateway, user)
    with gateway.hold(user, cpu=0.5, memory_mb=300) as hold:
        eventually(lambda: limits.are(0.5, 300), 30, "the limits hold")
        gateway.kill9()
        with pytest.raises(httpx.TransportError):
            hold.future.result(60)
        assert limits.are(0.5, 300)
        gateway.settings.update(worker_cpu=2, worker_memory_mb=2 * MEMORY_MB)
        gateway.start(ready=False)
        if orderly:  # one more in between, which may not get to see the session's end
            assert gateway.stop() == 0
            gateway.start(ready=False)
        hold.free()

        def answered():
            answer = gateway.execute(user, "kept")
            return answer.json() if answer.status_code == 200 else None

        answer = eventually(answered, 120, "an answer with 200")
    assert answer["result_text"] == "1" and answer["restarted"] is False
    eventually(limits.are_own, 30, "the session's own limits are back")
    assert gateway.execute(user, "1", cpu=1.5, memory_mb=MEMORY_MB + 100).status_code == 200
    assert limits.are_own(), "nothing is ever raised"


# ----------------------------------------------------------------------------------------------------------- refusals


def test_less_memory_than_is_in_use(limited, users):
    user = users(limited)
    limited.ok(user, take(200))
    limits = Limits(limited, user)
    before = limited.metrics()['tci_executions_total{outcome="rejected"}']
    answer = limited.execute(user, "held = None", cpu=0.5, memory_mb=200)
    assert answer.status_code == 409 and answer.json()["field"] == "memory_mb"
    detail = answer.json()["detail"]
    in_use = int(detail.split("uses ")[1].split(" MiB")[0])
    assert detail == f"memory_mb: the session uses {in_use} MiB of memory already" and 200 < in_use < 500
    assert limited.metrics()['tci_executions_total{outcome="rejected"}'] == before + 1
    assert limits.are_own()
    answer = limited.ok(user, "len(held) >> 20")
    assert answer["result_text"] == "200" and answer["restarted"] is False
    assert limited.execute(user, "held = None", memory_mb=in_use + 100).status_code == 200


def test_what_was_refused_may_be_asked_for_again(limited, users):
    """With the same Idempotency-Key: it has not run."""
    user = users(limited)
    limited.ok(user, take(200))

    def ask():
        return limited.client.post(f"/v1/sessions/{user}/executions", json={"code": "6 * 7", "memory_mb": 200},
                                   headers={"Idempotency-Key": "k"})

    refused = ask()
    assert refused.status_code == 409 and refused.json()["error"]["field"] == "memory_mb"
    limited.ok(user, "held = None")
    answer = ask()
    assert answer.status_code == 200 and "idempotent-replayed" not in answer.headers
    assert answer.json()["status"] == "ok" and answer.json()["result"]["value"] == 42
    assert ask().headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("field, value", [
    ("cpu", 0), ("cpu", -1), ("cpu", 1.01), ("cpu", "1"), ("cpu", True), ("cpu", [1]), ("cpu", 1e300),
    ("memory_mb", 0), ("memory_mb", -5), ("memory_mb", MEMORY_MB + 1), ("memory_mb", 100.5), ("memory_mb", "100"),
    ("memory_mb", False), ("memory_mb", {}), ("memory_mb", 2**62),
])
def test_out_of_range(limited, users, field, value):
    user = users(limited)
    answer = limited.execute(user, "1", **{field: value})
    assert answer.status_code == 400 and answer.json()["field"] == field
    allowed = "more than 0 and at most 1" if field == "cpu" else f"1 to {MEMORY_MB}"
    assert answer.json()["detail"].startswith(f"{field}: ") and answer.json()["detail"].endswith(allowed)
    assert limited.session(user) is None


# ------------------------------------------------------------------------------------------------------------- others


@pytest.fixture
def cold_file():
    """600 MiB on a disk, which /tmp need not be on, and in no memory yet."""
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as f:
        for _ in range(600):
            f.write(secrets.token_bytes(1 << 20))
        f.flush()
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        yield f.name


@pytest.mark.crun_only("it keeps what it has read in its own memory")
def test_freeing_memory_holds_nobody_up(make_gateway, users, cold_file):
    """Half a GiB of file cache is freed for a limit: it is not counted as used, and others are answered meanwhile."""
    gateway = make_gateway(**{**SETTINGS, "worker_memory_mb": 1024})
    user, other = users(), users()
    gateway.ok(other, "1")
    container = gateway.container_of(user)
    read_in(container, cold_file)
    assert container.memory_used() > 600
    limits = Limits(gateway, user)
    future, slowest = gateway.spawn(user, "1", memory_mb=200), 0.0
    while not future.done():
        start = time.monotonic()
        gateway.ok(other, "1")
        slowest = max(slowest, time.monotonic() - start)
    answer = future.result()
    print(f"slowest answer of another user {slowest * 1000:.1f} ms")
    assert answer.status_code == 200, answer.text
    assert container.memory_used() < 200
    assert limits.are(1, 1024)
    assert gateway.ok(user, "1")["restarted"] is False


def read_in(container, path):
    """Has a process of the container's control group read a file of the host's: whose group reads it first, pays."""
    pid = os.fork()
    if pid == 0:
        try:
            for group in container.cgroups:
                if "memory" in group or os.path.exists(os.path.join(group, "memory.max")):
                    with open(os.path.join(group, "cgroup.procs"), "w") as f:
                        f.write(str(os.getpid()))
            with open(path, "rb") as f:
                while f.read(1 << 20):
                    pass
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
