"""test_start_stop.py - gateways that cannot start their workers, and gateways that end."""
import json
import os
import secrets
import shutil
import signal
import subprocess
import time

import httpx
import pytest

import harness
from executions import Session
from harness import eventually
from rawhttp import Connection
from test_lifecycle import cpu_seconds


# ------------------------------------------------------------------------------------------------ start failures


@pytest.fixture
def broken_kernel():
    """broken_kernel(argv) installs a kernelspec beside the system's, until the end of the test; its name is returned."""
    made = []

    def make(argv):
        name = "tci-test-" + secrets.token_hex(6)
        directory = os.path.join("/usr/local/share/jupyter/kernels", name)
        os.makedirs(directory)
        made.append(directory)
        with open(os.path.join(directory, "kernel.json"), "w") as f:
            json.dump({"argv": argv, "display_name": "broken", "language": "none"}, f)
        return name

    yield make
    for directory in made:
        shutil.rmtree(directory)


@pytest.mark.parametrize("argv", [["/bin/false", "{connection_file}"], ["/no/such/program", "{connection_file}"],
                                  ["/bin/sh", "-c", "kill -11 $$", "{connection_file}"]], ids=range(3))
def test_kernel_that_cannot_start(make_gateway, broken_kernel, users, argv):
    """The failure is told, to the operator and to users, and tried again at growing intervals only."""
    gateway = make_gateway(ready=False, kernel=broken_kernel(argv), min_idle_workers=1, max_total_workers=4)
    error = eventually(lambda: gateway.status()["last_start_error"], 60, "the error is told")
    assert isinstance(error, str)
    assert gateway.client.get("/readyz").status_code == 503

    def starts():
        m = gateway.metrics()
        return sum(v for k, v in m.items() if k.startswith("tci_container_starts_total"))

    first, begin = starts(), time.monotonic()
    answer = gateway.execute(users(), "1")  # waits for some attempts, then is told
    assert answer.status_code == 503 and answer.json()["detail"]
    assert "retry-after" in answer.headers
    eventually(lambda: starts() >= first + 2, 120, "it is tried again")
    eventually(lambda: time.monotonic() - begin > 8, 20)
    rate = (starts() - first) / (time.monotonic() - begin)
    assert rate < 4, f"{rate:.1f} starts a second: no back-off"
    eventually(lambda: len(gateway.inits()) <= 4, 30)
    assert cpu_seconds(gateway.pid) < 20


def limited_to(n):
    """A command that runs another with that hard limit of open files."""
    return ["prlimit", f"--nofile={n}:{n}"]


MIN_FILES = 256 if harness.runtime() == "crun" else 1025


@pytest.mark.parametrize("n", [256, 1024])
@pytest.mark.crun_only("gVisor takes more for itself than containers are given")
def test_few_open_files(make_gateway, users, n):
    """A hard limit that is below what containers are given else: they get that one, it is said, and they run."""
    gateway = make_gateway(prefix=limited_to(n), max_total_workers=2)
    assert f"the hard limit of open files is {n}" in gateway.log()
    user = users(gateway)
    assert gateway.value(user, "import resource\nprint(list(resource.getrlimit(resource.RLIMIT_NOFILE)))") == [n, n]
    assert gateway.ok(user, "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")["images"]


def test_too_few_open_files_stop_the_start(make_gateway):
    """No worker would start: what is wrong is said at once, and not with each execution."""
    gateway = make_gateway(start=False, prefix=limited_to(MIN_FILES - 1))
    gateway.launch()
    assert gateway.wait_end(60) == 2
    assert f"The hard limit of open files is {MIN_FILES - 1}, and it takes {MIN_FILES}" in gateway.log() and "LimitNOFILE" in gateway.log()


def test_unknown_kernel_stops_the_start(state_dir):
    done = harness.run_gateway("--state-dir", state_dir, "--listen", "127.0.0.1:0", "--kernel", "no-such-kernel")
    assert done.returncode != 0 and "no-such-kernel" in done.stderr


# ------------------------------------------------------------------------------------------------ the orderly end


