"""test_restart.py - a gateway that dies and comes back finds its sessions again, and leaves nothing behind."""
import concurrent.futures
import contextlib
import ctypes
import glob
import os
import signal
import sqlite3
import subprocess
import time

import httpx
import pytest

import harness
from executions import Session
from harness import eventually


def answered(gateway, user, code, deadline=60):
    """The first 200 of repeated attempts."""
    def attempt():
        answer = gateway.execute(user, code)
        return answer.json() if answer.status_code == 200 else None

    return eventually(attempt, deadline, "an answer with 200")


def test_ten_sessions_survive_a_kill(make_gateway, users):
    """Within two seconds (times three: other work may share the machine; times the slack) of the new start."""
    gateway = make_gateway(min_idle_workers=2, max_total_workers=14)
    names = [users() for _ in range(10)]
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: gateway.ok(names[n], f"mine = 'session {n}'\ndef f(): return mine.upper()"), range(10)))
    gateway.quiet()
    before = set(gateway.inits())
    gateway.kill9()
    assert set(gateway.inits()) == before, "containers live on without the gateway"
    start = time.monotonic()
    gateway.start(ready=False)
    with concurrent.futures.ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda n: answered(gateway, names[n], "print(mine, f())"), range(10)))
    took = time.monotonic() - start
    print(f"ten sessions back {took:.3f} s after the start")
    assert [a["result_text"] for a in answers] == [f"session {n} SESSION {n}\n" for n in range(10)]
    assert all(a["restarted"] is False and a["error"] is None for a in answers)
    assert took < 2 * 3 * max(harness.slack(), 4 if harness.rootless() else 1)
    assert gateway.metrics()["tci_sessions_recovered_total"] == 10
    gateway.wait_ready()
    gateway.quiet()
    status = gateway.status()
    assert status["busy_workers"] == 10 and status["total_workers"] <= 14
    eventually(lambda: len(gateway.inits()) == gateway.status()["total_workers"], 60, "no container too many")


def test_sessions_survive_an_orderly_restart(make_gateway, users):
    gateway = make_gateway(min_idle_workers=1)
    user = users()
    gateway.ok(user, "kept = {'a': [1, 2]}\nopen('/workspace/f', 'w').write('file');")
    created = gateway.session(user)["created"]
    token = gateway.token
    gateway.restart()
    assert gateway.token == token
    answer = answered(gateway, user, "kept, open('/workspace/f').read()")
    assert answer["result_text"] == "({'a': [1, 2]}, 'file')" and answer["restarted"] is False
    assert gateway.session(user)["created"] == created


@pytest.mark.parametrize("orderly", [False, True])
def test_executions_that_are_over_are_known(make_gateway, users, orderly):
    """Their answers, their order and their keys, of sessions that are there; what was deleted does not come back."""
    gateway = make_gateway(min_idle_workers=1)
    one, ended = Session(gateway), Session(gateway)
    ended.ok("1")
    answers = [one.run(code) for code in ("print('a', '\\0')", "1/0", "x = 2\n'b' * 10000")]
    request = {"code": "x += 1\nx"}
    keyed = one.post(headers={"Idempotency-Key": "k"}, **request).json()
    gone = one.ok("'not to be seen again'")["id"]
    assert one.client.delete(f"{one.path}/executions/{gone}").status_code == 204
    kept = sorted(glob.glob(f"{gateway.state_dir}/history/*"))
    assert len(kept) == 2 and all(os.stat(path).st_mode & 0o777 == 0o600 for path in kept)
    assert not any("not to be seen again" in harness.read_text(path) for path in kept)
    ended.close()
    (left,) = glob.glob(f"{gateway.state_dir}/history/*")
    page = one.client.get(f"{one.path}/executions", params={"limit": 2}).json()
    running = one.begin("import time\ntime.sleep(60)") if not orderly else None
    if orderly:
        gateway.stop()
    else:
        gateway.kill9()
    gateway.start()
    assert [one.get(answer["id"]) for answer in answers] == answers
    listed = one.client.get(f"{one.path}/executions").json()["executions"]
    assert [e["id"] for e in listed] == [e["id"] for e in [keyed, *answers[::-1]]]
    rest = one.client.get(f"{one.path}/executions", params={"cursor": page["next_cursor"]})
    assert rest.json() == {"executions": listed[2:], "next_cursor": None}
    assert listed[-1]["code"] == "print('a', '\\0')" and listed[-2]["status"] == "error"
    again = one.post(headers={"Idempotency-Key": "k"}, **request)
    assert again.headers["idempotent-replayed"] == "true" and again.json() == keyed
    one.get(gone, 404)
    if running:
        one.get(running, 404)
    else:
        assert one.ok("x")["result"]["value"] == 3
        gateway.restart()
        assert len(one.client.get(f"{one.path}/executions").json()["executions"]) == 5
    one.close()
    assert not os.path.exists(left)


