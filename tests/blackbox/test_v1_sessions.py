"""test_v1_sessions.py - /v1/sessions: sessions made, listed, looked at and ended; errors and request ids of /v1.

Every answer is also held against web/openapi.json (openapi.py).
"""
import concurrent.futures
import re
import time

import httpx
import pytest

import harness
import openapi
import rawhttp
from harness import eventually

ID = re.compile(r"s-[0-9a-f]{32}")


def make(gateway, status=201, **body):
    answer = gateway.client.post("/v1/sessions", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def get(gateway, session, status=200, **params):
    answer = gateway.client.get(f"/v1/sessions/{session}", params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


def delete(gateway, session, status=204, **params):
    answer = gateway.client.delete(f"/v1/sessions/{session}", params=params)
    assert answer.status_code == status, answer.text


def error(answer, status, code, field=None):
    assert answer.status_code == status, answer.text
    said = answer.json()["error"]
    assert said["code"] == code and said.get("field") == field, said
    return said


def pages(gateway, limit):
    """All sessions, page by page."""
    found, cursor = [], None
    while True:
        answer = gateway.client.get("/v1/sessions", params={"limit": limit, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["sessions"]) <= limit
        found += page["sessions"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


# ------------------------------------------------------------------------------------------------------- their life


def test_a_session_from_beginning_to_end(gateway):
    session = make(gateway)
    assert ID.fullmatch(session["id"]) and session["id"] == session["user_uuid"]
    assert session["key"] is None and session["network"] == "none" and session["executions"] == 0
    assert session["state"] in ("starting", "idle")
    eventually(lambda: get(gateway, session["id"])["state"] == "idle")
    assert gateway.text(session["id"], "x = 41\nprint(x + 1)") == "42\n"
    assert get(gateway, session["id"])["executions"] == 1
    delete(gateway, session["id"])
    error(gateway.client.get(f"/v1/sessions/{session['id']}"), 404, "not_found")
    assert gateway.session(session["id"]) is None


def test_the_id_is_the_user_uuid(gateway, user):
    """One session, whichever door it came by."""
    gateway.ok(user, "x = 1")
    session = make(gateway, 200, user_uuid=user)
    assert session["id"] == user and session["executions"] == 1
    assert gateway.text(user, "print(x)") == "1\n"
    delete(gateway, user)
    answer = gateway.client.post("/v1/sessions", json={"user_uuid": user})
    assert answer.status_code == 201 and answer.headers["location"] == f"/v1/sessions/{user}"
    assert gateway.run(user, "x")["error"]["ename"] == "NameError"


def test_no_body_is_no_wish(gateway):
    answer = gateway.client.post("/v1/sessions")
    assert answer.status_code == 201, answer.text
    delete(gateway, answer.json()["id"])


def test_many_at_once_are_one(gateway, user):
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        codes = sorted(threads.map(lambda _: gateway.client.post("/v1/sessions", json={"user_uuid": user}).status_code,
                                   range(8)))
    assert codes == [200] * 7 + [201]


def test_busy(gateway, user):
    with gateway.hold(user):
        waiting = gateway.spawn(user, "1")
        eventually(lambda: get(gateway, user)["queued"] == 1)
        assert get(gateway, user)["state"] == "busy"
    assert waiting.result().status_code == 200


def test_a_session_outlives_its_container(gateway, user):
    make(gateway, user_uuid=user)
    gateway.ok(user, "x = 1")
    assert gateway.execute(user, "import os; os._exit(3)").status_code == 503
    session = get(gateway, user)
    assert session["state"] == "stopped" and session["executions"] == 2
    assert session["id"] in [s["id"] for s in pages(gateway, 100)]
    answer = gateway.run(user, "x")
    assert answer["restarted"] and answer["error"]["ename"] == "NameError"
    delete(gateway, user)


def test_an_idle_session_is_gone(make_gateway, users):
    gateway = make_gateway(min_idle_workers=1, max_total_workers=2, worker_idle_timeout=1)
    session = make(gateway)["id"]
    eventually(lambda: gateway.client.get(f"/v1/sessions/{session}").status_code == 404)
    assert pages(gateway, 10) == []
    make(gateway, user_uuid=session)


def test_times(gateway):
    before = time.time()
    session = make(gateway)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before - 1))
    assert stamp <= session["created_at"] <= session["last_used_at"]
    delete(gateway, session["id"])


# ------------------------------------------------------------------------------------------------------------ lists


def test_pages(make_gateway):
    gateway = make_gateway(ready=False, min_idle_workers=0, max_total_workers=7)
    made = [make(gateway)["id"] for _ in range(7)]
    for limit in (1, 2, 3, 7, 100):
        assert [s["id"] for s in pages(gateway, limit)] == made
    first = gateway.client.get("/v1/sessions", params={"limit": 3}).json()
    delete(gateway, made[2])  # at the cursor
    delete(gateway, made[3])
    rest = gateway.client.get("/v1/sessions", params={"cursor": first["next_cursor"]}).json()
    assert [s["id"] for s in rest["sessions"]] == made[4:]


@pytest.mark.parametrize("query, field", [("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"),
                                          ("cursor=x", "cursor"), ("cursor=-1", "cursor"), ("limits=1", "limits"),
                                          ("limit=1&limit=2", None), ("limit=%C3%28", None), ("%00=1", None)])
def test_queries_that_are_refused(gateway, query, field):
    error(gateway.client.get(f"/v1/sessions?{query}"), 400, "invalid_request", field)


# ------------------------------------------------------------------------------------------------------- whose it is


def test_keys_see_their_own(gateway, user):
    one, other = (gateway.as_key(gateway.make_key()) for _ in range(2))
    session = make(one, user_uuid=user)
    key = session["key"]
    assert re.fullmatch("[0-9a-f]{12}", key)
    assert [s["id"] for s in pages(one, 10)] == [user] and pages(other, 10) == []
    for view in (other, gateway):  # the master's session of that name would be another
        error(view.client.get(f"/v1/sessions/{user}"), 404, "not_found")
        error(view.client.delete(f"/v1/sessions/{user}"), 404, "not_found")
    error(other.client.get(f"/v1/sessions/{user}", params={"key": key}), 400, "invalid_request", "key")
    error(gateway.client.get(f"/v1/sessions/{user}", params={"key": "x"}), 400, "invalid_request", "key")
    assert get(one, user, key=key)["id"] == user
    assert get(gateway, user, key=key)["key"] == key
    assert (user, key) in [(s["id"], s["key"]) for s in pages(gateway, 10)]
    make(other, user_uuid=user)
    assert one.text(user, "print(1)") == "1\n"
    delete(gateway, user, key=key)
    assert pages(one, 10) == [] and [s["id"] for s in pages(other, 10)] == [user]
    delete(other, user)


def test_quota(gateway):
    view = gateway.as_key(gateway.make_key("--sessions", "1"))
    session = make(view)
    said = error(view.client.post("/v1/sessions", json={"user_uuid": "more"}), 429, "quota_exceeded")
    assert said["session_id"] == "more"
    make(view, 200, user_uuid=session["id"])
    delete(view, session["id"])
    delete(view, make(view)["id"])


def test_capacity(make_gateway):
    gateway = make_gateway(min_idle_workers=0, max_total_workers=1, ready=False)
    make(gateway)
    answer = gateway.client.post("/v1/sessions", json={})
    error(answer, 503, "capacity")
    assert answer.headers["retry-after"]


def test_a_session_that_there_is_needs_no_room(make_gateway):
    """Neither in its queue, nor among the workers, nor among the key's sessions: nothing is started for it."""
    gateway = make_gateway(min_idle_workers=0, max_total_workers=1, queue_limit=1, ready=False)
    view = gateway.as_key(gateway.make_key("--sessions", "1"))
    make(view, user_uuid="one")
    with view.hold("one") as held:
        assert make(view, 200, user_uuid="one")["state"] == "busy"
        error(view.client.post("/v1/sessions", json={"user_uuid": "one", "strategy": "execution"}), 409, "conflict", "strategy")
    assert held.future.result().status_code == 200
    assert view.execute("one", "import os; os._exit(3)").status_code == 503
    make(view, user_uuid="two")
    assert make(view, 200, user_uuid="one")["state"] == "stopped"
    assert view.execute("one", "1").status_code == 429
    error(view.client.post("/v1/sessions", json={"user_uuid": "one", "network": "allowlist"}), 403, "forbidden", "network")


# -------------------------------------------------------------------------------------------------------- in errors


@pytest.mark.parametrize("body, field", [
    (b"{", None), (b"[]", None), (b'{"user_uuid": 1}', "user_uuid"), (b'{"user_uuid": "a/b"}', "user_uuid"),
    (b'{"network": "all"}', "network"), (b'{"x": 1}', "x"), (b'{"user_uuid":"a","user_uuid":"b"}', None)])
def test_bodies_that_are_refused(gateway, body, field):
    error(gateway.client.post("/v1/sessions", content=body), 400, "invalid_request", field)


def test_a_network_that_is_not_to_be_had(gateway):
    error(gateway.client.post("/v1/sessions", json={"network": "allowlist"}), 403, "forbidden", "network")


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/sessions/", "/v1/sessions/a/b", "/v1/sessions//",
                                  "/v1/sessions/nobody", "/v1/sessions/a%2fb", "/v1/sessions/%20"])
