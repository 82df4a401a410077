"""test_peers.py - what one client address may hold: connections, and time to send a request or to take an answer."""
import contextlib
import json
import signal
import socket
import time

import httpx
import pytest

import harness
from rawhttp import Closed, Connection

LIMIT = 4


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(ready=False, min_idle_workers=0, max_connections_per_address=LIMIT)


def held(gateway, stack, n):
    """So many connections, each of which has been heard."""
    made = [stack.enter_context(Connection(gateway)) for _ in range(n)]
    return [c for c in made if c.ask("GET", "/healthz").status == 200]


def code_of_a_new_connection(gateway):
    with Connection(gateway) as c:
        return c.ask("GET", "/healthz").status


def test_one_connection_too_many(gateway):
    gateway.client.close()
    with contextlib.ExitStack() as stack:
        mine = held(gateway, stack, LIMIT)
        assert len(mine) == LIMIT
        with Connection(gateway) as c:
            answer = c.ask("GET", "/healthz")
            assert answer.status == 429 and "connections" in answer.json()["detail"]
            assert answer.header("Retry-After") == "1"
            assert c.closed() == b""
        assert [c.ask("GET", "/healthz").status for c in mine] == [200] * LIMIT
        mine[0].close()
        harness.eventually(lambda: code_of_a_new_connection(gateway) == 200, 30, "the place is free again")


def test_other_addresses_are_not_concerned(gateway):
    gateway.client.close()
    with contextlib.ExitStack() as stack:
        held(gateway, stack, LIMIT)
        with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2"), trust_env=False) as client:
            assert client.get(gateway.url + "/healthz").status_code == 200


def test_far_too_many_are_not_even_answered(gateway):
    gateway.client.close()
    with contextlib.ExitStack() as stack:
        codes = []
        for _ in range(3 * LIMIT):
            c = stack.enter_context(Connection(gateway))
            try:
                c.send(c.request("GET", "/healthz"))
                codes.append(c.response().status)
            except (Closed, BrokenPipeError, ConnectionResetError):
                codes.append(None)
        assert codes[:LIMIT] == [200] * LIMIT
        assert set(codes[LIMIT:]) <= {429, None}
        # Those that were answered 429 are closed: none of them counts, so a refusal is what nearly all got.
        assert codes.count(429) >= LIMIT
    harness.eventually(lambda: code_of_a_new_connection(gateway) == 200, 30, "all have been forgotten")


def test_silent_ones_beyond_twice_the_limit_are_shut(gateway):
    gateway.client.close()
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(Connection(gateway)) for _ in range(4 * LIMIT)]
        open_ones = 0
        for c in silent:
            c.socket.settimeout(1)
            try:
                assert c.socket.recv(1) == b""
            except TimeoutError:
                open_ones += 1
        assert open_ones <= 2 * LIMIT


def test_limit_by_sighup(make_gateway, tmp_path):
    path = tmp_path / "tci.conf"
    path.write_text(f"max_connections_per_address = {LIMIT}\n")
    gateway = make_gateway(ready=False, min_idle_workers=0, config=path)
    gateway.client.close()
    with contextlib.ExitStack() as stack:
        held(gateway, stack, LIMIT)
        assert code_of_a_new_connection(gateway) == 429
        path.write_text(f"max_connections_per_address = {LIMIT + 10}\n")
        gateway.process.send_signal(signal.SIGHUP)
        harness.eventually(lambda: code_of_a_new_connection(gateway) == 200, 30, "the new limit holds")


@pytest.mark.parametrize("head", [b"GET /healthz HTTP/1.1\r\nX-Slow: ",
                                  b"POST /execute HTTP/1.1\r\nHost: x\r\nX-Auth-Token: TOKEN\r\nContent-Length: 100000\r\n\r\n"])
def test_a_request_that_drips_in(make_gateway, head):
    """A byte now and then keeps a connection from being idle, but not for ever."""
    gateway = make_gateway(ready=False, min_idle_workers=0, client_timeout=1)
    with Connection(gateway) as c:
        began = time.monotonic()
        c.send(head.replace(b"TOKEN", gateway.token.encode()))
        with pytest.raises(OSError):
            while time.monotonic() < began + 60 * harness.slack():
                c.send(b"x")
                time.sleep(0.1)  # the client's pace
        assert gateway.client.get("/healthz").status_code == 200
    assert gateway.metrics()['tci_http_connections_cut_total{reason="slow"}'] == 1


def test_an_answer_that_drips_out(make_gateway, users):
    gateway = make_gateway(client_timeout=1, max_output_bytes=1 << 20)
    with Connection(gateway) as c:
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.send(c.request("POST", "/execute", json.dumps(
            {"user_uuid": users(gateway), "code": "print('x' * 1_000_000)"}).encode()))
        began, received = time.monotonic(), 0
        with contextlib.suppress(OSError):
            while data := c.socket.recv(500):
                received += len(data)
                assert time.monotonic() < began + 120 * harness.slack(), "it is never cut"
                time.sleep(0.05)  # the client's pace: 10 kB a second
        assert received < 1_000_000
    assert gateway.metrics()['tci_http_connections_cut_total{reason="slow"}'] == 1


def test_running_code_is_no_slow_client(make_gateway, users):
    gateway = make_gateway(client_timeout=1)
    assert gateway.text(users(gateway), "import time; time.sleep(3); 7") == "7"


def limit_open_files(gateway, n):
    """The limit that the gateway goes by; containers go by the hard one."""
    gateway.limit("nofile", n)
    reloaded = gateway.log().count("configuration reloaded")
    gateway.process.send_signal(signal.SIGHUP)
    harness.eventually(lambda: gateway.log().count("configuration reloaded") > reloaded, 30, "it is told so")


def test_connections_leave_descriptors_for_workers(make_gateway):
    """Under a limit on open files that the connections would take several times over: they wait, and workers start."""
    gateway = make_gateway(ready=False, min_idle_workers=0, max_total_workers=6, max_connections_per_address=0)
    limit_open_files(gateway, 160)
    assert gateway.client.get("/healthz").status_code == 200  # a connection that is there before the others
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(Connection(gateway))
        harness.eventually(lambda: gateway.descriptors() > 60, 30, "connections are accepted")
        for i in range(4):
            assert gateway.value(f"user-{i}", "print(40 + 2)") == 42
        assert gateway.descriptors() < 150
        assert "Too many open files" not in gateway.log()
    with Connection(gateway) as c:
        assert c.ask("GET", "/healthz").status == 200


def test_no_descriptor_is_left_for_a_connection(make_gateway):
    """They are gone from one moment to the next, so that no connection was made to wait before."""
    gateway = make_gateway(ready=False, min_idle_workers=0)
    gateway.limit("nofile", 4)
    with Connection(gateway) as c:
        harness.eventually(lambda: "cannot accept a connection: Too many open files" in gateway.log(), 30, "it is told")
        gateway.limit("nofile", 1024)
        assert c.ask("GET", "/healthz").status == 200


def test_a_limit_on_open_files_that_is_too_low(make_gateway):
    gateway = make_gateway(ready=False, min_idle_workers=0, max_total_workers=1000)
    limit_open_files(gateway, 160)
    assert "160 open files are too few for 1000 workers" in gateway.log()
    assert gateway.value("user", "print(40 + 2)") == 42
