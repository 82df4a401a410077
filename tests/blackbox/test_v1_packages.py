"""test_v1_packages.py - packages of sessions: installed from a directory of wheels, kept, and there again in later containers.

The wheels are made here (wheels.py).  Every answer is also held against web/openapi.json (openapi.py).
"""
import concurrent.futures
import contextlib
import glob
import json
import os
import select
import signal

import httpx
import pytest

import wheels
from harness import eventually
from rawhttp import Connection
from test_v1_sessions import delete, error, get, make


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """The operator's directory of wheels."""
    directory = wheels.house(tmp_path_factory)
    wheels.wheel(directory, "alpha", "1.0")
    wheels.wheel(directory, "alpha", "2.0")
    wheels.wheel(directory, "beta", requires=["alpha>=1,<2"])
    wheels.wheel(directory, "gamma", files={"gamma/__init__.py": "", "gamma/part.py": "TEXT = 'é'\n"})
    wheels.wheel(directory, "large", files={"large.py": "", "large.bin": os.urandom(3 << 20)})
    wheels.wheel(directory, "delta", requires=["nowhere"])
    wheels.wheel(directory, "epsilon")
    return str(directory)


@pytest.fixture(scope="module")
def served(make_module_gateway, house):
    return make_module_gateway(min_idle_workers=2, max_total_workers=8, log_level="debug", packages_dir=house, keep_sessions=2,
                               keep_mb=8)


@pytest.fixture(scope="module")
def eager(make_module_gateway, house):
    """One that installs what is imported, keeps little of it, and is restarted now and then."""
    return make_module_gateway(min_idle_workers=1, max_total_workers=5, packages_dir=house, packages_on_import="on",
                               packages_cache_mb=4)


@pytest.fixture
def session(served):
    made = make(served)["id"]
    yield made
    served.client.delete(f"/v1/sessions/{made}")


def add(gateway, session, *packages, status=200, **more):
    answer = gateway.client.post(f"/v1/sessions/{session}/packages", json={"packages": list(packages), **more})
    assert answer.status_code == status, answer.text
    return answer.json() if status == 200 else answer


def events(gateway, session, *packages):
    """The events of an installation: [(name, data)]."""
    found = []
    with gateway.client.stream("POST", f"/v1/sessions/{session}/packages", json={"packages": list(packages), "stream": True}) as r:
        assert r.status_code == 200 and r.headers["content-type"].startswith("text/event-stream")
        name = None
        for line in map(str.rstrip, r.iter_lines()):
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                found.append((name, json.loads(line[6:])))
    return found


def kept(gateway):
    return glob.glob(os.path.join(gateway.state_dir, "packages", "*.tar"))


def version(gateway, session, name="alpha"):
    return gateway.text(session, f"import {name}; print({name}.VERSION)")


# -------------------------------------------------------------------------------------------------------- had, kept


def test_installed_and_then_kept(served, session):
    before = len(kept(served))
    assert "ModuleNotFoundError" in served.execute(session, "import alpha").text
    first = add(served, session, "alpha==1.0")
    assert first["packages"] == ["alpha==1.0"] and not first["cached"] and "alpha" in first["stdout"]
    assert version(served, session) == "1.0\n"
    assert get(served, session)["packages"] == ["alpha==1.0"]
    other = make(served)["id"]
    again = add(served, other, "alpha==1.0")
    assert again["cached"] and again["stdout"] == "" and version(served, other) == "1.0\n"
    assert len(kept(served)) == before + 1
    delete(served, other)


def test_children_have_them_too(served, session):
    add(served, session, "gamma")
    code = "import subprocess, sys; print(subprocess.run([sys.executable, '-c', 'import gamma.part; print(gamma.part.TEXT)']," \
           " capture_output=True, text=True).stdout)"
    assert served.text(session, code).strip() == "é"


def test_what_a_package_needs_comes_with_it(served, session):
    add(served, session, "beta")
    assert served.text(session, "import alpha, beta; print(alpha.VERSION, beta.VERSION)") == "1.0 1.0\n"


