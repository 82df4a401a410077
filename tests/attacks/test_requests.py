"""test_requests.py - attacks on the HTTP side, by clients without a token unless it says otherwise."""
import contextlib
import json
import socket
import time

import httpx
import pytest

import harness
from arena import attack
from harness import eventually
from rawhttp import Connection


def answers(connection, data):
    """Sends, and everything that comes back until the other side closes or says nothing for a second."""
    out = b""
    with contextlib.suppress(OSError):
        connection.send(data)
    connection.socket.settimeout(1)
    with contextlib.suppress(OSError):
        while block := connection.socket.recv(65536):
            out += block
    return out


@attack("http", "has a request hidden in another one's body run, past a proxy in front", runsc=True)
def test_request_smuggling(arena):
    """Each outer request can be read in two ways, of which one shows an inner request with a side effect."""
    arena.gateway.ok(arena.user, "smuggled = False")
    code = {"user_uuid": arena.user, "code": "smuggled = True"}
    chunk = b"0\r\n\r\n"
    for headers, body in (
            (["Content-Length: {all}", "Transfer-Encoding: chunked"], chunk), (["Transfer-Encoding: chunked", "Content-Length: {all}"], chunk),
            (["Content-Length: {all}", "Content-Length: 2"], b"{}"), (["Content-Length: 2", "Content-Length: {all}"], b"{}"),
            (["Content-Length: 2, {all}"], b"{}"), (["Content-Length:\r\n 2"], b"{}"), (["X: y\r\n Content-Length: {all}", "Content-Length: 2"], b"{}"),
            (["Transfer-Encoding : chunked", "Content-Length: 5"], chunk), (["Transfer-Encoding:\r\n chunked", "Content-Length: 5"], chunk),
            (["Transfer-Encoding: xchunked", "Content-Length: 5"], chunk), (["Transfer-Encoding: identity, chunked", "Content-Length: {all}"], chunk),
            (["Content-Length: +2"], b"{}"), (["Content-Length: 0x2"], b"{}"), (["Content-Length : {all}", "Content-Length: 2"], b"{}"),
            (["X: y\rContent-Length: {all}", "Content-Length: 2"], b"{}"), (["Content-Length: -1"], b"")):
        with Connection(arena.gateway) as c:
            inner = c.request("POST", "/execute", json.dumps(code).encode())
            lines = [h.format(all=len(body) + len(inner)) for h in headers]
            outer = c.request("POST", "/release", headers=lines, length=False) + body
            got = answers(c, outer + inner)
        simple = headers == ["X: y\r\n Content-Length: {all}", "Content-Length: 2"]  # one length only: the folded line belongs to X
        if simple:
            arena.gateway.ok(arena.user, "smuggled = False")
            continue
        assert got.count(b"HTTP/1.1 ") <= 1, (headers, got[:500])
        assert not got or got.split()[1] in (b"400", b"411", b"413", b"501"), (headers, got[:200])
        assert arena.gateway.text(arena.user, "print(smuggled)") == "False\n", headers


@attack("http", "holds connections by a byte now and then, until nobody else gets one", runsc=True)
def test_slowloris(arena):
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Connection(arena.gateway, timeout=5)) for _ in range(200)]
        head = b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
        end, i = time.monotonic() + 5, 0
        while time.monotonic() < end:
            for c in slow:
                with contextlib.suppress(OSError):
                    c.send(head[i:i + 1] or b"{")
            i += 1
            assert arena.ask_bystander() < 2.5 * harness.slack()
    eventually(lambda: arena.gateway.metrics()["tci_http_connections"] < 50, 60, "they are forgotten")


@attack("http", "has the gateway keep 10^5 headers", runsc=True)
def test_very_many_headers(arena):
    before = harness.rss_kib(arena.gateway.pid)
    for line in ("X-{}: v\r\n", "X: {}\r\n", "Content-Type: {}\r\n", " folded {}\r\n"):
        with Connection(arena.gateway, timeout=10) as c:
            got = answers(c, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + "".join(line.format(i) for i in range(100_000)).encode() + b"\r\n")
            assert not got or got.split()[1] in (b"400", b"413", b"431"), got[:200]
    assert harness.rss_kib(arena.gateway.pid) - before < 16 << 10


@attack("http", "has the gateway take a body without a bound", runsc=True)
def test_huge_chunks(arena):
    before = harness.rss_kib(arena.gateway.pid)
    for size in (b"7fffffffffffffff", b"ffffffffffffffff", b"10000000000000000", b"40000000", b"-1", b"1" * 5000, b"5;" + b"x" * 100_000):
        with Connection(arena.gateway, timeout=20) as c:
            sent = 0
            with contextlib.suppress(OSError):
                c.send(c.request("POST", "/execute", headers=["Transfer-Encoding: chunked"], length=False) + size + b"\r\n")
                while sent < 64 << 20:
                    c.send(b" " * 65536)
                    sent += 65536
            assert sent < 64 << 20, size
        assert harness.rss_kib(arena.gateway.pid) - before < 32 << 10
        assert arena.ask_bystander() < 2.5 * harness.slack()


