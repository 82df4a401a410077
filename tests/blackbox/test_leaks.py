"""test_leaks.py - sessions come and go, and nothing stays: memory, descriptors, mounts, cgroups, directories, zombies.

TCI_LEAK_ROUNDS sets the number of sequential sessions (30; the full proof is 1000).
"""
import os

import pytest

import harness
from harness import eventually

ROUNDS = int(os.environ.get("TCI_LEAK_ROUNDS", "30"))


@pytest.fixture(scope="module")
def own(make_module_gateway):
    return make_module_gateway(min_idle_workers=2, max_total_workers=6, exec_timeout=int(60 * harness.slack()), worker_memory_mb=256)


def count_cgroups(gateway):
    """The cgroups seen so far that are still there."""
    return sum(os.path.isdir(path) for path in gateway.cgroups)


def snapshot(gateway):
    """What must be the same before and after, taken when the pool is full and quiet."""
    gateway.quiet()

    def settled():
        inits = gateway.inits()
        return inits if len(inits) == gateway.status()["total_workers"] and not gateway.zombies() else None

    inits = eventually(settled, 60, "as many containers as workers, and no zombie")
    live = set().union(*(harness.cgroups_of(pid) for pid in inits))
    return {
        "containers": len(inits),
        "mounts": gateway.mounts(),
        "host mounts": gateway.mounts("self"),
        "entries": len(gateway.state_entries()),
        "cgroups": count_cgroups(gateway) - len(live),
        "children": len(harness.children_of(gateway.pid)),
    }, gateway.descriptors(), harness.rss_kib(gateway.pid)


def compare(before, after, rounds):
    things, descriptors, rss = before
    things_now, descriptors_now, rss_now = after
    print(f"{rounds} rounds: {things} -> {things_now}; descriptors {descriptors} -> {descriptors_now}; "
          f"RSS {rss} -> {rss_now} KiB")
    assert things_now == things
    assert descriptors_now <= descriptors + 2  # connections of this client come and go
    # A heap settles at first; 0.5 KiB a session would show in a thousand rounds.
    assert rss_now - rss < (4096 + rounds * 0.5) * (harness.slack() if not harness.sanitized() else 16)


def one_round(gateway, i):
    user = f"leak-{i}"
    assert gateway.text(user, f"x = {i}\nprint(x + 1)") == f"{i + 1}\n"
    if i % 5 == 0:
        gateway.note_cgroups()
    assert gateway.release(user).status_code == 200


def test_sequential_sessions(own):
    for i in range(6):  # heap and pool settle
        one_round(own, i)
    before = snapshot(own)
    for i in range(ROUNDS):
        one_round(own, i)
    compare(before, snapshot(own), ROUNDS)


@pytest.mark.parametrize("code, statuses", [
    ("import os; os._exit(1)", {503}),
    ("import os; os.kill(os.getpid(), 11)", {503}),
    pytest.param("h = []\nwhile True: h.append(bytearray(b'x') * 2**24)", {503}, marks=pytest.mark.root_only(
        "a process gets no more memory, and is not killed for it")),
    ("while True: pass", {504}),
    ("import subprocess\nfor i in range(20): subprocess.Popen(['setsid', '-f', 'sleep', '9999'])\nimport os; os._exit(1)", {503}),
])
def test_sessions_that_end_badly(own, code, statuses):
    limit = 2 if 504 in statuses else None
    for i in range(2):
        assert own.execute(f"bad-{i}", code, timeout=limit).status_code in statuses
        own.release(f"bad-{i}")
    before = snapshot(own)
    rounds = max(3, ROUNDS // 10)
    for i in range(rounds):
        assert own.text(f"bad-{i}", "1") == "1"
        own.note_cgroups()
        assert own.execute(f"bad-{i}", code, timeout=limit).status_code in statuses
        own.release(f"bad-{i}")
    compare(before, snapshot(own), rounds)


def test_containers_killed_from_outside(own):
    before = snapshot(own)
    for i in range(max(3, ROUNDS // 10)):
        user = f"killed-{i}"
        init = own.init_of(user)
        os.kill(init, 9)
        eventually(lambda: not harness.process_exists(init), 30)
        own.release(user)
    compare(before, snapshot(own), ROUNDS // 10)


def test_many_executions_in_one_session(own):
    user = "steady"
    own.ok(user, "a = 0")
    for _ in range(100):
        own.ok(user, "a += 1")
    before = harness.rss_kib(own.pid), own.descriptors()
    for _ in range(ROUNDS * 20):
        own.ok(user, "a += 1\nprint(a)")
    after = harness.rss_kib(own.pid), own.descriptors()
    print(f"{ROUNDS * 20} executions: RSS {before[0]} -> {after[0]} KiB")
    assert after[0] - before[0] < 2048 * (harness.slack() if not harness.sanitized() else 16)
    assert after[1] <= before[1] + 2
    own.release(user)


def test_errors_leave_nothing(own):
    """Rejected requests of all kinds, a few hundred of each."""
    def volley(n):
        for i in range(n):
            own.client.post("/execute", content=b"{")
            own.client.post("/execute", json={"user_uuid": "a b", "code": "1"})
            own.client.get("/nothing")
            own.client.get("/status", headers={"X-Auth-Token": "wrong"})
            own.release(f"nobody-{i}")

    volley(50)
    before = snapshot(own)
    volley(300)
    compare(before, snapshot(own), 300)


def test_nothing_is_left_after_the_end(make_gateway):
    """Sessions of every state when it is stopped; after --remove-containers nothing of them is there."""
    gateway = make_gateway(min_idle_workers=2, max_total_workers=6, exec_timeout=5)
    gateway.ok("idle", "1")
    gateway.spawn("busy", "while True: pass")
    gateway.spawn("dying", "import os; os._exit(1)")
    eventually(lambda: (gateway.session("busy") or {"state": None})["state"] == "busy", 60)
    gateway.note_cgroups()
    assert gateway.stop() == 0
    assert gateway.run_again("--remove-containers").returncode == 0
    assert gateway.leftovers() == []
    left = gateway.state_entries()
    assert not [path for path in left if "container" in path and path.count("/") > 0], left