def test_what_a_stop_refuses_may_be_asked_for_again(make_gateway):
    """What waited has not run, and its Idempotency-Key is free; what ran has, and is not run twice."""
    gateway = make_gateway(min_idle_workers=1, exec_timeout=120)
    one = Session(gateway)

    def ask(key, code):
        return one.post(code, headers={"Idempotency-Key": key})

    def states():
        return [e["state"] for e in one.client.get(f"{one.path}/executions").json()["executions"]]

    flag = f"/workspace/{one.id}"
    one.ok(f"open({flag!r}, 'w').close()")
    container = gateway.container_with(flag)
    runs = ("a", f"import os, time\nwhile os.stat({flag!r}).st_size == 0: time.sleep(0.01)")
    waits = ("b", "'second'")
    with concurrent.futures.ThreadPoolExecutor() as threads:
        running = threads.submit(ask, *runs)
        eventually(lambda: states() == ["running", "done"])
        waiting = threads.submit(ask, *waits)
        eventually(lambda: states() == ["queued", "running", "done"])
        gateway.process.send_signal(signal.SIGTERM)
        assert waiting.result(60).status_code == 503
        gateway.process.send_signal(signal.SIGTERM)
        cut = running.result(60)
    assert cut.status_code == 200 and cut.json()["status"] == "died", cut.text
    assert cut.json()["error"]["evalue"] == "The server is shutting down"
    assert gateway.wait_end(60) == 0
    gateway.start()
    container.append(flag, "go")
    again = ask(*runs)
    assert again.headers["idempotent-replayed"] == "true" and again.json() == cut.json()
    second = ask(*waits)
    assert "idempotent-replayed" not in second.headers and second.json()["result"]["text"] == "'second'", second.text
    one.close()


def test_the_history_of_a_session_that_has_timed_out_goes(make_gateway, users):
    gateway = make_gateway(min_idle_workers=1)
    one = Session(gateway)
    one.ok("1")
    eventually(lambda: glob.glob(f"{gateway.state_dir}/history/*"), 10, "it is written")
    assert one.client.patch(one.path, json={"ttl": 1}).status_code == 200
    eventually(lambda: not glob.glob(f"{gateway.state_dir}/history/*"), 60, "it goes with its session")


def test_again_and_again(make_gateway, users):
    gateway = make_gateway(min_idle_workers=1)
    user = users()
    gateway.ok(user, "n = 0")
    for i in range(1, 6):
        gateway.kill9()
        gateway.start(ready=False)
        assert answered(gateway, user, "n += 1\nprint(n)")["result_text"] == f"{i}\n"
    gateway.wait_ready()
    gateway.quiet()
    eventually(lambda: len(gateway.inits()) == gateway.status()["total_workers"], 60, "no container too many")


def test_warm_workers_are_taken_back_or_removed(make_gateway):
    gateway = make_gateway(min_idle_workers=3, max_total_workers=6)
    for _ in range(3):
        gateway.kill9()
        gateway.start()
        gateway.quiet()
    eventually(lambda: len(gateway.inits()) == gateway.status()["total_workers"] <= 6, 60, "no container too many")