@attack("http", "has the gateway keep a chunk's length that has no end, or look for the end for ever", runsc=True)
def test_chunk_length_without_end(arena):
    """With a token and without one.  The gateway ends the connection, though TCP may tell the client later."""
    before, descriptors = harness.rss_kib(arena.gateway.pid), arena.gateway.descriptors()
    with contextlib.ExitStack() as stack:
        for token in (True, False):
            for byte in (b"1", b" ", b"0"):
                c = stack.enter_context(Connection(arena.gateway, timeout=1))
                with contextlib.suppress(OSError):
                    c.send(c.request("POST", "/execute", token=token, headers=["Transfer-Encoding: chunked"], length=False))
                    c.send(byte * (64 << 20))
                    pytest.fail("all of it was taken")
                assert harness.rss_kib(arena.gateway.pid) - before < 32 << 10
                assert arena.ask_bystander() < 2.5 * harness.slack()
        eventually(lambda: arena.gateway.descriptors() < descriptors + 3, 20, "the connections are closed")


@attack("http", "has the gateway pile up answers to requests that come faster than they are read", runsc=True)
def test_pipelining(arena):
    before = harness.rss_kib(arena.gateway.pid)
    with Connection(arena.gateway, timeout=2) as c:
        one = c.request("GET", "/", token=False) + c.request("POST", "/execute", b'{"user_uuid":"a b","code":"1"}')
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 20_000:
                c.send(one * 100)
                sent += 100
        assert arena.ask_bystander() < 2.5 * harness.slack()
        assert harness.rss_kib(arena.gateway.pid) - before < 32 << 10


@attack("http", "makes the gateway's memory or time out of 100 MB of nested JSON, with a token", runsc=True)
def test_nested_json(arena):
    before = harness.rss_kib(arena.gateway.pid)
    for body in (b"[" * 100_000_000, b'{"a":' * 1_200_000, b'{"user_uuid":"x","code":"1","x":[' + b"{}," * 2_000_000 + b"{}]}",
                 b'{"user_uuid":"x","code":' + b"[" * 6_000_000, b'{"user_uuid":"x","code":[' + b"0," * 3_000_000 + b"0]}",
                 b"{" + b",".join(b'"%d":0' % i for i in range(500_000)) + b"}"):
        begin = time.monotonic()
        with contextlib.suppress(httpx.TransportError):
            answer = arena.gateway.client.post("/execute", content=body)
            assert answer.status_code in (400, 413)
            assert answer.json()["detail"]
        assert time.monotonic() - begin < 5 * harness.slack()
        assert harness.rss_kib(arena.gateway.pid) - before < 48 << 10, body[:30]
        assert arena.ask_bystander() < 2.5 * harness.slack()


@attack("http", "makes the gateway's memory out of 6 MB of nested JSON about files, with a token", runsc=True)
def test_nested_json_about_files(arena):
    """Of the body as it is parsed: what was taken for it is given back at once."""
    arena.gateway.ok(arena.user, "1")
    many = b"[" + b"{}," * 1_900_000 + b"{}]"
    before = harness.peak_kib(arena.gateway.pid)
    for verb, body in (("", b'{"path":"a","content":' + many + b"}"), (":mkdir", b'{"path":"a","parents":' + many + b"}"),
                       (":move", b'{"from":"a","to":' + many + b"}"), ("", many), (":mkdir", many)):
        answer = arena.gateway.client.post(f"/v1/sessions/{arena.user}/files{verb}", content=body, headers={"Content-Type": "application/json"})
        assert harness.peak_kib(arena.gateway.pid) - before < (64 << 10) * harness.slack(), (verb, body[:30])
        assert answer.status_code == 400 and "too many values" in answer.json()["error"]["message"], answer.text
        assert arena.ask_bystander() < 2.5 * harness.slack()


@attack("http", "has bytes that are no UTF-8 reach a session, a log or an answer", runsc=True)
def test_invalid_utf8(arena):
    for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\\ud800", b"\\udfff\\ud800"):
        for body in (b'{"user_uuid":"x","code":"' + bad + b'"}', b'{"user_uuid":"' + bad + b'","code":"1"}', b'{"' + bad + b'":"1"}'):
            answer = arena.gateway.client.post("/execute", content=body)
            assert answer.status_code == 400
            answer.content.decode("utf-8", "strict")
        with Connection(arena.gateway) as c:
            got = answers(c, b"GET /" + bad + b" HTTP/1.1\r\nHost: " + bad + b"\r\nX-Auth-Token: " + bad + b"\r\nConnection: close\r\n\r\n")
            assert not got or got.split()[1] in (b"400", b"401", b"404")
    assert arena.gateway.session("x") is None


