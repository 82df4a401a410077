"""test_v1_changes.py - what an execution did besides showing something: files made, changed and deleted, memory at its peak, disk.

Every answer is also held against web/openapi.json (openapi.py).
"""
import re

import pytest

from executions import Session
from harness import eventually


@pytest.fixture(scope="module")
def gateway(make_module_gateway):
    return make_module_gateway(min_idle_workers=1, max_total_workers=4, exec_timeout=30, worker_memory_mb=512)


@pytest.fixture
def session(gateway):
    one = Session(gateway)
    yield one
    one.close()


def changes(created=(), changed=(), deleted=(), truncated=False):
    return {"created": list(created), "changed": list(changed), "deleted": list(deleted), "truncated": truncated}


def disk(session):
    return session.client.get(session.path).json()["usage"]["disk"]


# ------------------------------------------------------------------------------------------------------------- files


def test_files(session):
    assert session.ok("1")["files"] == changes()
    assert session.ok("import os\nos.makedirs('d/e')\nfor n in ('b', 'a', 'd/e/c'): open(n, 'w').write('1')")["files"] == \
        changes(created=["a", "b", "d/e/c"])
    assert session.ok("open('a').read()")["files"] == changes()
    assert session.ok("open('a', 'w').write('2')\nos.remove('b')\nos.rename('d', 'f')")["files"] == \
        changes(created=["f/e/c"], changed=["a"], deleted=["b", "d/e/c"])


def test_a_file_that_every_execution_writes(session):
    session.ok("open('n', 'w').write('0')")
    for i in range(1, 10):
        assert session.ok(f"open('n', 'w').write('{i}')")["files"] == changes(changed=["n"])


def test_of_code_that_failed(session):
    answer = session.run("open('a', 'w').close()\n1 / 0")
    assert answer["status"] == "error" and answer["files"] == changes(created=["a"])


def test_only_of_the_code(session):
    """What its environment, its tests and others do is not the code's."""
    answer = session.ok("open('a', 'w').close()", env={"X": "1"},
                        tests=[{"name": "t", "code": "open('of-the-test', 'w').close()", "reward": 1}])
    assert answer["reward"] == 1 and answer["files"] == changes(created=["a"])
    assert session.client.put(f"{session.path}/files/up", content=b"x").status_code == 201
    assert session.gateway.ok(session.id, "open('by-execute', 'w').close()")
    assert session.ok("1")["files"] == changes()


def test_names_that_are_no_text(session):
    assert session.ok("import os\nopen(b'\\xff.txt', 'w').close()\nopen('ä\\n\"', 'w').close()")["files"] == \
        changes(created=["ä\n\"", "?.txt"])


def test_more_than_is_told(session):
    answer = session.ok("for i in range(1200): open(f'f{i}', 'w').close()")
    assert answer["files"]["truncated"] and 0 < len(answer["files"]["created"]) <= 1000
    answer = session.ok("for i in range(1200, 2500): open(f'f{i}', 'w').close()")
    assert answer["files"] is None or answer["files"]["truncated"]
    assert session.ok("open('one-more', 'w').close()")["files"] is None


def test_in_the_last_event(session):
    with session.stream("open('a', 'w').close()") as events:
        name, data = list(events)[-1][1:]
    assert name == "end" and data["files"] == changes(created=["a"])
    assert session.get(data["id"])["files"] == data["files"]


def test_what_does_not_end_by_itself(session):
    answer = session.run("open('a', 'w').close()\nimport time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: time.sleep(60)",
                         timeout=0.5)
    assert answer["status"] == "timeout" and answer["files"] is None
    assert session.run("import os\nos._exit(1)")["files"] is None


def test_an_interrupted_one(session):
    execution = session.begin("open('a', 'w').close()\nprint('here')\nimport time\ntime.sleep(60)")
    with session.follow(execution) as events:
        for _, name, _ in events:
            if name == "stdout":
                session.do(execution, "interrupt", 202)
    assert session.get(execution)["files"] == changes(created=["a"])


# ------------------------------------------------------------------------------------------------------------ memory


@pytest.mark.root_only("control groups")
def test_peak_of_memory(session):
    small = session.ok("x = 1")["memory_peak_bytes"]
    if small is None:
        pytest.skip("this host's Linux tells no peak of a while")
    large = session.ok("b = bytearray(100 << 20)\ndel b")["memory_peak_bytes"]
    assert large > small + (90 << 20)
    # at once, but that gVisor gives memory back some time after it is free
    eventually(lambda: session.ok("x = 2")["memory_peak_bytes"] < large - (50 << 20), 30, "less memory is used again")
    usage = session.client.get(session.path).json()["usage"]
    assert usage["memory_peak_bytes"] >= large


@pytest.mark.root_only("control groups")
def test_peak_of_what_was_stopped(session):
    answer = session.run("b = bytearray(100 << 20)\nwhile True:\n    try:\n        while True: pass\n    except BaseException: pass",
                         timeout=2)
    assert answer["status"] == "timeout"
    assert answer["memory_peak_bytes"] is None or answer["memory_peak_bytes"] > 100 << 20


# -------------------------------------------------------------------------------------------------------------- disk


def test_disk(session):
    session.ok("1")  # it has a worker
    empty = disk(session)
    assert empty["bytes"] < 1 << 20 and empty["bytes_total"] >= 1 << 20
    session.ok("open('a', 'wb').write(bytes(3 << 20))")
    full = disk(session)
    assert 3 << 20 <= full["bytes"] <= empty["bytes"] + (4 << 20) and full["bytes_total"] == empty["bytes_total"]
    assert full["as_of"] > empty["as_of"] and re.fullmatch(r"[0-9T:.-]+Z", full["as_of"])
    assert session.client.delete(f"{session.path}/files/a").status_code == 204
    eventually(lambda: disk(session)["bytes"] <= empty["bytes"] + 4096)