def test_what_is_not_there(gateway, path):
    error(gateway.client.get(path), 404, "not_found")


def test_a_path_that_is_no_text(gateway):
    with rawhttp.Connection(gateway) as connection:
        for path in ("/v1/sessions/%00", "/v1/sessions/%ff", "/v1/sessions/%4", "/v1/sessions?%zz"):
            answer = connection.ask("GET", path)
            assert answer.status == 400 and answer.json()["error"]["code"] == "invalid_request"


def test_strangers(gateway):
    for headers in ({}, {"X-Auth-Token": "wrong"}):
        with gateway.new_client(headers=headers) as client:
            answer = client.get("/v1/sessions")
            error(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
            error(client.post("/v1/sessions", content=b"{" + b" " * 10000), 401, "unauthorized")


def test_rate(gateway):
    view = gateway.as_key(gateway.make_key("--rate", "1/min"))
    assert view.client.get("/v1/sessions").status_code == 200
    answer = view.client.get("/v1/sessions")
    error(answer, 429, "rate_limited")
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("method, path, allowed", [
    ("PUT", "/v1/sessions", "GET, HEAD, POST, OPTIONS"), ("POST", "/v1/sessions/a", "GET, HEAD, PATCH, DELETE, OPTIONS"),
    ("GET", "/execute", "POST, OPTIONS"), ("DELETE", "/status", "GET, HEAD, OPTIONS")])
def test_methods(gateway, method, path, allowed):
    answer = gateway.client.request(method, path)
    assert answer.status_code == 405 and answer.headers["allow"] == allowed
    if path.startswith("/v1"):
        error(answer, 405, "method_not_allowed")
    else:
        assert "detail" in answer.json()
    answer = gateway.client.options(path)
    assert answer.status_code == 204 and answer.headers["allow"] == allowed


def test_what_evhttp_refuses(gateway):
    """Bodies that are too long and methods that nobody knows never come as far as a handler."""
    answer = gateway.client.post("/v1/sessions", content=b" " * (8 << 20))
    error(answer, 413, "too_large")
    answer = gateway.client.request("BREW", "/v1/sessions")
    error(answer, 501, "method_not_allowed")
    assert "detail" in gateway.client.request("BREW", "/status").json()


# ----------------------------------------------------------------------------------------------------- request ids


def test_request_ids(gateway, user):
    for path in ("/healthz", "/v1/sessions", "/nothing", "/v1/nothing"):
        drawn = {gateway.client.get(path).headers["x-request-id"] for _ in range(3)}
        assert len(drawn) == 3 and all(re.fullmatch("r-[0-9a-f]{24}", one) for one in drawn)
        assert gateway.client.get(path, headers={"X-Request-Id": "a.B:9_-"}).headers["x-request-id"] == "a.B:9_-"
        for unusable in ("", "a b", "x" * 129, 'a"b', "ä".encode()):
            answer = gateway.client.get(path, headers={"X-Request-Id": unusable})
            assert answer.headers["x-request-id"].startswith("r-")
    with gateway.new_client(headers={}) as stranger:
        assert stranger.get("/v1/sessions", headers={"X-Request-Id": "mine"}).headers["x-request-id"] == "mine"


def test_request_ids_in_the_log(gateway, user):
    mark = "log-" + user
    gateway.client.get("/v1/sessions", headers={"X-Request-Id": mark})
    gateway.client.post("/execute", json={"user_uuid": user, "code": "1"}, headers={"X-Request-Id": mark})
    lines = [line for line in gateway.log().splitlines() if line.endswith(f" request={mark}")]
    assert any("GET /v1/sessions: 200" in line for line in lines)
    assert any("POST /execute: 200" in line for line in lines)


def test_cors(make_gateway):
    gateway = make_gateway(ready=False, min_idle_workers=0, cors_origin="https://app.example")
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "DELETE",
               "Access-Control-Request-Headers": "x-auth-token"}
    answer = httpx.options(gateway.url + "/v1/sessions/a", headers=headers, trust_env=False)
    allowed = answer.headers["access-control-allow-methods"].split(", ")
    assert answer.status_code == 204 and {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(allowed)
    assert "Last-Event-ID" in answer.headers["access-control-allow-headers"]
    answer = gateway.client.get("/v1/sessions", headers={"Origin": "https://app.example"})
    assert "X-Request-Id" in answer.headers["access-control-expose-headers"]


# ------------------------------------------------------------------------------------------- what they are asked to be


def limits_of(gateway, session):
    return get(gateway, session)["limits"]


def test_what_holds_without_a_wish(gateway):
    session = make(gateway)
    assert session["limits"] == {"cpu": 1.0, "memory_mb": 1024, "disk_mb": 500, "pids": 128, "timeout": 30.0}
    assert session["idle_timeout"] == 3600 and session["expires_at"] is None and session["strategy"] == "session"
    assert session["history"] == [] and session["env"] == []
    delete(gateway, session["id"])


@pytest.mark.root_only("control groups")
@pytest.mark.crun_only("gVisor's own memory is part of it")
def test_less_on_a_warm_one(gateway):
    """Processor and memory are taken from a worker that is there already, and an execution's own limits come from what is
    left."""
    eventually(lambda: gateway.status()["idle_workers_in_pool"] == 2)
    session = make(gateway, limits={"cpu": 0.5, "memory_mb": 300})
    assert session["state"] == "idle"  # at once: nothing was started
    one = gateway.container_of(session["id"])
    assert one.memory_limit() == 300 and one.cores() == 0.5
    assert limits_of(gateway, session["id"])["memory_mb"] == 300
    assert gateway.execute(session["id"], "1", memory_mb=200).status_code == 200
    assert one.memory_limit() == 300
    answer = gateway.execute(session["id"], "x = bytearray(400 << 20)")
    assert answer.status_code == 503 and "limit: 300 MB" in answer.json()["detail"]
    reasons = [h["reason"] for h in get(gateway, session["id"])["history"]]
    assert len(reasons) == 1 and "out of memory" in reasons[0]
    assert gateway.container_of(session["id"]).memory_limit() == 300  # the next one, too
    delete(gateway, session["id"])


@pytest.mark.root_only("control groups")
@pytest.mark.crun_only("gVisor counts processes itself")
def test_a_container_of_its_own(gateway):
    """Disk, processes and the environment are what a container is made with."""
    body = {"limits": {"disk_mb": 20, "pids": 40, "memory_mb": 200, "timeout": 6}, "env": {"GREETING": "hello ä", "PATH": "/usr/bin:/bin"}}
    session = make(gateway, **body)
    code = "import os; v = os.statvfs('/workspace'); print(v.f_blocks * v.f_frsize, os.environ['GREETING'], os.environ['PATH'])"
    assert gateway.text(session["id"], code) == f"{20 << 20} hello ä /usr/bin:/bin\n"
    one = gateway.container_of(session["id"])
    assert one.memory_limit() == 200 and one.group_file("pids.max") == "40"
    assert get(gateway, session["id"])["env"] == ["GREETING", "PATH"]
    answer = gateway.execute(session["id"], "while True: pass")
    assert answer.status_code == 504 and "6 s" in answer.json()["detail"]
    assert gateway.value(session["id"], "import os; v = os.statvfs('/workspace'); print(v.f_blocks * v.f_frsize)") == 20 << 20
    assert make(gateway, 200, user_uuid=session["id"], **body)["id"] == session["id"]
    delete(gateway, session["id"])


CPU_LIMIT = pytest.mark.root_only("processor time is not limited")


@pytest.mark.parametrize("more, field", [pytest.param({"limits": {"cpu": 0.25}}, "limits.cpu", marks=CPU_LIMIT),
                                         ({"limits": {"memory_mb": 512}}, "limits.memory_mb"),
                                         ({"limits": {"disk_mb": 10}}, "limits.disk_mb"), ({"limits": {"pids": 20}}, "limits.pids"),
                                         ({"limits": {"timeout": 1}}, "limits.timeout"), ({"env": {"A": "b"}}, "env"),
                                         ({"idle_timeout": 5}, "idle_timeout"), ({"strategy": "execution"}, "strategy")])
def test_what_contradicts(gateway, user, more, field):
    make(gateway, user_uuid=user)
    error(gateway.client.post("/v1/sessions", json={"user_uuid": user, **more}), 409, "conflict", field)
    make(gateway, 200, user_uuid=user, strategy="session", network="none", language="python",
         limits={**({} if harness.rootless() else {"cpu": 1}), "memory_mb": 1024, "pids": 128, "timeout": 30}, idle_timeout=3600)


@pytest.mark.parametrize("body, field", [({"limits": {"cpu": 1.5}}, "limits.cpu"), ({"limits": {"memory_mb": 1025}}, "limits.memory_mb"),
                                         ({"limits": {"disk_mb": 501}}, "limits.disk_mb"), ({"limits": {"pids": 129}}, "limits.pids"),
                                         ({"limits": {"timeout": 31}}, "limits.timeout"), ({"idle_timeout": 3601}, "idle_timeout"),
                                         ({"limits": {"x": 1}}, "limits.x"), ({"env": {"1": "x"}}, "env"), ({"strategy": "x"}, "strategy"),
                                         ({"ttl": -1}, "ttl")])
@pytest.mark.root_only("who has no control groups is told that first")
def test_more_than_there_is(gateway, body, field):
    error(gateway.client.post("/v1/sessions", json=body), 400, "invalid_request", field)


def test_ttl(gateway):
    session = make(gateway, ttl=10)["id"]
    running = gateway.spawn(session, "import time; time.sleep(28)")
    answer = running.result()
    assert answer.status_code == 503 and "ttl" in answer.json()["detail"]
    error(gateway.client.get(f"/v1/sessions/{session}"), 404, "not_found")


def test_longer(gateway):
    session = make(gateway, ttl=20, idle_timeout=20)
    path = f"/v1/sessions/{session['id']}"
    answer = gateway.client.patch(path, json={"ttl": 100, "idle_timeout": 50})
    assert answer.status_code == 200 and answer.json()["expires_at"] > session["expires_at"]
    assert answer.json()["idle_timeout"] == 50
    assert gateway.client.patch(path, json={"ttl": None}).json()["expires_at"] is None
    for body, field in (({"idle_timeout": 3601}, "idle_timeout"), ({"ttl": "x"}, "ttl"), ({"env": {}}, "env")):
        error(gateway.client.patch(path, json=body), 400, "invalid_request", field)
    error(gateway.client.patch("/v1/sessions/nobody", json={}), 404, "not_found")
    delete(gateway, session["id"])


def test_what_is_changed_outlives_the_container(gateway, user):
    """Also of a session that /execute has made."""
    gateway.ok(user, "1")
    changed = gateway.client.patch(f"/v1/sessions/{user}", json={"ttl": 600, "idle_timeout": 60}).json()
    assert gateway.execute(user, "import os; os._exit(1)").status_code == 503
    assert gateway.run(user, "1")["restarted"] is True
    after = get(gateway, user)
    same = ("expires_at", "idle_timeout", "created_at")
    assert [after[name] for name in same] == [changed[name] for name in same]
    assert len(after["history"]) == 1


def test_idle(gateway):
    session = make(gateway, idle_timeout=1)["id"]
    eventually(lambda: gateway.client.get(f"/v1/sessions/{session}").status_code == 404)


def test_idle_without_a_container(gateway):
    session = make(gateway, idle_timeout=10)["id"]
    assert gateway.execute(session, "import os; os._exit(1)").status_code == 503
    assert get(gateway, session)["state"] == "stopped"
    eventually(lambda: gateway.client.get(f"/v1/sessions/{session}").status_code == 404)


@pytest.mark.root_only("control groups")
def test_usage(gateway):
    session = make(gateway)["id"]
    gateway.ok(session, "x = bytearray(100 << 20)\nx = None\nfor i in range(3 * 10**6): pass")
    usage = get(gateway, session)["usage"]
    assert usage["cpu_seconds"] > 0.05
    assert usage["memory_peak_bytes"] > 100 << 20 and 1 << 20 < usage["memory_bytes"] <= usage["memory_peak_bytes"]
    delete(gateway, session)


def test_history(gateway):
    session = make(gateway)["id"]
    first = gateway.ok(session, "1") and get(gateway, session)["container"]
    gateway.execute(session, "import os; os._exit(3)")
    assert get(gateway, session)["container"] is None and get(gateway, session)["usage"] is None
    gateway.run(session, "1")
    gateway.execute(session, "while True: pass", timeout=0.3)
    gone = get(gateway, session)["history"]
    assert [h["id"] for h in gone][0] == first["id"] and len(gone) == 2
    assert "status 3" in gone[0]["reason"] and "longer than 0.3 s" in gone[1]["reason"]
    assert gone[0]["started_at"] == first["started_at"] <= gone[0]["ended_at"] <= gone[1]["started_at"]
    delete(gateway, session)


def test_all_of_it_survives_a_restart(make_gateway):
    gateway = make_gateway(min_idle_workers=1, max_total_workers=6)
    own = make(gateway, user_uuid="own", ttl=1000, idle_timeout=500, env={"A": "b"}, limits={"disk_mb": 20, "timeout": 20})
    cut = make(gateway, user_uuid="cut", limits={"memory_mb": 300} if gateway.account is None else {})
    make(gateway, user_uuid="run", strategy="execution")
    stopped = make(gateway, user_uuid="stopped")
    gateway.ok("own", "x = 1")
    gateway.ok("cut", "x = 2")
    gateway.execute("stopped", "import os; os._exit(3)")
    before = {s["id"]: get(gateway, s["id"]) for s in (own, cut, stopped, {"id": "run"})}
    assert gateway.stop() == 0
    gateway.start()
    assert [s["id"] for s in pages(gateway, 2)] == ["own", "cut", "run", "stopped"]
    assert gateway.text("own", "import os; print(x, os.environ['A'])") == "1 b\n" and gateway.text("cut", "print(x)") == "2\n"
    for session, old in before.items():
        now = get(gateway, session)
        for field in ("kernel", "strategy", "limits", "env", "idle_timeout", "created_at", "expires_at", "container", "history",
                      "network"):
            assert now[field] == old[field], field
    if gateway.account is None:
        assert gateway.container_of("cut").memory_limit() == 300
    error(gateway.client.post("/v1/sessions", json={"user_uuid": "own", "env": {"A": "c"}}), 409, "conflict", "env")
    gateway.execute("own", "import os; os._exit(3)")
    assert gateway.text("own", "import os; print(os.environ['A'])") == "b\n"  # in another container, made like the first


# ------------------------------------------------------------------------------------------------- again and again


def test_an_idempotency_key(gateway):
    def ask(key, view=gateway, **body):
        return view.client.post("/v1/sessions", json=body, headers={"Idempotency-Key": key})

    first, again, other = ask("one"), ask("one"), ask("two")
    assert [a.status_code for a in (first, again, other)] == [201, 200, 201]
    assert first.json()["id"] == again.json()["id"] != other.json()["id"] and ID.fullmatch(first.json()["id"])
    error(ask("one", env={"A": "b"}), 409, "conflict", "env")
    for unusable in ("x" * 256, ""):
        error(ask(unusable), 400, "invalid_request", "Idempotency-Key")
    view = gateway.as_key(gateway.make_key())
    mine = ask("one", view)
    assert mine.status_code == 201 and mine.json()["id"] != first.json()["id"]
    delete(view, mine.json()["id"])
    for answer in (first, other):
        delete(gateway, answer.json()["id"])
    again = ask("one")
    assert again.status_code == 201  # its session has ended
    delete(gateway, again.json()["id"])


# ------------------------------------------------------------------------------------------------------ the document


def test_the_document(gateway):
    answer = httpx.get(gateway.url + "/openapi.json", trust_env=False)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    assert answer.json() == openapi.document()
    page = httpx.get(gateway.url + "/docs", trust_env=False)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http://" not in page.text and "https://" not in page.text


def test_the_document_is_whole():
    """Every reference leads somewhere, and every operation says what it answers."""
    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                openapi.resolve({"$ref": node["$ref"]})
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(openapi.document())
    tags = {tag["name"] for tag in openapi.document()["tags"]}
    for path, node in openapi.document()["paths"].items():
        for method, operation in node.items():
            if method != "parameters":
                assert operation["summary"] and operation["responses"], (path, method)
                assert set(operation["tags"]) <= tags, (path, method)
