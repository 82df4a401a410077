#!/usr/bin/python3 -B
"""routes.py - every route of web/openapi.json with valid, nearly valid and broken requests, by several clients at once on the
same few sessions of a real gateway.

    tests/fuzz/routes.py [--seconds 20] [--seed N] [--clients 6]      TCI_BUILD_DIR is the build tree

A finding is: a 500; an answer that the document does not have; none at all; a gateway that ends, that answers /healthz late, whose
memory grows beyond a bound, that does not work afterwards, or leaves something behind.  Each kind is shown once, with the
request.  What a client sends follows from the seed and its number, but for the ids and cursors that it has got; what meets
what does not.  The last line is `N passed, N failed`: operations without and with findings, and what holds of the whole.
"""
import argparse
import collections
import contextlib
import http.client
import json
import os
import select
import socket
import sys
import threading
import time
import types

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "blackbox"))
os.environ.setdefault("TCI_BUILD_DIR", os.path.join(TOP, "build"))

import harness  # noqa: E402
import openapi  # noqa: E402
from generator import CODE, Generator, operations  # noqa: E402

SESSIONS = ["a", "b", "c", "d", "e"]
EXEC_TIMEOUT = 2       # seconds
ANSWER_WITHIN = 60     # seconds, times slack: the queue of a session is long
LONGER = 120           # seconds, times slack, for operations that have not had their turn yet
HEALTHY_WITHIN = 2     # ...
GROWTH_MIB = 128       # of the gateway's memory, at its peak
KEPT_MIB = 48          # ... once all sessions are gone
NO_ERRORS = {503, 504, 507}  # statuses from 500 on that the document knows


