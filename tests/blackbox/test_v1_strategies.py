"""test_v1_strategies.py - what becomes of a session's container: the strategies, and restarts."""
from harness import eventually
from test_v1_sessions import delete, error, get, make


def test_a_container_for_each_execution(make_gateway):
    gateway = make_gateway(min_idle_workers=2, max_total_workers=4)
    session = make(gateway, strategy="execution")
    assert session["state"] == "idle" and session["container"] is None and session["strategy"] == "execution"
    for i in range(3):
        answer = gateway.ok(session["id"], "import os\nassert 'x' not in globals()\nx = 1\nopen('/workspace/left', 'x').close()\nprint('done')")
        assert answer["result_text"] == "done\n" and not answer["restarted"] and answer["execution_count"] == 1
    found = get(gateway, session["id"])
    assert found["state"] == "idle" and found["executions"] == 3 and len(found["history"]) == 3
    assert len({h["id"] for h in found["history"]}) == 3
    assert gateway.run(session["id"], "1 / 0")["error"]
    assert gateway.execute(session["id"], "while True: pass", timeout=0.3).status_code == 504
    assert not gateway.ok(session["id"], "1")["restarted"]
    waiting = [gateway.spawn(session["id"], "import os; print(os.getpid(), os.listdir('/workspace'))") for _ in range(3)]
    assert all(answer.result().json()["result_text"].endswith("[]\n") for answer in waiting)
    eventually(lambda: gateway.status()["busy_workers"] == 0)
    delete(gateway, session["id"])


def test_a_kernel_for_each_execution(make_gateway):
    """One container, in which nothing is left of the execution before: no name, no process, no file."""
    gateway = make_gateway(min_idle_workers=1, max_total_workers=2)
    session = make(gateway, strategy="pool", env={"A": "b"})["id"]
    first = gateway.ok(session, """
import os, subprocess
x = 1
for place in ('/workspace', '/tmp', os.path.expanduser('~'), '/dev/shm'):
    os.makedirs(place + '/a/b/c', exist_ok=True)
    open(place + '/a/b/c/left', 'w').close()
    os.chmod(place + '/a/b', 0)
os.chdir('/workspace')
for i in range(1500):  # deeper than a path may be long
    os.mkdir('deep-down'); os.chdir('deep-down')
subprocess.Popen(['sleep', '1000'], start_new_session=True)
print('done')""")
    assert first["result_text"] == "done\n"
    eventually(lambda: get(gateway, session)["state"] == "idle")
    container = get(gateway, session)["container"]["id"]
    for _ in range(2):
        found = gateway.value(session, """
import json, os
names = [open(f'/proc/{p}/comm').read().strip() for p in os.listdir('/proc') if p.isdigit()]
print(json.dumps({'x': 'x' in globals(), 'A': os.environ['A'], 'sleep': 'sleep' in names,
                  'files': [n for d in ('/workspace', '/tmp', os.path.expanduser('~'), '/dev/shm') for n in os.listdir(d)
                            if n == 'a' or 'wipe' in n or 'deep' in n]}))""")
        assert found == {"x": False, "A": "b", "sleep": False, "files": []}
    now = get(gateway, session)
    assert now["container"]["id"] == container and now["history"] == [] and now["executions"] == 3
    assert not gateway.ok(session, "1")["restarted"]
    assert gateway.execute(session, "import os; os._exit(3)").status_code == 503
    assert gateway.text(session, "print(1)") == "1\n"


def restart(gateway, session):
    answer = gateway.client.post(f"/v1/sessions/{session}/restart")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_restart(gateway, user):
    make(gateway, user_uuid=user)
    gateway.ok(user, "x = 1\nopen('/workspace/kept', 'w').close()")
    before = get(gateway, user)["container"]
    restart(gateway, user)
    answer = gateway.ok(user, "import os\nprint('x' in globals(), os.listdir('/workspace'))")
    assert answer["result_text"] == "False ['kept']\n" and answer["restarted"] and answer["execution_count"] == 1
    assert get(gateway, user)["container"] == before
    delete(gateway, user)
    error(gateway.client.post(f"/v1/sessions/{user}/restart"), 404, "not_found")


def test_restart_ends_what_runs(gateway, user):
    make(gateway, user_uuid=user)
    gateway.ok(user, "1")
    running = gateway.spawn(user, "import time\nwhile True:\n    try: time.sleep(100)\n    except BaseException: pass")
    eventually(lambda: get(gateway, user)["state"] == "busy")
    waiting = gateway.spawn(user, "print('after')")
    eventually(lambda: get(gateway, user)["queued"] == 1)
    restart(gateway, user)
    answer = running.result()
    assert answer.status_code == 503 and "restarted" in answer.json()["detail"]
    assert waiting.result().json()["result_text"] == "after\n"
    delete(gateway, user)


def test_restart_of_what_has_no_container(gateway, user):
    make(gateway, user_uuid=user)
    gateway.execute(user, "import os; os._exit(3)")
    assert get(gateway, user)["state"] == "stopped"
    assert restart(gateway, user)["state"] in ("starting", "idle")
    assert gateway.text(user, "print(1)") == "1\n"
    delete(gateway, user)


def test_restart_again_and_again(gateway, user):
    make(gateway, user_uuid=user)
    for i in range(3):
        for _ in range(3):
            restart(gateway, user)  # also while one is under way
        assert gateway.text(user, f"print({i})") == f"{i}\n"
    delete(gateway, user)
