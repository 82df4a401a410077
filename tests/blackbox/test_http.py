"""test_http.py - the HTTP side: every documented error, what HTTP/1.1 asks for, and clients that misbehave.

Every test uses the `gateway` fixture, which checks afterwards that the gateway is alive and answers.
"""
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
from rawhttp import Connection

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
        httpx.get(gateway.url + "/healthz", trust_env=False, timeout=60)  # not a certificate that anybody else trusts
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
