"""test_http.py - the HTTP side: every documented error, what HTTP/1.1 asks for, and clients that misbehave.

Every test uses the `gateway` fixture, which checks afterwards that the gateway is alive and answers.
"""
import concurrent.futures
import contextlib
import json
import os
import socket
import ssl
import string
import subprocess
import time

import httpx
import pytest

import harness
from rawhttp import Closed, Connection

ALPHABET = string.ascii_letters + string.digits + "._:@-"


def check_error(answer, status, field=None):
    """An error as documented: status, JSON, detail, and the field where there is one."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text[:500]}"
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    body = answer.json()
    assert isinstance(body["detail"], str) and body["detail"]
    assert set(body) <= {"detail", "field"}
    if field is not None:
        assert body["field"] == field
    return body


def post(gateway, path, content, **headers):
    return gateway.client.post(path, content=content, headers=headers)


# ------------------------------------------------------------------------------------------------ plain answers


def test_health_and_readiness_need_no_token(gateway):
    for path, expected in (("/healthz", {"status": "ok"}), ("/readyz", {"status": "ready"})):
        answer = httpx.get(gateway.url + path, trust_env=False)
        assert answer.status_code == 200 and answer.json() == expected
        assert answer.headers["content-type"].startswith("application/json")


def test_page_needs_no_token_and_has_no_secret(gateway):
    answer = httpx.get(gateway.url + "/", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "<html" in answer.text.lower() and gateway.token not in answer.text


@pytest.mark.parametrize("path, kind", [
    ("/page/app.js", "text/javascript"), ("/page/page.css", "text/css"), ("/page/frame.html", "text/html"), ("/page/live.html", "text/html"),
    ("/docs", "text/html"), ("/openapi.json", "application/json"),
])
def test_files_of_the_page(gateway, path, kind):
    answer = httpx.get(gateway.url + path, trust_env=False)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith(kind) and answer.text
    again = httpx.get(gateway.url + path, trust_env=False, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == answer.headers["etag"]


def test_every_file_of_the_page_is_served(gateway):
    directory = os.path.join(harness.SOURCE_DIR, "web", "page")
    with httpx.Client(base_url=gateway.url, trust_env=False) as client:
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), "rb") as f:
                assert client.get("/" if name == "index.html" else f"/page/{name}").content == f.read(), name


def test_policies_of_the_page(gateway):
    def policy(path):
        return httpx.get(gateway.url + path, trust_env=False).headers["content-security-policy"]
    assert "'unsafe" not in policy("/") and "frame-ancestors 'none'" in policy("/")
    assert "sandbox allow-scripts;" in policy("/page/frame.html") and "script-src 'self';" in policy("/page/frame.html") + ";"
    for path in ("/page/frame.html", "/page/live.html"):
        assert "allow-same-origin" not in policy(path) and "default-src 'none'" in policy(path) and "connect-src" not in policy(path)


@pytest.mark.parametrize("path", ["/page/", "/page/index.html", "/page/../docs.html", "/page/..%2Fdocs.html", "/page/%61pp.js", "/page/app.js/",
                                  "/page/app.js%00", "/page//app.js", "/page/x/app.js", "/page/screenshot-dark.png"])
def test_nothing_else_is_served(gateway, path):
    check_error(gateway.client.get(path), 404)


def test_status_document(gateway, user):
    gateway.ok(user, "1")
    status = gateway.status()
    assert set(status) >= {"total_workers", "busy_workers", "idle_workers_in_pool", "starting_workers",
                           "is_initializing", "min_idle_workers", "max_total_workers", "sessions", "uptime_seconds",
                           "version", "kernel", "runtime", "limits", "last_start_error"}
    assert status["min_idle_workers"] == 2 and status["max_total_workers"] == 12
    assert status["busy_workers"] >= 1 and status["total_workers"] >= status["busy_workers"]
    assert status["is_initializing"] is False and status["last_start_error"] is None
    assert status["kernel"] == "python3" and status["runtime"] == harness.runtime()
    session = gateway.session(user)
    assert session["state"] == "idle" and session["queued"] == 0 and session["executions"] == 1
    for key in ("created", "last_used"):
        assert time.strptime(session[key][:19], "%Y-%m-%dT%H:%M:%S")


def test_release(gateway, user):
    for _ in range(2):  # whether or not there was one
        answer = gateway.release(user)
        assert answer.status_code == 200
        assert answer.json() == {"status": "ok", "detail": f"Worker for user {user} has been released."}
    assert gateway.session(user) is None


def test_metrics_exposition(gateway, user):
    gateway.ok(user, "1")
    answer = gateway.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    names = set()
    for line in answer.text.splitlines():
        if line.startswith("# "):
            kind, name = line.split()[1:3]
            assert kind in ("HELP", "TYPE") and name
        elif line:
            name, value = line.rsplit(" ", 1)
            float(value)
            names.add(name.split("{")[0])
    assert {"tci_executions_total", "tci_execution_duration_seconds_bucket", "tci_workers", "tci_sessions",
            "tci_container_starts_total", "tci_event_loop_lag_seconds_bucket", "tci_link_bytes_total"} <= names
    assert all(name.startswith(("tci_", "process_")) for name in names)


def test_metrics_count_executions_by_outcome(gateway, user):
    def count(outcome):
        return gateway.metrics()[f'tci_executions_total{{outcome="{outcome}"}}']

    before = {o: count(o) for o in ("ok", "error")}
    gateway.ok(user, "1")
    gateway.run(user, "1/0")
    assert count("ok") == before["ok"] + 1 and count("error") == before["error"] + 1
    buckets = [(k, v) for k, v in gateway.metrics().items() if k.startswith("tci_execution_duration_seconds_bucket")]
    values = [v for _, v in buckets]
    assert values == sorted(values) and 'le="+Inf"' in buckets[-1][0]
    assert values[-1] == gateway.metrics()["tci_execution_duration_seconds_count"]


# --------------------------------------------------------------------------------------------------- the token


@pytest.mark.parametrize("path", ["/execute", "/release", "/status", "/metrics"])
@pytest.mark.parametrize("make", [
    lambda token: None, lambda token: "", lambda token: "wrong", lambda token: token[:-1], lambda token: token + "x",
    lambda token: token[0], lambda token: token.swapcase() + "0", lambda token: "Bearer " + token,
    lambda token: "x" * 4000, lambda token: token + "," + token,
], ids=["missing", "empty", "wrong", "shortened", "lengthened", "one character", "changed", "bearer", "long", "twice"])
def test_wrong_tokens(gateway, path, make):
    value = make(gateway.token)
    headers = {} if value is None else {"X-Auth-Token": value}
    with gateway.new_client(headers=headers) as client:
        if path in ("/execute", "/release"):
            answer = client.post(path, json={"user_uuid": "nobody", "code": "1"} if path == "/execute" else {"user_uuid": "nobody"})
        else:
            answer = client.get(path)
    check_error(answer, 401)
    assert gateway.token not in answer.text
    assert gateway.session("nobody") is None


def test_token_of_bytes_outside_ascii(gateway):
    with Connection(gateway) as c:
        answer = c.ask("GET", "/status", token=False, headers=["X-Auth-Token: \xff\xfe\x80"])
        assert answer.status == 401 and answer.json()["detail"]


def test_header_name_of_the_token_in_any_case(gateway):
    with Connection(gateway) as c:
        assert c.ask("GET", "/status", token=False, headers=[f"x-aUTH-tOKEN: {gateway.token}"]).status == 200


def test_failures_of_authentication_are_counted(gateway):
    before = gateway.metrics()["tci_auth_failures_total"]
    with gateway.new_client(headers={"X-Auth-Token": "no"}) as client:
        client.get("/status")
    assert gateway.metrics()["tci_auth_failures_total"] > before


def test_unknown_path_does_not_need_a_worker(gateway):
    check_error(gateway.client.get("/nothing/here"), 404)
    check_error(gateway.client.post("/execute/", json={}), 404)
    check_error(gateway.client.get("/test.html/../../etc/passwd"), 404)
    check_error(gateway.client.get("/%2e%2e/%2e%2e/etc/passwd"), 404)


@pytest.mark.parametrize("method, path, allowed", [
    ("GET", "/execute", "POST"), ("PUT", "/execute", "POST"), ("DELETE", "/execute", "POST"),
    ("GET", "/release", "POST"), ("POST", "/status", "GET"), ("DELETE", "/metrics", "GET"), ("POST", "/healthz", "GET"),
    ("POST", "/readyz", "GET"), ("POST", "/", "GET"), ("PATCH", "/execute", "POST"), ("PUT", "/status", "GET"),
])
def test_wrong_methods(gateway, method, path, allowed):
    answer = gateway.client.request(method, path)
    check_error(answer, 405)
    assert allowed in [m.strip() for m in answer.headers["allow"].split(",")]


def test_method_nobody_knows(gateway):
    with Connection(gateway) as c:
        answer = c.ask("BREW", "/execute")
        assert answer.status in (400, 405, 501)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/", "/status"])
def test_head(gateway, path):
    """HEAD is GET without the body, or refused as a method; the connection stays usable either way."""
    with Connection(gateway) as c:
        answer = c.ask("HEAD", path)
        assert answer.status in (200, 405)
        assert c.ask("GET", "/healthz").json() == {"status": "ok"}


# ------------------------------------------------------------------------------------------------ bodies, fields


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b"}", b"nonsense", b"{'user_uuid': 'a'}", b'{"user_uuid": "a", "code": "1"', b"{,}",
    b'{"user_uuid": "a", "code": "1"} trailing', b'{"user_uuid": "a", "code": "1",}', b"\x00", b"\xff\xfe{}",
    b'{"user_uuid": "a", "code": "\xff"}', b'{"user_uuid": "a", "code": "\xc0\x80"}',
    b'{"user_uuid": "a", "code": "\xed\xa0\x80"}', b'{"user_uuid": "a", "code": "\\ud800"}',
    b'{"user_uuid": "a", "code": "\n"}', b'{"user_uuid": "a", "code": "\\x41"}', b"NaN", b"\xef\xbb\xbf\xef\xbb\xbf{}",
    b"[" * 200000, b'{"a":' * 200000, b"[" * 1000 + b"]" * 1000, b'{"user_uuid": 1e999999, "code": "1"}',
])
def test_bodies_that_are_not_json(gateway, body):
    check_error(post(gateway, "/execute", body), 400)
    check_error(post(gateway, "/release", body), 400)


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"', b"true", b'[{"user_uuid":"a","code":"1"}]'])
def test_bodies_that_are_not_objects(gateway, body):
    check_error(post(gateway, "/execute", body), 400)
    check_error(post(gateway, "/release", body), 400)


@pytest.mark.parametrize("document, field", [
    ({}, "user_uuid"),
    ({"code": "1"}, "user_uuid"),
    ({"user_uuid": "a"}, "code"),
    ({"user_uuid": 5, "code": "1"}, "user_uuid"),
    ({"user_uuid": None, "code": "1"}, "user_uuid"),
    ({"user_uuid": ["a"], "code": "1"}, "user_uuid"),
    ({"user_uuid": {"a": 1}, "code": "1"}, "user_uuid"),
    ({"user_uuid": "a", "code": 1}, "code"),
    ({"user_uuid": "a", "code": None}, "code"),
    ({"user_uuid": "a", "code": ["1"]}, "code"),
    ({"user_uuid": "a", "code": True}, "code"),
    ({"user_uuid": "a", "code": "1", "timeout": "5"}, "timeout"),
    ({"user_uuid": "a", "code": "1", "timeout": True}, "timeout"),
    ({"user_uuid": "a", "code": "1", "timeout": 0}, "timeout"),
    ({"user_uuid": "a", "code": "1", "timeout": -1}, "timeout"),
    ({"user_uuid": "a", "code": "1", "timeout": 30.001}, "timeout"),
    ({"user_uuid": "a", "code": "1", "timeout": 1e300}, "timeout"),
    ({"user_uuid": "a", "code": "1", "timeout": [1]}, "timeout"),
    ({"user_uuid": "a", "code": "1", "surplus": 1}, "surplus"),
    ({"user_uuid": "a", "code": "1", "Timeout": 1}, "Timeout"),
])
def test_fields_of_execute(gateway, document, field):
    check_error(gateway.client.post("/execute", json=document), 400, field)
    assert gateway.session("a") is None


@pytest.mark.parametrize("document, field", [
    ({}, "user_uuid"), ({"user_uuid": 1}, "user_uuid"), ({"user_uuid": ""}, "user_uuid"),
    ({"user_uuid": "a b"}, "user_uuid"), ({"user_uuid": "a", "code": "1"}, "code"),
])
def test_fields_of_release(gateway, document, field):
    check_error(gateway.client.post("/release", json=document), 400, field)


@pytest.mark.parametrize("timeout", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_timeouts_that_are_no_numbers(gateway, timeout):
    check_error(post(gateway, "/execute", b'{"user_uuid":"a","code":"1","timeout":' + timeout.encode() + b"}"), 400)


@pytest.mark.parametrize("user_uuid", [ALPHABET, "a", "A" * 128, "-", ".", "..", "user@example.org:1", "::", "0"])
def test_user_ids_that_are_allowed(gateway, user_uuid):
    answer = gateway.release(user_uuid)
    assert answer.status_code == 200 and user_uuid in answer.json()["detail"]


@pytest.mark.parametrize("user_uuid", ["", "a" * 129, "a b", "a/b", "../x", "a\0b", "a\nb", "é", "日本", "a\\b", "a+b", "a%41",
                                       "a,b", "a\u200b", "'", '"', "<b>", "a;b", "a" * 100000])
def test_user_ids_that_are_not(gateway, user_uuid):
    check_error(gateway.client.post("/execute", json={"user_uuid": user_uuid, "code": "1"}), 400, "user_uuid")
    check_error(gateway.release(user_uuid), 400, "user_uuid")


@pytest.mark.parametrize("user_uuid", ["..", ".", "-", "a:b@c.d-e_f", "UPPER.lower-0"])
def test_odd_user_ids_have_working_sessions(gateway, user_uuid):
    try:
        assert gateway.text(user_uuid, "1 + 1") == "2"
    finally:
        gateway.release(user_uuid)


def test_duplicate_keys(gateway, user):
    """Refused, or the last one counts: never the one that was not checked."""
    body = f'{{"user_uuid": "{user}", "code": "1", "code": "2"}}'.encode()
    answer = post(gateway, "/execute", body)
    assert answer.status_code == 400 or answer.json()["result_text"] == "2"
    body = f'{{"user_uuid": "{user}", "user_uuid": "../x", "code": "1"}}'.encode()
    check_error(post(gateway, "/execute", body), 400)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json; charset=utf-8",
                                          "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])
def test_content_type_does_not_matter(gateway, user, content_type):
    headers = [] if content_type is None else [f"Content-Type: {content_type}"]
    with Connection(gateway) as c:
        answer = c.post("/execute", {"user_uuid": user, "code": "6 * 7"}, headers=headers)
        assert answer.status == 200 and answer.json()["result_text"] == "42"


def test_escapes_in_the_body(gateway, user):
    body = f'{{"\\u0075ser_uuid": "{user}", "code": "print(\\u0027\\ud83d\\ude00\\t\\/\\u0027)"}}'.encode()
    assert post(gateway, "/execute", body).json()["result_text"] == "😀\t/\n"


# ----------------------------------------------------------------------------------------------- HTTP/1.1 proper


def test_keep_alive(gateway, user):
    with Connection(gateway) as c:
        for i in range(20):
            answer = c.post("/execute", {"user_uuid": user, "code": f"{i}"})
            assert answer.status == 200 and answer.json()["result_text"] == str(i)
            assert c.ask("GET", "/healthz").status == 200


def test_keep_alive_after_errors(gateway):
    with Connection(gateway) as c:
        for _ in range(5):
            assert c.ask("GET", "/nothing").status == 404
            assert c.ask("GET", "/execute").status == 405
            assert c.ask("POST", "/execute", b"{").status == 400
            assert c.ask("GET", "/status", token=False).status == 401
        assert c.ask("GET", "/healthz").status == 200


def test_connection_close(gateway):
    with Connection(gateway) as c:
        assert c.ask("GET", "/healthz", headers=["Connection: close"]).status == 200
        assert c.closed() == b""


def test_http_1_0(gateway):
    with Connection(gateway) as c:
        c.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert c.response().json() == {"status": "ok"}
        assert c.closed() == b""


def test_pipelining(gateway, user):
    """Several requests in one packet: all answered, in order."""
    with Connection(gateway) as c:
        requests = [c.request("POST", "/execute", json.dumps({"user_uuid": user, "code": f"{i}"}).encode())
                    for i in range(6)]
        requests.insert(3, c.request("GET", "/healthz"))
        c.send(b"".join(requests))
        answers = [c.response() for _ in requests]
    assert [a.status for a in answers] == [200] * 7
    assert answers.pop(3).json() == {"status": "ok"}
    assert [a.json()["result_text"] for a in answers] == [str(i) for i in range(6)]


def test_request_in_small_pieces(gateway, user):
    with Connection(gateway) as c:
        data = c.request("POST", "/execute", json.dumps({"user_uuid": user, "code": "'piecemeal'"}).encode())
        for i in range(0, len(data), 3):
            c.send(data[i:i + 3])
        assert c.response().json()["result_text"] == "'piecemeal'"


def test_chunked_request_body(gateway, user):
    body = json.dumps({"user_uuid": user, "code": "print('chunked')"}).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7]) for i in range(0, len(body), 7))
    with Connection(gateway) as c:
        c.send(c.request("POST", "/execute", headers=["Transfer-Encoding: chunked"], length=False) + chunks + b"0\r\n\r\n")
        assert c.response().json()["result_text"] == "chunked\n"
        assert c.ask("GET", "/healthz").status == 200


def test_chunked_body_that_never_ends_is_cut_off(gateway):
    with Connection(gateway) as c:
        c.send(c.request("POST", "/execute", headers=["Transfer-Encoding: chunked"], length=False))
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 64 * 2**20:
                c.send(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                sent += 0x10000
        assert sent < 64 * 2**20, "the gateway reads on for ever"
    assert harness.rss_kib(gateway.pid) < 512 * 1024 * harness.slack()


@pytest.mark.parametrize("chunk", [b"zz\r\n", b"-5\r\nhello\r\n", b"ffffffffffffffffff\r\n", b"5\r\nhelloworld\r\n"])
def test_bad_chunks(gateway, chunk):
    with Connection(gateway) as c:
        c.send(c.request("POST", "/execute", headers=["Transfer-Encoding: chunked"], length=False) + chunk)
        c.socket.shutdown(socket.SHUT_WR)
        rest = c.closed()
        assert rest == b"" or rest.split()[1] in (b"400", b"413")


def test_expect_100_continue(gateway, user):
    body = json.dumps({"user_uuid": user, "code": "1 + 2"}).encode()
    with Connection(gateway) as c:
        c.send(c.request("POST", "/execute", headers=["Expect: 100-continue", f"Content-Length: {len(body)}"], length=False))
        assert c.response().status == 100
        c.send(body)
        answer = c.response()
        assert answer.status == 200 and answer.json()["result_text"] == "3"


def test_expect_100_continue_with_a_body_too_large(gateway):
    with Connection(gateway) as c:
        c.send(c.request("POST", "/execute", headers=["Expect: 100-continue", "Content-Length: 1000000000"], length=False))
        assert c.response().status in (413, 417)


def test_body_too_large_by_its_length(gateway):
    """Answered from the length alone, before a byte of it is sent, with JSON."""
    with Connection(gateway) as c:
        c.send(c.request("POST", "/execute", headers=["Content-Length: 1000000000"], length=False))
        answer = c.response()
        assert answer.status == 413 and answer.json()["detail"]


def test_body_too_large_that_is_sent(gateway):
    """A client that sends all of it before it reads gets its 413 too, or a closed connection; nobody waits."""
    try:
        answer = gateway.client.post("/execute", content=b'{"user_uuid": "a", "code": "' + b"x" * 30_000_000 + b'"}')
    except httpx.TransportError:
        return
    check_error(answer, 413)


BIG = b'{"user_uuid": "a b", "code": "' + b"x" * 100_000 + b'"}'  # what a stranger may not send, and others may


def check_stranger_refused(c, answer):
    """401, as for a small body, and then the end: nothing of the body is taken for another request."""
    assert answer.status == 401 and answer.json()["detail"] and answer.header("www-authenticate") == "Bearer"
    assert answer.header("connection") == "close" and c.closed() == b""


@pytest.mark.parametrize("headers, body", [
    (["Content-Length: 1000000000"], b""), (["Content-Length: 100000"], BIG[:50_000]), ([f"Content-Length: {len(BIG)}"], BIG),
    (["Content-Length: 5000", "Expect: 100-continue"], b""), (["Transfer-Encoding: chunked"], b"186a0\r\n" + BIG),
    (["Transfer-Encoding: chunked"], b"400\r\n" + b"x" * 1024 + b"\r\nfff\r\n")])
@pytest.mark.parametrize("token", ["", "X-Auth-Token: wrong", "Authorization: Bearer tci_0123456789ab_" + "0" * 64])
def test_large_body_without_a_token(gateway, headers, body, token):
    with Connection(gateway, timeout=10) as c:
        inner = b"\r\n\r\n" + c.request("GET", "/healthz")
        c.send(c.request("POST", "/execute", token=False, headers=headers + [token] * bool(token), length=False) + body + inner)
        check_stranger_refused(c, c.response())


def test_token_is_looked_at_before_each_body(gateway):
    """On a connection that is kept: a small body of a stranger, large ones of a client, again and again, and a large one of a stranger."""
    with Connection(gateway, timeout=10) as c:
        for _ in range(3):
            small = c.ask("POST", "/execute", b" " * 4096, token=False)
            assert small.status == 401 and small.header("connection") != "close"
            assert c.ask("POST", "/execute", BIG).status == 400
        check_stranger_refused(c, c.ask("POST", "/execute", BIG, token=False))


def test_large_bodies_before_the_answers(gateway):
    """Requests that come faster than they are read: each is judged by its own token."""
    with Connection(gateway, timeout=20) as c:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            sent = pool.submit(c.send, c.request("POST", "/execute", BIG) * 20 + c.request("POST", "/execute", BIG, token=False))
            assert [c.response().status for _ in range(20)] == [400] * 20
            check_stranger_refused(c, c.response())
            with contextlib.suppress(OSError):
                sent.result(20)


@pytest.mark.parametrize("length", ["-1", "abc", "99999999999999999999999", "1, 2", "0x10", "", "+5"])
def test_bad_content_lengths(gateway, length):
    with Connection(gateway) as c:
        c.send(c.request("POST", "/execute", headers=[f"Content-Length: {length}"], length=False))
        c.socket.shutdown(socket.SHUT_WR)
        rest = c.closed()
        assert rest == b"" or rest.split()[1] in (b"400", b"411", b"413")


def test_two_lengths_are_not_two_requests(gateway, user):
    """A body is measured one way only: what follows is never taken for another request of this client."""
    inner = json.dumps({"user_uuid": user, "code": "open('/workspace/smuggled', 'w').close()"}).encode()
    with Connection(gateway) as c:
        smuggled = c.request("POST", "/execute", inner)
        outer = [f"Content-Length: {len(smuggled) + 5}", "Transfer-Encoding: chunked"]
        c.send(c.request("POST", "/execute", headers=outer, length=False) + b"0\r\n\r\n" + smuggled)
        with contextlib.suppress(Closed, OSError):
            first = c.response()
            assert first.status == 400
    assert gateway.text(user, "import os; os.path.exists('/workspace/smuggled')") == "False"


def test_huge_header(gateway):
    with Connection(gateway) as c:
        with contextlib.suppress(OSError):
            c.send(c.request("GET", "/healthz", headers=["X-Large: " + "x" * 2**22]))
        rest = c.closed() if not c.buffer else c.buffer
        assert rest == b"" or rest.split()[1] in (b"400", b"413", b"431")
    assert harness.rss_kib(gateway.pid) < 512 * 1024 * harness.slack()


def test_header_without_an_end(gateway):
    with Connection(gateway) as c:
        sent = 0
        with contextlib.suppress(OSError):
            c.send(b"GET /healthz HTTP/1.1\r\nX-Large: ")
            while sent < 64 * 2**20:
                c.send(b"x" * 65536)
                sent += 65536
        assert sent < 64 * 2**20, "the gateway reads on for ever"


def test_very_many_headers(gateway):
    with Connection(gateway) as c:
        with contextlib.suppress(OSError):
            c.send(c.request("GET", "/healthz", headers=[f"X-{i}: v" for i in range(100000)]))
        with contextlib.suppress(Closed, OSError):
            assert c.response().status in (400, 413, 431)


def test_long_path_and_query(gateway):
    check_error(gateway.client.get("/" + "a" * 4000), 404)
    with Connection(gateway) as c:
        with contextlib.suppress(OSError):
            c.send(c.request("GET", "/" + "a" * 2**20))
        with contextlib.suppress(Closed, OSError):
            assert c.response().status in (400, 404, 413, 414, 431)
    assert gateway.client.get("/healthz?x=1&y=%00").status_code == 200


@pytest.mark.parametrize("garbage", [
    b"\r\n\r\n", b"\x00" * 1000, b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"/ GET HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
    b"GET / HTTP/1.1\r\n: empty name\r\n\r\n", b"GET / HTTP/1.1\r\n folded\r\n\r\n", b"GET http:// HTTP/1.1\r\n\r\n",
    b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes(range(256)) * 40, b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", b"G" * 100000, b"GET / HTTP/1.1\nHost: x\n\n",
])
def test_garbage(gateway, garbage):
    """Answered with an error of the client, or the connection is closed."""
    with Connection(gateway) as c:
        with contextlib.suppress(OSError):
            c.send(garbage)
            c.socket.shutdown(socket.SHUT_WR)
        rest = c.closed()
        if rest:
            assert rest.startswith(b"HTTP/1.") and rest.split()[1][:1] in (b"2", b"4", b"5")
            assert rest.split()[1] != b"500"


def test_half_closed_connection_gets_its_answer(gateway, user):
    """Whoever has sent a request and closed its sending side may still be waiting for the answer, or count as
    gone; the session goes on either way."""
    gateway.ok(user, "kept = 1")
    with Connection(gateway) as c:
        c.send(c.request("POST", "/execute", json.dumps({"user_uuid": user, "code": "'half'"}).encode()))
        c.socket.shutdown(socket.SHUT_WR)
        rest = c.closed()
        assert rest == b"" or b"'half'" in rest
    again = gateway.ok(user, "kept")
    assert again["result_text"] == "1" and again["restarted"] is False


def test_connections_that_say_nothing(gateway, user):
    """A few hundred idle connections keep nobody else from being served."""
    with contextlib.ExitStack() as stack:
        for i in range(300):
            c = stack.enter_context(Connection(gateway))
            if i % 2:
                c.send(b"POST /execute HTTP/1.1\r\nHost: x\r\nX-Auth")
        assert gateway.text(user, "1") == "1"
    harness.eventually(lambda: gateway.metrics()["tci_http_connections"] < 300, 60, "connections are forgotten")


def test_reset_in_the_middle(gateway, user):
    for cut in (10, 60, 150):
        with Connection(gateway) as c:
            data = c.request("POST", "/execute", json.dumps({"user_uuid": user, "code": "1"}).encode() + b" " * 100)
            c.send(data[:cut])
            c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    assert gateway.text(user, "1") == "1"


def test_answer_to_a_slow_reader(gateway, user, users):
    """A client that does not read its large answer holds up neither the gateway nor its own session for others."""
    with Connection(gateway) as c:
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        c.send(c.request("POST", "/execute", json.dumps({"user_uuid": user, "code": "print('x' * 10_000_000)"}).encode()))
        harness.eventually(lambda: (gateway.session(user) or {"executions": 0})["executions"] >= 1, 60, "it has run")
        assert gateway.text(user, "1") == "1"
        other = users(gateway)
        assert gateway.text(other, "2") == "2"
        answer = c.response()
        assert answer.status == 200 and answer.json()["result_text"] == "x" * 10_000_000 + "\n"


@pytest.mark.slow
def test_slow_but_steady_reader(gateway, user):
    """A client that takes a large answer at 60 kB a second, for longer than a stalled connection is kept, gets all of it."""
    with Connection(gateway) as c:
        c.send(c.request("POST", "/execute", json.dumps({"user_uuid": user, "code": "print('x' * 10_000_000)"}).encode()))
        end = time.monotonic() + 40
        received = 0
        while time.monotonic() < end:
            data = c.socket.recv(30000)
            assert data, f"closed after {received} bytes"
            received += len(data)
            time.sleep(0.5)  # the client's pace
        while received < 10_000_000:
            data = c.socket.recv(2**20)
            assert data, f"closed after {received} bytes"
            received += len(data)


def test_many_clients_at_once(gateway):
    with concurrent.futures.ThreadPoolExecutor(50) as threads:
        codes = list(threads.map(lambda _: httpx.get(gateway.url + "/healthz", trust_env=False, timeout=60).status_code, range(400)))
    assert codes == [200] * 400


def test_security_headers_of_the_answers(gateway, user):
    """What an answer is cannot be guessed otherwise by a browser, and nobody keeps it."""
    answer = gateway.execute(user, "'<script>alert(1)</script>'")
    assert answer.headers["content-type"].split(";")[0] == "application/json"


# ---------------------------------------------------------------------------------------------- CORS, TLS, others


def preflight(gateway, origin="https://app.example"):
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST",
               "Access-Control-Request-Headers": "x-auth-token, content-type"}
    return httpx.options(gateway.url + "/execute", headers=headers, trust_env=False)


def test_no_cors_unless_set(gateway):
    answer = gateway.client.get("/status", headers={"Origin": "https://app.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-origin" not in preflight(gateway).headers


@pytest.mark.parametrize("origin", ["*", "https://app.example"])
def test_cors_by_setting(make_gateway, origin):
    gateway = make_gateway(ready=False, min_idle_workers=0, cors_origin=origin)
    answer = preflight(gateway)
    assert answer.status_code == 204 and answer.content == b""
    assert answer.headers["access-control-allow-origin"] == origin
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "x-auth-token" in answer.headers["access-control-allow-headers"].lower()
    for path, status in (("/status", 200), ("/nothing", 404)):  # errors too, or a page could not read them
        answer = gateway.client.get(path, headers={"Origin": "https://app.example"})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == origin


def test_cors_for_another_origin(make_gateway):
    gateway = make_gateway(ready=False, min_idle_workers=0, cors_origin="https://app.example")
    answer = gateway.client.get("/status", headers={"Origin": "https://evil.example"})
    assert answer.headers.get("access-control-allow-origin") != "https://evil.example"


@pytest.fixture
def certificate(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True)
    harness.give(key)  # which nobody but its owner may read
    return cert, key


def test_tls(make_gateway, certificate, users):
    cert, key = certificate
    gateway = make_gateway(start=False, min_idle_workers=1, tls_cert=cert, tls_key=key)
    gateway.verify = ssl.create_default_context(cafile=str(cert))
    gateway.start()
    assert gateway.url.startswith("https://")
    user = users(gateway)
    assert gateway.text(user, "x = 20\nprint(x + 1)") == "21\n"
    assert len(gateway.text(user, "print('y' * 3_000_000)")) == 3_000_001
    with pytest.raises(httpx.ConnectError):
        httpx.get(gateway.url + "/healthz", trust_env=False)  # not a certificate that anybody else trusts
    with Connection(gateway) as c:  # no plain HTTP on that port
        c.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not c.closed().startswith(b"HTTP/1.1 200")
    with Connection(gateway) as c:  # a handshake that goes nowhere disturbs nobody
        c.send(b"\x16\x03\x01")
        assert gateway.client.get("/healthz").status_code == 200
    with pytest.raises(ssl.SSLError):
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1
        with socket.create_connection(gateway.address, timeout=30) as s, old.wrap_socket(s):
            pass
    assert gateway.client.get("/healthz").status_code == 200


def test_tls_hang_up_while_running(make_gateway, certificate, users):
    """A TLS client that vanishes is noticed as any other: the next call does not wait for the code to end."""
    cert, key = certificate
    gateway = make_gateway(start=False, min_idle_workers=1, exec_timeout=120, tls_cert=cert, tls_key=key)
    gateway.verify = ssl.create_default_context(cafile=str(cert))
    gateway.start()
    user = users(gateway)
    gateway.ok(user, "import time\nkept = 1")
    body = json.dumps({"user_uuid": user, "code": "time.sleep(110)"})
    context = ssl.create_default_context(cafile=str(cert))
    raw = socket.create_connection(gateway.address, timeout=30)
    with context.wrap_socket(raw, server_hostname="127.0.0.1") as s:
        s.sendall(f"POST /execute HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {gateway.token}\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        harness.eventually(lambda: gateway.session(user)["state"] == "busy", 30, "it runs")
    start = time.monotonic()
    again = gateway.ok(user, "kept")
    assert again["result_text"] == "1" and again["restarted"] is False
    assert time.monotonic() - start < 60


def test_ipv6(make_gateway):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback here")
    gateway = make_gateway(ready=False, min_idle_workers=0, listen="[::1]:0")
    assert gateway.url.startswith("http://[::1]:")
    assert gateway.client.get("/healthz").status_code == 200


def test_not_ready_before_the_pool_is_warm(make_gateway, users):
    gateway = make_gateway(ready=False, min_idle_workers=3)
    statuses = set()

    def became_ready():
        answer = gateway.client.get("/readyz")
        statuses.add(answer.status_code)
        if answer.status_code == 503:
            check_error(answer, 503)
        return answer.status_code == 200

    assert gateway.client.get("/healthz").status_code == 200
    harness.eventually(became_ready, 180, "it becomes ready")
    assert statuses == {200, 503}
    assert gateway.status()["idle_workers_in_pool"] >= 3


@pytest.mark.slow
def test_stalled_senders_are_cut_off(make_gateway):
    """Connections that stop in the middle of the header, of the body, before the first byte, or between two requests
    are closed in the end."""
    gateway = make_gateway(ready=False, min_idle_workers=0)
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(Connection(gateway, timeout=200)) for _ in range(4)]
        stalled[1].send(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        stalled[2].send(stalled[2].request("POST", "/execute", headers=["Content-Length: 100000"], length=False) + b"{")
        assert stalled[3].ask("GET", "/healthz").status == 200
        for c in stalled:
            rest = c.closed()
            assert rest == b"" or rest.split()[1] in (b"400", b"408")
    eventually_few(gateway)


def eventually_few(gateway):
    harness.eventually(lambda: gateway.metrics()["tci_http_connections"] <= 3, 30, "the connections are forgotten")
