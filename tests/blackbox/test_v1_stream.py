"""test_v1_stream.py - executions of /v1 as events: in order, resumed, followed by several, and never more than a bound in memory."""
import contextlib
import glob
import json
import os
import socket
import ssl
import subprocess
import threading
import time

import pytest

import harness
import rawhttp
from executions import Events, Session
from harness import eventually

MIB = 1 << 20


@pytest.fixture
def session(gateway):
    one = Session(gateway)
    yield one
    one.close()


def text_of(events, name="stdout"):
    return "".join(data["text"] for _, event, data in events if event == name)


def names_of(events):
    return [name for _, name, _ in events]


def test_events_from_start_to_end(session):
    with session.stream("print('a')\n1/0") as stream:
        events = list(stream)
    assert [i for i, _, _ in events] == list(range(1, len(events) + 1))
    assert names_of(events) == ["status", "start", "stdout", "error", "end"]
    assert events[0][2] == {"state": "queued"}
    assert events[3][2]["ename"] == "ZeroDivisionError"
    end = events[-1][2]
    assert end["status"] == "error" and end["error"]["ename"] == "ZeroDivisionError" and end["truncated"] is False
    assert session.location == f"{session.path}/executions/{end['id']}"
    kept = session.get(end["id"])
    assert kept["stdout"] == "a\n" and kept["error"]["ename"] == "ZeroDivisionError"


def test_accept_asks_for_events(session):
    with session.client.stream("POST", f"{session.path}/executions", json={"code": "1"},
                               headers={"Accept": "text/event-stream"}) as response:
        assert response.headers["content-type"] == "text/event-stream" and response.headers["cache-control"] == "no-store"
        assert names_of(Events(response)) == ["status", "start", "result", "end"]


def test_kinds_of_events(session):
    with session.stream("""
import sys
from IPython.display import display, clear_output
print('e', file=sys.stderr)
h = display({'text/plain': '1'}, raw=True, display_id='d')
h.update({'text/plain': '2'}, raw=True)
clear_output(wait=True)
[1]""", tests=[{"name": "t", "condition": "True"}]) as stream:
        events = list(stream)
    assert names_of(events) == ["status", "start", "stderr", "display", "update_display", "clear_output", "result", "test",
                                "end"]
    found = {name: data for _, name, data in events}
    assert found["display"]["display_id"] == found["update_display"]["display_id"] == "d"
    assert found["clear_output"] == {"wait": True} and found["result"]["value"] == [1]
    assert found["test"]["passed"] and found["end"]["score"] == 1


def test_events_come_as_they_happen(session):
    with session.stream("import time\nprint('first', flush=True)\ntime.sleep(4)\nprint('second')") as stream:
        seen = {}
        for _, name, data in stream:
            if name == "stdout":
                seen[data["text"]] = time.monotonic()
    assert seen["second\n"] - seen["first\n"] > 1


def test_ten_thousand_prints_in_order(session):
    with session.stream("for i in range(10000): print(i)") as stream:
        events = list(stream)
    assert text_of(events) == "".join(f"{i}\n" for i in range(10000))
    assert events[-1][1] == "end"


def test_input(session):
    with session.stream("x = input('who? ')\nprint('hello', x)", stdin=True) as stream:
        events = []
        for event in stream:
            events.append(event)
            if event[1] == "stdin":
                assert event[2] == {"prompt": "who? ", "password": False}
                execution = events[1][2]["id"]
                with session.gateway.new_client() as other:
                    assert other.post(f"{session.path}/executions/{execution}/stdin",
                                      json={"text": "you"}).json()["state"] == "running"
    assert text_of(events) == "hello you\n"
    assert names_of(events) == ["status", "start", "stdin", "status", "stdout", "end"]