def test_one_more_each_time(served, session):
    add(served, session, "beta")
    assert add(served, session, "gamma", "alpha==2.0")["packages"] == ["beta", "alpha==2.0", "gamma"]
    assert served.text(session, "import alpha, beta, gamma; print(alpha.VERSION)") == "2.0\n"


def test_a_session_made_with_them(served):
    made = make(served, packages=["gamma", "alpha==2.0"])
    assert made["packages"] == ["alpha==2.0", "gamma"] and made["state"] == "idle"
    assert version(served, made["id"]) == "2.0\n"
    assert make(served, 200, user_uuid=made["id"], packages=["alpha==2.0", "gamma"])["id"] == made["id"]
    error(served.client.post("/v1/sessions", json={"user_uuid": made["id"], "packages": ["alpha==1.0"]}), 409, "conflict", "packages")
    delete(served, made["id"])


def test_with_files_that_were_kept(served):
    gateway = served
    made = make(gateway, packages=["gamma"])["id"]
    gateway.ok(made, "open('a', 'w').write('kept')")
    assert gateway.client.delete(f"/v1/sessions/{made}", params={"keep_files": "true"}).status_code == 204
    code = "import alpha; print(alpha.VERSION, open('a').read())"
    other = make(gateway, packages=["alpha==1.0"], files_from=made)["id"]
    assert gateway.text(other, code) == "1.0 kept\n"
    again = {"user_uuid": other, "packages": ["alpha==1.0"], "files_from": made}
    error(gateway.client.post("/v1/sessions", json=again), 409, "conflict", "files_from")
    make(gateway, user_uuid=made, packages=["alpha==2.0", "gamma"])
    assert gateway.text(made, code) == "2.0 kept\n"
    error(gateway.client.post("/v1/sessions", json={"packages": ["alpha"], "files_from": made}), 404, "not_found", "files_from")
    for one in (made, other):
        delete(gateway, one)


def test_events(served, session):
    got = events(served, session, "large", "alpha==2.0")
    assert {name for name, _ in got[:-1]} <= {"dependency_stdout", "dependency_stderr"} and len(got) > 1
    assert "Successfully installed" in "".join(data["text"] for name, data in got if name == "dependency_stdout")
    assert got[-1][0] == "end" and got[-1][1]["status"] == "ok" and got[-1][1]["packages"] == ["alpha==2.0", "large"]
    name, end = events(served, session, "alpha==7")[-1]
    assert name == "end" and end["status"] == "failed" and end["error"]["code"] == "install_failed"
    assert version(served, session) == "2.0\n"


# ------------------------------------------------------------------------------------------- in the next container


def test_again_after_its_container_died(served):
    made = make(served, packages=["alpha==1.0"])["id"]
    served.execute(made, "import os; os.kill(os.getpid(), 9)")
    assert version(served, made) == "1.0\n"
    delete(served, made)


def test_again_in_a_session_that_execute_made(served, users):
    user = users(served)
    served.ok(user, "1")
    add(served, user, "alpha==1.0")
    assert served.execute(user, "import os; os._exit(1)").status_code == 503
    assert served.run(user, "import alpha")["restarted"] is True
    assert get(served, user)["packages"] == ["alpha==1.0"]


def test_again_after_a_restart(served, session):
    add(served, session, "alpha==1.0")
    assert served.client.post(f"/v1/sessions/{session}/restart").status_code == 200
    assert version(served, session) == "1.0\n"


@pytest.mark.parametrize("strategy", ["execution", "pool"])
def test_each_execution_has_them(served, strategy):
    made = make(served, packages=["alpha==1.0"], strategy=strategy)["id"]
    for _ in range(2):
        assert version(served, made) == "1.0\n"
        served.execute(made, "open('/opt/packages/alpha.py', 'w').write('VERSION = \"bent\"')")
    add(served, made, "gamma")
    assert served.text(made, "import alpha, gamma.part; print(alpha.VERSION, gamma.part.TEXT)") == "1.0 é\n"
    delete(served, made)


