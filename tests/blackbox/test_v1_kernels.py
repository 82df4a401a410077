"""test_v1_kernels.py - several kernels in one gateway: listed, warm or started on demand, read anew at SIGHUP."""
import json
import os
import shutil
import signal
import uuid

import pytest

import harness
from harness import eventually
from test_v1_sessions import delete, error, get, make

JUPYTER = "/usr/local/share/jupyter/kernels"
OUR_PYTHON = os.path.join(harness.SOURCE_DIR, "kernelspecs", "python3")
pytestmark = [pytest.mark.root_only("its kernelspecs are in a directory of the system's"),
              pytest.mark.crun_only("one runtime is enough for what is the gateway's own")]


class Kernelspec:
    """A kernelspec of the system's: our python3 by another name, and whatever a test makes of it."""

    def __init__(self):
        self.name = "tci-t-" + uuid.uuid4().hex[:12]
        self.dir = os.path.join(JUPYTER, self.name)

    def write(self, language="python", text=None, argv=None, **tci):
        shutil.copytree(OUR_PYTHON, self.dir, dirs_exist_ok=True)
        path = os.path.join(self.dir, "kernel.json")
        with open(path, encoding="utf-8") as f:
            spec = json.load(f)
        spec["language"] = language
        spec["display_name"] = "A test's"
        spec["argv"] = argv or spec["argv"]
        spec["metadata"]["tci"] = {**spec["metadata"]["tci"], **tci}
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(json.dumps(spec) if text is None else text)
        os.rename(path + ".new", path)
        return self

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        for parent in (JUPYTER, os.path.dirname(JUPYTER)):
            if os.path.isdir(parent) and not os.listdir(parent):
                os.rmdir(parent)


@pytest.fixture
def kernelspec():
    os.makedirs(JUPYTER, exist_ok=True)
    one = Kernelspec()
    yield one
    one.remove()


def kernels(gateway):
    answer = gateway.client.get("/v1/kernels")
    assert answer.status_code == 200, answer.text
    listed = answer.json()["kernels"]
    assert [k["name"] for k in listed] == sorted(k["name"] for k in listed)
    return {k["name"]: k for k in listed}


def reload(gateway, condition):
    os.kill(gateway.pid, signal.SIGHUP)
    return eventually(condition, what="it has been read anew")


def test_the_default_one(gateway):
    listed = kernels(gateway)
    assert [name for name, k in listed.items() if k["default"]] == ["python3"]
    one = listed["python3"]
    assert one["available"] and one["why_not"] is None and one["language"] == "python" and one["warm_target"] == 2
    assert one["packages"] is False
    session = make(gateway)
    assert session["kernel"] == "python3" and session["language"] == "python"
    delete(gateway, session["id"])
    session = make(gateway, language="Python")
    assert session["kernel"] == "python3"
    delete(gateway, session["id"])


def test_names_that_are_none(gateway):
    for body, field in (({"kernel": "zz-none"}, "kernel"), ({"language": "zz-none"}, "language"),
                        ({"kernel": "../python3"}, "kernel"), ({"kernel": 1}, "kernel"),
                        ({"kernel": "python3", "language": "python"}, "language")):
        error(gateway.client.post("/v1/sessions", json=body), 400, "invalid_request", field)


def test_on_demand(make_gateway, kernelspec):
    """Another kernel beside the default one: no worker of it is kept, one starts when a session wants it."""
    kernelspec.write(language="tci-test")
    gateway = make_gateway(min_idle_workers=1, max_total_workers=3)
    listed = kernels(gateway)[kernelspec.name]
    assert listed["available"] and not listed["default"] and listed["warm"] == listed["warm_target"] == 0
    by_name, by_language = make(gateway, kernel=kernelspec.name), make(gateway, language="tci-test")
    assert by_name["kernel"] == by_language["kernel"] == kernelspec.name and by_name["language"] == "tci-test"
    for session in (by_name, by_language):
        assert gateway.text(session["id"], "x = 20\nprint(x + 1)") == "21\n"
    said = error(gateway.client.post("/v1/sessions", json={"user_uuid": by_name["id"], "kernel": "python3"}), 409,
                 "conflict", "kernel")
    assert kernelspec.name in said["message"]
    make(gateway, 200, user_uuid=by_name["id"], kernel=kernelspec.name)
    make(gateway, 200, user_uuid=by_name["id"])
    gateway.ok("somebody", "1")  # in the default kernel, beside them
    assert get(gateway, "somebody")["kernel"] == "python3"