def test_timeout_and_death_are_events(session):
    with session.stream("import time\ntime.sleep(60)", timeout=0.3) as stream:
        events = list(stream)
    assert names_of(events)[-2:] == ["error", "end"] and events[-1][2]["status"] == "timeout"
    with session.stream("import os\nos._exit(1)") as stream:
        assert list(stream)[-1][2]["status"] == "died"


def test_hanging_up_cancels(session):
    with session.stream("import time\nprint('x', flush=True)\ntime.sleep(60)") as stream:
        for _, name, data in stream:
            if name == "start":
                execution = data["id"]
            if name == "stdout":
                break
    eventually(lambda: session.get(execution)["status"] == "cancelled")
    assert session.ok("'alive'")["restarted"] is False


def test_resuming_loses_and_doubles_nothing(gateway, session):
    """A background stream whose connection is dropped again and again."""
    code = "import time\nfor i in range(800):\n    print(i, flush=True)\n    if i % 20 == 0: time.sleep(0.01)"
    seen, ids, execution = "", [], None
    with session.stream(code, background=True) as stream:
        for i, name, data in stream:
            ids.append(i)
            if name == "start":
                execution = data["id"]
            if name == "stdout":
                seen += data["text"]
                if len(seen) > 500:
                    break
    ended = False
    while not ended:
        step = len(seen) + 600
        with gateway.new_client() as client:
            with client.stream("GET", f"{session.path}/executions/{execution}",
                               headers={"Accept": "text/event-stream", "Last-Event-ID": str(ids[-1])}) as response:
                assert response.status_code == 200
                for i, name, data in Events(response):
                    ids.append(i)
                    seen += data["text"] if name == "stdout" else ""
                    ended = name == "end"
                    if len(seen) > step:
                        break
    assert ids == list(range(1, len(ids) + 1))
    assert seen == "".join(f"{i}\n" for i in range(800))