def test_sigterm_lets_running_code_finish(make_gateway, users):
    gateway = make_gateway(min_idle_workers=1)
    user, other = users(), users()
    gateway.ok(other, "1")
    with gateway.hold(user) as hold:
        with Connection(gateway) as open_connection:
            assert open_connection.ask("GET", "/healthz").status == 200
            gateway.process.send_signal(signal.SIGTERM)
            # New executions are refused, on connections that are open already; then these may be closed.
            try:
                answer = eventually(lambda: _refused(gateway, other), 30, "new executions are refused")
                assert answer.status_code == 503 and answer.json()["detail"]
            finally:
                hold.free()
        answer = hold.future.result(60)
        assert answer.status_code == 200 and answer.json()["result_text"] == "held\n"
    assert gateway.wait_end() == 0
    assert gateway.container_processes() != []  # containers live on for the next start


def _refused(gateway, user):
    """The response to an execution once it is not 200 any more."""
    try:
        answer = gateway.execute(user, "1")
    except httpx.ConnectError:
        return httpx.Response(503, json={"detail": "connection refused: it does not listen any more"})
    return answer if answer.status_code != 200 else None


def test_sigterm_when_idle(make_gateway, users):
    gateway = make_gateway(min_idle_workers=1)
    gateway.ok(users(), "1")
    gateway.quiet()
    assert gateway.stop(30) == 0


def test_sigterm_while_starting(make_gateway):
    gateway = make_gateway(ready=False, min_idle_workers=4)
    assert gateway.stop(60) == 0


def test_sigterm_with_code_that_does_not_end(make_gateway, users):
    """The drain lasts as long as the time limit and no longer."""
    gateway = make_gateway(exec_timeout=8)
    user = users()
    gateway.ok(user, "1")
    future = gateway.spawn(user, "while True: pass")
    eventually(lambda: gateway.session(user)["state"] == "busy", 30)
    assert gateway.stop(60) == 0
    assert future.result(10).status_code == 504


def test_a_second_sigterm_does_not_wait(make_gateway, users):
    """What runs, and who follows it, is told."""
    gateway = make_gateway(min_idle_workers=2, exec_timeout=120)
    user, session = users(), Session(gateway)
    code = "import time\nprint('x', flush=True)\ntime.sleep(100)"
    future = gateway.spawn(user, code)
    eventually(lambda: (gateway.session(user) or {}).get("state") == "busy", 30)
    with session.stream(code) as stream:
        next(one for one in stream if one[1] == "stdout")
        gateway.process.send_signal(signal.SIGTERM)
        eventually(lambda: "finishing what runs" in gateway.log())
        gateway.process.send_signal(signal.SIGTERM)
        rest = list(stream)
    assert rest[-1][1] == "end"
    assert future.result(30).status_code == 503
    assert gateway.wait_end(60) == 0


def test_who_watches_files_holds_nothing_up(make_gateway):
    gateway = make_gateway(min_idle_workers=1, exec_timeout=300)
    session = Session(gateway)
    session.ok("1")
    with session.client.stream("GET", f"{session.path}/files:watch") as answer:
        assert next(answer.iter_lines())
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.wait_end(60) == 0


def test_scripts_find_it_by_any_path(make_gateway, tmp_path):
    gateway = make_gateway()
    (tmp_path / "link").symlink_to(gateway.state_dir)
    for path in gateway.state_dir, tmp_path / "link":
        done = subprocess.run(["sh", "-c", '. ./common.sh; ROOTLESS=yes; running_gateway "$1"', "sh", path],
                              cwd=harness.SOURCE_DIR, capture_output=True, text=True)
        assert done.stdout == f"{gateway.pid}\n", done.stderr


def test_sigint_ends_it_too(make_gateway):
    gateway = make_gateway(ready=False, min_idle_workers=0)
    gateway.process.send_signal(signal.SIGINT)
    assert gateway.wait_end(60) == 0


def test_sigpipe_and_others_do_not(make_gateway):
    gateway = make_gateway(ready=False, min_idle_workers=0)
    for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGHUP):
        gateway.process.send_signal(number)
    for _ in range(10):
        assert gateway.client.get("/healthz").status_code == 200
    assert gateway.alive()