def test_warm(make_gateway, kernelspec):
    kernelspec.write(language="tci-test", warm=1)
    gateway = make_gateway(min_idle_workers=1, max_total_workers=4)
    eventually(lambda: kernels(gateway)[kernelspec.name]["warm"] == 1)
    session = make(gateway, kernel=kernelspec.name)
    assert session["state"] == "idle"  # at once
    eventually(lambda: kernels(gateway)[kernelspec.name]["warm"] == 1)
    assert kernels(gateway)["python3"]["warm"] == 1


def test_room_is_made_for_another_kernel(make_gateway, kernelspec):
    """All workers there may be are warm and of the default kernel."""
    kernelspec.write(language="tci-test")
    gateway = make_gateway(min_idle_workers=2, max_total_workers=2)
    sessions = [make(gateway, kernel=kernelspec.name)["id"] for _ in range(2)]
    for session in sessions:
        assert gateway.text(session, "print(1)") == "1\n"
    assert gateway.status()["total_workers"] == 2
    for session in sessions:
        delete(gateway, session)
    eventually(lambda: kernels(gateway)["python3"]["warm"] == 2)


def test_broken_ones_are_listed(make_gateway, kernelspec):
    kernelspec.write(text="{")
    gateway = make_gateway(min_idle_workers=1, max_total_workers=2)
    listed = kernels(gateway)[kernelspec.name]
    assert not listed["available"] and "kernel.json:1" in listed["why_not"]
    error(gateway.client.post("/v1/sessions", json={"kernel": kernelspec.name}), 422, "unsupported", "kernel")
    kernelspec.write(argv=["/nowhere/at-all", "{connection_file}"], package="tci-no-such-package")
    listed = reload(gateway, lambda: kernels(gateway)[kernelspec.name]["package"] and kernels(gateway)[kernelspec.name])
    assert not listed["available"] and "/nowhere/at-all" in listed["why_not"] and "tci-no-such-package" in listed["why_not"]
    kernelspec.write(language="tci-test")
    reload(gateway, lambda: kernels(gateway)[kernelspec.name]["available"])
    assert gateway.text(make(gateway, kernel=kernelspec.name)["id"], "print(1)") == "1\n"


def test_read_anew(make_gateway, kernelspec):
    """Comes, changes and goes; who has it keeps what he has."""
    gateway = make_gateway(min_idle_workers=1, max_total_workers=5)
    assert kernelspec.name not in kernels(gateway)
    kernelspec.write(language="one", warm=1)
    reload(gateway, lambda: kernelspec.name in kernels(gateway))
    eventually(lambda: kernels(gateway)[kernelspec.name]["warm"] == 1)
    session = make(gateway, language="one")["id"]
    gateway.ok(session, "x = 1")
    kernelspec.write(language="two", warm=1)
    reload(gateway, lambda: kernels(gateway)[kernelspec.name]["language"] == "two")
    assert gateway.text(session, "print(x)") == "1\n" and get(gateway, session)["language"] == "one"
    eventually(lambda: kernels(gateway)[kernelspec.name]["warm"] == 1)
    assert get(gateway, make(gateway, kernel=kernelspec.name)["id"])["language"] == "two"
    kernelspec.remove()
    reload(gateway, lambda: kernelspec.name not in kernels(gateway))
    assert gateway.text(session, "print(x)") == "1\n"


def test_one_that_cannot_start_hurts_nobody_else(make_gateway, kernelspec):
    kernelspec.write(argv=["/bin/false", "{connection_file}"])
    gateway = make_gateway(min_idle_workers=1, max_total_workers=4)
    session = make(gateway, kernel=kernelspec.name)["id"]
    answer = gateway.execute(session, "1")
    assert answer.status_code == 503 and "No worker can be started" in answer.json()["detail"]
    gateway.ok("somebody", "1")
    while (answer := gateway.client.post("/v1/sessions", json={"kernel": kernelspec.name})).status_code == 201:
        gateway.execute(answer.json()["id"], "1")  # the next try was due meanwhile
    error(answer, 503, "capacity")
    assert gateway.status()["last_start_error"] is None and gateway.client.get("/readyz").status_code == 200


def test_one_that_could_not_start_for_a_while(make_gateway, kernelspec):
    """None of it is kept warm, so only who asks for one tries it again."""
    kernelspec.write(argv=["/bin/sh", "{resource_dir}/start", "{connection_file}"])
    gateway = make_gateway(min_idle_workers=1, max_total_workers=4)
    session = make(gateway, kernel=kernelspec.name)["id"]
    answer = gateway.execute(session, "1")
    assert answer.status_code == 503 and "No worker can be started" in answer.json()["detail"]
    with open(os.path.join(kernelspec.dir, "start"), "w", encoding="ascii") as f:
        f.write('exec /usr/bin/python3 "${0%/*}/launch.py" "$1"')
    eventually(lambda: gateway.execute(session, "1").status_code == 200, 60, "it is tried again")