class Findings:
    """What was found, each kind once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.found = {}       # (what it is about, what) → how often
        self.answers = collections.defaultdict(collections.Counter)  # operation → statuses

    def add(self, about, what, detail=""):
        with self.lock:
            key = (str(about), what.split("\n")[0][:150])
            self.found[key] = self.found.get(key, 0) + 1
            if self.found[key] == 1:
                print(f"FOUND   {about}: {what}\n{detail}", flush=True)

    def count(self, operation, status):
        with self.lock:
            self.answers[str(operation)][status] += 1


class Answer:
    """As openapi.check() wants it."""

    def __init__(self, request, response, content):
        path = request.path().decode("latin-1").encode()
        self.request = types.SimpleNamespace(method=request.method, url=types.SimpleNamespace(raw_path=path))
        self.status_code, self.headers, self.content = response.status, response.headers, content

    def read(self):
        return self.content

    def json(self):
        return json.loads(self.content)


class Client(threading.Thread):
    """Sends requests until it is told to end."""

    def __init__(self, gateway, seed, findings, known, ending):
        super().__init__()
        self.gateway, self.findings, self.known, self.ending = gateway, findings, known, ending
        self.generator = Generator(seed, gateway.token, known)
        self.dice = self.generator.dice
        self.socket = None
        self.todo = list(self.generator.operations)
        self.dice.shuffle(self.todo)

    def run(self):
        while not self.ending.is_set():
            request = self.generator.request(self.todo.pop()) if self.todo else self.generator.next()
            try:
                self.one(request)
            except Exception as e:  # a finding, too: whatever was wrong with the answer
                self.close()
                self.findings.add(request.operation, f"{type(e).__name__}: {e}", str(request))
        self.close()

    def one(self, request):
        used = self.socket is not None
        response = self.send(request)
        if response is None and used and not self.ending.is_set():  # the connection was closed meanwhile
            response = self.send(request)
        if response is None:
            self.findings.count(request.operation, "none")
            if not request.missing and len(request.body or b"") < 50000 and not self.ending.is_set():
                self.findings.add(request.operation, "no answer", str(request))
            return
        if response == "left":
            self.findings.count(request.operation, "left")
            return
        content = self.content(request, response)
        self.findings.count(request.operation, response.status)
        self.judge(request, response, content)
        if content and response.headers.get("Content-Type") == "application/json":
            self.learn(json.loads(content))

    # --- the connection

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def send(self, request):
        """The response's head; None: there was none; "left": it was not waited for."""
        if self.socket is None:
            self.socket = socket.create_connection(self.gateway.address, timeout=ANSWER_WITHIN * harness.slack())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # who has said no does not read on
            self.socket.sendall(request.head("localhost") + request.payload())
            if request.missing:
                self.socket.shutdown(socket.SHUT_WR)
        if self.dice.random() < 0.03:
            self.close()
            return "left"
        response = http.client.HTTPResponse(self.socket, method=request.method)
        try:
            response.begin()
        except (http.client.BadStatusLine, ConnectionError) as e:
            self.close()
            if isinstance(e, (http.client.RemoteDisconnected, ConnectionError)):
                return None
            raise
        return response

    def content(self, request, response):
        """The body; None: it was not read to its end."""
        if request.method != "HEAD" and response.headers.get_content_type() == "text/event-stream":
            return self.events(response)
        try:
            content = response.read()
        except (http.client.IncompleteRead, ConnectionError):  # a file whose session ends is cut
            self.close()
            if response.headers.get_content_type() == "application/json":
                raise
            return None
        if response.will_close or request.missing:
            self.close()
        return content

    def events(self, response):
        """Reads some of them, or all, and hangs up; each has to be one."""
        until = time.monotonic() + self.dice.choice([0, 0.3, 2 * EXEC_TIMEOUT])
        data = b""
        with contextlib.suppress(ConnectionError, http.client.IncompleteRead):
            while time.monotonic() < until and not self.ending.is_set():
                if select.select([self.socket], [], [], 0.1)[0]:
                    more = response.read1(65536)
                    if not more:
                        break
                    data += more
        self.close()
        for block in data.split(b"\n\n")[:-1]:
            if not block.startswith(b":"):
                fields = dict(line.split(": ", 1) for line in block.decode().split("\n"))
                json.loads(fields["data"])
                assert fields["event"], block

    # --- what it was answered

    def judge(self, request, response, content):
        status = response.status
        if not request.target.isascii():
            return  # what is no HTTP is not known to be below /v1
        if status >= 500 and status not in NO_ERRORS:
            self.findings.add(request.operation, f"answered {status}", f"{request}\n{content!r}")
        elif content is not None:
            try:
                openapi.check(Answer(request, response, content))
            except Exception as e:
                self.findings.add(request.operation, f"{request.method} answered {status}: {e}", f"{request}\n{content[:1000]!r}")

    def learn(self, answer):
        """Ids and cursors, for those who come next."""
        if not isinstance(answer, dict):
            return
        listed = answer.get("executions")  # of a session, how many there are
        ids = [one["id"] for one in [answer, *(listed if isinstance(listed, list) else [])] if str(one.get("id")).startswith("x-")]
        for kind, found in (("execution", ids), ("cursor", [answer.get("next_cursor")])):
            for one in filter(None, found):
                known = self.known[kind]
                known[self.dice.randrange(len(known))] = one  # a slot each: threads share the lists


class Doctor(threading.Thread):
    """Looks how the gateway is while it is fuzzed."""

    def __init__(self, gateway, ending):
        super().__init__()
        self.gateway, self.ending = gateway, ending
        self.peak, self.slowest, self.gone = 0, 0.0, False

    def run(self):
        with self.gateway.new_client() as client:
            while not self.ending.wait(0.1) and not self.gone:
                begin = time.monotonic()
                try:
                    ok = client.get("/healthz").status_code == 200
                    self.peak = max(self.peak, harness.rss_kib(self.gateway.pid))
                except Exception:
                    ok = False
                self.slowest = max(self.slowest, time.monotonic() - begin)
                self.gone = not ok or not self.gateway.alive()


