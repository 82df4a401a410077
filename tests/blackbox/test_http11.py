"""test_http11.py - what HTTP/1.1 asks for, and clients that misbehave.

Every test uses the `gateway` fixture, which checks afterwards that the gateway is alive and answers.
"""
import concurrent.futures
import contextlib
import json
import socket
import time

import httpx
import pytest

import harness
from rawhttp import Closed, Connection
from test_http import check_error


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
    other = users(gateway)
    gateway.ok(other, "1")  # nobody waits for its worker later
    with Connection(gateway) as c:
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        c.send(c.request("POST", "/execute", json.dumps({"user_uuid": user, "code": "print('x' * 10_000_000)"}).encode()))
        harness.eventually(lambda: (gateway.session(user) or {"executions": 0})["executions"] >= 1, 60, "it has run")
        assert gateway.text(user, "1") == "1"
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