@attack("http", "reads a file of the host by a path with dots", runsc=True)
def test_path_traversal(arena):
    secret = harness.read_text("/etc/passwd").splitlines()[0].encode()
    token = arena.gateway.token.encode()
    for path in ("/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/./../auth_token", "/..\\..\\etc\\passwd",
                 "/test.html/../../../etc/passwd", "/%252e%252e/etc/passwd", "/web/../gateway/main.c", "/etc/passwd%00.html", "/.%00./etc/passwd",
                 "/..;/etc/passwd", "/auth_token", "/tci.db", "/%c0%ae%c0%ae/etc/passwd", "/?file=../../etc/passwd", "/?/../../etc/passwd",
                 "file:///etc/passwd", "http://127.0.0.1/../etc/passwd", "/proc/self/environ", "*"):
        for method in ("GET", "HEAD", "POST", "PUT"):
            with Connection(arena.gateway) as c:
                got = answers(c, c.request(method, path, headers=["Connection: close"]))
            assert secret not in got and token not in got, path
            if "?" not in path:
                assert not got or got.split()[1] in (b"400", b"404", b"405", b"501"), (path, got[:200])


@attack("http", "adds a header or an answer of its own to somebody's answer", runsc=True)
def test_header_injection(arena):
    evil = "x\r\nX-Injected: yes\r\n\r\nHTTP/1.1 200 OK\r\n\r\ninjected"
    for user in (evil, "x\nX-Injected: yes", "x\rX-Injected: yes", "x\u010a\u010dX-Injected: yes", "x\x00X-Injected: yes"):
        for path, body in (("/execute", {"user_uuid": user, "code": "1"}), ("/release", {"user_uuid": user}), ("/execute", {"user_uuid": "x", "code": "1", user: 1})):
            answer = arena.gateway.client.post(path, json=body)
            assert answer.status_code == 400 and "x-injected" not in answer.headers
            json.loads(answer.text)
    for line in (f"GET /%0d%0aX-Injected:%20yes HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: x\r\nOrigin: https://a\r X-Injected: yes\r\n",
                 "GET /healthz HTTP/1.1\r\nHost: x\r\nOrigin: a%0d%0aX-Injected: yes\r\n", "GET / HTTP/1.1 X-Injected: yes\r\nHost: x\r\n"):
        with Connection(arena.gateway) as c:
            got = answers(c, (line + "Connection: close\r\n\r\n").encode())
        assert b"X-Injected" not in got.split(b"\r\n\r\n")[0]
    assert "x-injected" not in {h.lower() for h in arena.gateway.execute(arena.user, f"print({evil!r})").headers}


@attack("http", "has the gateway hold answers that are not fetched, one for each of many connections", runsc=True)
def test_slow_readers(arena):
    before = harness.rss_kib(arena.gateway.pid)
    arena.gateway.ok(arena.user, "print('x' * 900_000)")
    body = json.dumps({"user_uuid": arena.user, "code": "print('x' * 900_000)"}).encode()
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            c = stack.enter_context(Connection(arena.gateway, timeout=30))
            c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.send(c.request("POST", "/execute", body))
            assert arena.ask_bystander() < 2.5 * harness.slack()
        eventually(lambda: (arena.gateway.session(arena.user) or {"state": "idle"})["state"] == "idle", 60)
        assert harness.rss_kib(arena.gateway.pid) - before < 64 << 10
    assert arena.gateway.text(arena.user, "print(1)", timeout=10) == "1\n"


@attack("http", "has the gateway hold bodies of clients without a token, until its memory is gone", runsc=True)
def test_bodies_without_a_token(arena, make_gateway):
    gateway = make_gateway(ready=False, min_idle_workers=0)  # its own: what this takes, it does not give back
    before = harness.rss_kib(gateway.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            c = stack.enter_context(Connection(gateway, timeout=5))
            with contextlib.suppress(OSError):
                c.send(c.request("POST", "/execute", token=False, headers=["Content-Length: 6200000"], length=False) + b" " * 6_000_000)
        assert gateway.client.get("/healthz").status_code == 200
        assert harness.rss_kib(gateway.pid) - before < 16 << 10
    assert arena.ask_bystander() < 2.5 * harness.slack()


@attack("http", "finds the token by trying", runsc=True)
def test_guessing_the_token(arena):
    token = arena.gateway.token
    guesses = ["", " ", token[:-1], token[1:], token + " x", token + "\t.", token.upper() + "x", "Bearer " + token, token[: len(token) // 2], "null", "undefined",
               token + "," + token, token.replace(token[0], "\u00e9", 1).encode().decode("latin-1"), "0" * len(token), token * 100, "' or '1'='1"]
    failures = arena.gateway.metrics()["tci_auth_failures_total"]
    for guess in guesses:
        with Connection(arena.gateway) as c:
            for path, header in (("/status", "X-Auth-Token:"), ("/metrics", "Authorization: Bearer"), ("/status", "Cookie:"), ("/status?token=" + token, "X-Token:")):
                got = c.ask("GET", path, token=False, headers=[f"{header} {guess}"])
                assert got.status in (400, 401), (guess, header)
                if got.header("connection") == "close":
                    break
    assert arena.gateway.metrics()["tci_auth_failures_total"] > failures