def test_kill_while_containers_start(make_gateway):
    """Killed at any moment of the first seconds, the next start ends up with a full pool and nothing else."""
    gateway = make_gateway(ready=False, min_idle_workers=3, max_total_workers=6)
    for count in (1, 1, 2, 3):
        eventually(lambda: len(gateway.container_processes()) >= count or gateway.is_ready(), 60)
        gateway.kill9()
        gateway.start(ready=False)
    gateway.wait_ready()
    gateway.quiet()
    eventually(lambda: len(gateway.inits()) == gateway.status()["total_workers"] <= 6, 60, "no container too many")


def test_kill_while_code_runs(make_gateway, users):
    """The session is taken back once the code has ended; its output belonged to a client that has lost its
    connection."""
    gateway = make_gateway(min_idle_workers=1)
    user = users()
    gateway.ok(user, "kept = 1")
    with gateway.hold(user) as hold:
        gateway.kill9()
        with pytest.raises(httpx.TransportError):
            hold.future.result(60)
        gateway.start(ready=False)
        hold.free()
        answer = answered(gateway, user, "print('kept' in globals())", 120)
    assert answer["result_text"] == ("False\n" if answer["restarted"] else "True\n")
    assert gateway.text(user, "print('clean')") == "clean\n"


@pytest.mark.parametrize("orderly", [False, True])
def test_environment_of_what_ran(make_gateway, orderly):
    """The next gateway takes it back, as the one before would have done."""
    gateway = make_gateway(min_idle_workers=1)
    one = Session(gateway)
    one.ok("import os, time\nos.environ['KEPT'] = 'old'")
    with one.stream("print('x', flush=True)\ntime.sleep(3)", env={"NEW": "1", "KEPT": "x"}, background=True) as stream:
        next(name for _, name, _ in stream if name == "stdout")
        if orderly:
            gateway.process.terminate()
            eventually(lambda: "finishing what runs" in gateway.log())
            gateway.stop()
        else:
            gateway.kill9()
    gateway.start(ready=False)
    answer = answered(gateway, one.id, "print(os.environ.get('NEW'), os.environ['KEPT'])", 120)
    assert answer["result_text"] == "None old\n" and answer["restarted"] is False


def test_kill_while_endless_code_runs(make_gateway, users):
    """Code that never ends does not keep the session for ever: it is interrupted, or recycled, and the answer says
    which."""
    gateway = make_gateway(min_idle_workers=1, exec_timeout=10)
    user = users()
    gateway.ok(user, "kept = 1")
    future = gateway.spawn(user, "while True: pass")
    eventually(lambda: gateway.session(user)["state"] == "busy", 30)
    gateway.kill9()
    with pytest.raises(httpx.TransportError):
        future.result(60)
    gateway.start(ready=False)
    answer = answered(gateway, user, "print('kept' in globals())", 120)
    assert answer["result_text"] == ("False\n" if answer["restarted"] else "True\n")


def test_output_of_the_old_call_does_not_show_in_a_new_one(make_gateway, users):
    gateway = make_gateway(min_idle_workers=1)
    user = users()
    gateway.ok(user, "import time")
    future = gateway.spawn(user, "for i in range(200):\n    print('old', i, flush=True); time.sleep(0.05)")
    eventually(lambda: gateway.session(user)["state"] == "busy", 30)
    gateway.kill9()
    with pytest.raises(httpx.TransportError):
        future.result(60)
    gateway.start(ready=False)
    assert answered(gateway, user, "print('new')")["result_text"] == "new\n"


def test_worker_that_dies_while_the_gateway_is_down(make_gateway, users):
    gateway = make_gateway(min_idle_workers=1)
    dead, alive = users(), users()
    gateway.ok(dead, "kept = 1")
    gateway.ok(alive, "kept = 2")
    init = gateway.init_of(dead)
    gateway.kill9()
    os.kill(init, signal.SIGKILL)
    eventually(lambda: not harness.process_exists(init), 30)
    gateway.start(ready=False)
    answer = answered(gateway, dead, "'kept' in globals()")
    assert answer["result_text"] == "False" and answer["restarted"] is True
    answer = answered(gateway, alive, "kept")
    assert answer["result_text"] == "2" and answer["restarted"] is False


