"""test_cli_stream.py - tci over connections that break: what code shows arrives once, and whole.

A relay of TCP stands between tci and a real gateway, and cuts what goes through it.
"""
import re
import subprocess

import pytest

import harness
from cutting import Relay
from harness import eventually, patience


@pytest.fixture
def relay(gateway):
    made = []

    def make(cut_after):
        made.append(Relay(gateway, cut_after))
        return made[-1]

    yield make
    for one in made:
        one.close()


def through(relay, gateway, *args):
    return harness.run_tci(*args, state_dir=gateway.state_dir, env={"TCI_URL": relay.url, "TCI_AUTH_TOKEN": gateway.token})


@pytest.fixture(scope="module")
def gateway(make_module_gateway):
    """What runs while its connections break takes as long as those take."""
    return make_module_gateway(exec_timeout=int(60 * harness.slack()))


def test_nothing_is_lost_or_doubled(gateway, users, relay):
    """Every connection but short ones is cut, at another place each time."""
    one = users(gateway)
    line = relay(lambda n: 1000 + 437 * (n % 7))
    code = "import time\nfor i in range(600):\n    print(i, flush=True)\n    if i % 60 == 0: time.sleep(0.01)"
    ran = through(line, gateway, "exec", "-s", one, "-c", code)
    assert ran.stdout == "".join(f"{i}\n" for i in range(600)), ran.stderr
    assert (ran.returncode, ran.stderr) == (0, "")
    assert line.cuts > 10


def test_the_code_runs_once(gateway, users, relay):
    """The request is cut before anything of its answer has come: sent again, it finds what it has made."""
    one = users(gateway)
    gateway.tci("exec", "-s", one, "-c", "runs = 0")
    line = relay(lambda n: 1 if n == 1 else None)  # 0 makes the session
    ran = through(line, gateway, "exec", "-s", one, "-c", "runs += 1; print('runs', runs)")
    assert (ran.returncode, ran.stdout, line.cuts) == (0, "runs 1\n", 1)
    assert line.count >= 4


def test_an_error_and_its_status(gateway, users, relay):
    one = users(gateway)
    line = relay(lambda n: 700 if 0 < n < 4 else None)
    ran = through(line, gateway, "exec", "-s", one, "-c", "print('x' * 100)\n1/0")
    assert ran.returncode == 1 and ran.stdout == "x" * 100 + "\n"
    assert ran.stderr.count("ZeroDivisionError: division by zero") == 1 and line.cuts >= 2


def test_a_server_that_stays_away(gateway, users, relay):
    """It is told that there is trouble, and goes on when the way is free again; the code has waited for nothing."""
    one = users(gateway)
    line = relay(lambda n: None)
    ran = subprocess.Popen([harness.build_dir() + "/cli/tci", "exec", "-s", one, "-c",
                            "import os, time\nprint('begun', flush=True)\nopen('begun', 'w').close()\n"
                            "while not os.path.exists('go'): time.sleep(0.05)\nprint('ended')"],
                           env={**harness.clean_environment(), "TCI_URL": line.url, "TCI_AUTH_TOKEN": gateway.token},
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        eventually(lambda: gateway.client.head(f"/v1/sessions/{one}/files/begun").status_code == 200)
        line.open = False
        line.cut_all()
        assert "trying again" in ran.stderr.readline()
        line.open = True
        assert gateway.client.put(f"/v1/sessions/{one}/files/go", content=b"").status_code == 201
        out, err = ran.communicate(timeout=patience())
    finally:
        ran.kill()
    assert (ran.returncode, out, err) == (0, "begun\nended\n", "")


def sessions(gateway):
    return [s["id"] for s in gateway.client.get("/v1/sessions").json()["sessions"]]


def test_a_session_is_made_once(gateway, relay):
    """The answer that says its id is cut: asked again, the server knows which one it was."""
    line = relay(lambda n: 1 if n == 0 else None)
    ran = through(line, gateway, "exec", "-c", "print(1)")
    assert (ran.returncode, ran.stdout, ran.stderr, line.cuts) == (0, "1\n", "", 1)
    assert sessions(gateway) == []


def test_a_session_that_nobody_waits_for(gateway, relay):
    line = relay(lambda n: None)
    line.answers.clear()
    ran = subprocess.Popen([harness.build_dir() + "/cli/tci", "exec", "-c", "print(1)"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           env={**harness.clean_environment(), "TCI_URL": line.url, "TCI_AUTH_TOKEN": gateway.token}, text=True)
    try:
        eventually(lambda: len(sessions(gateway)) == 1)
        ran.terminate()
        eventually(lambda: line.count == 2 or ran.poll() is not None)
        line.answers.set()
        assert ran.communicate(timeout=patience()) == ("", "tci exec: interrupted\n") and ran.returncode == 130
    finally:
        ran.kill()
    assert sessions(gateway) == []


def test_who_leaves_takes_it_along(gateway, users):
    """Asked to end (SIGTERM), tci ends the code as well, though that outlives connections."""
    one = users(gateway)
    ran = subprocess.Popen([harness.build_dir() + "/cli/tci", "exec", "-s", one, "-c",
                            "import time\nprint('begun', flush=True)\ntime.sleep(60)"],
                           env={**harness.clean_environment(), "TCI_URL": gateway.url, "TCI_AUTH_TOKEN": gateway.token},
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert ran.stdout.readline() == "begun\n"
        ran.terminate()
        ran.communicate(timeout=patience())
    finally:
        ran.kill()
    assert ran.returncode == 130
    path = f"/v1/sessions/{one}/executions"
    eventually(lambda: gateway.client.get(path).json()["executions"][0]["state"] == "done")
    assert re.fullmatch("error|cancelled", gateway.client.get(path).json()["executions"][0]["status"])