def test_a_restarted_gateway_knows(eager):
    gateway = eager
    made = make(gateway, packages=["gamma"])["id"]
    gateway.text(made, "x = 1; print()")
    gateway.stop()
    gateway.start()
    assert gateway.text(made, "import gamma.part; print(x, gamma.part.TEXT)") == "1 é\n"
    assert get(gateway, made)["packages"] == ["gamma"]
    gateway.execute(made, "import os; os.kill(os.getpid(), 9)")
    assert gateway.text(made, "import gamma.part; print(gamma.part.TEXT)") == "é\n"
    other = make(gateway)["id"]
    assert add(gateway, other, "gamma")["cached"]
    for one in (made, other):
        delete(gateway, one)


# ------------------------------------------------------------------------------------------------------- not to be had


def test_what_is_no_package(served, session):
    for wanted in (["--index-url=http://x/"], ["-r/etc/passwd"], ["./alpha"], ["/etc/passwd"], ["alpha @ http://x/"],
                   ["http://x/alpha.whl"], ["git+http://x/"], ["alpha; python_version>'3'"], [""], ["alpha=="], ["@scope/alpha"],
                   ["alpha\n--pre"], ["alpha[x"], ["al pha"], [1], [None], [], "alpha", None, ["a"] * 33, ["a" * 201]):
        error(served.client.post(f"/v1/sessions/{session}/packages", json={"packages": wanted}), 400, "invalid_request", "packages")
        if wanted:
            error(served.client.post("/v1/sessions", json={"packages": wanted}), 400, "invalid_request", "packages")


def test_what_cannot_be_installed(served, session):
    said = error(add(served, session, "delta", status=422), 422, "install_failed")
    assert "No matching distribution" in said["message"], said
    assert get(served, session)["packages"] == []


def test_no_session_is_left_where_they_cannot_be_had(served):
    error(served.client.post("/v1/sessions", json={"user_uuid": "left", "packages": ["nowhere"]}), 422, "install_failed")
    error(served.client.get("/v1/sessions/left"), 404, "not_found")


def test_no_source(gateway, user):
    make(gateway, user_uuid=user)
    error(add(gateway, user, "alpha", status=422), 422, "unsupported", "packages")
    error(gateway.client.post("/v1/sessions", json={"packages": ["alpha"]}), 422, "unsupported", "packages")


def test_which_kernels_can_have_them(served):
    able = {k["name"]: k["packages"] for k in served.client.get("/v1/kernels").json()["kernels"]}
    assert able["python3"] and not able["bash"]


def test_a_language_without_a_tool(served):
    made = make(served, kernel="bash")["id"]
    error(add(served, made, "alpha", status=422), 422, "unsupported", "packages")
    delete(served, made)


def test_too_large_for_the_session(served):
    made = make(served, limits={"disk_mb": 2})["id"]
    error(add(served, made, "large", status=507), 507, "no_space")
    error(served.client.post("/v1/sessions", json={"user_uuid": "small", "limits": {"disk_mb": 2}, "packages": ["large"]}),
          507, "no_space")
    error(served.client.get("/v1/sessions/small"), 404, "not_found")
    delete(served, made)


def test_the_oldest_make_room(eager):
    gateway = eager
    made = make(gateway)["id"]
    add(gateway, made, "large")
    old = kept(gateway)
    add(gateway, made, "large", "alpha==2.0")
    assert not set(old) & set(kept(gateway))
    assert sum(os.path.getsize(path) for path in kept(gateway)) <= 4 << 20
    assert not add(gateway, made, "large")["cached"]
    delete(gateway, made)