def test_kernel_that_dies_while_the_gateway_is_down(make_gateway, users):
    gateway = make_gateway(min_idle_workers=1)
    user = users()
    gateway.ok(user, "kept = 1")
    container, kernel = gateway.container_of(user), gateway.kernel_pid(user)
    gateway.kill9()
    container.kill(kernel)
    gateway.start(ready=False)
    answer = answered(gateway, user, "'kept' in globals()")
    assert answer["result_text"] == "False" and answer["restarted"] is True


@contextlib.contextmanager
def held_by_us(process):
    """When it is killed it stays as a zombie: whose child it is does not see its end before we have."""
    seize, libc = 0x4206, ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    if libc.ptrace(seize, process, 0, 0) != 0:
        pytest.skip(f"nothing may be traced here: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        eventually(lambda: harness.process_state(process) == "Z", 30)
        os.waitpid(process, 0)


@pytest.mark.skipif(harness.runtime() == "runsc", reason="the host does not see the sandbox's processes")
def test_kill_while_a_session_is_restarted(make_gateway, users):
    """The gateway is back before what ran has ended: the new kernel is awaited."""
    gateway = make_gateway(min_idle_workers=1, exec_timeout=15, log_level="debug")
    user = users()
    gateway.ok(user, "kept = 1")
    init, kernel = gateway.init_of(user), gateway.kernel_of(user)
    with held_by_us(kernel):
        assert gateway.client.post(f"/v1/sessions/{user}/restart").status_code == 200
        eventually(lambda: harness.process_state(kernel) == "Z", 30)
        gateway.kill9()
        before = gateway.log().count("RECALLED -> PROBING")
        gateway.start(ready=False)
        eventually(lambda: gateway.log().count("RECALLED -> PROBING") >= before + 1, 30)
    assert answered(gateway, user, "'kept' in globals()")["result_text"] == "False"
    assert gateway.init_of(user) == init


def test_a_lock_that_is_about_to_go(make_gateway):
    """As a killed gateway's child has it that does not run its program yet: the start waits a moment."""
    gateway = make_gateway(ready=False, min_idle_workers=0)
    gateway.stop()
    path = os.path.join(gateway.state_dir, "lock")
    with subprocess.Popen(["flock", path, "sh", "-c", "echo; exec sleep 1.2"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"\n"
        gateway.start(ready=False)


def test_loss_is_remembered_over_a_restart(make_gateway, users):
    """A user whose environment was lost just before the gateway died is told all the same."""
    gateway = make_gateway(min_idle_workers=1)
    user = users()
    gateway.ok(user, "kept = 1")
    assert gateway.execute(user, "import os; os._exit(1)").status_code == 503
    gateway.kill9()
    gateway.start(ready=False)
    assert answered(gateway, user, "1")["restarted"] is True


def test_release_is_remembered_over_a_restart(make_gateway, users):
    gateway = make_gateway(min_idle_workers=1)
    user = users()
    gateway.ok(user, "kept = 1")
    init = gateway.init_of(user)
    gateway.release(user)
    gateway.kill9()
    gateway.start(ready=False)
    eventually(lambda: not harness.process_exists(init), 30)
    answer = answered(gateway, user, "'kept' in globals()")
    assert answer["result_text"] == "False" and answer["restarted"] is False


def test_orphans_end_by_themselves(make_gateway, users):
    """Without a gateway for orphan_timeout seconds, every container ends; the next start cleans up."""
    gateway = make_gateway(min_idle_workers=2, orphan_timeout=2)
    user = users()
    gateway.ok(user, "kept = 1")
    gateway.note_cgroups()
    gateway.kill9()
    eventually(lambda: not gateway.container_processes(), 90, "no container lives without a gateway")
    gateway.start()
    answer = answered(gateway, user, "'kept' in globals()")
    assert answer["result_text"] == "False" and answer["restarted"] is True


def test_smaller_limits_at_the_next_start(make_gateway, users):
    """More sessions than the new limit allows are kept; no new ones come."""
    gateway = make_gateway(min_idle_workers=1, max_total_workers=5)
    names = [users() for _ in range(3)]
    for i, name in enumerate(names):
        gateway.ok(name, f"kept = {i}")
    gateway.stop()
    gateway.settings.update(max_total_workers=2, min_idle_workers=0)
    gateway.start(ready=False)
    for i, name in enumerate(names):
        assert answered(gateway, name, "kept")["result_text"] == str(i)
    assert gateway.execute(users(), "1").status_code == 503


def test_second_gateway_on_the_same_directory(make_gateway, users):
    gateway = make_gateway(min_idle_workers=1)
    user = users()
    gateway.ok(user, "kept = 1")
    before = set(gateway.inits())
    second = gateway.run_again()
    assert second.returncode != 0
    assert gateway.state_dir in second.stderr
    for path in ("address", "gateway.pid"):
        assert os.path.exists(os.path.join(gateway.state_dir, path))
    assert harness.read_text(os.path.join(gateway.state_dir, "gateway.pid")).strip() == str(gateway.pid)
    assert before <= set(gateway.inits())
    assert gateway.ok(user, "kept")["result_text"] == "1"


def test_remove_containers_while_a_gateway_runs(make_gateway, users):
    gateway = make_gateway(min_idle_workers=1)
    user = users()
    gateway.ok(user, "kept = 1")
    removal = gateway.run_again("--remove-containers")
    assert removal.returncode != 0 and removal.stderr
    assert gateway.ok(user, "kept")["result_text"] == "1"


def test_remove_containers(make_gateway, users):
    gateway = make_gateway(min_idle_workers=2)
    user = users()
    gateway.ok(user, "kept = 1")
    gateway.ok(user, "import subprocess\n_ = subprocess.Popen(['setsid', '-f', 'sleep', '9999'])")
    Session(gateway).ok("1")
    assert len(gateway.inits()) >= 2
    eventually(lambda: glob.glob(f"{gateway.state_dir}/history/*"), 10, "it is written")
    gateway.stop()
    removal = gateway.run_again("--remove-containers")
    assert removal.returncode == 0, removal.stderr
    assert gateway.leftovers() == [] and glob.glob(f"{gateway.state_dir}/history/*") == []
    assert gateway.run_again("--remove-containers").returncode == 0  # nothing to do is no error
    gateway.start()
    assert gateway.text(user, "'kept' in globals()") == "False"


def test_remove_containers_after_a_kill(make_gateway, users):
    gateway = make_gateway(min_idle_workers=2)
    gateway.ok(users(), "1")
    gateway.note_cgroups()
    gateway.kill9()
    assert gateway.run_again("--remove-containers").returncode == 0
    assert gateway.leftovers() == []


def test_remove_containers_without_any(state_dir):
    done = harness.run_gateway("--state-dir", state_dir, "--remove-containers")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", [0, 1])
def test_damaged_store_is_set_aside(make_gateway, users, page):
    """The gateway starts, its users are told of their loss, and nothing leaks.  That it does not know whose sessions there
    were lasts as long as the file that was set aside."""
    gateway = make_gateway(min_idle_workers=1)
    user = users()
    gateway.ok(user, "kept = 1")
    gateway.stop()
    path = os.path.join(gateway.state_dir, "tci.db")
    with open(path, "r+b") as f:
        f.seek(page * 4096)
        f.write(os.urandom(4096))
    gateway.start()
    assert "tci.db.unusable" in gateway.log()
    answer = gateway.run(user, "'kept' in globals()")
    assert answer["result_text"] == "False" and answer["restarted"] is True
    assert gateway.run(user, "1")["restarted"] is False
    gateway.restart()
    assert gateway.run(user, "1")["restarted"] is False and gateway.run(users(), "1")["restarted"] is True
    os.unlink(path + ".unusable")
    gateway.restart()
    assert gateway.run(users(), "1")["restarted"] is False


def locked(gateway, readers_too=False):
    """Another connection that holds the store's lock."""
    db = sqlite3.connect(os.path.join(gateway.state_dir, "tci.db"), isolation_level=None)
    if readers_too:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")
    return contextlib.closing(db)


def test_what_was_not_written_is_written_later(make_gateway, users):
    """A session that began while nothing could be written survives a kill once that is over; one that ended then is not
    there again."""
    gateway = make_gateway(min_idle_workers=2)
    ended, lost, begun = users(), users(), users()
    gateway.ok(ended, "kept = 0")
    gateway.ok(lost, "kept = 0")
    with locked(gateway):
        gateway.ok(begun, "kept = 1")
        gateway.release(ended)
        assert gateway.execute(lost, "import os; os._exit(1)").status_code == 503
        assert "database is locked" in gateway.log()
    eventually(lambda: "everything has been written" in gateway.log(), 30)
    gateway.kill9()
    gateway.start(ready=False)
    answer = answered(gateway, begun, "kept")
    assert answer["result_text"] == "1" and answer["restarted"] is False
    assert answered(gateway, lost, "1")["restarted"] is True
    assert answered(gateway, ended, "1")["restarted"] is False


def test_locked_store_is_not_a_damaged_one(make_gateway, users):
    """The start waits for it, then fails; the sessions are there for the next one."""
    gateway = make_gateway(min_idle_workers=1)
    user = users()
    gateway.ok(user, "kept = 1")
    gateway.kill9()
    with locked(gateway, readers_too=True):
        gateway.launch()
        assert gateway.wait_end() == 1
        assert "tci.db" in gateway.log() and "locked" in gateway.log()
    with locked(gateway, readers_too=True) as lock:
        gateway.launch()
        eventually(lambda: len(gateway.descriptors_of("tci.db")) > 0, 30, "it has come to the store")
        lock.execute("ROLLBACK")
        lock.close()  # ends the mode as well
    gateway.await_start()
    answer = answered(gateway, user, "kept")
    assert answer["result_text"] == "1" and answer["restarted"] is False


def test_start_on_stale_files(make_gateway):
    """address and gateway.pid of a gateway that was killed do not mislead anybody after the next start."""
    gateway = make_gateway(ready=False, min_idle_workers=0)
    old = gateway.url
    gateway.kill9()
    paths = {name: os.path.join(gateway.state_dir, name) for name in ("address", "gateway.pid")}
    process = subprocess.Popen(gateway.command(), env=gateway.environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=open(gateway.log_path, "ab"), **gateway.identity())
    gateway.process, gateway.client = process, None
    eventually(lambda: harness.read_text(paths["gateway.pid"], "").strip() == str(process.pid), 60)
    url = eventually(lambda: (lambda u: u if u != old else None)(harness.read_text(paths["address"], "").strip()), 60)
    assert httpx.get(url + "/healthz", trust_env=False).status_code == 200


def test_sighup_changes_settings(make_gateway, users, tmp_path):
    config = tmp_path / "tci.conf"
    config.write_text("exec_timeout = 5\nqueue_limit = 3\n")
    gateway = make_gateway(config=config, exec_timeout=None)
    user = users()
    gateway.ok(user, "kept = 1")
    assert gateway.execute(user, "1", timeout=20).status_code == 400
    config.write_text("exec_timeout = 25\nqueue_limit = 3\nmin_idle_workers = 2\nlisten = 127.0.0.1:1\n")
    gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: gateway.execute(user, "1", timeout=20).status_code == 200, 30, "the new limit holds")
    answer = gateway.ok(user, "kept")
    assert answer["result_text"] == "1" and answer["restarted"] is False

    config.write_text("exec_timeout = nonsense\n")
    size = len(gateway.log())
    gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: "nonsense" in gateway.log()[size:], 30, "the mistake is logged")
    assert gateway.execute(user, "1", timeout=20).status_code == 200  # and changes nothing
    config.write_text("exec_timeout = 25\n")  # which the programs of the end read


def test_sighup_changes_the_size_of_the_pool(make_gateway, tmp_path):
    config = tmp_path / "tci.conf"
    config.write_text("min_idle_workers = 1\n")
    gateway = make_gateway(config=config, min_idle_workers=None)
    assert gateway.status()["min_idle_workers"] == 1
    config.write_text("min_idle_workers = 3\n")
    gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: gateway.status()["idle_workers_in_pool"] >= 3, 90, "the pool grows")
    config.write_text("min_idle_workers = 1\n")
    gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: gateway.status()["min_idle_workers"] == 1, 30)