def fuzz(gateway, args, findings):
    """Until the time is over and each operation has had its turn, or the gateway is."""
    known = {"session": SESSIONS + ["nobody"], "execution": ["x-" + "0" * 32] * 24, "cursor": ["0", "5", "x", ""]}
    ending = threading.Event()
    clients = [Client(gateway, f"{args.seed}/{n}", findings, known, ending) for n in range(args.clients)]
    doctor = Doctor(gateway, ending)
    for thread in [doctor, *clients]:
        thread.start()
    end = time.monotonic() + args.seconds
    while time.monotonic() < end + (LONGER * harness.slack() if any(one.todo for one in clients) else 0) and not doctor.gone:
        time.sleep(0.1)
    ending.set()
    for thread in [doctor, *clients]:
        thread.join()
    return doctor


def afterwards(gateway, before, doctor, findings):
    """What has to hold of a gateway that has seen all that."""
    if doctor.gone or not gateway.alive():
        findings.add("the gateway", "is gone, or not healthy", gateway.log()[-4000:])
        return
    if doctor.slowest > HEALTHY_WITHIN * harness.slack():
        findings.add("the gateway", f"answered /healthz after {doctor.slowest:.1f} s")
    for session in gateway.status()["sessions"]:
        gateway.client.post("/release", json={"user_uuid": session["user_uuid"]})
    harness.eventually(lambda: not gateway.status()["sessions"], 60, "all sessions are gone")
    answer = gateway.client.post("/v1/sessions", json={"user_uuid": "after"})
    assert answer.status_code == 201, answer.text
    answers = []

    def works():
        """Before long: its kernel is new, and has little time."""
        answers.append(gateway.client.post("/v1/sessions/after/executions", json={"code": "print(6 * 7)"}).json())
        return (answers[-1].get("stdout"), answers[-1].get("status")) == ("42\n", "ok")

    try:
        harness.eventually(works, 60)
    except AssertionError:
        findings.add("the gateway", "does not work any more", str(answers[-1]))
    kept, peak = (harness.rss_kib(gateway.pid) - before) / 1024, (doctor.peak - before) / 1024
    print(f"memory: {peak:.1f} MiB more at its peak, {kept:.1f} in the end; /healthz within {1000 * doctor.slowest:.0f} ms")
    if not harness.sanitized() and (peak > GROWTH_MIB or kept > KEPT_MIB):
        findings.add("the gateway", f"grew by {peak:.0f} MiB, of which {kept:.0f} stay")


def report(findings):
    names = [str(o) for o in operations()]
    for name in names:
        print(f"{name:62} " + " ".join(f"{status}:{n}" for status, n in sorted(findings.answers[name].items(), key=str)))
    silent = [name for name in names if not any(isinstance(status, int) for status in findings.answers[name])]
    for name in silent:
        findings.add(name, "was never answered")
    bad = {about for about, _ in findings.found}
    print(f"{sum(n for one in findings.answers.values() for n in one.values())} requests")
    print(f"{len(names) + 1 - len(bad)} passed, {len(bad)} failed")
    return len(bad)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=int(time.time()), metavar="N")
    parser.add_argument("--clients", type=int, default=6, metavar="N")
    args = parser.parse_args()
    print(f"seed {args.seed}")
    findings = Findings()
    gateway = harness.Gateway(min_idle_workers=2, max_total_workers=len(SESSIONS) + 3, exec_timeout=EXEC_TIMEOUT)
    try:
        gateway.start()
        gateway.client.post("/v1/sessions", json={"user_uuid": "before"})
        for code in CODE[:3]:  # what is loaded once is there
            gateway.client.post("/v1/sessions/before/executions", json={"code": code})
        before = harness.rss_kib(gateway.pid)
        doctor = fuzz(gateway, args, findings)
        afterwards(gateway, before, doctor, findings)
        gateway.finish()
    except Exception as e:
        findings.add("the gateway", f"{type(e).__name__}: {e}")
    finally:
        gateway.destroy()
    return 1 if report(findings) else 0


if __name__ == "__main__":
    sys.exit(main())
