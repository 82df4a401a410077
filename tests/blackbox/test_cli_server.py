"""test_cli_server.py - tci at a server that answers as none should, or late, or over a connection that breaks."""
import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import threading

import pytest

import harness
from harness import eventually, patience
from scripted import Scripted

EXECUTIONS = "/v1/sessions/s/executions"


@pytest.fixture
def server():
    made = []

    def make(answer, **how):
        made.append(Scripted(answer, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


def tci(server, *args, text=None, **process):
    env = {**harness.clean_environment(), "TCI_URL": server.url, "TCI_AUTH_TOKEN": "t"}
    return subprocess.run([os.path.join(harness.build_dir(), "cli", "tci"), *args], env=env, input=text, capture_output=True, text=True,
                          timeout=patience(), **process)


@pytest.mark.parametrize("answer", [(504, {"detail": "The server took too long"}), (502, {"detail": "It is gone"})])
def test_half_a_block_is_not_run(server, answer):
    """Nobody has said that the block is whole: what answered was a proxy."""
    one = server(lambda request, n: request.reply(*answer))
    ran = tci(one, "repl", text="for i in range(3):\n")
    assert ran.returncode != 0 and answer[1]["detail"] in ran.stderr
    assert f"POST {EXECUTIONS}" not in one.seen


def test_a_question_before_the_start(server):
    """Its answer waits for the id, and nothing turns in circles meanwhile."""
    answered = threading.Event()

    def answer(request, n):
        if request.path.endswith("/stdin"):
            assert json.loads(request.text) == {"text": "line"}
            request.reply(200, {})
            answered.set()
            return
        request.begin_events()
        request.event(1, "stdin", prompt="? ", password=False)
        answered.wait(patience(1.5))
        request.event(2, "start", id="x-1")
        answered.wait(patience())
        request.event(3, "end", status="ok")

    one = server(answer)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = tci(one, "exec", "-c", "input()", text="line\n")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ran.returncode == 0 and answered.is_set()
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < patience(0.5)


def asking(server, state, replies, questions=1):
    """The lines that came from tci to code in that state, where each is answered by one of those functions."""
    lines, done = [], threading.Event()

    def answer(request, n):
        if request.path.endswith("/stdin"):
            lines.append(json.loads(request.text)["text"])
            replies[n](request)
            if n == len(replies) - 1:
                done.set()
        elif request.command == "GET":
            request.reply(200, {"id": "x-1", "state": state})
        else:
            request.begin_events()
            request.event(1, "start", id="x-1")
            for i in range(questions):
                request.event(2 + i, "stdin", prompt="? ", password=False)
                one.asked = i + 1
                eventually(lambda: len(lines) > i)  # pylint: disable=cell-var-from-loop
            done.wait(patience())
            eventually(lambda: state == "waiting" or f"GET {EXECUTIONS}/x-1" in one.seen)
            request.event(9, "end", status="ok")

    one = server(answer)
    ran = tci(one, "exec", "-c", "input()", text="one\ntwo\n")
    assert (ran.returncode, ran.stderr) == (0, "? " * questions)
    return lines


def cut(_):
    pass


def accept(request):
    request.reply(200, {})


def test_a_line_that_is_lost_is_sent_again(server):
    assert asking(server, "waiting", [cut, accept]) == ["one", "one"]
    assert asking(server, "waiting", [lambda request: request.reply(502, {}), cut, accept]) == ["one"] * 3


def test_a_line_whose_answer_is_lost_is_not(server):
    assert asking(server, "running", [cut]) == ["one"]
    refuse = {"error": {"code": "conflict", "message": "The execution is over"}}
    assert asking(server, "waiting", [cut, lambda request: request.reply(409, refuse)]) == ["one", "one"]
    assert asking(server, "waiting", [lambda request: eventually(lambda: request.server.asked == 2), accept], 2) == ["one", "two"]


def test_an_interrupt_that_is_ignored(server):
    """As in the background of a shell, where Ctrl-C is for somebody else."""
    pid = []

    def answer(request, _):
        request.begin_events()
        request.event(1, "start", id="x-1")
        os.kill(pid[0], signal.SIGINT)
        request.event(2, "end", status="ok")

    one = server(answer)
    pid_known = threading.Event()
    take, one.take = one.take, lambda request: (pid_known.wait(patience()), take(request))
    env = {**harness.clean_environment(), "TCI_URL": one.url, "TCI_AUTH_TOKEN": "t"}
    program = os.path.join(harness.build_dir(), "cli", "tci")
    with subprocess.Popen(["env", "--ignore-signal=INT", program, "exec", "-c", "1"], env=env) as ran:
        pid.append(ran.pid)
        pid_known.set()
        assert ran.wait(patience()) == 0
    assert one.seen.count(f"POST {EXECUTIONS}") == 1 and not [name for name in one.seen if "interrupt" in name]


def full_pipe():
    """Its two ends."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writes, b"x" * select.PIPE_BUF)
    os.set_blocking(writes, True)
    return reads, writes


def test_a_signal_while_the_end_is_here_already(server):
    """What was left out of the output for it is no success, though the code had ended well."""
    def answer(request, _):
        request.begin_events()
        events = [("start", {"id": "x-1"}), ("stderr", {"text": "before"}), ("stdout", {"text": "no room"}), ("end", {"status": "ok"})]
        request.wfile.write("".join(f"id: {i}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
                                    for i, (name, data) in enumerate(events, 1)).encode())

    one = server(answer)
    reads, writes = full_pipe()
    env = {**harness.clean_environment(), "TCI_URL": one.url, "TCI_AUTH_TOKEN": "t"}
    program = os.path.join(harness.build_dir(), "cli", "tci")
    with subprocess.Popen([program, "exec", "-c", "1"], env=env, stdout=writes, stderr=subprocess.PIPE) as ran:
        try:
            assert ran.stderr.read(6) == b"before"  # the rest of what has come at once is next
            ran.send_signal(signal.SIGTERM)
            assert (ran.wait(patience()), ran.stderr.read()) == (130, b"tci exec: not all output is here\n")
        finally:
            ran.kill()
            os.close(reads)
            os.close(writes)
    assert "DELETE /v1/sessions/s" in one.seen


@pytest.fixture
def certificate(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_what_is_spoken_over_tls(server, certificate):
    """A connection of HTTP/2 that breaks is no plain loss, so none is made."""
    spoken = []

    def answer(request, _):
        spoken.append(request.connection.selected_alpn_protocol())
        request.reply(200, {"kernels": []})

    one = server(answer, certificate=certificate)
    assert tci(one, "kernels", "--ca-file", certificate[0]).returncode == 0
    assert spoken == ["http/1.1"]


def test_a_handshake_that_breaks(server, certificate):
    """After the execution has begun, that is one more connection that broke."""
    one = server(None, certificate=certificate)
    plain = one.get_request
    refuse = threading.Event()

    def get_request():
        if refuse.is_set():
            refuse.clear()
            raw, _ = super(type(one.socket), one.socket).accept()
            raw.close()
            raise OSError
        return plain()

    def answer(request, n):
        request.begin_events()
        if request.command == "POST":
            request.event(1, "start", id="x-1")
            refuse.set()
        else:
            request.event(2, "end", status="ok")

    one.answer, one.get_request = answer, get_request
    ran = tci(one, "exec", "-c", "1", "--ca-file", certificate[0])
    assert (ran.returncode, ran.stderr) == (0, "") and not refuse.is_set()