def test_followed_by_several(gateway, session):
    execution = session.begin("import time\nfor i in range(20):\n    print(i, flush=True)\n    time.sleep(0.02)")
    found = {}

    def follow(n):
        with gateway.new_client() as client:
            with client.stream("GET", f"{session.path}/executions/{execution}",
                               headers={"Accept": "text/event-stream"}) as response:
                found[n] = list(Events(response))

    threads = [threading.Thread(target=follow, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == found[2] == found[3]
    assert text_of(found[0]) == "".join(f"{i}\n" for i in range(20))


def test_events_that_are_not_there(session):
    sync = session.ok("1")["id"]
    execution = session.begin("print(1)")
    eventually(lambda: session.get(execution)["state"] == "done")
    for path, after, status in ((sync, "0", 409), (execution, "999", 400), (execution, "x", 400)):
        answer = session.client.get(f"{session.path}/executions/{path}",
                                    headers={"Accept": "text/event-stream", "Last-Event-ID": after})
        assert answer.status_code == status, answer.text
    with session.follow(execution) as stream:
        assert names_of(stream)[-1] == "end"
    with session.follow(execution, after=3) as stream:
        assert names_of(stream) == ["end"]


def test_events_that_were_dropped(session):
    """Nobody follows: the newest MiB of events is kept, and what came before is said to be gone."""
    execution = session.begin("for i in range(150):\n    print('x' * 20000, flush=True)", stream=False)
    eventually(lambda: session.get(execution)["state"] == "done")
    answer = session.client.get(f"{session.path}/executions/{execution}", headers={"Accept": "text/event-stream"})
    assert answer.status_code == 409 and answer.json()["error"]["code"] == "conflict"
    assert len(session.get(execution)["stdout"]) == 150 * 20001  # in the answer it is whole


def test_http_1_0(gateway, session):
    with rawhttp.Connection(gateway) as connection:
        body = json.dumps({"code": "print('old')", "stream": True}).encode()
        connection.send((f"POST {session.path}/executions HTTP/1.0\r\nX-Auth-Token: {connection.token}\r\n"
                         f"Connection: keep-alive\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body)
        answer = connection.response()
    assert "transfer-encoding" not in answer.headers and "content-length" not in answer.headers
    assert answer.body.startswith(b"id: 1\nevent: status\n") and b"event: end\n" in answer.body


def test_head(gateway, session):
    execution = session.begin("import time\ntime.sleep(60)")
    with rawhttp.Connection(gateway, timeout=20) as connection:
        for _ in range(2):
            answer = connection.ask("HEAD", f"{session.path}/executions/{execution}", headers=["Accept: text/event-stream"])
            assert answer.status == 200 and answer.header("content-type") == "text/event-stream"
        assert connection.ask("GET", "/healthz").status == 200


def test_the_connection_stays(gateway, session):
    with rawhttp.Connection(gateway) as connection:
        for i in range(3):
            answer = connection.post(f"{session.path}/executions", {"code": f"print({i})", "stream": True})
            assert answer.status == 200 and b"event: end\n" in answer.body
        assert connection.ask("GET", "/healthz").status == 200


@pytest.fixture(scope="module")
def encrypted(make_module_gateway, tmp_path_factory):
    """A gateway that speaks HTTPS."""
    directory = tmp_path_factory.mktemp("tls")
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out",
                    str(cert)], check=True, capture_output=True)
    harness.give(directory)
    gateway = make_module_gateway(start=False, tls_cert=str(cert), tls_key=str(key))
    gateway.verify = str(cert)
    return gateway.start()


def test_over_tls(encrypted):
    session = Session(encrypted)
    with session.stream("print('x' * 300000)") as stream:
        assert len(text_of(stream)) == 300001


@contextlib.contextmanager
def stream_over_tls(gateway, session, code):
    """A connection on which that code's events come."""
    context = ssl.create_default_context(cafile=gateway.verify)
    body = json.dumps({"code": code, "stream": True}).encode()
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        plain.settimeout(60)
        plain.connect(gateway.address)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as s:
            s.sendall(f"POST {session.path}/executions HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {gateway.token}\r\n"
                      f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            yield s


def test_over_tls_to_who_goes(encrypted):
    """In the midst of it, with a reset: what is written next finds out."""
    session = Session(encrypted)
    for i in range(20):
        with stream_over_tls(encrypted, session, "while True: print('x' * 10_000)") as s:
            got = 0
            while got < i * 20_000 + 1:
                got += len(s.recv(65536))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert session.ok("1")["result"]["value"] == 1


def test_streamed_output_has_a_bound_of_its_own(make_gateway):
    gateway = make_gateway(max_output_bytes=100_000, max_stream_bytes=1_000_000)
    session = Session(gateway)
    with session.stream("for i in range(100): print('y' * 9999)\nprint('last')") as stream:
        events = list(stream)
    text = text_of(events)
    assert 700_000 < len(text) < 1_010_000 and text.endswith("last\n") and events[-1][2]["truncated"] is True
    with session.stream("for i in range(60): print('y' * 9999)") as stream:
        events = list(stream)
    assert len(text_of(events)) == 600_000 and events[-1][2]["truncated"] is True  # of the answer, not of the events


def test_a_message_that_is_too_large(make_gateway):
    gateway = make_gateway(max_output_bytes=100_000, max_stream_bytes=10_000_000)
    session = Session(gateway)
    with session.stream("from IPython.display import display\nprint('before', flush=True)\n"
                        "display({'text/plain': 'x' * 3_000_000}, raw=True)\nprint('after')") as stream:
        events = list(stream)
    assert "display" not in names_of(events) and text_of(events) == "before\nafter\n"
    assert events[-1][2]["truncated"] is True and session.ok("1")["restarted"] is False


class SlowReader:
    """Reads a streamed execution at some rate, over a socket with small buffers."""

    def __init__(self, gateway, session, code, timeout):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
        self.socket.settimeout(60)
        self.socket.connect(gateway.address)
        body = json.dumps({"code": code, "stream": True, "timeout": timeout}).encode()
        self.socket.sendall((f"POST {session.path}/executions HTTP/1.0\r\nX-Auth-Token: {gateway.token}\r\n"
                             f"Content-Length: {len(body)}\r\n\r\n").encode() + body)

    def read(self, rate=None):
        """Everything, at so many bytes a second."""
        parts, begun, n = [], time.monotonic(), 0
        while True:
            data = self.socket.recv(65536)
            if not data:
                return b"".join(parts)
            parts.append(data)
            n += len(data)
            if rate:
                time.sleep(max(0, n / rate - (time.monotonic() - begun)))


def stdout_of(answer):
    return "".join(json.loads(block.split(b"\ndata: ", 1)[1])["text"] for block in answer.split(b"\r\n\r\n", 1)[1].split(b"\n\n")
                   if b"event: stdout\n" in block)


def _slow(gateway, session, megabytes, rate, bound):
    line = "z" * 999
    reader = SlowReader(gateway, session, f"for i in range({megabytes * 1000}): print('{line}')", gateway.settings["exec_timeout"])
    before, peak, done = harness.rss_kib(gateway.pid), 0, threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, harness.rss_kib(gateway.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        answer = reader.read(rate)
    finally:
        done.set()
        watcher.join()
    text = stdout_of(answer)
    assert len(text) == megabytes * 1_000_000 and set(text.split("\n")) == {line, ""}
    if not harness.sanitized():
        assert (peak - before) / 1024 < bound, f"{(peak - before) / 1024:.1f} MiB more"


def test_a_slow_reader_costs_no_memory(make_gateway):
    gateway = make_gateway(exec_timeout=int(60 * harness.slack()))
    session = Session(gateway)
    session.ok("1")
    _slow(gateway, session, 20, 4_000_000, 8)
    other = Session(gateway)
    assert other.ok("2")["result"]["value"] == 2


@pytest.mark.slow
@pytest.mark.skipif("TCI_TEST_SLOW" not in os.environ, reason="several minutes: set TCI_TEST_SLOW")
def test_two_hundred_megabytes_to_a_slow_reader(make_gateway):
    gateway = make_gateway(exec_timeout=600)
    session = Session(gateway)
    session.ok("1")
    _slow(gateway, session, 200, 1_000_000, 8)


def test_a_reader_who_stops(make_gateway):
    """The code waits for him, and its time runs out; others are not held up."""
    gateway = make_gateway(exec_timeout=30)
    session, other = Session(gateway), Session(gateway)
    reader = SlowReader(gateway, session, "while True: print('w' * 1000)", 3)
    eventually(lambda: [e["state"] for e in session.client.get(f"{session.path}/executions").json()["executions"]] == ["done"], 30)
    assert other.ok("1")["duration_ms"] < 5000 * harness.slack()
    answer = reader.read()
    assert b"event: end\n" in answer and b'"status":"timeout"' in answer
    assert session.ok("1")["restarted"] is True


def wait_until_running(session):
    eventually(lambda: session.client.get(f"{session.path}/executions").json()["executions"][0]["state"] == "running")


def wait_until_stalled(pid):
    """Until a process that wrote without end has got no further for a second (times the slack, up to four), and would not run."""
    last, since = None, time.monotonic()

    def stands():
        nonlocal last, since
        written = harness.read_text(f"/proc/{pid}/io")
        runs = any(") R " in harness.read_text(path, "") for path in glob.glob(f"/proc/{pid}/task/*/stat"))
        if written != last or runs:
            last, since = written, time.monotonic()
        return time.monotonic() > since + min(harness.slack(), 4)

    eventually(stands, 60, "the writer stands still")


@pytest.mark.crun_only("what is PID 1 there is all of the sandbox")
@pytest.mark.parametrize("code", ["for i in range(400_000): print('z' * 999)",
                                  "import os\nfor i in range(100_000): os.write(1, b'z' * 4095 + b'\\n')"],
                         ids=["print", "descriptor"])
def test_nothing_is_piled_up_for_a_reader_who_stops(make_gateway, code):
    """Hundreds of megabytes that he does not take: neither the gateway nor the container's init takes them for him."""
    gateway = make_gateway(exec_timeout=120)
    session = Session(gateway)
    mark = "/workspace/mark"
    container_pid = session.ok(f"import os\nopen({mark!r}, 'w').close()\nos.getpid()")["result"]["value"]
    container = gateway.container_with(mark)
    reader = SlowReader(gateway, session, code, 120)
    wait_until_running(session)
    wait_until_stalled(container.find(container_pid))
    sizes = [harness.rss_kib(pid) / 1024 for pid in (container.init, gateway.pid)]
    reader.socket.close()
    assert session.ok("2")["result"]["value"] == 2  # his going away ended it
    if not harness.sanitized():
        assert max(sizes) < 40, sizes


@pytest.mark.crun_only("what is PID 1 there is all of the sandbox")
@pytest.mark.parametrize("code", ["while True: print('w' * 1000)",
                                  "try:\n    while True: print('w' * 1000)\nexcept KeyboardInterrupt:\n"
                                  "    for i in range(10_000): print('y' * 1000)\n    raise"], ids=["heeded", "talkative"])
def test_interrupt_of_what_waits_for_a_reader(make_gateway, code):
    """It ends in time, though he reads nothing; what it says on its way out is cut, and not piled up for him."""
    gateway = make_gateway(exec_timeout=120)
    session = Session(gateway)
    mark = "/workspace/mark"
    container_pid = session.ok(f"import os\nopen({mark!r}, 'w').close()\nos.getpid()")["result"]["value"]
    reader = SlowReader(gateway, session, code, 120)
    wait_until_running(session)
    wait_until_stalled(gateway.container_with(mark).find(container_pid))
    before = harness.rss_kib(gateway.pid)
    execution = session.client.get(f"{session.path}/executions").json()["executions"][0]["id"]
    session.do(execution, "interrupt", 202, grace=5 * harness.slack())
    answer = eventually(lambda: (a := session.get(execution))["state"] == "done" and a, 30 + 5 * harness.slack())
    grown = (harness.rss_kib(gateway.pid) - before) / 1024
    assert answer["error"]["ename"] == "KeyboardInterrupt" and answer["truncated"] is True
    assert session.ok("1")["restarted"] is False
    if not harness.sanitized():
        assert grown < 8, f"{grown:.1f} MiB more"
    answer = reader.read()
    assert b'"truncated":true' in answer.split(b"event: end\n")[0] and b'"KeyboardInterrupt"' in answer.split(b"event: end\n")[1]


def test_last_words_to_a_slow_reader(make_gateway):
    """What was written before the kernel's end, and how it ended, reach him however long he takes."""
    gateway = make_gateway(exec_timeout=int(60 * harness.slack()))
    session = Session(gateway)
    session.ok("1")
    reader = SlowReader(gateway, session, "import os\nfor i in range(5000): os.write(1, b'z' * 999 + b'\\n')\nos._exit(6)", 60)
    answer = reader.read(1_000_000)
    assert len(stdout_of(answer)) == 5_000_000
    assert b'"status":"died"' in answer and b"exited with status 6" in answer


def test_drain_ends_streams(make_gateway):
    gateway = make_gateway(exec_timeout=30)
    session = Session(gateway)
    with session.stream("import time\nprint('x', flush=True)\ntime.sleep(1)\nprint('y')") as stream:
        for _, name, _ in stream:
            if name == "stdout":
                break
        gateway.process.terminate()
        rest = list(stream)
    assert rest[-1][1] == "end" and rest[-1][2]["status"] == "ok"
    assert gateway.wait_end() == 0