def test_the_default_one_goes_for_a_while(make_gateway, kernelspec):
    """Read anew meanwhile; nobody asks for anything, and nothing is read anew when it is back."""
    kernelspec.write()
    gateway = make_gateway(kernel=kernelspec.name, min_idle_workers=1, max_total_workers=4)
    os.rename(kernelspec.dir, kernelspec.dir + ".away")
    try:
        reload(gateway, lambda: kernelspec.name not in kernels(gateway))
        gateway.ok("somebody", "1")  # which takes the one that is warm
        eventually(lambda: gateway.status()["last_start_error"])
    finally:
        os.rename(kernelspec.dir + ".away", kernelspec.dir)
    eventually(lambda: gateway.status()["idle_workers_in_pool"] == 1)
    assert gateway.status()["last_start_error"] is None
    gateway.ok("somebody-else", "1")


def test_a_restart_takes_each_back(make_gateway, kernelspec):
    kernelspec.write(language="tci-test")
    gateway = make_gateway(min_idle_workers=1, max_total_workers=4)
    session = make(gateway, kernel=kernelspec.name)["id"]
    gateway.ok(session, "x = 5")
    gateway.ok("somebody", "x = 6")
    assert gateway.stop() == 0
    gateway.start()
    assert gateway.text(session, "print(x)") == "5\n" and gateway.text("somebody", "print(x)") == "6\n"
    assert get(gateway, session)["kernel"] == kernelspec.name


def test_a_session_whose_kernel_cannot_be_read(make_gateway, kernelspec):
    """Its file breaks while the gateway is down: the session is refused with why, and goes on when the file is mended."""
    kernelspec.write(language="tci-test")
    gateway = make_gateway(min_idle_workers=1, max_total_workers=4)
    session = make(gateway, kernel=kernelspec.name)["id"]
    gateway.ok(session, "1")
    path = f"/v1/sessions/{session}"
    assert gateway.stop() == 0
    kernelspec.write(text="{")
    gateway.start()
    for method, what, body in (("POST", "/executions", {"code": "1"}), ("GET", "/variables", None),
                               ("POST", "/complete", {"code": "1"}), ("POST", "/restart", None),
                               ("GET", "/files", None), ("POST", "/packages", {"packages": ["a"]})):
        said = error(gateway.client.request(method, path + what, json=body), 422, "unsupported", "kernel")
        assert kernelspec.name in said["message"] and "kernel.json:1" in said["message"]
    error(gateway.client.post("/v1/sessions", json={"user_uuid": session}), 422, "unsupported", "kernel")
    answer = gateway.execute(session, "1")
    assert answer.status_code == 422 and "kernel.json:1" in answer.json()["detail"]
    gateway.restart()
    listed = get(gateway, session)
    assert listed["kernel"] == kernelspec.name and listed["state"] == "stopped"
    assert listed["container"] is None and len(listed["history"]) == 1
    assert gateway.execute(session, "1").status_code == 422
    kernelspec.write(language="tci-test")
    reload(gateway, lambda: kernels(gateway)[kernelspec.name]["available"])
    answer = gateway.ok(session, "print(1)")
    assert answer["result_text"] == "1\n" and answer["restarted"] is True
    assert get(gateway, session)["language"] == "tci-test"


def test_limits_of_a_kernel(make_gateway, kernelspec):
    kernelspec.write(language="tci-test", limits={"memory_mb": 200, "cpu": 0.5, "disk_mb": 20, "pids": 40})
    gateway = make_gateway(min_idle_workers=0, max_total_workers=2)
    session = make(gateway, kernel=kernelspec.name)["id"]
    one = gateway.container_of(session)
    assert one.memory_limit() == 200 and one.cores() == 0.5
    assert gateway.value(session, "import os; v = os.statvfs('/workspace'); print(v.f_blocks * v.f_frsize)") == 20 << 20
    assert one.group_file("pids.max") == "40"


def test_the_scan_is_about_python(make_gateway, kernelspec):
    kernelspec.write(language="tci-test")
    gateway = make_gateway(min_idle_workers=1, max_total_workers=2, scan="block")
    other = make(gateway, kernel=kernelspec.name)["id"]
    assert gateway.execute("somebody", "import os; os.setuid(0)").status_code == 422
    assert gateway.execute(other, "import os; os.setuid(0)").status_code == 200