def test_on_import(eager):
    gateway = eager
    made = make(gateway)["id"]
    before = gateway.log().count("packages: not installed: ")

    def run(code):
        answer = gateway.client.post(f"/v1/sessions/{made}/executions", json={"code": code})
        assert answer.status_code == 200, answer.text
        return answer.json()

    code = "import json, gamma.part\ntry:\n    import nowhere\nexcept ImportError as e:\n    print(e.name, gamma.part.TEXT)"
    first = run(code)
    assert first["stdout"] == "nowhere é\n" and first["execution_count"] == 1, first
    assert get(gateway, made)["packages"] == ["gamma"]
    assert run(code)["stdout"] == "nowhere é\n"
    assert gateway.log().count("packages: not installed: ") == before + 1
    assert get(gateway, made)["executions"] == 2
    delete(gateway, made)


def test_execute_imports_too(eager, users):
    """Also for a user of whom nothing has been heard; all else of the answer is as ever."""
    user = users(eager)
    plain = eager.execute(users(eager), "print(1)").json()
    first = eager.execute(user, "import gamma.part; print(gamma.part.TEXT)").json()
    assert first["result_text"] == "é\n" and first["execution_count"] == 1 and first.keys() == plain.keys() and not first["restarted"]
    assert get(eager, user)["packages"] == ["gamma"] and get(eager, user)["executions"] == 1
    eager.execute(user, "import os; os.kill(os.getpid(), 9)")
    again = eager.execute(user, "import gamma.part; print(gamma.part.TEXT)").json()
    assert again["result_text"] == "é\n" and again["restarted"]


def test_who_waits_when_the_gateway_stops(eager):
    """A second signal ends it at once, whoever waits for an installation; under the sanitizers nothing of them is left."""
    gateway = eager
    made = make(gateway)["id"]
    gateway.text(made, "print()")

    def post(path, body):
        with contextlib.suppress(httpx.TransportError):
            return gateway.client.post(path, json=body).status_code

    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = [pool.submit(post, f"/v1/sessions/{made}/executions", {"code": "import epsilon"}),
                   pool.submit(post, f"/v1/sessions/{made}/packages", {"packages": ["large", "epsilon"]}),
                   pool.submit(post, "/v1/sessions", {"packages": ["alpha", "epsilon"]}),
                   pool.submit(post, "/execute", {"user_uuid": "waits", "code": "import epsilon"})]
        eventually(lambda: gateway.status()["busy_workers"] > len(gateway.status()["sessions"]), 60, "something is installed")
        eventually(lambda: gateway.metrics()["tci_http_connections"] > len(waiting), 60, "all of them have come")
        os.kill(gateway.pid, signal.SIGTERM)
        assert gateway.stop() == 0
        assert {w.result(60) for w in waiting} == {503}  # each has an answer
    gateway.start()
    for one in gateway.status()["sessions"]:
        delete(gateway, one["user_uuid"])


def test_a_key_leaves_room_for_others(served, session):
    """Of one API key one installation runs and a few wait; what is more is refused, and who else wants one has it meanwhile."""
    key = served.make_key()
    mine = served.as_key(key)
    made = make(mine)["id"]
    with contextlib.ExitStack() as stack:
        asked = {}
        for n in range(5):
            connection = stack.enter_context(Connection(served))
            connection.token = key
            body = json.dumps({"packages": [f"none{n}"]}).encode()
            connection.send(connection.request("POST", f"/v1/sessions/{made}/packages", body))
            asked[connection.socket] = connection
        first, _, _ = select.select(asked, [], [], 60)
        refusal = asked.pop(first[0]).response()
        assert refusal.status == 429 and refusal.json()["error"]["code"] == "quota_exceeded" and int(refusal.header("Retry-After")) > 0
        error(add(served, session, "others", status=422), 422, "install_failed")
        assert len(select.select(asked, [], [], 0)[0]) < len(asked)
    delete(mine, made)
    mine.client.close()


def test_nothing_is_left_of_installers(served, session):
    add(served, session, "alpha==1.0")
    eventually(lambda: served.status()["busy_workers"] == len(served.status()["sessions"]))
    assert all("install" not in s["user_uuid"] for s in served.status()["sessions"])
