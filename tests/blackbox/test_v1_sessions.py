"""test_v1_sessions.py - /v1/sessions: sessions made, listed, looked at and ended; errors and request ids of /v1.

Every answer is also held against web/openapi.json (openapi.py).
"""
import concurrent.futures
import re
import time

import httpx
import pytest

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
    ("PUT", "/v1/sessions", "GET, HEAD, POST, OPTIONS"), ("POST", "/v1/sessions/a", "GET, HEAD, DELETE, OPTIONS"),
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
